"""One request: sent, read, judged, settled, whatever happens to it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass

from llmnb.engine.backlog import Backlog
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
from llmnb.records import Delta, RawReply, Reply
from llmnb.store.entry import Entry
from llmnb.wire.dialect import tier_in


@dataclass(slots=True, eq=False)
class Answered:
    """A reply that was read."""

    call: Call
    raw: RawReply
    reply: Reply
    gate: Gate | None = None

    @classmethod
    def before(cls, call: Call, entry: Entry, reply: Reply) -> Answered:
        """Return a stored answer as if it had just come."""
        return cls(call, RawReply(status=200, headers={}, body=entry.raw), reply)


class Attempt:
    """One admitted request; `send` sends it and settles its place in every case.

    Args:
        call: What to ask.
        gate: Where it was admitted.
        ticket: With what.
        backlog: Answers on their way to the disk: while they are many, places are kept.
        on_delta: Gets the pieces of the answer; None asks for it in one piece.
    """

    __slots__ = (
        "backlog",
        "began",
        "call",
        "first_token",
        "gate",
        "is_sent",
        "on_delta",
        "on_error",
        "on_first",
        "ticket",
    )

    def __init__(
        self,
        call: Call,
        gate: Gate,
        ticket: Ticket,
        backlog: Backlog,
        *,
        on_delta: OnDelta | None = None,
    ) -> None:
        self.call = call
        self.gate = gate
        self.ticket = ticket
        self.backlog = backlog
        self.is_sent = True
        self.on_delta = on_delta
        self.on_first: Callable[[], bool] | None = None
        """Asked with each piece whether this request is the one that is kept."""

        self.on_error: Callable[[LLMNBError], None] | None = None
        """Given what came instead of an answer before the slot goes to the next request."""

        self.began = gate.clock()
        self.first_token: float | None = None
        """Seconds from sending to the first token."""

    async def send(self) -> Answered | LLMNBError:
        """Return what was read, or the error that came instead."""
        target, gate, ticket = self.call.target, self.gate, self.ticket
        used, was_sent = ticket.reserved, True
        try:
            raw = await target.send(self.call, on_delta=self._on_delta if self.on_delta else None)
            gate.health.has_answered = True
            error = target.judge(raw)
            gate.account.on_reply(target.announced(raw), ticket, gate.clock(), error)
            if error is not None:
                used = 0.0
                return self._failed(error)
            reply = target.read(raw.body)
            if self.call.verify is not None:
                reply = self.call.verify(reply)
            _note_the_tier(reply, self.call)
            used = target.used(ticket.reserved, reply.usage)
            gate.on_success(ticket, gate.clock() - self.began)
            return Answered(self.call, raw, reply, gate)
        except Unsent as error:
            used, was_sent = 0.0, False
            return self._failed(error)
        except LLMNBError as error:
            return self._failed(error)
        finally:
            if self.backlog.is_full:
                release = functools.partial(gate.release, ticket, used=used, was_sent=was_sent)
                self.backlog.release_later(release)
            else:
                gate.release(ticket, used=used, was_sent=was_sent)

    def _failed(self, error: LLMNBError) -> LLMNBError:
        """Tell the gate how it went."""
        if isinstance(error, FlowControl):
            self.gate.on_refusal(self.ticket)
        elif isinstance(error, (ProviderError, Unsent, MaybeBilled)):
            self.gate.on_failure(self.ticket, error)
        elif not isinstance(error, BadReply) and self.gate.health.breaker.is_troubled:
            # It refuses this request or this account, but it is there.
            self.gate.on_alive(self.ticket)
        if self.on_error is not None:
            self.on_error(error)
        return error

    def _on_delta(self, delta: Delta) -> None:
        if self.first_token is None:
            self.first_token = self.gate.clock() - self.began
        is_kept = self.on_first is None or self.on_first()
        if is_kept and self.on_delta is not None:
            self.on_delta(delta)


class Rival(Attempt):
    """A redundant request: it takes the next free place, and may be dropped before it has one.

    Args:
        call: What to ask.
        gate: Where it is to be admitted.
        run: Whose request it is.
        backlog: Answers on their way to the disk: while they are many, places are kept.
        check: Asked when it has a place; raises what forbids to send it.
        on_sent: Told when it is sent.
        on_delta: Gets the pieces of the answer.
    """

    __slots__ = ("_check", "_on_sent", "_run")

    def __init__(
        self,
        call: Call,
        gate: Gate,
        run: object,
        backlog: Backlog,
        *,
        check: Callable[[], None],
        on_sent: Callable[[], None],
        on_delta: OnDelta | None,
    ) -> None:
        super().__init__(call, gate, Ticket(call.target.charge(call)), backlog, on_delta=on_delta)
        self.is_sent = False
        self._check = check
        self._on_sent = on_sent
        self._run = run

    async def send(self) -> Answered | LLMNBError:
        """Wait for a place before all of its run who wait for theirs, then send."""
        try:
            self.ticket = await self.gate.admit(
                self.ticket.reserved, run=self._run, is_first=True, row=self.call.key
            )
        except LLMNBError as error:
            return error
        try:
            self._check()
        except LLMNBError as error:
            self.gate.release(self.ticket, used=0.0, was_sent=False)
            return error
        self.is_sent = True
        self.began = self.gate.clock()
        self._on_sent()
        return await super().send()


def _note_the_tier(reply: Reply, call: Call) -> None:
    """Count a reply that names no service tier as one of the tier that was asked for."""
    usage = reply.usage
    if usage is not None and usage.tier is None and (asked := tier_in(call.body)) is not None:
        reply.usage = dataclasses.replace(usage, tier=asked)
