"""Rows of a table whose vectors are near a question's: cosines, computed here."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np

from llmnb.embeddings.model import EmbeddingModel, EmbeddingModes
from llmnb.errors import InputError
from llmnb.frames.pandas_source import source_of
from llmnb.frames.placing import Call
from llmnb.frames.table_source import WHOLE, Keywords, PreparedVerb, Source, name_of
from llmnb.frames.template import is_missing
from llmnb.frames.vectors import checked_keywords, model_of
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
        keywords: What else was named.

    Raises:
        InputError: If `k` is no number of rows, a cell of the column holds something else, or its
            vectors differ in length; nothing was sent.
    """

    def __init__(
        self, table: Source, query: Any, name: Hashable, k: int, keywords: Keywords
    ) -> None:
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise InputError(f"k is the number of rows to find, at least 1, not {k!r}.")
        keywords = checked_keywords(keywords, ("model", *KEYWORDS["NearestOptions"]))
        self._source, self._query, self._k = source_of(table), query, k
        cells = self._source.columns().cells("" if name == WHOLE else name_of(name))
        self._rows: Any = np.array(
            [row for row, cell in enumerate(cells) if not is_missing(cell)], dtype=np.intp
        )
        """The rows that have a vector."""

        self._vectors = _matrix([cells[row] for row in self._rows], name)
        self._into = keywords.get("into", SIMILARITY)
        self._source.check_columns(
            [self._into],
            into=self._into,
            overwrite=bool(keywords.get("overwrite")),
            call=Call("nearest", (query, name), keywords),
        )
        self._model = model_of(keywords) if isinstance(query, str) else None

    def finish(self) -> Any:
        """Block for the rows that are nearest."""
        if self._model is None:
            return self._nearest(self._query)
        with _embedding_queries(self._model):
            (vector,) = self._model.packed_vectors_sync([self._query])
        return self._nearest(np.frombuffer(vector, "<f4"))

    async def afinish(self) -> Any:
        """Await the rows that are nearest."""
        if self._model is None:
            return await asyncio.to_thread(self._nearest, self._query)
        with _embedding_queries(self._model):
            (vector,) = await self._model.packed_vectors([self._query])
        return await asyncio.to_thread(self._nearest, np.frombuffer(vector, "<f4"))

    def _nearest(self, query: Any) -> Any:
        """Return the rows whose vectors are nearest; of equals the first row stands first."""
        try:
            wanted = np.asarray(query, dtype=np.float32)
        except (TypeError, ValueError):
            wanted = np.empty((0, 0), dtype=np.float32)
        if wanted.ndim != 1:
            raise InputError("The question is a text, or a vector of numbers.")
        if not len(self._rows):
            return self._source.taken(self._rows, self._into, self._rows.astype(np.float32))
        if len(wanted) != (size := self._vectors.shape[1]):
            raise InputError(
                f"The question's vector has {len(wanted):,} numbers and the column's have "
                f"{size:,}: give the model= (and params=) that the column was embedded with."
            )
        lengths = np.linalg.norm(self._vectors, axis=1) * np.linalg.norm(wanted)
        # A vector of zeros, which an empty text has, is near to nothing.
        near: Any = self._vectors @ wanted / np.where(lengths > 0, lengths, 1)
        best = np.argsort(-near, kind="stable")[: self._k]
        return self._source.taken(self._rows[best], self._into, near[best])


def _matrix(cells: Sequence[Any], name: Hashable) -> np.ndarray[Any, np.dtype[np.float32]]:
    try:
        matrix = np.stack([np.asarray(cell, dtype=np.float32) for cell in cells])
    except (TypeError, ValueError):
        matrix = np.empty((0, 0) if not cells else 0, dtype=np.float32)
    if matrix.ndim != 2:
        raise InputError(
            f"Column {name!r} does not hold vectors of one length: make one with "
            "df.llm.embed(column). Nothing was sent."
        )
    return matrix


@contextlib.contextmanager
def _embedding_queries(model: EmbeddingModel) -> Iterator[None]:
    """Have a model embed texts as queries until the block ends."""
    before = model.mode
    model.set_mode(EmbeddingModes.QUERY)
    try:
        yield
    finally:
        model.set_mode(before)
