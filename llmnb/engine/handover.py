"""How outcomes reach a reader who takes them while the run goes on: streamed and forgotten.

A row is *released*, no longer counted against the run's window, after the reader has taken it. So
a run never gets further ahead of its reader than its window.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator

from llmnb.records import Outcome


class OutcomeStream:
    """Hands outcomes over from the loop thread to one reader: another thread, or any loop's task.

    Args:
        in_order: Whether they come in the order of the rows; else as soon as they are ready.
    """

    def __init__(self, *, in_order: bool = True) -> None:
        self._in_order = in_order
        self._next = 0
        """In order: the row that is handed over next."""

        self._early: dict[int, Outcome] = {}
        """In order: outcomes that wait for an earlier row's, by row."""

        self._due: deque[Outcome] = deque()
        """Outcomes for the reader to take."""

        self._wake_reader: Callable[[], object] | None = None

    def put(self, outcome: Outcome) -> None:
        """Take a row's outcome, and hand over what the reader may have now.

        In order, that is every outcome up to the first row that still has none.
        """
        if self._in_order:
            self._early[outcome.row] = outcome
            while (following := self._early.pop(self._next, None)) is not None:
                self._due.append(following)
                self._next += 1
        else:
            self._due.append(outcome)
        if self._due:
            self.wake()

    def wake(self) -> None:
        """Make the reader look again for outcomes and for the run's end."""
        if (wake_reader := self._wake_reader) is not None:
            wake_reader()

    def _taken(self, done: concurrent.futures.Future[None]) -> tuple[bool, list[Outcome]]:
        """Return whether the run has ended, and what is due, which is removed."""
        # Asked before the outcomes are taken: what comes until the end is among them.
        has_ended = done.done()
        return has_ended, [self._due.popleft() for _ in range(len(self._due))]

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
        woken = threading.Event()
        self._wake_reader = woken.set
        while True:
            woken.clear()  # before looking, so that no later outcome goes unnoticed
            has_ended, batch = self._taken(done)
            if batch:
                yield from batch
                release(len(batch))
            elif has_ended:
                done.result()
                return
            else:
                woken.wait(slice_seconds)
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
            with contextlib.suppress(RuntimeError):  # its loop was closed: nobody reads any more
                loop.call_soon_threadsafe(woken.set)

        self._wake_reader = wake_task
        try:
            while True:
                woken.clear()  # as in `read`
                has_ended, batch = self._taken(done)
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
            self._wake_reader = None
