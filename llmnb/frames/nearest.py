"""Rows of a table whose vectors are near a question's: cosines, computed here."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from llmnb.embeddings.model import EmbeddingModel, EmbeddingModes
from llmnb.errors import InputError
from llmnb.frames.pandas_source import source_of
from llmnb.frames.placing import Call
from llmnb.frames.table_source import WHOLE, PreparedVerb, Source, name_of
from llmnb.frames.vectors import Given, keywords, model_of
from llmnb.signatures import KEYWORDS

SIMILARITY = "similarity"
"""What the column is called that tells how near a row is."""


class Search(PreparedVerb):
    """One question to a column of vectors.

    Args:
        table: The frame or series.
        query: A text, or a vector.
        name: The column of vectors; ``{}``: a series' own.
        k: Rows to find.
        given: Keywords.
    """

    def __init__(self, table: Source, query: Any, name: Hashable, k: int, given: Given) -> None:
        self._source, self._query, self._k, self._given = source_of(table), query, k, given
        cells = self._source.columns().cells("" if name == WHOLE else name_of(name))
        self._vectors = _Vectors.of(cells, name)
        self._question = _Question(query, given)
        into = given.get("into", SIMILARITY)
        self._source.check_columns(
            [into],
            into=into,
            overwrite=bool(given.get("overwrite")),
            call=Call("nearest", (query, name), given),
        )

    def finish(self) -> Any:
        """Block for the rows that are nearest."""
        return self._found(self._question.vector())

    async def afinish(self) -> Any:
        """Await the rows that are nearest."""
        return await asyncio.to_thread(self._found, await self._question.avector())

    def _found(self, vector: Any) -> Any:
        rows, near = _search(self._vectors, _checked(vector, self._vectors), self._k)
        return self._source.taken(rows, self._given.get("into", SIMILARITY), near)


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


class _Question:
    """A question, and the model that makes a vector of it where it is a text."""

    def __init__(self, query: Any, given: Given) -> None:
        given = keywords(given, ("model", *KEYWORDS["NearestOptions"]))
        self._query = query
        self._model = model_of(given) if isinstance(query, str) else None

    def vector(self) -> Any:
        """Block for its vector."""
        if self._model is None:
            return self._query
        with _asking(self._model):
            return _numbers(self._model.packed_vectors_sync([self._query]))

    async def avector(self) -> Any:
        """Await its vector."""
        if self._model is None:
            return self._query
        with _asking(self._model):
            return _numbers(await self._model.packed_vectors([self._query]))


@contextlib.contextmanager
def _asking(model: EmbeddingModel) -> Iterator[None]:
    """Have a model embed questions until the block ends."""
    before = model.mode
    model.set_mode(EmbeddingModes.QUERY)
    try:
        yield
    finally:
        model.set_mode(before)


def _numbers(found: Sequence[bytes]) -> Any:
    (vector,) = found
    return np.frombuffer(vector, "<f4")


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
