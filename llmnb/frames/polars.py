"""Polars' frames, series, lazy frames and expressions with their `llm`.

Importing this file registers it; `import llmnb` does so as soon as Polars is imported.
"""

from __future__ import annotations

import polars as pl

from llmnb.frames.accessor_registration import AccessorRegistration
from llmnb.frames.accessors import DataFrameLLM, SeriesLLM
from llmnb.frames.polars_lazy import ExprLLM, LazyFrameLLM
from llmnb.frames.polars_source import PolarsSource


class PolarsFrameLLM(DataFrameLLM):
    """Questions about the rows of a frame, as `DataFrameLLM` asks them of pandas'.

    Answers are columns of Polars, whose types are known beforehand: text, numbers, an `Enum`
    for labels, lists of simple values; what is deeper is JSON text.

    Args:
        frame: The frame; never changed.

    Example:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"text": ["a", None]})
        >>> frame.llm.generate("Say {text}", model="sim/any").is_null().to_list()
        [False, True]
    """

    def __init__(self, frame: pl.DataFrame) -> None:
        super().__init__(PolarsSource(frame))


class PolarsSeriesLLM(SeriesLLM):
    """Questions about the values of a series; in a prompt ``{}`` is the value.

    Args:
        series: The series; never changed.

    Example:
        >>> import polars as pl
        >>> pl.Series(["a", None]).llm.generate("Say {}", model="sim/any").is_null().to_list()
        [False, True]
    """

    def __init__(self, series: pl.Series) -> None:
        super().__init__(PolarsSource(series))


_POLARS = AccessorRegistration(
    "Polars'",
    (
        (pl.DataFrame, pl.api.register_dataframe_namespace, PolarsFrameLLM),
        (pl.Series, pl.api.register_series_namespace, PolarsSeriesLLM),
        (pl.LazyFrame, pl.api.register_lazyframe_namespace, LazyFrameLLM),
        (pl.Expr, pl.api.register_expr_namespace, ExprLLM),
    ),
)
attach = _POLARS.attach
register = _POLARS.register

attach()
