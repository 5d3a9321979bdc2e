"""The protocol by which verbs read a table and return answers, for pandas, Polars and Dask."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

from llmnb.errors import InputError
from llmnb.frames.template import ambiguous_column, cell_text, unknown_column

if TYPE_CHECKING:
    import pandas as pd

    from llmnb.frames.overwriting import VerbCall

Source: TypeAlias = "pd.DataFrame | pd.Series[Any] | TableSource"
"""The table that a verb is called with: of pandas, or another library's behind `TableSource`."""

Keywords: TypeAlias = Mapping[str, Any]
"""The keywords of a verb's call, unchecked."""

WHOLE = "{}"
"""The template in which a series' value stands for itself."""

VECTOR = "vector"
"""The kind of a column whose cells are arrays of numpy's `float32`."""


@dataclasses.dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a table by the names that a prompt can write between braces.

    Cells are taken when a column is first asked for, as plain lists; that keeps a run apart from
    whatever is done to the table while it goes on.
    """

    rows: int
    labels: Sequence[str]
    """The columns' names; one may occur twice."""

    read: Callable[[int], list[Any]]
    """Returns the cells of the column at a position."""

    used: list[str] = dataclasses.field(default_factory=list)
    """Names of the columns that were read."""

    @property
    def names(self) -> list[str]:
        """Names, in order, each once."""
        return list(dict.fromkeys(self.labels))

    def cells(self, name: str) -> list[Any]:
        """Return a column's cells as they are.

        Raises:
            InputError: If no column has the name, or several have.
        """
        columns = self.labels.count(name)
        if not columns:
            raise unknown_column(name, self.names)
        if columns > 1:
            raise ambiguous_column(name)
        self.used.append(name)
        return self.read(self.labels.index(name))

    def texts(self, name: str) -> list[str | None]:
        """Return a column's cells as text, None where they are missing.

        Raises:
            InputError: If no column has the name, or several have.
        """
        return [cell if type(cell) is str else cell_text(cell) for cell in self.cells(name)]


def name_of(label: Hashable) -> str:
    """Return the name under which a prompt knows a column's label.

    Raises:
        InputError: If it is no label, such as the column itself; nothing was sent.

    Example:
        >>> name_of(("a", 1)), name_of(("a", ""))
        ("('a', 1)", 'a')
    """
    if isinstance(label, str):
        return label
    refuse_column(label)
    if isinstance(label, tuple) and label and label[-1] == "":  # as pandas' frame[name] has it
        return name_of(label[:-1] if len(label) > 2 else label[0])
    return str(label)


def refuse_column(label: Any) -> None:
    """Refuse a column, or a list, where a column's name is meant.

    Raises:
        InputError: If it is one; nothing was sent.
    """
    with contextlib.suppress(TypeError):  # what cannot be hashed is no label
        hash(label)
        if not (hasattr(label, "dtype") and hasattr(label, "name")):  # Dask's can be
            return
    name = getattr(label, "name", None)
    such = f", such as {name!r}" if isinstance(name, str) else ""
    raise InputError(
        f"A column is given by its name{such}, not as {type(label).__name__}. Nothing was sent."
    )


@dataclasses.dataclass(frozen=True, slots=True)
class AnswerColumn:
    """A value for each row of a table; None is missing."""

    values: Sequence[Any]
    kind: str
    """Name of a dtype of pandas, such as ``"Int64"``, or `VECTOR`."""

    categories: Sequence[Any] | None = None
    """The values of a category, in order; None: those that occur."""

    schema: tuple[Any, Mapping[str, Any]] | None = None
    """JSON schema of a value and the schema that it stands in, where the kind says too little."""

    is_list: bool = False
    """Whether a cell is a list of such values: several answers to one row."""


class TableSource(Protocol):
    """A table of one library, as the verbs see it.

    Its cells are read column by column, and only of those columns that a prompt needs; answers
    go back as tables of its own library. Tables of Dask come partition by partition, each as
    pandas' own.
    """

    library: ClassVar[str]
    table: Any
    """The table itself, as its owner knows it."""

    def __init__(self, table: Any) -> None:
        self.table = table

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.table)

    def columns(self) -> Columns:
        """Return the columns, each read when it is asked for."""

    def rows_at(self, positions: Sequence[int]) -> TableSource:
        """Return a table of some rows."""

    def check_columns(
        self, names: Sequence[Hashable], *, into: Hashable | None, overwrite: bool, call: VerbCall
    ) -> None:
        """Refuse names under which no column of answers can stand.

        Args:
            names: Names of the columns that are made, in order.
            into: What the caller called the answers; None where they stand beside the table.
            overwrite: Whether columns that came with the table may be replaced.
            call: What the caller asked for.

        Raises:
            ConfigurationError: If `into` is no name for a column; nothing was sent.
            InputError: If two names are the same, or a column that came with the table would be
                replaced; nothing was sent.
        """

    def written(self) -> set[str]:
        """Return the names of the table's columns that llmnb is known to have written."""

    def replaced(self, name: Hashable, values: Mapping[int, Any]) -> Any:
        """Return the whole table with some values of a column replaced.

        The column keeps its type where that can hold them; one that is not there is made.

        Args:
            name: The column's.
            values: They, by the rows' positions.
        """

    def snapshot(self) -> TableSource:
        """Return the table as it is now, whatever its owner does to it meanwhile."""

    def filled(
        self, columns: Mapping[Hashable, AnswerColumn], *, into: Hashable | None, is_frame: bool
    ) -> Any:
        """Return columns of answers as a table of the library's own.

        Args:
            columns: They, by name.
            into: The caller's name for them: then the whole table is returned with them, where
                it has columns, and without those that an earlier call wrote beside them.
            is_frame: Whether a single column comes back as a frame, too.
        """

    def labelled(self, positions: Sequence[int], columns: Mapping[str, AnswerColumn]) -> Any:
        """Return a frame of values for some rows, with the rows' labels or numbers."""

    def named(self, name: str, labels: Sequence[str], columns: Mapping[str, AnswerColumn]) -> Any:
        """Return a frame whose rows have labels of their own, under a name."""

    def taken(self, positions: Sequence[int], name: Hashable, values: Sequence[float]) -> Any:
        """Return some rows and, under a name, a number for each."""

    def own_rows(self, positions: Sequence[int]) -> Any:
        """Return some rows as a table of the library's own, with their labels or numbers."""

    def row_labels(self, positions: Sequence[int]) -> list[str]:
        """Return what some rows are called."""

    def aligned(self, values: Any, argument: str) -> tuple[list[Any], int]:
        """Return a value for each row, and how many values belong to no row.

        Args:
            values: A series, a dictionary from rows' labels, or a list in the rows' order.
            argument: What the caller calls them.

        Raises:
            InputError: If they cannot be matched with the rows.
        """
