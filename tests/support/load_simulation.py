"""A client that keeps as many requests in flight as it is allowed, against servers with a secret.

Pure arithmetic on a queue of events: hours pass in milliseconds, and every
run with the same seed is the same run.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from llmnb.decide.bucket import Bucket


class Server(Protocol):
    """What a request meets."""

    def admits(self, now: float, serving: int) -> bool:
        """Whether it takes a request while it serves so many others."""

    def slowdown(self, serving: int) -> float:
        """How many times as long a request takes while so many are served, itself included."""


@dataclass
class Places:
    """Refuses whoever comes while all its places are taken."""

    places: int

    def admits(self, now: float, serving: int) -> bool:
        return serving < self.places

    def slowdown(self, serving: int) -> float:
        return 1.0


@dataclass
class Crowded:
    """Refuses nobody; with more requests than places everybody waits in proportion."""

    places: int

    def admits(self, now: float, serving: int) -> bool:
        return True

    def slowdown(self, serving: int) -> float:
        return max(1.0, serving / self.places)


@dataclass
class Metered:
    """Refuses whoever comes when its bucket is empty."""

    per_minute: float
    burst_seconds: float
    level: float = field(init=False)
    updated: float = 0.0

    def __post_init__(self) -> None:
        self.level = max(1.0, self.per_minute / 60 * self.burst_seconds)

    def admits(self, now: float, serving: int) -> bool:
        full = max(1.0, self.per_minute / 60 * self.burst_seconds)
        self.level = min(full, self.level + (now - self.updated) * self.per_minute / 60)
        self.updated = now
        if self.level < 1:
            return False
        self.level -= 1
        return True

    def slowdown(self, serving: int) -> float:
        return 1.0


@dataclass
class Unlucky:
    """Refuses some by chance, and of the others those that another server refuses."""

    server: Server
    share: float
    dice: random.Random = field(default_factory=lambda: random.Random(1))

    def admits(self, now: float, serving: int) -> bool:
        return self.dice.random() >= self.share and self.server.admits(now, serving)

    def slowdown(self, serving: int) -> float:
        return self.server.slowdown(serving)


class Fixed:
    """The controller that knows: a number of places that never changes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def on_start(self) -> int:
        return 0

    def on_success(
        self, sequence: int, level: int, seconds: float, in_flight: int, now: float
    ) -> None:
        pass

    def on_refusal(self, sequence: int, level: int, sent_at: float, now: float) -> None:
        pass


@dataclass
class Load:
    """What became of a run."""

    answered: list[float] = field(default_factory=list)
    """When each answer came."""

    refused: list[float] = field(default_factory=list)
    """When each refusal came."""

    limits: list[int] = field(default_factory=list)
    """The controller's limit at each answer."""

    @property
    def refused_share(self) -> float:
        """Refusals among all requests."""
        return len(self.refused) / (len(self.refused) + len(self.answered))

    def rate(self, first: int, last: int | None = None) -> float:
        """Return the answers a second from one answer to another."""
        times = self.answered[first:last]
        return (len(times) - 1) / (times[-1] - times[0])


def simulate(
    controller,
    server: Server,
    *,
    answers: int,
    seconds: Callable[[random.Random], float] = lambda dice: 1.0,
    refusal_seconds: float = 0.05,
    pause: Callable[[random.Random], float] = lambda dice: 0.0,
    seed: int = 0,
    on_answer: Callable[[int, Server], None] | None = None,
) -> Load:
    """Run until so many answers have come.

    Args:
        controller: What decides how many are in flight.
        server: What they meet.
        answers: Answers until the end.
        seconds: Draws how long an answer takes.
        refusal_seconds: How long a refusal takes.
        pause: Draws how long nothing is sent after a refusal.
        seed: Of the dice.
        on_answer: Called with the number of answers; it may change the server.
    """
    dice, load = random.Random(seed), Load()
    bucket: Bucket | None = None
    events: list[tuple[float, int, str, int, int, float]] = []
    now = paused_until = due = 0.0
    in_flight = serving = count = 0

    def push(time: float, kind: str, sequence: int = 0, level: int = 0, began: float = 0.0) -> None:
        nonlocal count
        count += 1
        heapq.heappush(events, (time, count, kind, sequence, level, began))

    def delay() -> float:
        """Return how long the controller's pace holds the next request back."""
        nonlocal bucket
        pace = getattr(controller, "per_minute", None)
        if pace is None:
            return 0.0
        if bucket is None:
            bucket = Bucket(pace, now=now)
        bucket.change_rate(pace, now=now)
        return bucket.wait(1.0, now)

    def fill() -> None:
        nonlocal in_flight, serving, due
        while now >= paused_until and in_flight < controller.limit:
            if (wait := delay()) > 0:
                if not now < due < now + wait + 1e-9:
                    due = now + wait
                    push(due, "go on")
                return
            if bucket is not None:
                bucket.take(1.0, now)
            in_flight += 1
            sent = controller.on_start(), in_flight, now
            if server.admits(now, serving):
                serving += 1
                push(now + seconds(dice) * server.slowdown(serving), "answer", *sent)
            else:
                push(now + refusal_seconds, "refusal", *sent)

    fill()
    while len(load.answered) < answers:
        now, _, kind, sequence, level, began = heapq.heappop(events)
        if kind == "answer":
            controller.on_success(sequence, level, now - began, in_flight, now)
            in_flight -= 1
            serving -= 1
            load.answered.append(now)
            load.limits.append(controller.limit)
            if on_answer is not None:
                on_answer(len(load.answered), server)
        elif kind == "refusal":
            controller.on_refusal(sequence, level, began, now)
            in_flight -= 1
            load.refused.append(now)
            wait = pause(dice)
            if wait > 0:
                paused_until = max(paused_until, now + wait)
                push(paused_until, "go on")
        fill()
    return load


def lognormal(median: float, sigma: float) -> Callable[[random.Random], float]:
    """Return draws of which half lie below the median."""
    return lambda dice: median * math.exp(dice.gauss(0.0, sigma))
