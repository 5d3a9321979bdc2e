"""Small tables of text, as answers and reporting magics show them on a page and in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llmnb.display.aligned import columns
from llmnb.display.escape import html_text, html_without_formulas, visible
from llmnb.display.html_fragments import INERT
from llmnb.display.texts import counted

ROWS_SHOWN = 200
"""Rows of a table on a page; all of them are in its value."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table as text: names of columns, and rows of the same length."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def table_html(table: Table, *, right: Sequence[int] = ()) -> str:
    """Return a table as HTML, every cell as text.

    Args:
        table: The table.
        right: Columns that hold figures.
    """

    def row_html(tag: str, row: Sequence[Any]) -> str:
        cells = (
            f'<{tag} style="text-align:{"right" if column in right else "left"}">'
            f"{html_without_formulas('' if cell is None else str(cell))}</{tag}>"
            for column, cell in enumerate(row)
        )
        return f"<tr>{''.join(cells)}</tr>"

    rows = "".join(row_html("td", row) for row in table.rows[:ROWS_SHOWN])
    more = len(table.rows) - ROWS_SHOWN
    rest = f"<p>… {counted(more, 'further row')}</p>" if more > 0 else ""
    head = row_html("th", table.columns)
    return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>{rest}"


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """A titled table with notes under it; all of it text, whatever it holds.

    Example:
        >>> Report("Models", Table(("name",), (("m",),)), notes=("One.",))
        Models
        <BLANKLINE>
        name
        m
        <BLANKLINE>
        One.
    """

    title: str
    table: Table | None = None
    right: Sequence[int] = ()
    """Columns that hold figures."""

    notes: Sequence[str] = ()

    def __repr__(self) -> str:
        parts = [visible(self.title)] if self.title else []
        if self.table is not None:
            cells = (self.table.columns, *self.table.rows)
            parts.append("\n".join(columns(cells, right=self.right, longest=60)))
        if self.notes:
            parts.append("\n".join(map(visible, self.notes)))
        return "\n\n".join(parts)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        html = [f"<div><strong>{html_text(self.title)}</strong></div>"] if self.title else []
        if self.table is not None:
            html.append(table_html(self.table, right=self.right))
        html += [f'<div style="opacity:.8">{html_text(note)}</div>' for note in self.notes]
        return {
            "text/html": f'<div class="{INERT}">{"".join(html)}</div>',
            "text/plain": repr(self),
        }
