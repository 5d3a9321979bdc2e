"""Turn the outcomes of a run into columns of values, for the tables of any library.

Everything is put in its place by position: an index may hold a label twice, or several levels.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter, itemgetter
from typing import Any

from llmnb.engine import gc_thresholds
from llmnb.errors import SchemaMismatch
from llmnb.frames.asked_rows import AskedRows
from llmnb.frames.options import Options
from llmnb.frames.quoting import Quotes
from llmnb.frames.recipes import recipe_of
from llmnb.frames.table_source import AnswerColumn, TableSource
from llmnb.records import Outcome
from llmnb.schemas import Output, QuotedOutput
from llmnb.schemas.parts import WRAPPER, values_of
from llmnb.schemas.quotes import supported_name

Outcomes = Sequence[Outcome | None]
"""Outcomes by request; None where there is none yet."""

Table = Any
"""A series or frame of the table's own library, whichever the options ask for."""


@dataclass(frozen=True, slots=True)
class _Field:
    """How a column is made: how its values are read, and how several of one row are combined."""

    name: Hashable
    kind: str
    read: Callable[[Outcome], Any] | None = None
    """Returns an outcome's value; None: it is the structured answer's `field`."""

    combine: Callable[[list[Any]], Any] | None = None
    """Makes one value of those that several samples have; None: a list of all."""

    field: str = ""
    categories: Sequence[Any] | None = None
    schema: tuple[Any, Mapping[str, Any]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerForm:
    """The columns and rows of the table that is made of a run's outcomes."""

    source: TableSource
    """The table as it was when the verb was called."""

    options: Options
    asked: AskedRows
    """The rows of the table that ask something."""

    output: Output | None = None
    labels: Sequence[Any] | None = None
    """Categories of the answers, in order."""

    prompts: Sequence[str] | None = None
    """The prompt of every row, where a preview shows them."""

    @property
    def positions(self) -> Sequence[int]:
        """The rows of the table that ask something, in order."""
        return self.asked.positions

    @property
    def quotes(self) -> Quotes | None:
        """What looks up the quotes of answers, where fields come with theirs."""
        output = self.output
        return Quotes(self.asked, output) if isinstance(output, QuotedOutput) else None

    def table(self, outcomes: Outcomes) -> Table:
        """Return the answers so far, n rows for the table's n rows."""
        with gc_thresholds.raised():
            fields, output = self._fields(), self.output
            answers = [] if output is None else self._answer_fields(outcomes, output)
            if (quotes := self.quotes) is not None:
                answers = quotes.looked_up(answers)
            columns: dict[Hashable, AnswerColumn] = {}
            prompts = self.prompts
            if self.options.details == "full":
                rendered = list(map(self.asked.prompt_of, self.positions))
                prompts = in_rows(rendered, self.positions, self.source.rows)
            if prompts is not None:
                columns["prompt"] = AnswerColumn(prompts, "string")
            for field in fields:
                columns[field.name] = self._column(field, outcomes, answers)
            if self.prompts is not None:
                error = with_suffix(self.options.name, "error")
                if error in columns and not any(columns[error].values):
                    del columns[error]  # no row failed
            is_single = len(fields) == 1 and self.prompts is None
            return self.source.filled(
                columns,
                into=self.options.into,
                is_frame=not is_single or (output is not None and not output.is_wrapped),
            )

    def notes(self, outcomes: Outcomes) -> dict[str, str]:
        """Return what a receipt tells of the answers, by name: how many quotes were found."""
        if (quotes := self.quotes) is None:
            return {}
        return quotes.counted(self._answer_fields(outcomes, quotes.output))

    def recipe(self) -> dict[str, Any]:
        """Return in values of JSON how the columns are made; empty where that cannot be said."""
        return recipe_of(self.options, self.output, self.labels, self.source.library)

    @property
    def names(self) -> list[Hashable]:
        """The names of the columns that `table` makes; one may be there twice."""
        prompt: list[Hashable] = (
            ["prompt"] if self.prompts is not None or self.options.details == "full" else []
        )
        return prompt + [field.name for field in self._fields()]

    def _answer_fields(self, outcomes: Outcomes, output: Output) -> Sequence[Mapping[str, Any]]:
        """Return the fields of structured answers, none where a row has no answer."""
        return [
            output.as_mapping(row.value) if row is not None and row.is_answer else {}
            for row in outcomes
        ]

    # ----------------------------------------------------------------- which columns

    def _fields(self) -> list[_Field]:
        options, fields = self.options, list[_Field]()
        if options.details:
            fields.append(_Field("response", "string", self._text))
            fields += _DETAILS
        if self.output is not None:
            fields += self._structured(self.output)
        elif not options.details:
            fields.append(_Field(options.name, "string", attrgetter("text")))
        if options.on_error == "column" and not options.details:
            fields.append(replace(_DETAILS[0], name=with_suffix(options.name, "error")))
        return fields

    def _structured(self, output: Output) -> list[_Field]:
        root = output.value_schema
        fields = []
        quotes = None if self.quotes is None else self.quotes.output
        for field, kind in output.fields:
            schema = output.column_schema(field)
            labels = self.labels if field == WRAPPER else None
            fields.append(
                _Field(
                    self.column_of(field),
                    kind,
                    field=field,
                    categories=labels or values_of(schema, root) or None,
                    schema=(schema, root),
                )
            )
            if quotes is not None and (of := quotes.field_of(field)) is not None:
                marked = supported_name(of)
                fields.append(_Field(self.column_of(marked), "boolean", field=marked))
        return fields

    def column_of(self, field: str) -> Hashable:
        """Return the name of the column for a field of structured answers."""
        name, details = self.options.name, self.options.details
        if self.output is not None and self.output.is_wrapped:  # one value, without fields
            _, _, field = field.partition(f"{WRAPPER}_")
            name = "response_value" if details else name
        elif self.options.into is None and not details:
            return field
        return with_suffix(name, field) if field else name

    def _text(self, outcome: Outcome) -> str | None:
        """Return an answer's text, even if it does not fit the schema."""
        error, reply = outcome.error, outcome.reply
        if self.output is None or not isinstance(error, SchemaMismatch):
            return outcome.text
        if reply is not None:
            return reply.text
        raw = error.details.raw
        return error.details.body if raw is None else raw.decode(errors="replace")

    # ------------------------------------------------------------------- their values

    def _column(
        self, field: _Field, outcomes: Outcomes, answers: Sequence[Mapping[str, Any]]
    ) -> AnswerColumn:
        if (read := field.read) is None:
            values = [answer.get(field.field) for answer in answers]
        else:
            values = [None if outcome is None else read(outcome) for outcome in outcomes]
        if (samples := self.options.n) > 1:
            rows = [values[first : first + samples] for first in range(0, len(values), samples)]
            values = [_combine(row, field.combine) for row in rows]
        return AnswerColumn(
            in_rows(values, self.positions, self.source.rows),
            field.kind,
            field.categories,
            field.schema,
            is_list=samples > 1 and field.combine is None,
        )


def in_rows(values: Sequence[Any], positions: Sequence[int], rows: int) -> Sequence[Any]:
    """Return the values of some rows in their rows, None in all others.

    Example:
        >>> in_rows(["a", "b"], [0, 2], 3)
        ['a', None, 'b']
    """
    if len(values) == rows:
        return values
    cells: list[Any] = [None] * rows
    for position, value in zip(positions, values, strict=True):
        cells[position] = value
    return cells


def with_suffix(name: Hashable, suffix: str) -> Hashable:
    """Return a column's name with a suffix; of several levels the last one gets it.

    Example:
        >>> with_suffix("said", "error"), with_suffix(("a", "b"), "error")
        ('said_error', ('a', 'b_error'))
    """
    if isinstance(name, tuple):
        return (*name[:-1], f"{name[-1]}_{suffix}")
    return f"{name}_{suffix}"


# ------------------------------------------------------------- details of one outcome


def _combine(samples: list[Any], combine: Callable[[list[Any]], Any] | None) -> Any:
    known = [value for value in samples if value is not None]
    if not known:
        return None
    return samples if combine is None else combine(known)


def _tokens(outcome: Outcome, name: str) -> int | None:
    return getattr(outcome.reply and outcome.reply.usage, name, None)


_first = itemgetter(0)

_DETAILS = (
    _Field("error", "string", lambda row: row.error and row.error.message, _first),
    _Field("model", "string", attrgetter("model"), _first),
    _Field("provider", "string", attrgetter("provider"), _first),
    _Field("finish_reason", "string", lambda row: row.reply and row.reply.finish_reason, _first),
    _Field("prompt_tokens", "Int64", lambda row: _tokens(row, "known_prompt"), sum),
    _Field("completion_tokens", "Int64", lambda row: _tokens(row, "known_completion"), sum),
    _Field("usd", "Float64", attrgetter("usd"), sum),
    _Field("seconds", "Float64", attrgetter("seconds"), max),
    _Field("first_token_seconds", "Float64", attrgetter("first_token_seconds"), min),
    _Field("attempts", "Int64", attrgetter("attempts"), sum),
    _Field("hedged", "boolean", attrgetter("hedged"), any),
    _Field("cached", "boolean", attrgetter("is_cached"), all),
    _Field("key", "string", attrgetter("key"), _first),
)
"""Columns beside the answer."""
