"""Timers that fire when a test moves the time, in the test's own thread."""

from __future__ import annotations

from collections.abc import Callable


class HandTimers:
    """Makes timers as `threading.Timer` does; `advance` is the only clock they have."""

    def __init__(self) -> None:
        self._now = 0.0
        self._waiting: list[HandTimer] = []

    def __call__(self, seconds: float, act: Callable[[], None]) -> HandTimer:
        return HandTimer(self, self._now + seconds, act)

    def begin(self, timer: HandTimer) -> None:
        """Let a timer wait."""
        self._waiting.append(timer)

    def drop(self, timer: HandTimer) -> None:
        """Let a timer wait no more."""
        self._waiting = [other for other in self._waiting if other is not timer]

    def advance(self, seconds: float) -> None:
        """Move the time, and fire what is due."""
        self._now += seconds
        for timer in [timer for timer in self._waiting if timer.due <= self._now + 1e-9]:
            self.drop(timer)
            timer.act()


class HandTimer:
    """A timer of `HandTimers`."""

    daemon = False

    def __init__(self, timers: HandTimers, due: float, act: Callable[[], None]) -> None:
        self.due = due
        self.act = act
        self._timers = timers

    def start(self) -> None:
        """Begin to wait."""
        self._timers.begin(self)

    def cancel(self) -> None:
        """Never fire."""
        self._timers.drop(self)
