"""What the looking magics hand back: a table that shows itself on a page and in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llmnb.display.aligned import columns
from llmnb.display.escape import html_text, visible
from llmnb.display.html_fragments import INERT
from llmnb.notebook.forms import Table
from llmnb.notebook.pieces import table_html


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
