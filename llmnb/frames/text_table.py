"""A table that came as text, as a frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd


def frame_of(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> pd.DataFrame:
    """Return a frame; a column whose every cell is a number becomes numbers.

    Args:
        columns: Names; two may be the same.
        rows: Cells, as many in each row as there are names.

    Example:
        >>> frame_of(["a", "b"], [("1", "x"), ("2.5", "y")]).dtypes.iloc[0]
        dtype('float64')
    """
    cells = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in columns]
    frame = pd.DataFrame({number: _column(column) for number, column in enumerate(cells)})
    frame.columns = pd.Index(columns)
    return frame


def _column(cells: list[Any]) -> pd.Series[Any]:
    series = pd.Series(cells, dtype=object if not cells else None)
    try:
        return pd.to_numeric(series)
    except (ValueError, TypeError):
        return series
