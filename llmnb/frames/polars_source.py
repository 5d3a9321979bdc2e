"""A frame or series of Polars as the verbs read it; loads no pandas."""

from __future__ import annotations

import secrets
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import polars as pl

from llmnb.display.texts import mended
from llmnb.errors import ConfigurationError
from llmnb.evaluation.labels import number
from llmnb.frames import overwriting
from llmnb.frames.overwriting import VerbCall
from llmnb.frames.table_source import VECTOR as FLOATS
from llmnb.frames.table_source import AnswerColumn, Columns, TableSource
from llmnb.frames.truth import check_length
from llmnb.schemas import parts
from llmnb.wire.json_text import json_text

ROW = "row"
"""What the column of rows' numbers is called where rows come back in another order."""


class PolarsSource(TableSource):
    """A table of Polars; see `TableSource` for what its methods promise.

    Args:
        table: The frame or series.
        answers_only: Whether ``into=`` names the answers without the table around them.
    """

    library = "polars"

    def __init__(self, table: pl.DataFrame | pl.Series, *, answers_only: bool = False) -> None:
        super().__init__(table)
        self._answers_only = answers_only
        self._run_id = secrets.token_hex(8)

    def columns(self) -> Columns:
        """Return the columns, each read when it is asked for."""
        table = self.table
        if isinstance(table, pl.DataFrame):
            names = table.columns
            return Columns(len(table), names, lambda position: _cells(table.to_series(position)))
        kind = table.dtype
        fields = [field.name for field in kind.fields] if isinstance(kind, pl.Struct) else []
        own = [table.name] if table.name and table.name not in fields else []
        names = ["", *own, *fields]

        def read(position: int) -> list[Any]:
            name = names[position]
            return _cells(table.struct.field(name) if name in fields else table)

        return Columns(len(table), names, read)

    def rows_at(self, positions: Sequence[int]) -> PolarsSource:
        """Return a table of some rows."""
        rows = [int(position) for position in positions]
        return PolarsSource(self.table[rows], answers_only=self._answers_only)

    def check_columns(
        self, names: Sequence[Hashable], *, into: Hashable | None, overwrite: bool, call: VerbCall
    ) -> None:
        """Refuse a name that is no text, and names that this process has not written."""
        _check_name(into)
        overwriting.check_names(names)
        frame = self._whole
        if into is None or overwrite or frame is None:
            return
        if taken := overwriting.unknown(names, frame.columns):
            raise overwriting.would_replace(taken, call)

    def written(self) -> set[str]:
        """Return the names that this process has written."""
        if not isinstance(self.table, pl.DataFrame):
            return set()
        names = self.table.columns
        return set(names).difference(map(str, overwriting.unknown(names, names)))

    def replaced(self, name: Hashable, values: Mapping[int, Any]) -> Any:
        """Return the frame with some values of a column replaced."""
        _check_name(name)
        frame = self.table
        if not isinstance(frame, pl.DataFrame):
            frame = frame.to_frame()
        column = str(name)
        before = (
            frame[column] if column in frame.columns else pl.Series(column, [None] * len(frame))
        )
        return frame.with_columns(with_values(before, values))

    def snapshot(self) -> PolarsSource:
        """Return the same: tables of Polars do not change."""
        return self

    def filled(
        self, columns: Mapping[Hashable, AnswerColumn], *, into: Hashable | None, is_frame: bool
    ) -> Any:
        """Return columns as a series, a frame, or the whole frame with them."""
        series = _series(columns)
        frame = self._whole
        if into is not None and frame is not None:
            overwriting.remember(columns)
            call = overwriting.call_name(self._run_id, into)
            calls = overwriting.calls_of(frame)
            old = overwriting.outdated(calls, frame.columns, columns, call)
            filled = frame.drop(old).with_columns(series)
            overwriting.remember_calls(filled, {**calls, **dict.fromkeys(map(str, columns), call)})
            return filled
        return series[0] if len(series) == 1 and not is_frame else pl.DataFrame(series)

    def labelled(self, positions: Sequence[int], columns: Mapping[str, AnswerColumn]) -> Any:
        """Return a frame of values for some rows, with the rows' numbers."""
        return pl.DataFrame([pl.Series(ROW, positions, dtype=pl.Int64), *_series(columns)])

    def named(self, name: str, labels: Sequence[str], columns: Mapping[str, AnswerColumn]) -> Any:
        """Return a frame whose first column holds labels."""
        return pl.DataFrame([pl.Series(name, labels, dtype=pl.String), *_series(columns)])

    def taken(self, positions: Sequence[int], name: Hashable, values: Sequence[float]) -> Any:
        """Return some rows and, under a name, a number for each."""
        _check_name(name)
        numbers = pl.Series(str(name), values, dtype=pl.Float32)
        if isinstance(self.table, pl.DataFrame):
            return self.table[[int(row) for row in positions]].with_columns(numbers)
        return pl.DataFrame([pl.Series(ROW, positions, dtype=pl.Int64), numbers])

    def own_rows(self, positions: Sequence[int]) -> Any:
        """Return some rows; of a frame with their numbers before them."""
        rows = self.table[[int(row) for row in positions]]
        if isinstance(rows, pl.DataFrame) and ROW not in rows.columns:
            return rows.insert_column(0, pl.Series(ROW, positions, dtype=pl.Int64))
        return rows

    def row_labels(self, positions: Sequence[int]) -> list[str]:
        """Return the rows' numbers, from 0."""
        return [f"{row:,}" for row in positions]

    def aligned(self, values: Any, argument: str) -> tuple[list[Any], int]:
        """Return a value for each row, by position."""
        if isinstance(values, Mapping):
            return [values.get(row) for row in range(self.rows)], sum(
                row not in range(self.rows) for row in values
            )
        cells = values.to_list() if isinstance(values, pl.Series) else list(values)
        check_length(cells, self.rows, argument)
        return cells, 0

    @property
    def _whole(self) -> pl.DataFrame | None:
        """The frame that answers can be put into."""
        frame = self.table
        return frame if isinstance(frame, pl.DataFrame) and not self._answers_only else None


def _series(columns: Mapping[Any, AnswerColumn]) -> list[pl.Series]:
    return [series_of(column, str(name)) for name, column in columns.items()]


def _check_name(into: Hashable | None) -> None:
    if into is not None and not isinstance(into, str):
        raise ConfigurationError(
            f"A column of Polars is named by text, not by {type(into).__name__}: give "
            'into="…". Nothing was sent.'
        )


def _cells(column: pl.Series) -> list[Any]:
    kind = column.dtype
    if isinstance(kind, (pl.Datetime, pl.Duration)) and kind.time_unit == "ns":
        return _nanoseconds(column)
    return column.to_list()


def _nanoseconds(column: pl.Series) -> list[Any]:
    """Return times as pandas has them: those of Python would lose their last three digits."""
    import pandas as pd

    cells: Any = pd.Series(column.to_numpy())
    if zone := getattr(column.dtype, "time_zone", None):
        cells = cells.dt.tz_localize("UTC").dt.tz_convert(zone)
    return cells.tolist()  # type: ignore[no-any-return]


# ---------------------------------------------------------------------- answers as columns

VECTOR = pl.List(pl.Float32)
"""The type of a column of vectors."""

_DECIMAL_PLACES = 10

_KINDS: Mapping[str, pl.DataType] = {
    "string": pl.String(),
    "Int64": pl.Int64(),
    "Float64": pl.Float64(),
    "boolean": pl.Boolean(),
    "category": pl.String(),
    "object": pl.String(),
    "date": pl.Date(),
    "time": pl.Time(),
    "datetime64[us]": pl.Datetime("us"),
    "datetime64[us, UTC]": pl.Datetime("us", "UTC"),
    "timedelta64[us]": pl.Duration("us"),
    "decimal": pl.Decimal(38, _DECIMAL_PLACES),
    FLOATS: VECTOR,
}


def series_of(column: AnswerColumn, name: str) -> pl.Series:
    """Return a column of answers as a series, whose type does not depend on the answers.

    Lists of simple values are lists, anything deeper is JSON text. Where one of the values is
    none of the column's type, the column is text.

    Example:
        >>> series_of(AnswerColumn([1, None], "Int64"), "n").to_list()
        [1, None]
        >>> series_of(AnswerColumn([{"a": [1]}, "x"], "object"), "any").to_list()
        ['{"a":[1]}', 'x']
    """
    values = column.values
    if column.kind == FLOATS:
        return _vectors(values, name)
    kind = _type_of(column.kind, column.categories)
    if column.schema is not None and kind == pl.String() and column.kind != "string":
        kind = type_of_schema(*column.schema)
    try:
        inner = _kind_in_lists(kind)
        values = parts.read_texts(values, inner)
        series = pl.Series(name, values, dtype=pl.List(kind) if column.is_list else kind)
        if inner == "decimal" and series.to_list() != list(values):
            raise ValueError("a decimal would be rounded")
        return series
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        # Half a character, a number that is too large, or no value of that kind.
        return pl.Series(name, [_text(value) for value in column.values], dtype=pl.String())


def _kind_in_lists(kind: pl.DataType) -> str:
    """Return the kind of a column's values, or of those in its lists."""
    while isinstance(kind, pl.List):
        kind = cast("pl.DataType", kind.inner)
    return next((name for name, known in _KINDS.items() if known == kind), "object")


def with_values(series: pl.Series, values: Mapping[int, Any]) -> pl.Series:
    """Return a series with some values replaced, as text where its type cannot hold them.

    Example:
        >>> with_values(pl.Series("n", [1, 2]), {1: "3"}).to_list()
        [1, 3]
        >>> moods = pl.Series("mood", ["a", "b"], dtype=pl.Enum(["a", "b"]))
        >>> with_values(moods, {0: "c"}).to_list()
        ['c', 'b']
    """
    kind = pl.String() if series.dtype == pl.Null else series.dtype
    cells = series.to_list()
    is_number = kind.is_numeric()
    for row, value in values.items():
        if is_number and (found := number(value)) is not None:  # corrections are typed
            value = int(found) if kind.is_integer() and found.is_integer() else found
        cells[row] = value
    try:
        return pl.Series(series.name, cells, dtype=kind)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        texts = [None if cell is None else _text(cell) for cell in cells]
        return pl.Series(series.name, texts, dtype=pl.String())


def _type_of(kind: str, categories: Sequence[Any] | None = None) -> pl.DataType:
    """Return the type of a column by the name of the dtype that it has in pandas."""
    if kind != "category" or not categories:
        return _KINDS[kind]
    values = list(dict.fromkeys(categories))
    if all(type(value) is str for value in values):
        return pl.Enum(values)
    return pl.Int64() if all(type(value) is int for value in values) else pl.String()


def type_of_schema(schema: Any, root: Mapping[str, Any]) -> pl.DataType:
    """Return the type of a column that holds what a JSON schema describes.

    Lists of simple values are lists; what is deeper is JSON text.

    Example:
        >>> type_of_schema({"type": "array", "items": {"type": "integer"}}, {})
        List(Int64)
        >>> type_of_schema({"type": "array", "items": {"enum": ["a", "b"]}}, {})
        List(Enum(categories=['a', 'b']))
        >>> type_of_schema({"type": "object"}, {})
        String
    """
    kind = parts.kind_of(schema, root)
    if kind != "object":
        return _type_of(kind, parts.values_of(schema, root) if kind == "category" else None)
    plain = parts.alternatives([schema], root)
    faces = [face for face in plain if parts.types_of(face) != ("null",)]
    types = [[name for name in parts.types_of(face) if name != "null"] for face in faces]
    items = faces[0].get("items") if types == [["array"]] else None
    if not isinstance(items, Mapping) or parts.kind_of(items, root) == "object":
        return pl.String()
    return pl.List(type_of_schema(items, root))


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return mended(value if isinstance(value, str) else json_text(value))


def _vectors(values: Sequence[Any], name: str) -> pl.Series:
    present = [value for value in values if value is not None]
    if not present:
        return pl.Series(name, values, dtype=VECTOR)
    numbers = iter(range(len(present)))
    wanted = [None if value is None else next(numbers) for value in values]
    # Numbers go over in a single block; each row then takes its own.
    every = pl.Series(name, np.stack(present).astype(np.float32)).cast(VECTOR)
    return every.gather(pl.Series(wanted, dtype=pl.UInt32))
