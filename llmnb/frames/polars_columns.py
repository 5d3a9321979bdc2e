"""Answers as columns of Polars, whose types are known before the first answer is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import polars as pl

from llmnb.display.texts import mended
from llmnb.evaluation.labels import number
from llmnb.frames import table_source
from llmnb.frames.table_source import AnswerColumn
from llmnb.schemas import parts
from llmnb.wire.json_text import json_text

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
    table_source.VECTOR: VECTOR,
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
    if column.kind == table_source.VECTOR:
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
