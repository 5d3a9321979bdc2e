"""The awaited twins of what the accessors do: the same work, on whatever loop the caller runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from typing import Unpack

    import pandas as pd

    from llmnb.frames.answers import Table
    from llmnb.frames.comparing import Comparison
    from llmnb.frames.options import ExtractOptions, GenerateOptions, PreviewOptions
    from llmnb.frames.verbs import Labels
    from llmnb.models.asking import Model


class AwaitedFrame:
    """What can be awaited of a frame; mixed into `DataFrameLLM`."""

    _frame: pd.DataFrame

    async def agenerate(self, prompt: Hashable, **options: Unpack[GenerateOptions]) -> Table:
        """Await what `generate` returns; works on any running loop."""
        from llmnb.frames import verbs

        return await verbs.agenerate(self._frame, prompt, options)

    async def apreview(
        self, prompt: Hashable, *, n: int = 3, **options: Unpack[PreviewOptions]
    ) -> pd.DataFrame:
        """Await what `preview` returns."""
        from llmnb.frames import verbs

        return await verbs.apreview(self._frame, prompt, n, options)

    async def aextract(
        self, text_column: Hashable, schema: Any, **options: Unpack[ExtractOptions]
    ) -> Table:
        """Await what `extract` returns."""
        from llmnb.frames import verbs

        return await verbs.aextract(self._frame, text_column, schema, options)

    async def aclassify(
        self, text_column: Hashable, labels: Labels, **options: Unpack[ExtractOptions]
    ) -> Table:
        """Await what `classify` returns."""
        from llmnb.frames import verbs

        return await verbs.aclassify(self._frame, text_column, labels, options)

    async def acompare(
        self, prompt: Hashable, models: Sequence[Model], **options: Unpack[PreviewOptions]
    ) -> Comparison:
        """Await what `compare` returns."""
        from llmnb.frames import verbs

        return await verbs.acompare(self._frame, prompt, models, options)


class AwaitedSeries:
    """What can be awaited of a series; mixed into `SeriesLLM`."""

    _series: pd.Series[Any]

    async def agenerate(self, prompt: str = "{}", **options: Unpack[GenerateOptions]) -> Table:
        """Await what `generate` returns; works on any running loop."""
        from llmnb.frames import verbs

        return await verbs.agenerate(self._series, prompt, options)

    async def apreview(
        self, prompt: str = "{}", *, n: int = 3, **options: Unpack[PreviewOptions]
    ) -> pd.DataFrame:
        """Await what `preview` returns."""
        from llmnb.frames import verbs

        return await verbs.apreview(self._series, prompt, n, options)

    async def aextract(self, schema: Any, **options: Unpack[ExtractOptions]) -> Table:
        """Await what `extract` returns."""
        from llmnb.frames import verbs

        return await verbs.aextract(self._series, "{}", schema, options)

    async def aclassify(self, labels: Labels, **options: Unpack[ExtractOptions]) -> Table:
        """Await what `classify` returns."""
        from llmnb.frames import verbs

        return await verbs.aclassify(self._series, "{}", labels, options)

    async def acompare(
        self, prompt: str = "{}", *, models: Sequence[Model], **options: Unpack[PreviewOptions]
    ) -> Comparison:
        """Await what `compare` returns."""
        from llmnb.frames import verbs

        return await verbs.acompare(self._series, prompt, models, options)
