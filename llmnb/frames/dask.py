"""Dask's frames and series with their `llm`: asked by the workers, when something is computed.

Importing this file registers it; `import llmnb` does so as soon as `dask.dataframe` is imported.
"""

from __future__ import annotations

from typing import Any

import dask.dataframe as dd
from dask.dataframe.extensions import register_dataframe_accessor, register_series_accessor

from llmnb.frames.accessors import AccessorRegistration, FrameAccessor, SeriesAccessor


class DaskFrameLLM(FrameAccessor[Any]):
    """Questions about the rows of a Dask frame, as `DataFrameLLM` asks them of pandas'.

    Every method but `plan` and `preview` is lazy: what is wrong with a prompt, a model or an
    option is said at once, and nothing is sent before something is computed. Each partition is
    a run of the engine on the worker that has it; keys are read there and are never in the graph.
    Limits on requests and tokens bind the whole cluster, ``max_concurrent_requests`` each worker;
    ``budget_usd`` is divided evenly among the partitions. `plan` computes what the prompt needs,
    and counts rows as merged where they are alike within a partition; `preview` computes the first
    partition, and returns a frame of pandas.

    Args:
        frame: The frame; never changed.

    Example:
        >>> import pandas as pd
        >>> frame = dd.from_pandas(pd.DataFrame({"text": ["a", None]}), npartitions=1)
        >>> said = frame.llm.generate("Say {text}", model="sim/any")
        >>> said.compute(scheduler="synchronous").isna().tolist()
        [False, True]
    """

    _verbs = "llmnb.frames.dask_asking"
    _to_frame = "compute() this one first"

    def _columns(self) -> list[Any]:
        return list(self._table.columns)


class DaskSeriesLLM(SeriesAccessor[Any]):
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

    _verbs = "llmnb.frames.dask_asking"


REGISTRATION = AccessorRegistration(
    "Dask's",
    (
        (dd.DataFrame, register_dataframe_accessor, DaskFrameLLM),
        (dd.Series, register_series_accessor, DaskSeriesLLM),
    ),
)
attach = REGISTRATION.attach

attach()
