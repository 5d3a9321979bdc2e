"""Pieces of HTML without script or style sheet: what a saved notebook shows of a widget."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from llmnb.display.escape import html_text
from llmnb.display.html_pieces import INERT

FAINT = "opacity:.74"
RULE = "border-top:1px solid rgba(128,128,128,.32)"
ACCENT = "var(--jp-brand-color1,#2080e0)"
BAD = "var(--jp-error-color1,#d93a3a)"
PATTERNS = {
    "reused": f"repeating-linear-gradient(135deg,{ACCENT} 0 1.5px,transparent 1.5px 5px)",
    "merged": f"repeating-linear-gradient(90deg,{ACCENT} 0 2px,transparent 2px 6px)",
    "send": ACCENT,
    "failed": f"repeating-linear-gradient(45deg,{BAD} 0 2px,transparent 2px 4px)",
    "rest": "rgba(128,128,128,.22)",
}

_CELL = (
    "border:0;background:none;font-weight:400;vertical-align:baseline;"
    "line-height:18px;max-width:none;padding:2px 14px 2px 0"
)
_TABLE = "border-collapse:collapse;border:0;width:auto;table-layout:auto;font-size:12.5px"


def box(*parts: str) -> str:
    """Return parts of HTML as one piece."""
    # Two dollar signs in a line would be a formula to the page's typesetter.
    style = "max-width:900px;font-size:13px;line-height:1.45"
    return f'<div class="{INERT}" style="{style}">{"".join(parts)}</div>'


def line(text: str, style: str = "") -> str:
    """Return a line of text; whatever it holds is shown, not run."""
    return f'<p style="margin:0 0 4px;{style}">{html_text(text)}</p>'


def headline(first: str, rest: str) -> str:
    """Return the line that says what this is, its first words stressed."""
    return (
        f'<p style="margin:0 0 4px"><strong>{html_text(first)}</strong> '
        f'<span style="{FAINT}">{html_text(rest)}</span></p>'
    )


def rail(parts: Iterable[tuple[str, float]], said: str) -> str:
    """Return the rail: patterns by name, with their parts between 0 and 1, and what it says."""
    pieces = "".join(
        f'<span style="flex:0 0 {100 * part:.2f}%;background:{PATTERNS[name]}"></span>'
        for name, part in parts
        if part > 0
    )
    style = f"display:flex;height:9px;margin:0 0 7px;background:{PATTERNS['rest']}"
    return f'<div role="img" aria-label="{html_text(said)}" style="{style}">{pieces}</div>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table: its first column to the left, figures to the right."""
    body = _row(head, "th", FAINT) + "".join(_row(cells, "td", "") for cells in rows)
    return f'<table border="0" cellpadding="4" style="{_TABLE}">{body}</table>'


def _row(cells: Sequence[str], tag: str, style: str) -> str:
    said = ' scope="col"' if tag == "th" else ""
    inside = "".join(
        f'<{tag}{said} align="{"right" if place else "left"}" style="{_CELL};{style};'
        f'text-align:{"right" if place else "left"}">{html_text(cell)}</{tag}>'
        for place, cell in enumerate(cells)
    )
    return f'<tr style="background:none">{inside}</tr>'
