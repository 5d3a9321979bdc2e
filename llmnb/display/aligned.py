"""Small tables and lists of figures as text."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Sequence

from llmnb.display.escape import visible
from llmnb.display.texts import cut

_NARROWEST = 12
"""Columns of characters that a cell keeps when a table is made narrower."""


def columns(
    rows: Sequence[Sequence[object]],
    *,
    right: Collection[int] = (),
    width: int | None = None,
    longest: int | None = None,
    gap: int = 2,
) -> list[str]:
    r"""Return rows as lines of aligned columns; nothing hides in a cell.

    Args:
        rows: Cells, as many in each row; None is an empty cell.
        right: Columns that hold figures.
        width: Characters of a line at most; the widest columns are cut first.
        longest: Characters of a cell at most.
        gap: Blanks between columns.

    Example:
        >>> print("\n".join(columns([("name", "rows"), ("a", 12), ("bcd", 3)], right={1})))
        name  rows
        a       12
        bcd      3
    """
    cells = [
        ["" if cell is None else visible(cell, longest=longest) for cell in row] for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if width is not None:
        room = width - gap * (len(widths) - 1)
        while sum(widths) > room and (most := max(widths)) > _NARROWEST:
            # Those that are widest go down to the next, all of them alike.
            widest = [place for place, wide in enumerate(widths) if wide == most]
            share = -(-(sum(widths) - room) // len(widest))
            below = max((wide for wide in widths if wide < most), default=0)
            for place in widest:
                widths[place] = max(most - share, below, _NARROWEST)
    return [
        (" " * gap)
        .join(
            cut(cell, wide).rjust(wide) if place in right else cut(cell, wide).ljust(wide)
            for place, (cell, wide) in enumerate(zip(row, widths, strict=True))
        )
        .rstrip()
        for row in cells
    ]


def hanging(head: str, text: str, width: int) -> list[str]:
    """Return a text behind a head, over as many lines as it takes; further ones are set in.

    Args:
        head: What the first line begins with.
        text: On one line.
        width: Characters of a line at most.

    Example:
        >>> hanging("  3  ", "a sentence of some words", 22)
        ['  3  a sentence of', '     some words']
    """
    indent = " " * min(len(head), width // 3)
    return textwrap.wrap(text, width, initial_indent=head, subsequent_indent=indent) or [head]


def wrapped(sentence: str, width: int = 89) -> list[str]:
    r"""Return a sentence as lines of at most so many characters; nothing hides in it.

    No line ends between a figure and its percent sign.

    Example:
        >>> wrapped("a line too\x1b long", 10), wrapped("right: 84 % of it", 9)
        (['a line', 'too\\x1b', 'long'], ['right:', '84 % of', 'it'])
    """
    text = visible(sentence).replace(" %", "\N{NO-BREAK SPACE}%")
    lines = textwrap.wrap(text, width, break_on_hyphens=False)
    return [line.replace("\N{NO-BREAK SPACE}%", " %") for line in lines]


def leader(name: str, value: str, note: str = "", *, names: int = 24, values: int = 7) -> str:
    """Return a name and a value with dots between.

    Args:
        name: Of the figure; blanks before it set it in.
        value: The figure.
        note: What stands behind it.
        names: Characters of name and dots.
        values: Characters that values take at least, so that they stand under each other.

    Example:
        >>> leader("rows", "10", "of a table")
        'rows ....................      10   of a table'
    """
    dots = "." * max(3, names - len(name))
    return f"{name} {dots} {value:>{values}}" + (f"   {note}" if note else "")
