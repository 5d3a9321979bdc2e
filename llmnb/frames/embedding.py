"""`embed` and `nearest` of the accessors: texts as vectors, and the rows near a question.

Only names and signatures stand here; what they do is in `llmnb.frames.vectors`
and `llmnb.frames.nearest`, loaded when one is first called.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from llmnb.frames.awaited import as_now

if TYPE_CHECKING:
    from collections.abc import Hashable
    from typing import Unpack

    import pandas as pd

    from llmnb.frames.nearest import Search
    from llmnb.frames.table_source import Source
    from llmnb.frames.vectors import Embedding, EmbedOptions, NearestOptions


async def _embedded(
    table: Any, column: Hashable, into: Hashable | None, options: EmbedOptions
) -> Any:
    """Await a column of vectors on the caller's loop; `column` None is a series' own."""
    from llmnb import bridge

    def begin() -> Embedding:
        from llmnb.frames import vectors

        return vectors.Embedding(table, vectors.WHOLE if column is None else column, into, options)

    def leave(work: Embedding) -> None:
        if work.run is not None:
            work.run.stop()

    work = await bridge.begun(begin, leave)
    return await work.awaited(bars=options.get("progress", "auto"))


class EmbeddingFrame:
    """What a frame does with vectors; mixed into `DataFrameLLM`."""

    _frame: Source

    def embed(
        self, column: Hashable, *, into: Hashable | None = None, **options: Unpack[EmbedOptions]
    ) -> Any:
        """Return a vector for each row's text.

        n rows in; a Series of n out, same index: arrays of numpy's `float32`, `<NA>` where the
        cell is missing or failed. Such a column can be written to Parquet. Texts are kept, so
        none is bought twice; empty ones get a vector of zeros.

        Args:
            column: The column's name.
            into: Column for the vectors: then a copy of the frame with it is returned.
            **options: As listed in `llmnb.frames.vectors.EmbedOptions`: ``model`` (a name, an
                `LLM`, a `LocalModel` or an `EmbeddingModel`; None: ``LLMNB_EMBEDDING_MODEL``,
                else the configured provider's own), ``batch_size``, ``params`` such as
                ``{"dimensions": 256}``, ``max_tokens``, limits, ``budget_usd``,
                ``project_name``, ``use_cache``, ``share``, ``on_error``, ``overwrite``,
                ``progress``.

        Raises:
            InputError: If there is no such column; nothing was sent.
            ConfigurationError: If the model or an option cannot be used; nothing was sent.
        """
        from llmnb.frames import vectors

        return vectors.embed(self._frame, column, into, options)

    async def aembed(
        self, column: Hashable, *, into: Hashable | None = None, **options: Unpack[EmbedOptions]
    ) -> Any:
        """Await what `embed` returns; works on any running loop."""
        return await _embedded(as_now(self._frame), column, into, options)

    def nearest(
        self, query: Any, column: Hashable, *, k: int = 5, **options: Unpack[NearestOptions]
    ) -> pd.DataFrame:
        """Return the rows whose vectors are nearest to a question's, the nearest first.

        Args:
            query: A text, which is embedded, or a vector.
            column: The column of vectors, as `embed` gives it.
            k: Rows.
            **options: ``model``, ``params``, ``project_name`` as they were given to `embed`;
                ``into``, the name of the column that tells how near (``"similarity"``): the
                cosine, from -1 to 1; ``overwrite``, whether such a column of the frame's own
                may be replaced.

        Raises:
            InputError: If the column holds no vectors, or others than the model makes.
        """
        from llmnb.frames import nearest

        found: pd.DataFrame = nearest.nearest(self._frame, query, column, k, options)
        return found

    async def anearest(
        self, query: Any, column: Hashable, *, k: int = 5, **options: Unpack[NearestOptions]
    ) -> pd.DataFrame:
        """Await what `nearest` returns."""
        from llmnb import bridge

        table = as_now(self._frame)

        def begin() -> Search:
            from llmnb.frames.nearest import Search

            return Search(table, query, column, k, options)

        search = await bridge.begun(begin)
        vector = await search.avector()
        found: pd.DataFrame = await asyncio.to_thread(search.found, vector)
        return found


class EmbeddingSeries:
    """What a series does with vectors; mixed into `SeriesLLM`."""

    _series: Source

    def embed(self, **options: Unpack[EmbedOptions]) -> Any:
        """Return a vector for each text, as `DataFrameLLM.embed` does."""
        from llmnb.frames import vectors

        return vectors.embed(self._series, vectors.WHOLE, None, options)

    async def aembed(self, **options: Unpack[EmbedOptions]) -> Any:
        """Await what `embed` returns."""
        return await _embedded(as_now(self._series), None, None, options)

    def nearest(
        self, query: Any, *, k: int = 5, **options: Unpack[NearestOptions]
    ) -> pd.Series[Any]:
        """Return how near the nearest of these vectors are to a question's, by their labels.

        Args:
            query: A text, which is embedded, or a vector.
            k: How many.
            **options: As for `DataFrameLLM.nearest`.
        """
        from llmnb.frames import nearest

        found: pd.Series[Any] = nearest.nearest_of(self._series, query, k, options)
        return found
