"""The workbench: where a prompt is made, over a few rows of a table and version by version.

It has no look of its own: notebooks show it as a card (`llmnb.notebook.workbench`), and everything
that the card does can be done in code.
"""

from __future__ import annotations

import contextlib
import logging
import random
import threading
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

from llmnb import progress
from llmnb.engine.status import Clock
from llmnb.errors import BudgetExceeded, ConfigurationError, InputError, LLMNBError
from llmnb.frames import workbench_code, workbench_text
from llmnb.frames.pandas_source import source_of
from llmnb.frames.pause import Pause
from llmnb.frames.run import TableRun
from llmnb.frames.scoring import Score
from llmnb.frames.shown import Followed
from llmnb.frames.table_source import Source
from llmnb.frames.template import Template
from llmnb.frames.truth import Labelled, longest_texts, truth_of
from llmnb.frames.workbench_asking import AskedTable, Estimates, Spending
from llmnb.frames.workbench_version import Labels, Question, Version
from llmnb.options import body_of
from llmnb.records import Outcome

logger = logging.getLogger("llmnb")

PAUSE_SECONDS = 0.6
"""So long after the last key the rows are asked."""

SETTINGS = ("model", "params", "system", "schema", "examples")
"""What may be changed beside the prompt."""

Rows = Literal["labelled", "all", "wrong"]
"""Which rows the sample is taken from: those with a label, all, or those that were wrong."""


class Workbench(Followed):
    """A prompt in the making: a few rows are asked as it changes, and versions are compared.

    Showing it sends nothing, and neither does going back to an earlier version. Setting `prompt`
    asks the sample rows once nothing was changed for 0.6 s; the answers are kept in the project
    like all others, and are paid for by the workbench's own budget. Where that ends, nothing is
    asked any more as one types. `run` asks the whole table, outside of that budget.

    Made by ``df.llm.workbench(…)``, whose arguments are described there.

    Example:
        >>> import pandas as pd
        >>> import llmnb
        >>> df = pd.DataFrame({"text": ["so good", "too late"]})
        >>> bench = df.llm.workbench("Is this kind? {text}", model="sim/any")
        >>> bench.versions, bench.spent
        ([], 0.0)
        >>> version = bench.ask()
        >>> version.number, len(version.answers)
        (1, 2)
    """

    _widget_name = "llmnb.notebook.workbench.WorkbenchWidget"
    _timer: ClassVar[Any] = threading.Timer
    """What waits for a pause; tests move the time of another one by hand."""

    def __init__(
        self,
        table: Source,
        prompt: str = "",
        *,
        truth: Any = None,
        into: Hashable = "response",
        n: int = 5,
        seed: int = 0,
        budget_usd: float = 0.25,
        project_name: str | None = None,
        **settings: Any,
    ) -> None:
        if type(n) is not int or n < 1:
            raise ConfigurationError(f"n= is how many rows are asked, at least 1, not {n!r}.")
        if type(seed) is not int:
            raise ConfigurationError(f"seed= is a whole number, not {seed!r}.")
        super().__init__()
        self.table = table
        self.into = into
        self.project_name = project_name
        self.n = n
        self.seed = seed
        self.table_run: TableRun[Any] | None = None
        """The run of the whole table that was started here last."""

        self.table_version: Version | None = None
        """The version that it asks; None where the prompt has never been asked before."""

        self._source = source_of(table).snapshot()
        self._truth = truth
        self.truth = Labels()
        """What is true of the rows."""

        if truth is not None:
            self._read_labels()
        self.spending = Spending(budget_usd)
        """What was spent here; the run of the whole table is no part of it."""

        self._asked = AskedTable(self._source, into, project_name)
        self._lock = threading.RLock()
        self._idle = threading.Condition(self._lock)
        self._estimating = threading.Lock()
        self._versions: list[Version] = []
        self._parked: Question | None = None
        self.revision = 0
        """How often what stands in the editor was changed."""

        self._error: LLMNBError | None = None
        self.estimates: Estimates | None = None
        """What the question in the editor would take; None before that is known."""

        self.question = Question()
        """The prompt in the editor with all that changes its answers."""

        self.question = self._changed_by({"prompt": prompt, **settings})
        self.question.options(into=into)  # what cannot be asked at all is said at once
        self.rows_from: Rows = "labelled" if self.labelled else "all"
        self.sample: list[int] = []
        """Positions of the rows that are asked as one types."""

        self._choose_rows()
        self._pause = Pause(self._settle, PAUSE_SECONDS, self._timer)

    # ------------------------------------------------------------------------ writing

    @property
    def prompt(self) -> str:
        """The prompt in the editor; setting it asks the sample rows after a pause."""
        return self.question.prompt

    @prompt.setter
    def prompt(self, prompt: str) -> None:
        self.change(prompt=prompt)

    def change(self, **settings: Any) -> None:
        """Change what is asked, which asks the sample rows after a pause.

        Args:
            **settings: `prompt`, `model`, `params`, `system`, `schema` or `examples`, as
                ``df.llm.workbench`` takes them.

        Raises:
            ConfigurationError: If there is no such setting, or it has no such value.
            InputError: If examples cannot be matched with rows.
        """
        self._edit(self._changed_by(settings))

    def _edit(self, question: Question) -> None:
        """Put another question into the editor, which asks the sample rows after a pause."""
        with self._lock:
            if question == self.question:
                return
            self.question, self._parked, self._error = question, None, None
            self.revision += 1
        if any(row in question.examples for row in self.sample):
            self._choose_rows()
        self._pause.begin()
        self._notify()

    def _changed_by(self, settings: Mapping[str, Any]) -> Question:
        if unknown := [name for name in settings if name not in ("prompt", *SETTINGS)]:
            raise ConfigurationError(
                f"A workbench has no setting {unknown[0]!r}: there is prompt, "
                f"{', '.join(SETTINGS)}."
            )
        changed = dict(settings)
        if "params" in changed:
            changed["params"] = dict(body_of(changed["params"]))
        if "examples" in changed:
            pairs, rows = self._examples(changed["examples"])
            changed |= {"pairs": pairs, "examples": rows}
        question = replace(self.question, **changed)
        if not isinstance(question.prompt, str):
            raise InputError(f"The prompt is a text, not {type(question.prompt).__name__}.")
        question.options()
        _ = question.output  # that says what is wrong with its schema
        return question

    def _examples(self, examples: Any) -> tuple[Sequence[tuple[Any, Any]], Mapping[int, Any]]:
        if examples is None or isinstance(examples, list | tuple):
            return tuple(examples or ()), {}
        labels = truth_of(self._source, examples, "examples").labels
        return (), {row: label for row, label in enumerate(labels) if label is not None}

    def show_examples(self, rows: Mapping[int, Any]) -> None:
        """Show the labels of these rows as examples, and no other."""
        self._edit(replace(self.question, pairs=(), examples=dict(rows)))

    # ------------------------------------------------------------------------ reading

    @property
    def versions(self) -> list[Version]:
        """What was asked so far, in order: each has `prompt`, `answers` and `score`."""
        return list(self._versions)

    @property
    def current(self) -> Version | None:
        """The version in the editor; None where what stands there was never asked."""
        return self._version_of(self.question)

    @property
    def spent(self) -> float:
        """Dollars spent here, as far as prices are known; the run of the whole table is no part."""
        return self.spending.usd

    @property
    def budget_usd(self) -> float:
        """Dollars that may be spent here; may be set."""
        return self.spending.limit

    @budget_usd.setter
    def budget_usd(self, usd: float) -> None:
        self.spending.limit = usd
        self._notify()

    @property
    def is_asking(self) -> bool:
        """Whether rows are being asked here."""
        return any(version.pending for version in self._versions)

    @property
    def waits_for(self) -> str:
        """What the rows that are being asked wait for, in words; empty where it is their reply."""
        runs = self.spending.runs
        return runs[-1].status().waiting_on if runs else ""

    @property
    def is_due(self) -> bool:
        """Whether a pause will ask what stands in the editor."""
        return self._pause.is_pending

    @property
    def error(self) -> LLMNBError | None:
        """Why what stands in the editor cannot be asked; None where it can."""
        return self._error or self.question.fault(self.columns)

    @property
    def code(self) -> str:
        """Lines that assign the column of answers: they run as they are, in any cell."""
        return workbench_code.code(
            self.question,
            table=self.table,
            source=self._source,
            into=self.into,
            project_name=self.project_name,
        )

    @property
    def labelled(self) -> list[int]:
        """The rows that have a label and are no example: those that scores use."""
        return self.truth.rows(self.question.examples)

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return self._source.rows

    @property
    def columns(self) -> list[str]:
        """Names that a prompt may write between braces."""
        return self._source.columns().names

    def row_labels(self, rows: Sequence[int]) -> list[str]:
        """Return what rows are called."""
        return self._source.row_labels(rows)

    def texts(self, rows: Sequence[int]) -> list[str | None]:
        """Return what rows are about: the longest column that the prompt names, or of all."""
        columns = self._source.rows_at(rows).columns()
        with contextlib.suppress(LLMNBError):
            fields = Template(self.prompt, columns.names).fields
            cells = [columns.texts(name) for name in fields]
            if cells:
                return max(cells, key=lambda texts: sum(len(text or "") for text in texts))
        return longest_texts(self._source, rows, without=[self.truth.name, str(self.into)])

    # ------------------------------------------------------------------------- asking

    def ask(self) -> Version:
        """Ask the sample rows what stands in the editor, and wait for their answers.

        Rows that failed are asked again; what is answered is asked no more.

        Raises:
            InputError: If the prompt is empty, or names what is no column; nothing was sent.
            ConfigurationError: If it cannot be asked otherwise, or the budget is at its end.
        """
        return self._asked_in_full(self.begin_ask(with_failed=True))

    def score(self) -> Score | None:
        """Ask all labelled rows that are no examples, and return how often the answers are right.

        Returns:
            The score; None where the budget ended before the last row, or where answers and truth
            cannot be compared.

        Raises:
            InputError: If no row has a label, or the prompt cannot be asked.
            ConfigurationError: As for `ask`.
        """
        return self._asked_in_full(self.begin_score()).score

    def begin_ask(self, *, with_failed: bool = False) -> Version:
        """Begin what `ask` does, and return at once.

        Args:
            with_failed: Whether rows that failed are asked again.
        """
        return self._begin(self.sample, with_failed=with_failed)

    def begin_score(self) -> Version:
        """Begin what `score` does, and return at once."""
        if isinstance(self._truth, Labelled):
            self._read_labels()
        if not (rows := self.labelled):
            raise InputError("No row has a label that is no example: there is nothing to score.")
        return self._begin(rows, with_failed=True)

    def run(self) -> TableRun[Any]:
        """Start the run of the whole table with what stands in the editor, and return it at once.

        Its result is what `code` assigns. The workbench's own budget does not bind it.

        Raises:
            InputError: If the prompt cannot be asked; nothing was sent.
            ConfigurationError: If a run that was started here still goes on, or a setting is
                wrong; nothing was sent.
        """
        if self.table_run is not None and not self.table_run.is_done:
            raise ConfigurationError("The whole table is being asked: stop that run first.")
        question = self.question
        self._refuse(question)
        with self._errors_kept(question):
            asked, _ = self._asked.job(question)
            self.table_run = asked.start()
        self.table_version = self._version_of(question)
        self._notify()
        return self.table_run

    def retry(self) -> TableRun[Any]:
        """Ask the rows of the whole table again that failed or were not sent, and return that run.

        Raises:
            ConfigurationError: If the run goes on, or none was started here.
        """
        if self.table_run is None:
            raise ConfigurationError("The whole table was not asked here: start it with run().")
        self.table_run = self.table_run.retry_failed()
        self._notify()
        return self.table_run

    def select(self, version: Version | None) -> None:
        """Put an older version into the editor, which sends nothing.

        Args:
            version: The version; None: what was typed last and never asked, where there is such.
        """
        self._pause.cancel()
        with self._lock:
            if version is None:
                if self._parked is not None:
                    self.question, self._parked = self._parked, None
            else:
                if self._version_of(self.question) is None and self.question.prompt.strip():
                    self._parked = self.question
                self.question = version.question
            self._error = None
            self.revision += 1
        self.estimate_later()
        self._notify()

    def step(self, by: int) -> None:
        """Go to the next older version (-1) or the next newer one (1); nothing is sent."""
        versions, current = self.versions, self.current
        place = len(versions) if current is None else versions.index(current)
        wanted = place + by
        if 0 <= wanted < len(versions):
            self.select(versions[wanted])
        elif wanted == len(versions) and self._parked is not None:
            self.select(None)

    def other_rows(self, rows_from: Rows | None = None) -> None:
        """Take other rows as the sample, and ask them what stands in the editor.

        Args:
            rows_from: Where they are taken from; None: from where the last ones were.
        """
        if rows_from is not None:
            self.rows_from = rows_from
        self.seed += 1
        self._choose_rows()
        self._pause.begin()
        self._notify()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until no pause is due and no row is being asked here.

        Args:
            timeout: Seconds; None: as long as it takes.

        Returns:
            Whether it is so.
        """
        with self._idle:
            return self._idle.wait_for(
                lambda: not self._pause.is_pending and not self.is_asking, timeout
            )

    # ---------------------------------------------------------------------- in words

    def __repr__(self) -> str:
        return workbench_text.summary_of(self._about(), self._versions)

    def __str__(self) -> str:
        return workbench_text.text(self._about(), self._versions, self.prompt)

    def _repr_html_(self) -> str:
        return workbench_text.html(self._about(), self._versions, self.prompt)

    def _about(self) -> str:
        return workbench_text.about(self.rows, len(self.truth), self.spending.text())

    # ---------------------------------------------------------------------- inside

    def _notify(self) -> None:
        with self._idle:
            self._idle.notify_all()
        super()._notify()

    def _read_labels(self) -> None:
        """Take the labels as they are now."""
        try:
            true = truth_of(self._source, self._truth)
        except InputError:
            if not isinstance(self._truth, Labelled):
                raise
            return  # the person has labelled nothing yet
        self.truth.put(true.labels, true.name)

    def _version_of(self, question: Question) -> Version | None:
        return next(
            (known for known in reversed(self._versions) if known.question == question), None
        )

    def _choose_rows(self) -> None:
        """Take the sample anew: at random, by the seed, and no examples."""
        draw, examples = random.Random(self.seed), self.question.examples
        pool: Sequence[int] = self.labelled
        if self.rows_from == "wrong" and (scored := self.last_scored) is not None:
            pool = [row for row in pool if not scored.is_right(row)] or pool
        if self.rows_from == "all" or not pool:
            pool = range(self.rows)
        chosen = dict.fromkeys(draw.sample(pool, min(self.n, len(pool))))
        if len(chosen) < self.n:  # few have a label: the rest are rows without
            more = draw.sample(range(self.rows), min(self.rows, 2 * self.n + len(examples)))
            chosen |= dict.fromkeys(more)
        self.sample = sorted([row for row in chosen if row not in examples][: self.n])

    @property
    def last_scored(self) -> Version | None:
        """The newest version that all labelled rows were asked with."""
        return next((known for known in reversed(self._versions) if known.is_scored), None)

    def _refuse(self, question: Question) -> None:
        if (fault := question.fault(self.columns)) is not None:
            raise fault

    @contextlib.contextmanager
    def _errors_kept(self, question: Question) -> Iterator[None]:
        """Keep what is raised for whoever looks, as long as this stands in the editor."""
        try:
            yield
        except LLMNBError as error:
            with self._lock:
                if self.question == question:
                    self._error = error
            self._notify()
            raise

    def _settle(self) -> None:
        """Ask the sample rows after a pause, and say what the whole table would take."""
        question = self.question
        current = self._version_of(question)
        is_known = current is not None and not current.missing(self.sample)
        is_fit = question.fault(self.columns) is None
        if is_fit and not is_known and not self.spending.is_over:
            with contextlib.suppress(LLMNBError):
                self.begin_ask()
        self._notify()
        self._estimate(question)
        self._notify()

    def _begin(self, rows: Sequence[int], *, with_failed: bool) -> Version:
        self._pause.cancel()
        question = self.question
        self._refuse(question)
        if self.spending.is_over:
            raise BudgetExceeded(
                f"{self.spending.end_text()} Set budget_usd higher to ask more; what is answered "
                "is kept."
            )
        with self._errors_kept(question):
            with self._lock:
                version = self._version_of(question)
                if is_new := version is None:
                    version = Version(
                        len(self._versions) + 1,
                        question,
                        Clock.wall(),
                        self._source,
                        self.truth,
                        self.into,
                    )
                    self._versions.append(version)
                missing = version.missing(rows, with_failed=with_failed)
                version.pending.update(missing)
            try:
                if missing:
                    self._send(version, missing)
            except BaseException:
                with self._lock:
                    version.pending.difference_update(missing)
                    if is_new:
                        self._versions.remove(version)
                raise
        self._notify()
        return version

    def _send(self, version: Version, rows: Sequence[int]) -> None:
        asked, row_of = self._asked.job(version.question, rows)

        def take(outcome: Outcome) -> None:
            row = row_of(outcome.row)
            with self._lock:
                version.outcomes[row] = outcome
                version.pending.discard(row)
            self._notify()
            if not self.is_asking:  # the whole table has fewer rows to send now
                self.estimate_later()

        sent = {row_of(request) for request in range(len(asked.questions))}
        with self._lock:
            version.empty.update(row for row in rows if row not in sent)
            version.pending.difference_update(version.empty)
        if sent:
            self.spending.start(asked, take)

    def _asked_in_full(self, version: Version) -> Version:
        """Wait until the rows of a version are answered; an interrupt stops that."""
        for run in self.spending.runs:
            progress.attend(run, bars=False)
        with self._idle:
            self._idle.wait_for(lambda: not version.pending)
        return version

    def estimate_later(self) -> None:
        """Say soon what the question in the editor would take; nothing is sent."""
        question = self.question

        def work() -> None:
            self._estimate(question)
            self._notify()

        threading.Thread(target=work, name="llmnb-workbench", daemon=True).start()

    def _estimate(self, question: Question) -> None:
        with self._estimating:
            if question != self.question or question.fault(self.columns) is not None:
                return
            try:
                labelled = self.truth.rows(question.examples)
                self.estimates = self._asked.estimates(question, self.sample, labelled, self.seed)
            except LLMNBError as error:
                with self._lock:
                    if self.question == question and self._error is None:
                        self._error = error
            except Exception:
                logger.exception("what a prompt would take is not known; please report this")
