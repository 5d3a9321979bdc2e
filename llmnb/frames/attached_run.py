"""`AttachedRun`: a run that was written down, with its answers read from the project again."""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from llmnb import bridge
from llmnb.batches.records import error_of
from llmnb.display.escape import visible
from llmnb.display.texts import counted
from llmnb.engine.counters import DESCRIPTIONS
from llmnb.engine.handle import About, Mode, RowAnswer, RunHandle, run_named
from llmnb.engine.status import (
    Clock,
    FailureCause,
    StatusSnapshot,
    StatusTracker,
    from_json,
    frozen,
)
from llmnb.errors import ConfigurationError, LLMNBError, NotGood, SchemaMismatch, StoreError
from llmnb.frames import failures
from llmnb.frames.answers import Outcomes
from llmnb.frames.shown import Shown
from llmnb.records import Outcome
from llmnb.running.structured import value_in
from llmnb.schemas import Output
from llmnb.store import run_index, search
from llmnb.store.entry import Entry
from llmnb.store.run_index import RunIndex
from llmnb.user_code import warn
from llmnb.wire.dialect import dialect

T = TypeVar("T")

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


def positions_in(index: RunIndex) -> list[int]:
    """Return the rows of the table that are written down, in order."""
    return list(dict.fromkeys(index.rows))


def _entries(index: RunIndex, numbers: Sequence[int]) -> Iterator[tuple[int, Entry | None]]:
    """Yield records with what the store holds of them, read so many `AT_ONCE`."""
    for first in range(0, len(numbers), AT_ONCE):
        page = numbers[first : first + AT_ONCE]
        yield from zip(page, index.entries(page), strict=True)


def _is_lost(outcome: Outcome | None) -> bool:
    """Return whether a row's answer was cleared."""
    return outcome is not None and outcome.error is not None and outcome.error.message == _GONE


class AttachedRun(RunHandle[T], Shown):
    """A run of another kernel or another day, as far as it was written down.

    Nothing is sent. It knows rows by their position; of the table itself it knows only how many
    rows it had. While the run goes on in another process, it follows. A notebook shows its card,
    which is its receipt once it has ended.

    Args:
        index: What became of its rows.
        shape: Makes of outcomes, and of the positions of their rows, what the caller gets back.
        output: The form of its answers; None: texts.
        warns: Whether rows that failed are warned of.
        notes: Makes of the same further lines of the receipt, by name; None: there are none.
    """

    can_retry = False
    again = "Make the same call again"
    _widget_name = "llmnb.notebook.dashboard.RunDashboard"

    def __init__(
        self,
        index: RunIndex,
        shape: Callable[[Outcomes, Sequence[int]], T],
        *,
        output: Output | None = None,
        warns: bool = False,
        notes: Callable[[Outcomes, Sequence[int]], Mapping[str, str]] | None = None,
    ) -> None:
        super().__init__()
        self._index = index
        self._shape = shape
        self._output = output
        self._warns = warns
        self._make_notes = notes
        self._spent: tuple[int, dict[str, float]] = (-1, {})
        header = index.header
        self.about = About(traits=header.traits, empty=header.empty, shows_answers=True)
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
    def run_id(self) -> str:
        """Name by which `llmnb.attach` finds it again."""
        return self._index.header.run_id

    @property
    def root(self) -> Path:
        """Folder of all projects, where it stands."""
        return self._index.project.root

    @property
    def project(self) -> str:
        """Name of the project that keeps the answers."""
        return self._index.header.project

    @property
    def asked(self) -> str:
        """The models in words; empty where requests named their own."""
        return self._index.header.model

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

    def partial(self) -> T:
        """Return the result as far as it is written down."""
        index = self.index
        return self._shape(self._outcomes(index), positions_in(index))

    def failures(self) -> list[Outcome]:
        """Return the outcomes that are errors; their `row` is the position in the table."""
        index = self.index
        return [
            Outcome(row=index.rows[number], error=error_of(*cause), key=index.key(number))
            for number in range(len(index))
            if (cause := index.cause(number)) is not None
        ]

    def first_answers(self, most: int) -> list[RowAnswer]:
        """Return at most so many of the first rows with their answers."""
        index = self.index
        numbers = range(min(most, len(index)))
        return [
            self._row_answer(index, number, entry)
            for number, entry in zip(numbers, index.entries(numbers), strict=True)
        ]

    def _row_answer(self, index: RunIndex, number: int, entry: Entry | None) -> RowAnswer:
        outcome = self._outcome(index, number, entry)
        value = outcome.value
        answer = str(value) if isinstance(value, str | int | float) else outcome.text or ""
        status = run_index.STATES[index.states[number]]
        if outcome.error is not None:
            status = DESCRIPTIONS.get(type(outcome.error).__name__, status)
        return RowAnswer("" if entry is None else search.question(entry), answer, status)

    def notes(self) -> Mapping[str, str]:
        """Return further lines of the receipt, by name."""
        notes = dict[str, str]()
        index = self.index
        if self._make_notes is not None:
            notes.update(self._make_notes(self._outcomes(index), positions_in(index)))
        if index.is_cleared:
            notes["Cleared"] = f"its answers are gone from project {self.project}"
        if index.end is None and self.is_done:
            notes["Broken off"] = "its process ended before it; what was kept until then is here"
        return notes

    def _finished(self) -> T:
        index = self.index
        outcomes = self._outcomes(index)
        table = self._shape(outcomes, positions_in(index))
        if self._warns and not self.about.is_reported:
            failures.report(self, len(index), "null", table)
            if lost := sum(map(_is_lost, outcomes)):
                were = "was" if lost == 1 else "were"
                warn(
                    f"{lost:,} of {counted(len(index), 'answer')} {were} cleared from project "
                    f"{visible(self.project, longest=60)!r} and {'is' if lost == 1 else 'are'} NA. "
                    "Make the same call again to ask what is missing."
                )
        return table

    # ------------------------------------------------------------------- its outcomes

    def prompts(self) -> dict[int, str]:
        """Return the prompts of the rows whose answers are kept, by position."""
        index, known = self.index, dict[int, str]()
        for number, entry in _entries(index, range(len(index))):
            if entry is not None:
                known.setdefault(index.rows[number], search.question(entry))
        return known

    def _outcomes(self, index: RunIndex) -> list[Outcome | None]:
        """Return what became of every request, those of a row side by side."""
        group = index.header.group
        ranks = {row: rank for rank, row in enumerate(positions_in(index))}
        outcomes: list[Outcome | None] = [None] * (len(ranks) * group)
        for number, entry in _entries(index, range(len(index))):
            place = ranks[index.rows[number]] * group + index.samples[number]
            outcomes[place] = self._outcome(index, number, entry)
        return outcomes

    def _outcome(self, index: RunIndex, number: int, entry: Entry | None) -> Outcome:
        cause, flags = index.cause(number), index.flags[number]
        provider, model = index.model(number)
        source = run_index.SOURCES[flags & 3]
        is_sent = source == "sent"
        error = None if cause is None else error_of(*cause)
        outcome = Outcome(
            row=index.rows[number],
            error=error,
            key=index.key(number),
            provider=provider,
            model=model,
            source=source,
            simulated=bool(flags & run_index.SIMULATED),
            hedged=bool(flags & run_index.HEDGED),
            attempts=index.attempts[number],
            first_token_seconds=index.first_token_seconds(number),
            usd=None if is_sent else 0.0,
        )
        if entry is None or not (error is None or isinstance(error, NotGood | SchemaMismatch)):
            if error is None:
                outcome.error = StoreError(_GONE)
            return outcome
        if is_sent:
            outcome.usd, outcome.seconds = entry.usd, entry.seconds
        else:
            outcome.saved_usd = entry.usd
        try:
            outcome.reply = dialect(entry.dialect).parse(entry.raw)
            if error is None and self._output is not None:
                outcome.value = value_in(self._output, outcome.reply)
        except LLMNBError as unread:
            outcome.error = error or unread
        return outcome

    # ----------------------------------------------------------------------- counting

    def _counted(self, index: RunIndex) -> StatusSnapshot:
        """Return how far a run is that has not written its end."""
        states, header = index.states, index.header
        kinds = Counter[str]()
        causes: dict[str, FailureCause] = {}
        for number, count in Counter(index.cause_numbers).items():
            if 0 < number < len(index.causes) and index.causes[number].kind != "Stopped":
                cause = index.causes[number]
                kinds[cause.kind] += count
                causes.setdefault(
                    cause.kind,
                    FailureCause(
                        kind=cause.kind,
                        words=DESCRIPTIONS.get(cause.kind, cause.kind),
                        rows=0,
                        first_row=index.rows[index.cause_numbers.index(number)],
                        example=cause.message.partition("\n")[0],
                    ),
                )
        failed = states.count(run_index.FAILED) + states.count(run_index.REFUSED)
        counts = StatusTracker(
            num_rows=len(index),
            num_rows_done=len(index),
            num_tasks_succeeded=states.count(run_index.ANSWERED),
            num_tasks_failed=failed,
            num_cached=states.count(run_index.KEPT),
            num_reused=states.count(run_index.REUSED),
            num_merged=states.count(run_index.MERGED),
            num_stopped=states.count(run_index.NOT_ASKED),
            **self._money(index),
        )
        models = {
            f"{provider}/{model}": count
            for number, count in Counter(index.model_numbers).items()
            if number and number < len(index.models)
            for provider, model in [index.models[number]]
        }
        total = None if header.rows is None else (header.rows - header.empty) * header.group
        now = Clock.wall()
        return StatusSnapshot(
            state="running" if index.is_running else "stopped",
            project=header.project,
            total=total,
            launched=len(index),
            completed=len(index),
            counts=counts,
            failures=frozen(kinds),
            causes=tuple(
                dataclasses.replace(cause, rows=kinds[kind]) for kind, cause in causes.items()
            ),
            models=frozen(models),
            simulated=any(flag & run_index.SIMULATED for flag in set(index.flags)),
            started_at=header.begun,
            ended_at=None if index.is_running else max(header.begun, index.summary.written),
            seconds=max(0.0, (now if index.is_running else index.summary.written) - header.begun),
            waiting_on="another process, which carries this run out" if index.is_running else "",
        )

    def _money(self, index: RunIndex) -> dict[str, Any]:
        """Return what the rows have cost that are written down, from their answers."""
        if self._spent[0] == len(index):
            return self._spent[1]
        sums = dict.fromkeys(("usd", "simulated_usd", "num_unpriced"), 0.0)
        sent = [number for number, state in enumerate(index.states) if state == run_index.ANSWERED]
        for _, entry in _entries(index, sent):
            if entry is None or entry.usd is None:
                sums["num_unpriced"] += 1
            else:
                sums["simulated_usd" if entry.simulated else "usd"] += entry.usd
        money = {**sums, "num_unpriced": int(sums["num_unpriced"])}
        self._spent = len(index), money
        return money

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
    ) -> RunHandle[T]:
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

    def _ask_again(self, failed: list[Outcome], mode: Mode | None) -> RunHandle[T]:
        raise ConfigurationError(
            f"Run {self.run_id} was attached to: its answers are written down, its table is not. "
            "Make the same call again, which asks only what is missing."
        )
