"""What batch APIs have in common: the standing of a batch, and a result by the id it was given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from llmnb.errors import (
    BadReply,
    LLMNBError,
    ProviderError,
    Stopped,
)
from llmnb.wire import json_bytes

PRICE_FACTOR = 0.5
"""What a request in a batch costs, as a part of what it costs asked now.

Source: OpenAI, "Batch API" guide; Anthropic, "Message Batches" guide: half of the standard price.
"""

State = Literal["working", "ended", "refused"]
"""Not over yet; over, with results for some or all; refused as a whole."""

Kind = Literal["answered", "expired", "withdrawn"]

_SEPARATOR = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What one batch may hold at most."""

    requests: int
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a batch is."""

    name: str
    """The provider's name for it."""

    state: State
    done: int = 0
    """Requests that are over."""

    total: int | None = None
    words: str = ""
    """What the provider says of it, where it was refused or ended early."""

    results: tuple[str, ...] = ()
    """Where the results lie: names of files."""

    tag: str | None = None
    """Our own mark on it, where the provider keeps one."""

    created: float | None = None
    """Seconds since the epoch, where it is told as a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one request of a batch."""

    name: str
    """Its custom id."""

    kind: Kind = "answered"
    status: int = 200
    """The HTTP status that the same request would have had."""

    body: bytes = b""
    """The reply."""


def name_of(key: str, row: int) -> str:
    """Return the custom id of a request: the answer's key and its row.

    Example:
        >>> name_of("ab12", 7)
        'ab12-7'
    """
    return f"{key}{_SEPARATOR}{row}"


def key_of(name: str) -> str:
    """Return the answer's key that a custom id begins with.

    Example:
        >>> key_of("ab12-7")
        'ab12'
    """
    return name.partition(_SEPARATOR)[0]


def split(sizes: Iterable[int], capacity: Capacity) -> Iterator[int]:
    """Yield how many of the requests go into each batch, in order.

    Args:
        sizes: Bytes of each request's line.
        capacity: What one batch holds.

    Example:
        >>> list(split([4, 4, 4, 9], Capacity(requests=2, size=10)))
        [2, 1, 1]
    """
    count = filled = 0
    for size in sizes:
        if count and (count == capacity.requests or filled + size > capacity.size):
            yield count
            count = filled = 0
        count += 1
        filled += size
    if count:
        yield count


def document(raw: bytes, what: str) -> Mapping[str, Any]:
    """Return the object that a reply about batches holds.

    Raises:
        BadReply: If it holds none.
    """
    try:
        found = json_bytes.read(raw)
    except json_bytes.NotJSON:
        found = None
    if not isinstance(found, dict):
        raise BadReply(f"The provider's {what} cannot be read. It is asked for again.", raw=raw)
    return found


def lines(raw: bytes) -> Iterator[Mapping[str, Any]]:
    r"""Yield the objects of a file of lines; a line that cannot be read is left out.

    Raises:
        BadReply: If none can: it is somebody else's page, not the file that was paid for.

    Example:
        >>> list(lines(b'{"a": 1}\n\n{"a": oops\n[2]\n'))
        [{'a': 1}]
    """
    is_any = False
    for line in raw.splitlines():
        if not line.strip():
            continue
        try:
            found = json_bytes.read(line)
        except json_bytes.NotJSON:
            continue
        if isinstance(found, dict):
            is_any = True
            yield found
    if not is_any and raw.strip():
        raise BadReply("The provider's results cannot be read. They are asked for again.", raw=raw)


def count(value: Any) -> int:
    """Return a count of a provider, 0 where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def shortfall(kind: Kind, batch: str) -> LLMNBError:
    """Return the error of a request that the provider did not come to.

    Example:
        >>> type(shortfall("expired", "batch_1")).__name__
        'ProviderError'
    """
    if kind == "expired":
        return ProviderError(
            f"The provider did not come to this request within the batch's time ({batch}). "
            "Nothing was billed for it; run again to ask only what is missing."
        )
    return Stopped(
        f"The batch was withdrawn before the provider came to this request ({batch}). "
        "Nothing was billed for it; run again to ask only what is missing."
    )


def absent(batch: str) -> LLMNBError:
    """Return the error of a request that an ended batch says nothing of."""
    return BadReply(
        f"The batch is over and its results do not name this request ({batch}). "
        "Run again to ask only what is missing."
    )
