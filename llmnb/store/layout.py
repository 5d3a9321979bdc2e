"""What lies where in a cache folder, and what carries llmnb's own mark.

::

    <cache_dir>/
        maths-1a2b3c4d5e6f/      a project: project.json (the mark), cache.db, hits.json
        .locks/                  one lock a project, and who is asking which of its rows
        .spend/                  one append-only log a project; clearing leaves it alone
        .trash/                  projects cleared a moment ago
"""

from __future__ import annotations

import errno
import functools
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

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
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in (LOCKS, SPEND):
        (root / name).mkdir(mode=0o700, exist_ok=True)


def mark(place: Place) -> None:
    """Write the project's mark, unless it is there."""
    path = place.folder / MARK
    if not path.exists():
        write_private(path, orjson.dumps({"llmnb": 1, "name": place.name, "created": time.time()}))


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


def write_private(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, readable by its owner only."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(draft, path)


def append_private(path: Path, data: bytes) -> None:
    """Append to a file, made for its owner only if it is missing, until everything is written.

    Raises:
        OSError: If not all of it can be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        write_all(descriptor, data)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of some bytes: the system may take fewer at a time, on a full disk for one.

    Raises:
        OSError: If it takes no more.
    """
    left = memoryview(data)
    while left:
        written = os.write(descriptor, left)
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left = left[written:]
