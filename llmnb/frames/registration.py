"""Register `llm` on pandas' frames and series, unless another package has that name."""

from __future__ import annotations

import keyword
import sys

import pandas as pd

from llmnb.errors import ConfigurationError
from llmnb.frames.accessors import AccessorRegistration, DataFrameLLM, SeriesLLM

_PANDAS = AccessorRegistration(
    "pandas'",
    (
        (pd.DataFrame, pd.api.extensions.register_dataframe_accessor, DataFrameLLM),
        (pd.Series, pd.api.extensions.register_series_accessor, SeriesLLM),
    ),
)


attach = _PANDAS.attach


def register_accessor(name: str) -> None:
    """Make llmnb's methods available on frames and series under another name.

    Args:
        name: Such as ``"ask"``, for ``df.ask.generate(…)``.

    Raises:
        ConfigurationError: If it is no name, or frames or series have something else of it.

    Example:
        >>> register_accessor("ask")
        >>> pd.DataFrame({"a": []}).ask
        <DataFrameLLM of 0 rows, with generate, plan, preview, extract, classify, compare, …>
        >>> register_accessor("llm")  # and back again
    """
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
        raise ConfigurationError(f"{name!r} is no name that can stand after a dot.")
    others = map(sys.modules.get, ("llmnb.frames.polars", "llmnb.frames.dask"))
    registrations = [_PANDAS, *(each.REGISTRATION for each in others if each is not None)]
    for registration in registrations:
        registration.require_free(name)
    for registration in registrations:
        registration.enter(name)


attach()
