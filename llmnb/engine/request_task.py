"""One row's request task: one target after the other is asked until there is an answer or an end.

The request task reserves its place, sends, gives the place back the moment the
reply is read, and only then saves, checks and prices. Whatever happens the
reservation is settled. A retry goes to the target it began with; when that
one has nothing more to give, the next in the list is asked.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import logging
import math
from collections.abc import Sequence

from llmnb.decide.retry import Tries, next_wait
from llmnb.display import durations, moments
from llmnb.engine import cost_events, request_log
from llmnb.engine.attempt import Answered, Attempt, Rival
from llmnb.engine.checking import value_of
from llmnb.engine.coalesce import Kept, SharedRequest, TaskResult
from llmnb.engine.gate import PATIENCE_SECONDS, Blocked, Gate
from llmnb.engine.lanes import Ticket
from llmnb.engine.persistence import Keeper, stored_answer
from llmnb.engine.race import Race
from llmnb.engine.run_context import Asker, RunContext, copied
from llmnb.engine.status import Clock
from llmnb.engine.target import Call, Target
from llmnb.engine.unreached import where_nobody_is
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
)
from llmnb.records import REQUEST_SECONDS, Delta
from llmnb.store.claims import Claims
from llmnb.store.entry import Entry
from llmnb.wire.dialect import tier_in

logger = logging.getLogger("llmnb")

_FINAL = (
    *(Stopped, StoreError, ConfigurationError, InputError, SchemaMismatch, TimedOut),
    UnknownEnd,
)
"""Errors after which no other target is asked."""

_OUTAGE = (ProviderError, Unsent, MaybeBilled)
"""Errors that say that the target is not well."""

NOT_ASKED = "Not asked: the run was stopped. Run again to ask what is missing."

NEVER = -1
"""What no project's claims tell: the store is looked up again."""

ELSEWHERE_SECONDS = 2 * REQUEST_SECONDS
"""How long a row waits for another process that asks it: longer than any request takes, so that
process stands still (it was stopped, or its machine was) and may never go on."""

SOONEST_LOOK_SECONDS, LATEST_LOOK_SECONDS = 0.02, 1.0
"""How soon, and at most how seldom, a row looks whether another process still asks it."""


class _AskedElsewhere(Exception):
    """Another process is asking the row, or another run while its own was paused."""


class _Found(Exception):
    """Another process has asked the row, and its answer is in the store."""

    def __init__(self, kept: Kept) -> None:
        super().__init__(kept[1].key)
        self.kept = kept


class RequestTask:
    """One row's life; `run` is a task of its own.

    Args:
        calls: The row's question to each target, the first choice first.
        context: The run.
        row: Position of the row.
        shared: Who else wants the answer.
        known: An answer from the store that only needs to be mended.
        seen: What the project's claims told before the row was looked up.
    """

    __slots__ = (
        "_answering",
        "_asked_all",
        "_deadline",
        "_has_hedge",
        "_is_late",
        "_left",
        "_may_be_billed",
        "_misfit",
        "_seen",
        "_waited_since",
        "_waits_no_more",
        "_waits_on",
        "attempts",
        "call",
        "context",
        "hedged",
        "history",
        "is_sending",
        "key",
        "known",
        "last",
        "row",
        "shared",
        "started",
        "tries",
    )

    def __init__(
        self,
        calls: Sequence[Call],
        context: RunContext,
        row: int,
        shared: SharedRequest,
        *,
        known: Answered | None = None,
        seen: int = 0,
    ) -> None:
        self.key = calls[0].key
        self.call = calls[0]
        """What is asked at present."""

        self.row = row
        self.context = context
        self.shared = shared
        self.known = known
        self.tries = Tries()
        self.attempts = 0
        self.hedged = False
        self.last: LLMNBError | None = None
        """The error of its latest request."""

        self._may_be_billed = False
        self.history: list[str] = []
        self.started: float | None = None
        self.is_sending = False
        """Whether a request is on its way or its reply is being saved: it will be finished."""

        self._left = list(calls)
        self._seen = seen
        self._misfit = None if known is None else known.raw.body
        """An answer in the store that is not looked for: it is known, and does not fit."""

        self._waited_since: float | None = None
        """When the row first met another process that was asking it."""

        self._waits_no_more = False
        """Whether it has waited long enough for other processes."""

        self._waits_on: asyncio.Future[Ticket] | asyncio.Future[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._is_late = False
        self._has_hedge = False
        self._asked_all = False
        self._answering = False

    # ------------------------------------------------------------------ the whole

    async def run(self) -> TaskResult:
        """Fly to the end. Never raises anything but what ends the process."""
        try:
            return await self._fly()
        except LLMNBError as error:
            return self._failed(error)
        except _Found as found:
            return TaskResult(found=found.kept, store=self.context.store)
        except asyncio.CancelledError:
            return self._failed(self._out_of_time()) if self._is_late else self.stopped()
        except Exception as error:  # a fault of ours: the row still gets its outcome
            logger.exception("llmnb failed on a row; please report this")
            return self._failed(_unexpected(error))
        finally:
            if self._deadline is not None:
                self._deadline.cancel()

    async def _fly(self) -> TaskResult:
        """Ask one target after the other until one gives a good answer."""
        while True:
            result: TaskResult | None = None
            try:
                result = await self._keep(self.known or await self._ask())
                error = result.error
            except LLMNBError as failure:
                error = failure
            if error is None or not self._has_another(error):
                if result is None:
                    raise error  # type: ignore[misc]  # there is an error where nothing landed
                return result
            if result is not None:  # otherwise it is there already
                self.history.append(error.message)
            self.known = None
            self._answering = False
            self.context.counters.tracker.num_fallbacks += 1

    def _has_another(self, error: LLMNBError) -> bool:
        """Strike the present target off; whether there is another to ask."""
        if self.call in self._left:
            self._left.remove(self.call)
        if isinstance(error, _FINAL) or not self._left or self.context.end is not None:
            return False
        return any(self.context.why_disabled(one.target.pool) is None for one in self._left)

    def stopped(self) -> TaskResult:
        """Land because the task was cancelled."""
        disabled = self.context.why_disabled(self.call.target.pool)
        if disabled is not None and not self.is_sending:
            return self._failed(self._given_up(disabled))
        return self._failed(
            Stopped(
                "Stopped while its request was on its way; it may have been billed. "
                "Run again to ask it anew."
                if self.is_sending
                else NOT_ASKED,
                maybe_billed=self.is_sending,
            )
        )

    def wake(self, error: LLMNBError) -> None:
        """End the wait for a turn or a retry, if there is one, because its target is disabled."""
        if self._waits_on is not None and not self._waits_on.done():
            self._waits_on.set_exception(self._given_up(error))

    # ------------------------------------------------------------- asking one target

    async def _ask(self) -> Answered:
        """Ask until there is an answer, an error that ends it, or another target is better."""
        if self.attempts:
            self._begin_anew()
        is_first = False
        while True:
            chosen = self._chosen()
            if chosen is not self.call:
                self.call = chosen
                self._begin_anew()
            try:
                if self.context.prepare is not None:
                    await self.context.ready()
                budget = self.context.budget
                asking = self._admitted_and_sent if budget is None else self._within_budget
                outcome, ticket, gate = await asking(self.call, is_first)
            except Blocked:
                continue
            except _AskedElsewhere:
                await self._wait_for_another()
                is_first = True
                continue
            if isinstance(outcome, Answered):
                self.context.resends.on_success()
                return outcome
            if isinstance(outcome, BadReply):
                await self._keeper().keep_unread(self.call, outcome)
            self._count(outcome)
            request_log.log_failure(self.row, self.attempts, outcome)
            self.history.append(outcome.message)
            self.last = outcome
            self._may_be_billed = self._may_be_billed or outcome.details.maybe_billed
            await self._wait_after(outcome, ticket, gate)
            is_first = True
            self.context.counters.tracker.num_retried += 1

    def _begin_anew(self) -> None:
        """Forget what another target did; a lost reply may cost the row one re-send in all."""
        self.tries = Tries(is_resent=self.tries.is_resent)

    def _chosen(self) -> Call:
        """Return the call to the first target that will answer soon."""
        left = self._left
        if len(left) == 1:
            return left[0]
        has_begun = bool(self.tries.failures or self.tries.refusals) and self.call in left
        if has_begun and not self.context.gate_of(self.call).health.breaker.is_open:
            return self.call
        alive = [one for one in left if self.context.why_disabled(one.target.pool) is None]
        fitting = [one for one in alive if one.target.fits(one)] or alive
        if not fitting:
            return left[0]
        waits = [(self.context.gate_of(one).blocked_seconds(), one) for one in fitting]
        for seconds, one in waits:
            if seconds <= PATIENCE_SECONDS:
                return one
        return min(waits, key=lambda pair: pair[0])[1]

    async def _within_budget(
        self, call: Call, is_first: bool
    ) -> tuple[Answered | LLMNBError, Ticket, Gate]:
        """Send one request, reserved in dollars, tokens and places, settled in every case."""
        context, budget = self.context, self.context.budget
        assert budget is not None
        most = call.target.highest_price(call)
        if most is None:
            raise _unpriced(call)
        try:
            await budget.reserve(most)
        except BudgetExceeded as error:
            context.disable("", error)
            raise
        spent = 0.0
        try:
            result = await self._admitted_and_sent(call, is_first)
            spent = _spent(result[0], most)
            return result
        except asyncio.CancelledError:
            spent = most if self.is_sending else 0.0
            raise
        finally:
            budget.settle(reserved=most, spent=spent)

    async def _admitted_and_sent(
        self, call: Call, is_first: bool
    ) -> tuple[Answered | LLMNBError, Ticket, Gate]:
        gate = self.context.gate_of(call)
        ticket = await self._admitted(gate, call.target.charge(call), is_first)
        claims = self.context.claims
        if self.shared.is_aside:
            if not self.shared.come_back():
                gate.release(ticket, used=0.0, was_sent=False)
                raise _AskedElsewhere
            self._seen = NEVER  # another run may have asked it
        if claims is not None and (not claims.take(self.key) or claims.has_changed(self._seen)):
            await self._look_before_sending(gate, ticket, claims)
        return await self._send(gate, ticket), ticket, gate

    async def _admitted(self, gate: Gate, reserved: float, is_first: bool) -> Ticket:
        """Wait for a turn; not while paused, never once the target is dead."""
        context, call, pool = self.context, self.call, self.call.target.pool
        while True:
            self._raise_if_disabled(call)
            left = gate.account.admission.paused_until - gate.clock()
            if left > context.policy.longest_hint:  # another run waits for it, we would not
                context.disable(pool, _asked_for_a_long_wait(self.call.target, left))
                continue
            if not context.resumed.is_set():
                self.stand_aside()
                await context.resumed.wait()
            ticket = await gate.admit(
                reserved,
                run=context.run,
                is_first=is_first,
                is_movable=len(self._left) > 1,
                row=self.key,
                failures=self.tries.failures,
                on_wait=self._wait_on,
            )
            may_go = context.resumed.is_set() and context.why_disabled(pool) is None
            if may_go and not self._is_wanted_back():
                return ticket
            gate.release(ticket, used=0.0, was_sent=False)
            if may_go:
                raise Blocked("A target that comes before this one answers again.")

    # ---------------------------------------------------------- beside other processes

    def give_up_claim(self) -> None:
        """Let other processes ask the row."""
        if self.context.claims is not None and not self.shared.is_aside:
            self.context.claims.release(self.key)

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for a turn, or until it tries again."""
        return self._waits_on is not None and not self._waits_on.done()

    def make_way(self) -> None:
        """Stand aside where a rate that its run alone is held to makes it wait for its turn."""
        lane = self.context.gate_of(self.call).lanes.get(self.context.run)
        if lane is not None and self.is_waiting and lane.is_slowed:
            self.stand_aside()

    def stand_aside(self) -> None:
        """Let other processes and other runs ask the row while this one is paused."""
        self.give_up_claim()
        self.shared.stand_aside(TaskResult(error=Stopped(NOT_ASKED)))

    async def _look_before_sending(self, gate: Gate, ticket: Ticket, claims: Claims) -> None:
        """Return if the row is still to be asked, and claimed; else give its place back.

        Raises:
            _AskedElsewhere: If another process is asking it.
            _Found: If another process has asked it.
        """
        try:
            if not claims.take(self.key) and not self._waits_no_more:
                raise _AskedElsewhere
            await self._look_again(claims)
            self._raise_if_disabled(self.call)
            if not self.context.resumed.is_set() or self.shared.is_aside:
                raise Blocked("The run was paused.")
        except BaseException:
            gate.release(ticket, used=0.0, was_sent=False)
            raise

    async def _wait_for_another(self) -> None:
        """Return once nobody else asks the row, or stands still; its answer may be in the store.

        Raises:
            _Found: If it is.
        """
        claims, waiting, since = self.context.claims, self.context.waiting_rows, Clock.monotonic()
        if self._waited_since is None:
            self._waited_since = since
        asker: Asker = "run" if self.shared.is_asked_by_another else "process"
        waiting[asker] += 1
        try:
            while True:
                # A quarter of the time so far: many rows may wait, each for a minute.
                delay = max((Clock.monotonic() - self._waited_since) / 4, SOONEST_LOOK_SECONDS)
                await self._nap(min(delay, LATEST_LOOK_SECONDS))
                found = self._asker()
                if found is None:
                    break
                if found != asker:
                    waiting[asker] -= 1
                    waiting[found] += 1
                    asker = found
                if asker == "process" and Clock.monotonic() - since > ELSEWHERE_SECONDS:
                    self._waits_no_more = True
                    break
        finally:
            waiting[asker] -= 1
        if claims is not None:
            await self._look_again(claims)

    def _asker(self) -> Asker | None:
        """Return who else asks the row at present."""
        if self.shared.is_asked_by_another:
            return "run"
        claims = self.context.claims
        return "process" if claims is not None and claims.is_taken_elsewhere(self.key) else None

    async def _look_again(self, claims: Claims) -> None:
        """Look the row up in the store once more.

        Raises:
            _Found: If it is answered.
        """
        self._seen = claims.look()
        found = await self._look_up(self._left)
        fitting = {key: entry for key, entry in found.items() if entry.raw != self._misfit}
        kept = stored_answer(self._left, fitting, self.context.good_finish)
        if kept is not None:
            raise _Found(kept)

    async def _look_up(self, calls: Sequence[Call]) -> dict[str, Entry]:
        keys = [call.key for call in calls]
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, self.context.store.lookup, keys)

    def _is_wanted_back(self) -> bool:
        """Whether a target that comes before this one in the list is there again by now.

        Rows that went to another target while the first was held stand in a long queue there;
        without this they would never come back, and hardly anybody would probe the first.
        """
        left, tries = self._left, self.tries
        if left[0] is self.call or tries.failures or tries.refusals or self.call not in left:
            return False
        chosen = self._chosen()
        is_before = left.index(chosen) < left.index(self.call)
        return is_before and self.context.gate_of(chosen).blocked_seconds() <= 0

    def _wait_on(self, future: asyncio.Future[Ticket]) -> None:
        self._waits_on = future

    def _raise_if_disabled(self, call: Call) -> None:
        error = self.context.why_disabled(call.target.pool)
        if error is not None:
            raise self._given_up(error)

    def _given_up(self, why: LLMNBError) -> LLMNBError:
        """Return the row's error where its target is disabled: its own, if it has been sent."""
        if self.last is None or not isinstance(why, Unsent):
            return copied(why)
        has_answered = self.context.gate_of(self.call).health.has_answered
        if isinstance(self.last, Unsent) and not has_answered:
            return copied(why)  # it says more of the same
        twin = copied(self.last)
        twin.args = (f"{self.last.message}\n{why.message}",)
        return twin

    # -------------------------------------------------------------------- sending

    async def _send(self, gate: Gate, ticket: Ticket) -> Answered | LLMNBError:
        context = self.context
        self._count_request()
        attempt = Attempt(self.call, gate, ticket, context.backlog, on_delta=self._on_delta())
        if context.hedger is None and context.time_limit is None:
            return await attempt.send()
        # An attempt that races is a task of its own: others are let in before this one hears of it.
        attempt.on_error = functools.partial(self._give_up_target, attempt)
        sent_at = gate.clock()
        race = Race(
            attempt,
            due=lambda: self._due(gate, sent_at),
            launch=lambda: self._rivals(gate),
            dropped=self._dropped,
        )
        result = await race.result()
        if isinstance(result, Answered):
            self.call = result.call
            if context.hedger is not None:
                context.hedger.on_first_token(race.first_token_at(gate.clock()) - sent_at)
        return result

    def _count_request(self) -> None:
        """Count a request that is about to be sent."""
        context = self.context
        self.attempts += 1
        if request_log.requests_log.level != request_log.SILENT:
            request_log.log_start(self.row, self.attempts)
        counters, tracker = context.counters, context.counters.tracker
        tracker.num_requests += 1
        counters.stats.on_request()
        self.is_sending = True
        if self.started is None:
            self.started = Clock.monotonic()
            tracker.num_tasks_started += 1
            tracker.num_tasks_in_progress += 1
            if context.time_limit is not None:
                self._deadline = asyncio.get_running_loop().call_later(
                    context.time_limit, self._expire, asyncio.current_task()
                )

    def _expire(self, task: asyncio.Task[TaskResult] | None) -> None:
        if not self._answering and task is not None:
            self._is_late = True
            task.cancel()

    def _on_delta(self) -> _Forward | None:
        if not self.context.streams:
            return None
        return _Forward(self.row, self.context, self.attempts)

    def _due(self, gate: Gate, sent_at: float) -> float | None:
        """Return the seconds until redundant requests should go; None for never."""
        hedger, now = self.context.hedger, gate.clock()
        moments = []
        if (half := self._half_time()) is not None and not self._asked_all:
            moments.append(half)
        if hedger is not None and not self._has_hedge:
            delay = hedger.delay(now, gate.is_throttled(self.context.run), now - sent_at)
            if delay is not None:
                moments.append(sent_at + delay)
        return max(0.0, min(moments) - now) if moments else None

    def _half_time(self) -> float | None:
        limit = self.context.time_limit
        return None if limit is None or self.started is None else self.started + limit / 2

    def _rivals(self, gate: Gate) -> list[Attempt]:
        """Return redundant requests: one to hedge, or at half time one to every further model."""
        context, hedger, deltas = self.context, self.context.hedger, self._on_delta
        others = [one for one in self._left if one is not self.call] or [self.call]
        half = self._half_time()
        if half is not None and gate.clock() >= half and not self._asked_all:
            self._asked_all = True
        elif hedger is not None and not self._has_hedge and hedger.may_spend():
            self._has_hedge = True
            others = others[:1]
        else:
            return []
        rivals: list[Attempt] = [
            Rival(
                call,
                other,
                context.run,
                context.backlog,
                check=functools.partial(self._raise_if_disabled, call),
                on_sent=self._hedge,
                on_delta=deltas(),
            )
            for call in others
            if context.why_disabled(call.target.pool) is None
            and not (other := context.gate_of(call)).is_throttled(context.run)
        ]
        for rival in rivals:
            rival.on_error = functools.partial(self._give_up_target, rival)
        return rivals

    def _hedge(self) -> None:
        """Count a redundant request that is about to be sent."""
        self._count_request()
        self.hedged = True
        self.context.counters.tracker.num_hedged += 1
        if self.context.hedger is not None:
            self.context.hedger.on_hedged()

    def _dropped(self, attempt: Attempt) -> None:
        """Account for a request that was cancelled because another one came first."""
        target = attempt.call.target
        most = target.highest_price(attempt.call)
        if cost_events.listeners:
            cost_events.publish(
                cost_events.Paid(
                    provider=target.provider, model=target.model, usd=most, is_bound=True
                )
            )
        if most is None:
            self.context.counters.tracker.num_unpriced += 1
        else:
            self.context.counters.tracker.hedge_usd += most
            if self.context.budget is not None:
                self.context.budget.settle(reserved=0.0, spent=most)

    # -------------------------------------------------------------------- waiting

    def _give_up_target(self, attempt: Attempt, error: LLMNBError) -> None:
        """Send nothing more where a refusal means that all others would hear the same."""
        pool = attempt.call.target.pool
        if isinstance(error, AccountError):
            self.context.disable(pool, error)
        elif self._is_too_long(error):
            self.context.disable(pool, self._final(error, attempt.gate, is_parked=False))

    def _is_too_long(self, error: LLMNBError) -> bool:
        """Whether an error names a longer wait than the run has patience for."""
        hint = error.details.retry_after
        is_wait = isinstance(error, (FlowControl, *_OUTAGE))
        return is_wait and hint is not None and hint > self.context.policy.longest_hint

    async def _wait_after(self, error: LLMNBError, ticket: Ticket, gate: Gate) -> None:
        """Sleep until the next attempt, or raise the error that ends the asking."""
        context, pool, policy = self.context, self.call.target.pool, self.context.policy
        self.is_sending = False
        self.give_up_claim()
        if isinstance(error, AccountError):
            context.disable(pool, error)
            raise error
        if context.is_stopped:
            raise _not_again(error)
        failing_seconds = gate.seconds_without_success
        is_outage = isinstance(error, _OUTAGE)
        if isinstance(error, Unsent) and not gate.health.has_answered:
            context.watch(self.call.target, gate)
        if ticket.is_probe and is_outage and len(self._left) > 1:
            raise error
        wait = next_wait(
            error,
            self.tries,
            policy,
            since_success=failing_seconds,
            can_resend=context.resends.has_token,
            event=gate.health.congestion_events,
        )
        is_parked = is_outage and gate.health.breaker.is_open and failing_seconds > policy.max_wait
        if wait is None or is_parked:
            final = self._final(error, gate, is_parked=is_parked)
            if is_parked or isinstance(error, FlowControl) or self._is_too_long(error):
                context.disable(pool, final)  # nobody else need ask to hear the same
            raise final
        if isinstance(error, MaybeBilled):
            context.resends.take()
        if isinstance(error, FlowControl):
            hint = error.details.retry_after if policy.cooldown is None else wait
            gate.pause(gate.shortened(wait, hint))
        elif wait > 0 and not gate.health.breaker.is_open:
            await self._nap(wait)

    def _final(self, error: LLMNBError, gate: Gate, *, is_parked: bool) -> LLMNBError:
        """Say why nothing more is tried, where the error itself cannot know."""
        policy, hint, text = self.context.policy, error.details.retry_after, error.message
        if hint is not None and hint > policy.longest_hint:
            text += f"\n{_come_back(hint)}"
        elif isinstance(error, FlowControl) or is_parked:
            did = "failed" if is_parked else "refused"
            since = durations.span(round(gate.seconds_without_success))
            text += (
                f"\nIt has {did} for {since} without one answer. Finished rows are kept: run again "
                "later, or allow longer waits with "
                f"max_wait={policy.max_wait * 2:.0f}."
            )
        elif self.tries.failures >= policy.max_attempts > 1:
            text += (
                f"\nGiven up after {self.tries.failures} attempts; run again to ask only what is "
                "missing."
            )
        if isinstance(error, Unsent) and not gate.health.has_answered:
            told = where_nobody_is(self.call.target, error.details.cause or "")
            rest = text.removeprefix(error.message)
            text = f"{told}\nNothing was sent and nothing spent.{rest}"
        if text == error.message:
            return error
        twin = copied(error)
        twin.args = (text,)
        return twin

    async def _nap(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waits_on = done

        def wake() -> None:
            if not done.done():
                done.set_result(None)

        timer = loop.call_later(seconds, wake)
        try:
            await done
        finally:
            timer.cancel()

    def _count(self, error: LLMNBError) -> None:
        counts = self.context.counters.tracker
        if isinstance(error, FlowControl):
            counts.num_rate_limit_errors += 1
            counts.time_of_last_rate_limit_error = Clock.wall()
            self.context.counters.stats.on_refusal()
        elif error.details.status is not None:
            counts.num_api_errors += 1
        else:
            counts.num_other_errors += 1

    # -------------------------------------------------------------------- result

    def _keeper(self) -> Keeper:
        return Keeper(self.context, self.started, self.attempts, hedged=self.hedged)

    async def _keep(self, answered: Answered) -> TaskResult:
        """Save the answer before it is shown; mend one that does not fit its schema, once."""
        self._answering = True
        keeper = self._keeper()
        result = await keeper.keep(answered, is_known=answered is self.known)
        call = answered.call
        if result.error is None and result.reply is not None and call.check is not None:
            try:
                result.value = await value_of(call, result.reply)
            except SchemaMismatch as error:
                result = await self._mended(result, call, error)
        if result.error is not None:
            self._describe(result.error)
        return result

    async def _mended(self, result: TaskResult, call: Call, error: SchemaMismatch) -> TaskResult:
        """Ask once for a mended answer; a second misfit is the row's error."""
        if call.repair is None or result.reply is None or call.check is None:
            result.error = error
            return result
        mending = call.repair(result.reply, error)
        known = await self._stored(mending)
        if known is not None and not await _fits(call, known):
            # An earlier run ended with this misfit: the row is asked again, from its beginning
            # where that is kept as well.
            known = None
            if self.known is not None:
                return await self._asked_anew(call)
        self.call = mending
        self._left = [self.call]
        self._answering = False
        self.context.counters.tracker.num_repaired += 1
        if known is None:
            try:
                answered = await self._ask()
            except _Found as found:
                known = Answered.before(*found.kept[:3])
        again = await self._keeper().keep(known or answered, is_known=known is not None)
        again.usd = _sum(result.usd, again.usd)
        again.seconds = result.seconds if known is not None else again.seconds
        self._answering = True
        if again.error is None and again.reply is not None:
            try:
                again.value = await value_of(call, again.reply)
            except SchemaMismatch as second:
                again.error = second
        return again

    async def _asked_anew(self, call: Call) -> TaskResult:
        self.known = None
        self.call = call
        self._left = [call]
        self._answering = False
        return await self._keep(await self._ask())

    async def _stored(self, call: Call) -> Answered | None:
        """Return a mended answer that was bought in an earlier run."""
        if not self.context.use_cache:
            return None
        kept = stored_answer([call], await self._look_up([call]), self.context.good_finish)
        return None if kept is None else Answered.before(*kept[:3])

    def _failed(self, error: LLMNBError) -> TaskResult:
        self._describe(error)
        target = self.call.target
        return TaskResult(
            error=error,
            model=target.model,
            provider=target.provider,
            seconds=None if self.started is None else Clock.monotonic() - self.started,
            attempts=self.attempts,
            hedged=self.hedged,
        )

    def _describe(self, error: LLMNBError) -> None:
        if error.__suppress_context__:
            # What led to it may quote the reply, a key that was echoed among it, and some
            # picklers send it along.
            error.__context__ = None
        target = self.call.target
        error.with_details(
            provider=error.details.provider or target.provider,
            model=error.details.model or target.model,
            attempts=self.attempts,
            history=tuple(self.history),
            maybe_billed=error.details.maybe_billed or self._may_be_billed,
        )

    def _out_of_time(self) -> LLMNBError:
        limit = self.context.time_limit or 0.0
        return TimedOut(
            f"No answer within the time limit of {durations.given(limit)} "
            f"({self.attempts} requests sent). It may have been billed. Run again to ask it anew, "
            "or allow more time with time_limit."
        )


class _Forward:
    """Hands the pieces of one row's answer on to whoever watches."""

    __slots__ = ("_attempt", "_context", "_row")

    def __init__(self, row: int, context: RunContext, attempt: int) -> None:
        self._row = row
        self._context = context
        self._attempt = attempt

    def __call__(self, delta: Delta) -> None:
        if self._context.on_delta is not None:
            if self._attempt != delta.attempt:
                delta = dataclasses.replace(delta, attempt=self._attempt)
            self._context.on_delta(self._row, delta)


def _spent(outcome: Answered | LLMNBError, most: float) -> float:
    """Return the dollars to count for a request; the bound where nobody can know."""
    if isinstance(outcome, Answered):
        usd = outcome.call.target.price(outcome.reply.usage, outcome.reply.model)
        return most if usd is None else usd
    return most if outcome.details.maybe_billed else 0.0


def _unpriced(call: Call) -> ConfigurationError:
    """Return the error of a request that a budget cannot bind."""
    tier = tier_in(call.body)
    return ConfigurationError(
        f"budget_usd cannot be kept: the price of {call.target.provider}/{call.target.model}"
        + (f" in the service tier {tier[:40]!r}" if tier else "")
        + " is not known. Say it with llmnb.set_price(model, input_per_million, "
        "output_per_million), or leave the budget out. Nothing was sent for this row."
    )


async def _fits(call: Call, answered: Answered) -> bool:
    """Whether a mended answer has the form that the row asks for."""
    try:
        await value_of(call, answered.reply)
    except SchemaMismatch:
        return False
    return True


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _unexpected(cause: Exception) -> LLMNBError:
    error = LLMNBError(
        f"llmnb itself failed on this row ({type(cause).__name__}); the log has the details. "
        "Please report it. The other rows go on.",
        maybe_billed=True,
    )
    error.__cause__ = cause
    return error


def _not_again(error: LLMNBError) -> LLMNBError:
    """Return what a row gets that would have been sent again, had the run not been stopped."""
    return Stopped(
        f"Stopped before it was sent again. Before that: {error.message}\n"
        "Run again to ask what is missing.",
        maybe_billed=error.details.maybe_billed,
    )


def _asked_for_a_long_wait(target: Target, left: float) -> LLMNBError:
    return Unsent(
        f"{target.provider} has asked for a long wait. {_come_back(left)}",
        provider=target.provider,
        model=target.model,
        retry_after=left,
    )


def _come_back(hint: float) -> str:
    when = moments.coming(hint, Clock.wall())
    return (
        f"It asks to come back in {durations.span(math.ceil(hint))}, at {when}. Nothing more is "
        "sent there in this run: run again then, or wait for it with "
        f"max_wait={math.ceil(hint * 1.1)}."
    )
