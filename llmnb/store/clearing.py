"""Taking answers away: at once, or into a trash folder from where they can come back.

Only what carries llmnb's own mark is touched: known files of marked project
folders. A stranger's file stays, and so does the folder it lies in; links are
not followed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from llmnb.adapters import files
from llmnb.adapters.diskcache import FILE_NAME, Database
from llmnb.adapters.file_lock import locked
from llmnb.errors import StoreError
from llmnb.store import hits, layout, names, projects
from llmnb.store.layout import Place
from llmnb.store.project import databases


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearReport:
    """What clearing took away."""

    removed: dict[str, int] = field(default_factory=dict)
    """Answers removed, by project."""

    unknown: tuple[str, ...] = ()
    """Names that no project has; nothing was cleared for them."""

    elsewhere: int = 0
    """Removed answers that stand in other projects, too."""

    tokens: tuple[str, ...] = ()
    """What `undo` takes, for projects that went to the trash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """What clearing would take away."""

    answers: int
    usd: float
    """What buying them again would cost, as far as prices are known."""

    unpriced: int
    """Answers whose price is unknown."""

    elsewhere: int
    """Answers that stand in projects that stay, too."""

    others: tuple[str, ...]
    """Those projects, the one with the most of them first."""

    last_written: float
    """When an answer was kept last, in seconds since the epoch; 0 where there is none."""


def weigh(place: Place) -> Weight:
    """Return what clearing a project would take away; nothing is changed."""
    one = projects.summary(place)
    mine = projects.keys(place)
    shared: dict[str, int] = {}
    elsewhere: set[str] = set()
    for other in layout.places(place.root):
        if other.folder != place.folder and (both := mine & projects.keys(other)):
            shared[other.name] = len(both)
            elsewhere |= both
    return Weight(
        answers=one.answers,
        usd=one.usd,
        unpriced=one.unpriced,
        elsewhere=len(elsewhere),
        others=tuple(sorted(shared, key=lambda name: -shared[name])),
        last_written=one.last_written,
    )


def clear(what: str | Iterable[str], cache_dir: Path, *, to_trash: bool = False) -> ClearReport:
    """Remove the answers of projects.

    Args:
        what: A project's name, several names, or the word ``"full"`` for all. A project that is
            itself called full is cleared by ``["full"]``.
        cache_dir: Folder of all projects.
        to_trash: Keep them in the trash folder, so that `undo` can bring them back.

    Raises:
        StoreError: If a project cannot be removed.
    """
    wanted, unknown = _wanted(what, cache_dir)
    hits.save()  # so that what was counted goes along, and can come back
    gone: set[str] = set()
    removed: dict[str, int] = {}
    tokens: list[str] = []
    for place in wanted:
        keys = projects.keys(place)
        with locked(place.lock):
            databases.forget(place.folder)
            if to_trash:
                tokens.append(_to_trash(place))
            else:
                _remove(place.folder)
        gone |= keys
        removed[place.name] = len(keys)
    others: set[str] = set()
    if gone:
        for place in layout.places(cache_dir):
            others |= projects.keys(place)
    return ClearReport(
        removed=removed,
        unknown=tuple(unknown),
        elsewhere=len(gone & others),
        tokens=tuple(tokens),
    )


def _wanted(what: str | Iterable[str], cache_dir: Path) -> tuple[list[Place], list[str]]:
    if what == "full":
        return layout.places(cache_dir), []
    wanted: dict[str, Place] = {}
    unknown = []
    for name in [what] if isinstance(what, str) else what:
        place = projects.find(name, cache_dir)
        if place is None:
            unknown.append(name)
        else:
            wanted[names.normal(name)] = place
    return list(wanted.values()), unknown


def _remove(folder: Path) -> None:
    """Delete llmnb's own files of a folder, and the folder when nothing else is in it."""
    try:
        for name in layout.OWN_FILES:
            path = folder / name
            if path.is_symlink() or path.is_file():
                path.unlink()  # a link itself, never what it points to
    except OSError as error:
        raise StoreError(f"{folder} cannot be cleared: {error}") from None
    with suppress(OSError):  # a stranger's file keeps it
        folder.rmdir()


def _to_trash(place: Place) -> str:
    token = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.urandom(3).hex()}-{place.folder.name}"
    target = place.root / layout.TRASH / token
    try:
        files.make_folder(target.parent)
        files.make_folder(target, must_be_new=True)
        for name in layout.OWN_FILES:
            path = place.folder / name
            if path.is_symlink():
                path.unlink()
            elif path.is_file():
                files.move(path, target / name)
    except OSError as error:
        raise StoreError(f"Project {place.name!r} cannot be cleared: {error}") from None
    with suppress(OSError):
        place.folder.rmdir()
    return token


def undo(token: str, cache_dir: Path) -> int:
    """Bring a project back from the trash; returns how many answers came back.

    Where a project of that name has been made anew, the answers are added to
    it; an answer that both have stays as the newer project has it.

    Raises:
        StoreError: If nothing of that token lies in the trash.
    """
    folder = cache_dir / layout.TRASH / Path(token).name
    known = layout.read_mark(folder)
    if known is None:
        raise StoreError(f"There is nothing to undo under {token!r}.")
    place = layout.place_of(cache_dir, known["name"])
    with locked(place.lock):
        source = Database(folder)
        try:
            count = _bring_back(source, databases.open(place))
        finally:
            source.close()
    hits.add(place.folder, hits.stored(folder))
    _remove(folder)
    return count


_AT_ONCE = 500


def _bring_back(source: Database, target: Database) -> int:
    """Copy what the target lacks, some hundred answers in one commit; returns how many."""
    there = set(target.keys())
    items = ((key, data) for key, data in source.items() if key not in there)
    count = 0
    while some := list(islice(items, _AT_ONCE)):
        target.put_many(some)
        count += len(some)
    return count


def forget(place: Place, key: str) -> bool:
    """Delete one answer for good; returns whether there was one.

    Raises:
        StoreError: If it cannot be deleted.
    """
    with locked(place.lock):
        if not (place.folder / FILE_NAME).exists():
            return False
        return databases.open(place).delete_many([key]) > 0


def discard(token: str, cache_dir: Path) -> None:
    """Delete one project that lies in the trash, for good; nothing where it does not.

    Raises:
        StoreError: If it cannot be deleted.
    """
    folder = cache_dir / layout.TRASH / Path(token).name
    if layout.read_mark(folder) is not None:
        _remove(folder)


def trashed(cache_dir: Path) -> list[tuple[str, str]]:
    """Return token and name of what lies in the trash, the newest first."""
    try:
        folders = sorted((cache_dir / layout.TRASH).iterdir(), reverse=True)
    except OSError:
        return []
    return [
        (folder.name, known["name"])
        for folder in folders
        if (known := layout.read_mark(folder)) is not None
    ]


def empty_trash(cache_dir: Path) -> int:
    """Delete what lies in the trash; returns how many projects."""
    found = trashed(cache_dir)
    for token, _ in found:
        _remove(cache_dir / layout.TRASH / token)
    return len(found)
