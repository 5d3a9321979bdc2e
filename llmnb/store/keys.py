"""The key of an answer: a hash of everything that changes it, and of nothing else."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping

KEY_LENGTH = 40
"""Hexadecimal digits: 160 bits, far beyond any accident."""


def answer_key(
    *,
    dialect: str,
    endpoint: str,
    body: bytes,
    headers: Mapping[str, str] | None = None,
    sample: int = 0,
    extra: bytes = b"",
) -> str:
    """Return the key of an answer.

    API keys, timeouts and concurrency are not part of it.

    Args:
        dialect: How it is asked.
        endpoint: Where it is asked, or what answers for an in-process model.
        body: Canonical body.
        headers: Request headers that change the answer; names in any case.
        sample: Which of several samples of one prompt.
        extra: Further bytes that tell answers apart.

    Example:
        >>> answer_key(dialect="openai.chat", endpoint="https://host/v1", body=b"{}")[:8]
        'bfb433c6'
    """
    rest = _who(dialect, endpoint, sample)
    if headers:
        for name in sorted(headers, key=str.lower):
            rest += f"{name.lower()}\0{headers[name]}\0".encode()
    if extra:
        rest += b"\0extra\0" + extra
    return hashlib.sha256(b"%d\0%b%b" % (len(body), body, rest)).hexdigest()[:KEY_LENGTH]


class RenamedKey(str):
    """A key under which an older release kept the answer under another one.

    It is looked up under both; what is found under the older one is copied, once.
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


@functools.lru_cache(maxsize=256)  # the same for every row of a run
def _who(dialect: str, endpoint: str, sample: int) -> bytes:
    return f"\0{dialect}\0{endpoint}\0{sample}\0".encode()
