"""Dask's frames and series with their `llm`: asked by the workers, when something is computed.

Importing this file registers it; `import llmnb` does so as soon as `dask.dataframe` is imported.
Only names and signatures stand here; what they do is in `llmnb.frames.dask_asking`.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import dask.dataframe as dd
from dask.dataframe.extensions import register_dataframe_accessor, register_series_accessor

from llmnb.frames.accessor_registration import AccessorRegistration

if TYPE_CHECKING:
    from typing import Unpack

    import pandas as pd

    from llmnb.frames.options import ExtractOptions, GenerateOptions, PreviewOptions
    from llmnb.frames.vectors import EmbedOptions
    from llmnb.frames.verbs import Labels
    from llmnb.running.planning import Plan


class DaskFrameLLM:
    """Questions about the rows of a Dask frame, as `DataFrameLLM` asks them of pandas'.

    Every method but `plan` and `preview` is lazy: what is wrong with a prompt, a model or an
    option is said at once, and nothing is sent before something is computed. Each partition is
    a run of the engine on the worker that has it; keys are read there and are never in the graph.

    Args:
        frame: The frame; never changed.

    Example:
        >>> import pandas as pd
        >>> frame = dd.from_pandas(pd.DataFrame({"text": ["a", None]}), npartitions=1)
        >>> said = frame.llm.generate("Say {text}", model="sim/any")
        >>> said.compute(scheduler="synchronous").isna().tolist()
        [False, True]
    """

    def __init__(self, frame: dd.DataFrame) -> None:
        self._frame = frame

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: generate, extract, classify, embed, plan, preview>"

    def generate(self, prompt: Hashable | None = None, **options: Unpack[GenerateOptions]) -> Any:
        """Return the answers as a Dask series, or what the options ask for; nothing is sent yet.

        Args:
            prompt: A column's name, or a text with columns' names in braces.
            **options: As for `DataFrameLLM.generate`. Limits on requests and tokens bind the
                whole cluster, ``max_concurrent_requests`` each worker; ``budget_usd`` is divided
                evenly among the partitions.

        Raises:
            InputError: If the prompt names what is no column.
            ConfigurationError: If an option cannot be used, or a key would travel.
        """
        from llmnb.frames import dask_asking

        return dask_asking.generate(self._frame, prompt, options)

    def extract(self, text_column: Hashable, schema: Any, **options: Unpack[ExtractOptions]) -> Any:
        """Return typed columns of what a schema asks for.

        Args:
            text_column: Column of the texts, or a prompt with names in braces.
            schema: A pydantic model, a dataclass, a TypedDict, a type or a JSON schema.
            **options: As for `generate`.
        """
        from llmnb.frames import dask_asking

        return dask_asking.extract(self._frame, text_column, schema, options)

    def classify(
        self, text_column: Hashable, labels: Labels, **options: Unpack[ExtractOptions]
    ) -> Any:
        """Return one of the labels for each text, as a category.

        Args:
            text_column: Column of the texts, or a prompt with names in braces.
            labels: A list of them, a mapping from each to what it means, or an `Enum`.
            **options: As for `generate`.
        """
        from llmnb.frames import dask_asking

        return dask_asking.classify(self._frame, text_column, labels, options)

    def embed(
        self, column: Hashable, *, into: Hashable | None = None, **options: Unpack[EmbedOptions]
    ) -> Any:
        """Return a vector for each text.

        Args:
            column: Column of the texts.
            into: Column for the vectors.
            **options: As for `DataFrameLLM.embed`.
        """
        from llmnb.frames import dask_asking

        return dask_asking.embed(self._frame, column, into, options)

    def plan(self, prompt: Hashable | None = None, **options: Unpack[GenerateOptions]) -> Plan:
        """Compute what the prompt needs, and add up what the partitions would take.

        Nothing is sent. Rows are counted as merged where they are alike within a partition.

        Args:
            prompt: As for `generate`.
            **options: As for `generate`.
        """
        from llmnb.frames import dask_asking

        return dask_asking.plan(self._frame, prompt, options)

    def preview(
        self, prompt: Hashable, *, n: int = 3, **options: Unpack[PreviewOptions]
    ) -> pd.DataFrame:
        """Compute the first partition, ask about its first rows, and return a frame of pandas.

        Args:
            prompt: As for `generate`.
            n: Rows.
            **options: As for `generate`.
        """
        from llmnb.frames import dask_asking

        shown: pd.DataFrame = dask_asking.preview(self._frame, prompt, n, options)
        return shown


class DaskSeriesLLM:
    """Questions about the values of a Dask series; in a prompt ``{}`` is the value.

    Args:
        series: The series; never changed.

    Example:
        >>> import pandas as pd
        >>> series = dd.from_pandas(pd.Series(["a", None]), npartitions=1)
        >>> said = series.llm.generate("Say {}", model="sim/any")
        >>> said.compute(scheduler="synchronous").isna().tolist()
        [False, True]
    """

    def __init__(self, series: dd.Series) -> None:
        self._series = series

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: generate, extract, classify, embed, plan, preview>"

    def generate(self, prompt: str = "{}", **options: Unpack[GenerateOptions]) -> Any:
        """Return the answers, as `DaskFrameLLM.generate` does.

        Args:
            prompt: Text in which ``{}``, or the series' name in braces, is the value.
            **options: As for `DataFrameLLM.generate`.
        """
        from llmnb.frames import dask_asking

        return dask_asking.generate(self._series, prompt, options)

    def extract(self, schema: Any, **options: Unpack[ExtractOptions]) -> Any:
        """Return what a schema asks for, as `DaskFrameLLM.extract` does."""
        from llmnb.frames import dask_asking

        return dask_asking.extract(self._series, "{}", schema, options)

    def classify(self, labels: Labels, **options: Unpack[ExtractOptions]) -> Any:
        """Return one of the labels for each value, as `DaskFrameLLM.classify` does."""
        from llmnb.frames import dask_asking

        return dask_asking.classify(self._series, "{}", labels, options)

    def embed(self, **options: Unpack[EmbedOptions]) -> Any:
        """Return a vector for each value, as `DaskFrameLLM.embed` does."""
        from llmnb.frames import dask_asking

        return dask_asking.embed(self._series, "{}", None, options)

    def plan(self, prompt: str = "{}", **options: Unpack[GenerateOptions]) -> Plan:
        """Compute the values, and add up what they would take; nothing is sent."""
        from llmnb.frames import dask_asking

        return dask_asking.plan(self._series, prompt, options)

    def preview(
        self, prompt: str = "{}", *, n: int = 3, **options: Unpack[PreviewOptions]
    ) -> pd.DataFrame:
        """Compute the first partition, and ask about its first values."""
        from llmnb.frames import dask_asking

        shown: pd.DataFrame = dask_asking.preview(self._series, prompt, n, options)
        return shown


_DASK = AccessorRegistration(
    "Dask's",
    (
        (dd.DataFrame, register_dataframe_accessor, DaskFrameLLM),
        (dd.Series, register_series_accessor, DaskSeriesLLM),
    ),
)
attach = _DASK.attach
register = _DASK.register

attach()
