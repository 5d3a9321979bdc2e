"""The plan of a reply, which the request handler makes and the server carries out.

A reply that is streamed stands in it as its events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from llmnb.testing.answers import WholeAnswer
from llmnb.testing.faults import Fault
from llmnb.testing.ledger import End, LedgerRow
from llmnb.testing.request import SimulatedRequest

JSON = "application/json"


class Headers(Protocol):
    """Headers of a request; names are asked for in lower case."""

    def get(self, name: str, default: str, /) -> str:
        """Return a header's value."""


@dataclass(slots=True, eq=False, kw_only=True)
class ReplyPlan:
    """What the server is to do about one request."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    """Seconds until the first byte."""

    stream: Stream | None = None
    """The body as events, where a stream was asked for."""

    pace: float | None = None
    """Tokens a second after the first; None sends the rest of a stream at once."""

    fault: Fault | None = None
    """What is to go wrong on the way; None where the reply is sent as it is."""

    end: End = "finished"
    """How the request ends, if nothing else happens."""

    row: LedgerRow | None = None
    """Its row in the ledger; None for what is not entered there."""

    request: SimulatedRequest | None = None
    answer: WholeAnswer | None = None
    is_billed: bool = False
    """Whether the provider charges for it."""

    fault_name: str | None = None
    """What the ledger calls the fault that was scripted for the request."""

    was_admitted: bool = False
    """Whether it answers a request that key and limits let in."""

    has_begun: bool = False
    """Whether the status has left; the server says so."""

    sent_tokens: int = 0
    """Output tokens that have left so far; the server counts them."""


# --------------------------------------------------------------------------------- events

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

    def whole(self) -> bytes:
        """Return all events, one after the other."""
        return b"".join((self.opening, *self.token_events, self.closing))


class StreamWriter:
    """Builds a stream, event by event.

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
        self._waiting: list[bytes] = []

    def add(self, data: bytes) -> None:
        """Add what is no token; it leaves with the token that follows."""
        self._waiting.append(data)

    def token(self, data: bytes) -> None:
        """Add a token's event."""
        before = b"".join(self._waiting)
        self._waiting.clear()
        if self._opening is None:
            self._opening, before = before, b""
        self._token_events.append(before + data)

    def finish(self, *, error: bytes) -> Stream:
        """Return the whole stream; what was added after the last token ends it."""
        rest = b"".join(self._waiting)
        return Stream(self._opening or b"", tuple(self._token_events), rest, error)


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
