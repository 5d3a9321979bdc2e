"""How outcomes reach their reader: all kept in a list, or handed over and forgotten.

Both answer the same questions, so the run does not care which it has. A row is
*released* when it no longer counts against the run's window: at once where
all outcomes are kept anyway, and when the reader has taken it where they
stream, so that a run never gets further ahead of its reader than its window.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator

from llmnb.records import Outcome


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
    """Hands outcomes over from the loop thread to one reader, a thread or a task of another loop.

    Args:
        in_order: Whether they come in the order of the rows, or as they are ready.
    """

    def __init__(self, *, in_order: bool = True) -> None:
        self._in_order = in_order
        self._rows = 0
        self._next = 0
        self._open: set[int] = set()
        self._early: dict[int, Outcome] = {}
        self._due: deque[Outcome] = deque()
        self._changed = threading.Condition()
        self._stir: Callable[[], None] | None = None
        """Wakes a reading task."""

    def open(self, rows: int) -> None:
        """Expect so many further rows."""
        self._open.update(range(self._rows, self._rows + rows))
        self._rows += rows

    def is_open(self, row: int) -> bool:
        """Whether a row still waits for its outcome."""
        return row in self._open

    def open_rows(self) -> list[int]:
        """Return the rows that still wait."""
        return sorted(self._open)

    def put(self, outcome: Outcome) -> int:
        """Take a row's outcome; in order, it is due with what is complete up to a gap."""
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
        """Let the reader look again."""
        with self._changed:
            self._changed.notify()
            if self._stir is not None:
                self._stir()

    def _taken(self) -> list[Outcome]:
        """Return what is due; the caller holds the lock."""
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
        """Yield outcomes until the run is done.

        Args:
            done: The run's end; its exception is raised here.
            release: Called with the number of rows that were taken.
            slice_seconds: How long to wait at a time.
            on_wait: Called after every wait and every batch.
        """
        while True:
            with self._changed:
                if not self._due and not done.done():
                    self._changed.wait(slice_seconds)
                batch = self._taken()
            if batch:
                yield from batch
                release(len(batch))
            elif done.done():
                done.result()
                return
            if on_wait is not None:
                on_wait()

    async def aread(
        self, done: concurrent.futures.Future[None], release: Callable[[int], object]
    ) -> AsyncIterator[Outcome]:
        """Yield what `read` does, to a task of any loop."""
        loop, stirred = asyncio.get_running_loop(), asyncio.Event()

        def stir() -> None:
            try:
                loop.call_soon_threadsafe(stirred.set)
            except RuntimeError:  # the reader's loop was closed: nobody reads any more
                self._stir = None

        self._stir = stir
        try:
            while True:
                stirred.clear()
                with self._changed:
                    batch = self._taken()
                for outcome in batch:
                    yield outcome
                if batch:
                    release(len(batch))
                elif done.done():
                    done.result()
                    return
                else:
                    await stirred.wait()
        finally:
            self._stir = None


Handover = Kept | Streamed
"""Where a run puts its outcomes."""
