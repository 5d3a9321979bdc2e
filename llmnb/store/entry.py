"""One stored answer and its key: the raw reply, the request it answers, and what is known of both.

On disk an entry is one line of JSON, then the request's bytes, then the
reply's. Nothing is ever unpickled.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from typing import Any

import orjson

VERSION = 1

KEY_LENGTH = 40
"""Hexadecimal digits: 160 bits, far beyond any accident."""


@dataclass(slots=True, kw_only=True)
class Entry:
    """One stored answer; never changed, but not frozen, as frozen ones are slow to make."""

    key: str
    request: bytes
    """Canonical body."""

    raw: bytes
    """The reply as it came."""

    dialect: str
    provider: str
    model: str
    quality: str
    """``good``, ``truncated``, ``refused``, ``filtered``, or ``bad`` where it could not be read."""

    usd: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float | None = None
    created: float = 0.0
    """Seconds since the epoch."""

    simulated: bool = False
    reused_from: str | None = None
    """Project it was found in, when that is not the own one; not kept on disk."""


# Field by field in both directions: a loop over their names takes half as long again, every row.


def encode(entry: Entry) -> bytes:
    """Return an entry as bytes."""
    head = orjson.dumps(
        {
            "llmnb": VERSION,
            "key": entry.key,
            "request": len(entry.request),
            "raw": len(entry.raw),
            "dialect": entry.dialect,
            "provider": entry.provider,
            "model": entry.model,
            "quality": entry.quality,
            "usd": entry.usd,
            "in": entry.prompt_tokens,
            "out": entry.completion_tokens,
            "seconds": entry.seconds,
            "created": entry.created,
            "simulated": entry.simulated,
        }
    )
    return b"%b\n%b%b" % (head, entry.request, entry.raw)


def decode(data: bytes, key: str, reused_from: str | None = None) -> Entry | None:
    """Return an entry from its bytes; None where llmnb has not written them.

    Args:
        data: What `encode` has made.
        key: Key it was found under; an entry that says otherwise is not served.
        reused_from: Project it was found in, when not the own one.
    """
    end = data.find(b"\n")
    try:
        head: dict[str, Any] = orjson.loads(data[:end])
        length, size = head["request"], head["raw"]
        start = end + 1
        if (
            end < 0
            or head["llmnb"] != VERSION
            or head["key"] != key
            or len(data) != start + length + size
        ):
            return None
        return Entry(
            key=key,
            request=data[start : start + length],
            raw=data[start + length :],
            dialect=head["dialect"],
            provider=head["provider"],
            model=head["model"],
            quality=head["quality"],
            usd=head["usd"],
            prompt_tokens=head["in"],
            completion_tokens=head["out"],
            seconds=head["seconds"],
            created=head["created"],
            simulated=head["simulated"],
            reused_from=reused_from,
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None


# ------------------------------------------------------------------------------ keys


def answer_key(
    *,
    dialect: str,
    endpoint: str,
    body: bytes,
    sample: int = 0,
    extra: bytes = b"",
) -> str:
    """Return the key of an answer: a hash of everything that changes it, and of nothing else.

    API keys, timeouts and concurrency are not part of it.

    Args:
        dialect: How it is asked.
        endpoint: Where it is asked, or what answers for an in-process model.
        body: Canonical body.
        sample: Which of several samples of one prompt.
        extra: Further bytes that tell answers apart.

    Example:
        >>> answer_key(dialect="openai.chat", endpoint="https://host/v1", body=b"{}")[:8]
        'bfb433c6'
    """
    rest = _origin(dialect, endpoint, sample)
    if extra:
        rest += b"\0extra\0" + extra
    return hashlib.sha256(b"%d\0%b%b" % (len(body), body, rest)).hexdigest()[:KEY_LENGTH]


@functools.lru_cache(maxsize=256)  # the same for every row of a run
def _origin(dialect: str, endpoint: str, sample: int) -> bytes:
    return f"\0{dialect}\0{endpoint}\0{sample}\0".encode()


class RenamedKey(str):
    """A key under which an older release kept the answer under another one.

    It is looked up under both; what stands under the older one is copied, once.
    """

    __slots__ = ("older",)

    older: str
    """The key that the older release has used."""

    def __new__(cls, key: str, older: str) -> RenamedKey:
        """Return `key`, which remembers `older`."""
        self = super().__new__(cls, key)
        self.older = older
        return self

    def __reduce__(self) -> tuple[type[RenamedKey], tuple[str, str]]:
        return RenamedKey, (str(self), self.older)
