"""What the cards of scores, comparisons and shares are put together of."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

from llmnb.display.escape import html_text, summary
from llmnb.display.html_fragments import cell, raw_cell, strong, table
from llmnb.display.palette import ACCENT, FAINT, PATTERNS, RULE
from llmnb.display.texts import counted

FEW_LABELS = 15
"""Labels below which a sentence says that they say little."""

_NOTE = "font-size:12px;line-height:17px;opacity:.8"
_GREY = "rgba(128,128,128,.32)"
_INK = "background:currentColor;opacity:.6"
_ABSOLUTE = "position:absolute"


class Carded:
    """A result that shows itself as its card: in pages, terminals and one line."""

    __slots__ = ()
    _card: Any
    """Has `line`, `text` and `html`."""

    def __repr__(self) -> str:
        return summary(f"{type(self).__name__}:", self._card.line())

    def __str__(self) -> str:
        return str(self._card.text())

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))

    def _repr_html_(self) -> str:
        return str(self._card.html())


def breaking(name: str, unbroken: int = 12, widest: int = 95) -> str:
    """Return the style by which a name gives way on a narrow page.

    Args:
        name: The name.
        unbroken: Characters of a name that stands on one line.
        widest: Pixels that are kept for a longer one.
    """
    if len(name) <= unbroken:
        return "white-space:nowrap"
    return f"min-width:{min(widest, 7 * len(name))}px;overflow-wrap:anywhere"


def title(first: str, rest: str) -> str:
    """Return a card's headline, its first words stressed."""
    style = "margin:0;font-size:16px;line-height:22px"
    return f'<p style="{style}">{strong(first)}{html_text(rest)}</p>\n'


def note(text: str, margin: str = "0 0 8px") -> str:
    """Return a small sentence."""
    return f'<p style="margin:{margin};{_NOTE}">{html_text(text)}</p>\n'


def foot(html: str) -> str:
    """Return a card's last line, of HTML of our own."""
    style = f"margin:9px 0 0;padding-top:6px;{RULE};font-size:12px;opacity:.8"
    return f'<p style="{style}">{html}</p>'


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

    middle = height / 2
    low, high = interval
    width = f"{100 * (min(whole, high) - max(0.0, low)) / whole:.1f}%"
    cap = f"{_ABSOLUTE};top:{middle - 4:g}px;height:7px;width:1px;{_INK}"
    caps = "".join(f'<span style="{cap};left:{at(end)}"></span>' for end in (low, high))
    dot = f"top:{middle - 4:g}px;width:8px;height:8px;margin-left:-4px;border-radius:50%"
    ringed = ""
    if ring is not None:
        ringed = (
            f'<span style="{_ABSOLUTE};left:{at(ring)};{dot};box-sizing:border-box;'
            'border:1.5px solid currentColor;opacity:.7"></span>'
        )
    return (
        f'<div aria-hidden="true" style="position:relative;height:{height}px;width:100%;'
        f'min-width:36px"><span style="{_ABSOLUTE};left:0;right:0;top:{middle - 0.5:g}px;'
        f'height:1px;background:{_GREY}"></span><span style="{_ABSOLUTE};left:{at(low)};'
        f'width:{width};top:{middle - 1:g}px;height:2px;{_INK}"></span>{caps}{ringed}'
        f'<span style="{_ABSOLUTE};left:{at(value)};{dot};background:{ACCENT}"></span></div>'
    )


def axis_table(
    axis: Sequence[str],
    names: Sequence[str],
    rows: Iterable[tuple[str, str, Sequence[str]]],
    *,
    is_first_best: bool = False,
) -> str:
    """Return a table of whiskers on one axis, figures beside each.

    Args:
        axis: What stands along the axis, from its beginning to its end.
        names: What the figures are called; the first is stressed.
        rows: Each row's name, its whisker and its figures.
        is_first_best: Whether the first row's name is stressed.
    """
    small = f"{FAINT};font-size:11px;line-height:14px;padding:0 0 4px 10px;vertical-align:bottom"
    marks = " ".join(f"<span>{html_text(mark)}</span>" for mark in axis)
    marks = f'<div style="display:flex;justify-content:space-between">{marks}</div>'
    head = [
        cell("", "padding:0"),
        raw_cell(marks, f"{small};white-space:nowrap;width:34%;min-width:62px"),
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
    drawn = table([head, *body], "width:100%")
    return f'<div style="{RULE};padding-top:7px;overflow-x:auto">{drawn}</div>'


def right_and_wrong(right: float, wrong: float, missing: float) -> str:
    """Return the bar under a score's whisker: what is right, wrong, and not answered."""
    outline = "box-shadow:inset 0 0 0 1px rgba(128,128,128,.7)"
    parts = (
        (right, f"background:{ACCENT}"),
        (wrong, f"background:{PATTERNS['failed']}"),
        (missing, outline),
    )
    segments = "".join(
        f'<span style="width:{100 * share:.2f}%;min-width:2px;{style}"></span>'
        for share, style in parts
        if share
    )
    style = "display:flex;height:9px;gap:1px;margin:0 0 8px"
    return f'<div aria-hidden="true" style="{style}">{segments}</div>'
