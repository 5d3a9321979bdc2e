"""What `embed` and `nearest` do: texts as vectors, and the rows whose vectors are near."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from llmnb import bridge, progress
from llmnb.embeddings.factory import chosen
from llmnb.embeddings.litellm_model import LiteLLMEmbeddingModel, warn_of_truncated
from llmnb.embeddings.model import EmbeddingModel, EmbeddingModes
from llmnb.embeddings.order import Order
from llmnb.embeddings.run import EmbeddingRun
from llmnb.errors import ConfigurationError, InputError
from llmnb.frames import failures
from llmnb.frames.answers import suffixed
from llmnb.frames.pandas_source import source_of
from llmnb.frames.placing import Call
from llmnb.frames.table_source import (
    VECTOR,
    WHOLE,
    AnswerColumn,
    Keywords,
    PreparedVerb,
    Source,
    name_of,
)
from llmnb.frames.template import is_missing
from llmnb.models.engine_model import EngineModel
from llmnb.options import EMBED_PARAMS, PARAMS, checked, names, refuse_unknown, with_params
from llmnb.progress import Bars
from llmnb.signatures import KEYWORDS as LISTS
from llmnb.targets.endpoint import Endpoint

EMBEDDING = "embedding"
"""What a column of vectors is called where nobody names it."""

SIMILARITY = "similarity"
"""What the column is called that tells how near a row is."""

_STORING = ("project_name", "use_cache", "share", "batch_size")
_LIMITS = tuple(name for name in names("embed", "start") if name not in _STORING)
_CHECKED = names("embed")
KEYWORDS = ("model", *LISTS["EmbedOptions"])
"""Every keyword of `embed` but the column's own."""


class Embedding(PreparedVerb):
    """A column of texts, ready to be made a column of vectors.

    Args:
        table: The frame or series.
        name: The column.
        into: Column for the vectors.
        keywords: What else was named.
        cache_dir: Folder of all projects, where it is not this process's own.

    Raises:
        InputError: If there is no such column; nothing was sent.
        ConfigurationError: If a keyword cannot be used; nothing was sent.
    """

    def __init__(
        self,
        table: Source,
        name: Hashable,
        into: Hashable | None,
        keywords: Keywords,
        *,
        cache_dir: str | None = None,
    ) -> None:
        keywords = checked_keywords(keywords, KEYWORDS)
        source = source_of(table)
        self._on_error = keywords.get("on_error", "null")
        self._is_into = into is not None
        self._name: Hashable = EMBEDDING if into is None else into
        self.texts = source.columns().texts("" if name == WHOLE else name_of(name))
        source.check_columns(
            list(columns_of(self._name, self._on_error, (), {})),
            into=into,
            overwrite=bool(keywords.get("overwrite")),
            call=Call("embed", (name,), {**keywords, "into": into}),
        )
        self._source = source.snapshot() if self._is_into else source
        self.model = model_of(keywords)
        self._bars: Bars = keywords.get("progress", "auto")
        self._order: Order | None = None
        if isinstance(self.model, LiteLLMEmbeddingModel):
            self._order = _order(self.model, keywords)
            if cache_dir is not None:
                self._order = dataclasses.replace(self._order, cache_dir=cache_dir)

    def start(self) -> EmbeddingRun | None:
        """Start the run and return it; None where the engine does not ask the model."""
        return None if self._order is None else EmbeddingRun(self.texts, self._order)

    def finish(self) -> Any:
        """Block for the table, showing how far it is."""
        run = self.start()
        if run is None:
            return self._by_model(self.model.packed_vectors_sync(self._present))
        progress.attend(run, bars=self._bars)
        return self.finished(run)

    async def afinish(self) -> Any:
        """Await the table on the caller's loop."""
        run = await bridge.begun(self.start, lambda late: late.stop() if late else None)
        if run is None:
            vectors = await self.model.packed_vectors(self._present)
            return await asyncio.to_thread(self._by_model, vectors)
        await progress.aattend(run, bars=self._bars)
        return self._reported(run, await asyncio.to_thread(self._shaped, run))

    def finished(self, run: EmbeddingRun, *, is_reporting: bool = True) -> Any:
        """Return the table of a finished run, after a warning of what failed or was cut.

        Args:
            run: What `start` returned.
            is_reporting: Whether it is reported here that rows failed.
        """
        return self._reported(run, self._shaped(run), is_reporting=is_reporting)

    @property
    def _present(self) -> list[str]:
        return [text for text in self.texts if text is not None]

    def _shaped(self, run: EmbeddingRun) -> Any:
        errors = {row: error.message for row, error in run.errors.items()}
        return self._table(run.result(), errors)

    def _reported(self, run: EmbeddingRun, table: Any, *, is_reporting: bool = True) -> Any:
        warn_of_truncated(run, len(self.texts))
        if is_reporting:
            failures.report(run, len(self.texts), self._on_error, table)
        return table

    def _by_model(self, vectors: Sequence[bytes]) -> Any:
        """Return the table for the vectors of the texts that are there."""
        waiting = iter(vectors)
        return self._table([None if text is None else next(waiting) for text in self.texts], {})

    def _table(self, vectors: Sequence[bytes | None], errors: Mapping[int, str]) -> Any:
        columns = columns_of(self._name, self._on_error, vectors, errors)
        return self._source.filled(columns, into=self._is_into, is_frame=False)


def columns_of(
    name: Hashable, on_error: str, vectors: Sequence[bytes | None], errors: Mapping[int, str]
) -> dict[Hashable, AnswerColumn]:
    """Return the columns that `embed` makes.

    Args:
        name: What the vectors are called.
        on_error: Whether messages stand in a column of their own (``"column"``).
        vectors: Little-endian numbers of 32 bits for each row; None is missing.
        errors: Messages by row.
    """
    # A copy in the machine's own order, which its owner may change.
    arrays = [
        None if vector is None else np.frombuffer(vector, "<f4").astype(np.float32)
        for vector in vectors
    ]
    columns = {name: AnswerColumn(arrays, VECTOR)}
    if on_error == "column":
        messages = [errors.get(row) for row in range(len(vectors))]
        columns[suffixed(name, "error")] = AnswerColumn(messages, "string")
    return columns


# ----------------------------------------------------------------------------- making


def model_of(keywords: Keywords) -> EmbeddingModel:
    """Return the model that keywords name, or the one that is chosen where they name none."""
    model = keywords.get("model")
    if isinstance(model, EmbeddingModel):
        if keywords.get("params") or keywords.get("dimensions"):
            raise ConfigurationError("params= belong into the config of the model that is given.")
        return model
    if not (model is None or isinstance(model, str | EngineModel | Endpoint)):
        raise ConfigurationError(
            f"{type(model).__name__} makes no vectors: give the name of a model that does, an LLM, "
            "or an EmbeddingModel. Nothing was sent."
        )
    name, announcement = chosen(model)
    if announcement is not None:
        failures.log_once(announcement)
    return LiteLLMEmbeddingModel(
        name,
        config={"kwargs": _params(keywords), "max_tokens": keywords.get("max_tokens")},
        project_name=keywords.get("project_name"),
    )


def _order(model: LiteLLMEmbeddingModel, keywords: Keywords) -> Order:
    """Return the model's order, changed by the keywords."""
    order = model.order()
    changes = {name: keywords[name] for name in _STORING if keywords.get(name) is not None}
    limits = {name: keywords[name] for name in _LIMITS if keywords.get(name) is not None}
    return dataclasses.replace(order, **changes, options={**order.options, **limits})


def _params(keywords: Keywords) -> dict[str, Any]:
    beside = {name: keywords[name] for name in EMBED_PARAMS if name in keywords}
    return with_params(keywords.get("params"), beside, fields=EMBED_PARAMS)


def checked_keywords(keywords: Keywords, known: Sequence[str]) -> Keywords:
    """Return keywords with their values checked.

    Raises:
        TypeError: If one is not there.
        ConfigurationError: If one has a value that it does not take; nothing was sent.
    """
    refuse_unknown(keywords, known, ".llm")
    if (most := keywords.get("max_tokens")) is not None:
        PARAMS["max_tokens"].checked("max_tokens", most)
    _params(keywords)
    return {**keywords, **checked({name: keywords[name] for name in keywords if name in _CHECKED})}


# ---------------------------------------------------------------------------- nearest


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
        keywords = checked_keywords(keywords, ("model", *LISTS["NearestOptions"]))
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
