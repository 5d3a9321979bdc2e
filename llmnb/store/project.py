"""One project's answers: looked up in its own database, then in its neighbours'.

A hit in another project of the same cache folder is copied, so that clearing
that project takes nothing away from this one.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from llmnb import settings
from llmnb.adapters import files
from llmnb.adapters.diskcache import FILE_NAME, Damaged, Database, salvage
from llmnb.adapters.file_lock import locked
from llmnb.errors import StoreError
from llmnb.store import claims, layout, usage
from llmnb.store.entry import Entry, RenamedKey, decode, encode
from llmnb.store.layout import ProjectPaths
from llmnb.store.writer import Job, writer
from llmnb.user_code import warn

logger = logging.getLogger("llmnb")


class Index(Protocol):
    """What is written down of a run, as the store sees it."""

    def write(self) -> None:
        """Write what waits; called with the project's lock held."""


Share = bool | list[str]
"""Whose answers may be reused: all projects', none, or those of the projects named."""

MOST_OPEN = 64
"""Databases kept open: each takes three files of the 1,024 that many systems let a process have,
and seven once it was written to."""

_NEIGHBOURS_SECONDS = 2.0
"""How long the list of other projects is believed."""


def open_project(
    name: str | None, cache_dir: str | Path | None = None, *, share: Share = True
) -> ProjectStore:
    """Return the store of a project; nothing is made until an answer is saved, or a run begins.

    Args:
        name: Any text; None: `LLMNB_PROJECT`, else ``default``.
        cache_dir: Folder of all projects; None: `LLMNB_CACHE_DIR`, else ``.cache/llmnb``.
        share: Whose answers may be reused.

    Raises:
        InvalidProjectName: If it cannot be a name.
    """
    root, name = settings.cache_dir(cache_dir), settings.project_name(name)
    return ProjectStore(layout.paths_of(root, name), share)


class ProjectStore:
    """The answers of one project, as a run wants them.

    Args:
        paths: Where it is kept.
        share: Whose answers may be reused.
    """

    def __init__(self, paths: ProjectPaths, share: Share = True) -> None:
        self.paths = paths
        self.name = paths.name
        self.folder = paths.folder
        self.claims = claims.of(paths)
        self.share = share
        self._neighbours: tuple[float, list[ProjectPaths]] = (0.0, [])
        self.index: Index | None = None
        """What is written down of the run that uses this; None: nothing."""

        self.enough = 64
        self._is_lookup_broken = False
        self._root_is_made = False

    # --------------------------------------------------------------------- reading

    def lookup(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Return the entries of those keys that are answered, here or in a neighbour.

        Args:
            keys: Keys, in any order, repeated or not.
        """
        entries, renamed = self._find(keys)
        if entries:
            usage.count_hits(self.folder, entries.values())
        for key, entry in entries.items():
            if entry.reused_from is not None or key in renamed:
                writer().put(Job(self, entry, is_bought=False))
        return entries

    def peek(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Return what `lookup` would, for a plan: nothing is counted as used or copied.

        Args:
            keys: Keys, in any order, repeated or not.
        """
        return self._find(keys)[0]

    def _find(self, keys: Sequence[str]) -> tuple[dict[str, Entry], set[str]]:
        """Return what is answered, and which of it an older release has kept under another key."""
        entries = self._read_all(keys)
        if RenamedKey not in map(type, keys):  # nearly always
            return entries, set()
        missing = [key for key in keys if isinstance(key, RenamedKey) and key not in entries]
        before = self._read_all([key.older for key in missing]) if missing else {}
        renamed = {
            str(key): dataclasses.replace(entry, key=str(key))
            for key in missing
            if (entry := before.get(key.older)) is not None
        }
        return entries | renamed, set(renamed)

    def _read_all(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Return the entries of those very keys, here or in a neighbour."""
        entries = self._read(self.paths, keys, None)
        missing = [key for key in dict.fromkeys(keys) if key not in entries]
        if missing and self.share:
            for paths in self._others():
                entries |= self._read(paths, missing, paths.name)
                missing = [key for key in missing if key not in entries]
                if not missing:
                    break
        return entries

    def _read(
        self, paths: ProjectPaths, keys: Sequence[str], owner: str | None
    ) -> dict[str, Entry]:
        """Return the entries of those keys in one project; `owner` names it if not the own one."""
        database = databases.existing(paths)
        if database is None:
            return {}
        try:
            rows = database.get_many(keys)
        except StoreError as error:
            self._warn(f"Answers of project {paths.name!r} cannot be read: {error}")
            return {}
        entries = {}
        for key, data in rows.items():
            entry = decode(data, key, owner)
            if entry is not None:
                entries[key] = entry
            else:
                self._warn(
                    f"Project {paths.name!r} holds an entry that llmnb did not write; "
                    "it is not used."
                )
        return entries

    def _others(self) -> list[ProjectPaths]:
        now = time.monotonic()
        read_at, others = self._neighbours
        if now - read_at > _NEIGHBOURS_SECONDS or not read_at:
            shared = None if self.share is True else set(map(layout.normal_name, self.share or ()))
            others = [
                paths
                for paths in layout.stored_projects(self.paths.root)
                if paths.folder != self.folder
                and (shared is None or layout.normal_name(paths.name) in shared)
            ]
            self._neighbours = (now, others)
        return others

    def _warn(self, message: str) -> None:
        if not self._is_lookup_broken:
            self._is_lookup_broken = True
            logger.warning(message)

    # --------------------------------------------------------------------- writing

    async def aput(self, entry: Entry) -> None:
        """Save an entry; returns once it is on disk.

        Raises:
            StoreError: If it cannot be saved.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        writer().put(Job(self, entry, future=future))
        # A caller that is cancelled here leaves; the job stays, so what was paid for is saved.
        await future

    def put(self, entry: Entry) -> None:
        """Save an entry soon; `flush` waits for it."""
        writer().put(Job(self, entry))

    def write_index_soon(self) -> None:
        """Have the writer write what waits in the index."""
        writer().put(Job(self, None))

    def commit(self, entries: Sequence[Entry], *, is_bought: bool = True) -> None:
        """Save entries in one commit, and what waits in the index; called by the writer.

        Raises:
            StoreError: If they cannot be saved.
        """
        with self._locked():
            with self.claims.committing():
                database = databases.open(self.paths)
                database.put_many((entry.key, encode(entry)) for entry in entries)
            if self.index is not None:
                self.index.write()
        if is_bought:
            try:
                usage.log_spending(self.paths.spend, entries)
            except OSError as error:
                logger.warning("The spend log cannot be written: %s", error)

    def write_index(self) -> None:
        """Write what waits in the index; called by the writer.

        Raises:
            StoreError: If the project cannot be locked.
        """
        if self.index is not None:
            with self._locked():
                self.index.write()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the project's lock, in a cache folder that is made if it is missing."""
        if not self._root_is_made or not self.paths.lock.exists():
            self._make_root()
        with locked(self.paths.lock):
            yield

    def _make_root(self) -> None:
        try:
            layout.make_root(self.paths.root)
        except OSError as error:
            raise StoreError(
                f"The cache folder {self.paths.root} cannot be made: {error}. Nothing more is "
                "asked; choose another with llmnb.configure(cache_dir=…) or "
                "LLMNB_CACHE_DIR."
            ) from None
        self._root_is_made = True

    def flush(self, timeout: float = 30.0) -> bool:
        """Wait until everything put so far is saved."""
        return writer().flush(timeout)


class Databases:
    """The open databases of this process, one for each project's folder.

    Only the latest used are kept open, for each takes three of the files that a
    process may have open, and seven once it was written to. One that is left out
    is closed when its present user lets go of it.

    Args:
        most: Databases kept open.
    """

    def __init__(self, most: int = MOST_OPEN) -> None:
        self.most = most
        self._lock = threading.RLock()
        self._open: dict[Path, Database] = {}
        self._left: list[Database] = []

    def existing(self, paths: ProjectPaths) -> Database | None:
        """Return a project's database if it has one that can be read."""
        try:
            with self._lock:
                database = self._current(paths)
                if database is not None:
                    return database
                if not (paths.folder / FILE_NAME).exists():
                    return None
                with suppress(Damaged):
                    return self._keep(paths, Database(paths.folder, may_make=False))
            # Two processes must not mend it at once. The lock is taken before ours, as everywhere.
            with locked(paths.lock):
                return self.open(paths)
        except StoreError as error:
            logger.warning("%s", error)
            return None

    def open(self, paths: ProjectPaths) -> Database:
        """Return a project's database, made if it is missing and mended if it is damaged.

        The caller holds the project's lock.

        Raises:
            StoreError: If there can be none.
        """
        with self._lock:
            database = self._current(paths)
            try:
                if database is not None:
                    database.begin_writing()
                else:
                    database = Database(paths.folder)
            except Damaged as error:
                self.forget(paths.folder)
                database = _mend(paths, error)
            # Whoever only reads writes no mark: the project may be on its way into the trash.
            try:
                layout.write_mark(paths)
            except OSError as error:
                self._open.pop(paths.folder, None)
                database.close()
                raise StoreError(f"Project {paths.name!r} cannot be marked: {error}") from None
            return self._keep(paths, database)

    def _keep(self, paths: ProjectPaths, database: Database) -> Database:
        self._open[paths.folder] = database
        while len(self._open) > self.most:
            del self._open[next(iter(self._open))]
        return database

    def _current(self, paths: ProjectPaths) -> Database | None:
        database = self._open.pop(paths.folder, None)
        if database is not None:
            if database.is_current:
                self._open[paths.folder] = database  # the latest used stands last
                return database
            database.close()
        return None

    def forget(self, folder: Path) -> None:
        """Close a project's database, because its folder is about to go."""
        with self._lock:
            database = self._open.pop(folder, None)
            if database is not None:
                database.close()

    def after_fork(self) -> None:
        """Start empty in a child; the parent's connections are neither used nor closed."""
        self._left.extend(self._open.values())
        self._lock = threading.RLock()
        self._open = {}


databases = Databases()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=databases.after_fork)


def _mend(paths: ProjectPaths, error: Damaged) -> Database:
    """Set a damaged file aside untouched and save what can be read of it anew."""
    aside = _set_aside(paths.folder)
    database = Database(paths.folder)
    count = database.put_all(item for item in salvage(aside) if decode(item[1], item[0]))
    warn(f"{error} It is set aside as {aside.name}; {count:,} answers were read and kept.")
    return database


def _set_aside(folder: Path) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    number = 0
    while (aside := folder / f"{FILE_NAME}.damaged-{stamp}-{number}").exists():
        number += 1
    for suffix in ("", "-wal", "-shm"):
        path = folder / f"{FILE_NAME}{suffix}"
        if path.exists():
            files.move(path, folder / f"{aside.name}{suffix}")
    return aside
