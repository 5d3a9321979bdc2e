"""The run of one partition, in whatever process Dask computes it.

While it runs, `GLOBAL_LIMITER` is held to the limits of its question: through Redis as those of a
single account, without it divided among the workers.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import itertools
import math
import pickle
import threading
import uuid
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, Literal

from llmnb import bridge, settings
from llmnb.engine.handle import AnyRun
from llmnb.engine.status import Clock, StatusSnapshot
from llmnb.errors import Stopped
from llmnb.frames import dask_cluster, dask_watching, verbs
from llmnb.frames.job import Job
from llmnb.frames.pandas_source import PartitionSource
from llmnb.frames.prepared import PreparedRun
from llmnb.rate_limiter import GLOBAL_LIMITER, Key
from llmnb.rate_limiter.rules import REQUESTS, TOKENS, Rule
from llmnb.rates import Rate
from llmnb.running.planning import Plan
from llmnb.running.preparer import Preparer

REPORT_SECONDS = 0.5
"""Seconds between two reports of a partition's progress; it reports at its end, too."""

_LOOK_SECONDS = 1.0
"""Seconds between two checks whether a run is still wanted and its share of limits is right."""


# ------------------------------------------------------------------------- what is asked

Verb = Literal["generate", "extract", "classify", "embed"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A verb's call, as it is sent to the worker of every partition."""

    verb: Verb
    prompt: Hashable | None
    argument: Any = None
    """The schema of `extract`, or the labels of `classify`."""

    options: Mapping[str, Any]
    """Keywords, models by name or address, and projects by name; without the limits."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    """Limits of the call, for the whole cluster."""

    rules: tuple[Rule, ...] = ()
    """The rules of `GLOBAL_LIMITER` when the verb was called."""

    cache_dir: str = ""
    """Folder of all projects, as the client knows it."""

    is_cache_dir_chosen: bool = False
    """Whether `configure()` named it: then it wins over a worker's own setting."""

    allow_http: bool = False
    meta: Any = None
    """The form of the result: an empty table of pandas."""


@dataclasses.dataclass(frozen=True, slots=True)
class Work:
    """A question, pickled for the graph."""

    payload: bytes
    partitions: int

    @property
    def id(self) -> str:
        """The question's name, the same on client and workers."""
        return hashlib.sha256(self.payload).hexdigest()[:16]

    @property
    def question(self) -> Question:
        """The question itself."""
        return _unpack(self.payload)

    def __dask_tokenize__(self) -> tuple[str, bytes]:
        return "llmnb", self.payload

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"


@functools.lru_cache(maxsize=64)
def _unpack(payload: bytes) -> Question:
    question: Question = pickle.loads(payload)
    return question


# ------------------------------------------------------------------------ of a partition


def answer_partition(partition: Any, work: Work) -> Any:
    """Return the answers for one partition.

    Args:
        partition: A frame or series of pandas.
        work: What is asked.

    Raises:
        RowsFailed: With ``on_error="raise"``; what was answered is kept.
        Stopped: If the run was stopped; what was answered is kept.
    """
    question = work.question
    if not len(partition):
        project = str(question.options.get("project_name"))
        nothing = StatusSnapshot(state="running", project=project, started_at=Clock.wall())
        dask_watching.report(work.id, uuid.uuid4().hex, nothing, "", is_done=True)
        return question.meta
    return _PartitionRun(work).answers(partition)


def plan_partition(partition: Any, work: Work) -> Plan:
    """Return what a partition would take; nothing is sent."""
    question = work.question
    job: Job = prepared(question, PartitionSource(partition), question.options)
    # What starts the run cannot be sent back to the client.
    return dataclasses.replace(job.plan(cache_dir=cache_dir_of(question)), begin=None)


def preview_partition(partition: Any, work: Work, rows: int) -> Any:
    """Return the first rows of a partition with their prompts and answers."""
    return _PartitionRun(work).preview(partition, rows)


def prepared(question: Question, table: PartitionSource, options: Mapping[str, Any]) -> Any:
    """Return the verb that asks a question of a partition, or of an empty table like it."""
    further = () if question.verb in ("generate", "embed") else (question.argument,)
    return getattr(verbs, question.verb)(table, question.prompt, *further, options)


def cache_dir_of(question: Question) -> str:
    """Return the folder of all projects as this process knows it.

    What the client has configured wins; then this process's own setting; else the client's.
    """
    own = settings.current().cache_dir or settings.environment("LLMNB_CACHE_DIR")
    if question.is_cache_dir_chosen or not own:
        return question.cache_dir
    return str(settings.cache_dir())


# ------------------------------------------------------------------------------ limits


@dataclasses.dataclass(frozen=True, slots=True)
class LimitShare:
    """The part of a cluster's limits that this process may use."""

    limits: Mapping[str, Any]
    """Requests and tokens per minute, as options of a run."""

    rates: Sequence[tuple[Key, float]]
    """Rates per minute to which `GLOBAL_LIMITER` is held in this process."""

    divided_by: int


def share_of(
    question: Question, models: Sequence[str], worker: Any, *, is_client: bool
) -> LimitShare:
    """Return this process's share of the limits as it is now.

    Args:
        question: The question, with the limits of the whole cluster.
        models: Models that it may ask, as ``provider/model``.
        worker: This process's worker; None: there is none.
        is_client: Whether this is the client's own process.
    """
    is_alone = is_client and worker is None  # the client's own limiter applies anyway
    count = dask_cluster.processes(worker) if is_divided(question) and not is_alone else 1
    whole = {REQUESTS: question.requests_per_minute, TOKENS: question.tokens_per_minute}
    own = {kind: None if limit is None else limit / count for kind, limit in whole.items()}
    rules = () if is_alone else question.rules
    rates = [(rule.key, rule.per_minute / count) for rule in rules]
    # The call's own limits bind all of its tasks in this process together.
    rates += [((kind, name), limit) for kind, limit in own.items() if limit for name in models]
    limits = {"max_requests_per_minute": own[REQUESTS], "max_tokens_per_minute": own[TOKENS]}
    return LimitShare(limits, rates, count)


def is_divided(question: Question) -> bool:
    """Return whether processes must divide a limit, because no Redis shares it."""
    has_limit = question.requests_per_minute or question.tokens_per_minute or question.rules
    return bool(has_limit) and GLOBAL_LIMITER.url is None


class RateOverrides:
    """Temporary rates in `GLOBAL_LIMITER`, set by the tasks that run in this process.

    For each key the smallest rate of all tasks and of the limiter's own rule applies. The
    limiter's own rule comes back when the last task with a rate for the key is dropped.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rates_by_owner: dict[object, Sequence[tuple[Key, float]]] = {}
        """Rates per minute."""

        self._own_rules: dict[Key, tuple[Rate | None, float]] = {}
        """The limiter's own rule for each overridden key, as configured and as a rate per minute;
        None and no bound where it had no rule."""

    def put(self, owner: object, rates: Sequence[tuple[Key, float]]) -> None:
        """Hold the limiter to a task's rates until `drop`; a second call replaces them.

        Args:
            owner: The task; any hashable object that stands for it.
            rates: Pairs of a key and its rate per minute; the smallest counts for a key that
                comes more than once.
        """
        with self._lock:
            self._rates_by_owner[owner] = rates
            self._apply()

    def drop(self, owner: object) -> None:
        """Remove a task's rates; does nothing if it has none."""
        with self._lock:
            self._rates_by_owner.pop(owner, None)
            self._apply()

    def _apply(self) -> None:
        """Write the rates that apply now into the limiter; the caller has the lock."""
        config, smallest = GLOBAL_LIMITER.rate_config, dict[Key, float]()
        for key, rate in itertools.chain(*self._rates_by_owner.values()):
            rule = config.rule(key)
            if key not in self._own_rules:
                own = (None, math.inf) if rule is None else (config[key], rule.per_minute)
                self._own_rules[key] = own
            smallest[key] = min(rate, smallest.get(key, self._own_rules[key][1]))
        for key, rate in smallest.items():
            if (rule := config.rule(key)) is None or rule.per_minute != rate:
                config[key] = rate
        for key in self._own_rules.keys() - smallest.keys():
            before, _ = self._own_rules.pop(key)
            if before is None:
                config.pop(key, None)
            else:
                config[key] = before


_overrides = RateOverrides()


# ------------------------------------------------------------------------------- a run

_runs: dict[str, _PartitionRun] = {}
"""The runs under way in this process, by name."""


def steer(work: str | None, how: str) -> None:
    """Pause, resume, stop or cancel the runs of a question in this process; None: all runs."""
    for partition in list(_runs.values()):
        if work in (None, partition.work.id) and partition.run is not None:
            if how in ("stop", "cancel"):
                partition.is_stopped = True
            getattr(partition.run, how)()


class _PartitionRun:
    """The run of one partition."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.run: AnyRun | None = None
        self.is_stopped = False
        """Whether the person stopped it."""

        self._is_unwanted = False
        self._question = work.question
        self._name = uuid.uuid4().hex
        self._worker = dask_cluster.worker()
        self._key = None if self._worker is None else self._worker.get_current_task()
        self._models: dict[str, None] = {}
        """Models that it may ask, in order."""

    def answers(self, partition: Any) -> Any:
        """Return the answers to a partition."""
        with self._within_limits(partition) as options:
            return self._table(prepared(self._question, PartitionSource(partition), options))

    def preview(self, partition: Any, rows: int) -> Any:
        """Return the first rows with their prompts and answers."""
        with self._within_limits(partition) as options:
            return self._table(verbs.preview(partition, self._question.prompt, rows, options))

    def _table(self, verb: PreparedRun) -> Any:
        if verb.asking is None:
            return verb.finish()
        question = self._question
        run = verb.start(cache_dir=cache_dir_of(question), allow_http=question.allow_http)
        run.about.is_reported = True  # the client reports all partitions at once
        self._follow(run)
        table = verb.table_of(run)
        verb.report(run, table)
        return table

    @contextlib.contextmanager
    def _within_limits(self, partition: Any) -> Iterator[dict[str, Any]]:
        """Hold the limiter to this process's share of the limits; yield the options with it.

        Raises:
            MissingKey: If this process has no key for one of the models.
        """
        empty = PartitionSource(partition.iloc[:0])
        asking = prepared(self._question, empty, self._question.options).asking
        for target in () if asking is None else Preparer(asking).defaults:
            self._models[f"{target.provider}/{target.model}"] = None
        self._share = self._current_share()
        if (parts := self._share.divided_by) > 1:
            dask_watching.log_once(
                f"No REDIS_URL on the workers: each of {parts} processes keeps to 1/{parts} of "
                "the limits. With a Redis they share them."
            )
        _overrides.put(self, self._share.rates)
        try:
            yield {**self._question.options, **self._share.limits}
        finally:
            _overrides.drop(self)

    def _current_share(self) -> LimitShare:
        is_client = dask_watching.is_expected(self.work.id)
        return share_of(self._question, [*self._models], self._worker, is_client=is_client)

    def _follow(self, run: AnyRun) -> None:
        """Wait for a run, and report its progress.

        Raises:
            Stopped: If it was stopped.
        """
        self.run = run
        _runs[self._name] = self
        reported = looked = Clock.monotonic()
        try:
            while not run.wait(bridge.SLICE_SECONDS):
                now = Clock.monotonic()
                if now - looked >= _LOOK_SECONDS:
                    looked = now
                    self._look(run)
                if now - reported >= REPORT_SECONDS:
                    reported = now
                    self._report(run, is_done=False)
        except BaseException:  # an interrupt, where Dask computes on the main thread
            run.stop()
            raise
        finally:
            _runs.pop(self._name, None)
            self._report(run, is_done=True)
        if self._is_unwanted:
            raise dask_cluster.put_back()
        if self.is_stopped or run.status().counts.num_stopped:
            raise Stopped(
                "The run was stopped. What was answered is kept: compute it again to ask only "
                "what is missing."
            )

    def _report(self, run: AnyRun, *, is_done: bool) -> None:
        dask_watching.report(self.work.id, self._name, run.status(), run.asked, is_done=is_done)

    def _look(self, run: AnyRun) -> None:
        """Stop a run whose compute was cancelled; else apply a share of limits that has changed."""
        if self._worker is not None and dask_cluster.is_unwanted(self._worker, self._key):
            self._is_unwanted = True
            run.stop()
        elif is_divided(self._question) and (share := self._current_share()) != self._share:
            self._share = share
            _overrides.put(self, share.rates)
            run.set_limits(**share.limits)
