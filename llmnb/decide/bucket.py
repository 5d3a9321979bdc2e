"""One rate limit as a bucket that refills steadily and may go into debt.

The level rises by `rate` a second up to `capacity`. Something of a given cost
may pass when the level holds it, or when the bucket is full and the cost is
larger than the bucket: then it passes alone and leaves a debt that later ones
wait for, so that nothing is too large to pass and the average still holds.
What was reserved is corrected once the true cost is known.

Nothing here depends on how many are waiting: every method is O(1).
"""

from __future__ import annotations

import math

BURST_SECONDS = 0.9
"""A server whose own burst is one second never sees more than it allows, with room for jitter."""

_EPSILON = 1e-9

_CLOCK_STEP = 1.0
"""Seconds; a time that lies further back than this means that the clock was set."""


class Bucket:
    """A limit of so many units a minute.

    Args:
        per_minute: Units that may pass in a minute; above 0.
        burst_seconds: How many seconds' worth may pass at once, but one unit at least.
        now: The time, in seconds of any steady clock.

    Example:
        >>> bucket = Bucket(60, now=0.0)
        >>> bucket.take(1, now=0.0)
        >>> bucket.wait(1, now=0.25)
        0.75
    """

    __slots__ = ("capacity", "level", "rate", "updated")

    def __init__(
        self, per_minute: float, *, burst_seconds: float = BURST_SECONDS, now: float
    ) -> None:
        if not per_minute > 0 or math.isinf(per_minute):
            raise ValueError(f"a rate is a finite number above 0, got {per_minute}")
        self.rate = per_minute / 60.0
        self.level = self.capacity = max(1.0, self.rate * burst_seconds)
        self.updated = now

    def _advance(self, now: float) -> None:
        elapsed = now - self.updated
        if elapsed > 0:
            self.level = min(self.capacity, self.level + elapsed * self.rate)
            self.updated = now
        elif elapsed < -_CLOCK_STEP:
            # A clock that was set back gives nothing and takes nothing; it counts from there.
            self.updated = now

    def wait(self, cost: float, now: float) -> float:
        """Return the seconds until something of this cost may pass; 0 is now."""
        if now != self.updated:
            self._advance(now)
        missing = min(cost, self.capacity) - self.level
        return 0.0 if missing <= _EPSILON else missing / self.rate

    def take(self, cost: float, now: float) -> None:
        """Let something of this cost pass; the level may fall below 0."""
        if now != self.updated:
            self._advance(now)
        self.level -= cost

    def give_back(self, amount: float) -> None:
        """Return what was taken too much; a negative amount takes the rest of what was used."""
        self.level = min(self.capacity, self.level + amount)

    def drain(self, now: float, owed: float = 0.0) -> None:
        """Note that a server has refused for it: nothing is left, whatever was believed.

        Args:
            now: The time.
            owed: What was taken for the refused request, and is given back later.
        """
        self._advance(now)
        self.level = min(self.level, -owed)

    def change_rate(
        self, per_minute: float, *, burst_seconds: float = BURST_SECONDS, now: float
    ) -> None:
        """Set another rate from now on; debts stay, a fuller level is cut to the new capacity."""
        self._advance(now)
        self.rate = per_minute / 60.0
        self.capacity = max(1.0, self.rate * burst_seconds)
        self.level = min(self.level, self.capacity)


class Period:
    """A count that begins anew when its period is over.

    Args:
        seconds: Length of the period.

    Example:
        >>> period = Period(60.0)
        >>> period.add(3, now=5.0, time_of_day=1_700_000_000.0)
        >>> period.add(-1, now=6.0, time_of_day=1_700_000_001.0)
        >>> period.read(now=7.0, time_of_day=1_700_000_002.0)
        (1700000000.0, 2.0)
        >>> period.read(now=65.0, time_of_day=1_700_000_060.0)
        (1700000060.0, 0.0)
    """

    __slots__ = ("_began", "_count", "_time_of_day", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._began: float | None = None
        self._time_of_day = 0.0
        self._count = 0.0

    def add(self, amount: float, *, now: float, time_of_day: float) -> None:
        """Count an amount; a negative one corrects what was counted too much.

        Args:
            amount: Requests or tokens.
            now: The time of a steady clock.
            time_of_day: The time of day.
        """
        if self._is_over(now):
            if amount <= 0:
                return  # it corrects a period that is over
            self._began, self._time_of_day, self._count = now, time_of_day, 0.0
        self._count = max(0.0, self._count + amount)

    def read(self, *, now: float, time_of_day: float) -> tuple[float, float]:
        """Return when the period began, by the time of day, and what it counted."""
        return (time_of_day, 0.0) if self._is_over(now) else (self._time_of_day, self._count)

    def _is_over(self, now: float) -> bool:
        return self._began is None or not 0 <= now - self._began < self.seconds
