"""The projects of a cache folder: which there are, how large, what their answers are worth."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from llmnb.adapters.diskcache import FILE_NAME, Database, Extent
from llmnb.errors import StoreError
from llmnb.store import layout, usage
from llmnb.store.entry import Entry, decode
from llmnb.store.layout import ProjectPaths
from llmnb.store.project import databases

logger = logging.getLogger("llmnb")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectSummary:
    """One project as a person looks at it."""

    name: str
    folder: Path
    answers: int
    size_bytes: int
    created: float
    """Seconds since the epoch of the oldest answer; 0 where there is none."""

    last_written: float
    """When an answer was kept last; 0 where there is none."""

    last_used: float
    """When an answer was kept or used again last."""

    usd: float
    """What buying its answers again would cost, as far as prices are known; simulated ones
    nothing."""

    unpriced: int
    """Answers whose price is unknown."""

    hits: int
    """Uses of kept answers."""

    saved_usd: float
    spent: tuple[usage.Spent, ...]
    """What was spent in this project, cleared answers included."""

    @property
    def hit_rate(self) -> float | None:
        """Part of its rows that kept answers have answered, 0 to 1; None where there were none."""
        rows = self.hits + self.answers
        return self.hits / rows if rows else None

    @property
    def worth_usd(self) -> float | None:
        """What buying its answers again would cost; None where no price is known."""
        return None if self.unpriced and not self.usd else self.usd


def list_projects(cache_dir: Path) -> list[ProjectSummary]:
    """Return the projects of a cache folder, by name."""
    return [summary(project) for project in layout.stored_projects(cache_dir)]


def summary(project: ProjectPaths) -> ProjectSummary:
    """Return what there is to know of one project."""
    figures = _figures(project)
    hits = usage.read_hits(project.folder)
    return ProjectSummary(
        name=project.name,
        folder=project.folder,
        answers=figures.answers,
        size_bytes=_size(project.folder),
        created=figures.oldest,
        last_written=figures.newest,
        last_used=max(hits.last, figures.newest),
        usd=figures.usd,
        unpriced=figures.unpriced,
        hits=hits.count,
        saved_usd=hits.usd,
        spent=tuple(usage.spending(project.spend)),
    )


_NOWHERE = Extent(-1, 0, 0)


@dataclass(slots=True)
class _Figures:
    """What is added up over all answers of a project."""

    answers: int = 0
    usd: float = 0.0
    unpriced: int = 0
    oldest: float = 0.0
    newest: float = 0.0
    reached: Extent = _NOWHERE
    """Up to where in the database."""

    def add(self, database: Database, until: Extent) -> bool:
        """Add the answers that came since; False where others have changed or gone as well."""
        last, rows, size = self.reached
        for key, data in database.items(last, until.last):
            rows += 1
            size += len(data)
            if (entry := decode(data, key)) is not None:
                self.answers += 1
                if not entry.simulated:  # they cost nothing, now as then
                    self.usd += entry.usd or 0.0
                    self.unpriced += entry.usd is None
                if entry.created:
                    self.oldest = min(self.oldest or entry.created, entry.created)
                    self.newest = max(self.newest, entry.created)
        self.reached = Extent(until.last, rows, size)
        return self.reached == until


_known: dict[Path, tuple[object, _Figures]] = {}
"""Figures of projects, with what their files looked like then: adding up reads every answer."""


def _figures(project: ProjectPaths) -> _Figures:
    before = _file_states(project.folder)
    is_settled = _are_settled(before)
    known = _known.get(project.folder)
    if known is not None and known[0] == before:
        return known[1]
    database = databases.existing(project)
    if database is None:
        return _Figures()
    figures = _Figures()
    try:
        until = database.extent()
        if known is not None:
            figures = replace(known[1])
        if not figures.add(database, until) and known is not None:
            figures = _Figures()
            figures.add(database, until)
    except StoreError as error:  # cleared or gone while it was read
        logger.debug("reading %s ended early: %s", project.name, error)
        _known.pop(project.folder, None)
        return figures
    _known[project.folder] = (before if is_settled else None, figures)
    return figures


def _file_states(folder: Path, *names: str) -> list[tuple[int, int, int]]:
    states = []
    for name in (FILE_NAME, f"{FILE_NAME}-wal", *names):
        with suppress(OSError):
            state = (folder / name).stat()
            states.append((state.st_ino, state.st_size, state.st_mtime_ns))
    return states


SETTLED_SECONDS = 5.0
"""What was written to since then may hold a commit that is still being synced: the files look as
they will, and nobody can read it yet."""


def _are_settled(states: Sequence[tuple[int, int, int]]) -> bool:
    newest = max((written for _, _, written in states), default=0)
    return time.time_ns() - newest > SETTLED_SECONDS * 1e9


def changes(cache_dir: Path) -> object:
    """Return a value that stays equal as long as no process changes anything in a cache folder.

    It looks at the files from outside and reads no answer. Files that were written to just now
    count as changing.
    """
    states = [
        (project.name, _file_states(project.folder, layout.HITS))
        for project in layout.stored_projects(cache_dir)
    ]
    is_settled = all(_are_settled(files) for _, files in states)
    return usage.pending_hits(), states, is_settled or object()


def _size(folder: Path) -> int:
    total = 0
    for path in (*layout.own_files(folder), *layout.run_files(folder)):
        with suppress(OSError):
            total += path.stat().st_size
    return total


# ----------------------------------------------------------------------------- answers


def each(project: ProjectPaths, keys: Sequence[str] | None = None) -> Iterator[Entry]:
    """Yield a project's answers one by one; what is not there or not llmnb's is passed over.

    Args:
        project: Where it is kept.
        keys: Those that are wanted, in this order; None: all of them, oldest first.
    """
    database = databases.existing(project)
    if database is None or keys == []:
        return
    try:
        if keys is None:
            rows: Iterable[tuple[str, bytes]] = database.items()
        else:
            stored = database.get_many(keys)
            rows = ((key, stored[key]) for key in keys if key in stored)
        for key, data in rows:
            if (entry := decode(data, key)) is not None:
                yield entry
    except StoreError as error:  # cleared or gone while it was read
        logger.debug("reading %s ended early: %s", project.name, error)


def keys(project: ProjectPaths) -> list[str]:
    """Return the keys of a project's answers, oldest first."""
    database = databases.existing(project)
    return [] if database is None else database.keys()
