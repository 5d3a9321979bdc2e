"""The columns of a table as plain lists, taken once and by their place.

Names are what a prompt can write between braces: a label as text. Taking the
cells at the start is what keeps a run apart from whatever is done to the frame
while it goes on.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from llmnb.errors import InputError, UnknownField
from llmnb.frames.template import cell_text

WHOLE = "{}"
"""The template in which a series' value stands for itself."""


@dataclass(frozen=True, slots=True)
class Columns:
    """A table's columns by name.

    Example:
        >>> Columns.of(pd.DataFrame({"a b": ["x", None], 7: [1, 2]})).texts("a b")
        ['x', None]
        >>> Columns.of(pd.Series([1.5, None], name="size")).texts("size")
        ['1.5', None]
    """

    rows: int
    named: Sequence[tuple[str, Callable[[], list[Any]]]]
    """Every name with what reads its cells; a name may stand there twice."""

    @classmethod
    def of(cls, table: pd.DataFrame | pd.Series[Any]) -> Columns:
        """Return the columns of a frame, or those under which a series' values are known."""
        if isinstance(table, pd.DataFrame):
            return cls(
                len(table),
                [
                    (str(label), functools.partial(_cells_at, table, place))
                    for place, label in enumerate(table.columns)
                ],
            )
        names = [""] if table.name is None else ["", str(table.name)]
        return cls(len(table), [(name, table.tolist) for name in names])

    @property
    def names(self) -> list[str]:
        """Names, in order, each once."""
        return list(dict.fromkeys(name for name, _ in self.named))

    def cells(self, name: str) -> list[Any]:
        """Return a column's cells as they are.

        Raises:
            InputError: If no column has the name, or several have.
        """
        found = [read for known, read in self.named if known == name]
        if not found:
            shown = ", ".join(map(repr, self.names))[:600]
            raise UnknownField(
                f"The table has no column {name!r}. It has: {shown}. Nothing was sent."
            )
        if len(found) > 1:
            raise InputError(
                f"The table has {len(found)} columns named {name!r}, so nobody can say which one "
                "is meant: rename them. Nothing was sent."
            )
        return found[0]()

    def texts(self, name: str) -> list[str | None]:
        """Return a column's cells as text, None where they are missing.

        Raises:
            InputError: If no column has the name, or several have.
        """
        return [cell if type(cell) is str else cell_text(cell) for cell in self.cells(name)]


def _cells_at(frame: pd.DataFrame, place: int) -> list[Any]:
    return list(frame.iloc[:, place].tolist())


def name_of(label: Hashable) -> str:
    """Return the name under which a prompt knows a column's label.

    Example:
        >>> name_of(("a", 1))
        "('a', 1)"
    """
    return label if isinstance(label, str) else str(label)
