"""Rows to read where no widget shows: the first ones as HTML without script, and as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from llmnb.display import html_fragments
from llmnb.display.aligned import columns
from llmnb.display.escape import visible
from llmnb.display.palette import FAINT
from llmnb.display.texts import counted, cut, inside
from llmnb.frames.row_sources import CLEARED, FAILED, ReadRow, RowSource

ROWS = 50
CELL = 400
"""Characters of a cell."""

BYTES = 190_000

NO_ROWS = (
    "No rows to read yet",
    "Rows stand here as soon as one is answered: run df.llm.generate(…) in this project, or give "
    "explore() a run.",
)


class Readable(Protocol):
    """What is needed of an explorer."""

    @property
    def source(self) -> RowSource:
        """The rows."""

    @property
    def listed(self) -> Any:
        """An array of those that are shown."""

    @property
    def marks_total(self) -> int:
        """How many are marked."""

    def __len__(self) -> int: ...

    def all_counts(self) -> list[int]:
        """Return how many rows there are of each outcome."""

    def read(self, positions: Sequence[int]) -> list[ReadRow]:
        """Return some rows."""


def _static_rows(explorer: Readable, longest: int = CELL) -> list[list[str]]:
    positions = explorer.listed[:ROWS].tolist()
    return [
        [
            f"{row.position:,}",
            cut(row.prompt, longest),
            f"failed: {inside(row.cause)}" if row.error else cut(row.told[1], longest),
        ]
        for row in explorer.read(positions)
    ]


def _sentence(explorer: Readable) -> tuple[str, str]:
    total, counts = len(explorer), explorer.all_counts()
    failed, marked = counts[FAILED], explorer.marks_total
    said = f"of {explorer.source.subject}"
    said += f", {failed:,} failed" if failed else ""
    said += f", {marked:,} marked" if marked else ""
    said += f", {cleared:,} {CLEARED}" if (cleared := explorer.source.cleared) else ""
    shown_rows = len(explorer.listed)
    noun = explorer.source.noun
    first = f"{counted(total, noun)}"
    if shown_rows < total:
        first = f"{shown_rows:,} of {first}"
    return first, said


def html(explorer: Readable) -> str:
    """Return the first rows as HTML without script: what a saved notebook keeps."""
    for longest in (CELL, CELL // 2, CELL // 5):
        page = _html(explorer, longest)
        if len(page.encode()) < BYTES:  # signs that are written out take many bytes
            break
    return page


def _html(explorer: Readable, longest: int) -> str:
    first, rest = _sentence(explorer)
    if not len(explorer):
        return html_fragments.box(html_fragments.headline("Rows", NO_ROWS[0]))
    head = [html_fragments.cell(name, head="col") for name in ("row", "asked", "answered")]
    rows = [
        [
            html_fragments.cell(number, "vertical-align:top", align="right"),
            *map(html_fragments.text_cell, texts),
        ]
        for number, *texts in _static_rows(explorer, longest)
    ]
    left = len(explorer.listed) - len(rows)
    return html_fragments.box(
        html_fragments.headline(first, rest + "."),
        html_fragments.table([head, *rows], first_rows=[FAINT]),
        html_fragments.note(f"{counted(left, 'more row')} in the live view.") if left > 0 else "",
        width=900,
    )


def text(explorer: Readable) -> str:
    """Return the first ten rows as text, at most 90 columns wide."""
    first, rest = _sentence(explorer)
    if not len(explorer):
        return f"{NO_ROWS[0]}. {NO_ROWS[1]}"
    rows = [
        (no, cut(visible(asked), 36), cut(visible(answered), 36))
        for no, asked, answered in _static_rows(explorer)[:10]
    ]
    table = columns([("row", "asked", "answered"), *rows], right=(0,), width=86)
    return "\n".join([cut(visible(f"{first} {rest}."), 90), "", *(f"  {line}" for line in table)])
