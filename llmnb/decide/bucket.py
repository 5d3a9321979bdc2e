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
