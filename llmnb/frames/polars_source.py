"""A frame or series of Polars as the verbs read it; loads nothing until something is asked."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from llmnb.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas as pd

    from llmnb.frames.columns import Columns
    from llmnb.frames.polars_form import PolarsForm

ROW = "row"
"""What the column of rows' numbers is called where rows come back in another order."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class PolarsComparison:
    """What several models answered, in Polars' tables."""

    answers: pl.DataFrame
    """The row's number, a column for each model, and `agreement`; the rows on which they agree
    least stand first."""

    models: pl.DataFrame
    """A row for each model: its name in ``model``, and the figures."""

    def __repr__(self) -> str:
        from llmnb.display.escape import visible

        return "\n".join(map(visible, f"{self.models}\n\n{self.answers}".split("\n")))


class PolarsSource:
    """A table of Polars; see `TableSource` for what its methods promise.

    Args:
        table: The frame or series.
        answers_only: Whether ``into=`` names the answers without the table around them.
    """

    def __init__(self, table: pl.DataFrame | pl.Series, *, answers_only: bool = False) -> None:
        self._table = table
        self._answers_only = answers_only

    def __len__(self) -> int:
        return len(self._table)

    @property
    def index(self) -> pd.Index[Any]:
        """The rows' numbers."""
        import pandas as pd

        return pd.RangeIndex(len(self._table))

    def columns(self) -> Columns:
        """Return the columns, each read when it is asked for."""
        from llmnb.frames.columns import Columns

        table = self._table
        if isinstance(table, pl.DataFrame):
            named = [
                (name, functools.partial(_cells, table.get_column(name))) for name in table.columns
            ]
        else:
            names = ["", table.name] if table.name else [""]
            named = [(name, functools.partial(_cells, table)) for name in names]
        return Columns(len(table), named)

    def rows_at(self, positions: Sequence[int]) -> pd.DataFrame | pd.Series[Any]:
        """Return some rows as pandas has them."""
        import pandas as pd

        index = pd.Index(list(positions))
        table = self._table
        if isinstance(table, pl.Series):
            cells = [table[row] for row in positions]
            return pd.Series(_held(cells), index=index, name=table.name or None, dtype="object")
        columns = {
            name: pd.Series(_held(_cells(table.get_column(name)[list(positions)])), index, "object")
            for name in table.columns
        }
        return pd.DataFrame(columns, index=index)

    def form(self, **settings: Any) -> PolarsForm:
        """Return the form of the answers."""
        from llmnb.frames.polars_form import PolarsForm

        return PolarsForm(**settings, onto=self._whole(settings["options"].into is not None))

    def check_columns(
        self,
        names: Sequence[Hashable],
        *,
        into: Hashable | None,
        overwrite: bool,
        call: Callable[[], str],
    ) -> None:
        """Refuse a name that is no text, and derived names that this process has not written."""
        from llmnb.frames import placing

        _check_name(into)
        placing.check_names(names)
        whole = self._whole(into is not None and not overwrite)
        if whole is not None:
            derived = names[names[0] == into :]
            placing.refuse(placing.unknown(derived, whole.columns), call)

    def snapshot(self) -> PolarsSource:
        """Return the same: tables of Polars do not change."""
        return self

    def filled(self, columns: Mapping[Hashable, Any], *, into: bool) -> Any:
        """Return columns of pandas as a series, a frame, or the whole frame with them."""
        from llmnb.frames.polars_columns import VECTOR, from_pandas

        made = [from_pandas(one, str(name)) for name, one in columns.items()]
        # The first is the answers', which are vectors even where none is there.
        made[0] = made[0].cast(VECTOR)
        whole = self._whole(into)
        if whole is not None:
            from llmnb.frames import placing

            placing.remember(columns)
            return whole.with_columns(made)
        return made[0] if len(made) == 1 else pl.DataFrame(made)

    def taken(self, positions: Sequence[int], name: Hashable, values: Sequence[float]) -> Any:
        """Return some rows and, under a name, a number for each."""
        _check_name(name)
        numbers = pl.Series(str(name), values, dtype=pl.Float32)
        if isinstance(self._table, pl.DataFrame):
            return self._table[[int(row) for row in positions]].with_columns(numbers)
        return pl.DataFrame([pl.Series(ROW, positions, dtype=pl.Int64), numbers])

    def back(self, result: Any) -> Any:
        """Return pandas' table, or a comparison, as Polars'."""
        from llmnb.frames.comparing import Comparison

        if isinstance(result, Comparison):
            return PolarsComparison(
                _with_labels(result.answers, ROW), _with_labels(result.models, "model")
            )
        return _framed(result)

    def _whole(self, is_wanted: bool) -> pl.DataFrame | None:
        is_frame = isinstance(self._table, pl.DataFrame)
        return self._table if is_wanted and is_frame and not self._answers_only else None  # type: ignore[return-value]


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

    cells: list[Any] = column.to_list()
    kind: Any = column.dtype
    for row, count in enumerate(column.to_physical().to_list()):
        if count is None or count % 1000 == 0:
            continue
        if isinstance(kind, pl.Duration):
            cells[row] = pd.Timedelta(count, unit="ns")
        else:
            moment = pd.Timestamp(count, unit="ns")
            zone = kind.time_zone
            cells[row] = moment if zone is None else moment.tz_localize("UTC").tz_convert(zone)
    return cells


def _held(cells: Sequence[Any]) -> Any:
    """Return cells, lists among them, as pandas takes them for one column."""
    import numpy as np

    held = np.empty(len(cells), dtype=object)
    for row, cell in enumerate(cells):
        held[row] = cell
    return held


def _with_labels(frame: Any, name: str) -> pl.DataFrame:
    labels = pl.Series(name, list(frame.index))
    return pl.DataFrame([labels, *_framed(frame).get_columns()])


def _framed(frame: Any) -> pl.DataFrame:
    from llmnb.frames.polars_columns import from_pandas

    return pl.DataFrame(
        [from_pandas(frame.iloc[:, place], str(name)) for place, name in enumerate(frame.columns)]
    )
