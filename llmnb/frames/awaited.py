"""The awaited twins of what the accessors do: the same work, on whatever loop the caller runs.

Whatever takes its time beside the answers (imports, reading the table, opening the store,
shaping what comes back) is done on a thread, so that the caller's loop goes on.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from typing import Unpack

    import pandas as pd

    from llmnb.frames.answers import Table
    from llmnb.frames.comparing import Comparison
    from llmnb.frames.job import Job
    from llmnb.frames.options import ExtractOptions, GenerateOptions, PreviewOptions
    from llmnb.frames.run import TableRun
    from llmnb.frames.table_source import Source
    from llmnb.frames.verbs import Labels
    from llmnb.running.asking import Model


async def answered(make: Callable[[], Job]) -> Any:
    """Await a job on the caller's loop, showing how far it is, and return what it gives.

    Args:
        make: Makes the job, on a thread.
    """
    from llmnb import bridge

    def begin() -> tuple[Job, TableRun[Any]]:
        what = make()
        return what, what.start()

    what, run = await bridge.begun(begin, lambda begun: begun[1].stop())
    from llmnb import progress

    await progress.aattend(run, bars=what.options.progress)
    return run.reported(await asyncio.to_thread(run.partial))


def as_now(table: Any) -> Any:
    """Return a table as it is now, whatever the caller's loop does to it meanwhile; no copy."""
    pandas = sys.modules.get("pandas")  # a table of pandas has imported it
    if pandas is not None and isinstance(table, pandas.DataFrame | pandas.Series):
        return table.copy(deep=False)
    return table


class AwaitedFrame:
    """What can be awaited of a frame; mixed into `DataFrameLLM`."""

    _frame: Source

    async def agenerate(
        self, prompt: Hashable | None = None, **options: Unpack[GenerateOptions]
    ) -> Table:
        """Await what `generate` returns; works on any running loop."""
        table = as_now(self._frame)

        def make() -> Job:
            from llmnb.frames import verbs

            return verbs.generating(table, prompt, options)

        return await answered(make)

    async def apreview(
        self, prompt: Hashable, *, n: int = 3, **options: Unpack[PreviewOptions]
    ) -> pd.DataFrame:
        """Await what `preview` returns."""
        table = as_now(self._frame)

        def make() -> Job:
            from llmnb.frames import verbs

            return verbs.previewing(table, prompt, n, options)

        shown: pd.DataFrame = await answered(make)
        return shown

    async def aextract(
        self, text_column: Hashable, schema: Any, **options: Unpack[ExtractOptions]
    ) -> Table:
        """Await what `extract` returns."""
        table = as_now(self._frame)

        def make() -> Job:
            from llmnb.frames import verbs

            return verbs.extracting(table, text_column, schema, options)

        return await answered(make)

    async def aclassify(
        self, text_column: Hashable, labels: Labels, **options: Unpack[ExtractOptions]
    ) -> Table:
        """Await what `classify` returns."""
        table = as_now(self._frame)

        def make() -> Job:
            from llmnb.frames import verbs

            return verbs.sorting(table, text_column, labels, options)

        return await answered(make)

    async def acompare(
        self, prompt: Hashable, models: Sequence[Model], **options: Unpack[PreviewOptions]
    ) -> Comparison:
        """Await what `compare` returns."""
        table = as_now(self._frame)

        def make() -> Job:
            from llmnb.frames import verbs

            return verbs.comparing(table, prompt, models, options)

        found: Comparison = await answered(make)
        return found


class AwaitedSeries:
    """What can be awaited of a series; mixed into `SeriesLLM`."""

    _series: Source

    async def agenerate(self, prompt: str = "{}", **options: Unpack[GenerateOptions]) -> Table:
        """Await what `generate` returns; works on any running loop."""
        table = as_now(self._series)

        def make() -> Job:
            from llmnb.frames import verbs

            return verbs.generating(table, prompt, options)

        return await answered(make)

    async def apreview(
        self, prompt: str = "{}", *, n: int = 3, **options: Unpack[PreviewOptions]
    ) -> pd.DataFrame:
        """Await what `preview` returns."""
        table = as_now(self._series)

        def make() -> Job:
            from llmnb.frames import verbs

            return verbs.previewing(table, prompt, n, options)

        shown: pd.DataFrame = await answered(make)
        return shown

    async def aextract(self, schema: Any, **options: Unpack[ExtractOptions]) -> Table:
        """Await what `extract` returns."""
        table = as_now(self._series)

        def make() -> Job:
            from llmnb.frames import verbs

            return verbs.extracting(table, "{}", schema, options)

        return await answered(make)

    async def aclassify(self, labels: Labels, **options: Unpack[ExtractOptions]) -> Table:
        """Await what `classify` returns."""
        table = as_now(self._series)

        def make() -> Job:
            from llmnb.frames import verbs

            return verbs.sorting(table, "{}", labels, options)

        return await answered(make)

    async def acompare(
        self, prompt: str = "{}", *, models: Sequence[Model], **options: Unpack[PreviewOptions]
    ) -> Comparison:
        """Await what `compare` returns."""
        table = as_now(self._series)

        def make() -> Job:
            from llmnb.frames import verbs

            return verbs.comparing(table, prompt, models, options)

        found: Comparison = await answered(make)
        return found
