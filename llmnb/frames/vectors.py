"""The verbs `embed` and `nearest`: embed a column of texts, and find the nearest vectors."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from llmnb.embeddings.factory import choose_model
from llmnb.embeddings.litellm_model import LiteLLMEmbeddingModel, warn_of_truncated
from llmnb.embeddings.model import EmbeddingModel, EmbeddingModes
from llmnb.embeddings.order import Order
from llmnb.embeddings.run import EmbeddingRun
from llmnb.errors import ConfigurationError, InputError
from llmnb.frames import failures
from llmnb.frames.answers import with_suffix
from llmnb.frames.options import Options
from llmnb.frames.overwriting import VerbCall
from llmnb.frames.pandas_source import source_of
from llmnb.frames.prepared import Outline, PreparedRun, PreparedVerb
from llmnb.frames.table_source import (
    VECTOR,
    WHOLE,
    AnswerColumn,
    Keywords,
    Source,
    name_of,
)
from llmnb.frames.template import is_missing
from llmnb.models.engine_model import EngineModel
from llmnb.options import EMBED_PARAMS, names, refuse_unknown, with_params
from llmnb.running.asking import Asking
from llmnb.signatures import KEYWORDS
from llmnb.targets.endpoint import Endpoint

EMBEDDING = "embedding"
"""Default name of the column of vectors."""

SIMILARITY = "similarity"
"""Default name of the column of cosine similarities."""

_OF_ROWS = ("into", "on_error", "overwrite", "progress")
"""Options that `embed` shares with the verbs that ask about rows."""

_STORING = ("project_name", "use_cache", "share", "batch_size")
_LIMITS = tuple(name for name in names("embed", "start") if name not in _STORING)


class Embedding(PreparedRun):
    """A call of `embed`: a column of texts, and the model that embeds them.

    Args:
        table: The frame or series.
        name: The column.
        keywords: What else was named.

    Raises:
        InputError: If there is no such column; nothing was sent.
        ConfigurationError: If a keyword cannot be used; nothing was sent.
    """

    def __init__(self, table: Source, name: Hashable, keywords: Keywords) -> None:
        keywords = checked_keywords(keywords)
        source = source_of(table)
        self._options = options = Options(
            **{option: keywords[option] for option in _OF_ROWS if option in keywords}
        )
        vector_name: Hashable = EMBEDDING if options.into is None else options.into
        self._names = [vector_name]
        """The column of vectors, and with ``on_error="column"`` that of messages."""

        if options.on_error == "column":
            self._names.append(with_suffix(vector_name, "error"))
        columns = source.columns()
        self.texts, self._fields = columns.texts(_column(name)), columns.used
        source.check_columns(
            self._names,
            into=options.into,
            overwrite=options.overwrite,
            call=VerbCall("embed", (name,), keywords),
        )
        self._source = source if options.into is None else source.snapshot()
        self.model = model_of(keywords)
        self._order: Order | None = None
        if isinstance(self.model, LiteLLMEmbeddingModel):
            self._order = _order(self.model, keywords)

    @property
    def asking(self) -> Asking | None:
        """Which model the run asks; None for one that llmnb's engine does not ask."""
        return None if self._order is None else self._order.asking

    @property
    def options(self) -> Options:
        """What the caller has chosen, beside model and limits."""
        return self._options

    @property
    def outline(self) -> Outline:
        """What a lazy table has to know of it."""
        return Outline(self._names[0], self._fields, self.table((), {}))

    def start(self, *, cache_dir: str | None = None, allow_http: bool = False) -> EmbeddingRun:
        """Start the run and return it at once; see `PreparedRun.start`."""
        assert self._order is not None
        asking = dataclasses.replace(self._order.asking, allow_http=allow_http)
        order = dataclasses.replace(self._order, asking=asking, cache_dir=cache_dir)
        return EmbeddingRun(self.texts, order)

    def finish(self) -> Any:
        """Block for the table, showing how far it is."""
        if self._order is None:
            return self._in_every_row(self.model.vectors_sync(self._present_texts))
        return super().finish()

    async def afinish(self) -> Any:
        """Await the table on the caller's loop."""
        if self._order is None:
            vectors = await self.model.vectors(self._present_texts)
            return await asyncio.to_thread(self._in_every_row, vectors)
        return await super().afinish()

    def table(self, vectors: Sequence[bytes | None], errors: Mapping[int, str]) -> Any:
        """Return the vectors as a column of the table's own library, or the table with it.

        Args:
            vectors: Little-endian numbers of 32 bits for each row; None is missing.
            errors: Messages of the texts that failed, by row.
        """
        # A copy, which may be changed, in the machine's own byte order.
        arrays = [
            None if vector is None else np.frombuffer(vector, "<f4").astype(np.float32)
            for vector in vectors
        ]
        messages = [errors.get(row) for row in range(len(vectors))]
        columns = [AnswerColumn(arrays, VECTOR), AnswerColumn(messages, "string")]
        named = dict(zip(self._names, columns, strict=False))
        return self._source.filled(named, into=self.options.into, is_frame=False)

    @property
    def _present_texts(self) -> list[str]:
        return [text for text in self.texts if text is not None]

    def _in_every_row(self, vectors: Sequence[bytes]) -> Any:
        """Return the table for the vectors of the texts that are not missing."""
        remaining = iter(vectors)
        return self.table([None if text is None else next(remaining) for text in self.texts], {})

    def table_of(self, run: EmbeddingRun) -> Any:
        """Return the table of a finished run."""
        return self.table(run.result(), {row: error.message for row, error in run.errors.items()})

    def report(self, run: EmbeddingRun, table: Any) -> None:
        """Warn of texts that were cut and of those that failed, or raise."""
        count, is_reported = len(self.texts), run.about.is_reported
        warn_of_truncated(run, count)
        failures.report(run, count, self.options.on_error, table, is_reported=is_reported)


def _column(name: Hashable) -> str:
    """Return the name under which a column is read."""
    called = name_of(name)
    return "" if called == WHOLE else called


# ----------------------------------------------------------------------------- making


def model_of(keywords: Keywords) -> EmbeddingModel:
    """Return the model that the keywords name, or a chosen one."""
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
    name, announcement = choose_model(model)
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
    named = {name: value for name, value in keywords.items() if value is not None}
    stored = {name: named[name] for name in _STORING if name in named}
    limits = {name: named[name] for name in _LIMITS if name in named}
    return dataclasses.replace(order, **stored, options={**order.options, **limits})


def _params(keywords: Keywords) -> dict[str, Any]:
    beside = {name: keywords[name] for name in EMBED_PARAMS if name in keywords}
    return with_params(keywords.get("params"), beside, fields=EMBED_PARAMS)


def checked_keywords(keywords: Keywords, known: str = "EmbedOptions") -> Keywords:
    """Return keywords with their values checked.

    Args:
        keywords: What was named; the model is one of them.
        known: The list of the others that there are.

    Raises:
        TypeError: If one is not there.
        ConfigurationError: If one has a value that it does not take; nothing was sent.
    """
    table = KEYWORDS[known]
    refuse_unknown(keywords, dict.fromkeys(["model", "into", *table]), ".llm")
    _params(keywords)
    return {
        name: table[name].checked(name, value) if name in table else value
        for name, value in keywords.items()
    }


# ---------------------------------------------------------------------------- nearest


class Search(PreparedVerb):
    """A call of `nearest`: a query, and the column of vectors that is searched.

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
        keywords = checked_keywords(keywords, "NearestOptions")
        self._source, self._query, self._k = source_of(table), query, k
        cells = self._source.columns().cells(_column(name))
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
            call=VerbCall("nearest", (query, name), keywords),
        )
        self._model = model_of(keywords) if isinstance(query, str) else None

    def finish(self) -> Any:
        """Block for the nearest rows."""
        if self._model is None:
            return self._nearest(self._query)
        with _embedding_queries(self._model):
            (vector,) = self._model.vectors_sync([self._query])
        return self._nearest(np.frombuffer(vector, "<f4"))

    async def afinish(self) -> Any:
        """Await the nearest rows."""
        if self._model is None:
            return await asyncio.to_thread(self._nearest, self._query)
        with _embedding_queries(self._model):
            (vector,) = await self._model.vectors([self._query])
        return await asyncio.to_thread(self._nearest, np.frombuffer(vector, "<f4"))

    def _nearest(self, query: Any) -> Any:
        """Return the rows whose vectors are nearest, in order; equal ones in the table's order."""
        try:
            wanted = np.asarray(query, dtype=np.float32)
        except (TypeError, ValueError):
            wanted = np.empty((0, 0), dtype=np.float32)
        if wanted.ndim != 1 or not np.isfinite(wanted).all():
            raise InputError("The question is a text, or a vector of finite numbers.")
        if not len(self._rows):
            return self._source.taken(self._rows, self._into, self._rows.astype(np.float32))
        if len(wanted) != (size := self._vectors.shape[1]):
            raise InputError(
                f"The question's vector has {len(wanted):,} numbers and the column's have "
                f"{size:,}: give the model= (and params=) that the column was embedded with."
            )
        lengths = np.linalg.norm(self._vectors, axis=1) * np.linalg.norm(wanted)
        # An empty text has a vector of zeros, whose similarity to all others is 0.
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
