"""What `embed` does; loaded when it is first used."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import logging
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypedDict

import numpy as np

from llmnb import progress
from llmnb.embeddings.choosing import chosen
from llmnb.embeddings.litellm_model import LiteLLMEmbeddingModel, warn_of_truncated
from llmnb.embeddings.model import EmbeddingModel
from llmnb.embeddings.order import Order
from llmnb.embeddings.run import EmbeddingRun
from llmnb.errors import ConfigurationError
from llmnb.frames import failures
from llmnb.frames.answers import suffixed
from llmnb.frames.options import OnError
from llmnb.frames.pandas_source import source_of
from llmnb.frames.placing import Call
from llmnb.frames.table_source import VECTOR, WHOLE, AnswerColumn, Source, name_of
from llmnb.options import EMBED_PARAMS, PARAMS, checked, names, refuse_unknown, with_params
from llmnb.progress import Bars
from llmnb.rates import Rate
from llmnb.records import Burst
from llmnb.running.asking import Endpoint, Named

logger = logging.getLogger("llmnb")

__all__ = ["WHOLE", "embed"]

Given = Mapping[str, Any]

EMBEDDING = "embedding"
"""What a column of vectors is called where nobody names it."""

_STRENGTH = (
    "max_requests_per_minute",
    "max_tokens_per_minute",
    "max_concurrent_requests",
    "burst",
    "max_attempts",
    "max_wait",
    "budget_usd",
)
_KEEPING = ("project_name", "use_cache", "share", "batch_size")
MAKING = ("model", "params", *EMBED_PARAMS, "max_tokens", "project_name")
"""Keywords that say who makes vectors."""

_SHOWING = ("on_error", "overwrite", "progress")
_CHECKED = names("embed")
KEYWORDS = (*MAKING, *_KEEPING, *_STRENGTH, *_SHOWING)
"""Every keyword of `embed` but the column's own."""


class MakingOptions(TypedDict, total=False):
    """Who makes vectors; for type checkers."""

    model: Named | EmbeddingModel | None
    params: Mapping[str, Any] | None
    dimensions: int | None
    max_tokens: int | None
    project_name: str | None


class NearestOptions(MakingOptions, total=False):
    """Keywords of `nearest`."""

    into: Hashable
    overwrite: bool


class EmbedOptions(MakingOptions, total=False):
    """Keywords of `embed`."""

    batch_size: int | None
    use_cache: bool
    share: bool | str | list[str]
    on_error: OnError
    overwrite: bool
    max_requests_per_minute: Rate | None
    max_tokens_per_minute: Rate | None
    max_concurrent_requests: int | None
    burst: Burst | None
    max_attempts: int
    max_wait: float | None
    budget_usd: float | None
    progress: Bars


# ------------------------------------------------------------------------------ embed


def embed(table: Source, name: Hashable, into: Hashable | None, given: Given) -> Any:
    """Block for a column of vectors."""
    work = Embedding(table, name, into, given)
    if work.run is None:
        return work.table(work.model.packed_vectors_sync(work.present))
    progress.attend(work.run, bars=given.get("progress", "auto"))
    return work.finished()


class Embedding:
    """One column on its way to vectors; a model behind the engine starts at once.

    Args:
        table: The frame or series.
        name: The column.
        into: Column for the vectors.
        given: Keywords.
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
        given: Given,
        *,
        cache_dir: str | None = None,
    ) -> None:
        given = keywords(given, KEYWORDS)
        source = source_of(table)
        self._on_error = given.get("on_error", "null")
        self._is_into = into is not None
        self._name: Hashable = EMBEDDING if into is None else into
        self.texts = source.columns().texts("" if name == WHOLE else name_of(name))
        source.check_columns(
            list(columns_of(self._name, self._on_error, (), {})),
            into=into,
            overwrite=bool(given.get("overwrite")),
            call=Call("embed", (name,), {**given, "into": into}),
        )
        self._source = source.snapshot() if self._is_into else source
        self.model = model_of(given)
        self.run: EmbeddingRun | None = None
        if isinstance(self.model, LiteLLMEmbeddingModel):
            order = _order(self.model, given)
            if cache_dir is not None:
                order = dataclasses.replace(order, cache_dir=cache_dir)
            self.run = EmbeddingRun(self.texts, order)

    @property
    def present(self) -> list[str]:
        """The texts that are there."""
        return [text for text in self.texts if text is not None]

    async def awaited(self, *, bars: Bars) -> Any:
        """Await the table on the caller's loop.

        Args:
            bars: Whether to show bars.
        """
        if self.run is None:
            vectors = await self.model.packed_vectors(self.present)
            return await asyncio.to_thread(self.table, vectors)
        await progress.aattend(self.run, bars=bars)
        return self._told(await asyncio.to_thread(self._shaped))

    def finished(self, *, is_telling: bool = True) -> Any:
        """Return the table of a finished run, and say what failed or was cut.

        Args:
            is_telling: Whether it is said here that rows failed.
        """
        return self._told(self._shaped(), is_telling=is_telling)

    def _shaped(self) -> Any:
        assert self.run is not None
        errors = {row: one.message for row, one in self.run.errors.items()}
        return self._table(self.run.result(), errors)

    def _told(self, table: Any, *, is_telling: bool = True) -> Any:
        """Return a finished run's table, having said what failed or was cut."""
        run = self.run
        assert run is not None
        warn_of_truncated(run, len(self.texts))
        if is_telling:
            failures.report(run, len(self.texts), self._on_error, table)
        return table

    def table(self, vectors: Sequence[bytes]) -> Any:
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


def model_of(given: Given) -> EmbeddingModel:
    """Return the model that keywords name, or the one that is chosen where they name none."""
    model = given.get("model")
    if isinstance(model, EmbeddingModel):
        if given.get("params") or given.get("dimensions"):
            raise ConfigurationError("params= belong into the config of the model that is given.")
        return model
    if not (model is None or isinstance(model, str | Endpoint)):
        raise ConfigurationError(
            f"{type(model).__name__} makes no vectors: give the name of a model that does, an LLM, "
            "or an EmbeddingModel. Nothing was sent."
        )
    name, words = chosen(model)
    if words is not None:
        _say_once(words)
    return LiteLLMEmbeddingModel(
        name,
        config={"kwargs": _params(given), "max_tokens": given.get("max_tokens")},
        project_name=given.get("project_name"),
    )


def _order(model: LiteLLMEmbeddingModel, given: Given) -> Order:
    """Return what the model orders, with what the keywords say otherwise."""
    order = model.order()
    changes = {name: given[name] for name in _KEEPING if given.get(name) is not None}
    limits = {name: given[name] for name in _STRENGTH if given.get(name) is not None}
    return dataclasses.replace(order, **changes, options={**order.options, **limits})


def _params(given: Given) -> dict[str, Any]:
    beside = {name: given[name] for name in EMBED_PARAMS if name in given}
    return with_params(given.get("params"), beside, fields=EMBED_PARAMS)


def keywords(given: Given, known: Sequence[str]) -> Given:
    """Return keywords with their values as the engine takes them.

    Raises:
        TypeError: If one is not there.
        ConfigurationError: If one has a value that it does not take; nothing was sent.
    """
    refuse_unknown(given, known, ".llm")
    if (most := given.get("max_tokens")) is not None:
        PARAMS["max_tokens"].checked("max_tokens", most)
    _params(given)
    return {**given, **checked({name: given[name] for name in given if name in _CHECKED})}


@functools.lru_cache(maxsize=64)
def _say_once(words: str) -> None:
    logger.warning(words)
