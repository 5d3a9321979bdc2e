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


def key_of(headers: Headers) -> str:
    """Return the key in whichever header providers take it; empty without one."""
    return (
        headers.get("authorization", "").removeprefix("Bearer ")
        or headers.get("api-key", "")
        or headers.get("x-api-key", "")
        or headers.get("x-goog-api-key", "")
    )


@dataclass(slots=True, eq=False, kw_only=True)
class ReplyPlan:
    """What the server is to do about one request."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    """Seconds until the first byte."""

    stream: Stream | None = None
    """The body as events, where a stream was asked for."""

    pace: float | None = None
    """Tokens a second after the first; None sends the rest of a stream at once."""

    fault: Fault | None = None
    """What was scripted for the request; the server sees to a `Break` and a `Sending`."""

    end: End = "finished"
    """How the request ends, if nothing else happens."""

    row: LedgerRow | None = None
    """Its row in the ledger; None for what is not entered there."""

    request: SimulatedRequest | None = None
    answer: WholeAnswer | None = None
    is_billed: bool = False
    """Whether the provider charges for it."""

    was_admitted: bool = False
    """Whether it answers a request that key and limits let in."""

    has_begun: bool = False
    """Whether the status has left; the server says so."""

    sent_tokens: int = 0
    """Output tokens that have left so far; the server counts them."""

    @property
    def completion_tokens(self) -> int:
        """Output tokens of the whole answer."""
        return 0 if self.answer is None else self.answer.completion_tokens


# --------------------------------------------------------------------------------- events

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


def event(data: Mapping[str, Any]) -> bytes:
    r"""Return one event that carries JSON, called as its type is where it has one.

    Example:
        >>> event({"a": 1})
        b'data: {"a":1}\n\n'
        >>> event({"type": "ping"})
        b'event: ping\ndata: {"type":"ping"}\n\n'
    """
    name = f"event: {data['type']}\n".encode() if "type" in data else b""
    return name + b"data: " + orjson.dumps(data) + b"\n\n"
