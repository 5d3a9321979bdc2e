"""A question about a table, and a version of it: what was asked of which rows, and how well."""

from __future__ import annotations

import statistics
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from llmnb.engine.counters import DESCRIPTIONS
from llmnb.errors import BudgetExceeded, InputError, LLMNBError, Stopped
from llmnb.evaluation.labels import label_key, number
from llmnb.frames.answers import AnswerForm, with_suffix
from llmnb.frames.asked_rows import AskedRows
from llmnb.frames.options import Options, options_of
from llmnb.frames.scoring import Score, column_score
from llmnb.frames.table_source import TableSource
from llmnb.frames.template import Template, cell_text, prompt_template
from llmnb.records import Outcome
from llmnb.schemas import Output, output_of

_NOT_ASKED = (Stopped, BudgetExceeded)
"""Errors of rows that nothing was sent for: they may still be asked."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of every row: a prompt, and all that changes its answers."""

    prompt: str = ""
    model: Any = None
    params: Mapping[str, Any] = field(default_factory=dict)
    system: str | None = None
    schema: Any = None
    pairs: Sequence[tuple[Any, Any]] = ()
    """Inputs and answers that stand before every question."""

    examples: Mapping[int, Any] = field(default_factory=dict)
    """Answers by the rows of the table that they are shown for."""

    def options(self, **further: Any) -> Options:
        """Return the checked options of `generate`.

        Raises:
            ConfigurationError: If one of them has no such value.
        """
        keywords = {
            "model": self.model,
            "params": dict(self.params) or None,
            "system": self.system or None,
            "schema": self.schema,
            "examples": list(self.pairs) or None,
            **further,
        }
        return options_of({name: value for name, value in keywords.items() if value is not None})

    @property
    def output(self) -> Output | None:
        """The form that answers must have; None: any text."""
        return None if self.schema is None else output_of(self.schema)

    @property
    def has_fields(self) -> bool:
        """Whether an answer is an object, whose fields become columns."""
        output = self.output
        return output is not None and not output.is_wrapped

    def fault(self, columns: Sequence[str]) -> LLMNBError | None:
        """Return why a table of these columns cannot be asked; None where it can."""
        try:
            if not self.prompt.strip():
                raise InputError("Nothing is sent before there is a prompt.")
            fields = set(prompt_template(self.prompt, columns).fields)
            if self.system:
                fields |= set(Template(self.system, columns).fields)
            if not fields:
                raise InputError(
                    "The prompt names no column, so every row would ask the same. A column "
                    "stands in braces."
                )
        except LLMNBError as error:
            return error
        return None


class Labels:
    """What is true of the rows of a table, where that is known; a person may label more."""

    def __init__(self) -> None:
        self.name = ""
        """What the truth is called."""

        self._labels: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self._labels)

    def put(self, labels: Sequence[Any], name: str) -> None:
        """Take the label of each row, None where it has none."""
        self._labels = {row: label for row, label in enumerate(labels) if label is not None}
        self.name = name

    def rows(self, examples: Mapping[int, Any]) -> list[int]:
        """Return the rows that have a label and are no example."""
        return [row for row in self._labels if row not in examples]

    def of(self, row: int) -> Any:
        """Return a row's label, None where it has none."""
        return self._labels.get(row)


@dataclass(eq=False, repr=False)
class Version:
    """One version of a prompt, with its answers.

    Attributes:
        number: From 1.
        question: What was asked.
        made: When it was asked first, in seconds since the epoch.
        source: The table.
        truth: What is true of its rows.
        into: The column of answers.
        outcomes: What became of each row that was asked, by its position in the table.
        pending: Rows that are being asked.
        empty: Rows that ask nothing: every field of the prompt is missing.
    """

    number: int
    question: Question
    made: float
    source: TableSource
    truth: Labels
    into: Hashable
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    pending: set[int] = field(default_factory=set)
    empty: set[int] = field(default_factory=set)
    _scored: tuple[int, Score | None] = (-1, None)

    def __post_init__(self) -> None:
        self._output = self.question.output
        self._judged = self._judged_field()

    def __repr__(self) -> str:
        return f"<Version {self.number}, {len(self.outcomes)} rows answered>"

    @property
    def prompt(self) -> str:
        """The prompt as it was typed."""
        return self.question.prompt

    @property
    def rows(self) -> list[int]:
        """The rows that were asked, in the table's order."""
        return sorted({*self.outcomes, *self.empty})

    @property
    def answers(self) -> Any:
        """The answers of the rows that were asked, as a series; of several fields as a frame."""
        return self._table(self.rows, self.question.options())

    @property
    def score(self) -> Score | None:
        """How often it is right on all labelled rows; None before those were asked."""
        outcomes = dict(self.outcomes)
        if self._scored[0] != len(outcomes) or self.pending:
            score = self._score() if self.is_scored else None
            self._scored = (len(outcomes), score)
        return self._scored[1]

    @property
    def is_scored(self) -> bool:
        """Whether every labelled row that is no example was asked."""
        rows = self.truth.rows(self.question.examples)
        return bool(rows) and not self.missing(rows)

    def missing(self, rows: Sequence[int], *, with_failed: bool = False) -> list[int]:
        """Return the rows that are neither answered nor being asked.

        Args:
            rows: Among these.
            with_failed: Whether those that have failed count, too.
        """

        def is_missing(row: int) -> bool:
            outcome = self.outcomes.get(row)
            if outcome is None or isinstance(outcome.error, _NOT_ASKED):
                return row not in self.empty
            return with_failed and outcome.error is not None

        return [row for row in rows if row not in self.pending and is_missing(row)]

    def text(self, row: int) -> str | None:
        """Return a row's answer as it is shown; None where there is none."""
        outcome = self.outcomes.get(row)
        if outcome is None or not outcome.is_answer:
            return None
        if self._output is None:
            return outcome.text or ""
        values = self._output.as_mapping(outcome.value)
        if len(values) == 1 and self._output.is_wrapped:
            return cell_text(next(iter(values.values()))) or ""
        return "\n".join(f"{name}: {cell_text(value) or '–'}" for name, value in values.items())

    def failure(self, row: int) -> str:
        """Return in a few words why a row that was asked has no answer; else empty."""
        if row in self.empty:
            return "nothing to ask: every field of the prompt is empty here"
        outcome = self.outcomes.get(row)
        if outcome is None or outcome.error is None:
            return ""
        kind = type(outcome.error).__name__
        words = DESCRIPTIONS.get(kind) or (type(outcome.error).__doc__ or kind)
        return "failed: " + words.partition("\n")[0].rstrip(".")

    def is_right(self, row: int) -> bool | None:
        """Return whether a row's answer is the true one; None where that cannot be said."""
        label, outcome = self.truth.of(row), self.outcomes.get(row)
        if label is None or outcome is None or isinstance(outcome.error, _NOT_ASKED):
            return None
        if not outcome.is_answer:
            return False
        value = self._value(outcome)
        true, said = number(label), number(value)
        if true is not None and said is not None and not isinstance(label, str):
            return true == said
        return label_key(value) == label_key(label)

    @property
    def usd_per_row(self) -> float | None:
        """Dollars of an answer in the mean, as if none had been kept; None where unknown."""
        known = [
            usd
            for outcome in list(self.outcomes.values())
            if outcome.is_answer
            and (usd := outcome.saved_usd if outcome.is_cached else outcome.usd) is not None
        ]
        return statistics.fmean(known) if known else None

    @property
    def seconds(self) -> float | None:
        """The median time of an answer; None where none was sent for."""
        known = [
            outcome.seconds
            for outcome in list(self.outcomes.values())
            if outcome.seconds is not None and outcome.is_answer
        ]
        return statistics.median(known) if known else None

    # ---------------------------------------------------------------------- its score

    def _judged_field(self) -> str:
        """Return which field of a structured answer is compared with the truth."""
        output = self._output
        if output is None or not self.question.has_fields:
            return ""
        names = [name for name, _ in output.fields]
        wanted = [name for name in (self.truth.name, str(self.into)) if name in names]
        return (wanted or names or [""])[0]

    def _value(self, outcome: Outcome) -> Any:
        if self._output is None:
            return outcome.text
        values = self._output.as_mapping(outcome.value)
        return values.get(self._judged) if self._judged else next(iter(values.values()), None)

    def _table(self, rows: Sequence[int], options: Options) -> Any:
        """Return the answers of rows as the verb would."""
        form = AnswerForm(
            source=self.source.rows_at(rows),
            options=options,
            asked=AskedRows(range(len(rows))),
            output=self._output,
        )
        return form.table([self.outcomes.get(row) for row in rows])

    def _score(self) -> Score | None:
        truth, examples = self.truth, self.question.examples
        rows = truth.rows({})
        options = replace(self.question.options(), into=self.into)
        frame = self._table(rows, options)
        column = with_suffix(self.into, self._judged) if self._judged else self.into
        labels = [truth.of(row) for row in rows]
        shown = [
            label if row in examples else None for row, label in zip(rows, labels, strict=True)
        ]
        table = type(self.source)(frame)
        try:
            return column_score(table, column, labels, shown if examples else None)
        except InputError:
            return None  # numbers against texts: nothing can be compared
