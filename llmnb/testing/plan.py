"""What is to be done about one request: what the handler decides and a server carries out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from llmnb.testing.answers import Answer
from llmnb.testing.events import Stream
from llmnb.testing.faults import Fault
from llmnb.testing.ledger import End, OpenRow
from llmnb.testing.request import SimulatedRequest

JSON = "application/json"


class Headers(Protocol):
    """Headers of a request; names are asked for in lower case."""

    def get(self, name: str, default: str, /) -> str:
        """Return a header's value."""


@dataclass(slots=True, eq=False, kw_only=True)
class Plan:
    """What a transport is to do about one request."""

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

    row: OpenRow | None = None
    """Its row in the ledger; None for what is not entered there."""

    request: SimulatedRequest | None = None
    answer: Answer | None = None
    is_billed: bool = False
    """Whether the provider charges for it."""

    holds: bool = False
    """Whether it answers a request that was let in, so that the reply may be held back."""

    has_begun: bool = False
    """Whether the status has left; the transport says so."""

    sent_tokens: int = 0
    """Output tokens that have left so far; the transport counts them."""

    @property
    def is_plain(self) -> bool:
        """Whether one whole reply after the delay is all there is to do."""
        return self.stream is None and self.fault is None
