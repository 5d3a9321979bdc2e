"""Giving pandas' frames and series their `llm`, without taking it from anybody else."""

from __future__ import annotations

import keyword
import sys
import warnings
from typing import Any

import pandas as pd

from llmnb.errors import ConfigurationError
from llmnb.frames.accessors import DataFrameLLM, SeriesLLM

NAME = "llm"

_KINDS: tuple[tuple[Any, Any, type], ...] = (
    (pd.DataFrame, pd.api.extensions.register_dataframe_accessor, DataFrameLLM),
    (pd.Series, pd.api.extensions.register_series_accessor, SeriesLLM),
)

_is_told = False


def attach() -> None:
    """Register `df.llm` and `series.llm`; where somebody else has the name, say so once."""
    global _is_told
    if owner := _foreign_owner(NAME):
        if not _is_told:
            _is_told = True
            warnings.warn(
                f".{NAME} of pandas' frames belongs to {owner}, and llmnb leaves it alone. Use "
                'another name: llmnb.register_accessor("other"), then df.other.generate(…).',
                stacklevel=2,
            )
        return
    _register(NAME)


def register_accessor(name: str) -> None:
    """Make llmnb's methods known to frames and series under a name.

    Args:
        name: Such as ``"ask"``, for ``df.ask.generate(…)``.

    Raises:
        ConfigurationError: If it is no name, or frames or series have something else of it.

    Example:
        >>> register_accessor("ask")
        >>> pd.DataFrame({"a": []}).ask
        <DataFrameLLM: generate, plan, preview, extract, classify, compare, …>
    """
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
        raise ConfigurationError(f"{name!r} is no name that can stand after a dot.")
    if owner := _foreign_owner(name):
        raise ConfigurationError(
            f".{name} of pandas' frames belongs to {owner}: choose another name."
        )
    for library in ("polars", "dask"):
        others = sys.modules.get(f"llmnb.frames.{library}")
        if others is not None:
            others.register(name)
    _register(name)


def _register(name: str) -> None:
    for kind, register, accessor in _KINDS:
        if name in vars(kind):  # our own, of an earlier import
            delattr(kind, name)
        register(name)(accessor)


def _foreign_owner(name: str) -> str | None:
    """Return who has the name, None where nobody else has."""
    for kind, _, accessor in _KINDS:
        found = getattr(kind, name, None)
        if found is None:
            continue
        home = getattr(found, "__module__", None) or type(found).__module__
        if home != accessor.__module__:
            return f"{home}.{getattr(found, '__qualname__', type(found).__qualname__)}"
    return None
