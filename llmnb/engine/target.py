"""What the engine knows of a model: a protocol, nothing of HTTP or of any provider."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from llmnb import bridge
from llmnb.errors import LLMNBError
from llmnb.records import Delta, LimitReport, Limits, RawReply, Reply, Usage


class Target(Protocol):
    """One model at one address under one account."""

    provider: str
    """Catalog name of the provider."""

    model: str
    """Model, as the provider spells it."""

    pool: str
    """Name of what shares limits: address, account and model. Holds no key."""

    dialect_name: str
    """Name of the wire dialect, part of an answer's key."""

    endpoint: str
    """Where it answers, or what answers for an in-process model; part of an answer's key."""

    limits: Limits
    """Limits that belong to the target itself, such as a local model's slots."""

    is_free: bool
    """Whether it runs on the person's own machine and costs nothing."""

    async def send(self, call: Call, *, on_delta: OnDelta | None) -> RawReply:
        """Send one request and read its reply whole, whatever its status.

        Args:
            call: What to ask.
            on_delta: Gets the pieces of the answer as they come; None asks for it in one piece.
        """

    def judge(self, raw: RawReply) -> LLMNBError | None:
        """Return the typed error that a reply means, or None for a good status."""

    def read(self, raw: bytes) -> Reply:
        """Read a good reply. Raises `BadReply`."""

    def announced(self, raw: RawReply) -> tuple[LimitReport, ...]:
        """Return how the limits stand, as a reply's headers tell it; empty where they do not."""

    def charge(self, call: Call) -> float:
        """Return the tokens that the provider's limit counts before it has answered."""

    def used(self, reserved: float, usage: Usage | None) -> float:
        """Return the tokens that the provider's limit counts once it has answered."""

    def price(self, usage: Usage | None, model: str | None) -> float | None:
        """Return dollars, None when unknown."""

    def highest_price(self, call: Call) -> float | None:
        """Return what a request may cost at most, as far as that is known; else None."""

    def fits(self, call: Call) -> bool:
        """Whether the prompt fits the model's context, as far as is known."""


@dataclass(slots=True, eq=False)
class Call:
    """One thing to ask of one target, ready to be sent."""

    target: Target
    body: Mapping[str, Any]
    """Request body as the wire gets it."""

    canonical: bytes
    """The part of the body that decides the answer."""

    wire: bytes
    """Bytes to send."""

    key: str
    """Key of the answer in the store."""

    verify: Verify | None = None
    """Refuses a reply that can be read and is no answer to this call."""

    check: Check | None = None
    """Makes a value of a structured answer, or says why that cannot be done."""

    checks_in_thread: bool = False
    """Whether `check` runs code that is not ours, which may block."""

    repair: Repair | None = None
    """Makes the one further call that may mend an answer which does not fit."""

    async def value_of(self, reply: Reply) -> Any:
        """Return the value that a structured answer holds. Raises `SchemaMismatch`."""
        assert self.check is not None
        if self.checks_in_thread:
            return await bridge.in_thread(self.check, reply)
        return self.check(reply)


@dataclass(slots=True, eq=False)
class Row:
    """One input, prepared by the door that took it."""

    call: Call | None
    """None where the input never became a request."""

    error: LLMNBError | None = None
    """Why it did not."""

    metadata: Any = None
    tag: Any = None

    further: tuple[Call, ...] = ()
    """The same question to the models to fall back to, in order."""


OnDelta = Callable[[Delta], None]
"""Called on the loop thread with each piece of an answer."""

Verify = Callable[[Reply], Reply]
"""Returns the reply. Raises `BadReply`."""

Check = Callable[[Reply], Any]
"""Returns the value that a reply holds. Raises `SchemaMismatch`."""

Repair = Callable[[Reply, LLMNBError], Call]
"""Returns the call that asks for a mended answer."""

Prepare = Callable[[Any, int], Row]
"""How a door turns its n-th input into a row; it must not raise for bad input."""
