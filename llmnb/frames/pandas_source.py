"""A frame or series of pandas as the verbs read it, and answers as its columns."""

from __future__ import annotations

import dataclasses
import logging
import secrets
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd

from llmnb.display.texts import mended
from llmnb.errors import InputError
from llmnb.evaluation.labels import number
from llmnb.frames import overwriting
from llmnb.frames.overwriting import VerbCall
from llmnb.frames.table_source import VECTOR, AnswerColumn, Columns, Source, TableSource, name_of
from llmnb.frames.template import is_missing
from llmnb.frames.truth import check_length, repeated
from llmnb.schemas.parts import read_texts
from llmnb.wire.json_text import json_text

logger = logging.getLogger("llmnb")

MARK = "llmnb"
"""The key under which `attrs` tells which run wrote which columns."""


def source_of(table: Source) -> TableSource:
    """Return a table as a `TableSource`: wrap one of pandas; others come wrapped."""
    return PandasSource(table) if isinstance(table, pd.DataFrame | pd.Series) else table


class PandasSource(TableSource):
    """A table of pandas; see `TableSource` for what its methods promise.

    Args:
        table: The frame or series; never changed.

    Example:
        >>> columns = PandasSource(pd.DataFrame({"a b": ["x", None], 7: [1, 2]})).columns()
        >>> columns.texts("a b"), columns.texts("7")
        (['x', None], ['1', '2'])
        >>> PandasSource(pd.Series([1.5, None], name="size")).columns().texts("size")
        ['1.5', None]
    """

    library = "pandas"

    def __init__(self, table: pd.DataFrame | pd.Series[Any]) -> None:
        super().__init__(table)
        self._run_id = secrets.token_hex(8)

    def columns(self) -> Columns:
        """Return the columns of a frame, or those under which a series' values are known."""
        table = self.table
        if isinstance(table, pd.DataFrame):
            names = list(map(name_of, table.columns))
            return Columns(len(table), names, lambda position: table.iloc[:, position].tolist())
        names = [""] if table.name is None else ["", str(table.name)]
        return Columns(len(table), names, lambda _: table.tolist())

    def rows_at(self, positions: Sequence[int]) -> Self:
        """Return a table of some rows."""
        return type(self)(self.table.iloc[list(positions)])

    def check_columns(
        self, names: Sequence[Hashable], *, into: Hashable | None, overwrite: bool, call: VerbCall
    ) -> None:
        """Refuse names of which two are the same, or one belongs to the frame."""
        overwriting.check_names(names)
        frame = self.table
        if into is None or not isinstance(frame, pd.DataFrame):
            return
        columns, own, taken = list(frame.columns), _written(frame), []
        for name in names:
            label = _label(frame, name)
            if (count := columns.count(label)) > 1:
                raise InputError(
                    f"The frame has {count} columns named {name!r}, so the answers cannot go into "
                    "one: choose another name for into=…. Nothing was sent."
                )
            if count and overwriting.noted(label) not in own:
                taken.append(label)
        if taken and not overwrite:
            raise overwriting.would_replace(taken, call)

    def written(self) -> set[str]:
        """Return the names that the frame's `attrs` hold."""
        return _written(self.table) if isinstance(self.table, pd.DataFrame) else set()

    def replaced(self, name: Hashable, values: Mapping[int, Any]) -> Any:
        """Return a copy of the frame with some values of a column replaced."""
        frame = pd.DataFrame(self.table).copy()
        label = _label(frame, name)
        if label in frame.columns:
            frame[label] = _with_values(frame[label], values)
        else:
            cells = [values.get(row) for row in range(len(frame))]
            frame[label] = series_of(AnswerColumn(cells, "category"), frame.index).array
        return frame

    def snapshot(self) -> Self:
        """Return a copy."""
        return type(self)(self.table.copy())

    def filled(
        self, columns: Mapping[Hashable, AnswerColumn], *, into: Hashable | None, is_frame: bool
    ) -> Any:
        """Return columns as a series, a frame, or a copy of the whole frame with them."""
        if into is not None and isinstance(self.table, pd.DataFrame):
            labels = {_label(self.table, name): column for name, column in columns.items()}
            call = overwriting.call_name(self._run_id, into)
            present = self.table.columns
            old = overwriting.outdated(_calls(self.table), present, labels, call)
            kept = [overwriting.noted(label) not in old for label in present]
            frame = (self.table.loc[:, kept] if old else self.table).copy()
            for label, column in labels.items():
                frame[label] = self._series(column, frame.index, label).array
            _sign(frame, list(labels), self._run_id, call)
            return frame
        if len(columns) == 1 and not is_frame:
            ((name, column),) = columns.items()
            return self._series(column, self.table.index, name)
        return self._frame(columns, self.table.index)

    def labelled(self, positions: Sequence[int], columns: Mapping[str, AnswerColumn]) -> Any:
        """Return a frame of values for some rows, under their labels."""
        return self._frame(columns, self.table.index[list(positions)])

    def named(self, name: str, labels: Sequence[str], columns: Mapping[str, AnswerColumn]) -> Any:
        """Return a frame with an index of its own."""
        return self._frame(columns, pd.Index(list(labels), name=name))

    def taken(self, positions: Sequence[int], name: Hashable, values: Sequence[float]) -> Any:
        """Return some rows with their numbers; of a series only the numbers, by its labels."""
        rows = self.table.iloc[np.asarray(positions, dtype=np.intp)]
        numbers = pd.Series(values, index=rows.index, name=name)
        if isinstance(rows, pd.Series):
            return numbers
        frame = rows.copy()
        label = _label(frame, name)
        frame[label] = numbers.array
        _sign(frame, [label], self._run_id, overwriting.call_name(self._run_id, name))
        return frame

    def own_rows(self, positions: Sequence[int]) -> Any:
        """Return some rows with their labels."""
        return self.table.iloc[np.asarray(positions, dtype=np.intp)]

    def row_labels(self, positions: Sequence[int]) -> list[str]:
        """Return the rows' labels in the index; whole numbers with their thousands apart."""
        labels = self.table.index[np.asarray(positions, dtype=np.intp)].tolist()
        return [f"{label:,}" if isinstance(label, int) else str(label) for label in labels]

    def aligned(self, values: Any, argument: str) -> tuple[list[Any], int]:
        """Return a value for each row, by the index, or by position where both are equal."""
        if isinstance(values, Mapping):
            values = pd.Series(dict(values), dtype="object")
        if not isinstance(values, pd.Series):
            cells = list(values)
            check_length(cells, self.rows, argument)
            return cells, 0
        index, own = values.index, self.table.index
        if index.equals(own):
            return values.tolist(), 0
        for name, labels in ((f"{argument}=", index), ("The table", own)):
            if (twice := repeated(labels.tolist())) is not None:
                raise InputError(
                    f"{name} has the index value {twice!r} more than once, so nobody can say which "
                    "label is whose. Use reset_index(drop=True), or give a list in the rows' order."
                )
        places = own.get_indexer(index)
        cells = [None] * self.rows
        strangers = 0
        for place, value in zip(places.tolist(), values.tolist(), strict=True):
            if place >= 0:
                cells[place] = value
            elif not is_missing(value):
                strangers += 1
        return cells, strangers

    def _series(self, column: AnswerColumn, index: pd.Index[Any], name: Hashable) -> pd.Series[Any]:
        return series_of(column, index, name)

    def _frame(self, columns: Mapping[Any, AnswerColumn], index: pd.Index[Any]) -> pd.DataFrame:
        arrays = {name: self._series(column, index, name).array for name, column in columns.items()}
        return pd.DataFrame(arrays, index=index)


class PartitionSource(PandasSource):
    """A partition of a table of Dask; its columns get the types that the graph announced.

    A category whose values are not known beforehand would be another one in each partition, so
    it is a column of objects; a value that a column cannot hold is missing, and a warning says so.
    """

    def __init__(self, table: pd.DataFrame | pd.Series[Any]) -> None:
        super().__init__(table)
        self._run_id = ""  # one question, one graph

    def filled(
        self, columns: Mapping[Hashable, AnswerColumn], *, into: Hashable | None, is_frame: bool
    ) -> Any:
        """Return columns as a series, a frame, or a copy of the whole frame with them."""
        open_names = [name for name, column in columns.items() if _is_open(column)]
        table = super().filled(columns, into=into, is_frame=is_frame)
        if isinstance(table, pd.Series):
            return table.astype("object") if open_names else table
        return table.astype({_label(table, name): "object" for name in open_names})

    def _series(self, column: AnswerColumn, index: pd.Index[Any], name: Hashable) -> pd.Series[Any]:
        series = series_of(column, index, name)
        if column.is_list or series.dtype != "object" or _dtype_of(column.kind) == "object":
            return series
        cells = [_fitting(value, column.kind) for value in column.values]
        if lost := cells.count(None) - list(column.values).count(None):
            logger.warning(
                "%s answers do not fit a column of %s and are NA. Ask the computed frame to have "
                "them: they are kept.",
                f"{lost:,}",
                column.kind,
            )
        return series_of(dataclasses.replace(column, values=cells), index, name)


def _is_open(column: AnswerColumn) -> bool:
    """Whether a column is a category whose values are not known beforehand."""
    return column.kind == "category" and not column.categories and not column.is_list


def _fitting(value: Any, kind: str) -> Any:
    """Return a value as a column of that kind takes it, None where it cannot."""
    if value is None:
        return None
    if kind == "string":
        return value if isinstance(value, str) else json_text(value)
    try:
        pd.array(read_texts([value], kind), dtype=_dtype_of(kind))  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError):
        return None
    return value


_TEXT = "string" if pd.__version__.startswith("2.") else "str"
"""The dtype of text: pandas' own since version 3, in which missing cells compare as unequal."""

_DTYPES = {
    "string": _TEXT,
    "time": _TEXT,
    "date": "datetime64[us]",
    "decimal": "object",
    VECTOR: "object",
}
"""The dtypes of columns whose kind is not the name of one."""


def _dtype_of(kind: str) -> str:
    return _DTYPES.get(kind, kind)


def series_of(column: AnswerColumn, index: pd.Index[Any], name: Hashable = None) -> pd.Series[Any]:
    """Return a column of answers as a series, of objects if its dtype cannot hold every value.

    Args:
        column: A value for each label.
        index: Labels.
        name: The series' name.

    Example:
        >>> series_of(AnswerColumn(["a", None], "string"), pd.RangeIndex(2)).isna().tolist()
        [False, True]
        >>> series_of(AnswerColumn([2**80, None], "Int64"), pd.RangeIndex(2)).dtype
        dtype('O')
    """
    values = column.values
    kind = "object" if column.is_list else _dtype_of(column.kind)
    if kind == "category":
        # A label that is listed twice is one.
        categories = None if column.categories is None else list(dict.fromkeys(column.categories))
        return pd.Series(pd.Categorical(values, categories=categories), index=index, name=name)
    try:
        if kind != _TEXT:  # the texts of times of day stay texts
            values = read_texts(values, column.kind)
        if kind != "object":
            return pd.Series(values, index=index, dtype=kind, name=name)  # type: ignore[call-overload, no-any-return, unused-ignore]
    except UnicodeEncodeError:
        # Half a character, which Arrow's texts cannot hold.
        texts = [mended(value) if isinstance(value, str) else value for value in values]
        return pd.Series(texts, index=index, dtype=_TEXT, name=name)  # type: ignore[call-overload, no-any-return, unused-ignore]
    except (TypeError, ValueError, OverflowError):
        pass  # a number that no column of numbers can hold, or a value of another kind
    objects = [pd.NA if value is None else value for value in values]
    return pd.Series(objects, index=index, dtype="object", name=name)


def _with_values(series: pd.Series[Any], values: Mapping[int, Any]) -> pd.Series[Any]:
    """Return a series with some values replaced, of objects where its dtype cannot hold them."""
    series = series.copy()
    if isinstance(series.dtype, pd.CategoricalDtype):
        lacking = [
            value for value in dict.fromkeys(values.values()) if value not in series.cat.categories
        ]
        series = series.cat.add_categories(lacking)
    elif pd.api.types.is_numeric_dtype(series.dtype):  # corrections are typed
        values = {
            row: value if (found := number(value)) is None else found
            for row, value in values.items()
        }
    cells = list(values.values())
    rows = np.fromiter(values, dtype=np.intp)
    try:
        fitting: Any = pd.Series(cells, dtype=series.dtype).array
        series.iloc[rows] = fitting
    except (TypeError, ValueError, OverflowError):
        series = series.astype("object")
        for row, value in values.items():
            series.iloc[row] = value
    return series


def _label(frame: pd.DataFrame, name: Hashable) -> Any:
    """Return the label under which a frame takes a new column of that name.

    Raises:
        InputError: If the name has more levels than the frame's columns.
    """
    levels = frame.columns.nlevels
    if levels == 1:
        return name
    parts = name if isinstance(name, tuple) else (name,)
    if len(parts) > levels:
        raise InputError(
            f"{name!r} has {len(parts)} levels and the frame's columns have {levels}: give another "
            "into=…. Nothing was sent."
        )
    return (*parts, *[""] * (levels - len(parts)))


def _written(frame: pd.DataFrame) -> set[str]:
    """Return the names of the columns of a frame that llmnb wrote."""
    return set(_calls(frame))


def _calls(frame: pd.DataFrame) -> dict[str, str]:
    """Return the calls that wrote columns of a frame, by the columns' names; empty is unknown."""
    mark = frame.attrs.get(MARK)
    columns = mark.get("columns") if isinstance(mark, Mapping) else None
    if isinstance(columns, list):  # as earlier versions wrote it
        columns = dict.fromkeys(map(str, columns), "")
    calls = columns if isinstance(columns, Mapping) else {}
    return {str(name): call for name, call in calls.items() if isinstance(call, str)}


def _sign(frame: pd.DataFrame, labels: Sequence[Hashable], run_id: str, call: str) -> None:
    """Note in a frame's `attrs` which of its columns a run wrote."""
    calls = {**_calls(frame), **dict.fromkeys(map(overwriting.noted, labels), call)}
    present = set(map(overwriting.noted, frame.columns))
    columns = {name: call for name, call in calls.items() if name in present}
    frame.attrs[MARK] = {"run": run_id, "columns": columns}


def frame_of(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> pd.DataFrame:
    """Return a table that came as text; a column whose every cell is a number becomes numbers.

    Args:
        columns: Names; two may be the same.
        rows: Cells, as many in each row as there are names.

    Example:
        >>> frame_of(["a", "b"], [("1", "x"), ("2.5", "y")]).dtypes.iloc[0]
        dtype('float64')
    """
    cells = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in columns]
    frame = pd.DataFrame({number: _numbers_or_texts(column) for number, column in enumerate(cells)})
    frame.columns = pd.Index(columns)
    return frame


def _numbers_or_texts(cells: list[Any]) -> pd.Series[Any]:
    series = pd.Series(cells, dtype=object if not cells else None)
    try:
        return pd.to_numeric(series)
    except (ValueError, TypeError):
        return series
