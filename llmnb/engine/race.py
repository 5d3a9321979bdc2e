"""Several requests for one row: the one that sends the first token is kept, the others dropped.

Source: J. Dean and L. A. Barroso, *The Tail at Scale*, Communications of the
ACM 56 (2013): a second request after the usual time of the first cuts the tail
for a few per cent more load. Here it goes by the first token, because the time
of a whole answer follows its length.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from llmnb.engine import cost_events
from llmnb.engine.attempt import Attempt, ReceivedReply
from llmnb.engine.gate import Gate
from llmnb.engine.lanes import Ticket
from llmnb.engine.run_context import RunContext
from llmnb.engine.target import Call, OnDelta
from llmnb.errors import LLMNBError

Result = ReceivedReply | LLMNBError


class Race:
    """One row's requests while more than one may be on their way.

    A redundant request is sent to hedge a late one, and at half of the row's time limit one goes
    to each further model; each happens once a row.

    Args:
        context: The run.
        check: Raises what forbids to send a call.
        on_sent: Called when a redundant request is about to be sent.
        on_error: Called with an attempt's error before its slot goes to the next request.
        on_delta: Returns what gets the pieces of the request that is sent next.
    """

    def __init__(
        self,
        context: RunContext,
        *,
        check: Callable[[Call], None],
        on_sent: Callable[[], None],
        on_error: Callable[[Attempt, LLMNBError], None],
        on_delta: Callable[[], OnDelta | None],
    ) -> None:
        self.context = context
        self.check = check
        self.on_sent = on_sent
        self._on_error = on_error
        self._on_delta = on_delta
        self._wakeup = asyncio.Event()
        self._leader: Attempt | None = None
        self._running: dict[asyncio.Task[Result], Attempt] = {}
        self._has_hedge = False
        self._has_asked_all = False
        self._reserved = 0.0
        """Dollars of the budget that redundant requests may cost at most."""

    async def run(self, first: Attempt, others: Sequence[Call], started: float) -> Result:
        """Send a request and further ones where it is late; return the kept one's result.

        The first error where all have failed.

        Args:
            first: The request that was to be sent anyway.
            others: The row's calls to further targets, in order; perhaps none.
            started: When the row's first request was sent, by the gates' clock.
        """
        limit, clock = self.context.options.time_limit, first.gate.clock
        half_time = None if limit is None else started + limit / 2
        failed: list[tuple[LLMNBError, Call]] = []
        sent_at = clock()
        self._leader, self._running = None, {}
        self._begin(first)
        try:
            while True:
                failed += self._take_failed()
                if (task := self._winner()) is not None:
                    await self._drop_all_but(task)
                    result = await task
                    self._charge(failed)
                    if isinstance(result, ReceivedReply) and self.context.hedger is not None:
                        seconds = self._first_token_at(clock()) - sent_at
                        self.context.hedger.on_first_token(seconds)
                    return result
                if not self._running:
                    self._charge(failed[1:])
                    return failed[0][0]
                self._wakeup.clear()
                try:
                    async with asyncio.timeout(
                        self._seconds_to_rivals(first.gate, sent_at, half_time)
                    ):
                        await self._wakeup.wait()
                except TimeoutError:
                    is_half_time = half_time is not None and clock() >= half_time
                    self._send_rivals(others or [first.call], is_half_time=is_half_time)
        except asyncio.CancelledError:
            await self._drop_all_but(None)
            raise
        finally:
            if self._reserved:
                self._settle(reserved=self._reserved)
                self._reserved = 0.0

    def _first_token_at(self, now: float) -> float:
        """Return when the first token came, by the gates' clock; now where none was seen."""
        leader = self._leader
        if leader is None or leader.first_token is None:
            return now
        return leader.began + leader.first_token

    def _begin(self, attempt: Attempt) -> None:
        attempt.on_first = functools.partial(self._lead, attempt)
        # An attempt that races is a task of its own: others are let in before its row goes on.
        attempt.on_error = functools.partial(self._on_error, attempt)
        task = asyncio.get_running_loop().create_task(attempt.send())
        task.add_done_callback(lambda _: self._wakeup.set())
        self._running[task] = attempt

    def _lead(self, attempt: Attempt) -> bool:
        """Let an attempt lead if none does; return whether it is the one that leads."""
        if self._leader is None:
            self._leader = attempt
            self._wakeup.set()
        return self._leader is attempt

    def _take_failed(self) -> list[tuple[LLMNBError, Call]]:
        """Return error and call of those that failed without ever leading, and drop them."""
        failed = []
        for task, attempt in list(self._running.items()):
            if task.done() and attempt is not self._leader:
                result = task.result()
                if isinstance(result, LLMNBError):
                    failed.append((result, attempt.call))
                    del self._running[task]
        return failed

    def _winner(self) -> asyncio.Task[Result] | None:
        for task, attempt in self._running.items():
            if attempt is self._leader or (self._leader is None and task.done()):
                return task
        return None

    # ------------------------------------------------------------------ redundant requests

    def _seconds_to_rivals(
        self, gate: Gate, sent_at: float, half_time: float | None
    ) -> float | None:
        """Return the seconds until redundant requests should go; None for never."""
        hedger, now = self.context.hedger, gate.clock()
        moments = []
        if half_time is not None and not self._has_asked_all:
            moments.append(half_time)
        if hedger is not None and not self._has_hedge:
            delay = hedger.delay(now, gate.is_throttled(self.context), now - sent_at)
            if delay is not None:
                moments.append(sent_at + delay)
        return max(0.0, min(moments) - now) if moments else None

    def _send_rivals(self, calls: Sequence[Call], *, is_half_time: bool) -> None:
        """Send redundant requests: one to hedge, or at half time one to every further model."""
        context, hedger = self.context, self.context.hedger
        if is_half_time and not self._has_asked_all:
            self._has_asked_all = True
        elif hedger is not None and not self._has_hedge and hedger.may_spend():
            self._has_hedge = True
            calls = calls[:1]
        else:
            return
        for call in calls:
            gate = context.gate_of(call)
            is_open = not context.why_disabled(call.target.pool) and not gate.is_throttled(context)
            if is_open and self._can_afford(call):
                ticket = Ticket(call.target.charge(call))
                rival = _Rival(call, gate, ticket, context.backlog, self._on_delta(), self)
                self._begin(rival)

    def _can_afford(self, call: Call) -> bool:
        """Reserve what a redundant request may cost; return whether the budget has room for it."""
        budget = self.context.options.budget
        if budget is None:
            return True
        most = call.target.highest_price(call)
        if most is None or not budget.try_reserve(most):
            return False
        self._reserved += most
        return True

    def _charge(self, failed: Sequence[tuple[LLMNBError, Call]]) -> None:
        """Count failed requests that may be billed, beside the one whose result is returned."""
        for error, call in failed:
            if error.details.maybe_billed:
                self._settle(spent=call.target.highest_price(call) or 0.0)

    def _settle(self, *, reserved: float = 0.0, spent: float = 0.0) -> None:
        if self.context.options.budget is not None:
            self.context.options.budget.settle(reserved=reserved, spent=spent)

    async def _drop_all_but(self, kept: asyncio.Task[Result] | None) -> None:
        """Cancel and await the others, so that their slots are settled."""
        others = [task for task in self._running if task is not kept]
        for task in others:
            if not task.done():
                task.cancel()
                if self._running[task].is_sent:
                    self._count_dropped(self._running[task].call)
        if others:
            await asyncio.gather(*others, return_exceptions=True)
        for task in others:
            del self._running[task]

    def _count_dropped(self, call: Call) -> None:
        """Account for a request that was cancelled because another one came first."""
        target, tracker = call.target, self.context.counters.tracker
        most = target.highest_price(call)
        if cost_events.listeners:
            paid = cost_events.Paid(
                provider=target.provider, model=target.model, usd=most, is_bound=True
            )
            cost_events.publish(paid)
        if most is None:
            tracker.num_unpriced += 1
            return
        tracker.hedge_usd += most
        self._settle(spent=most)


@dataclass(slots=True, eq=False)
class _Rival(Attempt):
    """A redundant request: it takes the next free slot, and may be dropped before it has one."""

    race: Race
    is_sent: bool = field(default=False, init=False)

    async def send(self) -> Result:
        """Wait for a slot before all of its run who wait for theirs, then send."""
        try:
            self.ticket = await self.gate.admit(
                self.ticket.reserved, run=self.race.context, is_first=True, row=self.call.key
            )
        except LLMNBError as error:
            return error
        try:
            self.race.check(self.call)
        except LLMNBError as error:
            self.gate.release(self.ticket, used=0.0, was_sent=False)
            return error
        self.is_sent = True
        self.race.on_sent()
        return await Attempt.send(self)  # `super` does not know a class with slots
