"""What happens to one partition, in whatever process Dask computes it: a run of the one engine."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from llmnb import bridge, settings
from llmnb.embeddings.litellm_model import LiteLLMEmbeddingModel
from llmnb.engine.status import Clock, StatusSnapshot
from llmnb.errors import Stopped
from llmnb.frames import dask_cluster, dask_watching, vectors, verbs
from llmnb.frames.dask_columns import fitting
from llmnb.frames.dask_limits import Part, Terms, wishes
from llmnb.frames.dask_work import Question, Work
from llmnb.frames.job import Job, job
from llmnb.frames.options import options_of
from llmnb.running.asking import Asking
from llmnb.running.planning import Plan
from llmnb.running.preparer import Preparer

TELL_SECONDS = 0.5
"""A partition says how far it is this often, and at its end."""

_LOOK_SECONDS = 1.0
"""How often a run looks whether it is still wanted, and among how many its limits are divided."""


def answered(partition: Any, work: Work) -> Any:
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
        project = str(question.given.get("project_name"))
        nothing = StatusSnapshot.empty(project)
        dask_watching.tell(work.id, uuid.uuid4().hex, nothing, "", is_done=True)
        return question.meta
    flight = _Flight(work, question)
    asked = flight.embedded if question.verb == "embed" else flight.asked
    return fitting(asked(partition), question.meta, question.own)


def planned(partition: Any, work: Work) -> Plan:
    """Return what a partition would take; nothing is sent."""
    question = work.question
    found = made(question, partition, question.given).plan(cache_dir=cache_dir_of(question))
    return dataclasses.replace(found, begin=None)  # what begins it stays here


def previewed(partition: Any, work: Work, rows: int) -> Any:
    """Return the first rows of a partition with their prompts and answers."""
    question = work.question
    flight = _Flight(work, question)
    return flight.shown(partition, rows)


def made(question: Question, table: Any, given: Mapping[str, Any]) -> Job:
    """Return what is to be done with a table."""
    if question.verb == "extract":
        what = verbs.extract(table, question.prompt, question.more, given)
    elif question.verb == "classify":
        what = verbs.classify(table, question.prompt, question.more, given)
    else:
        what = job(table, question.prompt, options_of(given))
    if not question.allow_http:
        return what
    return dataclasses.replace(what, asking=dataclasses.replace(what.asking, allow_http=True))


def cache_dir_of(question: Question) -> str:
    """Return the folder of all projects as this process knows it.

    What the client has configured wins; then this process's own setting; else the client's.
    """
    own = settings.current().cache_dir or settings.environment("LLMNB_CACHE_DIR")
    if question.is_cache_dir_chosen or not own:
        return question.cache_dir
    return str(settings.cache_dir())


# -------------------------------------------------------------------------- on its way

_flights: dict[str, _Flight] = {}
"""What is under way in this process, by the name of its run."""


def steer(work: str | None, how: str) -> None:
    """Pause, resume, stop or cancel what this process does of a question; None: of all."""
    for flight in list(_flights.values()):
        if work in (None, flight.work.id):
            if how in ("stop", "cancel"):
                flight.is_stopped = True
            getattr(flight.run, how)()


class _Flight:
    """One partition on its way.

    Args:
        work: What is asked.
        question: The same, unpacked.
    """

    def __init__(self, work: Work, question: Question) -> None:
        self.work = work
        self.run: Any = None
        self.is_stopped = False
        """Whether the person stopped it."""

        self._is_unwanted = False
        self._question = question
        self._name = uuid.uuid4().hex
        self._worker = dask_cluster.worker()
        self._key = None if self._worker is None else dask_cluster.task_key(self._worker)

    def asked(self, partition: Any) -> Any:
        """Return answers."""
        question = self._question
        names = _models(made(question, partition.iloc[:0], question.given).asking)
        return self._within(
            names,
            lambda part: made(question, partition, _with_limits(question.given, part)),
            self._finished,
        )

    def shown(self, partition: Any, rows: int) -> Any:
        """Return a preview."""
        question = self._question
        names = _models(made(question, partition.iloc[:0], question.given).asking)

        def make(part: Part) -> Job:
            given = _with_limits(question.given, part)
            return verbs.preview(partition, question.prompt, rows, given)

        return self._within(names, make, lambda what: self._finished(what, is_whole=False))

    def embedded(self, partition: Any) -> Any:
        """Return vectors."""
        question = self._question
        model = vectors.model_of(question.given)
        names: list[str] = []
        if isinstance(model, LiteLLMEmbeddingModel):
            names = _models(model.order().asking)

        def finished(part: Part) -> Any:
            work = vectors.Embedding(
                partition,
                question.prompt,
                question.more,
                {**_with_limits(question.given, part), "progress": False},
                cache_dir=cache_dir_of(question),
            )
            run = work.start()
            if run is None:
                return work.finish()
            self._follow(run)
            return work.finished(run, is_telling=question.given.get("on_error") == "raise")

        return self._within(names, lambda part: part, finished)

    def _within(
        self, names: list[str], make: Callable[[Part], Any], finish: Callable[[Any], Any]
    ) -> Any:
        """Do something within this process's part of the limits."""
        self._terms = Terms(
            self._question,
            names,
            self._worker,
            is_client=dask_watching.is_expected(self.work.id),
        )
        part = self._terms.part()
        if part.divided_by > 1:
            dask_watching.say_once(
                f"No REDIS_URL on the workers: each of {part.divided_by} processes keeps to "
                f"1/{part.divided_by} of the limits. With a Redis they share them as one."
            )
        self._part = part
        wishes.put(self, part.rates)
        try:
            return finish(make(part))
        finally:
            wishes.drop(self)

    def _finished(self, what: Job, *, is_whole: bool = True) -> Any:
        run = what.start(cache_dir=cache_dir_of(self._question))
        self._follow(run)
        found = run.partial()
        if is_whole and what.options.on_error == "raise":
            run.told(found)
        return found

    # ------------------------------------------------------------------------- waiting

    def _follow(self, run: Any) -> None:
        """Wait for a run, telling how far it is.

        Raises:
            Stopped: If it was stopped.
        """
        self.run = run
        _flights[self._name] = self
        told = looked = Clock.monotonic()
        try:
            while not run.wait(bridge.SLICE_SECONDS):
                now = Clock.monotonic()
                if now - looked >= _LOOK_SECONDS:
                    looked = now
                    self._look()
                if now - told >= TELL_SECONDS:
                    told = now
                    self._tell(is_done=False)
        except BaseException:  # an interrupt, where Dask computes on the main thread
            run.stop()
            raise
        finally:
            _flights.pop(self._name, None)
            self._tell(is_done=True)
        if self._is_unwanted:
            raise dask_cluster.put_back()
        if self.is_stopped or run.status().counts.num_stopped:
            raise Stopped(
                "The run was stopped. What was answered is kept: compute it again to ask only "
                "what is missing."
            )

    def _tell(self, *, is_done: bool) -> None:
        run = self.run
        dask_watching.tell(self.work.id, self._name, run.status(), run.asked, is_done=is_done)

    def _look(self) -> None:
        worker = self._worker
        if worker is not None and dask_cluster.is_unwanted(worker, self._key):
            self._is_unwanted = True
            self.run.stop()
            return
        if self._terms.is_divided:
            part = self._terms.part()
            if part != self._part:
                self._part = part
                wishes.put(self, part.rates)
                self.run.set_limits(
                    max_requests_per_minute=part.requests_per_minute,
                    max_tokens_per_minute=part.tokens_per_minute,
                )


def _with_limits(given: Mapping[str, Any], part: Part) -> dict[str, Any]:
    return {
        **given,
        "max_requests_per_minute": part.requests_per_minute,
        "max_tokens_per_minute": part.tokens_per_minute,
    }


def _models(asking: Asking) -> list[str]:
    """Return the models that may be asked.

    Raises:
        MissingKey: If this process has no key for one of them.
    """
    targets = Preparer(asking).defaults
    return list(dict.fromkeys(f"{one.provider}/{one.model}" for one in targets))
