"""Outcomes as what a caller gets back: a column, typed columns, or a frame with the details.

Everything is put in its place by position; the index is the frame's own and is
only ever handed on, so it may hold a label twice, or several levels.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from llmnb.display.texts import mended
from llmnb.engine import collector
from llmnb.errors import SchemaMismatch
from llmnb.frames import placing
from llmnb.frames.options import Options
from llmnb.frames.placing import label
from llmnb.records import Outcome
from llmnb.schemas import Output

Outcomes = Sequence[Outcome | None]
"""Outcomes by request; None where there is none yet."""

Table = Any
"""A pandas Series or DataFrame, whichever the options ask for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What answers are made into."""

    index: pd.Index[Any]
    """The table's own."""

    options: Options
    positions: Sequence[int]
    """Rows of the table that ask something, in order."""

    output: Output | None = None
    frame: pd.DataFrame | None = None
    """A copy of the frame, where the answers go into one."""

    labels: Sequence[Any] | None = None
    """Categories of the answers, in order."""

    run_id: str = dataclasses.field(default_factory=lambda: secrets.token_hex(8))
    """What the frame's `attrs` call the run that wrote its columns."""

    def table(self, outcomes: Outcomes) -> Table:
        """Return the answers so far, n rows for the table's n rows."""
        with collector.calmed():
            if self.options.details:
                return self._frame({**self._details(outcomes), **self._fields(outcomes)})
            columns = self._columns(outcomes)
            if self.options.on_error == "column":
                columns[suffixed(self.options.name, "error")] = self._errors(outcomes)
            if self.frame is not None:
                # The copy was made before the run; each result is a copy of its own.
                filled = self.frame.copy()
                for name, column in columns.items():
                    filled[label(filled, name)] = column.array
                placing.sign(filled, (label(filled, name) for name in columns), self.run_id)
                return filled
            if len(columns) == 1 and (self.output is None or self._is_single):
                return next(iter(columns.values()))
            return self._frame(columns)

    @property
    def names(self) -> list[Hashable]:
        """The names of the columns that it makes, one of which may be there twice."""
        options = self.options
        names: list[Hashable] = ["response", *_DETAILS] if options.details else []
        if self.output is not None:
            names += [self._field_name(one) for one, _ in self.output.fields]
        elif not options.details:
            names.append(options.name)
        if options.on_error == "column" and not options.details:
            names.append(suffixed(options.name, "error"))
        return names

    # --------------------------------------------------------------------- columns

    def _columns(self, outcomes: Outcomes) -> dict[Hashable, pd.Series[Any]]:
        if self.output is None:
            texts = [None if one is None else one.text for one in outcomes]
            return {self.options.name: self._answers(texts, "string", self.options.name)}
        return self._fields(outcomes)

    def _fields(self, outcomes: Outcomes) -> dict[Hashable, pd.Series[Any]]:
        """Return the typed columns of structured answers."""
        output = self.output
        if output is None:
            return {}
        rows = [
            output.as_mapping(one.value) if one is not None and one.is_answer else {}
            for one in outcomes
        ]
        found = {}
        for field, kind in output.fields:
            name = self._field_name(field)
            values = [row.get(field) for row in rows]
            found[name] = self._answers(values, kind, name, self._categories(field))
        return found

    @property
    def _is_single(self) -> bool:
        """Whether an answer is one value, not an object with fields."""
        return self.output is not None and self.output.is_wrapped

    def _field_name(self, field: str) -> Hashable:
        options = self.options
        if self._is_single:
            return options.name if not options.details else "response_value"
        if options.into is None and not options.details:
            return field
        return suffixed(options.name, field)

    def _categories(self, field: str) -> Sequence[Any] | None:
        if self.labels is not None or self.output is None:
            return self.labels
        properties = self.output.json_schema.get("properties", {})
        found = properties.get(field, {}).get("enum")
        return [one for one in found if one is not None] if found else None

    def _errors(self, outcomes: Outcomes) -> pd.Series[Any]:
        messages = [None if one is None else _error(one) for one in outcomes]
        name = suffixed(self.options.name, "error")
        return self._series(self._grouped(messages, _first), "string", name)

    # --------------------------------------------------------------------- details

    def _details(self, outcomes: Outcomes) -> dict[Hashable, pd.Series[Any]]:
        texts = [None if one is None else self._text(one) for one in outcomes]
        found: dict[Hashable, pd.Series[Any]] = {
            "response": self._answers(texts, "string", "response")
        }
        for name, (read, kind, reduce) in _DETAILS.items():
            values = [None if one is None else read(one) for one in outcomes]
            found[name] = self._series(self._grouped(values, reduce), kind, name)
        return found

    def _text(self, outcome: Outcome) -> str | None:
        """Return an answer's text, also of one that does not fit its form."""
        error = outcome.error
        if self.output is None or not isinstance(error, SchemaMismatch):
            return outcome.text
        if outcome.reply is not None:
            return outcome.reply.text
        raw = error.details.raw
        return raw.decode(errors="replace") if raw is not None else error.details.body

    # ---------------------------------------------------------------------- placing

    def _answers(
        self,
        values: Sequence[Any],
        kind: str,
        name: Hashable,
        categories: Sequence[Any] | None = None,
    ) -> pd.Series[Any]:
        """Return a column of answers; with several samples a cell is a list of them."""
        if self.options.n == 1:
            return self._series(values, kind, name, categories)
        lists = self._grouped(values, _all_or_none)
        return self._series(lists, "object", name)

    def _grouped(self, values: Sequence[Any], reduce: Callable[[list[Any]], Any]) -> Sequence[Any]:
        size = self.options.n
        if size == 1:
            return values
        return [reduce(list(values[first : first + size])) for first in range(0, len(values), size)]

    def _series(
        self,
        values: Sequence[Any],
        kind: str,
        name: Hashable,
        categories: Sequence[Any] | None = None,
    ) -> pd.Series[Any]:
        return column(self._spread(values), kind, self.index, name, categories)

    def _spread(self, values: Sequence[Any]) -> Sequence[Any]:
        """Return the values of the rows that ask something in their rows, None in the others."""
        rows = len(self.index)
        if len(values) == rows:
            return values
        spread: list[Any] = [None] * rows
        for position, value in zip(self.positions, values, strict=True):
            spread[position] = value
        return spread

    def _frame(self, columns: Mapping[Hashable, pd.Series[Any]]) -> pd.DataFrame:
        arrays = {name: one.array for name, one in columns.items()}
        return pd.DataFrame(arrays, index=self.index)


def column(
    values: Sequence[Any],
    kind: str,
    index: pd.Index[Any],
    name: Hashable,
    categories: Sequence[Any] | None = None,
) -> pd.Series[Any]:
    """Return values as a column in which None is missing.

    Args:
        values: One for each label of the index.
        kind: Name of the dtype; what it cannot hold becomes a column of objects.
        index: Labels.
        name: The column's name.
        categories: The values of a category, in order.

    Example:
        >>> column(["a", None], "string", pd.RangeIndex(2), "text").isna().tolist()
        [False, True]
        >>> column([2**80, None], "Int64", pd.RangeIndex(2), "big").dtype
        dtype('O')
    """
    missing = pd.NA
    if kind == "category":
        known = list(categories) if categories is not None else None
        return pd.Series(pd.Categorical(values, categories=known), index=index, name=name)
    try:
        if kind != "object":
            return pd.Series(values, index=index, dtype=kind, name=name)  # type: ignore[call-overload, no-any-return, unused-ignore]
    except UnicodeEncodeError:
        # Half a character, which Arrow's texts cannot hold.
        texts = [mended(value) if isinstance(value, str) else value for value in values]
        return pd.Series(texts, index=index, dtype="string", name=name)
    except (TypeError, ValueError, OverflowError):
        pass  # a number that no column of numbers can hold, or a value of another kind
    objects = [missing if one is None else one for one in values]
    return pd.Series(objects, index=index, dtype="object", name=name)


def suffixed(name: Hashable, suffix: str) -> Hashable:
    """Return a column's name with a suffix; of several levels the last one gets it.

    Example:
        >>> suffixed("said", "error"), suffixed(("a", "b"), "error")
        ('said_error', ('a', 'b_error'))
    """
    if isinstance(name, tuple):
        return (*name[:-1], f"{name[-1]}_{suffix}")
    return f"{name}_{suffix}"


# ------------------------------------------------------------- details of one outcome


def _error(outcome: Outcome) -> str | None:
    return None if outcome.error is None else outcome.error.message


def _usage(name: str) -> Callable[[Outcome], Any]:
    def read(outcome: Outcome) -> Any:
        reply = outcome.reply
        return None if reply is None or reply.usage is None else getattr(reply.usage, name)

    return read


def _of(name: str) -> Callable[[Outcome], Any]:
    return lambda outcome: getattr(outcome, name)


def _finish_reason(outcome: Outcome) -> str | None:
    return None if outcome.reply is None else outcome.reply.finish_reason


def _known(values: list[Any]) -> list[Any]:
    return [one for one in values if one is not None]


def _first(values: list[Any]) -> Any:
    return next(iter(_known(values)), None)


def _sum(values: list[Any]) -> Any:
    return sum(known) if (known := _known(values)) else None


def _largest(values: list[Any]) -> Any:
    return max(_known(values), default=None)


def _smallest(values: list[Any]) -> Any:
    return min(_known(values), default=None)


def _any(values: list[Any]) -> Any:
    return any(known) if (known := _known(values)) else None


def _all(values: list[Any]) -> Any:
    return all(known) if (known := _known(values)) else None


def _all_or_none(values: list[Any]) -> Any:
    return values if _known(values) else None


_DETAILS: Mapping[str, tuple[Callable[[Outcome], Any], str, Callable[[list[Any]], Any]]] = {
    "error": (_error, "string", _first),
    "model": (_of("model"), "string", _first),
    "provider": (_of("provider"), "string", _first),
    "finish_reason": (_finish_reason, "string", _first),
    "prompt_tokens": (_usage("known_prompt"), "Int64", _sum),
    "completion_tokens": (_usage("known_completion"), "Int64", _sum),
    "usd": (_of("usd"), "Float64", _sum),
    "seconds": (_of("seconds"), "Float64", _largest),
    "first_token_seconds": (_of("first_token_seconds"), "Float64", _smallest),
    "attempts": (_of("attempts"), "Int64", _sum),
    "hedged": (_of("hedged"), "boolean", _any),
    "cached": (_of("is_cached"), "boolean", _all),
    "key": (_of("key"), "string", _first),
}
"""Columns beside the answer: how to read one, its dtype, and how to put samples together."""
