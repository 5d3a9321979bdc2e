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
import warnings
from collections.abc import Sequence
from pathlib import Path

from llmnb import settings
from llmnb.adapters import files
from llmnb.adapters.diskcache import FILE_NAME, Damaged, Database, salvage
from llmnb.adapters.file_lock import locked
from llmnb.errors import StoreError
from llmnb.store import claims, hits, layout, names, spend
from llmnb.store.entry import Entry, decode, encode
from llmnb.store.keys import RenamedKey
from llmnb.store.layout import Place
from llmnb.store.writer import Job, writer

logger = logging.getLogger("llmnb")

Share = bool | Sequence[str]
"""Whose answers may be reused: everybody's, nobody's, or those of the projects named."""

MOST_OPEN = 64
"""Databases kept open: each takes three files of the 1,024 that many systems let a process have,
and seven once it was written to."""

_NEIGHBOURS_SECONDS = 2.0
"""How long the list of other projects is believed."""


def open_project(
    name: str | None, cache_dir: str | Path | None = None, *, share: Share = True
) -> ProjectStore:
    """Return the store of a project; nothing is made until an answer is saved.

    Args:
        name: Any text; None: `LLMNB_PROJECT`, else ``default``.
        cache_dir: Folder of all projects; None: `LLMNB_CACHE_DIR`, else ``.cache/llmnb``.
        share: Whose answers may be reused.

    Raises:
        InvalidProjectName: If it cannot be a name.
    """
    place = layout.place_of(settings.cache_dir(cache_dir), settings.project_name(name))
    return ProjectStore(place, share)


class ProjectStore:
    """The answers of one project, as a run wants them.

    Args:
        place: Where it is kept.
        share: Whose answers may be reused.
    """

    def __init__(self, place: Place, share: Share = True) -> None:
        self.place = place
        self.claims = claims.of(place)
        self._share = share
        self._neighbours: tuple[float, list[Place]] = (0.0, [])
        self._unsaved: list[Entry] = []
        self.enough = 64
        self._is_lookup_broken = False
        self._root_is_made = False

    @property
    def name(self) -> str:
        """Name of the project, as it was first spelled."""
        return self.place.name

    @property
    def folder(self) -> Path:
        """Where its answers lie."""
        return self.place.folder

    # --------------------------------------------------------------------- reading

    def lookup(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Return the entries of those keys that are answered, here or in a neighbour.

        Args:
            keys: Keys, in any order, repeated or not.
        """
        found, renamed = self._found(keys)
        if found:
            hits.note(self.folder, found.values())
        for key, entry in found.items():
            if entry.reused_from is not None or key in renamed:
                writer().put(Job(self, entry, is_bought=False))
        return found

    def peek(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Return what `lookup` would, for a plan: nothing is counted as used or copied.

        Args:
            keys: Keys, in any order, repeated or not.
        """
        return self._found(keys)[0]

    def _found(self, keys: Sequence[str]) -> tuple[dict[str, Entry], set[str]]:
        """Return what is answered, and which of it an older release has kept under another key."""
        found = self._kept(keys)
        older = {key: key.older for key in keys if isinstance(key, RenamedKey) and key not in found}
        if not older:
            return found, set()
        before = self._kept(list(older.values()))
        renamed = {
            str(key): dataclasses.replace(entry, key=str(key))
            for key, name in older.items()
            if (entry := before.get(name)) is not None
        }
        found.update(renamed)
        return found, set(renamed)

    def _kept(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Return the entries of those very keys, here or in a neighbour."""
        found: dict[str, Entry] = {}
        own = databases.existing(self.place)
        if own is not None:
            self._read(own, keys, found, None)
        missing = [key for key in dict.fromkeys(keys) if key not in found]
        if missing and self._share:
            self._borrow(missing, found)
        return found

    def _read(
        self, database: Database, keys: Sequence[str], found: dict[str, Entry], owner: str | None
    ) -> None:
        try:
            rows = database.get_many(keys)
        except StoreError as error:
            self._warn(f"Answers of project {owner or self.name!r} cannot be read: {error}")
            return
        for key, data in rows.items():
            entry = decode(data, key, owner)
            if entry is not None:
                found[key] = entry
            else:
                self._warn(
                    f"Project {owner or self.name!r} holds an entry that llmnb did not write; "
                    "it is not used."
                )

    def _borrow(self, missing: list[str], found: dict[str, Entry]) -> None:
        for place in self._others():
            database = databases.existing(place)
            if database is None:
                continue
            borrowed: dict[str, Entry] = {}
            self._read(database, missing, borrowed, place.name)
            found.update(borrowed)
            missing = [key for key in missing if key not in borrowed]
            if not missing:
                return

    def _others(self) -> list[Place]:
        now = time.monotonic()
        read, places = self._neighbours
        if now - read > _NEIGHBOURS_SECONDS or not read:
            places = [
                place
                for place in layout.places(self.place.root)
                if place.folder != self.place.folder and self._may_use(place)
            ]
            self._neighbours = (now, places)
        return places

    def _may_use(self, place: Place) -> bool:
        if isinstance(self._share, bool):
            return self._share
        return names.normal(place.name) in {names.normal(name) for name in self._share}

    def _warn(self, words: str) -> None:
        if not self._is_lookup_broken:
            self._is_lookup_broken = True
            logger.warning(words)

    # --------------------------------------------------------------------- writing

    async def aput(self, entry: Entry) -> None:
        """Save an entry; returns once it is on disk.

        Raises:
            StoreError: If it cannot be saved; it is kept in memory for `retry_unsaved`.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        writer().put(Job(self, entry, loop=loop, future=future))
        # A caller that is cancelled here leaves; the job stays, so what was paid for is saved.
        await future

    def put(self, entry: Entry) -> None:
        """Save an entry soon; `flush` waits for it."""
        writer().put(Job(self, entry))

    def commit(self, entries: Sequence[Entry], *, is_bought: bool = True) -> None:
        """Save entries in one commit; called by the writer."""
        try:
            self._commit(entries, is_bought)
        except StoreError:
            if is_bought:
                self._unsaved.extend(entries)
            raise

    def _commit(self, entries: Sequence[Entry], is_bought: bool) -> None:
        if not self._root_is_made or not self.place.lock.exists():
            self._make_root()
        with locked(self.place.lock), self.claims.committing():
            database = databases.open(self.place)
            database.put_many((entry.key, encode(entry)) for entry in entries)
        if is_bought:
            try:
                spend.append(self.place.spend, entries)
            except OSError as error:
                logger.warning("The spend log cannot be written: %s", error)

    def _make_root(self) -> None:
        try:
            layout.make_root(self.place.root)
        except OSError as error:
            raise StoreError(
                f"The cache folder {self.place.root} cannot be made: {error}. Nothing more is "
                "bought; choose another with llmnb.configure(cache_dir=…) or "
                "LLMNB_CACHE_DIR."
            ) from None
        self._root_is_made = True

    @property
    def unsaved(self) -> int:
        """Answers that could not be saved and are kept in memory."""
        return len(self._unsaved)

    def retry_unsaved(self) -> int:
        """Try again to save what could not be saved; returns how many answers were.

        Raises:
            StoreError: If it still cannot be.
        """
        entries, self._unsaved = self._unsaved, []
        if entries:
            self.commit(entries)
        return len(entries)

    def flush(self, timeout: float = 30.0) -> bool:
        """Wait until everything put so far is saved."""
        return writer().flush(timeout)


class Databases:
    """The open databases of this process, one for each project's folder.

    Only the latest used are kept open, for each takes three of the files that a
    process may have open, and seven once it was written to. One that is left out
    is closed when whoever is using it at that moment lets go of it.

    Args:
        most: Databases kept open.
    """

    def __init__(self, most: int = MOST_OPEN) -> None:
        self.most = most
        self._lock = threading.RLock()
        self._open: dict[Path, Database] = {}
        self._left: list[Database] = []

    def existing(self, place: Place) -> Database | None:
        """Return a project's database if it has one that can be read."""
        with self._lock:
            known = self._current(place)
            if known is not None:
                return known
            if not (place.folder / FILE_NAME).exists():
                return None
            try:
                return self._opened(place, Database(place.folder, may_make=False))
            except Damaged:
                pass
            except StoreError as error:
                logger.warning("%s", error)
                return None
        try:
            # Two processes must not mend it at once. The lock is taken before ours, as everywhere.
            with locked(place.lock):
                return self.open(place)
        except StoreError as error:
            logger.warning("%s", error)
            return None

    def open(self, place: Place) -> Database:
        """Return a project's database, made if it is missing and mended if it is damaged.

        Whoever calls this holds the project's lock.

        Raises:
            StoreError: If there can be none.
        """
        with self._lock:
            known = self._current(place)
            try:
                if known is not None:
                    known.begin_writing()
                    return known
                database = Database(place.folder)
            except Damaged as error:
                self.forget(place.folder)
                database = self._mended(place, error)
            return self._opened(place, database)

    def _opened(self, place: Place, database: Database) -> Database:
        try:
            layout.mark(place)
        except OSError as error:
            database.close()
            raise StoreError(f"Project {place.name!r} cannot be marked: {error}") from None
        self._open[place.folder] = database
        while len(self._open) > self.most:
            del self._open[next(iter(self._open))]
        return database

    def _current(self, place: Place) -> Database | None:
        known = self._open.pop(place.folder, None)
        if known is None:
            return None
        if not known.is_current:
            known.close()
            return None
        self._open[place.folder] = known  # the latest used stands last
        return known

    def _mended(self, place: Place, error: Damaged) -> Database:
        """Set a damaged file aside untouched and save what can be read of it anew."""
        aside = _set_aside(place.folder)
        database = Database(place.folder)
        kept = 0
        for key, data in salvage(aside):
            if decode(data, key) is not None:
                database.put_many([(key, data)])
                kept += 1
        warnings.warn(
            f"{error} It is set aside as {aside.name}; {kept:,} answers were read and kept.",
            stacklevel=2,
        )
        return database

    def forget(self, folder: Path) -> None:
        """Close a project's database, because its folder is about to go."""
        with self._lock:
            known = self._open.pop(folder, None)
            if known is not None:
                known.close()

    def after_fork(self) -> None:
        """Start empty in a child; the parent's connections are neither used nor closed."""
        self._left.extend(self._open.values())
        self._lock = threading.RLock()
        self._open = {}


databases = Databases()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=databases.after_fork)


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
