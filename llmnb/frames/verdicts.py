"""A model as the judge of answers: a score for each, or which of two is better."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from llmnb.errors import ConfigurationError
from llmnb.frames.answers import AnswerForm, Outcomes, in_rows, with_suffix
from llmnb.frames.job import Job, job
from llmnb.frames.options import Options
from llmnb.frames.overwriting import VerbCall
from llmnb.frames.pandas_source import source_of
from llmnb.frames.table_source import AnswerColumn, Source, name_of
from llmnb.frames.template import Template
from llmnb.records import Outcome

CHOICE = "choice"
UNDECIDED = "undecided"
"""The choice where the judge says otherwise once the texts change places."""

ORDER = ("first", "second")
"""What the judge of two texts answers, as they stand in the prompt."""

SCORE_INSTRUCTIONS = (
    "Judge the text by this criterion: {criterion}\n"
    "Give a whole number from {low} to {high}, where {high} meets it best, and a short reason."
)

CHOICE_INSTRUCTIONS = (
    "Which of two texts meets this criterion better: {criterion}\n"
    "Answer first or second. Their order and their length say nothing."
)


def score_schema(scale: tuple[int, int]) -> Mapping[str, Any]:
    """Return the form of a score with its reason.

    Raises:
        ConfigurationError: If the scale is no two whole numbers, the lower one first.
    """
    is_pair = isinstance(scale, tuple | list) and len(scale) == 2
    if not is_pair or not all(type(end) is int for end in scale) or scale[0] >= scale[1]:
        raise ConfigurationError(
            f"scale= is two whole numbers, the lower one first, such as (1, 5), not {scale!r}. "
            "Nothing was sent."
        )
    low, high = scale
    return {
        "title": "Verdict",
        "type": "object",
        "properties": {
            "score": {"type": "integer", "minimum": low, "maximum": high},
            "reason": {"type": "string"},
        },
        "required": ["score", "reason"],
        "additionalProperties": False,
    }


def better_of_two(
    table: Source, column: Hashable, against: Hashable, options: Options, call: VerbCall
) -> Job:
    """Return the job that asks about every row twice, with its texts in both orders.

    Raises:
        ConfigurationError: If both columns are one, or an option makes no sense here.
        InputError: If there is no such column; nothing was sent.
    """
    if name_of(column) == name_of(against):
        raise ConfigurationError("judge() compares two columns with each other. Nothing was sent.")
    refused = {"n": options.n != 1, "details": options.details, "mode": options.mode != "live"}
    if wrong := [name for name, is_set in refused.items() if is_set]:
        raise ConfigurationError(
            f"judge(against=…) has a form of its own: leave out {' and '.join(wrong)}. Nothing was "
            "sent."
        )
    source = source_of(table)
    names = [name_of(column), name_of(against)]
    cells = [source.columns().texts(name) for name in names]  # refuses what is no column
    orders = [
        Template.of_parts(
            ("First:\n", False), (first, True), ("\n\nSecond:\n", False), (second, True)
        )
        for first, second in (names, names[::-1])
    ]
    into = CHOICE if options.into is None else options.into
    asked = job(
        source,
        orders[0],
        options,
        call=call,
        kind=functools.partial(Choice, columns=names, into=into),
        variants=[{}, {}],
        prompts=orders,
    )
    both = [row for row in asked.questions.positions if all(column[row] for column in cells)]
    asked = asked.about(both)
    asked.questions.empty = source.rows - len(both)
    return asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(AnswerForm):
    """The form of which of two texts is better."""

    columns: list[str]
    """The names of the two columns."""

    into: Hashable

    @property
    def names(self) -> list[Hashable]:
        """The names of the columns that `table` makes."""
        has_errors = self.options.on_error == "column"
        return [self.into, *([with_suffix(self.into, "error")] if has_errors else [])]

    def recipe(self) -> dict[str, Any]:
        """Return in values of JSON how the column is made; empty where that cannot be said."""
        made = AnswerForm.recipe(self)
        return made and {**made, "columns": self.columns, "choice": str(self.into)}

    def table(self, outcomes: Outcomes) -> Any:
        """Return which column is better in each row, or that it is undecided."""
        pairs = list(zip(outcomes[::2], outcomes[1::2], strict=True))
        choices = [self._choice(self._said(one), self._said(other)) for one, other in pairs]
        values: dict[Hashable, AnswerColumn] = {
            self.into: AnswerColumn(
                in_rows(choices, self.positions, self.source.rows),
                "category",
                [*self.columns, UNDECIDED],
            )
        }
        if self.options.on_error == "column":
            errors = [
                next((row.error.message for row in pair if row and row.error), None)
                for pair in pairs
            ]
            values[with_suffix(self.into, "error")] = AnswerColumn(
                in_rows(errors, self.positions, self.source.rows), "string"
            )
        return self.source.filled(values, into=self.options.into, is_frame=False)

    def _said(self, outcome: Outcome | None) -> str | None:
        if outcome is None or not outcome.is_answer or self.output is None:
            return None
        return str(self.output.as_mapping(outcome.value)["value"])

    def _choice(self, said: str | None, turned: str | None) -> str | None:
        """Return the choice of both orders; None where one has no answer."""
        if said is None or turned is None:
            return None
        if said == turned:
            return UNDECIDED
        return self.columns[ORDER.index(said)]
