"""The one thread of a process that saves answers, many in one commit.

One thread a process, and a file lock between processes, because SQLite below 3.51.3 can lose a
write-ahead log when two connections write at once.

Answers that come while a commit is under way wait for the next one. After a
commit the thread lingers a few milliseconds when work is steady, so that a
synced commit is shared by many, but never for more answers than there are
requests in flight: what a killed process loses stays in proportion. A single
answer is saved at once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from llmnb import bridge
from llmnb.errors import LLMNBError, StoreError
from llmnb.store.entry import Entry

logger = logging.getLogger("llmnb")

LINGER_SECONDS = 0.025
"""How long a busy writer gathers before it commits."""

_BUSY_SECONDS = 0.05
"""A commit that ended less than this ago means that work is steady."""

_MOST_IN_A_COMMIT = 2000


class Saves(Protocol):
    """A store as its writer sees it."""

    enough: int
    """Answers that are worth a commit of their own, however soon after the last."""

    def commit(self, entries: Sequence[Entry], *, is_bought: bool) -> None:
        """Save entries in one commit, and what waits in the index. Raises `StoreError`."""

    def write_index(self) -> None:
        """Write what waits in the index. Raises `StoreError`."""


@dataclass(slots=True, eq=False)
class Job:
    """One entry to save, and whom to tell."""

    store: Saves
    entry: Entry | None
    """None: only what waits in the store's index is to be written."""

    is_bought: bool = True
    """False for copies from another project."""

    future: asyncio.Future[None] | None = None
    """What somebody awaits until it is saved, on its own loop."""


class Writer:
    """The writing thread of one process."""

    def __init__(self) -> None:
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self._saving = 0
        """Jobs of the commit that is under way."""

        self._ended = 0
        """Jobs that were saved or have failed."""

        self._last_commit = 0.0
        self._awaited = 0
        """At so many jobs the thread wants to be woken; 0 while it is not asleep."""

        self._thread = threading.Thread(target=self._run, name="llmnb-writer", daemon=True)
        self._thread.start()

    def put(self, job: Job) -> None:
        """Take a job; never blocks."""
        self._jobs.append(job)
        # Most jobs come while the thread is at work: they cost no lock. It says what it waits
        # for before it looks at the jobs a last time, so that none is overlooked.
        if self._awaited and len(self._jobs) >= self._awaited:
            with self._changed:
                self._changed.notify_all()

    def flush(self, timeout: float) -> bool:
        """Wait until everything taken so far is saved or has failed."""
        with self._changed:
            last = self._ended + self._saving + len(self._jobs)
            return self._changed.wait_for(lambda: self._ended >= last, timeout)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._sleep_until(1, None)
                if time.monotonic() - self._last_commit < _BUSY_SECONDS:
                    self._sleep_until(self._jobs[0].store.enough, LINGER_SECONDS)
                self._saving = min(len(self._jobs), _MOST_IN_A_COMMIT)
                jobs = [self._jobs.popleft() for _ in range(self._saving)]
            self._save(jobs)
            self._last_commit = time.monotonic()
            with self._changed:
                self._ended += self._saving
                self._saving = 0
                self._changed.notify_all()

    def _sleep_until(self, jobs: int, seconds: float | None) -> None:
        self._awaited = jobs
        self._changed.wait_for(lambda: len(self._jobs) >= jobs, seconds)
        self._awaited = 0

    def _save(self, jobs: list[Job]) -> None:
        groups: dict[tuple[int, bool], list[Job]] = {}
        for job in jobs:
            groups.setdefault((id(job.store), job.is_bought), []).append(job)
        for (_, is_bought), group in groups.items():
            error: LLMNBError | None = None
            try:
                store, entries = group[0].store, [job.entry for job in group if job.entry]
                if entries:
                    store.commit(entries, is_bought=is_bought)
                else:
                    store.write_index()
            except LLMNBError as caught:
                error = caught
            except Exception as caught:  # the thread must outlive a fault of ours
                logger.exception("llmnb could not save answers; please report this")
                error = StoreError(f"Answers could not be saved ({type(caught).__name__}).")
            _notify(group, error)


def _notify(jobs: list[Job], error: LLMNBError | None) -> None:
    """Resolve the futures of a group, with one call into each loop."""
    loops: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for job in jobs:
        if job.future is not None:
            loops.setdefault(job.future.get_loop(), []).append(job.future)
    for loop, futures in loops.items():
        try:
            loop.call_soon_threadsafe(_resolve, futures, error)
        except RuntimeError:  # the loop was closed: nobody waits any more
            logger.debug("a loop ended before its answers were saved")


def _resolve(futures: list[asyncio.Future[None]], error: LLMNBError | None) -> None:
    for future in futures:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(StoreError(error.message))


_lock = threading.Lock()
_writer: Writer | None = None


def writer() -> Writer:
    """Return this process's writer, started on first use and after a fork."""
    global _writer
    if _writer is None:
        with _lock:
            _writer = _writer or Writer()
    return _writer


def _after_fork() -> None:
    global _lock, _writer
    _lock = threading.Lock()
    _writer = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@bridge.at_exit
def _flush_at_exit() -> None:
    if _writer is not None:
        _writer.flush(30.0)
