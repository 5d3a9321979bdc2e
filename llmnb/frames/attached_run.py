"""`AttachedRun`: a run that was written down, with its answers read from the project again."""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from llmnb import bridge
from llmnb.batches.records import error_of
from llmnb.display.escape import visible
from llmnb.display.texts import counted
from llmnb.engine.counters import Counters
from llmnb.engine.handle import About, AnyRun, Mode, RowAnswer, RunHandle, run_named
from llmnb.engine.status import Clock, StatusSnapshot, from_json
from llmnb.errors import ConfigurationError, LLMNBError, NotGood, SchemaMismatch, StoreError
from llmnb.frames import failures
from llmnb.frames.answers import AnswerForm
from llmnb.frames.recipes import output_in
from llmnb.frames.run import row_answer
from llmnb.frames.shown import Shown
from llmnb.frames.written_table import WrittenRows, written_form
from llmnb.records import Outcome
from llmnb.running.structured import value_in
from llmnb.schemas import Output
from llmnb.store import run_index, search
from llmnb.store.entry import Entry
from llmnb.store.run_index import RunIndex
from llmnb.user_code import warn
from llmnb.wire.dialect import dialect

logger = logging.getLogger("llmnb")

AT_ONCE = 500
"""Answers that are read in one query."""

FOLLOW_SECONDS = 0.5
"""How often it is looked how far a run is that another process carries out."""

_GONE = "The project has this answer no more: make the same call again to ask what is missing."
"""What is wrong with a row whose answer was cleared."""

_METHODS = "An attached run has result(), partial(), status() and failures()."

_SHARE_OF_TIME = 20
"""Reading takes at most one part in so many of the time between two looks."""

_TABLES = ("compare", "generate", "start", "extract", "classify", "judge", "preview")
"""Verbs of tables."""


def outcome_in(index: RunIndex, number: int, entry: Entry | None) -> Outcome:
    """Return what became of a record's row, but for its reply.

    Args:
        index: The run.
        number: The record's.
        entry: What the store holds of it; of a row that failed otherwise than by its answer it
            tells nothing.
    """
    cause, flags = index.cause(number), index.flags[number]
    provider, model = index.model(number)
    source = run_index.SOURCES[flags & 3]
    outcome = Outcome(
        row=index.rows[number],
        error=None if cause is None else error_of(*cause),
        key=index.key(number),
        provider=provider,
        model=model,
        source=source,
        simulated=bool(flags & run_index.SIMULATED),
        hedged=bool(flags & run_index.HEDGED),
        attempts=index.attempts[number],
        first_token_seconds=index.first_token_seconds(number),
        usd=None if source == "sent" else 0.0,
    )
    if entry is not None and has_reply(outcome):
        if source == "sent":
            outcome.usd, outcome.seconds = entry.usd, entry.seconds
        else:
            outcome.saved_usd = entry.usd
    return outcome


def has_reply(outcome: Outcome) -> bool:
    """Return whether an outcome is of an answer, if only of one that was not good."""
    return outcome.error is None or isinstance(outcome.error, NotGood | SchemaMismatch)


class AttachedRun(RunHandle[Any], Shown):
    """A run of another kernel or another day, as far as it was written down.

    Nothing is sent. It knows rows by their position; of the table itself it knows only how many
    rows it had. While the run goes on in another process, it follows. A notebook shows its card,
    which is its receipt once it has ended.

    Args:
        index: What became of its rows.
        schema: What its answers were asked for with, where the caller says so.
    """

    can_retry = False
    how_to_repeat = "Make the same call"
    _widget_name = "llmnb.notebook.dashboard.RunDashboard"

    def __init__(self, index: RunIndex, schema: Any = None) -> None:
        super().__init__()
        self._index = index
        self._header = header = index.header
        self.run_id, self.project = header.run_id, header.project
        self._output: Output | None = output_in(header.form, schema) if header.form else None
        self._counted_of: tuple[RunIndex | None, Counters] = None, Counters()
        """What was counted of a run that has not written its end, and its counts."""

        traits = {**header.traits, "project": header.project}
        self.about = About(traits=traits, empty=header.empty, shows_answers=True)
        if index.is_running:
            self._done = bridge.submit(self._follow())
        else:
            self._done = concurrent.futures.Future()
            self._done.set_result(None)

    async def _follow(self) -> None:
        """Read what the other process has written, until it ends."""
        wait = FOLLOW_SECONDS
        while self._index.is_running:
            await asyncio.sleep(wait)
            began = Clock.monotonic()
            await asyncio.to_thread(lambda: self.index)
            wait = max(FOLLOW_SECONDS, _SHARE_OF_TIME * (Clock.monotonic() - began))

    # --------------------------------------------------------------------- reading

    @property
    def index(self) -> RunIndex:
        """What became of each row, as far as it is written down by now."""
        self._index = self._index.newest()
        return self._index

    @property
    def root(self) -> Path:
        """Folder of all projects, where it stands."""
        return self._index.project.root

    @property
    def asked(self) -> str:
        """The models in words; empty where requests named their own."""
        return self._header.model

    @property
    def error(self) -> LLMNBError | None:
        """What stopped a whole model or the buying, None where all went well."""
        known = (self._index.end or {}).get("error")
        return None if known is None else error_of(*known)

    def status(self) -> StatusSnapshot:
        """Return the status that the run has ended with, or how far it is written down."""
        index = self.index
        if index.end is not None:
            try:
                return from_json(index.end)
            except (TypeError, ValueError, AttributeError):
                logger.warning("The end of run %s is not as llmnb writes it.", self.run_id)
        return self._counted(index)

    def partial(self) -> Any:
        """Return the result as far as it is written down."""
        index = self.index
        return self._shaped(index, self._outcomes(index))

    def failures(self) -> list[Outcome]:
        """Return the outcomes that are errors; their `row` is the position in the table."""
        index = self.index
        outcomes = (outcome_in(index, number, None) for number in range(len(index)))
        return [outcome for outcome in outcomes if outcome.error is not None]

    def first_answers(self, most: int) -> list[RowAnswer]:
        """Return at most so many of the first rows with their answers."""
        index = self.index
        return [
            row_answer("" if entry is None else search.question(entry), self._read(outcome, entry))
            for outcome, entry in _records(index, min(most, len(index)))
        ]

    def notes(self) -> Mapping[str, str]:
        """Return further lines of the receipt, by name."""
        notes = dict[str, str]()
        index = self.index
        if self._header.form.get("quotes"):
            notes |= self._form(index).notes(self._outcomes(index))
        if index.is_cleared:
            notes["Cleared"] = f"its answers are gone from project {self.project}"
        if index.end is None and self.is_done:
            notes["Broken off"] = "its process ended before it; what was kept until then is here"
        return notes

    def prompts(self) -> dict[int, str]:
        """Return the prompts of the rows whose answers are kept, by position."""
        known = dict[int, str]()
        for outcome, entry in _records(self.index):
            if entry is not None:
                known.setdefault(outcome.row, search.question(entry))
        return known

    def _finished(self) -> Any:
        index = self.index
        outcomes = self._outcomes(index)
        table = self._shaped(index, outcomes)
        warns = self._header.form.get("on_error", "column") != "column"
        if warns and not self.about.is_reported:
            failures.report(self, len(index), "null", table)
            errors = [outcome.error for outcome in outcomes if outcome is not None]
            if lost := sum(error is not None and error.message == _GONE for error in errors):
                were = "was" if lost == 1 else "were"
                warn(
                    f"{lost:,} of {counted(len(index), 'answer')} {were} cleared from project "
                    f"{visible(self.project, longest=60)!r} and {'is' if lost == 1 else 'are'} NA. "
                    "Make the same call again to ask what is missing."
                )
        return table

    # ------------------------------------------------------------------- its outcomes

    def _form(self, index: RunIndex) -> AnswerForm:
        rows = WrittenRows(self._header, _positions(index))
        if rows.needs_prompts:
            rows.prompts = self.prompts()
        return written_form(self._header, self._output, rows)

    def _shaped(self, index: RunIndex, outcomes: list[Outcome | None]) -> Any:
        """Return the columns of a table's answers, or a list's outcomes, None where one lacks."""
        if self._header.form:
            return self._form(index).table(outcomes)
        if self._header.verb in _TABLES:
            raise ConfigurationError(
                f"What {self._header.verb}() gives is more than columns, and is not made from what "
                "was written down. Make the same call again: its answers are kept and cost "
                "nothing. status() and failures() are there."
            )
        placed = {outcome.row: outcome for outcome in outcomes if outcome is not None}
        rows = max([self._header.rows or 0, *(row + 1 for row in placed)])
        return [placed.get(row) for row in range(rows)]

    def _outcomes(self, index: RunIndex) -> list[Outcome | None]:
        """Return what became of every request, those of a row side by side."""
        group = self._header.group
        ranks = {row: rank for rank, row in enumerate(_positions(index))}
        outcomes: list[Outcome | None] = [None] * (len(ranks) * group)
        for sample, (outcome, entry) in zip(index.samples, _records(index), strict=True):
            outcomes[ranks[outcome.row] * group + sample] = self._read(outcome, entry)
        return outcomes

    def _read(self, outcome: Outcome, entry: Entry | None) -> Outcome:
        """Return a record's outcome with its reply, or with why it has none."""
        if entry is None or not has_reply(outcome):
            outcome.error = outcome.error or StoreError(_GONE)
            return outcome
        try:
            outcome.reply = dialect(entry.dialect).parse(entry.raw)
            if outcome.error is None and self._output is not None:
                outcome.value = value_in(self._output, outcome.reply)
        except LLMNBError as unread:
            outcome.error = outcome.error or unread
        return outcome

    # ----------------------------------------------------------------------- counting

    def _counted(self, index: RunIndex) -> StatusSnapshot:
        """Return how far a run is that has not written its end."""
        counted, counters = self._counted_of
        if counted is not index:
            counters = Counters(len(index))
            for outcome, _ in _records(index):
                counters.enter(outcome)
                if outcome.error is None and outcome.source == "sent":
                    counters.enter_reply(None, outcome.usd, outcome.simulated)
            self._counted_of = index, counters
        header, is_running, begun = self._header, index.is_running, self._header.begun
        written = index.summary.written
        snapshot = counters.snapshot(
            counters.tracker_copy(),
            state="running" if is_running else "stopped",
            project=header.project,
            total=None if header.rows is None else (header.rows - header.empty) * header.group,
            launched=len(index),
            waiting_on="another process, which carries this run out" if is_running else "",
        )
        return dataclasses.replace(
            snapshot,
            started_at=begun,
            ended_at=None if is_running else max(begun, written),
            seconds=max(0.0, (Clock.wall() if is_running else written) - begun),
        )

    def _repr_html_(self) -> str:
        return self.status().page(unit=self.unit, asked=self.asked, foot=_METHODS)

    # -------------------------------------------------------------------- steering

    def _refuse_steering(self) -> None:
        """Refuse while it goes on: only the process that has started it can steer it."""
        if not self.is_done:
            raise ConfigurationError(
                f"Run {self.run_id} goes on in another process, which alone can steer it."
            )

    pause = resume = stop = cancel = _refuse_steering

    def _change_limits(self, limits: dict[str, Any]) -> None:
        self._refuse_steering()

    def retry_failed(
        self, causes: str | Iterable[str] | None = None, *, mode: Mode | None = None
    ) -> AnyRun:
        """Ask the failed rows again, where this kernel still has the run that asked them.

        Args:
            causes: Only rows that failed for these; None: all of them.
            mode: As for the run itself.

        Returns:
            The run that asks them; this one's result and status tell of them at its end.

        Raises:
            ConfigurationError: If the requests are not known here, or no row failed for a cause.
        """
        if (original := run_named(self.run_id)) is not None:
            return original.retry_failed(causes, mode=mode)
        return super().retry_failed(causes, mode=mode)


def _positions(index: RunIndex) -> list[int]:
    """Return the rows of the table that are written down, in order."""
    return list(dict.fromkeys(index.rows))


def _records(index: RunIndex, most: int | None = None) -> Iterator[tuple[Outcome, Entry | None]]:
    """Yield what became of each record's row, and what the store holds of it."""
    count = len(index) if most is None else most
    for first in range(0, count, AT_ONCE):
        numbers = range(first, min(count, first + AT_ONCE))
        for number, entry in zip(numbers, index.entries(numbers), strict=True):
            yield outcome_in(index, number, entry), entry
