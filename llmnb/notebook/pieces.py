"""Small pieces that several texts and pages of the magics are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from llmnb.display.escape import html_text, html_without_formulas
from llmnb.display.texts import counted
from llmnb.notebook.forms import Table

ROWS_SHOWN = 200
"""Rows of a table on a page; all of them are in its value."""

_FOOT = "font-size:12px;opacity:.7;margin-top:6px"


def foot_html(foot: str) -> str:
    """Return the small line under an answer."""
    return f'<div style="{_FOOT}">{html_text(foot)}</div>'


def pretty_json(value: Any) -> str:
    """Return a value as JSON with its parts on lines of their own."""
    return orjson.dumps(value, default=_plain, option=_PRETTY).decode()


_PRETTY = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY


def _plain(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    return dump(mode="json") if callable(dump) else str(value)


def table_html(table: Table, *, right: Sequence[int] = ()) -> str:
    """Return a table as HTML, every cell as text.

    Args:
        table: The table.
        right: Columns that hold figures.
    """
    style = [' style="text-align:right"' if place in right else _LEFT for place in _places(table)]
    head = "".join(
        f"<th{style[place]}>{cell_html(name)}</th>" for place, name in enumerate(table.columns)
    )
    rows = "".join(
        "<tr>"
        + "".join(f"<td{style[place]}>{cell_html(cell)}</td>" for place, cell in enumerate(row))
        + "</tr>"
        for row in table.rows[:ROWS_SHOWN]
    )
    more = len(table.rows) - ROWS_SHOWN
    rest = f"<p>… {counted(more, 'further row')}</p>" if more > 0 else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{rest}"


_LEFT = ' style="text-align:left"'


def _places(table: Table) -> range:
    return range(len(table.columns))


def cell_html(cell: Any) -> str:
    """Return a cell as text of a page."""
    return html_without_formulas("" if cell is None else str(cell))
