"""A frame or series of Polars as the verbs read it; loads no pandas."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import polars as pl

from llmnb.errors import ConfigurationError
from llmnb.frames import overwriting
from llmnb.frames.overwriting import VerbCall
from llmnb.frames.polars_columns import series_of, with_values
from llmnb.frames.table_source import AnswerColumn, Columns, TableSource
from llmnb.frames.truth import check_length

ROW = "row"
"""What the column of rows' numbers is called where rows come back in another order."""


class PolarsSource(TableSource):
    """A table of Polars; see `TableSource` for what its methods promise.

    Args:
        table: The frame or series.
        answers_only: Whether ``into=`` names the answers without the table around them.
    """

    library = "polars"

    def __init__(self, table: pl.DataFrame | pl.Series, *, answers_only: bool = False) -> None:
        super().__init__(table)
        self._answers_only = answers_only

    def columns(self) -> Columns:
        """Return the columns, each read when it is asked for."""
        table = self.table
        if isinstance(table, pl.DataFrame):
            names = table.columns
            return Columns(len(table), names, lambda position: _cells(table.to_series(position)))
        names = ["", table.name] if table.name else [""]
        return Columns(len(table), names, lambda _: _cells(table))

    def rows_at(self, positions: Sequence[int]) -> PolarsSource:
        """Return a table of some rows."""
        rows = [int(position) for position in positions]
        return PolarsSource(self.table[rows], answers_only=self._answers_only)

    def check_columns(
        self, names: Sequence[Hashable], *, into: Hashable | None, overwrite: bool, call: VerbCall
    ) -> None:
        """Refuse a name that is no text, and derived names that this process has not written."""
        _check_name(into)
        overwriting.check_names(names)
        frame = self._whole
        if into is not None and not overwrite and frame is not None:
            derived = names[names[0] == into :]
            if taken := overwriting.unknown(derived, frame.columns):
                raise overwriting.would_replace(taken, call)

    def written(self) -> set[str]:
        """Return the names that this process has written."""
        if not isinstance(self.table, pl.DataFrame):
            return set()
        names = self.table.columns
        return set(names).difference(map(str, overwriting.unknown(names, names)))

    def replaced(self, name: Hashable, values: Mapping[int, Any]) -> Any:
        """Return the frame with some values of a column replaced."""
        _check_name(name)
        frame = self.table
        if not isinstance(frame, pl.DataFrame):
            frame = frame.to_frame()
        column = str(name)
        before = (
            frame[column] if column in frame.columns else pl.Series(column, [None] * len(frame))
        )
        return frame.with_columns(with_values(before, values))

    def snapshot(self) -> PolarsSource:
        """Return the same: tables of Polars do not change."""
        return self

    def filled(
        self, columns: Mapping[Hashable, AnswerColumn], *, into: bool, is_frame: bool
    ) -> Any:
        """Return columns as a series, a frame, or the whole frame with them."""
        series = _series(columns)
        frame = self._whole
        if into and frame is not None:
            overwriting.remember(columns)
            return frame.with_columns(series)
        return series[0] if len(series) == 1 and not is_frame else pl.DataFrame(series)

    def labelled(self, positions: Sequence[int], columns: Mapping[str, AnswerColumn]) -> Any:
        """Return a frame of values for some rows, with the rows' numbers."""
        return pl.DataFrame([pl.Series(ROW, positions, dtype=pl.Int64), *_series(columns)])

    def named(self, name: str, labels: Sequence[str], columns: Mapping[str, AnswerColumn]) -> Any:
        """Return a frame whose first column holds labels."""
        return pl.DataFrame([pl.Series(name, labels, dtype=pl.String), *_series(columns)])

    def taken(self, positions: Sequence[int], name: Hashable, values: Sequence[float]) -> Any:
        """Return some rows and, under a name, a number for each."""
        _check_name(name)
        numbers = pl.Series(str(name), values, dtype=pl.Float32)
        if isinstance(self.table, pl.DataFrame):
            return self.table[[int(row) for row in positions]].with_columns(numbers)
        return pl.DataFrame([pl.Series(ROW, positions, dtype=pl.Int64), numbers])

    def own_rows(self, positions: Sequence[int]) -> Any:
        """Return some rows; of a frame with their numbers before them."""
        rows = self.table[[int(row) for row in positions]]
        if isinstance(rows, pl.DataFrame) and ROW not in rows.columns:
            return rows.insert_column(0, pl.Series(ROW, positions, dtype=pl.Int64))
        return rows

    def row_labels(self, positions: Sequence[int]) -> list[str]:
        """Return the rows' numbers, from 0."""
        return [f"{row:,}" for row in positions]

    def aligned(self, values: Any, argument: str) -> tuple[list[Any], int]:
        """Return a value for each row, by position."""
        if isinstance(values, Mapping):
            return [values.get(row) for row in range(self.rows)], sum(
                row not in range(self.rows) for row in values
            )
        cells = values.to_list() if isinstance(values, pl.Series) else list(values)
        check_length(cells, self.rows, argument)
        return cells, 0

    @property
    def _whole(self) -> pl.DataFrame | None:
        """The frame that answers can be put into."""
        frame = self.table
        return frame if isinstance(frame, pl.DataFrame) and not self._answers_only else None


def _series(columns: Mapping[Any, AnswerColumn]) -> list[pl.Series]:
    return [series_of(column, str(name)) for name, column in columns.items()]


def _check_name(into: Hashable | None) -> None:
    if into is not None and not isinstance(into, str):
        raise ConfigurationError(
            f"A column of Polars is named by text, not by {type(into).__name__}: give "
            'into="…". Nothing was sent.'
        )


def _cells(column: pl.Series) -> list[Any]:
    kind = column.dtype
    if isinstance(kind, (pl.Datetime, pl.Duration)) and kind.time_unit == "ns":
        return _nanoseconds(column)
    return column.to_list()


def _nanoseconds(column: pl.Series) -> list[Any]:
    """Return times as pandas has them: those of Python would lose their last three digits."""
    import pandas as pd

    cells: Any = pd.Series(column.to_numpy())
    if zone := getattr(column.dtype, "time_zone", None):
        cells = cells.dt.tz_localize("UTC").dt.tz_convert(zone)
    return cells.tolist()  # type: ignore[no-any-return]
