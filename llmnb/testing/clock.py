"""A clock that only moves when a test moves it."""

from __future__ import annotations


class ManualClock:
    """Stand in for `time.monotonic` in limits, outages and ledger times.

    Latencies are real waits and do not follow it; leave them at 0 with it.

    Args:
        now: What it shows at first, in seconds.

    Example:
        >>> clock = ManualClock()
        >>> clock.advance(1.5)
        >>> clock()
        1.5
    """

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the time it shows."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Move the hands forward."""
        self.now += seconds
