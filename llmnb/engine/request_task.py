"""One row's request task: its targets are asked in turn until there is an answer or an end.

The task waits for its turn, sends, gives its slot back the moment the reply is read, and only
then saves, checks and prices. Whatever happens the reservation is settled. A retry goes to the
target it began with; when that one has nothing more to give, the next in the list is asked.

The methods stand in the order of one request's walk (docs/architecture.md).
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import logging
from collections.abc import Awaitable
from dataclasses import dataclass, field

from llmnb.decide.retry import Tries, next_wait
from llmnb.engine import request_log, row_errors
from llmnb.engine.attempt import Attempt, ReceivedReply, Result
from llmnb.engine.gate import PATIENCE_SECONDS, Blocked, Gate
from llmnb.engine.lanes import Ticket
from llmnb.engine.persistence import save_reply, save_unread, stored_answer
from llmnb.engine.row_claim import NEVER, AnsweredMeanwhile, AskedElsewhere, ClaimedRequest
from llmnb.engine.row_errors import copy_of
from llmnb.engine.shared import StoredAnswer, TaskResult
from llmnb.engine.status import Clock
from llmnb.engine.target import Call, OnDelta
from llmnb.errors import (
    AccountError,
    BadReply,
    BudgetExceeded,
    ConfigurationError,
    FlowControl,
    InputError,
    LLMNBError,
    MaybeBilled,
    ProviderError,
    SchemaMismatch,
    Stopped,
    StoreError,
    TimedOut,
    UnknownEnd,
    Unsent,
    without_money,
)
from llmnb.records import Delta, Outcome, Reply

logger = logging.getLogger("llmnb")

_FINAL = (
    *(Stopped, StoreError, ConfigurationError, InputError, SchemaMismatch, TimedOut),
    UnknownEnd,
)
"""Errors after which no other target is asked."""

_OUTAGE = (ProviderError, Unsent, MaybeBilled)
"""Errors of a target that is not well."""


@dataclass(slots=True, eq=False)
class RequestTask(ClaimedRequest):
    """One row on its way to an answer; `ask` is an asyncio task of its own.

    Args:
        row: Position of the row.
    """

    row: int
    call: Call = field(init=False)
    """What is asked at present."""

    task: asyncio.Task[TaskResult] | None = field(default=None, init=False)
    started: float | None = field(default=None, init=False)
    """When the first request was sent, by the monotonic clock."""

    is_sending: bool = field(default=False, init=False)
    """Whether a request is on its way or its reply is being saved: it will be finished."""

    is_hedged: bool = field(default=False, init=False)
    """Whether redundant requests were sent."""

    _requests: int = field(default=0, init=False)
    """Requests sent, redundant ones among them."""

    _tries: Tries = field(default_factory=Tries, init=False)
    _history: list[str] = field(default_factory=list, init=False)
    _last_error: LLMNBError | None = field(default=None, init=False)
    """The error of the latest request."""

    _may_be_billed: bool = field(default=False, init=False)
    _is_answered: bool = field(default=False, init=False)
    """Whether there is an answer, which no deadline takes away."""

    def __post_init__(self) -> None:
        self.call = self.left[0]
        if self.stored is not None:
            self._misfit = self.stored.entry.raw

    # ------------------------------------------------------------------- the whole task

    async def ask(self) -> TaskResult:
        """Ask until there is a result. Raises nothing but what ends the process."""
        try:
            return await self._ask_targets()
        except LLMNBError as error:
            return self._failed_result(error)
        except AnsweredMeanwhile as answered:
            return TaskResult(None, store=self.context.store, stored=answered.stored)
        except asyncio.CancelledError:
            return self.stopped_result()
        except Exception as error:  # a fault of ours: the row still gets its outcome
            logger.exception("llmnb failed on a row; please report this")
            return self._failed_result(row_errors.unexpected(error))

    def stopped_result(self) -> TaskResult:
        """Return the result of a task that was cancelled."""
        if self.is_sending:
            return self._failed_result(row_errors.dropped_by_stop())
        return self._failed_result(self.disabled_error(self.call) or row_errors.not_asked())

    def _failed_result(self, error: LLMNBError) -> TaskResult:
        self._describe(error)
        outcome = self._outcome(self.call)
        outcome.error, outcome.key = error, self.key
        return TaskResult(outcome, store=self.context.store)

    def _outcome(self, call: Call) -> Outcome:
        """Return an outcome that tells how the row was asked so far, and nothing else."""
        return Outcome(
            row=self.row,
            key=call.key,
            provider=call.target.provider,
            model=call.target.model,
            seconds=None if self.started is None else Clock.monotonic() - self.started,
            attempts=self._requests,
            hedged=self.is_hedged,
        )

    def _describe(self, error: LLMNBError) -> None:
        if error.__suppress_context__:
            # What led to it may quote the reply, a key that was echoed among it, and some
            # picklers send it along.
            error.__context__ = None
        target = self.call.target
        if target.is_free and not self._may_be_billed:
            without_money(error)
        error.with_details(
            provider=error.details.provider or target.provider,
            model=error.details.model or target.model,
            attempts=self._requests,
            history=tuple(self._history),
            maybe_billed=error.details.maybe_billed or self._may_be_billed,
        )

    # ------------------------------------------------------------- one target after another

    async def _ask_targets(self) -> TaskResult:
        """Ask one target after the other until one gives a good answer."""
        while True:
            try:
                result = await self._save(self.stored or await self._ask())
                error = None if result.outcome is None else result.outcome.error
                if error is None or not self._has_another(error):
                    return result
                self._history.append(error.message)
            except LLMNBError as failure:
                if not self._has_another(failure):
                    raise
                error = failure
            if self.context.is_stopped:
                raise row_errors.not_sent_again(error)
            self.stored = None
            self._is_answered = False
            self.context.counters.tracker.num_fallbacks += 1

    def _has_another(self, error: LLMNBError) -> bool:
        """Take the present target off the list; return whether there is another to ask."""
        context, left = self.context, self.left
        if self.call in left:
            left.remove(self.call)
        if isinstance(error, _FINAL) or context.end is not None:
            return False
        return any(call.target.pool not in context.disabled for call in left)

    async def _ask(self) -> ReceivedReply:
        """Ask until there is an answer, or an error that ends it."""
        context = self.context
        self.is_sending = False  # it was until now, where an answer that is not good enough came
        if self._requests:
            self._forget_tries()
        is_first = False
        """Whether it goes before the other rows of its run: it has had its turn before them."""
        while True:
            chosen = self.left[0] if len(self.left) == 1 else self._choose_call()
            if chosen is not self.call:
                self.call = chosen
                self._forget_tries()
            try:
                if context.must_prepare:
                    await context.ready()
                send = self._send if context.options.budget is None else self._send_within_budget
                result, ticket = await send(is_first)
            except Blocked:
                continue
            except AskedElsewhere:
                await self._wait_for_others()
                is_first = True
                continue
            if isinstance(result, ReceivedReply):
                context.resends.on_success()
                return result
            await self._note_failure(result)
            await self._wait_after(result, ticket)
            is_first = True
            context.counters.tracker.num_retried += 1

    def _forget_tries(self) -> None:
        """Forget what another target did; a lost reply may cost the row one re-send in all."""
        self._tries = Tries(is_resent=self._tries.is_resent)

    def _choose_call(self) -> Call:
        """Return the call to the first target that will answer soon."""
        context, left, tries = self.context, self.left, self._tries
        has_begun = bool(tries.failures or tries.refusals) and self.call in left
        if has_begun and not context.gate_of(self.call).health.breaker.is_open:
            return self.call
        enabled = [call for call in left if context.why_disabled(call.target.pool) is None]
        fitting = [call for call in enabled if call.target.fits(call)] or enabled
        if not fitting:
            return left[0]
        waits = [(context.gate_of(call).blocked_seconds(), call) for call in fitting]
        for seconds, call in waits:
            if seconds <= PATIENCE_SECONDS:
                return call
        return min(waits, key=lambda wait: wait[0])[1]

    # ----------------------------------------------------------- the budget, a turn, a claim

    async def _send_within_budget(self, is_first: bool) -> tuple[Result, Ticket]:
        """Send one request for which dollars are reserved, settled in every case."""
        budget, call = self.context.options.budget, self.call
        assert budget is not None
        most = call.target.highest_price(call)
        if most is None:
            raise row_errors.unpriced(call)
        try:
            await budget.reserve(most)
        except BudgetExceeded as error:
            self.context.disable("", error)
            raise
        spent = 0.0
        try:
            result, ticket = await self._send(is_first)
            if isinstance(result, ReceivedReply):
                usd = result.call.target.price(result.reply.usage, result.reply.model)
                spent = most if usd is None else usd
            elif result.details.maybe_billed:
                spent = most
            return result, ticket
        except asyncio.CancelledError:
            spent = most if self.is_sending else 0.0
            raise
        finally:
            budget.settle(reserved=most, spent=spent)

    async def _send(self, is_first: bool) -> tuple[Result, Ticket]:
        """Send one request once it is the row's turn; return what came, and its ticket."""
        context, claims = self.context, self.context.claims
        gate = context.gate_of(self.call)
        ticket = await self._turn(gate, is_first)
        try:
            if self.is_aside:
                if not self.rejoin_registry():
                    raise AskedElsewhere
                self.seen = NEVER  # another run may have asked it
            if claims is not None and (not claims.take(self.key) or claims.has_changed(self.seen)):
                await self._look_before_sending()
                if (error := self.disabled_error(self.call)) is not None:
                    raise error
                if not context.resumed.is_set() or self.is_aside:
                    raise Blocked("The run was paused.")
        except BaseException:
            gate.release(ticket, used=0.0, was_sent=False)
            raise
        self.count_request()
        return await self._dispatch(gate, ticket), ticket

    def _dispatch(self, gate: Gate, ticket: Ticket) -> Awaitable[Result]:
        """Send the request whose turn has come."""
        on_delta = self.next_on_delta() if self.context.streams else None
        return Attempt(self.call, gate, self.context.backlog).send(ticket, on_delta)

    async def _turn(self, gate: Gate, is_first: bool) -> Ticket:
        """Wait for a turn; not while paused, never once the target is disabled."""
        context, call = self.context, self.call
        pool, policy = call.target.pool, context.options.policy
        while True:
            if (error := self.disabled_error(call)) is not None:
                raise error
            pause = gate.account.admission.paused_until - gate.clock()
            if pause > policy.longest_hint:  # another run waits for it, we would not
                context.disable(pool, row_errors.asked_for_a_long_wait(call.target, pause))
                continue
            if not context.resumed.is_set():
                self.stand_aside()
                await context.resumed.wait()
            ticket = await gate.admit(
                call.target.charge(call),
                run=context,
                is_first=is_first,
                is_movable=len(self.left) > 1,
                row=self.key,
                failures=self._tries.failures,
                on_wait=self._wait_on,
            )
            if context.resumed.is_set() and context.why_disabled(pool) is None:
                if self.left[0] is call or not self._should_go_back():
                    return ticket
                gate.release(ticket, used=0.0, was_sent=False)
                raise Blocked("A target that comes before this one answers again.")
            gate.release(ticket, used=0.0, was_sent=False)

    def _wait_on(self, future: asyncio.Future[Ticket]) -> None:
        self._waits_on = future

    def _should_go_back(self) -> bool:
        """Whether a target that comes before this one in the list is there again by now.

        Rows that went to another target while the first was blocked stand in a long queue there;
        without this they would never come back, and hardly anybody would probe the first.
        """
        left, tries = self.left, self._tries
        if tries.failures or tries.refusals or self.call not in left:
            return False
        chosen = self._choose_call()
        is_before = left.index(chosen) < left.index(self.call)
        return is_before and self.context.gate_of(chosen).blocked_seconds() <= 0

    def disabled_error(self, call: Call) -> LLMNBError | None:
        """Return the row's error where a call's target is disabled: its own, if it has been sent.

        None where the target may be asked.
        """
        why = self.context.why_disabled(call.target.pool)
        return None if why is None else self._with_last_error(why)

    def _with_last_error(self, why: LLMNBError) -> LLMNBError:
        last = self._last_error
        if last is None or not isinstance(why, Unsent):
            return copy_of(why)
        if isinstance(last, Unsent) and not self.context.gate_of(self.call).health.has_answered:
            return copy_of(why)  # it says more of the same
        return copy_of(last, f"{last.message}\n{why.message}")

    # --------------------------------------------------- beside other runs and other processes

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for a turn, or until it tries again."""
        return self._waits_on is not None and not self._waits_on.done()

    def stand_aside_if_slowed(self) -> None:
        """Stand aside where a rate of its own run makes it wait for its turn."""
        lane = self.context.gate_of(self.call).lanes.by_run.get(self.context)
        if lane is None or lane.is_queued or lane.reason not in ("requests", "tokens"):
            return
        if self.is_waiting:
            self.stand_aside()

    def stand_aside(self) -> None:
        """Let other processes and other runs ask the row while this one is paused."""
        self.release_claim()
        self.leave_registry(TaskResult(Outcome(row=self.row, error=row_errors.not_asked())))

    # ---------------------------------------------------------------------------- sending

    def count_request(self) -> None:
        """Count a request that is about to be sent."""
        context = self.context
        self._requests += 1
        if request_log.requests_log.level != request_log.SILENT:
            request_log.log_start(self.row, self._requests)
        tracker = context.counters.tracker
        tracker.num_requests += 1
        context.counters.count(requests=1)
        self.is_sending = True
        if self.started is None:
            self.started = Clock.monotonic()
            tracker.num_tasks_started += 1
            tracker.num_tasks_in_progress += 1

    def next_on_delta(self) -> OnDelta:
        """Return what takes the pieces of the request that is about to be sent."""
        return functools.partial(self._forward_delta, self._requests)

    def _forward_delta(self, attempt: int, delta: Delta) -> None:
        if (on_delta := self.context.options.on_delta) is not None:
            if attempt != delta.attempt:
                delta = dataclasses.replace(delta, attempt=attempt)
            on_delta(self.row, delta)

    # -------------------------------------------------------------- after a failed request

    async def _note_failure(self, error: LLMNBError) -> None:
        counters = self.context.counters
        if self.call.target.is_free:
            without_money(error)
        if isinstance(error, BadReply):
            await save_unread(self.context, self.call, error)
        counters.tracker.count_failed_request(error)
        if isinstance(error, FlowControl):
            counters.count(refusals=1)
        request_log.log_failure(self.row, self._requests, error)
        self._history.append(error.message)
        self._last_error = error
        self._may_be_billed = self._may_be_billed or error.details.maybe_billed

    async def _wait_after(self, error: LLMNBError, ticket: Ticket) -> None:
        """Sleep until the next attempt, or raise the error that ends the asking."""
        context, gate = self.context, self.context.gate_of(self.call)
        pool, policy = self.call.target.pool, context.options.policy
        self.is_sending = False
        self.release_claim()
        if isinstance(error, AccountError):
            context.disable(pool, error)
            raise error
        if context.is_stopped:
            raise row_errors.not_sent_again(error)
        failing_seconds = gate.health.seconds_without_success(gate.clock())
        is_outage = isinstance(error, _OUTAGE)
        if isinstance(error, Unsent) and not gate.health.has_answered:
            context.watch(self.call.target, gate)
        if ticket.is_probe and is_outage and len(self.left) > 1:
            raise error
        wait = next_wait(
            error,
            self._tries,
            policy,
            since_success=failing_seconds,
            can_resend=context.resends.has_token,
            event=gate.health.congestion_events,
            is_excused=ticket.is_excused,
        )
        is_parked = is_outage and gate.health.breaker.is_open and failing_seconds > policy.max_wait
        if wait is None or is_parked:
            final = self._final_error(error, gate, is_parked=is_parked)
            if is_parked or isinstance(error, FlowControl) or self._is_too_long(error):
                context.disable(pool, final)  # all others would get the same
            raise final
        if isinstance(error, MaybeBilled):
            context.resends.take()
        if isinstance(error, FlowControl):
            hint = error.details.retry_after if policy.cooldown is None else wait
            gate.pause(gate.shortened(wait, hint))
        elif wait > 0 and not gate.health.breaker.is_open:
            await self._sleep(wait)

    def _is_too_long(self, error: LLMNBError) -> bool:
        """Whether an error names a longer wait than the run has patience for."""
        hint = error.details.retry_after
        is_wait = isinstance(error, (FlowControl, *_OUTAGE))
        return is_wait and hint is not None and hint > self.context.options.policy.longest_hint

    def _final_error(self, error: LLMNBError, gate: Gate, *, is_parked: bool) -> LLMNBError:
        target, policy = self.call.target, self.context.options.policy
        failures = self._tries.failures
        return row_errors.final_error(
            error, gate, target, policy, failures=failures, is_parked=is_parked
        )

    def wake(self) -> None:
        """End the wait for a turn or a retry, if there is one, because its target is disabled."""
        error = self.disabled_error(self.call)
        if error is not None and self._waits_on is not None and not self._waits_on.done():
            self._waits_on.set_exception(error)

    # ----------------------------------------------------- saved before it is shown, repaired

    async def _save(self, received: ReceivedReply | StoredAnswer) -> TaskResult:
        """Save an answer before it is shown; have one that misses its schema repaired, once."""
        call, reply = received.call, received.reply
        outcome, result, misfit = await self._saved(received, call)
        if misfit is not None:
            if call.repair is None:
                outcome.error = misfit
            elif self.context.is_stopped:
                outcome.error = row_errors.not_sent_again(misfit)
            else:
                result = await self._repaired(outcome, call, call.repair(reply, misfit))
        if result.outcome is not None and result.outcome.error is not None:
            self._describe(result.outcome.error)
        return result

    async def _saved(
        self, received: ReceivedReply | StoredAnswer, asked: Call
    ) -> tuple[Outcome, TaskResult, SchemaMismatch | None]:
        """Save an answer and read its value; return what is known, and why the value does not fit.

        Args:
            received: The answer; one from the store is saved already.
            asked: The call that says what value is wanted.
        """
        self._is_answered = True
        entry = None
        if isinstance(received, StoredAnswer):
            outcome = received.outcome(self.row)
            outcome.attempts, outcome.hedged = self._requests, self.is_hedged
        else:
            outcome = self._outcome(received.call)
            entry = await save_reply(self.context, received, outcome)
        misfit = None
        if outcome.error is None and asked.check is not None:
            try:
                outcome.value = await asked.value_of(received.reply)
            except SchemaMismatch as error:
                misfit = error
        return outcome, TaskResult(outcome, entry, self.context.store), misfit

    async def _repaired(self, first: Outcome, call: Call, repair: Call) -> TaskResult:
        """Ask once for an answer of the right form; a second misfit is the row's error.

        Args:
            first: The first answer, which does not fit.
            call: What it answers.
            repair: Asks to mend it.
        """
        received: ReceivedReply | StoredAnswer | None = await self._stored_repair(repair)
        if received is not None and not await _fits(call, received.reply):
            # An earlier run ended with this misfit: the row is asked again, from its beginning
            # where that is stored as well.
            received = None
            if self.stored is not None:
                self.stored = None
                self._turn_to(call)
                return await self._save(await self._ask())
        self._turn_to(repair)
        if received is None:
            self.context.counters.tracker.num_repaired += 1
            try:
                received = await self._ask()
            except AnsweredMeanwhile as meanwhile:
                received = meanwhile.stored
        outcome, result, misfit = await self._saved(received, call)
        outcome.usd = _sum(first.usd, outcome.usd)
        outcome.saved_usd = _sum(first.saved_usd, outcome.saved_usd)
        if isinstance(received, StoredAnswer):
            outcome.seconds = first.seconds
            if not first.is_cached:
                outcome.source = "sent"
        outcome.error = outcome.error or misfit
        return result

    def _turn_to(self, call: Call) -> None:
        """Ask this from now on, and no other target after it."""
        self.call = call
        self.left = [call]
        self._is_answered = False

    async def _stored_repair(self, call: Call) -> StoredAnswer | None:
        """Return a repaired answer that was bought in an earlier run."""
        if not self.context.options.use_cache:
            return None
        entries = await self.context.look_up([call.key])
        return stored_answer([call], entries, self.context.options.good_finish)


def _sum(first: float | None, second: float | None) -> float | None:
    """Return the sum of two amounts, None where one is not known."""
    return None if first is None or second is None else first + second


async def _fits(call: Call, reply: Reply) -> bool:
    """Whether a repaired answer has the form that the row asks for."""
    try:
        await call.value_of(reply)
    except SchemaMismatch:
        return False
    return True
