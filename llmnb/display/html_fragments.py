"""Fragments of HTML without script or style sheet, readable with every style gone.

Whatever text they are given is shown, not run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain, repeat

from llmnb.display.escape import html_lines, html_text, visible
from llmnb.display.palette import FAINT, FONT, PATTERNS, PLAIN
from llmnb.display.texts import cut

INERT = "tex2jax_ignore mathjax_ignore"
"""Classes that keep a page's typesetter out: two dollar signs in a line would be a formula."""

_SHORT = 20
_BREAKING = "overflow-wrap:anywhere;min-width:40px"
_TOP = "vertical-align:top"
_TABLE = "border-collapse:collapse;table-layout:auto;font-size:12.5px"


def box(*parts: str, name: str = "", width: int = 760) -> str:
    """Return parts of HTML in one element, with a class of its own where it has a name."""
    style = (
        f"max-width:{width}px;font-size:13px;font:13px/1.5 {FONT};"
        "font-variant-numeric:tabular-nums;color:inherit"
    )
    return f'<div class="{name}{" " if name else ""}{INERT}" style="{style}">{"".join(parts)}</div>'


def strong(text: str) -> str:
    """Return stressed words."""
    return f'<strong style="font-weight:600">{html_text(text)}</strong>'


def sentence(parts: Iterable[str]) -> str:
    """Return a sentence of plain and stressed parts, in turn."""
    return "".join(strong(part) if i % 2 else html_text(part) for i, part in enumerate(parts))


def fitting(page: Callable[[int], str], sizes: Iterable[int], most: int) -> str:
    """Return the largest page that is small enough, or the smallest there is.

    Args:
        page: Returns a page by how much of everything it shows.
        sizes: How much that may be, the largest page's first.
        most: Bytes of the page; signs that are written out take many.
    """
    html = ""
    for size in sizes:
        html = page(size)
        if len(html.encode()) <= most:
            break
    return html


def line(text: str, style: str = "") -> str:
    """Return a line of text."""
    return f'<p style="margin:0 0 4px;{style}">{html_text(text)}</p>\n'


def headline(first: str, rest: str) -> str:
    """Return the line that says what this is, its first words stressed."""
    faint = f'<span style="{FAINT}">{html_text(rest)}</span>'
    return f'<p style="margin:0 0 4px">{strong(first)} {faint}</p>\n'


def note(html: str, margin: str = "0 0 3px") -> str:
    """Return a small line under something else; it is given as HTML, its texts escaped."""
    return f'<p style="margin:{margin};font-size:12px;opacity:.8">{html}</p>\n'


def details(summary: str, body: str, *, is_open: bool = False) -> str:
    """Return HTML under a line of HTML that unfolds it."""
    return (
        f"<details{' open' if is_open else ''}>"
        '<summary style="cursor:pointer;line-height:22px;margin-left:15px;'
        f'list-style-position:outside">{summary}</summary>\n'
        f'<div style="margin:4px 0 4px 15px;overflow-x:auto">{body}</div></details>\n'
    )


def bar(parts: Iterable[tuple[str, float]], says: str = "") -> str:
    """Return a bar of patterns.

    Args:
        parts: Names in `palette.PATTERNS` with their shares of the whole, between 0 and 1.
        says: What a screen reader says of it; empty where the text beside it says the same.
    """
    segments = _segments(parts)
    style = f"display:flex;height:9px;margin:0 0 8px;background:{PATTERNS['rest']}"
    if says:
        return f'<div role="img" aria-label="{html_text(says)}" style="{style}">{segments}</div>'
    return f'<div aria-hidden="true" style="{style}">{segments}</div>'


def small_bar(parts: Iterable[tuple[str, float]], space: str = "0") -> str:
    """Return a bar as long as a word, for a line of text; `space` stands behind it."""
    style = f"display:inline-flex;width:44px;height:7px;margin:0 {space} 0 0;vertical-align:1px"
    return f'<span aria-hidden="true" style="{style}">{_segments(parts)}</span>'


def _segments(parts: Iterable[tuple[str, float]]) -> str:
    return "".join(
        f'<span style="flex:0 1 {100 * part:.1f}%;min-width:2px;{_plain(name)}'
        f'background:{PATTERNS[name]}"></span>'
        for name, part in parts
        if part > 0
    )


def _plain(name: str) -> str:
    return f"background-color:{PLAIN[name]};" if name in PLAIN else ""


class Html(str):
    """HTML of our own in the place of a cell's text."""

    __slots__ = ()


def cell(
    text: object,
    style: str = "",
    *,
    align: str = "left",
    head: str = "",
    longest: int | None = None,
    columns: int = 1,
) -> str:
    """Return a cell of a table.

    Args:
        text: What it shows.
        style: Added to that of every cell.
        align: ``"left"``, ``"right"`` or ``"center"``.
        head: What it heads, ``"row"`` or ``"col"``; empty for a cell of figures.
        longest: Characters kept of the text.
        columns: How many columns it is wide.
    """
    tag, more = ("th", f' scope="{head}"') if head else ("td", "")
    # JupyterLab aligns cells to the right where no style says otherwise, everybody else to the
    # left; what has no styles knows the attribute.
    styles = [f"text-align:{align}"] if align != "right" else []
    if columns > 1:
        more += f' colspan="{columns}"'
    if head or align != "left":
        more += f' align="{align}"'
    if "padding:" not in style:
        styles.append("padding:2px 18px 2px 0")
    styles += [style] if style else []
    styles += ["font-weight:400"] if head else []
    inner = text if isinstance(text, Html) else html_text(text, longest=longest)
    return f'<{tag}{more} style="{";".join(styles)}">{inner}</{tag}>'


def text_cell(text: str, style: str = "padding:2px 18px 2px 0") -> str:
    """Return a cell of a table with the text of a person or a model, in its own direction."""
    own = "text-align:start;vertical-align:top;white-space:pre-wrap;overflow-wrap:anywhere"
    return f'<td dir="auto" style="{own};{style}">{html_lines(text)}</td>'


def raw_cell(html: str, style: str) -> str:
    """Return a cell of a table around HTML."""
    return f'<td style="{style}">{html}</td>'


def table(
    rows: Iterable[Iterable[str]], style: str = "margin:0", first_rows: Sequence[str] = ()
) -> str:
    """Return a table of rows of cells, which stay apart also where every tag is removed.

    Args:
        rows: Cells of each row.
        style: Added to that of every table.
        first_rows: Styles of the first rows, such as the head.
    """
    styles = chain(first_rows, repeat(""))
    body = "".join(
        f'<tr style="background:none{";" if own else ""}{own}">{" ".join(row)}</tr>\n'
        for row, own in zip(rows, styles, strict=False)
    )
    return f'<table cellpadding="4" style="{_TABLE};{style}">\n{body}</table>\n'


def scrolled(html: str) -> str:
    """Return what is wider than a narrow page, so that it scrolls by itself."""
    return f'<div style="overflow-x:auto">{html}</div>'


def facts(pairs: Iterable[tuple[str, str]], longest: int = 120) -> str:
    """Return a table of names and values, those without a value left out.

    Args:
        pairs: The names and values.
        longest: Characters of a value, escaped ones counted as they are written.
    """
    return table(
        (
            cell(name, f"{FAINT};vertical-align:top", head="row"),
            cell(cut(visible(value), longest)),
        )
        for name, value in pairs
        if value
    )


def _may_break(text: object) -> bool:
    """Return whether a text may take several lines: what is short needs one on a narrow page."""
    return len(str(text)) > _SHORT and not isinstance(text, Html)


def figure_table(
    head: Sequence[object],
    rows: Iterable[Sequence[object]],
    right: Collection[int] | None = None,
    style: str = "margin:0",
) -> str:
    """Return a table with a head, words to the left and figures to the right.

    Args:
        head: Names of the columns.
        rows: Cells of each row.
        right: Columns that hold figures; None: all but the first.
        style: Added to that of every table.
    """
    figures = range(1, len(head)) if right is None else right

    def cells(texts: Sequence[object], head: str = "") -> list[str]:
        made, is_tall = [], any(map(_may_break, texts))
        for column, text in enumerate(texts):
            if column in figures:
                styles = [] if head else ["white-space:nowrap"]
            else:
                styles = [_BREAKING] if _may_break(text) else []
            align = "right" if column in figures else "left"
            style = ";".join([*styles, _TOP] if is_tall else styles)
            made.append(cell(text, style, align=align, head=head))
        return made

    return table([cells(head, "col"), *map(cells, rows)], style, first_rows=[FAINT])
