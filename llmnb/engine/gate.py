"""The gate in front of one target: who is admitted, and when.

Requests wait in `Lanes`, one lane a run. A request passes when its run's own
limits allow it and then those of the `AccountLimits`: concurrency and every rate
together, or none; when the provider has not asked for a pause, and the target's
`Health` allows it. While its breaker is open everybody waits here and spends no
attempt; now and then one goes as a probe, drawn from the rows that have not
failed. Afterwards the load comes back by slow start, in which rows that have
failed go one by one until some of them are answered.

Rows that have failed go before those of their run that have not, as they were
first before, but one for each success: a clump of rows that always fail cannot
look like a target that is down, nor keep the others waiting.
"""

from __future__ import annotations

import asyncio
import bisect
import math
from collections.abc import Callable, Hashable
from operator import attrgetter
from typing import Literal

from llmnb.decide.admission import Bound, Reason
from llmnb.decide.retry import LONGEST_SERVER_WAIT, roll
from llmnb.engine.account_limits import AccountLimits
from llmnb.engine.health import Health
from llmnb.engine.lanes import Lane, Lanes, Ticket, Turn
from llmnb.errors import LLMNBError
from llmnb.records import Limits

BlockReason = Reason | Literal["breaker", "recovery"]
"""What holds the first in the queue back."""

PATIENCE_SECONDS = 2.0
"""A target that is blocked for longer is passed over where another can be asked."""


class Blocked(LLMNBError):
    """Ends the wait of those who may as well ask another target; never seen by a person."""


class Gate:
    """Admits requests of one pool in order; lives on the loop thread.

    Args:
        own: Limits that belong to the target itself.
        clock: Steady seconds.
        rand: Uniform numbers in [0, 1), to draw probes with.
    """

    def __init__(
        self, own: Limits, *, clock: Callable[[], float], rand: Callable[[], float] = roll
    ) -> None:
        self.clock = clock
        self.lanes = Lanes()
        self.account = AccountLimits(own, self.lanes, now=clock())
        self.health = Health()
        self.waited = 0.0
        """Seconds of pauses that the provider has asked for."""

        self._rand = rand
        self._timer: asyncio.TimerHandle | None = None

    # ------------------------------------------------------------- who wants what

    def claim(self, run: object, limits: Limits, account: Limits | None = None) -> None:
        """Register a run's limits, or replace those that it registered before.

        The first call of a run also lets an open breaker send a probe at once.

        Args:
            run: Whose requests these are.
            limits: Limits on this run alone.
            account: Limits on all runs of the account. Where runs disagree the smallest applies;
                a concurrency replaces the target's own, rates only tighten it.
        """
        now = self.clock()
        if run not in self.account.claims:
            self.health.breaker.on_new_run(now)
        lane = self.lanes.change(run, limits, now=now)
        self.account.claim(run, account or Limits(), now)
        self.lanes.wake(lane)
        self.advance()

    def release_claim(self, run: object) -> None:
        """Forget what an ended run asked for."""
        self.lanes.forget(run)
        if self.account.release_claim(run, self.clock()):
            self.advance()

    def pause_run(self, run: object) -> None:
        """Admit nothing of a run until `resume_run`."""
        self.lanes.of(run).is_paused = True

    def resume_run(self, run: object) -> None:
        """Admit requests of a run again."""
        lane = self.lanes.of(run)
        lane.is_paused = False
        self.lanes.wake(lane)
        self.advance()

    def bind(self, bound: Bound | None) -> None:
        """Take the limits that bind this pool beside its own, such as `GLOBAL_LIMITER`'s."""
        self.account.admission.bound = bound
        self.account.apply(self.clock())
        self.advance()

    # ------------------------------------------------------------------ questions

    @property
    def in_flight(self) -> int:
        """Requests admitted and not yet released."""
        return self.account.admission.in_flight

    def reason(self, run: object = None) -> BlockReason:
        """Return what holds the next request of a run back; empty when none waits."""
        lane = self.lanes.by_run.get(run)
        if lane is None or not (lane.waiting or lane.again):
            return ""
        if self.health.breaker.is_open:
            return "breaker"
        if not lane.is_queued:
            return lane.reason
        reason = self.account.admission.reason
        return "recovery" if not reason and self.health.is_full else reason

    @property
    def slots(self) -> int:
        """Requests that may be in flight at present, of all runs together."""
        slots, recovery = self.account.all_slots(), self.health.recovery
        return int(slots if recovery is None else min(slots, recovery.slots))

    def ahead_of(self, run: object) -> object | None:
        """Return the run that a run's next request stands behind; None where there is none.

        It stands behind another one where what both share holds it back: the account's limits,
        or its slots.
        """
        lane = self.lanes.by_run.get(run)
        if lane is None or self.health.breaker.is_open or self.account.admission.reason == "pause":
            return None
        if not (lane.is_queued or lane in self.lanes.crowded):
            return None
        return self.lanes.busiest_beside(lane, is_sending=self.reason(run) == "concurrency")

    def blocked_seconds(self) -> float:
        """Return the seconds until something may go again, as far as that is known."""
        now, breaker = self.clock(), self.health.breaker
        pause = self.account.admission.paused_until - now
        probe = breaker.wait(now) if breaker.is_open else 0.0
        return max(0.0, pause, probe)

    def is_throttled(self, run: object = None) -> bool:
        """Whether more than a free slot is missing: a limit, a pause, or the target itself."""
        is_open = self.health.breaker.is_open
        return is_open or self.reason(run) in ("requests", "tokens", "pause", "start")

    # ------------------------------------------------------------------ admission

    async def admit(
        self,
        tokens: float,
        *,
        run: object = None,
        is_first: bool = False,
        is_movable: bool = False,
        row: Hashable = None,
        failures: int = 0,
        on_wait: Callable[[asyncio.Future[Ticket]], None] | None = None,
    ) -> Ticket:
        """Wait for a turn and take it.

        Args:
            tokens: Tokens to reserve.
            run: Whose request it is.
            is_first: Whether it goes before all of its run who wait: it was refused before them.
            is_movable: Whether it may ask another target; then a long pause ends its wait.
            row: What tells its row from others.
            failures: How often the row has failed here.
            on_wait: Called with what it waits on; an exception set there ends the wait.
        """
        lane = self.lanes.of(run)
        is_alone = not lane.waiting and not lane.again
        if is_alone and not failures and not self.lanes.ring:
            now = self.clock()
            if self._own_delay(lane, tokens, now) <= 0 and self._delay(tokens, now) <= 0:
                return self._enter(lane, tokens, now, row)
        future: asyncio.Future[Ticket] = asyncio.get_running_loop().create_future()
        turn = Turn(future, tokens, is_movable, row, failures)
        if failures:
            bisect.insort(lane.again, turn, key=attrgetter("failures"))
        elif is_first:
            lane.waiting.appendleft(turn)
        else:
            lane.waiting.append(turn)
        if is_alone or is_first or failures:
            # Others of its run wait before it otherwise, and nothing has changed for them.
            self.lanes.wake(lane, at_the_end=True)
            self.advance()
        if on_wait is not None:
            on_wait(future)
        try:
            return await future
        except BaseException:
            if future.done() and not future.cancelled() and future.exception() is None:
                # Admitted in the same moment: hand the turn back.
                self.release(future.result(), used=0.0, was_sent=False)
            else:
                self.lanes.wake(lane)  # the next one may go
                self.advance()
            raise

    def _own_delay(self, lane: Lane, tokens: float, now: float) -> float:
        """Return the seconds until a run's own limits and slots let such a request go."""
        if lane.is_paused:
            lane.reason = ""
            return math.inf
        own = lane.admission
        account = self.account
        if own is not None and (delay := own.wait(account.announced.charge.of(tokens), now)) > 0:
            lane.reason = own.reason
            return delay
        finding = account.finding
        if lane.is_sharing and finding is not None and account.sharing >= finding.limit:
            lane.reason = "concurrency"
            return math.inf
        return 0.0

    def _delay(self, tokens: float, now: float) -> float:
        """Return the seconds until the account lets such a request go; infinity is "later"."""
        delay = self.account.wait(tokens, now)
        if delay > 0:
            return delay
        health = self.health
        if health.breaker.opened_at is not None:
            return health.breaker.wait(now)
        return math.inf if health.recovery is not None and health.is_full else 0.0

    def _enter(self, lane: Lane, tokens: float, now: float, row: Hashable) -> Ticket:
        """Take a slot; the caller knows that there is one."""
        account, health = self.account, self.health
        estimate, tokens = tokens, account.announced.charge.of(tokens)
        is_probe = health.breaker.opened_at is not None
        if is_probe:
            health.breaker.try_send(now)  # takes the one probe there is
            # A probe that hangs is no reason to wait for those who may ask another target.
            asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._move_on)
        lane.in_flight += 1
        if lane.admission is not None:
            lane.admission.admit(tokens, now)
        account.admission.admit(tokens, now)
        sent = account.announced.on_sent(now, tokens, estimate)
        recovery = health.recovery
        # In the order of the fields: by name this costs twice as much.
        ticket = Ticket(tokens, lane, sent, now, row, is_probe, recovery, lane.is_sharing)
        if recovery is not None:
            recovery.in_flight += 1
            ticket.in_flight = self.in_flight
        if lane.is_sharing:
            account.sharing += 1
            if account.finding is not None:
                ticket.finding, ticket.level = account.finding, account.sharing
                ticket.sequence = account.finding.on_start()
        return ticket

    def release(self, ticket: Ticket, *, used: float, was_sent: bool) -> None:
        """Give a slot back; the next in the queue is admitted at once."""
        lane, account, lanes = ticket.lane, self.account, self.lanes
        used = account.release(ticket, used=used, was_sent=was_sent)
        lane.in_flight -= 1
        if lane.admission is not None:
            lane.admission.release(reserved=ticket.reserved, used=used, was_sent=was_sent)
            if lanes.by_run.get(lane.run) is not lane:
                lanes.wake_heir(lane.admission)
        if ticket.is_sharing:
            account.sharing -= 1
        self.health.on_release(ticket)
        if lane.waiting or lane.again:
            # Lanes without limits of their own are let in from the crowd, each in its turn.
            if lane.admission is not None and lane not in lanes.crowded:
                lanes.wake(lane)
        elif not lane.in_flight and lane.run not in account.claims:
            lanes.by_run.pop(lane.run, None)
        if lanes.ring or lanes.crowded:
            self.advance()

    def shortened(self, wait: float, retry_after: float | None) -> float:
        """Return how long to pause after a refusal for which `wait` was drawn.

        Where the number of slots is found by trying, the cut has slowed everybody already, and a
        pause longer than an answer takes would only leave slots empty. That holds as long as
        there are answers: refused again with no success between, the wait is kept.
        """
        finding = self.account.finding
        usual = None if finding is None else finding.usual_seconds
        if usual is None or retry_after or self.health.congestion_events > 1:
            return wait
        return min(wait, usual)

    def pause(self, seconds: float) -> None:
        """Admit nobody for so many seconds."""
        now = self.clock()
        self.waited += self.account.pause(now + seconds, now)
        self._move_on(anybody=seconds > LONGEST_SERVER_WAIT)
        self.advance()

    def _free_slots(self) -> float:
        """Return the free ones of the slots that are found by trying; infinity where none are."""
        account = self.account
        return math.inf if account.finding is None else account.finding.limit - account.sharing

    def advance(self) -> None:
        """Admit one of each run in turn as long as they may go; set the timer for the rest."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lanes, account, health = self.lanes, self.account, self.health
        ring, now = lanes.ring, self.clock()
        if lanes.due:
            lanes.wake_due(now)
        if lanes.crowded:
            lanes.let_in(self._free_slots())
        soonest, passed = math.inf, 0
        while ring or (lanes.crowded and lanes.let_in(self._free_slots())):
            lane = ring[0]
            if not lane.is_waiting():
                lanes.leave_ring(lane)
                continue
            index = 0
            if health.breaker.opened_at is None:
                queue = health.queue_of(lane) if lane.again else lane.waiting
                if queue is None:
                    passed += 1
                    if passed >= len(ring):
                        break  # one of those that go again ends first
                    ring.rotate(-1)
                    continue
            elif (delay := health.breaker.wait(now)) > 0:
                soonest = delay
                break
            else:
                lane, queue, index = lanes.draw(self._rand)
            turn = queue[index]
            if (delay := self._own_delay(lane, turn.tokens, now)) > 0:
                lanes.leave_ring(lane)
                lanes.stand_aside(lane, delay, now)
                continue
            if (delay := self._delay(turn.tokens, now)) > 0:
                soonest = delay  # everybody waits: a large request is not starved by small ones
                break
            lanes.take(lane, queue, index)
            ticket = self._enter(lane, turn.tokens, now, turn.row)
            if queue is lane.again:
                health.on_repeat(ticket, is_ahead=bool(lane.waiting))
            passed = 0
            turn.future.set_result(ticket)
            if account.admission.is_full:
                break  # nobody's turn comes before a request ends
            now = self.clock()
        if lanes.due:
            soonest = min(soonest, max(0.0, lanes.due[0][0] - now))
        if soonest != math.inf:
            # Capped, so that a changed clock is noticed within a second.
            self._timer = asyncio.get_running_loop().call_later(min(soonest, 1.0), self.advance)

    # --------------------------------------------------------------------- news

    def on_success(self, ticket: Ticket, seconds: float) -> None:
        """Note that the target has answered."""
        now = self.clock()
        self.health.on_success(ticket, now, self.account.all_slots)
        if self.account.on_success(ticket, seconds, now):
            self.advance()

    def on_refusal(self, ticket: Ticket) -> None:
        """Note that a request was rate limited."""
        now = self.clock()
        self.health.on_refusal(ticket, now)
        if self.account.on_refusal(ticket, now):
            self.advance()

    def on_failure(self, ticket: Ticket, error: LLMNBError) -> None:
        """Note that the target failed."""
        self.health.on_failure(ticket, error, self.clock(), self.in_flight)
        self._move_on()
        self.advance()

    def _move_on(self, *, anybody: bool = False) -> None:
        """End the waits of requests that may ask another target, if this one is blocked for long.

        Args:
            anybody: Whether those too who may not: they decide whether they wait for so long.
        """
        if self.blocked_seconds() <= PATIENCE_SECONDS:
            return
        for lane in self.lanes.by_run.values():
            for turn in (*lane.waiting, *lane.again):
                if (anybody or turn.is_movable) and not turn.future.done():
                    turn.future.set_exception(Blocked("The target is blocked; another is asked."))
