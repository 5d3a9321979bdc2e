"""Whose turn it is in front of one target.

Each run waits in a lane of its own: first come first served within it, round robin between
lanes. A lane that its run's own limits hold back stands aside, where it is found again once
what holds it back is gone, and holds nobody else up.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from llmnb.decide.admission import Admission, Reason
from llmnb.decide.announced_limit import SentRequest
from llmnb.decide.breaker import SlowStart
from llmnb.decide.concurrency import Finding
from llmnb.records import Limits

_RUNS_REMEMBERED = 16
"""Ended runs whose own limits are remembered, for the next run with the same ones."""


@dataclass(slots=True, eq=False)
class Ticket:
    """One admitted request."""

    reserved: float
    """Tokens it was admitted with."""

    lane: Lane
    """The queue it came from."""

    sent: SentRequest
    """What the announced limits know of it."""

    began: float = 0.0
    row: Hashable = None
    """What tells its row from others."""

    is_probe: bool = False
    """Whether it is the one that tries whether a failing target has recovered."""

    recovery: SlowStart | None = None
    """The slow start that it takes a slot of."""

    is_sharing: bool = False
    """Whether it counts among the slots that are found by trying."""

    finding: Finding | None = None
    """What learns from it; None where its run or the account names the slots."""

    sequence: int = 0
    """Its number there."""

    level: int = 0
    """Requests in flight that share those slots as it was sent, itself included."""

    is_reported: bool = False
    """Whether the breaker knows how it ended."""

    is_excused: bool = False
    """Whether it failed by the fault of a target that was coming back from an outage."""

    is_repeat: bool = False
    """Whether its row had failed before."""

    in_flight: int = 0
    """Requests in flight as it was sent, itself included; counted during a slow start only."""


@dataclass(slots=True, eq=False)
class Turn:
    """One request that waits."""

    future: asyncio.Future[Ticket]
    tokens: float
    is_movable: bool
    row: Hashable = None
    failures: int = 0


@dataclass(slots=True, eq=False)
class Lane:
    """The requests of one run that wait at a gate, and the limits of that run alone."""

    run: object
    limits: Limits = field(default_factory=Limits)
    admission: Admission | None = None
    """None where the run has no limits of its own."""

    is_sharing: bool = True
    """Whether the run takes slots that are found by trying: it names no number itself."""

    is_paused: bool = False
    """Whether the person has paused the run."""

    is_queued: bool = False
    """Whether it stands in the ring of those that only the account can block."""

    in_flight: int = 0
    reason: Reason = ""
    waiting: deque[Turn] = field(default_factory=deque)
    again: deque[Turn] = field(default_factory=deque)
    """Rows that have failed and wait for another turn."""

    def is_waiting(self) -> bool:
        """Whether a turn waits; those at a head whose owner has left are dropped."""
        if self.waiting and not self.waiting[0].future.done():
            return True  # nearly always
        for queue in (self.waiting, self.again):
            while queue and queue[0].future.done():
                queue.popleft()
        return bool(self.waiting or self.again)


class Lanes:
    """The lanes of all runs, and the order in which they take turns."""

    def __init__(self) -> None:
        self.ring: deque[Lane] = deque()
        """Lanes that only the account can block, the one whose turn is next first."""

        self.by_run: dict[object, Lane] = {}
        self._left: dict[Limits, Admission] = {}
        """Limits of runs that have ended, so that the next one gets no fresh burst."""

        self.crowded: dict[Lane, None] = {}
        """Lanes that wait for one of the slots that are found by trying."""

        self.due: list[tuple[float, int, Lane]] = []
        """Lanes that a rate of their run holds back, as a heap by the time they may go."""

        self._order = itertools.count()
        self._seen = -math.inf
        """The time of the latest look while a rate blocked a lane."""

    # ---------------------------------------------------------------------- runs

    def of(self, run: object) -> Lane:
        """Return the lane of a run, a new one where it has none."""
        lane = self.by_run.get(run)
        if lane is None:
            lane = self.by_run[run] = Lane(run)
        return lane

    def change(self, run: object, limits: Limits, *, now: float) -> Lane:
        """Hold a run to limits of its own; those of an ended run like it go on."""
        lane = self.of(run)
        lane.limits = limits
        lane.is_sharing = limits.concurrency is None
        if lane.admission is None:
            lane.admission = self._left.pop(limits, None)
        if lane.admission is not None:
            lane.admission.change(limits, now=now)
        elif limits != Limits():
            lane.admission = Admission(limits, now=now)
            lane.admission.in_flight = lane.in_flight
        if lane.admission is not None and lane.is_sharing:
            lane.admission.concurrency = math.inf
        return lane

    def forget(self, run: object) -> None:
        """Drop the lane of an ended run and remember how far its limits were used."""
        lane = self.by_run.pop(run, None)
        if lane is not None and lane.admission is not None:
            if len(self._left) >= _RUNS_REMEMBERED:
                del self._left[next(iter(self._left))]
            self._left[lane.limits] = lane.admission

    def wake_heir(self, admission: Admission) -> None:
        """Wake the run that took over an ended run's limits, whose requests hold its slots."""
        for heir in self.by_run.values():
            if heir.admission is admission:
                self.wake(heir)

    # ------------------------------------------------------------- whose turn it is

    def busiest_beside(self, lane: Lane, *, is_sending: bool) -> object | None:
        """Return the run with most to do of the others; None where no other is in the way.

        Args:
            lane: The run that asks.
            is_sending: Whether those with requests in flight are in its way, else those whose
                turn may come before its own.
        """
        others = [
            other
            for other in self.by_run.values()
            if other is not lane
            and (other.in_flight if is_sending else other.is_queued and other.is_waiting())
        ]
        if not others:
            return None
        return max(others, key=lambda other: len(other.waiting) + other.in_flight).run

    def wake(self, lane: Lane, *, at_the_end: bool = False) -> None:
        """Put a lane that stood aside back into the ring: first, since it has waited."""
        if not lane.is_queued and (lane.waiting or lane.again):
            lane.is_queued = True
            self.crowded.pop(lane, None)
            (self.ring.append if at_the_end else self.ring.appendleft)(lane)

    def wake_due(self, now: float) -> None:
        """Put lanes whose rate allows a request by now back into the ring."""
        due = self.due
        is_set_back = now < self._seen
        self._seen = now
        while due and (due[0][0] <= now or is_set_back):
            # Of a clock that was set back nobody knows how far: the rates themselves are asked.
            self.wake(heapq.heappop(due)[2])

    def leave_ring(self, lane: Lane) -> None:
        """Take a lane out of the ring."""
        self.ring.remove(lane)  # the first, but where a probe was drawn
        lane.is_queued = False

    def take(self, lane: Lane, queue: deque[Turn], index: int) -> None:
        """Take a turn out of its queue; its lane comes last from now on."""
        del queue[index]
        self.ring.remove(lane)
        self.ring.append(lane)

    def stand_aside(self, lane: Lane, delay: float, now: float) -> None:
        """Put a lane where it is found again once what holds it back is gone.

        Args:
            lane: The lane.
            delay: Seconds until a rate of its run lets it go; infinity where that is not known.
            now: The time.
        """
        if delay != math.inf:
            self._seen = now
            heapq.heappush(self.due, (now + delay, next(self._order), lane))
        elif lane.reason == "concurrency" and lane.is_sharing:
            self.crowded[lane] = None

    def let_in(self, free: float) -> bool:
        """Put a crowded lane into the ring for each free slot; return whether it holds any."""
        crowded = self.crowded
        if crowded:
            many = int(max(0, min(free, len(crowded))))
            for lane in list(itertools.islice(crowded, many))[::-1]:
                del crowded[lane]
                self.wake(lane)
        return bool(self.ring)

    def draw(self, rand: Callable[[], float]) -> tuple[Lane, deque[Turn], int]:
        """Return the turn to probe with: of those that have failed least often, any.

        Args:
            rand: Uniform numbers in [0, 1).
        """
        lanes = [lane for lane in self.ring if lane.is_waiting()]
        if fresh := sum(len(lane.waiting) for lane in lanes):
            index = int(rand() * fresh)
            for lane in lanes:
                if index < len(lane.waiting):
                    is_gone = lane.waiting[index].future.done()
                    return lane, lane.waiting, 0 if is_gone else index
                index -= len(lane.waiting)
        again = [
            (lane, index, turn.failures)
            for lane in lanes
            for index, turn in enumerate(lane.again)
            if not turn.future.done()
        ]
        least = min(failures for _, _, failures in again)
        drawn = [(lane, index) for lane, index, failures in again if failures == least]
        lane, index = drawn[int(rand() * len(drawn))]
        return lane, lane.again, index
