"""The one table: what each peer's trials came to, as Markdown, between its markers on a page."""

from __future__ import annotations

import datetime
import os
import platform
import statistics
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers.catalog import Peer
from benchmarks.peers.trials import FaultsSurvived, LimitUse, Sizes

START, END = "<!-- peers -->", "<!-- /peers -->"
_NONE = "–"


@dataclass(slots=True)
class Line:
    """What is known of one peer; what was not measured is None or empty."""

    peer: Peer
    cpu: list[float] = field(default_factory=list)
    """CPU time in each round, as a multiple of bare aiohttp's in that round."""

    wall: list[float] = field(default_factory=list)
    limits: dict[float, LimitUse] = field(default_factory=dict)
    """By the seconds' worth that the provider's bucket holds."""

    faults: FaultsSurvived | None = None
    repeats: int | None = None
    failures: list[str] = field(default_factory=list)
    """Why something could not be measured."""


def table(lines: list[Line], sizes: Sizes) -> str:
    """Return the table, and below it why a cell is empty."""
    rows = ["| " + " | ".join(_cells(line)) + " |" for line in lines]
    header = (
        "| way to ask | CPU a request | wall time | "
        f"use of {sizes.per_minute}/min, bucket 10 s | … bucket 1 s | failing provider | "
        f"requests for {sizes.repeated_rows:,} rows of {sizes.distinct} prompts | "
        "what holds it back |"
    )
    rule = "|" + "---|" * 8
    reasons = [f"- {line.peer.title}: {why}." for line in lines for why in line.failures]
    below = ["", "Not measured:", "", *reasons] if reasons else []
    return "\n".join([header, rule, *rows, *below]) + "\n"


def _cells(line: Line) -> list[str]:
    return [
        line.peer.title,
        _ratio(line.cpu),
        _ratio(line.wall),
        _limit(line.limits.get(10.0)),
        _limit(line.limits.get(1.0)),
        _faults(line.faults),
        _NONE if line.repeats is None else f"{line.repeats:,}",
        line.peer.remark,
    ]


def _ratio(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} ×" if values else _NONE


def _limit(use: LimitUse | None) -> str:
    if use is None:
        return _NONE
    lost = f", **{use.lost:,} rows lost**" if use.lost else ""
    return f"{use.used:.0%}, {use.refused:,} refused{lost}"


def _faults(found: FaultsSurvived | None) -> str:
    if found is None:
        return _NONE
    early = f", {found.early} came back too early" if found.early else ""
    lost = f"**{found.lost:,} rows lost**" if found.lost else "none lost"
    return f"{lost}, {found.extra} sent again of {found.needed} needed{early}"


def stamp(sizes: Sizes, *, is_quick: bool, load: float) -> str:
    """Return when and where it was measured.

    Args:
        sizes: How much work there was.
        is_quick: Whether it was the small form.
        load: Processes that wanted a core when it began, apart from ours.
    """
    today = datetime.date.today().isoformat()
    where = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}"
    how = f"Median of {sizes.rounds} rounds"
    if is_quick:
        how = "In small form, orders of magnitude only: one round"
    text = f"Measured on {today} ({where}). {how}, {sizes.limit_seconds:g} s at the limit."
    if load > (os.cpu_count() or 1) / 2:
        text += f" The machine was busy (load {load:.1f}): do not trust the figures of cost."
    return f"{text}\n"


def write(path: Path, text: str) -> None:
    """Replace what stands between the markers of a page.

    Raises:
        ValueError: If the page lacks the markers; nothing is written.
    """
    page = path.read_text(encoding="utf-8")
    if page.count(START) != 1 or page.count(END) != 1:
        raise ValueError(f"{path} needs {START} and {END} once each; nothing was written.")
    head, rest = page.split(START)
    tail = rest.split(END)[1]
    path.write_text(f"{head}{START}\n{text}{END}{tail}", encoding="utf-8")
