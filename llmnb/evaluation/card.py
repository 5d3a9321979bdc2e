"""The cards of scores, comparisons and shares: each described once, drawn as HTML and as text."""

from __future__ import annotations

import functools
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from llmnb.display.aligned import columns, wrapped
from llmnb.display.escape import html_text, summary, visible
from llmnb.display.html_fragments import (
    box,
    cell,
    note,
    raw_cell,
    scrolled,
    strong,
    table,
    text_cell,
)
from llmnb.display.palette import ACCENT, FAINT, RULE
from llmnb.display.texts import counted

FEW_LABELS = 15
"""Labels below which a sentence says that they say little."""

HEAD = f"{FAINT};font-size:11px;line-height:15px"
"""The look of a table's head."""

UNBROKEN = 24
"""Characters of a label that stand on one line on a narrow page, too."""

_GREY = "rgba(128,128,128,.32)"
_INK = "background:currentColor;opacity:.6"
_ABSOLUTE = "position:absolute"

Part = tuple[str, Sequence[str]]
"""A part of a card: its HTML, and the same as lines of text; either may be empty."""


class Card(ABC):
    """What a result shows, in parts; every style can be stripped, and no text in it acts."""

    __slots__ = ()

    @abstractmethod
    def headline(self) -> tuple[str, str]:
        """Return the first words, which are stressed, and the rest of the headline."""

    @abstractmethod
    def parts(self) -> Iterator[Part]:
        """Yield the parts, from top to bottom."""

    def line(self) -> str:
        """Return the headline as one line."""
        return visible("".join(self.headline()))

    def html(self) -> str:
        """Return the card as HTML."""
        return box(*(html for html, _ in self.parts()), name="llmnb-score", width=840)

    def text(self) -> str:
        """Return the card as text, below 90 columns."""
        return "\n".join(line for _, lines in self.parts() for line in lines)

    def _title(self) -> Part:
        first, rest = self.headline()
        style = "margin:0;font-size:16px;line-height:22px"
        html = f'<p style="{style}">{strong(first)}{prose(rest)}</p>\n'
        return html, wrapped("".join(self.headline()))


class Carded:
    """A result that shows itself as its card: in pages, terminals and one line."""

    __slots__ = ()
    _card: Any

    def __repr__(self) -> str:
        return summary(f"{type(self).__name__}:", self._card.line())

    def __str__(self) -> str:
        return str(self._card.text())

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))

    def _repr_html_(self) -> str:
        return str(self._card.html())


def prose(text: str) -> str:
    """Return words as HTML; no line ends between a figure and its percent sign.

    Example:
        >>> prose("<1 % is wrong")
        '&lt;<span style="white-space:nowrap">1 %</span> is wrong'
    """
    whole = r'<span style="white-space:nowrap">\g<0></span>'
    return re.sub(r"[\d.,]+ %", whole, html_text(text))


def sentence(text: str, margin: str = "0 0 8px") -> Part:
    """Return a small sentence."""
    return note(prose(text), margin), wrapped(text)


def foot(text: str, before: str = "") -> Part:
    """Return a card's last line; `before` is HTML that stands at its head."""
    style = f"margin:9px 0 0;padding-top:6px;{RULE};font-size:12px;opacity:.8"
    return f'<p style="{style}">{before}{prose(text)}</p>', ["", *wrapped(text)]


def listed(title: str, rows: Sequence[Sequence[str]]) -> Part:
    """Return a table under a title.

    Args:
        title: What the rows are.
        rows: A head and rows. The first column holds figures; a last one without a name holds
            texts of rows.
    """
    style = "padding:1px 12px 1px 0"
    head, *body = rows
    has_texts = not head[-1]

    def drawn(text: str, place: int) -> str:
        if has_texts and place == len(head) - 1:
            return text_cell(text, f"{style};{FAINT};min-width:90px")
        look = f"{style};vertical-align:top;{breaking(text, UNBROKEN)}"
        return cell(text, look, align="left" if place else "right", longest=100)

    # A name is broken between words, or behind a slash, and never within one.
    heads = [
        cell(name, f"{style};{HEAD};vertical-align:bottom", head="col", longest=UNBROKEN)
        for name in head
    ]
    cells = [[drawn(text, place) for place, text in enumerate(row)] for row in body]
    html = f'<p style="margin:10px 0 2px">{strong(title)}</p>\n{scrolled(table([heads, *cells]))}'
    title = title[:1].lower() + title[1:]
    return html, ["", f"  {title}", *aligned(rows, right={0})]


def aligned(rows: Sequence[Sequence[str]], right: Iterable[int]) -> list[str]:
    """Return a table as lines of text that are set in."""
    return ["  " + line for line in columns(rows, right={*right}, width=86)]


def axis(
    marks: Sequence[str],
    names: Sequence[str],
    rows: Sequence[tuple[str, str, Sequence[str]]],
    *,
    is_first_best: bool = False,
) -> Part:
    """Return a table of whiskers on one axis, figures beside each.

    Args:
        marks: What stands along the axis, from its beginning to its end.
        names: What the figures are called; the first is stressed.
        rows: Each row's name, its whisker and its figures.
        is_first_best: Whether the first row's name is stressed.
    """
    small = f"{FAINT};font-size:11px;line-height:14px;padding:0 0 4px 10px;vertical-align:bottom"
    along = " ".join(f"<span>{html_text(mark)}</span>" for mark in marks)
    along = f'<div style="display:flex;justify-content:space-between">{along}</div>'
    head = [
        cell("", "padding:0"),
        raw_cell(along, f"{small};white-space:nowrap;width:34%;min-width:62px"),
        *(cell(name, small, align="right", head="col") for name in names),
    ]
    plain = "padding:3px 0 3px 10px;white-space:nowrap"
    looks = [f"{plain};font-weight:600", *[plain] * (len(names) - 1)]
    body = []
    for number, (name, drawn, figures) in enumerate(rows):
        is_best = is_first_best and not number
        style = f"padding:3px 0;{breaking(name)}{';font-weight:600' if is_best else ''}"
        body.append(
            [
                cell(name, style, head="" if is_best else "row", longest=60),
                raw_cell(drawn, f"vertical-align:middle;{plain}"),
                *map(functools.partial(cell, align="right"), figures, looks),
            ]
        )
    html = table([head, *body], "width:100%")
    html = f'<div style="{RULE};padding-top:7px;overflow-x:auto">{html}</div>'
    texts = [("", *names), *((name, *figures) for name, _, figures in rows)]
    return html, ["", *aligned(texts, right=range(1, len(names) + 1))]


def breaking(name: str, unbroken: int = 12) -> str:
    """Return the style by which a name that is longer gives way on a narrow page."""
    if len(name) <= unbroken:
        return "white-space:nowrap"
    return f"min-width:{min(95, 7 * len(name))}px;overflow-wrap:anywhere"


def without_a_row(labels: int) -> str:
    """Return the sentence about labels that belong to no row of the table."""
    belong = "belongs" if labels == 1 else "belong"
    return f"{counted(labels, 'label')} {belong} to no row of this frame."


def whisker(
    value: float,
    interval: tuple[float, float],
    *,
    whole: float = 1.0,
    ring: float | None = None,
    height: int = 14,
) -> str:
    """Return an axis from 0 with a dot at a value and a line over its interval.

    A screen reader passes over it: the figures stand beside it.

    Args:
        value: Where the dot is.
        interval: Where the line begins and ends.
        whole: Where the axis ends; what lies beyond is drawn at its end.
        ring: Where a ring is drawn: what the value is compared with.
        height: In pixels.
    """

    def at(number: float) -> str:
        return f"{100 * min(1.0, max(0.0, number / whole)):.1f}%"

    def mark(where: float, style: str) -> str:
        return f'<span style="{_ABSOLUTE};left:{at(where)};{style}"></span>'

    middle = height / 2
    low, high = interval
    width = f"{100 * (min(whole, high) - max(0.0, low)) / whole:.1f}%"
    cap = f"top:{middle - 4:g}px;height:7px;width:1px;{_INK}"
    dot = f"top:{middle - 4:g}px;width:8px;height:8px;margin-left:-4px;border-radius:50%"
    drawn = [
        f'<span style="{_ABSOLUTE};left:0;right:0;top:{middle - 0.5:g}px;height:1px;'
        f'background:{_GREY}"></span>',
        mark(low, f"width:{width};top:{middle - 1:g}px;height:2px;{_INK}"),
        mark(low, cap),
        mark(high, cap),
    ]
    if ring is not None:
        outline = "box-sizing:border-box;border:1.5px solid currentColor;opacity:.7"
        drawn.append(mark(ring, f"{dot};{outline}"))
    drawn.append(mark(value, f"{dot};background:{ACCENT}"))
    style = f"position:relative;height:{height}px;width:100%;min-width:36px"
    return f'<div aria-hidden="true" style="{style}">{"".join(drawn)}</div>'
