"""What lies where in a cache folder, and what carries llmnb's own mark.

::

    <cache_dir>/
        maths-1a2b3c4d5e6f/      a project: project.json (the mark), cache.db, hits.json
        .locks/                  one lock a project, and who is asking which of its rows
        .spend/                  one append-only log a project; clearing leaves it alone
        .trash/                  projects cleared a moment ago
"""

from __future__ import annotations

import functools
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from llmnb.adapters import files
from llmnb.store import names

MARK = "project.json"
HITS = "hits.json"
OWN_FILES = (MARK, HITS, "cache.db", "cache.db-wal", "cache.db-shm", "cache.db-journal")
LOCKS, SPEND, TRASH = ".locks", ".spend", ".trash"


@dataclass(frozen=True)
class Place:
    """Where one project is kept."""

    root: Path
    name: str
    """As it was first spelled."""

    @functools.cached_property
    def folder(self) -> Path:
        """The project's folder."""
        return self.root / names.folder(self.name)

    @functools.cached_property
    def lock(self) -> Path:
        """Its lock."""
        return self.root / LOCKS / f"{names.folder(self.name)}.lock"

    @functools.cached_property
    def claims(self) -> Path:
        """Which process is asking for which of its answers."""
        return self.root / LOCKS / f"{names.folder(self.name)}.claims"

    @functools.cached_property
    def spend(self) -> Path:
        """Its spend log."""
        return self.root / SPEND / f"{names.folder(self.name)}.jsonl"


def make_root(root: Path) -> None:
    """Make the cache folder and the folder of locks, for nobody else's eyes."""
    files.make_folder(root)
    for name in (LOCKS, SPEND):
        files.make_folder(root / name)


def mark(place: Place) -> None:
    """Write the project's mark, unless it is there."""
    path = place.folder / MARK
    if not path.exists():
        files.write_private(
            path, orjson.dumps({"llmnb": 1, "name": place.name, "created": time.time()})
        )


def read_mark(folder: Path) -> dict[str, Any] | None:
    """Return a folder's mark, None where it is not a project of llmnb's.

    Links are not followed.
    """
    path = folder / MARK
    if folder.is_symlink() or path.is_symlink():
        return None
    try:
        found = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    if (
        not isinstance(found, dict)
        or found.get("llmnb") != 1
        or not isinstance(found.get("name"), str)
    ):
        return None
    return found


def places(root: Path) -> list[Place]:
    """Return all projects of a cache folder, by name."""
    try:
        folders = [entry for entry in os.scandir(root) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    found = []
    for entry in folders:
        if entry.name.startswith("."):
            continue
        known = read_mark(Path(entry.path))
        # A mark that was copied into another folder marks nothing.
        if known is not None and names.folder(known["name"]) == entry.name:
            found.append(Place(root, known["name"]))
    return sorted(found, key=lambda place: names.normal(place.name))


def place_of(root: Path, name: str) -> Place:
    """Return where a project is kept, under the name it was first spelled with."""
    name = names.check(name)
    known = read_mark(root / names.folder(name))
    return Place(root, known["name"] if known is not None else name)
