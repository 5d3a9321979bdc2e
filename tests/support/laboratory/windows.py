"""How much fell into any window of time, found in one walk over the events."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What one stretch of time held, against what it may hold."""

    start: float
    """When it begins, on the events' clock."""

    seconds: float
    """How long it is."""

    amount: float
    """What fell into it."""

    allowed: float
    """What may fall into it."""

    @property
    def is_within(self) -> bool:
        """Whether no more fell into it than may."""
        return self.amount <= self.allowed


def worst_window(
    times: Sequence[float],
    weights: Sequence[float] | None = None,
    *,
    rate: float,
    burst: float,
    slack: float = 1.0,
    shortest: float = 0.1,
    longest: float = 60.0,
) -> Window | None:
    """Return the window that passes what a limit allows by most, or stays below it by least.

    A window of t seconds may hold ``rate * (t + burst) * slack``. All windows
    between two events with `shortest` ≤ t ≤ `longest` are looked at, each end
    included, in time that grows with the number of events only.

    Args:
        times: When the events happened, ascending.
        weights: What each counts; None counts each as 1.
        rate: Units a second.
        burst: Seconds' worth that may come at once.
        slack: Factor for rounding and jitter.
        shortest: Least window, in seconds.
        longest: Largest window, in seconds.

    Returns:
        The worst window, or None without events.

    Example:
        >>> worst_window([0.0, 0.0, 0.0, 9.0], rate=1.0, burst=1.0).is_within
        False
        >>> worst_window([0.0, 1.0, 2.0, 3.0], rate=1.0, burst=1.0).is_within
        True
    """
    sums = [0.0]
    for index in range(len(times)):
        sums.append(sums[-1] + (1.0 if weights is None else weights[index]))
    pace = rate * slack
    worst: tuple[float, int, int] | None = None
    near = 0  # first event closer than `shortest` to the current one
    far: deque[int] = deque()  # candidates for the start, best first
    for last, time in enumerate(times):
        while time - times[near] >= shortest:
            gain = pace * times[near] - sums[near]
            while far and gain >= pace * times[far[-1]] - sums[far[-1]]:
                far.pop()
            far.append(near)
            near += 1
        while far and time - times[far[0]] > longest:
            far.popleft()
        for first in (near, far[0]) if far else (near,):
            length = max(shortest, time - times[first])
            excess = sums[last + 1] - sums[first] - pace * (length + burst)
            if worst is None or excess > worst[0]:
                worst = (excess, first, last)
    if worst is None:
        return None
    _, first, last = worst
    length = max(shortest, times[last] - times[first])
    return Window(
        start=times[first],
        seconds=length,
        amount=sums[last + 1] - sums[first],
        allowed=pace * (length + burst),
    )
