"""The one display of what all workers do: they tell how far they are, the client adds it up.

Partitions that are computed in the client's own process tell it directly.
"""

from __future__ import annotations

import atexit
import concurrent.futures
import dataclasses
import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from llmnb import progress
from llmnb.display.escape import visible
from llmnb.engine.handle import Mode, RunHandle
from llmnb.engine.status import Clock, Sample, State, StatusSnapshot
from llmnb.errors import ConfigurationError
from llmnb.frames import dask_cluster, dask_status
from llmnb.progress import Bars
from llmnb.records import Outcome

logger = logging.getLogger("llmnb")

Steer: TypeAlias = Callable[[str, str], None]
"""Takes the name of a question and how its partitions in this process are steered."""

PATIENCE_SECONDS = 4.0
"""A display ends when no partition has been under way for so long."""

LOST_SECONDS = 10.0
"""A partition that has told nothing for so long went down with its worker."""

_DRAW_SECONDS = 0.1
_SAMPLE_SECONDS = 1.0
_CAUSES_SHOWN = 5


@dataclasses.dataclass(slots=True)
class _Part:
    """One partition on its way."""

    status: StatusSnapshot
    heard: float


class ClusterRun(RunHandle[None]):
    """What is being computed of one question, on whatever workers.

    It ends when its display does; the rows are on the workers, and so are the failures.

    Args:
        work: Name of the question.
        partitions: Partitions that it has.
        steer: Pauses, resumes, stops or cancels what one process does of a question.
        is_telling: Whether failed rows are reported at the end.
    """

    can_retry = False
    """The next compute asks failed rows again."""

    def __init__(
        self, work: str, partitions: int, steer: Steer, *, is_telling: bool = True
    ) -> None:
        super().__init__()
        self._done = concurrent.futures.Future()
        self._work = work
        self._partitions = partitions
        self._steer_process = steer
        self._is_telling = is_telling
        self._lock = threading.Lock()
        self._parts: dict[str, _Part] = {}
        self._ended: StatusSnapshot | None = None
        self._ended_parts: set[str] = set()
        self._began = self._heard = Clock.monotonic()
        self._sampled = (self._began, 0, 0, 0)
        self._samples: list[Sample] = []
        self._is_stopped = False
        self._asked = self._project = ""
        self._begun()

    @property
    def asked(self) -> str:
        """The models in words; empty at first."""
        return self._asked

    @property
    def project(self) -> str:
        """Name of the project that keeps the answers; empty at first."""
        return self._project

    @property
    def error(self) -> None:
        """Nothing: what stops a partition is raised by the compute."""
        return None

    def take(self, part: str, status: StatusSnapshot, asked: str, *, is_done: bool) -> None:
        """Take a partition's picture.

        Args:
            part: Name of its run.
            status: How far it is.
            asked: The models in words.
            is_done: Whether it is its last.
        """
        with self._lock:
            self._heard = Clock.monotonic()
            self._asked, self._project = asked or self._asked, status.project
            if part in self._ended_parts:
                return
            if is_done:
                self._parts.pop(part, None)
                self._fold(part, dask_status.over(status))
            else:
                self._parts[part] = _Part(status, self._heard)

    def _fold(self, part: str, status: StatusSnapshot) -> None:
        self._ended_parts.add(part)
        known = [one for one in (self._ended, status) if one is not None]
        self._ended = StatusSnapshot.merge(known, state="finished", seconds=0.0)

    def status(self) -> StatusSnapshot:
        """Return a frozen picture of all that is known."""
        with self._lock:
            now = Clock.monotonic()
            self._bury(now)
            pictures = [one.status for one in self._parts.values()]
            if self._ended is not None:
                pictures.insert(0, self._ended)
            if not pictures:
                return StatusSnapshot.empty(self.project)
            state: State = "running"
            if self._is_over(now):
                state = "stopped" if self._is_stopped else "finished"
            elif self._is_stopped:
                state = "stopping"
            found = StatusSnapshot.merge(
                pictures,
                state=state,
                seconds=(self._heard if state == "finished" else now) - self._began,
            )
            self._sample(found, now)
            return dataclasses.replace(found, samples=tuple(self._samples))

    def _bury(self, now: float) -> None:
        for part, one in list(self._parts.items()):
            if now - one.heard > LOST_SECONDS:
                del self._parts[part]
                self._fold(part, dask_status.spent(one.status))
                self._ended_parts.discard(part)  # it may only have been silent

    def _sample(self, status: StatusSnapshot, now: float) -> None:
        counts = status.counts
        sums = (
            counts.num_requests,
            counts.prompt_tokens + counts.completion_tokens,
            counts.num_rate_limit_errors,
        )
        since = now - self._sampled[0]
        if since < _SAMPLE_SECONDS:
            return
        requests, tokens, refusals = (
            new - old for new, old in zip(sums, self._sampled[1:], strict=True)
        )
        self._sampled = (now, *sums)
        self._samples.append(
            Sample(
                seconds=now - self._began,
                requests_per_minute=max(0.0, requests * 60 / since),
                tokens_per_minute=max(0.0, tokens * 60 / since),
                refusals=max(0, refusals),
            )
        )
        del self._samples[:-120]

    def is_over(self) -> bool:
        """Whether every partition is done, or none has been under way for a while."""
        with self._lock:
            return self._is_over(Clock.monotonic())

    def _is_over(self, now: float) -> bool:
        if self.is_done:
            return True
        if self._parts:
            return False
        return len(self._ended_parts) >= self._partitions or now - self._heard > PATIENCE_SECONDS

    def partial(self) -> None:
        """Return nothing: the rows are on the workers."""

    def _finished(self) -> None:
        pass

    def failures(self) -> list[Outcome]:
        """Return nothing: the rows are on the workers."""
        return []

    # -------------------------------------------------------------------- steering

    def pause(self) -> None:
        """Have nothing new sent, on any worker."""
        self._steer("pause")

    def resume(self) -> None:
        """Have every worker go on."""
        self._steer("resume")

    def stop(self) -> None:
        """Have every worker stop; the compute ends with an error, what was answered is kept."""
        self._is_stopped = True
        self._steer("stop")

    def cancel(self) -> None:
        """Stop, and drop what is in flight."""
        self._is_stopped = True
        self._steer("cancel")

    def _change_limits(self, limits: dict[str, Any]) -> None:
        """Change nothing: the limits of a cluster are those that it was given."""

    def retry_failed(
        self, causes: str | Iterable[str] | None = None, *, mode: Mode | None = None
    ) -> ClusterRun:
        """Say how failed rows are asked again.

        Raises:
            ConfigurationError: Always.
        """
        raise ConfigurationError("Compute it again: only the rows that failed are asked.")

    def _steer(self, how: str) -> None:
        self._steer_process(self._work, how)
        if (client := dask_cluster.client()) is not None:
            dask_cluster.on_every_worker(client, self._steer_process, self._work, how)

    # --------------------------------------------------------------------- at the end

    def close(self) -> None:
        """Take it as done, whatever is still under way."""
        with self._lock:
            if not self._done.done():
                self._done.set_result(None)

    def tell(self) -> None:
        """Say once how many rows failed, and why."""
        status = self.status()
        failed = status.counts.num_tasks_failed
        if not failed or not self._is_telling:
            return
        lines = [
            f"{failed:,} of {status.completed:,} rows failed and are NA. The others are kept: "
            "compute it again to ask only what is missing."
        ]
        for cause in status.causes[:_CAUSES_SHOWN]:
            example = visible(cause.example, longest=240)
            lines.append(f"  {cause.rows:,} {cause.kind} ({cause.words}): {example}")
        logger.warning("\n".join(lines))


# -------------------------------------------------------------------------- the desk


@dataclasses.dataclass(frozen=True, slots=True)
class _Wish:
    partitions: int
    steer: Steer
    bars: Bars
    is_telling: bool
    process: int
    """The process that put the question; a fork of it is another one."""


_wishes: dict[str, _Wish] = {}
_runs: dict[str, tuple[ClusterRun, threading.Thread]] = {}
_said: set[str] = set()
_lock = threading.Lock()


def expect(work: str, partitions: int, steer: Steer, *, bars: Bars, is_telling: bool) -> None:
    """Show what is computed of a question from now on, and hear the workers that do it."""
    _wishes[work] = _Wish(partitions, steer, bars, is_telling, os.getpid())
    if (client := dask_cluster.client()) is not None:
        dask_cluster.listen(client, _hear)


def is_expected(work: str) -> bool:
    """Whether a question was put in this process."""
    wish = _wishes.get(work)
    return wish is not None and wish.process == os.getpid()


def tell(work: str, part: str, status: StatusSnapshot, asked: str, *, is_done: bool) -> None:
    """Say how far a partition is: to this process's display, or to those that listen."""
    if is_expected(work):
        _take(work, part, status, asked, is_done)
    elif (worker := dask_cluster.worker()) is not None:
        told = dask_status.plain(status)
        dask_cluster.publish(
            worker, {"work": work, "part": part, "status": told, "asked": asked, "done": is_done}
        )


def say_once(words: str) -> None:
    """Say something that is true of the whole cluster, once, where the person is."""
    worker = dask_cluster.worker()
    if worker is None:
        _say(words)
    else:
        logger.info(words)
        dask_cluster.publish(worker, {"words": words})


def _say(words: str) -> None:
    with _lock:
        if words in _said:
            return
        _said.add(words)
    logger.warning(words)


def _hear(event: Mapping[str, Any]) -> None:
    match event:
        case {"words": str(words)}:
            _say(words)
        case {"work": str(work), "part": str(part), "status": told, "asked": asked, "done": done}:
            if work in _wishes:
                _take(work, part, dask_status.read(told), str(asked), bool(done))


def _take(work: str, part: str, status: StatusSnapshot, asked: str, is_done: bool) -> None:
    with _lock:
        known = _runs.get(work)
        run = known[0] if known is not None else None
        is_new = run is None
        if run is None:
            wish = _wishes[work]
            run = ClusterRun(work, wish.partitions, wish.steer, is_telling=wish.is_telling)
            thread = threading.Thread(
                target=_show, args=(work, run, wish.bars), name="llmnb-dask", daemon=True
            )
            _runs[work] = run, thread
    run.take(part, status, asked, is_done=is_done)
    if is_new:
        _runs[work][1].start()


def _show(work: str, run: ClusterRun, bars: Bars) -> None:
    pause = threading.Event()
    with progress.TwoBars(run, bars) as shown:
        while not run.is_over():
            shown.draw()
            pause.wait(_DRAW_SECONDS)
        run.close()
        with _lock:
            _runs.pop(work, None)
    run.tell()


def wait(timeout: float) -> None:
    """Wait until every display has ended."""
    for _, thread in list(_runs.values()):
        if thread.is_alive():
            thread.join(timeout)


@atexit.register
def close() -> None:
    """End every display, whatever is still under way."""
    for run, thread in list(_runs.values()):
        run.close()
        if thread.is_alive():
            thread.join(2.0)
