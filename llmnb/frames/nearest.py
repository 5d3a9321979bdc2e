"""Rows of a table whose vectors are near a question's: cosines, computed here."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from llmnb import bridge
from llmnb.embeddings.model import EmbeddingModes
from llmnb.errors import InputError
from llmnb.frames.answers import check_place, label
from llmnb.frames.columns import Columns, name_of
from llmnb.frames.foreign import Foreign
from llmnb.frames.vectors import MAKING, Given, keywords, model_of

SIMILARITY = "similarity"
"""What the column is called that tells how near a row is."""


def nearest(table: pd.DataFrame | Foreign, query: Any, name: Hashable, k: int, given: Given) -> Any:
    """Return the nearest rows of a frame."""
    vectors = _vectors(table, name)
    rows, near = _search(vectors, _of_query(query, given, vectors), k)
    return _found(table, rows, near, given)


async def anearest(
    table: pd.DataFrame | Foreign, query: Any, name: Hashable, k: int, given: Given
) -> Any:
    """Await the nearest rows of a frame."""
    vectors = _vectors(table, name)
    wanted = await _aof_query(query, given, vectors)
    rows, near = _search(vectors, wanted, k)
    return _found(table, rows, near, given)


def nearest_of(series: pd.Series[Any] | Foreign, query: Any, k: int, given: Given) -> Any:
    """Return the similarities of the nearest vectors of a series."""
    vectors = _Vectors.of(Columns.of(series).cells(""), getattr(series, "name", None))
    rows, near = _search(vectors, _of_query(query, given, vectors), k)
    if isinstance(series, Foreign):
        return series.taken(rows, given.get("into", SIMILARITY), near)
    return pd.Series(near, index=series.index[rows], name=given.get("into", SIMILARITY))


@dataclasses.dataclass(frozen=True, slots=True)
class _Vectors:
    """The vectors of a column, and the rows they stand in."""

    matrix: np.ndarray[Any, np.dtype[np.float32]]
    rows: np.ndarray[Any, np.dtype[np.intp]]

    @classmethod
    def of(cls, cells: Sequence[Any], name: Hashable) -> _Vectors:
        """Return them.

        Raises:
            InputError: If a cell holds something else, or vectors differ in length.
        """
        present = [
            (row, cell)
            for row, cell in enumerate(cells)
            if not (cell is None or cell is pd.NA or (isinstance(cell, float) and cell != cell))
        ]
        rows = np.array([row for row, _ in present], dtype=np.intp)
        if not present:
            return cls(np.empty((0, 0), dtype=np.float32), rows)
        try:
            matrix = np.stack([np.asarray(cell, dtype=np.float32) for _, cell in present])
        except (TypeError, ValueError):
            matrix = np.empty(0, dtype=np.float32)
        if matrix.ndim != 2:
            raise InputError(
                f"Column {name!r} does not hold vectors of one length: make one with "
                "df.llm.embed(column). Nothing was sent."
            )
        return cls(matrix, rows)


def _vectors(table: pd.DataFrame | Foreign, name: Hashable) -> _Vectors:
    return _Vectors.of(Columns.of(table).cells(name_of(name)), name)


def _of_query(query: Any, given: Given, vectors: _Vectors) -> Any:
    if not isinstance(query, str):
        return _checked(query, vectors)
    return bridge.call(_aof_query(query, given, vectors))


async def _aof_query(query: Any, given: Given, vectors: _Vectors) -> Any:
    """Return a question's vector."""
    given = keywords(given, (*MAKING, "into"))
    if not isinstance(query, str):
        return _checked(query, vectors)
    model = model_of(given)
    before = model.mode
    model.set_mode(EmbeddingModes.QUERY)
    try:
        (found,) = await model.packed_vectors([query])
    finally:
        model.set_mode(before)
    return _checked(np.frombuffer(found, "<f4"), vectors)


def _checked(query: Any, vectors: _Vectors) -> Any:
    try:
        wanted = np.asarray(query, dtype=np.float32)
    except (TypeError, ValueError):
        wanted = np.empty((0, 0), dtype=np.float32)
    if wanted.ndim != 1:
        raise InputError("The question is a text, or a vector of numbers.")
    if len(vectors.rows) and len(wanted) != vectors.matrix.shape[1]:
        raise InputError(
            f"The question's vector has {len(wanted):,} numbers and the column's have "
            f"{vectors.matrix.shape[1]:,}: give the model= (and params=) that the column was "
            "embedded with."
        )
    return wanted


def _search(vectors: _Vectors, wanted: Any, k: int) -> tuple[Any, Any]:
    """Return the rows that are nearest, and how near; of equals the first row stands first."""
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise InputError(f"k is the number of rows to find, at least 1, not {k!r}.")
    if not len(vectors.rows):
        return vectors.rows, np.empty(0, dtype=np.float32)
    lengths = np.linalg.norm(vectors.matrix, axis=1) * np.linalg.norm(wanted)
    # A vector of zeros, which an empty text has, is near to nothing.
    near = vectors.matrix @ wanted / np.where(lengths > 0, lengths, 1)
    best = np.argsort(-near, kind="stable")[:k]
    return vectors.rows[best], near[best]


def _found(table: pd.DataFrame | Foreign, rows: Any, near: Any, given: Given) -> Any:
    if isinstance(table, Foreign):
        return table.taken(rows, given.get("into", SIMILARITY), near)
    found: pd.DataFrame = table.iloc[rows].copy()
    name: Hashable = given.get("into", SIMILARITY)
    check_place(found, name)
    found[label(found, name)] = near
    return found
