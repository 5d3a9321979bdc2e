"""The projects of a cache folder: which there are, how large, what their answers are worth."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from llmnb.errors import StoreError
from llmnb.store import hits, layout, names, spend
from llmnb.store.entry import Entry, decode
from llmnb.store.layout import Place
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
    """What buying its answers again would cost, as far as prices are known."""

    unpriced: int
    """Answers whose price is unknown."""

    hits: int
    """Uses of kept answers."""

    saved_usd: float
    spent: tuple[spend.Spent, ...]
    """What was spent in this project, cleared answers included."""

    @property
    def hit_rate(self) -> float | None:
        """Part of its rows that kept answers have answered, 0 to 1; None where there were none."""
        rows = self.hits + self.answers
        return self.hits / rows if rows else None

    @property
    def worth_usd(self) -> float | None:
        """What buying its answers again would cost; None where no price is known."""
        return None if self.answers and self.unpriced == self.answers else self.usd


def list_projects(cache_dir: Path) -> list[ProjectSummary]:
    """Return the projects of a cache folder, by name."""
    return [summary(place) for place in layout.places(cache_dir)]


def find(name: str, cache_dir: Path) -> Place | None:
    """Return the project of that name, however it is spelled, None where there is none."""
    wanted = names.normal(name)
    for place in layout.places(cache_dir):
        if names.normal(place.name) == wanted:
            return place
    return None


def summary(place: Place) -> ProjectSummary:
    """Return what there is to know of one project."""
    figures = _figures(place)
    used = hits.read(place.folder)
    return ProjectSummary(
        name=place.name,
        folder=place.folder,
        answers=figures.answers,
        size_bytes=_size(place.folder),
        created=figures.oldest,
        last_written=figures.newest,
        last_used=max(used.last, figures.newest),
        usd=figures.usd,
        unpriced=figures.unpriced,
        hits=used.count,
        saved_usd=used.usd,
        spent=tuple(spend.totals(place.spend)),
    )


@dataclass(slots=True)
class _Figures:
    """What is added up over all answers of a project."""

    answers: int = 0
    usd: float = 0.0
    unpriced: int = 0
    oldest: float = 0.0
    newest: float = 0.0


_known: dict[Path, tuple[tuple[tuple[int, ...], ...], _Figures]] = {}
"""Figures of projects, with what their files looked like then: adding up reads every answer."""


def _figures(place: Place) -> _Figures:
    before = _look(place.folder)
    known = _known.get(place.folder)
    if known is not None and known[0] == before:
        return known[1]
    figures = _Figures()
    for entry in each(place):
        figures.answers += 1
        figures.usd += entry.usd or 0.0
        figures.unpriced += entry.usd is None
        if entry.created:
            figures.oldest = min(figures.oldest or entry.created, entry.created)
            figures.newest = max(figures.newest, entry.created)
    if before and before == _look(place.folder):  # nobody has written meanwhile
        _known[place.folder] = (before, figures)
    return figures


def _look(folder: Path) -> tuple[tuple[int, ...], ...]:
    found = []
    for name in ("cache.db", "cache.db-wal"):
        try:
            one = (folder / name).stat()
        except OSError:
            continue
        found.append((one.st_ino, one.st_size, one.st_mtime_ns))
    return tuple(found)


def each(place: Place, keys: Sequence[str] | None = None) -> Iterator[Entry]:
    """Yield a project's answers one by one; what is not there or not llmnb's is passed over.

    Args:
        place: The project.
        keys: Those that are wanted, in this order; None: all of them, oldest first.
    """
    database = databases.existing(place)
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
        logger.debug("reading %s ended early: %s", place.name, error)


def entries(
    place: Place, *, search: str | None = None, limit: int | None = None, offset: int = 0
) -> list[Entry]:
    """Return a project's answers, oldest first.

    Args:
        place: The project.
        search: Text that the request or the reply must hold, in any case.
        limit: Most answers to return; None: all.
        offset: Answers to pass over first.
    """
    wanted = search.casefold() if search else None
    chosen = (entry for entry in each(place) if wanted is None or wanted in _text(entry).casefold())
    return list(islice(chosen, offset, None if limit is None else offset + limit))


def keys(place: Place) -> set[str]:
    """Return the keys of a project's answers."""
    return set(keys_in_order(place))


def keys_in_order(place: Place) -> list[str]:
    """Return the keys of a project's answers, oldest first."""
    database = databases.existing(place)
    return [] if database is None else database.keys()


def _text(entry: Entry) -> str:
    return (entry.request + b"\n" + entry.raw).decode("utf-8", "replace")


def _size(folder: Path) -> int:
    total = 0
    for name in layout.OWN_FILES:
        try:
            total += (folder / name).stat().st_size
        except OSError:
            continue
    return total
