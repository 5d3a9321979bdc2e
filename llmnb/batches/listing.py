"""`runs`: every run that is written down in a cache folder, batch runs among them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmnb import settings
from llmnb.batches import records
from llmnb.display import moments
from llmnb.display.aligned import columns
from llmnb.display.escape import visible
from llmnb.display.html_fragments import box, figure_table, line, scrolled
from llmnb.display.palette import FAINT
from llmnb.display.texts import cut, single_line
from llmnb.errors import StoreError
from llmnb.options import checked
from llmnb.store import run_index
from llmnb.store.run_index import RunSummary

CARD = "llmnb-runs"
"""Class of the list on a page."""

SHOWN = 20
"""Runs that are shown; the list itself has all."""

_LONGEST = 200
_LONGEST_CALL = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNote:
    """One run that is written down; `llmnb.attach` takes its `run_id`."""

    run_id: str
    state: str
    """``"finished"``, ``"stopped"`` by its owner, ``"under way"``, ``"broken off"`` where its
    process ended before it, or ``"unreadable"`` where a batch run's files are damaged."""

    begun: float
    """Seconds since the epoch."""

    rows: int
    """Rows that have ended, however; of a batch run the requests that were submitted."""

    failed: int = 0
    """Rows of them without an answer; 0 too while nobody has counted them."""

    verb: str = ""
    """What was called, such as ``"generate"``, or ``"batch"``."""

    prompt: str = ""
    """The template of the prompt, where there was one."""

    column: str = ""
    """Name of the column of answers."""

    model: str = ""
    """The models in words; empty where each request named its own."""

    project: str = ""
    batches: tuple[str, ...] = ()
    """The provider's names of its batches."""


class RunList(list[RunNote]):
    """Runs, the newest first; shows itself as a table."""

    def __repr__(self) -> str:
        if not self:
            return "no runs"
        rows = [_COLUMNS, *map(_cells, self[:SHOWN])]
        return "\n".join([*columns(rows, right=_FIGURES), *self._further()])

    def _repr_html_(self) -> str:
        if not self:
            return box(line("No runs yet: df.llm.generate(…) starts one."), name=CARD)
        rows = map(_cells, self[:SHOWN])
        return box(
            scrolled(figure_table(_COLUMNS, rows, _FIGURES, "white-space:nowrap")),
            *(line(text, FAINT) for text in self._further()),
            line("llmnb.attach('…') takes a run up again; nothing is asked.", FAINT),
            name=CARD,
            width=1000,
        )

    def _further(self) -> list[str]:
        left = len(self) - SHOWN
        return [f"and {left:,} older ones"] if left > 0 else []


_COLUMNS = ("run", "begun", "state", "rows", "failed", "call", "model", "project")
_FIGURES = (3, 4)


def _cells(note: RunNote) -> tuple[str, ...]:
    call = cut(single_line(f"{note.verb} {note.prompt}"), _LONGEST_CALL)
    failed = f"{note.failed:,}" if note.failed else ""
    figures = (moments.moment(note.begun), note.state, f"{note.rows:,}", failed)
    cells = (note.run_id, *figures, call, note.model, note.project)
    return tuple(visible(cell, longest=_LONGEST) for cell in cells)


def runs(cache_dir: str | Path | None = None) -> RunList:
    """Return every recorded run, the newest first; no provider is asked.

    Every run over a table is, and every batch run that has submitted something. Of each project
    the latest 1,000 are kept; clearing a project removes them, but for batch runs.

    Args:
        cache_dir: Folder of all projects; None: ``LLMNB_CACHE_DIR``, else ``.cache/llmnb``.

    Example:
        >>> runs("no such folder")
        no runs
    """
    root = settings.cache_dir(checked({"cache_dir": cache_dir})["cache_dir"])
    known = [*_batch_runs(root), *map(_note_of, run_index.summaries(root))]
    return RunList(sorted(known, key=lambda note: -note.begun))


def _note_of(summary: RunSummary) -> RunNote:
    header, end = summary.header, summary.end
    counts: Mapping[str, Any] = (end or {}).get("counts") or {}
    state = "under way" if summary.is_running else "broken off"
    return RunNote(
        run_id=header.run_id,
        state=state if end is None else str(end.get("state", "")),
        begun=header.begun,
        rows=summary.records if end is None else end.get("completed", 0),
        failed=counts.get("num_tasks_failed", 0),
        verb=header.verb,
        prompt=header.prompt,
        column=header.column,
        model=header.model,
        project=header.project,
    )


def _batch_runs(root: Path) -> Iterator[RunNote]:
    for folder, record in records.all_records(root / records.FOLDER):
        try:
            parts = records.parts_of(folder, record)
            state = "under way" if any(part.is_open for part in parts) else "finished"
        except StoreError:
            parts, state = [], "unreadable"
        asked = records.read_table(folder)
        yield RunNote(
            run_id=record.run_id,
            state=state,
            begun=record.created,
            rows=sum(part.standing.requests for part in parts),
            verb="batch",
            prompt="" if asked is None else asked[0].prompt,
            column="" if asked is None else asked[0].column,
            model=f"{record.provider}/{record.model}",
            project=record.project,
            batches=tuple(part.standing.batch for part in parts if part.standing.batch),
        )
