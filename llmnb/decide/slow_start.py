"""How the load comes back to a target that has just recovered.

Everything that waited would go at once, and a server that has just come back
would fall over again. So one request goes first, and each success makes room
for one more: the number in flight doubles with every round of replies. Between
half of what was in flight when the target failed and all of that it grows by
one a round, and beyond it faster again. A failure halves it, once a round.

What was sent after the last failure and before the target was known to have
recovered counts as well: so many at once were served already.

Source:
    Slow start and congestion avoidance: V. Jacobson, *Congestion Avoidance and
    Control*, SIGCOMM 1988.
"""

from __future__ import annotations

import math


class SlowStart:
    """The number of slots of a recovering target.

    Args:
        level: Requests that were in flight when the target failed.
        since: When the latest request was sent of those that failed.

    Example:
        >>> start = SlowStart(level=8, since=0.0)
        >>> for _ in range(3):
        ...     start.on_success(sent_at=0.5)
        >>> start.slots
        4
        >>> start.on_failure(began=1.0, now=2.0)
        >>> start.slots
        2
    """

    __slots__ = ("_cut_at", "_level", "_since", "_slots", "in_flight")

    def __init__(self, level: float, *, since: float) -> None:
        self.in_flight = 0
        """Requests in flight that were sent since the target recovered."""

        self._slots = 1.0
        self._level = level
        self._since = since
        self._cut_at = -math.inf

    @property
    def slots(self) -> int:
        """Requests that may be in flight."""
        return int(self._slots + 1e-9)  # ten tenths are one

    @property
    def is_full(self) -> bool:
        """Whether the next request waits until one ends."""
        return self.in_flight >= self.slots

    def on_success(self, *, sent_at: float) -> None:
        """Make room for one more, or for a part of one near the level at which it failed.

        What was sent no later than what has failed is older news and makes no room.
        """
        if sent_at <= self._since:
            return
        is_near = self._level / 2 <= self._slots < self._level
        self._slots += 1.0 / self.slots if is_near else 1.0

    def on_failure(self, *, began: float, now: float) -> None:
        """Halve the slots; what was sent before the last cut is the same news."""
        if began >= self._cut_at:
            self._level = self._slots
            self._slots = max(1.0, self._slots / 2)
            self._cut_at = now
