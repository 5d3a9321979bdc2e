"""What can go wrong with one reply, as values; *when* it does is in `fault_rules`.

A script of faults is a list with one entry per request (a fault, a status
code, the name of a fault, or None for a healthy reply), a rule, a list of
rules of which the first that speaks decides, or any callable from a
`SimulatedRequest` to one of these.

Every fault knows whether the provider charges for the request: what was
refused or failed on the way in costs nothing; what was answered and then lost
or spoilt is billed, as it is in life. `but(billed=...)` changes it.
"""

from __future__ import annotations

import dataclasses
import functools
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from llmnb.errors import ConfigurationError
from llmnb.testing import error_bodies

Then = Literal["end", "close", "reset", "stall", "error"]
"""What follows where a reply breaks off: a proper end, a closed connection, a
reset one, silence for ever, or (in a stream) an error event."""

BreakPoint = Literal["before", "head", "body"]
"""Where a reply breaks off: before its first byte, after its headers, in its body."""


Meaning = Literal["exact", "status", "quota", "context", "error in 200"]
"""What a reply in place of an answer means; each provider has its own words for all but "exact"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Base of all faults."""

    name: str
    """What the ledger calls it."""

    billed: bool = False
    """Whether the provider charges for the request all the same."""

    delay: float | None = None
    """Seconds until it shows. None: as long as the answer would have taken
    where it is billed, at once where it is not."""

    def but(self, **changes: Any) -> Self:
        """Return the same fault with some fields changed."""
        return dataclasses.replace(self, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instead(Fault):
    """Another reply than the answer."""

    status: int
    body: bytes = b""
    """Where `meaning` says what it means, as OpenAI words it."""

    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    meaning: Meaning = "exact"
    figures: tuple[int, ...] = ()
    """Numbers that its text names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoKey(Fault):
    """An error whose text repeats the key that was sent."""

    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Break(Fault):
    """The reply breaks off."""

    at: BreakPoint
    after: int | None = None
    """In a stream: tokens sent before it breaks. None is half of them."""

    then: Then = "reset"


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw(Fault):
    """Literal bytes on the socket in place of an HTTP reply."""

    data: bytes
    then: Literal["close", "reset", "stall"] = "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drip(Fault):
    """The answer comes one byte at a time."""

    seconds_per_byte: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bend(Fault):
    """An answer that is whole as HTTP but not as it should be."""

    finish_reason: str | None = None
    refusal: str | None = None
    has_usage: bool = True
    has_choices: bool = True
    has_content: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Garble(Fault):
    """An answer whose bytes are damaged."""

    how: Literal["half gzip", "half json", "awkward stream"]


FaultLike = Fault | int | str | None
"""What stands for a fault in a script: itself, a status, a name; None is none."""


# --------------------------------------------------------------- refused or failed


def status(
    code: int,
    *,
    retry_after: float | str | None = None,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Fault:
    """Answer with a status and the body that a provider sends with it.

    Args:
        code: HTTP status.
        retry_after: Value of a ``retry-after`` header, as it is to be written.
        headers: Further headers.
        body: Another body than the usual one.

    Example:
        >>> status(503, retry_after=2).headers
        (('retry-after', '2'),)
    """
    usual, content_type = error_bodies.error_reply(code)
    all_headers = dict(headers or {})
    if retry_after is not None:
        all_headers = {"retry-after": str(retry_after), **all_headers}
    return Instead(
        name=str(code),
        status=code,
        body=usual if body is None else body,
        content_type=content_type,
        headers=tuple(all_headers.items()),
        meaning="status" if body is None else "exact",
        # The gateway gave up waiting; the model behind it did not.
        billed=code in (408, 504, 524),
    )


def rate_limited(
    retry_after: float | str | None = None, headers: Mapping[str, str] | None = None
) -> Fault:
    """Refuse with 429, whatever the limits say."""
    return status(429, retry_after=retry_after, headers=headers).but(name="rate_limited")


def quota() -> Fault:
    """Say that the account has no credit left."""
    return Instead(name="quota", status=429, body=error_bodies.quota_error(), meaning="quota")


def context_overflow(limit: int = 8192, asked: int = 9000) -> Fault:
    """Refuse a prompt as too long."""
    return Instead(
        name="context_overflow",
        status=400,
        body=error_bodies.context_error(limit, asked),
        meaning="context",
        figures=(limit, asked),
    )


def redirect(location: str, code: int = 307) -> Fault:
    """Send the client elsewhere."""
    return Instead(name="redirect", status=code, headers=(("location", location),))


def echo_key(code: int = 401) -> Fault:
    """Repeat the key in the text of an error, as some providers do."""
    return EchoKey(name="echo_key", status=code)


# ------------------------------------------------------------- 200, and no answer


def reply(
    code: int = 200,
    body: bytes = b"",
    *,
    content_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
    name: str = "reply",
    billed: bool = True,
) -> Fault:
    """Answer with exactly this, whatever was asked."""
    return Instead(
        name=name,
        status=code,
        body=body,
        content_type=content_type,
        headers=tuple((headers or {}).items()),
        billed=billed,
    )


def html() -> Fault:
    """Answer 200 with a page, as a captive portal does."""
    page = b"<!doctype html><title>Sign in</title><h1>Welcome to this network</h1>"
    return reply(200, page, content_type="text/html", name="html", billed=False)


def empty() -> Fault:
    """Answer 200 with nothing."""
    return reply(200, b"", name="empty")


def null() -> Fault:
    """Answer 200 with ``null``."""
    return reply(200, b"null", name="null")


def array() -> Fault:
    """Answer 200 with a list."""
    return reply(200, b'[{"choices":[]}]', name="array")


def garbage() -> Fault:
    """Answer 200 with what is neither JSON nor text."""
    return reply(200, b'{"choices":[{"index":0,\xff\xfe\x00 oops', name="garbage")


def error_in_200() -> Fault:
    """Answer 200 with an error object in the body."""
    body = error_bodies.error_reply(500)[0]
    return Instead(name="error_in_200", status=200, body=body, meaning="error in 200")


def deep(levels: int = 100_000) -> Fault:
    """Answer 200 with lists nested so deep that careless parsers die."""
    return reply(200, b"[" * levels + b"]" * levels, name="deep")


def huge(size_bytes: int = 33 * 2**20) -> Fault:
    """Answer 200 with a body of that size."""
    return reply(200, b'{"padding":"' + b"x" * size_bytes + b'"}', name="huge")


def bomb(size_bytes: int = 64 * 2**20) -> Fault:
    """Answer 200 with a small body that unpacks to that size."""
    packed = _packed_spaces(size_bytes)
    return reply(200, packed, headers={"content-encoding": "gzip"}, name="bomb")


@functools.lru_cache(maxsize=2)
def _packed_spaces(size_bytes: int) -> bytes:
    packer = zlib.compressobj(wbits=31)
    block = b" " * 2**20
    parts = [packer.compress(block) for _ in range(size_bytes // len(block))]
    return b"".join([*parts, packer.flush()])


# ------------------------------------------------------------- the answer, spoilt


def no_usage() -> Fault:
    """Leave the usage out."""
    return Bend(name="no_usage", billed=True, has_usage=False)


def no_choices() -> Fault:
    """Answer with an empty list of choices."""
    return Bend(name="no_choices", billed=True, has_choices=False)


def no_content() -> Fault:
    """Answer with a message whose content is null."""
    return Bend(name="no_content", billed=True, has_content=False)


def content_filter() -> Fault:
    """Withhold the answer as the provider's content filter does."""
    return Bend(
        name="content_filter", billed=True, finish_reason="content_filter", has_content=False
    )


def refusal(text: str = "I cannot help with that.") -> Fault:
    """Let the model refuse, in the field made for it."""
    return Bend(name="refusal", billed=True, refusal=text, has_content=False)


def truncated() -> Fault:
    """Say that the answer was cut at the token limit."""
    return Bend(name="truncated", billed=True, finish_reason="length")


def slow(seconds: float) -> Fault:
    """Answer well, but only after so many seconds."""
    return Bend(name="slow", billed=True, delay=seconds)


def truncated_gzip() -> Fault:
    """Compress the answer and leave out the end of it."""
    return Garble(name="truncated_gzip", billed=True, how="half gzip")


def truncated_json() -> Fault:
    """Send half of the answer as if it were all of it."""
    return Garble(name="truncated_json", billed=True, how="half json")


def awkward_stream() -> Fault:
    """Send a right answer the hard way: CRLF, comments, names of events, byte by byte.

    Not streamed, it is an ordinary answer.
    """
    return Garble(name="awkward_stream", billed=True, how="awkward stream")


def drip(seconds_per_byte: float = 10.0) -> Fault:
    """Send the answer one byte at a time."""
    return Drip(name="drip", billed=True, seconds_per_byte=seconds_per_byte)


# ------------------------------------------------------------------ the line is cut


def reset(at: BreakPoint = "before", *, after: int | None = None) -> Fault:
    """Reset the connection; before the reply began nothing is billed."""
    return Break(name=f"reset_{at}", at=at, after=after, billed=at != "before")


def lost_reply() -> Fault:
    """Do the work, bill it, and reset the connection before the reply's first byte."""
    return Break(name="lost_reply", at="before", billed=True)


def closed() -> Fault:
    """Close the connection without a word, as a server does with one kept alive too long."""
    return Break(name="closed", at="before", then="close")


def short_body() -> Fault:
    """Close the connection before the body is as long as its header says."""
    return Break(name="short_body", at="body", then="close", billed=True)


def stall(at: BreakPoint = "before", *, after: int | None = None) -> Fault:
    """Fall silent for ever; the request ends when the client leaves."""
    return Break(name=f"stall_{at}", at=at, after=after, then="stall", billed=True)


def cut_stream(after: int | None = None) -> Fault:
    """End a stream properly as HTTP, but without its finish marker.

    Not streamed, the body comes short.
    """
    return Break(name="cut_stream", at="body", after=after, then="end", billed=True)


def stream_error(after: int | None = None) -> Fault:
    """End a stream with an error event in place of the rest."""
    return Break(name="stream_error", at="body", after=after, then="error", billed=True)


def broken_chunk() -> Fault:
    """Send a chunked body whose chunk is not what its length says."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n"
    return raw(head + b'x-llmnb-simulated: 1\r\n\r\n10\r\n{"id":"x"}\r\nzz\r\n').but(
        name="broken_chunk"
    )


def raw(data: bytes, then: Literal["close", "reset", "stall"] = "close") -> Fault:
    """Put literal bytes on the socket, then close it, reset it or keep silent."""
    return Raw(name="raw", data=data, then=then, billed=True)


NAMED: Mapping[str, Callable[[], Fault]] = {
    made.__name__: made
    for made in (
        rate_limited, quota, context_overflow, echo_key, html, empty, null, array, garbage,
        error_in_200, deep, huge, bomb, no_usage, no_choices, no_content, content_filter, refusal,
        truncated, truncated_gzip, truncated_json, awkward_stream, drip, reset, lost_reply, closed,
        short_body, stall, cut_stream, stream_error, broken_chunk,
    )
}  # fmt: skip
"""Faults that need no argument, by the name that stands for them in a script."""


def as_fault(value: FaultLike) -> Fault | None:
    """Return the fault that a status code or a name stands for.

    Raises:
        ConfigurationError: If it stands for none; the message lists the names.

    Example:
        >>> as_fault(503).name, as_fault("html").name, as_fault(None)
        ('503', 'html', None)
    """
    if value is None or isinstance(value, Fault):
        return value
    if isinstance(value, str) and value in NAMED:
        return NAMED[value]()
    if isinstance(value, int) and 300 <= value <= 599:
        return status(value)
    raise ConfigurationError(
        f"{value!r} stands for no fault. Give a status code from 300 to 599, a Fault, None, "
        f"or one of: {', '.join(sorted(NAMED))}."
    )
