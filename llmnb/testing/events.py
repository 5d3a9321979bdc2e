"""A reply as server-sent events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

DONE = b"data: [DONE]\n\n"
"""The finish marker of OpenAI's streams."""

EVENTS = "text/event-stream; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Stream:
    """A reply as the events of a stream."""

    opening: bytes
    """What comes before the first token; empty where nothing does."""

    token_events: tuple[bytes, ...]
    """One token's event each."""

    closing: bytes
    """What follows the last token, finish marker included."""

    error: bytes
    """What comes in place of the rest where a scripted error strikes."""

    content_type: str = EVENTS

    def whole(self) -> bytes:
        """Return all events, one after the other."""
        return b"".join((self.opening, *self.token_events, self.closing))


class StreamWriter:
    """Builds a stream in the order in which it is told.

    Example:
        >>> writer = StreamWriter()
        >>> writer.add(b"a")
        >>> writer.token(b"b")
        >>> writer.add(b"c")
        >>> writer.finish(error=b"!").token_events
        (b'b',)
    """

    def __init__(self) -> None:
        self._opening: bytes | None = None
        self._token_events: list[bytes] = []
        self._said: list[bytes] = []

    def add(self, data: bytes) -> None:
        """Add what is no token; it leaves with the token that follows."""
        self._said.append(data)

    def token(self, data: bytes) -> None:
        """Add a token's event."""
        before = b"".join(self._said)
        self._said.clear()
        if self._opening is None:
            self._opening, before = before, b""
        self._token_events.append(before + data)

    def finish(self, *, error: bytes, content_type: str = EVENTS) -> Stream:
        """Return the whole stream; what was said after the last token ends it."""
        rest = b"".join(self._said)
        return Stream(self._opening or b"", tuple(self._token_events), rest, error, content_type)


def event(data: Mapping[str, Any]) -> bytes:
    """Return one event that carries JSON.

    Example:
        >>> event({"a": 1}).strip()
        b'data: {"a":1}'
    """
    return b"data: " + orjson.dumps(data) + b"\n\n"


def named_event(data: Mapping[str, Any]) -> bytes:
    r"""Return one event that carries JSON and is called as its type is.

    Example:
        >>> named_event({"type": "ping"}).strip()
        b'event: ping\ndata: {"type":"ping"}'
    """
    return f"event: {data['type']}\n".encode() + event(data)


def made_awkward(stream: bytes) -> bytes:
    """Write the same events as no careful server would, and as every client must read.

    Example:
        >>> made_awkward(DONE).splitlines()[-3:]
        [b'event: message', b'data: [DONE]', b'']
    """
    events = [
        # Those that have a name of their own keep it.
        b"event: message\n" + each if each.startswith(b"data: ") else each
        for each in stream.split(b"\n\n")
    ]
    lines = b"\n\n".join(events).replace(b"\n", b"\r\n")
    return b": a comment\r\n\r\nretry: 10\r\n\r\n" + lines
