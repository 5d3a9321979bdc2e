"""The queue in front of one target: first come first served within a run, round robin between runs.

Each run waits in a lane of its own. A request passes when its run's own limits
allow it and then the account's: concurrency and every rate together, or none;
when the provider has not asked for a pause, and the target's breaker is closed.
A lane that its run's own limits hold back stands aside and holds nobody else up.
While the breaker is open everybody waits here and spends no attempt; now and
then one goes as a probe, drawn from the rows that have not failed. Afterwards
the load comes back by slow start.

Rows that have failed go before those of their run that have not, as they were
first before, but one for each success: a clump of rows that always fail cannot
look like a target that is down, nor keep the others waiting.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from llmnb.decide.admission import DEFAULT_CONCURRENCY, Admission, Reason
from llmnb.decide.bound import Bound, rebound
from llmnb.decide.breaker import DIFFERENT_ROWS, Breaker
from llmnb.decide.dice import roll
from llmnb.decide.learned import Learned
from llmnb.decide.pace import PLACES, Finding
from llmnb.decide.retry import LONGEST_SERVER_WAIT
from llmnb.decide.slow_start import SlowStart
from llmnb.errors import LLMNBError, Unsent, cause_of
from llmnb.records import Announced, Limits

Holding = Reason | Literal["breaker", "recovery"]
"""What holds the first in the queue back."""

MOST_REPEATS = DIFFERENT_ROWS // 2
"""Rows that have failed and are in flight again beside others: too few to open the breaker."""

PATIENCE_SECONDS = 2.0
"""A target that is held for longer is passed over where there is another one to ask."""

_RUNS_REMEMBERED = 16
"""Ended runs whose own limits are remembered, for the next run with the same ones."""


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

    lane: Lane | None = None
    """The queue it came from."""

    finding: Finding | None = None
    """What learns from it; None where its run or the account names the places."""

    is_sharing: bool = False
    """Whether it counts among the places that are found by trying."""

    is_repeat: bool = False
    """Whether its row had failed and went before others that had not."""


@dataclass(slots=True, eq=False)
class _Turn:
    future: asyncio.Future[Ticket]
    tokens: float
    is_movable: bool
    row: Hashable = None
    failures: int = 0


class Lane:
    """The requests of one run that wait at a gate, and the limits of that run alone."""

    __slots__ = (
        "admission",
        "again",
        "in_flight",
        "is_held",
        "is_queued",
        "is_sharing",
        "limits",
        "reason",
        "run",
        "waiting",
    )

    def __init__(self, run: object) -> None:
        self.run = run
        self.limits = Limits()
        self.admission: Admission | None = None
        """None where the run has no limits of its own."""

        self.is_sharing = True
        """Whether the run takes places that are found by trying: it names no number itself."""

        self.is_held = False
        """Whether the person has paused the run."""

        self.is_queued = False
        """Whether it stands in the ring of those that only the account can hold back."""

        self.in_flight = 0
        self.reason: Reason = ""
        self.waiting: deque[_Turn] = deque()
        self.again: deque[_Turn] = deque()
        """Rows that have failed and wait for another turn."""

    def change(self, limits: Limits, *, now: float) -> None:
        """Hold the run to other limits from now on."""
        self.limits = limits
        self.is_sharing = limits.concurrency is None
        if self.admission is None:
            if limits == Limits():
                return
            self.admission = Admission(limits, now=now)
            self.admission.in_flight = self.in_flight
        else:
            self.admission.change(limits, now=now)
        if limits.concurrency is None:
            self.admission.concurrency = math.inf

    def is_waiting(self) -> bool:
        """Whether a turn waits; those at a head whose owner has left are dropped."""
        for queue in (self.waiting, self.again):
            while queue and queue[0].future.done():
                queue.popleft()
        return bool(self.waiting or self.again)


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

        self._may_repeat = True
        """Whether a success has come since the last row went that had failed before."""

        self._repeats = 0
        """Those in flight that went while others waited which had not failed."""

        self._found: float | None = None
        self._barren: float | None = None
        self._barren_seen = 0.0
        self._claims: dict[object, Limits] = {}
        """What each run says of the account."""

        self._lanes: dict[object, Lane] = {}
        self._left: dict[Limits, Admission] = {}
        """Limits of runs that have ended, so that the next one gets no fresh burst."""

        self._ring: deque[Lane] = deque()
        """Lanes that only the account can hold back, the one whose turn is next first."""

        self._crowded: dict[Lane, None] = {}
        """Lanes that wait for one of the places that are found by trying."""

        self._due: list[tuple[float, int, Lane]] = []
        """Lanes that a rate of their run holds back, as a heap by the time they may go."""

        self._order = itertools.count()
        self._sharing = 0
        """Requests in flight of runs that name no number of places."""

        self._timer: asyncio.TimerHandle | None = None
        self._apply()

    # ------------------------------------------------------------- who wants what

    def claim(self, run: object, limits: Limits, account: Limits | None = None) -> None:
        """Hold a run to its own limits, and the account to what the run says of it.

        Args:
            run: Whose requests these are.
            limits: Bind this run alone.
            account: Binds all runs of the account; of several the smallest holds.
        """
        now, is_new = self.clock(), run not in self._claims
        lane = self._lane(run)
        if lane.admission is None and (left := self._left.pop(limits, None)) is not None:
            lane.admission = left
        lane.change(limits, now=now)
        self._claims[run] = account or Limits()
        self._apply()
        if is_new:
            self.breaker.on_new_run(now)
        self._wake(lane)
        self._advance()

    def release_claim(self, run: object) -> None:
        """Forget what an ended run asked for."""
        lane = self._lanes.pop(run, None)
        if lane is not None and lane.admission is not None:
            if len(self._left) >= _RUNS_REMEMBERED:
                del self._left[next(iter(self._left))]
            self._left[lane.limits] = lane.admission
        if self._claims.pop(run, None) is not None and self._claims:
            self._apply()
        # With no claim left the last limits stay, so that the next run of the same
        # account does not start with a fresh burst; a new claim replaces them.

    def hold(self, run: object) -> None:
        """Admit nothing of a run until `let_go`."""
        self._lane(run).is_held = True

    def let_go(self, run: object) -> None:
        """Admit requests of a run again."""
        lane = self._lane(run)
        lane.is_held = False
        self._wake(lane)
        self._advance()

    def _lane(self, run: object) -> Lane:
        lane = self._lanes.get(run)
        if lane is None:
            lane = self._lanes[run] = Lane(run)
        return lane

    def _apply(self) -> None:
        given = [self.own, *self._claims.values()]
        told = self.learned.limits()
        places = (
            _least_count(claim.concurrency for claim in self._claims.values())
            or self.own.concurrency
        )
        is_named = places is not None or bool(self._lanes and not self._has_sharing())
        if is_named:
            self.finding = None
        found = self.finding.per_minute if self.finding is not None else None
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
        if places is None:
            self.admission.concurrency = math.inf
        if self.finding is None and not is_named:
            # A pace that is known keeps the limit; places need not be found from below.
            limits = [self.admission.limits, *(lane.limits for lane in self._lanes.values())]
            has_pace = any(one.requests_per_minute is not None for one in limits)
            self.finding = Finding(start=PLACES) if has_pace else Finding()
        self._found = found
        self._advance()

    def _has_sharing(self) -> bool:
        return any(lane.is_sharing for lane in self._lanes.values())

    def bind(self, bound: Bound | None) -> None:
        """Take the limits that bind this pool beside its own, such as `GLOBAL_LIMITER`'s."""
        self.admission = rebound(self.admission, bound, now=self.clock())
        self._apply()

    def advance(self) -> None:
        """Look again: something outside may have made room."""
        if self._ring or self._crowded or self._due:
            self._advance()

    # ------------------------------------------------------------------ admission

    @property
    def in_flight(self) -> int:
        """Requests admitted and not yet released."""
        return self.admission.in_flight

    def turns(self) -> Iterator[_Turn]:
        """Return all who wait, of every run."""
        return (turn for lane in self._lanes.values() for turn in (*lane.waiting, *lane.again))

    def reason(self, run: object = None) -> Holding:
        """Return what holds the next request of a run back; empty when none waits."""
        lane = self._lanes.get(run)
        if lane is None or not (lane.waiting or lane.again):
            return ""
        if self.breaker.is_open:
            return "breaker"
        if not lane.is_queued:
            return lane.reason
        reason, recovery = self.admission.reason, self._recovery
        return "recovery" if not reason and recovery is not None and recovery.is_full else reason

    @property
    def slots(self) -> int:
        """Requests that may be in flight at present, of all runs together."""
        places = self._places_in_all()
        return int(places if self._recovery is None else min(places, self._recovery.slots))

    def _places_in_all(self) -> float:
        lanes = self._lanes.values()
        places: float = sum(lane.limits.concurrency or 0 for lane in lanes)
        if self.finding is not None and self._has_sharing():
            places += self.finding.limit
        return min(self.admission.concurrency, places or DEFAULT_CONCURRENCY)

    def limits(self, run: object = None) -> Limits:
        """Return the limits that a run is held to: its own and the account's."""
        lane = self._lanes.get(run)
        limits = self.admission.limits
        return limits if lane is None else limits.within(lane.limits)

    def places(self, run: object = None) -> int:
        """Return how many requests of a run may be in flight at once."""
        named = self.limits(run).concurrency
        if named is not None:
            return named
        return DEFAULT_CONCURRENCY if self.finding is None else self.finding.limit

    def ahead_of(self, run: object) -> object | None:
        """Return the run that a run's next request stands behind; None where there is none.

        It stands behind another one where what both share holds it back: the account's limits,
        or its places.
        """
        lane = self._lanes.get(run)
        if lane is None or self.breaker.is_open or self.admission.reason == "pause":
            return None
        if not (lane.is_queued or lane in self._crowded):
            return None
        others = [one for one in self._lanes.values() if one is not lane]
        if self.reason(run) == "concurrency":
            others = [one for one in others if one.in_flight]
        else:
            others = [one for one in others if one.is_queued and (one.waiting or one.again)]
        if not others:
            return None
        return max(others, key=lambda one: len(one.waiting) + one.in_flight).run

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

    def is_throttled(self, run: object = None) -> bool:
        """Whether more than a free place is missing: a limit, a pause, or the target itself."""
        return self.breaker.is_open or self.reason(run) in ("requests", "tokens", "pause")

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
            on_wait: Told what it waits on; an exception set there ends the wait.
        """
        lane = self._lane(run)
        is_alone = not lane.waiting and not lane.again
        if is_alone and not self._ring:
            now = self.clock()
            if self._own_delay(lane, tokens, now) <= 0 and self._delay(tokens, now) <= 0:
                return self._enter(lane, tokens, now, row)
        future: asyncio.Future[Ticket] = asyncio.get_running_loop().create_future()
        turn = _Turn(future, tokens, is_movable, row, failures)
        if failures:
            lane.again.append(turn)
        elif is_first:
            lane.waiting.appendleft(turn)
        else:
            lane.waiting.append(turn)
        if is_alone or is_first or failures:
            # Others of its run wait before it otherwise, and nothing has changed for them.
            self._wake(lane, at_the_end=True)
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
                self._leave(lane)
            raise
        except LLMNBError:
            self._leave(lane)
            raise

    def _leave(self, lane: Lane) -> None:
        """Go on without a turn that was given up; it is dropped where it stands at the head."""
        self._wake(lane)
        self._advance()

    def _own_delay(self, lane: Lane, tokens: float, now: float) -> float:
        """Return the seconds until a run's own limits and places let such a request go."""
        if lane.is_held:
            lane.reason = ""
            return math.inf
        own = lane.admission
        if own is not None and (delay := own.wait(tokens, now)) > 0:
            lane.reason = own.reason
            return delay
        if lane.is_sharing and not self._has_place():
            lane.reason = "concurrency"
            return math.inf
        return 0.0

    def _has_place(self) -> bool:
        """Whether one of the places that are found by trying is free."""
        return self.finding is None or self._sharing < self.finding.limit

    def _delay(self, tokens: float, now: float) -> float:
        """Return the seconds until the account lets such a request go; infinity is "later"."""
        delay = self.admission.wait(tokens, now)
        if delay > 0:
            return delay
        if self.breaker.is_open:
            return self.breaker.wait(now)
        return math.inf if self._recovery is not None and self._recovery.is_full else 0.0

    def _enter(self, lane: Lane, tokens: float, now: float, row: Hashable) -> Ticket:
        """Take a place; whoever calls it knows that there is one."""
        is_probe = self.breaker.is_open
        if is_probe:
            self.breaker.may_send(now)  # takes the one probe there is
            # A probe that hangs is no reason to wait for those who may ask another target.
            asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._move_on)
        lane.in_flight += 1
        if lane.admission is not None:
            lane.admission.admit(tokens, now)
        self.admission.admit(tokens, now)
        self.learned.on_sent(tokens, now)
        finding, sequence = None, 0
        if lane.is_sharing:
            self._sharing += 1
            finding = self.finding
            if finding is not None:
                sequence = finding.on_start(self._sharing, now)
        recovery = self._recovery
        if recovery is not None:
            recovery.in_flight += 1
        # In the order of the fields: by name this costs twice as much.
        return Ticket(
            tokens, sequence, now, is_probe, False, row, recovery, lane, finding, lane.is_sharing
        )

    def release(self, ticket: Ticket, *, used: float, was_sent: bool) -> None:
        """Give a place back; the next in the queue is admitted at once."""
        lane = ticket.lane
        self.admission.release(reserved=ticket.reserved, used=used, was_sent=was_sent)
        if lane is not None:
            lane.in_flight -= 1
            if lane.admission is not None:
                lane.admission.release(reserved=ticket.reserved, used=used, was_sent=was_sent)
        if ticket.is_sharing:
            self._sharing -= 1
        if ticket.finding is not None:
            ticket.finding.on_end(ticket.sequence)
        if ticket.is_probe and not ticket.is_told:
            self.breaker.on_cancelled(self.clock())
        if lane is not None:
            if lane.waiting or lane.again:
                # Lanes without limits of their own are let in from `_crowded`, each in its turn.
                if lane.admission is not None and lane not in self._crowded:
                    self._wake(lane)
            elif not lane.in_flight and lane.run not in self._claims:
                self._lanes.pop(lane.run, None)
        if ticket.recovery is not None:
            ticket.recovery.in_flight -= 1
        if ticket.is_repeat:
            self._repeats -= 1
        if self._ring or self._crowded:
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

    # --------------------------------------------------------------- whose turn it is

    def _wake(self, lane: Lane, *, at_the_end: bool = False) -> None:
        """Look at a lane again that stood aside; it has waited, so it is the next."""
        if not lane.is_queued and (lane.waiting or lane.again):
            lane.is_queued = True
            self._crowded.pop(lane, None)
            (self._ring.append if at_the_end else self._ring.appendleft)(lane)

    def _on_timer(self) -> None:
        self._timer = None
        self._advance()

    def _advance(self) -> None:
        """Admit one of each run in turn as long as they may go; set the timer for the rest."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        ring, now = self._ring, self.clock()
        due = self._due
        while due and due[0][0] <= now:
            self._wake(heapq.heappop(due)[2])
        if self._crowded:
            self._let_in()
        soonest = math.inf
        while ring or (self._crowded and self._let_in()):
            lane = ring[0]
            if not lane.is_waiting():
                ring.popleft().is_queued = False
                continue
            place = 0
            if not self.breaker.is_open:
                queue = self._queue_of(lane)
            elif (delay := self.breaker.wait(now)) > 0:
                soonest = delay
                break
            else:
                lane, queue, place = self._draw()
            turn = queue[place]
            if (delay := self._own_delay(lane, turn.tokens, now)) > 0:
                ring.remove(lane)  # the first, but where a probe was drawn
                lane.is_queued = False
                self._stand_aside(lane, now + delay)
                continue
            if (delay := self._delay(turn.tokens, now)) > 0:
                soonest = delay  # everybody waits: a large request is not starved by small ones
                break
            del queue[place]
            ring.remove(lane)
            ring.append(lane)
            ticket = self._enter(lane, turn.tokens, now, turn.row)
            if queue is lane.again and lane.waiting:
                self._may_repeat = False
                self._repeats += 1
                ticket.is_repeat = True
            turn.future.set_result(ticket)
            now = self.clock()
        if due:
            soonest = min(soonest, max(0.0, due[0][0] - now))
        if soonest != math.inf:
            # Capped, so that a changed clock is noticed within a second.
            self._timer = asyncio.get_running_loop().call_later(min(soonest, 1.0), self._on_timer)

    def _queue_of(self, lane: Lane) -> deque[_Turn]:
        """Return those of a run whose turn it is: that have failed, or that have not."""
        if not lane.again:
            return lane.waiting
        if not lane.waiting:
            return lane.again
        may_repeat = self._may_repeat and self._repeats < MOST_REPEATS and self._recovery is None
        return lane.again if may_repeat else lane.waiting

    def _draw(self) -> tuple[Lane, deque[_Turn], int]:
        """Return the turn to probe with: of those that have failed least often, any."""
        lanes = [lane for lane in self._ring if lane.is_waiting()]
        if fresh := sum(len(lane.waiting) for lane in lanes):
            place = int(self._rand() * fresh)
            for lane in lanes:
                if place < len(lane.waiting):
                    is_gone = lane.waiting[place].future.done()
                    return lane, lane.waiting, 0 if is_gone else place
                place -= len(lane.waiting)
        again = [
            (lane, place, turn.failures)
            for lane in lanes
            for place, turn in enumerate(lane.again)
            if not turn.future.done()
        ]
        least = min(failures for _, _, failures in again)
        drawn = [(lane, place) for lane, place, failures in again if failures == least]
        lane, place = drawn[int(self._rand() * len(drawn))]
        return lane, lane.again, place

    def _stand_aside(self, lane: Lane, until: float) -> None:
        """Put a lane where it is found again once what holds it back is gone."""
        if until != math.inf:
            heapq.heappush(self._due, (until, next(self._order), lane))
        elif lane.reason == "concurrency" and lane.is_sharing:
            self._crowded[lane] = None

    def _let_in(self) -> bool:
        """Put as many crowded lanes into the ring as there are places; whether it holds any."""
        crowded = self._crowded
        free = len(crowded) if self.finding is None else self.finding.limit - self._sharing
        for lane in list(itertools.islice(crowded, max(0, free)))[::-1]:
            del crowded[lane]
            self._wake(lane)
        return bool(self._ring)

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
            if recovery.slots >= self._places_in_all():
                self._recovery = None
        if self.breaker.is_troubled:
            self.on_alive(ticket)
        if ticket.finding is not None:
            ticket.finding.on_success(ticket.sequence, seconds, self._sharing, now)
            self._take_over(ticket.finding)

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
        if ticket.finding is not None:
            ticket.finding.on_refusal(ticket.sequence, ticket.began, now)
            self._take_over(ticket.finding)
        self._note_barren(now)

    def _take_over(self, finding: Finding) -> None:
        """Keep to what was found."""
        if finding is self.finding and finding.per_minute != self._found:
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
        for turn in self.turns():
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
