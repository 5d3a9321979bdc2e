"""Several requests for one row: the one that sends the first token is kept, the others dropped.

Source: J. Dean and L. A. Barroso, *The Tail at Scale*, Communications of the
ACM 56 (2013): a second request after the usual time of the first cuts the tail
for a few per cent more load. Here it goes by the first token, because the time
of a whole answer follows its length.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from llmnb.engine import cost_events, row_errors
from llmnb.engine.attempt import Attempt, ReceivedReply, Result
from llmnb.engine.gate import Gate
from llmnb.engine.lanes import Ticket
from llmnb.engine.request_task import RequestTask
from llmnb.engine.shared import TaskResult
from llmnb.engine.target import Call, OnDelta
from llmnb.errors import AccountError, LLMNBError
from llmnb.records import Delta


@dataclass(slots=True, eq=False)
class RacingTask(RequestTask):
    """A row's request task where more than one request may be on its way.

    A redundant request is sent to hedge a late one, and at half of the row's time limit one goes
    to each further model; each happens once a row.
    """

    _wakeup: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _leader: _Racer | None = field(default=None, init=False)
    """The one whose first token has come."""

    _running: dict[asyncio.Task[Result], _Racer] = field(default_factory=dict, init=False)
    _has_hedge: bool = field(default=False, init=False)
    _has_asked_all: bool = field(default=False, init=False)
    _reserved: float = field(default=0.0, init=False)
    """Dollars of the budget that redundant requests may cost at most."""

    _deadline: asyncio.TimerHandle | None = field(default=None, init=False)
    _is_late: bool = field(default=False, init=False)

    async def ask(self) -> TaskResult:
        """Ask until there is a result, or the row's time is over."""
        try:
            return await RequestTask.ask(self)  # `super` does not know a class with slots
        finally:
            if self._deadline is not None:
                self._deadline.cancel()

    def count_request(self) -> None:
        """Count a request that is about to be sent; with the first one the row's time begins."""
        RequestTask.count_request(self)
        limit = self.context.options.time_limit
        if limit is not None and self._deadline is None:
            self._deadline = asyncio.get_running_loop().call_later(limit, self._expire)

    def _expire(self) -> None:
        if not self._is_answered and self.task is not None:
            self._is_late = True
            self.task.cancel()

    def stopped_result(self) -> TaskResult:
        """Return the result of a task that was cancelled, by a stop or because its time is over."""
        if not self._is_late:
            return RequestTask.stopped_result(self)
        limit = self.context.options.time_limit or 0.0
        return self._failed_result(row_errors.out_of_time(limit, self._requests))

    async def _dispatch(self, gate: Gate, ticket: Ticket) -> Result:
        """Send a request and further ones where it is late; return the kept one's result.

        The first error where all have failed.
        """
        limit, clock = self.context.options.time_limit, gate.clock
        assert self.started is not None
        half_time = None if limit is None else self.started + limit / 2
        others = [call for call in self.left if call is not self.call] or [self.call]
        failed: list[tuple[LLMNBError, Call]] = []
        sent_at = clock()
        self._begin(self.call, gate, ticket)
        try:
            while True:
                failed += self._take_failed()
                if (task := self._winner()) is not None:
                    await self._drop_all_but(task)
                    result = await task
                    self._charge(failed)
                    if isinstance(result, ReceivedReply):
                        self.call = result.call
                        if self.context.hedger is not None:
                            leader = self._leader
                            first_token = None if leader is None else leader.first_token
                            self.context.hedger.on_first_token((first_token or clock()) - sent_at)
                    return result
                if not self._running:
                    self._charge(failed[1:])
                    return failed[0][0]
                self._wakeup.clear()
                try:
                    async with asyncio.timeout(self._seconds_to_rivals(gate, sent_at, half_time)):
                        await self._wakeup.wait()
                except TimeoutError:
                    is_half_time = half_time is not None and clock() >= half_time
                    self._send_rivals(others, is_half_time=is_half_time)
        except asyncio.CancelledError:
            await self._drop_all_but(None)
            raise
        finally:
            if self._reserved:
                self._settle(reserved=self._reserved)
                self._reserved = 0.0
            self._leader, self._running = None, {}  # circles, and the collector is slow meanwhile

    def _begin(self, call: Call, gate: Gate, ticket: Ticket | None) -> None:
        """Let a request run; a task of its own: others are let in before its row goes on."""
        racer = _Racer(call, gate, self.context.backlog, self, self.next_on_delta())
        task = asyncio.get_running_loop().create_task(racer.run(ticket))
        task.add_done_callback(lambda _: self._wakeup.set())
        self._running[task] = racer

    def leads(self, racer: _Racer) -> bool:
        """Let a request lead if none does; return whether it is the one that leads."""
        if self._leader is None:
            self._leader = racer
            self._wakeup.set()
        return self._leader is racer

    def _take_failed(self) -> list[tuple[LLMNBError, Call]]:
        """Return error and call of those that failed without ever leading, and drop them."""
        failed = []
        for task, racer in list(self._running.items()):
            if task.done() and racer is not self._leader:
                result = task.result()
                if isinstance(result, LLMNBError):
                    failed.append((result, racer.call))
                    del self._running[task]
        return failed

    def _winner(self) -> asyncio.Task[Result] | None:
        for task, racer in self._running.items():
            if racer is self._leader or (self._leader is None and task.done()):
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
                self._begin(call, gate, None)

    def count_hedge(self) -> None:
        """Count a redundant request that is about to be sent."""
        self.count_request()
        self.is_hedged = True
        self.context.counters.tracker.num_hedged += 1
        if self.context.hedger is not None:
            self.context.hedger.on_hedged()

    def disable_target(self, call: Call, gate: Gate, error: LLMNBError) -> None:
        """Send nothing more where a refusal means that all others would get the same."""
        if isinstance(error, AccountError):
            self.context.disable(call.target.pool, error)
        elif self._is_too_long(error):
            final = self._final_error(error, gate, is_parked=False)
            self.context.disable(call.target.pool, final)

    # ------------------------------------------------------------------------------ dollars

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
class _Racer(Attempt):
    """One of a row's requests; a redundant one waits for the next free slot before it is sent."""

    task: RacingTask
    on_delta: OnDelta
    is_sent: bool = field(default=False, init=False)
    first_token: float | None = field(default=None, init=False)
    """When the first token came, by the gates' clock."""

    async def run(self, ticket: Ticket | None) -> Result:
        """Send the request, a redundant one before all of its run who wait for a slot.

        Args:
            ticket: With what it was admitted; None: it is redundant, and waits for a slot.
        """
        if ticket is None:
            gate, tokens = self.gate, self.call.target.charge(self.call)
            try:
                ticket = await gate.admit(
                    tokens, run=self.task.context, is_first=True, row=self.call.key
                )
            except LLMNBError as error:
                return error
            if (disabled := self.task.disabled_error(self.call)) is not None:
                gate.release(ticket, used=0.0, was_sent=False)
                return disabled
            self.task.count_hedge()
        self.is_sent = True
        return await self.send(ticket, self._take)

    def _take(self, delta: Delta) -> None:
        if self.first_token is None:
            self.first_token = self.gate.clock()
        if self.task.leads(self):
            self.on_delta(delta)

    def report(self, error: LLMNBError) -> LLMNBError:
        """Report what came to the gate and to the run, before the slot goes to the next."""
        Attempt.report(self, error)
        self.task.disable_target(self.call, self.gate, error)
        return error
