"""Polars' frames, series, lazy frames and expressions with their `llm`.

Importing this file registers it; `import llmnb` does so as soon as Polars is imported.
"""

from __future__ import annotations

import logging
import warnings
from typing import Any, cast

import polars as pl

from llmnb.errors import ConfigurationError
from llmnb.frames.accessors import DataFrameLLM, SeriesLLM
from llmnb.frames.polars_lazy import ExprLLM, LazyFrameLLM
from llmnb.frames.polars_source import PolarsSource

NAME = "llm"

logger = logging.getLogger("llmnb")


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
        super().__init__(cast(Any, PolarsSource(frame)))


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
        super().__init__(cast(Any, PolarsSource(series)))


_KINDS: tuple[tuple[type, Any, type], ...] = (
    (pl.DataFrame, pl.api.register_dataframe_namespace, PolarsFrameLLM),
    (pl.Series, pl.api.register_series_namespace, PolarsSeriesLLM),
    (pl.LazyFrame, pl.api.register_lazyframe_namespace, LazyFrameLLM),
    (pl.Expr, pl.api.register_expr_namespace, ExprLLM),
)

_is_told = False


def attach() -> None:
    """Register the accessors; where somebody else has the name, say so once."""
    global _is_told
    if owner := foreign_owner(NAME):
        if not _is_told:
            _is_told = True
            warnings.warn(
                f".{NAME} of Polars' frames belongs to {owner}, and llmnb leaves it alone. Use "
                'another name: llmnb.register_accessor("other"), then df.other.generate(…).',
                stacklevel=2,
            )
        return
    register(NAME)


def register(name: str) -> None:
    """Make llmnb's methods known to Polars under a name.

    Raises:
        ConfigurationError: If frames, series or expressions have something else of it.
    """
    if owner := foreign_owner(name):
        raise ConfigurationError(
            f".{name} of Polars' frames belongs to {owner}: choose another name."
        )
    for kind, enter, accessor in _KINDS:
        if name in vars(kind):  # our own, of an earlier import, which Polars would warn of
            delattr(kind, name)
        enter(name)(accessor)


def foreign_owner(name: str) -> str | None:
    """Return who has the name, None where nobody else has."""
    for kind, _, accessor in _KINDS:
        found = getattr(kind, name, None)
        if found is None:
            continue
        home = getattr(found, "__module__", None) or type(found).__module__
        if home != accessor.__module__:
            return f"{home}.{getattr(found, '__qualname__', type(found).__qualname__)}"
    return None


attach()
