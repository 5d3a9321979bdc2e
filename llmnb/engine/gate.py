"""The queue in front of one target: strict first come, first served, one timer for all who wait.

A request passes when concurrency and every limit allow it, the provider has
not asked for a pause, and the target's breaker is closed. While it is open
everybody waits here and spends no attempt; now and then one goes as a probe,
drawn from the rows that have not failed. Afterwards the load comes back by slow
start.

Rows that have failed go before those that have not, as they were first before,
but one for each success: a clump of rows that always fail cannot look like a
target that is down, nor keep the others waiting.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from llmnb.decide.admission import Admission, Reason
from llmnb.decide.bound import Bound, rebound
from llmnb.decide.breaker import Breaker
from llmnb.decide.dice import roll
from llmnb.decide.learned import Learned
from llmnb.decide.pace import PLACES, Finding
from llmnb.decide.retry import LONGEST_SERVER_WAIT
from llmnb.decide.slow_start import SlowStart
from llmnb.errors import LLMNBError, Unsent, cause_of
from llmnb.records import Announced, Limits

Holding = Reason | Literal["breaker", "recovery"]
"""What holds the first in the queue back."""

PATIENCE_SECONDS = 2.0
"""A target that is held for longer is passed over where there is another one to ask."""


@dataclass(slots=True, eq=False)
class Ticket:
    """One admitted request."""

    reserved: float
    """Tokens it was admitted with."""

    sequence: int = 0
    began: float = 0.0
    is_probe: bool = False
    """Whether it is the one that tries whether a failing target has recovered."""

    is_told: bool = False
    """Whether the breaker knows how it ended."""

    row: Hashable = None
    """What tells its row from others."""

    recovery: SlowStart | None = None
    """The slow start that it takes a slot of."""


@dataclass(slots=True, eq=False)
class _Turn:
    future: asyncio.Future[Ticket]
    tokens: float
    is_movable: bool
    row: Hashable = None
    failures: int = 0


class Held(LLMNBError):
    """Told to those who wait and may as well ask another target; never seen by a person."""


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
        self.own = own
        self.admission = Admission(own, now=clock())
        self.breaker = Breaker()
        self.learned = Learned()
        self.finding: Finding | None = None
        """Finds the number of places where nobody names one, and perhaps a pace."""

        self.waited = 0.0
        """Seconds of pauses that the provider has asked for."""

        self.has_answered = False
        """Whether an HTTP status has ever come from there in this process."""

        self.cause = ""
        """In a few words why the last request failed, such as "connection refused"."""

        self.episode = 0
        """Congestion events since the last success; what is refused together is one."""

        self._rand = rand
        self._episode_began = -math.inf
        self._recovery: SlowStart | None = None
        self._level = 0
        """Requests in flight when the breaker opened."""

        self._again: deque[_Turn] = deque()
        """Rows that have failed and wait for another turn."""

        self._may_repeat = True
        """Whether a success has come since the last row of those went."""

        self._found: float | None = None
        self._barren: float | None = None
        self._barren_seen = 0.0
        self._claims: dict[object, Limits] = {}
        self._waiting: deque[_Turn] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._apply()

    # ------------------------------------------------------------- who wants what

    def claim(self, owner: object, limits: Limits) -> None:
        """Hold the pool to a person's limits while `owner` runs; the smallest claim wins."""
        is_new = owner not in self._claims
        self._claims[owner] = limits
        self._apply()
        if is_new:
            self.breaker.on_new_run(self.clock())

    def release_claim(self, owner: object) -> None:
        """Forget what an ended run asked for."""
        if self._claims.pop(owner, None) is not None and self._claims:
            self._apply()
        # With no claim left the last limits stay, so that the next run of the same
        # account does not start with a fresh burst; a new claim replaces them.

    def _apply(self) -> None:
        given = [self.own, *self._claims.values()]
        told = self.learned.limits()
        found = self.finding.per_minute if self.finding is not None else None
        places = (
            _least_count(claim.concurrency for claim in self._claims.values())
            or self.own.concurrency
        )
        chosen = replace(
            self.own,
            requests_per_minute=_least(
                (found, *(one.requests_per_minute for one in (*given, told)))
            ),
            tokens_per_minute=_least(one.tokens_per_minute for one in (*given, told)),
            concurrency=places,
            even=any(claim.even for claim in given),
        )
        self.admission.change(chosen, now=self.clock())
        if places is not None:
            self.finding = None
        elif self.finding is None:
            # A pace that is known keeps the limit; places need not be found from below.
            has_pace = self.admission.limits.requests_per_minute is not None
            self.finding = Finding(start=PLACES) if has_pace else Finding()
        if self.finding is not None:
            self.admission.concurrency = self.finding.limit
        self._found = found
        self._advance()

    def bind(self, bound: Bound | None) -> None:
        """Take the limits that bind this pool beside its own, such as `GLOBAL_LIMITER`'s."""
        self.admission = rebound(self.admission, bound, now=self.clock())
        self._apply()

    def advance(self) -> None:
        """Look again: something outside may have made room."""
        if self._waiting or self._again:
            self._advance()

    # ------------------------------------------------------------------ admission

    @property
    def in_flight(self) -> int:
        """Requests admitted and not yet released."""
        return self.admission.in_flight

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._waiting) + len(self._again)

    @property
    def reason(self) -> Holding:
        """What holds the first in the queue back; empty when nobody waits."""
        if not self.waiting:
            return ""
        if self.breaker.is_open:
            return "breaker"
        reason = self.admission.reason
        recovery = self._recovery
        return "recovery" if not reason and recovery is not None and recovery.is_full else reason

    @property
    def slots(self) -> int:
        """Requests that may be in flight at present."""
        places = self.admission.concurrency
        return places if self._recovery is None else min(places, self._recovery.slots)

    def held_seconds(self) -> float:
        """Return the seconds until something may go again, as far as can be told."""
        now = self.clock()
        pause = self.admission.paused_until - now
        probe = self.breaker.wait(now) if self.breaker.is_open else 0.0
        return max(0.0, pause, probe)

    @property
    def found_pace(self) -> float | None:
        """The requests a minute that were found by trying; None where nothing was."""
        return self._found

    @property
    def is_throttled(self) -> bool:
        """Whether more than a free place is missing: a limit, a pause, or the target itself."""
        return self.breaker.is_open or self.reason in ("requests", "tokens", "pause")

    async def admit(
        self,
        tokens: float,
        *,
        is_first: bool = False,
        is_movable: bool = False,
        row: Hashable = None,
        failures: int = 0,
        on_wait: Callable[[asyncio.Future[Ticket]], None] | None = None,
    ) -> Ticket:
        """Wait for a turn and take it.

        Args:
            tokens: Tokens to reserve.
            is_first: Whether it goes before all who wait: it was refused before them.
            is_movable: Whether it may ask another target; then a long pause ends its wait.
            row: What tells its row from others.
            failures: How often the row has failed here.
            on_wait: Told what it waits on; an exception set there ends the wait.
        """
        if not self._waiting and not self._again:
            now = self.clock()
            if self._delay(tokens, now) <= 0:
                return self._enter(tokens, now, row)
        future: asyncio.Future[Ticket] = asyncio.get_running_loop().create_future()
        turn = _Turn(future, tokens, is_movable, row, failures)
        if failures:
            self._again.append(turn)
        elif is_first:
            self._waiting.appendleft(turn)
        else:
            self._waiting.append(turn)
        self._advance()
        if on_wait is not None:
            on_wait(future)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                # Admitted in the same moment: hand the turn back.
                self.release(future.result(), used=0.0, was_sent=False)
            else:
                self._advance()  # drops the cancelled turn if it stands at the head
            raise
        except LLMNBError:
            self._advance()
            raise

    def _delay(self, tokens: float, now: float) -> float:
        """Return the seconds until such a request may go; infinity is "when something ends"."""
        delay = self.admission.wait(tokens, now)
        if delay > 0:
            return delay
        if self.breaker.is_open:
            return self.breaker.wait(now)
        return math.inf if self._recovery is not None and self._recovery.is_full else 0.0

    def _enter(self, tokens: float, now: float, row: Hashable) -> Ticket:
        """Take a place; whoever calls it knows that there is one."""
        is_probe = self.breaker.is_open
        if is_probe:
            self.breaker.may_send(now)  # takes the one probe there is
        self.admission.admit(tokens, now)
        self.learned.on_sent(tokens, now)
        finding = self.finding
        sequence = finding.on_start(self.in_flight, now) if finding is not None else 0
        recovery = self._recovery
        if recovery is not None:
            recovery.in_flight += 1
        return Ticket(tokens, sequence, now, is_probe, row=row, recovery=recovery)

    def release(self, ticket: Ticket, *, used: float, was_sent: bool) -> None:
        """Give a place back; the next in the queue is admitted at once."""
        self.admission.release(reserved=ticket.reserved, used=used, was_sent=was_sent)
        if self.finding is not None:
            self.finding.on_end(ticket.sequence)
        if ticket.is_probe and not ticket.is_told:
            self.breaker.on_cancelled(self.clock())
        if ticket.recovery is not None:
            ticket.recovery.in_flight -= 1
        if self._waiting or self._again:
            self._advance()

    def shortened(self, wait: float, retry_after: float | None) -> float:
        """Return how long to pause after a refusal for which `wait` was drawn.

        Where the number of places is found by trying, the cut has slowed everybody already: a
        pause longer than an answer takes would only leave places empty. That holds as long as
        there are answers: refused again with no success between, the wait is kept.
        """
        if self.finding is None or retry_after or self.episode > 1:
            return wait
        usual = self.finding.usual_seconds
        return wait if usual is None else min(wait, usual)

    def pause(self, seconds: float) -> None:
        """Admit nobody for so many seconds."""
        now = self.clock()
        before = max(now, self.admission.paused_until)
        self.admission.pause(now + seconds)
        self.waited += max(0.0, self.admission.paused_until - before)
        self._move_on(anybody=seconds > LONGEST_SERVER_WAIT)
        self._advance()

    def _advance(self) -> None:
        """Admit from the head of the queue as long as it may go; set the timer for the rest."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while (queue := self._next_queue()) is not None:
            now = self.clock()
            place = self._draw(queue) if self.breaker.is_open else 0
            turn = queue[place]
            delay = self._delay(turn.tokens, now)
            if delay > 0:
                if delay != math.inf:
                    loop = asyncio.get_running_loop()
                    # Capped, so that a changed clock is noticed within a second.
                    self._timer = loop.call_later(min(delay, 1.0), self._advance)
                return
            del queue[place]
            if queue is self._again and self._waiting:
                self._may_repeat = False
            turn.future.set_result(self._enter(turn.tokens, now, turn.row))

    def _next_queue(self) -> deque[_Turn] | None:
        """Return the queue whose turn it is, none of whose ends is a turn that is over."""
        for queue in (self._waiting, self._again):
            while queue and queue[0].future.done():  # cancelled or moved on
                queue.popleft()
        if not self._again:
            return self._waiting or None
        if not self._waiting:
            return self._again
        is_doubtful = self.breaker.is_open or self._recovery is not None
        return self._waiting if is_doubtful or not self._may_repeat else self._again

    def _draw(self, queue: deque[_Turn]) -> int:
        """Return the position of the turn to probe with: any of those with the fewest failures."""
        if queue is self._waiting:
            place = int(self._rand() * len(queue))
            return 0 if queue[place].future.done() else place
        least = min(turn.failures for turn in queue if not turn.future.done())
        places = [
            place
            for place, turn in enumerate(queue)
            if turn.failures == least and not turn.future.done()
        ]
        return places[int(self._rand() * len(places))]

    # --------------------------------------------------------------------- health

    def on_headers(self, announced: Announced, ticket: Ticket) -> None:
        """Take the limits that a reply's headers told."""
        before = self.learned.limits()
        self.learned.on_headers(announced, ticket.began, self.clock())
        if self.learned.limits() != before:
            self._apply()
        self.learned.reconcile(self.admission, self.clock())

    def on_success(self, ticket: Ticket, seconds: float) -> None:
        """Note that the target has answered."""
        self._barren = None
        self.episode = 0
        self._may_repeat = True
        now = self.clock()
        recovery = self._recovery
        if recovery is not None and ticket.recovery is recovery:
            recovery.on_success()
            if recovery.slots >= self.admission.concurrency:
                self._recovery = None
        if self.breaker.is_troubled:
            self.on_alive(ticket)
        if self.finding is not None:
            self.finding.on_success(ticket.sequence, seconds, self.in_flight, now)
            self._take_over(self.finding)

    def on_alive(self, ticket: Ticket) -> None:
        """Note that the target is there, whatever it has said of this one request."""
        ticket.is_told = True
        was_open = self.breaker.is_open
        self.breaker.on_success(self.clock())
        if was_open and not self.breaker.is_open:
            self._recovery = SlowStart(self._level)

    def on_refusal(self, ticket: Ticket) -> None:
        """Note a refusal for pace."""
        now = self.clock()
        if ticket.began >= self._episode_began:
            self.episode += 1
            self._episode_began = now
        if self.finding is not None:
            self.finding.on_refusal(ticket.sequence, ticket.began, now)
            self._take_over(self.finding)
        self._note_barren(now)

    def _take_over(self, finding: Finding) -> None:
        """Keep to what was found."""
        self.admission.concurrency = finding.limit
        if finding.per_minute != self._found:
            self._apply()

    def on_failure(self, ticket: Ticket, error: LLMNBError) -> None:
        """Note that the target failed."""
        now = self.clock()
        ticket.is_told = True
        self.cause = cause_of(error)
        self.has_answered = self.has_answered or not isinstance(error, Unsent)
        was_open = self.breaker.is_open
        self.breaker.on_failure(now, ticket.row, error.details.retry_after)
        if self.breaker.is_open and not was_open:
            self._level = self.in_flight
            self._recovery = None
        elif ticket.recovery is not None:
            ticket.recovery.on_failure(began=ticket.began, now=now)
        self._note_barren(now)
        self._move_on()
        self._advance()

    @property
    def barren_seconds(self) -> float:
        """Seconds since the first refusal or failure after which nothing was answered well."""
        if self._barren is None:
            return 0.0
        return self._barren + _awake(self.clock() - self._barren_seen)

    def _note_barren(self, now: float) -> None:
        since = 0.0 if self._barren is None else self._barren + _awake(now - self._barren_seen)
        self._barren, self._barren_seen = since, now

    def _move_on(self, *, anybody: bool = False) -> None:
        """Have those look again who may ask another target, if this one will not answer soon.

        Args:
            anybody: Whether those too who may not: they decide whether they wait for so long.
        """
        if self.held_seconds() <= PATIENCE_SECONDS:
            return
        for turn in (*self._waiting, *self._again):
            if (anybody or turn.is_movable) and not turn.future.done():
                turn.future.set_exception(Held("The target is held; another one is asked."))


def _awake(seconds: float) -> float:
    """Return how much of the time between two replies counts: a machine asleep asked nothing."""
    return min(max(0.0, seconds), LONGEST_SERVER_WAIT)


def _least(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return min(known) if known else None


def _least_count(values: Iterable[int | None]) -> int | None:
    least = _least(values)
    return None if least is None else int(least)
