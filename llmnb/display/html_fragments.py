"""Fragments of HTML without script or style sheet, readable with every style gone.

Whatever text they are given is shown, not run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from llmnb.display.escape import html_text
from llmnb.display.palette import FAINT, FONT, PATTERNS, PLAIN

INERT = "tex2jax_ignore mathjax_ignore"
"""Classes that keep a page's typesetter out: two dollar signs in a line would be a formula."""

_CELL = (
    "border:0;background:none;font-weight:400;vertical-align:baseline;"
    "line-height:18px;max-width:none"
)
_TABLE = "border-collapse:collapse;border:0;width:auto;table-layout:auto;font-size:12.5px;margin:0"


def box(*parts: str, name: str = "") -> str:
    """Return parts of HTML in one element, with a class of its own where it has a name."""
    style = f"max-width:760px;font:13px/1.5 {FONT};font-variant-numeric:tabular-nums;color:inherit"
    return f'<div class="{name}{" " if name else ""}{INERT}" style="{style}">{"".join(parts)}</div>'


def strong(text: str) -> str:
    """Return stressed words."""
    return f'<strong style="font-weight:600">{html_text(text)}</strong>'


def line(text: str, style: str = "") -> str:
    """Return a line of text."""
    return f'<p style="margin:0 0 4px;{style}">{html_text(text)}</p>'


def headline(first: str, rest: str) -> str:
    """Return the line that says what this is, its first words stressed."""
    faint = f'<span style="{FAINT}">{html_text(rest)}</span>'
    return f'<p style="margin:0 0 4px">{strong(first)} {faint}</p>'


def bar(parts: Iterable[tuple[str, float]], says: str = "") -> str:
    """Return a bar of patterns.

    Args:
        parts: Names in `palette.PATTERNS` with their shares of the whole, between 0 and 1.
        says: What a screen reader says of it; empty where the text beside it says the same.
    """
    segments = "".join(
        f'<span style="flex:0 0 {100 * part:.2f}%;min-width:2px;background:{PLAIN[name]};'
        f'background:{PATTERNS[name]}"></span>'
        for name, part in parts
        if part > 0
    )
    style = f"display:flex;height:9px;margin:0 0 8px;background:{PATTERNS['rest']}"
    if says:
        return f'<div role="img" aria-label="{html_text(says)}" style="{style}">{segments}</div>'
    return f'<div aria-hidden="true" style="{style}">{segments}</div>'


def cell(
    text: str, style: str = "", *, align: str = "left", head: str = "", longest: int | None = None
) -> str:
    """Return a cell of a table.

    Args:
        text: What it shows.
        style: Added to that of every cell.
        align: ``"left"`` or ``"right"``.
        head: What it heads, ``"row"`` or ``"col"``; empty for a cell of figures.
        longest: Characters kept of the text.
    """
    tag, scope = ("th", f' scope="{head}"') if head else ("td", "")
    return (
        f'<{tag}{scope} align="{align}" style="text-align:{align};{_CELL};padding:1px 18px 1px 0;'
        f'{style}">{html_text(text, longest=longest)}</{tag}>'
    )


def table(rows: Iterable[Iterable[str]], style: str = "") -> str:
    """Return a table of rows of cells."""
    body = "".join(f'<tr style="background:none">{"".join(row)}</tr>' for row in rows)
    return f'<table cellpadding="4" style="{_TABLE};{style}">{body}</table>'


def figure_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table with a head: its first column to the left, figures to the right."""

    def cells(texts: Sequence[str], style: str, head: str) -> list[str]:
        return [
            cell(text, style, align="right" if column else "left", head=head)
            for column, text in enumerate(texts)
        ]

    return table([cells(head, FAINT, "col"), *(cells(row, "", "") for row in rows)])
