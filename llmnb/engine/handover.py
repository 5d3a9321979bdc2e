"""How outcomes reach their reader: all kept in a list, or streamed and forgotten.

`OutcomeList` and `OutcomeStream` take outcomes in the same way, so the run need not know which it
has. A row is *released* when it no longer counts against the run's window: at once if all outcomes
are kept, and after the reader has taken it if they are streamed. So a run never gets further ahead
of its reader than its window.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator

from llmnb.records import Outcome


class OutcomeList:
    """Keeps every outcome, by row."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome | None] = []

    def open(self, rows: int) -> None:
        """Expect this many further rows."""
        self.outcomes.extend([None] * rows)

    def is_open(self, row: int) -> bool:
        """Return whether a row still waits for its outcome."""
        return self.outcomes[row] is None

    def open_rows(self) -> list[int]:
        """Return the rows that still wait for their outcomes."""
        return [row for row, outcome in enumerate(self.outcomes) if outcome is None]

    def put(self, outcome: Outcome) -> int:
        """Store a row's outcome; return how many rows that releases."""
        self.outcomes[outcome.row] = outcome
        return 1


class OutcomeStream:
    """Hands outcomes over from the loop thread to one reader: another thread, or any loop's task.

    Args:
        in_order: Whether they come in the order of the rows; else as soon as they are ready.
    """

    def __init__(self, *, in_order: bool = True) -> None:
        self._in_order = in_order
        self._rows = 0
        self._next = 0
        """In order: the row that is handed over next."""

        self._open: set[int] = set()
        self._early: dict[int, Outcome] = {}
        """In order: outcomes that wait for an earlier row's, by row."""

        self._due: deque[Outcome] = deque()
        """Outcomes for the reader to take."""

        self._changed = threading.Condition()
        self._wake_task: Callable[[], None] | None = None
        """Wakes the task in `aread`; None while there is none."""

    def open(self, rows: int) -> None:
        """Expect this many further rows."""
        self._open.update(range(self._rows, self._rows + rows))
        self._rows += rows

    def is_open(self, row: int) -> bool:
        """Return whether a row still waits for its outcome."""
        return row in self._open

    def open_rows(self) -> list[int]:
        """Return the rows that still wait for their outcomes."""
        return sorted(self._open)

    def put(self, outcome: Outcome) -> int:
        """Take a row's outcome, and hand over what the reader may have now.

        In order, that is every outcome up to the first row that still has none. Returns 0: rows
        are released when they are read.
        """
        self._open.discard(outcome.row)
        if not self._in_order:
            self._hand_over([outcome])
            return 0
        early = self._early
        early[outcome.row] = outcome
        complete = []
        while (following := early.pop(self._next, None)) is not None:
            complete.append(following)
            self._next += 1
        if complete:
            self._hand_over(complete)
        return 0

    def _hand_over(self, outcomes: list[Outcome]) -> None:
        with self._changed:
            self._due.extend(outcomes)
        self.wake()

    def wake(self) -> None:
        """Make the reader look again for outcomes and for the run's end."""
        with self._changed:
            self._changed.notify()
            if self._wake_task is not None:
                self._wake_task()

    def _taken(self) -> list[Outcome]:
        """Remove and return the outcomes that are due; the caller holds the lock."""
        batch = list(self._due)
        self._due.clear()
        return batch

    def read(
        self,
        done: concurrent.futures.Future[None],
        release: Callable[[int], object],
        *,
        slice_seconds: float,
        on_wait: Callable[[], None] | None,
    ) -> Iterator[Outcome]:
        """Yield outcomes until the run has ended and all of them were taken.

        Args:
            done: Is done when the run has ended; its exception is raised here, after the last
                outcome.
            release: Called after each batch of outcomes, with their number.
            slice_seconds: How long to wait at a time.
            on_wait: Called after every wait and every batch.
        """
        while True:
            with self._changed:
                if not self._due and not done.done():
                    self._changed.wait(slice_seconds)
                # Asked before the outcomes are taken: what comes until the end is among them.
                has_ended = done.done()
                batch = self._taken()
            if batch:
                yield from batch
                release(len(batch))
            elif has_ended:
                done.result()
                return
            if on_wait is not None:
                on_wait()

    async def aread(
        self, done: concurrent.futures.Future[None], release: Callable[[int], object]
    ) -> AsyncIterator[Outcome]:
        """Yield outcomes as `read` does, to a task on any event loop.

        Args:
            done: Is done when the run has ended; its exception is raised here, after the last
                outcome.
            release: Called on the task's loop after each batch of outcomes, with their number.
        """
        loop, woken = asyncio.get_running_loop(), asyncio.Event()

        def wake_task() -> None:
            try:
                loop.call_soon_threadsafe(woken.set)
            except RuntimeError:  # the task's loop was closed, so nobody reads any more
                self._wake_task = None

        self._wake_task = wake_task
        try:
            while True:
                woken.clear()  # before looking, so that no later outcome goes unnoticed
                with self._changed:
                    has_ended = done.done()  # before the outcomes are taken, as in `read`
                    batch = self._taken()
                for outcome in batch:
                    yield outcome
                if batch:
                    release(len(batch))
                elif has_ended:
                    done.result()
                    return
                else:
                    await woken.wait()
        finally:
            self._wake_task = None


Handover = OutcomeList | OutcomeStream
"""What a run hands its outcomes to."""
