"""A pause: something is done once nothing has been heard for a moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class Pause:
    """Calls `act` once nothing has begun anew for so many seconds.

    Args:
        act: What to do, on a thread of the timer's.
        seconds: How long nothing must have happened.
        timer: What waits, as `threading.Timer` does; another one where time is faked.
    """

    def __init__(
        self, act: Callable[[], None], seconds: float, timer: Callable[..., Any] = threading.Timer
    ) -> None:
        self._act = act
        self._seconds = seconds
        self._make = timer
        self._timer: Any = None
        self._acting = 0
        self._lock = threading.Lock()

    @property
    def is_pending(self) -> bool:
        """Whether it acts just now, or will if nothing else happens."""
        return self._timer is not None or self._acting > 0

    @property
    def is_waiting(self) -> bool:
        """Whether it will act, also on what happens from now on."""
        return self._timer is not None

    def begin(self, seconds: float | None = None) -> None:
        """Wait from now on, whatever was waited for.

        Args:
            seconds: How long this time; None: as long as always.
        """
        with self._lock:
            self._drop()

            def due() -> None:
                with self._lock:
                    if self._timer is not timer:  # begun anew in the very moment
                        return
                    self._timer = None
                    self._acting += 1
                try:
                    self._act()
                finally:
                    with self._lock:
                        self._acting -= 1

            timer = self._timer = self._make(self._seconds if seconds is None else seconds, due)
            timer.daemon = True
            timer.start()

    def cancel(self) -> None:
        """Do nothing."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
