"""A frame or series of pandas as the verbs read it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from llmnb.frames import placing
from llmnb.frames.answers import Form
from llmnb.frames.columns import Columns
from llmnb.frames.placing import label
from llmnb.frames.table_source import Source, TableSource


def source_of(table: Source) -> TableSource:
    """Return what the verbs read of a table: pandas' own is wrapped here, others come wrapped."""
    return PandasSource(table) if isinstance(table, pd.DataFrame | pd.Series) else table


class PandasSource:
    """A table of pandas; see `TableSource` for what its methods promise.

    Args:
        table: The frame or series; never changed.
    """

    def __init__(self, table: pd.DataFrame | pd.Series[Any]) -> None:
        self._table = table

    @property
    def index(self) -> pd.Index[Any]:
        """The rows' labels."""
        return self._table.index

    def columns(self) -> Columns:
        """Return the columns of a frame, or those under which a series' values are known."""
        return Columns.of(self._table)

    def rows_at(self, positions: Sequence[int]) -> pd.DataFrame | pd.Series[Any]:
        """Return some rows."""
        return self._table.iloc[list(positions)]

    def form(self, **settings: Any) -> Form:
        """Return the form of the answers, with a copy of the frame where they go into one."""
        frame = self._frame(settings["options"].into is not None)
        return Form(**settings, frame=None if frame is None else frame.copy())

    def check_columns(
        self,
        names: Sequence[Hashable],
        *,
        into: Hashable | None,
        overwrite: bool,
        call: Callable[[], str],
    ) -> None:
        """Refuse names of which two are the same, or one belongs to the frame."""
        frame = self._frame(into is not None)
        if frame is None:
            placing.check_names(names)
        else:
            placing.check_frame(frame, names, overwrite=overwrite, call=call)

    def snapshot(self) -> PandasSource:
        """Return a copy."""
        return PandasSource(self._table.copy())

    def filled(self, columns: Mapping[Hashable, Any], *, into: bool) -> Any:
        """Return columns as a series, a frame, or the whole frame with them."""
        frame = self._frame(into)
        if frame is not None:
            return _with_columns(frame.copy(deep=False), columns)
        if len(columns) == 1:
            return next(iter(columns.values()))
        return pd.DataFrame({name: one.array for name, one in columns.items()}, index=self.index)

    def taken(self, positions: Sequence[int], name: Hashable, values: Sequence[float]) -> Any:
        """Return some rows with their numbers; of a series only the numbers, by its labels."""
        rows = np.asarray(positions, dtype=np.intp)
        numbers = pd.Series(values, index=self.index[rows], name=name)
        frame = self._frame(True)
        if frame is None:
            return numbers
        return _with_columns(frame.iloc[rows].copy(), {name: numbers})

    def back(self, result: Any) -> Any:
        """Return it as it is."""
        return result

    def _frame(self, is_wanted: bool) -> pd.DataFrame | None:
        return self._table if is_wanted and isinstance(self._table, pd.DataFrame) else None


def _with_columns(frame: pd.DataFrame, columns: Mapping[Hashable, Any]) -> pd.DataFrame:
    """Put columns into a copy of a frame, and note in its `attrs` that llmnb wrote them."""
    labels = [label(frame, name) for name in columns]
    for name, column in zip(labels, columns.values(), strict=True):
        frame[name] = column.array
    placing.sign(frame, labels, secrets.token_hex(8))
    return frame
