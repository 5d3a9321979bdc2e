"""A server that announces its limits, and a client that keeps to them: a queue of events.

The server counts at arrival and shares no code with `llmnb.decide`. Hours pass in
milliseconds, and every run with the same seed is the same run.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from llmnb.decide.announced_limits import AnnouncedLimits
from llmnb.records import LimitReport


class Bucket:
    """A limit that flows back steadily."""

    def __init__(self, per_minute: float, capacity: float, level: float | None = None) -> None:
        self.per_minute = per_minute
        self.capacity = capacity
        self.level = capacity if level is None else level
        self.updated = 0.0

    def flow(self, now: float) -> None:
        gained = (now - self.updated) * self.per_minute / 60
        self.level = min(self.capacity, self.level + max(0.0, gained))
        self.updated = max(now, self.updated)

    def admits(self, now: float, cost: float) -> bool:
        self.flow(now)
        if self.level < min(cost, self.capacity) - 1e-9:
            return False
        self.level -= cost
        return True

    def wait(self, cost: float) -> float:
        return max(0.0, (min(cost, self.capacity) - self.level) * 60 / self.per_minute)

    def standing(self, now: float) -> tuple[float, float]:
        """Return what is left, rounded down, and the seconds until it is full."""
        self.flow(now)
        return max(0.0, math.floor(self.level + 1e-9)), (
            self.capacity - self.level
        ) * 60 / self.per_minute


class Window:
    """A limit that is whole again at fixed moments."""

    def __init__(self, limit: float, seconds: float = 60.0, phase: float = 0.0) -> None:
        self.per_minute = limit * 60 / seconds
        self.capacity = self.level = float(limit)
        self.seconds = seconds
        self.ends = phase or seconds

    def flow(self, now: float) -> None:
        while now >= self.ends:
            self.ends += self.seconds
            self.level = self.capacity
        self._now = now

    def admits(self, now: float, cost: float) -> bool:
        self.flow(now)
        if self.level < cost:
            return False
        self.level -= cost
        return True

    def wait(self, cost: float) -> float:
        return self.ends - self._now

    def standing(self, now: float) -> tuple[float, float]:
        self.flow(now)
        return max(0.0, math.floor(self.level)), self.ends - now


Limit = Bucket | Window
Tell = Callable[[Limit, float], tuple[LimitReport, ...]]


def as_it_is(limit: Limit, now: float) -> tuple[LimitReport, ...]:
    """Tell the truth, as OpenAI does."""
    left, reset = limit.standing(now)
    announced = limit.capacity if isinstance(limit, Window) else limit.per_minute
    period = limit.seconds if isinstance(limit, Window) else 60.0
    return (LimitReport("requests", announced, left, round(reset + 0.0005, 3), period, 1.0, 0.001),)


@dataclass
class Server:
    """What the clients meet."""

    limit: Limit
    tell: Tell = as_it_is
    hidden: tuple[Limit, ...] = ()
    """Limits that are told nowhere."""

    others: list[float] = field(default_factory=list)
    """When other clients' requests come, in order."""

    others_passed: int = 0

    def flow(self, now: float) -> None:
        while self.others and self.others[0] <= now:
            self.others_passed += self._admits(self.others.pop(0), 1.0)
        self.limit.flow(now)

    def _admits(self, now: float, cost: float) -> bool:
        for limit in (self.limit, *self.hidden):
            limit.flow(now)
        if any(
            limit.level < min(cost, limit.capacity) - 1e-9 for limit in (self.limit, *self.hidden)
        ):
            return False
        for limit in (self.limit, *self.hidden):
            limit.admits(now, cost)
        return True

    def serve(self, now: float) -> tuple[bool, tuple[LimitReport, ...], float]:
        """Return whether a request passes, what the reply tells, and how long to wait."""
        self.flow(now)
        passes = self._admits(now, 1.0)
        wait = 0.0 if passes else max(limit.wait(1.0) for limit in (self.limit, *self.hidden))
        return passes, self.tell(self.limit, now), wait


@dataclass
class Asked:
    """What became of a run."""

    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)
    worst: float = -math.inf
    """The most by which the allowance was above what the server had, less what was under way."""

    doubts: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def refused_share(self, since: float = 0.0) -> float:
        refused = sum(moment > since for moment in self.refused)
        return refused / max(1, refused + sum(moment > since for moment in self.answered))


def ask(
    server: Server,
    *,
    rows: int,
    clients: int = 1,
    known: int = 1,
    at_once: int = 64,
    latency: Callable[[random.Random], float] = lambda dice: 0.5,
    travel: Callable[[random.Random], float] = lambda dice: 0.0,
    refusal_latency: float = 0.01,
    seed: int = 0,
    burst: str = "announced",
    is_watched: bool = False,
    clock: Callable[[float], float] = lambda now: now,
    lost: float = 0.0,
    longest: float = 10_000.0,
    make: Callable[[], AnnouncedLimits] | None = None,
) -> Asked:
    """Ask so many rows and return what became of them.

    Args:
        server: Who answers.
        rows: Of all clients together.
        clients: Processes that share the account.
        known: How many each of them knows of.
        at_once: Requests of one client in flight at most.
        latency: Draws how long an answer takes, from its arrival.
        travel: Draws how long a request is on its way.
        refusal_latency: How long a refusal takes.
        seed: Of the dice.
        burst: As people say it.
        is_watched: Whether the allowance is compared with the server's own figure at each step.
        clock: What the clients' clocks show.
        lost: The part of replies that never come; after a minute they count as lost.
        longest: Seconds after which a run that is not done has failed.
        make: Makes a client's limits.
    """
    dice, asked = random.Random(seed), Asked()
    events: list = []
    order = itertools.count()
    all_limits = [make() if make else AnnouncedLimits(burst) for _ in range(clients)]
    for limits in all_limits:
        limits.on_processes(known)
    paused, due = [-math.inf] * clients, [-1.0] * clients
    unanswered: dict[int, float] = {}
    waiting, now = rows, 0.0

    def push(when: float, *what) -> None:
        heapq.heappush(events, (when, next(order), *what))

    def watch(who: int) -> None:
        for limit in all_limits[who].by_kind.values():
            if limit.has_reset and not all_limits[who].distrust:
                server.flow(now)
                true = server.limit.level - len(unanswered)
                asked.worst = max(asked.worst, limit.allowance(clock(now)) - true)

    def fill(who: int) -> None:
        nonlocal waiting
        limits = all_limits[who]
        while waiting and limits.in_flight < at_once:
            if now < paused[who]:
                delay = paused[who] - now
            else:
                if is_watched:
                    watch(who)
                delay = limits.wait(clock(now))
            assert 0 <= delay <= math.inf, delay
            if delay > 0:
                delay = min(delay, 1.0)
                if not now < due[who] <= now + delay:
                    due[who] = now + delay
                    push(due[who], "look", who, None, None)
                return
            waiting -= 1
            request = limits.on_sent(clock(now))
            asked.sent.append(now)
            unanswered[id(request)] = now
            push(now + travel(dice), "arrive", who, request, None)

    for who in range(clients):
        fill(who)
    while events and len(asked.answered) < rows:
        now, _, kind, who, request, reply = heapq.heappop(events)
        assert now < longest, f"{len(asked.answered)} of {rows} after {now:.0f} s"
        limits = all_limits[who]
        if kind == "arrive":
            unanswered.pop(id(request))
            passes, report, wait = server.serve(now)
            if passes and dice.random() < lost:
                push(now + 60.0, "lost", who, request, None)
            else:
                seconds = latency(dice) if passes else refusal_latency
                push(now + seconds, "reply", who, request, (passes, report, wait))
            continue
        if kind == "reply":
            passes, report, wait = reply
            limits.on_reply(request, report, clock(now), is_refused=not passes)
            limits.on_end(request)
            if passes:
                asked.answered.append(now)
            else:
                asked.refused.append(now)
                waiting += 1
                if now + wait > paused[who]:
                    if now >= paused[who]:
                        limits.on_pause()
                    paused[who] = now + wait
        elif kind == "lost":
            limits.on_end(request)
            waiting += 1
        fill(who)
        if kind == "lost" or (kind == "reply" and not reply[0]):
            for other in range(clients):  # one more row waits
                fill(other)
    asked.seconds = now
    asked.doubts = [limits.distrust for limits in all_limits]
    assert len(asked.answered) == rows, f"{len(asked.answered)} of {rows} at {now}"
    return asked
