"""How much of a limit was used in its current period, which begins with its first use."""

from __future__ import annotations


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
