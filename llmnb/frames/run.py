"""`TableRun`: the engine's run, with its answers in the table's rows."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from llmnb.decide.quality import chosen_length
from llmnb.engine.counters import DESCRIPTIONS
from llmnb.engine.handle import About, AnyRun, Mode, RowAnswer, RunHandle, RunWrapper
from llmnb.engine.status import StatusSnapshot
from llmnb.errors import Stopped
from llmnb.frames import failures
from llmnb.frames.answers import AnswerForm
from llmnb.records import Outcome

if TYPE_CHECKING:
    from llmnb.frames.exploring import Explorer

T = TypeVar("T")


class TableRun(RunWrapper[T]):
    """A run over the rows of a table, which can be steered from any thread.

    Args:
        run: What asks them.
        form: Makes of outcomes what the caller gets back.
        awaited: The run that is waited for, where it is another one that mends this.
        about: What displays tell of it.
    """

    def __init__(
        self,
        run: RunHandle[list[Outcome]],
        form: AnswerForm,
        *,
        awaited: AnyRun | None = None,
        about: About | None = None,
    ) -> None:
        super().__init__()
        self.form = form
        self.questions = form.asked
        self.about = about or self.about
        self._run = run
        self.run_id, self.project = run.run_id, run.project
        run.row_of = self.questions.row_of
        self._warns_of_cut = chosen_length(form.options.params) is None
        self._inner = inner = awaited or run
        self._done = inner._done
        self.is_batch = inner.is_batch
        inner.owner = self
        self._set_last_run()

    # -------------------------------------------------------------------- looking

    def status(self) -> StatusSnapshot:
        """Return a frozen picture of the run as it is now."""
        return self._inner.status()

    def partial(self) -> T:
        """Return the table as it is now: n rows, missing where there is no answer yet."""
        table: T = self.form.table(self.outcomes())
        return table

    def outcomes(self) -> list[Outcome | None]:
        """Return what became of each request so far; None where nothing has yet."""
        outcomes: list[Outcome | None] = list(self._run.partial())
        # A run that has not pulled its first row yet may not know how many there are.
        return outcomes + [None] * (len(self.questions) - len(outcomes))

    def failures(self) -> list[Outcome]:
        """Return the outcomes that are errors; their `row` is the position in the table."""
        row_of = self.questions.row_of
        return [
            dataclasses.replace(outcome, row=row_of(outcome.row))
            for outcome in self._run.failures()
        ]

    def first_answers(self, most: int) -> list[RowAnswer]:
        """Return at most so many of the first rows with their answers."""
        asked = self.questions
        return [
            row_answer(
                asked.prompt_of(asked.row_of(request), request % asked.group),
                outcome,
                is_one=asked.group == 1,
            )
            for request, outcome in enumerate(self._run.partial()[:most])
        ]

    def explore(self, other: Any = None) -> Explorer:
        """Return a widget to read its rows, while it goes on or afterwards; nothing is sent.

        Search, filter and mark rows in it, or in code: see `Explorer`.

        Args:
            other: A run, or a details frame, of the same rows, asked otherwise before: what
                changed most comes first, its words marked.

        Raises:
            InputError: If the other has more rows or fewer.

        Example:
            >>> import pandas as pd
            >>> df = pd.DataFrame({"text": ["good", "bad"]})
            >>> run = df.llm.start("Kind? {text}", model="sim/any")
            >>> run.explore().row(1)["prompt"]
            'Kind? bad'
        """
        explorers = importlib.import_module("llmnb.frames.explorers")
        explorer: Explorer = explorers.explore_run(self, other)
        return explorer

    def notes(self) -> Mapping[str, str]:
        """Return further lines of its receipt, by name."""
        return self.form.notes(self.outcomes())

    def _repr_html_(self) -> str:
        return self._inner._repr_html_()

    # -------------------------------------------------------------------- waiting

    def _finished(self) -> T:
        return self.reported(self.partial())

    def reported(self, table: T) -> T:
        """Warn of the rows that failed, or raise, and return the finished run's table.

        Raises:
            RowsFailed: With ``on_error="raise"``, where rows failed.
        """
        asked, on_error = self.questions, self.form.options.on_error
        what = "rows" if asked.group == 1 else "answers"
        is_reported = self.about.is_reported
        if self._warns_of_cut and not is_reported:
            failures.report_cut(self._run)
        failures.report(self._run, len(asked), on_error, table, what=what, is_reported=is_reported)
        return table

    # -------------------------------------------------------------------- steering

    def withdraw(self) -> None:
        """Stop; a batch run also asks the provider to stop, and keeps what it has finished."""
        self._inner.withdraw()

    def on_retry(self, listener: Callable[[AnyRun], None]) -> None:
        """Have a function called with every run that asks failed rows of the table again."""
        self._run.on_retry(listener)  # which all handles of these rows share

    def retry_failed(
        self, causes: str | Iterable[str] | None = None, *, mode: Mode | None = None
    ) -> TableRun[T]:
        """Ask the failed rows again in the background, those that were stopped included.

        Args:
            causes: Only rows that failed for these, such as ``"Refused"`` or
                ``["TimedOut", "Unsent"]``, as the warning and the dashboard name them; None:
                all of them.
            mode: Of a run with ``mode="batch"``: ``"live"`` asks now at the full price; None,
                and else: as they were asked.

        Returns:
            A run whose result is the whole table, the new answers in their rows; this one's
            `partial()` shows them too.

        Raises:
            ConfigurationError: If this run goes on, no row failed for a cause that is named, or
                it was asked live and is to be asked in a batch.
        """
        return TableRun(
            self._run,
            self.form,
            awaited=self._run.retry_failed(causes, mode=mode),
            about=dataclasses.replace(self.about, is_reported=False),
        )


_SOURCES = {"sent": "answered", "cached": "reused", "reused": "reused", "merged": "merged"}


def row_answer(prompt: str | None, outcome: Outcome | None, *, is_one: bool = True) -> RowAnswer:
    """Return a row as displays show it.

    Args:
        prompt: What was asked.
        outcome: What became of it; None: nothing yet.
        is_one: Whether it is its row's only answer; else it names its model.
    """
    if outcome is None or isinstance(outcome.error, Stopped):
        return RowAnswer(prompt or "", "", "not sent")
    value, model = outcome.value, outcome.model
    status = _SOURCES[outcome.source] + (f", {model}" if model and not is_one else "")
    if outcome.error is not None:
        status = DESCRIPTIONS.get(type(outcome.error).__name__, "failed")
    answer = str(value) if isinstance(value, str | int | float) else outcome.text or ""
    return RowAnswer(prompt or "", answer, status)
