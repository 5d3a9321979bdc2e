"""The projects of a cache folder: which there are, how large, what their answers are worth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from llmnb.errors import StoreError
from llmnb.store import hits, layout, names, spend
from llmnb.store.entry import BadEntry, Entry, decode
from llmnb.store.layout import Place
from llmnb.store.project import databases


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectSummary:
    """One project as a person looks at it."""

    name: str
    folder: Path
    answers: int
    size_bytes: int
    created: float
    """Seconds since the epoch of the oldest answer; 0 where there is none."""

    last_used: float
    usd: float
    """What buying its answers again would cost, as far as prices are known."""

    unpriced: int
    """Answers whose price is unknown."""

    hits: int
    """Uses of kept answers."""

    saved_usd: float
    spent: tuple[spend.Spent, ...]
    """What was spent in this project, cleared answers included."""


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
    answers = entries(place)
    used = hits.read(place.folder)
    created = [entry.created for entry in answers if entry.created]
    return ProjectSummary(
        name=place.name,
        folder=place.folder,
        answers=len(answers),
        size_bytes=_size(place.folder),
        created=min(created, default=0.0),
        last_used=max(used.last, max(created, default=0.0)),
        usd=sum(entry.usd or 0.0 for entry in answers),
        unpriced=sum(entry.usd is None for entry in answers),
        hits=used.count,
        saved_usd=used.usd,
        spent=tuple(spend.totals(place.spend)),
    )


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
    database = databases.existing(place)
    if database is None:
        return []
    wanted = search.casefold() if search else None
    found: list[Entry] = []
    try:
        for key, data in database.items():
            try:
                entry = decode(data, key)
            except BadEntry:
                continue
            if wanted is not None and wanted not in _text(entry).casefold():
                continue
            if offset > 0:
                offset -= 1
                continue
            found.append(entry)
            if limit is not None and len(found) >= limit:
                break
    except StoreError:
        return found
    return found


def keys(place: Place) -> set[str]:
    """Return the keys of a project's answers."""
    database = databases.existing(place)
    return set() if database is None else set(database.keys())


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
