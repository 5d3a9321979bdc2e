"""What `embed` does; loaded when it is first used."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from llmnb import bridge, progress
from llmnb.embeddings.factory import chosen
from llmnb.embeddings.litellm_model import LiteLLMEmbeddingModel, warn_of_truncated
from llmnb.embeddings.model import EmbeddingModel
from llmnb.embeddings.order import Order
from llmnb.embeddings.run import EmbeddingRun
from llmnb.errors import ConfigurationError
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
from llmnb.models.engine_model import EngineModel
from llmnb.options import EMBED_PARAMS, PARAMS, checked, names, refuse_unknown, with_params
from llmnb.progress import Bars
from llmnb.signatures import KEYWORDS as LISTS
from llmnb.targets.endpoint import Endpoint

EMBEDDING = "embedding"
"""What a column of vectors is called where nobody names it."""

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
        """Start it, and return its run; None where the model is not asked by the engine."""
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
        """Return the table of a finished run, and say what failed or was cut.

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
    """Return what the model orders, with what the keywords say otherwise."""
    order = model.order()
    changes = {name: keywords[name] for name in _STORING if keywords.get(name) is not None}
    limits = {name: keywords[name] for name in _LIMITS if keywords.get(name) is not None}
    return dataclasses.replace(order, **changes, options={**order.options, **limits})


def _params(keywords: Keywords) -> dict[str, Any]:
    beside = {name: keywords[name] for name in EMBED_PARAMS if name in keywords}
    return with_params(keywords.get("params"), beside, fields=EMBED_PARAMS)


def checked_keywords(keywords: Keywords, known: Sequence[str]) -> Keywords:
    """Return keywords with their values as the engine takes them.

    Raises:
        TypeError: If one is not there.
        ConfigurationError: If one has a value that it does not take; nothing was sent.
    """
    refuse_unknown(keywords, known, ".llm")
    if (most := keywords.get("max_tokens")) is not None:
        PARAMS["max_tokens"].checked("max_tokens", most)
    _params(keywords)
    return {**keywords, **checked({name: keywords[name] for name in keywords if name in _CHECKED})}
