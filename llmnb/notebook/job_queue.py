"""Jobs that a widget does one after the other, on a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

logger = logging.getLogger("llmnb")


class JobQueue:
    """Does one job after another on a thread, which ends when there is none left.

    The thread is a daemon: a long job keeps no process alive.
    """

    def __init__(self) -> None:
        self._jobs: deque[tuple[str, Callable[[], None]]] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def put(self, job: Callable[[], None], *, only: str = "") -> None:
        """Take a job.

        Args:
            job: What to do.
            only: A name; jobs of that name which have not begun are dropped.
        """
        with self._changed:
            if only:
                self._jobs = deque(waiting for waiting in self._jobs if waiting[0] != only)
            self._jobs.append((only, job))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="llmnb-jobs", daemon=True)
                self._thread.start()

    def wait(self, timeout: float) -> bool:
        """Wait until everything taken so far is done; at once where a job itself asks."""
        with self._changed:
            if self._thread is threading.current_thread():
                return False
            return self._changed.wait_for(lambda: self._thread is None, timeout)

    def _work(self) -> None:
        while True:
            with self._changed:
                if not self._jobs:
                    self._thread = None
                    self._changed.notify_all()
                    return
                _, job = self._jobs.popleft()
            try:
                job()
            except Exception:
                logger.exception("a job of a widget failed; please report this")
