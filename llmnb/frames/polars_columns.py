"""Answers as columns of Polars, whose types are known before the first answer is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from llmnb.display.texts import mended
from llmnb.frames.template import is_missing
from llmnb.schemas import parts
from llmnb.wire.json_text import json_text

VECTOR = pl.List(pl.Float32)
"""The type of a column of vectors."""

_KINDS: Mapping[str, pl.DataType] = {
    "string": pl.String(),
    "Int64": pl.Int64(),
    "Float64": pl.Float64(),
    "boolean": pl.Boolean(),
    "category": pl.String(),
    "object": pl.String(),
}


def type_of(kind: str, categories: Sequence[Any] | None = None) -> pl.DataType:
    """Return the type of a column by the name of the dtype that it has in pandas.

    Args:
        kind: Such as ``"Int64"``.
        categories: Values of a category, in order.

    Example:
        >>> type_of("Int64"), type_of("category", ["good", "bad"])
        (Int64, Enum(categories=['good', 'bad']))
    """
    if kind != "category" or not categories:
        return _KINDS[kind]
    known = list(dict.fromkeys(categories))
    if all(type(one) is str for one in known):
        return pl.Enum(known)
    if all(type(one) is int for one in known):
        return pl.Int64()
    return pl.String()


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
    faces = [one for one in parts.alternatives([schema], root) if _types(one) != ["null"]]
    if kind == "category":
        values = [value for face in faces for value in face.get("enum", [face.get("const")])]
        return type_of(kind, [one for one in values if one is not None])
    if kind != "object":
        return type_of(kind)
    if len(faces) != 1 or [one for one in _types(faces[0]) if one != "null"] != ["array"]:
        return pl.String()
    items = faces[0].get("items")
    if not isinstance(items, Mapping) or parts.kind_of(items, root) == "object":
        return pl.String()
    return pl.List(type_of_schema(items, root))


def _types(face: Mapping[str, Any]) -> list[str]:
    return list(parts.types_of(face))


def column_of(values: Sequence[Any], kind: pl.DataType, name: str) -> pl.Series:
    """Return values as a column in which None is missing.

    Args:
        values: The values.
        kind: The column's type; where it cannot hold one of them, the column is text.
        name: The column's name.

    Example:
        >>> column_of([1, None], pl.Int64(), "n").to_list()
        [1, None]
        >>> column_of([{"a": [1]}, "x"], pl.String(), "any").to_list()
        ['{"a":[1]}', 'x']
    """
    try:
        return pl.Series(name, values, dtype=kind)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        # Half a character, a number that is too large, or no value of that kind.
        return pl.Series(name, [_text(one) for one in values], dtype=pl.String())


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        value = json_text(value)
    text: str = value
    return mended(text)


def _vectors(values: Sequence[Any], name: str) -> pl.Series:
    present = [one for one in values if one is not None]
    places = iter(range(len(present)))
    wanted = [None if one is None else next(places) for one in values]
    # Numbers go over as one block; each row then takes its own.
    every = pl.Series(name, np.stack(present).astype(np.float32)).cast(VECTOR)
    return every.gather(pl.Series(wanted, dtype=pl.UInt32))


def from_pandas(series: Any, name: str) -> pl.Series:
    """Return a column of pandas as one of Polars, without any other library."""
    values = [None if is_missing(cell) else cell for cell in series.tolist()]
    known = str(series.dtype)
    if known == "object" and any(hasattr(cell, "dtype") for cell in values):
        return _vectors(values, name)
    if known in _KINDS and known != "object":
        return column_of(values, type_of(known), name)
    try:
        return pl.Series(name, values)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        return column_of(values, pl.String(), name)
