"""A reply as server-sent events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

DONE = b"data: [DONE]\n\n"
"""The finish marker of OpenAI's streams."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A reply as the events of a stream."""

    opening: bytes
    """What comes before the first token; empty where nothing does."""

    pieces: tuple[bytes, ...]
    """One token's event each."""

    ending: bytes
    """What follows the last token, finish marker included."""

    def whole(self) -> bytes:
        """Return all events, one after the other."""
        return b"".join((self.opening, *self.pieces, self.ending))


def event(data: Mapping[str, Any]) -> bytes:
    """Return one event that carries JSON.

    Example:
        >>> event({"a": 1}).strip()
        b'data: {"a":1}'
    """
    return b"data: " + orjson.dumps(data) + b"\n\n"


def made_awkward(stream: bytes) -> bytes:
    """Write the same events as no careful server would, and as every client must read.

    Example:
        >>> made_awkward(DONE).splitlines()[-3:]
        [b'event: message', b'data: [DONE]', b'']
    """
    lines = stream.replace(b"\n", b"\r\n").replace(b"data: ", b"event: message\r\ndata: ")
    return b": a comment\r\n\r\nretry: 10\r\n\r\n" + lines
