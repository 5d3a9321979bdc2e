"""Rows to read where no widget shows: the first ones as HTML without script, and as text."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from llmnb.display import html_fragments
from llmnb.display.aligned import columns
from llmnb.display.escape import visible
from llmnb.display.palette import FAINT
from llmnb.display.texts import counted, cut, inside
from llmnb.frames.row_sources import CLEARED, FAILED, RowSource

ROWS = 50
CELL = 400
"""Characters of a cell."""

BYTES = 190_000

NO_ROWS = (
    "No rows to read yet",
    "Rows stand here as soon as one is answered: run df.llm.generate(…) in this project, or give "
    "explore() a run.",
)


Listed = npt.NDArray[np.intp]
"""Positions of the rows that are shown."""


def _static_rows(source: RowSource, listed: Listed, longest: int = CELL) -> list[list[str]]:
    return [
        [
            f"{row.position:,}",
            cut(row.prompt, longest),
            f"failed: {inside(row.cause)}" if row.error else cut(row.told[1], longest),
        ]
        for row in source.read(listed[:ROWS].tolist())
    ]


def _sentence(source: RowSource, listed: Listed, marked: int) -> tuple[str, str]:
    failed, cleared = int(np.count_nonzero(source.codes == FAILED)), source.cleared
    said = f"of {source.subject}"
    said += f", {failed:,} failed" if failed else ""
    said += f", {marked:,} marked" if marked else ""
    said += f", {cleared:,} {CLEARED}" if cleared else ""
    first = counted(len(source), source.noun)
    return first if len(listed) == len(source) else f"{len(listed):,} of {first}", said


def html(source: RowSource, listed: Listed, marked: int) -> str:
    """Return the first rows as HTML without script: what a saved notebook keeps.

    Args:
        source: The rows.
        listed: Those that are shown.
        marked: How many are marked.
    """
    page = functools.partial(_html, source, listed, marked)
    return html_fragments.fitting(page, (CELL, CELL // 2, CELL // 5), BYTES)


def _html(source: RowSource, listed: Listed, marked: int, longest: int) -> str:
    first, rest = _sentence(source, listed, marked)
    if not len(source):
        return html_fragments.box(html_fragments.headline("Rows", NO_ROWS[0]))
    head = [html_fragments.cell(name, head="col") for name in ("row", "asked", "answered")]
    rows = [
        [
            html_fragments.cell(number, "vertical-align:top", align="right"),
            *map(html_fragments.text_cell, texts),
        ]
        for number, *texts in _static_rows(source, listed, longest)
    ]
    left = len(listed) - len(rows)
    return html_fragments.box(
        html_fragments.headline(first, rest + "."),
        html_fragments.table([head, *rows], first_rows=[FAINT]),
        html_fragments.note(f"{counted(left, 'more row')} in the live view.") if left > 0 else "",
        width=900,
    )


def text(source: RowSource, listed: Listed, marked: int) -> str:
    """Return the first ten rows as text, at most 90 columns wide; arguments as for `html`."""
    first, rest = _sentence(source, listed, marked)
    if not len(source):
        return f"{NO_ROWS[0]}. {NO_ROWS[1]}"
    rows = [
        (no, cut(visible(asked), 36), cut(visible(answered), 36))
        for no, asked, answered in _static_rows(source, listed)[:10]
    ]
    table = columns([("row", "asked", "answered"), *rows], right=(0,), width=86)
    return "\n".join([cut(visible(f"{first} {rest}."), 90), "", *(f"  {line}" for line in table)])
