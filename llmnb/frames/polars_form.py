"""The form of answers over a table of Polars: columns of Polars, put together as pandas' are."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import polars as pl

from llmnb.frames import placing
from llmnb.frames.answers import Form, Outcomes
from llmnb.frames.polars_columns import column_of, type_of, type_of_schema


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PolarsForm(Form):
    """What answers are made into.

    A column has the same type whatever the answers are, so that a lazy frame can name it before
    anything is asked: lists of simple values are lists, anything deeper is JSON text.
    """

    onto: pl.DataFrame | None = None
    """The table, where the answers go into it."""

    def table(self, outcomes: Outcomes) -> Any:
        """Return the answers so far, n rows for the table's n rows."""
        found = Form.table(self, outcomes)
        if self.onto is None:
            return found
        placing.remember(self.names)
        return self.onto.with_columns(
            found if isinstance(found, pl.Series) else found.get_columns()
        )

    def _answers(
        self,
        values: Sequence[Any],
        kind: str,
        name: Hashable,
        categories: Sequence[Any] | None = None,
    ) -> Any:
        found = type_of(kind, categories)
        if kind == "object" or (kind == "category" and not categories):
            found = self._types.get(name, found)
        if self.options.n == 1:
            return self._placed(values, found, name)
        return self._placed(self._samples(values), pl.List(found), name)

    def _series(
        self,
        values: Sequence[Any],
        kind: str,
        name: Hashable,
        categories: Sequence[Any] | None = None,
    ) -> Any:
        return self._placed(values, type_of(kind, categories), name)

    def _frame(self, columns: Mapping[Hashable, Any]) -> Any:
        return pl.DataFrame(list(columns.values()))

    def _placed(self, values: Sequence[Any], kind: pl.DataType, name: Hashable) -> pl.Series:
        return column_of(self._spread(values), kind, str(name))

    def _samples(self, values: Sequence[Any]) -> Sequence[Any]:
        return self._grouped(
            values, lambda some: some if any(v is not None for v in some) else None
        )

    @property
    def _types(self) -> Mapping[Hashable, pl.DataType]:
        """Types of the fields that are more than one simple value."""
        if self.output is None:
            return {}
        root = self.output.json_schema
        properties: Mapping[str, Any] = root.get("properties", {})
        return {
            self._field_name(field): type_of_schema(properties.get(field, root), root)
            for field, kind in self.output.fields
            if kind in ("object", "category")
        }


def as_one(found: Any) -> pl.Series:
    """Return a column as it is, and a table as one column of structs.

    Example:
        >>> as_one(pl.DataFrame({"a": [1], "b": ["x"]})).to_list()
        [{'a': 1, 'b': 'x'}]
    """
    one: pl.Series = found.to_struct("") if isinstance(found, pl.DataFrame) else found
    return one
