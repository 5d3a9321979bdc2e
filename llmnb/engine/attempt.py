"""One request: sent, read, judged, settled, whatever happens to it; and how far saving lags."""

from __future__ import annotations

import dataclasses
import functools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from llmnb.engine.gate import Gate
from llmnb.engine.lanes import Ticket
from llmnb.engine.target import Call, OnDelta
from llmnb.errors import (
    BadReply,
    FlowControl,
    LLMNBError,
    MaybeBilled,
    ProviderError,
    Unsent,
)
from llmnb.records import RawReply, Reply
from llmnb.wire.dialect import tier_in


class Backlog:
    """Counts the answers of one run that were read and are not on the disk yet.

    While there are `most` of them, a request that has been answered keeps its slot, so nothing
    new is bought. A process that is killed at any moment then loses at most its requests in
    flight and `most` answers, however slow the disk is.

    Args:
        most: Answers that may be on their way before slots are kept.

    Example:
        >>> backlog = Backlog(most=1)
        >>> backlog.enter()
        >>> if backlog.is_full:
        ...     backlog.release_later(lambda: print("a slot is free"))
        >>> backlog.leave()
        a slot is free
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._count = 0
        self._waiting: deque[Callable[[], None]] = deque()

    @property
    def is_full(self) -> bool:
        """Whether an answered request keeps its slot for now."""
        return self._count >= self.most

    def release_later(self, release: Callable[[], None]) -> None:
        """Call `release`, which gives an answered request's slot back, once there is room."""
        self._waiting.append(release)

    def enter(self) -> None:
        """Count an answer that is handed to the store."""
        self._count += 1

    def leave(self) -> None:
        """Count one that is saved, or cannot be."""
        self._count -= 1
        while self._waiting and len(self._waiting) > max(0, self._count - self.most):
            self._waiting.popleft()()


@dataclass(slots=True, eq=False)
class ReceivedReply:
    """A reply that has come and was read."""

    call: Call
    raw: RawReply
    reply: Reply


Result = ReceivedReply | LLMNBError
"""What a request came to."""


@dataclass(slots=True, eq=False)
class Attempt:
    """One request; `send` sends it once it is admitted, and settles its slot in every case.

    Args:
        call: What to ask.
        gate: Where it is admitted.
        backlog: Answers on their way to the disk: while they are many, slots are kept.
    """

    call: Call
    gate: Gate
    backlog: Backlog
    ticket: Ticket = field(init=False)

    async def send(self, ticket: Ticket, on_delta: OnDelta | None) -> Result:
        """Return what was read, or the error that came instead.

        Args:
            ticket: With what it was admitted.
            on_delta: Gets the pieces of the answer; None asks for it in one piece.
        """
        self.ticket = ticket
        target, gate = self.call.target, self.gate
        began = gate.clock()
        used, was_sent = ticket.reserved, True
        try:
            raw = await target.send(self.call, on_delta=on_delta)
            gate.health.has_answered = True
            error = target.judge(raw)
            gate.account.on_reply(target.announced(raw), ticket, gate.clock(), error)
            if error is not None:
                used = 0.0
                return self.report(error)
            reply = target.read(raw.body)
            if self.call.verify is not None:
                reply = self.call.verify(reply)
            usage = reply.usage
            if usage is not None and usage.tier is None and (tier := tier_in(self.call.body)):
                # A reply that names no service tier is of the one that was asked for.
                reply.usage = usage = dataclasses.replace(usage, tier=tier)
            used = target.used(ticket.reserved, usage)
            gate.on_success(ticket, gate.clock() - began)
            return ReceivedReply(self.call, raw, reply)
        except LLMNBError as error:
            if isinstance(error, Unsent):
                used, was_sent = 0.0, False
            return self.report(error)
        finally:
            if self.backlog.is_full:
                release = functools.partial(gate.release, ticket, used=used, was_sent=was_sent)
                self.backlog.release_later(release)
            else:
                gate.release(ticket, used=used, was_sent=was_sent)

    def report(self, error: LLMNBError) -> LLMNBError:
        """Report to the gate what came instead of an answer; return it."""
        if isinstance(error, FlowControl):
            self.gate.on_refusal(self.ticket)
        elif isinstance(error, (ProviderError, Unsent, MaybeBilled)):
            self.gate.on_failure(self.ticket, error)
        elif not isinstance(error, BadReply) and self.gate.health.breaker.is_troubled:
            # It refuses this request or this account, but it is there.
            self.gate.health.on_alive(self.ticket, self.gate.clock())
        return error
