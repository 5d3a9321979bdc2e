"""How outcomes reach their reader: all kept in a list, or handed over in order and forgotten.

Both answer the same questions, so the run does not care which it has. A row is
*released* when it no longer counts against the run's window: at once where
all outcomes are kept anyway, and when the reader has taken it where they
stream, so that a run never gets further ahead of its reader than its window.
"""

from __future__ import annotations

import concurrent.futures
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from llmnb.records import Outcome


class Handover(Protocol):
    """Where a run puts its outcomes."""

    def open(self, rows: int) -> None:
        """Expect so many further rows."""

    def is_open(self, row: int) -> bool:
        """Whether a row still waits for its outcome."""

    def open_rows(self) -> list[int]:
        """Return the rows that still wait."""

    def put(self, outcome: Outcome) -> int:
        """Take a row's outcome; returns how many rows it releases."""


class Kept:
    """Keeps every outcome, by row."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome | None] = []

    def open(self, rows: int) -> None:
        """Expect so many further rows."""
        self.outcomes.extend([None] * rows)

    def is_open(self, row: int) -> bool:
        """Whether a row still waits for its outcome."""
        return self.outcomes[row] is None

    def open_rows(self) -> list[int]:
        """Return the rows that still wait."""
        return [row for row, outcome in enumerate(self.outcomes) if outcome is None]

    def put(self, outcome: Outcome) -> int:
        """Take a row's outcome."""
        self.outcomes[outcome.row] = outcome
        return 1


class Streamed:
    """Hands outcomes over in order, from the loop thread to one reading thread."""

    def __init__(self) -> None:
        self._rows = 0
        self._next = 0
        self._early: dict[int, Outcome] = {}
        self._due: deque[Outcome] = deque()
        self._changed = threading.Condition()

    def open(self, rows: int) -> None:
        """Expect so many further rows."""
        self._rows += rows

    def is_open(self, row: int) -> bool:
        """Whether a row still waits for its outcome."""
        return row >= self._next and row not in self._early

    def open_rows(self) -> list[int]:
        """Return the rows that still wait."""
        return [row for row in range(self._next, self._rows) if row not in self._early]

    def put(self, outcome: Outcome) -> int:
        """Take a row's outcome and make due what is complete up to a gap."""
        early, following = self._early, self._next
        early[outcome.row] = outcome
        if outcome.row == following:
            with self._changed:
                while (one := early.pop(following, None)) is not None:
                    self._due.append(one)
                    following += 1
                self._changed.notify()
            self._next = following
        return 0

    def wake(self) -> None:
        """Let the reader look again: the run has ended."""
        with self._changed:
            self._changed.notify()

    def read(
        self,
        done: concurrent.futures.Future[None],
        release: Callable[[int], object],
        *,
        slice_seconds: float,
        on_wait: Callable[[], None] | None,
    ) -> Iterator[Outcome]:
        """Yield outcomes in order until the run is done.

        Args:
            done: The run's end; its exception is raised here.
            release: Told how many rows were taken.
            slice_seconds: How long to wait at a time.
            on_wait: Called after every wait and every batch.
        """
        while True:
            with self._changed:
                if not self._due and not done.done():
                    self._changed.wait(slice_seconds)
                batch = list(self._due)
                self._due.clear()
            if batch:
                yield from batch
                release(len(batch))
            elif done.done():
                done.result()
                return
            if on_wait is not None:
                on_wait()
