"""One display for all workers: they report their progress, and the client adds it up.

Partitions that are computed in the client's own process report to it directly.
"""

from __future__ import annotations

import atexit
import concurrent.futures
import dataclasses
import logging
import os
import pickle
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias

from llmnb import progress
from llmnb.engine.counters import Counters
from llmnb.engine.handle import Mode, RunHandle
from llmnb.engine.status import Clock, Pace, State, StatusSnapshot, StatusTracker
from llmnb.errors import ConfigurationError
from llmnb.frames import dask_cluster, failures
from llmnb.progress import Bars
from llmnb.records import Outcome

logger = logging.getLogger("llmnb")

Steer: TypeAlias = Callable[[str, str], None]
"""Steers the partitions of a question in one process; takes its name, and ``"pause"`` or such."""

PATIENCE_SECONDS = 4.0
"""A display ends when no partition has reported for this long."""

LOST_SECONDS = 10.0
"""A partition that has reported nothing for this long is taken for lost with its worker."""

_DRAW_SECONDS = 0.1
_LATENCIES_SENT = 30

_SPENT = (
    *("num_requests", "num_retried", "prompt_tokens", "completion_tokens"),
    *("usd", "simulated_usd", "num_unpriced", "hedge_usd"),
)
"""Counts that are kept of a worker that has died: what was sent and paid."""


# ------------------------------------------------------------------------- snapshots


def pack(status: StatusSnapshot) -> bytes:
    """Return a snapshot as it travels between processes, which trust each other as Dask's do."""
    return pickle.dumps(
        dataclasses.replace(
            status,
            models=dict(status.models),
            latencies=status.latencies[-_LATENCIES_SENT:],
            samples=(),
        )
    )


def _finished(status: StatusSnapshot) -> StatusSnapshot:
    """Return the snapshot of a partition that is done, without what describes a run under way."""
    return dataclasses.replace(
        status, in_flight=0, waiting_on="", pools=(), requests_per_minute=0, tokens_per_minute=0
    )


def _lost_status(status: StatusSnapshot) -> StatusSnapshot:
    """Return what remains of a run that ended with its worker: only what was sent and paid."""
    return StatusSnapshot(
        state="running",
        project=status.project,
        simulated=status.simulated,
        started_at=status.started_at,
        latencies=status.latencies,
        budget_usd=status.budget_usd,
        waited_seconds=status.waited_seconds,
        counts=StatusTracker(**{name: getattr(status.counts, name) for name in _SPENT}),
    )


# ------------------------------------------------------------------------------- a run


@dataclasses.dataclass(frozen=True, slots=True)
class Display:
    """The settings with which a question's progress is shown."""

    partitions: int
    """Partitions that it has."""

    steer: Steer
    """Pauses, resumes, stops or cancels what one process does of it."""

    bars: Bars
    is_warning: bool
    """Whether failed rows are reported at the end."""

    process: int
    """The process that put the question; a fork of it is another one."""


class ClusterRun(RunHandle[None]):
    """All partitions of one question that are being computed, on any worker.

    It ends when its display does; the rows are on the workers, and so are the failures.

    Args:
        work: Name of the question.
        display: How it is shown.
    """

    can_retry = False
    """The next compute asks failed rows again."""

    asked = project = ""
    error = None
    """An error that stops a partition is raised by the compute."""

    def __init__(self, work: str, display: Display) -> None:
        super().__init__()
        self._done = concurrent.futures.Future()
        self._work = work
        self._display = display
        self._lock = threading.RLock()
        self._parts: dict[str, tuple[StatusSnapshot, float]] = {}
        """The last report of every partition under way, and when it came."""

        self._ended: StatusSnapshot | None = None
        self._ended_parts: set[str] = set()
        self._began = self._reported = Clock.monotonic()
        self._counters = Counters()
        self._pace = Pace()
        self._sampled = (0, 0, 0)
        """Requests, tokens and refusals that are in the samples."""

        self._is_stopped = False
        self._set_last_run()

    def receive(self, part: str, status: StatusSnapshot, asked: str, *, is_done: bool) -> None:
        """Take a partition's report.

        Args:
            part: Name of its run.
            status: How far it is.
            asked: The models in words.
            is_done: Whether it is its last.
        """
        with self._lock:
            self._reported = Clock.monotonic()
            self.asked, self.project = asked or self.asked, status.project
            if part in self._ended_parts:
                return
            if is_done:
                self._parts.pop(part, None)
                self._fold(part, _finished(status))
            else:
                self._parts[part] = status, self._reported

    def _fold(self, part: str, status: StatusSnapshot) -> None:
        """Add the status of a partition that has ended to the sum of those before it."""
        self._ended_parts.add(part)
        known = [status] if self._ended is None else [self._ended, status]
        self._ended = StatusSnapshot.merge(known, state="finished", seconds=0.0)

    def status(self) -> StatusSnapshot:
        """Return a frozen picture of all that is known."""
        with self._lock:
            now = Clock.monotonic()
            self._fold_lost(now)
            snapshots = [status for status, _ in self._parts.values()]
            if self._ended is not None:
                snapshots.insert(0, self._ended)
            if not snapshots:
                return StatusSnapshot(
                    state="running", project=self.project, started_at=Clock.wall()
                )
            state: State = "stopping" if self._is_stopped else "running"
            if self.is_over():
                state = "stopped" if self._is_stopped else "finished"
            end = self._reported if state == "finished" else now
            whole = StatusSnapshot.merge(snapshots, state=state, seconds=end - self._began)
            self._sample(whole.counts)
            return dataclasses.replace(whole, samples=self._counters.samples(now), pace=self._pace)

    def _fold_lost(self, now: float) -> None:
        """End partitions whose worker has died, with the counts of what was sent and paid."""
        for part, (status, reported) in list(self._parts.items()):
            if now - reported > LOST_SECONDS:
                del self._parts[part]
                self._fold(part, _lost_status(status))
                self._ended_parts.discard(part)  # it may only have been silent

    def _sample(self, counts: StatusTracker) -> None:
        """Add what has been done since the last time to the slices of time that charts show."""
        sums = (
            counts.num_requests,
            counts.prompt_tokens + counts.completion_tokens,
            counts.num_rate_limit_errors,
        )
        # The sums are smaller than before if a worker has died.
        self._counters.count(
            *(max(0, new - old) for new, old in zip(sums, self._sampled, strict=True))
        )
        self._sampled = sums

    def is_over(self) -> bool:
        """Whether every partition is done, or none has been under way for a while."""
        with self._lock:
            if self._parts or self.is_done:
                return self.is_done
            is_silent = Clock.monotonic() - self._reported > PATIENCE_SECONDS
            return is_silent or len(self._ended_parts) >= self._display.partitions

    def partial(self) -> None:
        """Return nothing: the rows are on the workers."""

    def _finished(self) -> None:
        pass

    def failures(self) -> list[Outcome]:
        """Return nothing: the rows are on the workers."""
        return []

    # -------------------------------------------------------------------- steering

    def pause(self) -> None:
        """Have every worker send nothing new."""
        self._steer("pause")

    def resume(self) -> None:
        """Have every worker go on."""
        self._steer("resume")

    def stop(self) -> None:
        """Have every worker stop; the compute ends with an error, what was answered is kept."""
        self._steer("stop")

    def cancel(self) -> None:
        """Stop, and drop what is in flight."""
        self._steer("cancel")

    def _change_limits(self, limits: dict[str, Any]) -> None:
        """Change nothing: the limits of a cluster are those that it was given."""

    def _ask_again(self, failed: list[Outcome], mode: Mode | None) -> NoReturn:
        raise ConfigurationError("Compute it again: only the rows that failed are asked.")

    def _steer(self, how: str) -> None:
        self._is_stopped |= how in ("stop", "cancel")
        self._display.steer(self._work, how)
        if (client := dask_cluster.client()) is not None:
            dask_cluster.on_every_worker(client, self._display.steer, self._work, how)
        now = self.status()
        kept = now.counts.num_cached + now.counts.num_reused
        self._pace = Pace(seconds=now.seconds, completed=now.completed, kept=kept)

    # --------------------------------------------------------------------- at the end

    def close(self) -> None:
        """End the run, whatever is still under way."""
        with self._lock:
            if not self._done.done():
                self._done.set_result(None)

    def warn(self) -> None:
        """Log once how many rows failed, and why."""
        status = self.status()
        if self._display.is_warning and (failed := status.counts.num_tasks_failed):
            kept = "The others are kept: compute" if failed < status.completed else "Compute"
            head = (
                f"{failed:,} of {status.completed:,} rows failed and are NA. {kept} it "
                f"{status.again} to ask only what is missing."
            )
            logger.warning("\n".join([head, *failures.causes(status, has_rows=False)]))


# -------------------------------------------------------------------------- displays


_displays: dict[str, Display] = {}
_runs: dict[str, tuple[ClusterRun, threading.Thread]] = {}
_lock = threading.Lock()


def expect(work: str, partitions: int, steer: Steer, *, bars: Bars, is_warning: bool) -> None:
    """Show the progress of a question whenever it is computed, from its workers' reports."""
    _displays[work] = Display(partitions, steer, bars, is_warning, os.getpid())
    if (client := dask_cluster.client()) is not None:
        dask_cluster.listen(client, _receive)


def is_expected(work: str) -> bool:
    """Return whether `expect` was called for a question in this process."""
    display = _displays.get(work)
    return display is not None and display.process == os.getpid()


def report(work: str, part: str, status: StatusSnapshot, asked: str, *, is_done: bool) -> None:
    """Report a partition's status: to this process's display, or to listening clients."""
    if is_expected(work):
        _run_of(work).receive(part, status, asked, is_done=is_done)
    elif (worker := dask_cluster.worker()) is not None:
        event = (work, part, pack(status), asked, is_done)
        worker.log_event(dask_cluster.TOPIC, event)


def log_once(line: str) -> None:
    """Log a line about the whole cluster once, in the client's process."""
    worker = dask_cluster.worker()
    if worker is None:
        failures.log_once(line)
    else:
        logger.info(line)
        worker.log_event(dask_cluster.TOPIC, line)


def _receive(event: Any) -> None:
    match event:
        case str():
            failures.log_once(event)
        case [work, part, data, asked, is_done] if work in _displays:
            _run_of(work).receive(part, pickle.loads(data), asked, is_done=is_done)


def _run_of(work: str) -> ClusterRun:
    """Return the run of a question; the first report begins its display."""
    with _lock:
        if work not in _runs:
            run = ClusterRun(work, _displays[work])
            thread = threading.Thread(
                target=_show, args=(work, run), name="llmnb-dask", daemon=True
            )
            _runs[work] = run, thread
            thread.start()
        return _runs[work][0]


def _show(work: str, run: ClusterRun) -> None:
    with progress.TwoBars(run, _displays[work].bars) as shown:
        while not run.is_over():
            shown.draw()
            time.sleep(_DRAW_SECONDS)
        run.close()
        with _lock:
            _runs.pop(work, None)
    run.warn()


def wait(timeout: float) -> None:
    """Wait until every display has ended."""
    for _, thread in list(_runs.values()):
        thread.join(timeout)


@atexit.register
def close() -> None:
    """End every display, whatever is still under way."""
    for run, thread in list(_runs.values()):
        run.close()
        thread.join(2.0)
