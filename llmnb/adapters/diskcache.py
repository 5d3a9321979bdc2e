"""One project's database on diskcache, locked down: text keys, bytes values, nothing else.

diskcache would drop rows above 1 GiB, keep large values in unsynced side
files, and unpickle what it reads. None of that happens here: nothing is
evicted, values stay inside the database, every commit is synced, pickle is
refused on read.

diskcache makes the file, keeps its schema and deletes from it. What happens
for every row goes through two connections of our own to the same file: one
query for 256 keys costs a fifth of 256 look-ups, and one statement for a
group of answers a third of as many `set` calls. The connection that reads is
all that a neighbour's database takes; the other two come with the first write.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import diskcache
import orjson

from llmnb.adapters import files
from llmnb.errors import StoreError

FILE_NAME = "cache.db"
_QUERY_KEYS = 500
"""Keys in one query, and answers in one commit where there are many to copy."""

_RAW = 1
_OURS = "raw = 1 AND mode = 1 AND typeof(value) = 'blob' AND typeof(key) = 'text'"
"""What holds of the rows that llmnb has written."""

_PUT = """
INSERT INTO Cache (key, raw, store_time, expire_time, access_time, access_count, tag, size, mode,
                   filename, value)
SELECT json_extract(value, '$[0]'), 1, :now, NULL, :now, 0, NULL, json_extract(value, '$[2]'), 1,
       NULL, substr(:values, json_extract(value, '$[1]'), json_extract(value, '$[2]'))
FROM json_each(:index) WHERE true
ON CONFLICT (key, raw) DO UPDATE SET store_time = excluded.store_time,
    access_time = excluded.access_time, size = excluded.size, mode = 1, filename = NULL,
    value = excluded.value
"""
"""Saves a group, passed as a single blob and a list of ``[key, start, length]``, in the form of
diskcache's inline values. Its placeholders have names because Python 3.14 refuses numbers
(``?1``) with a tuple.

Python's lock is given up once a statement, and the writing thread has to win it back from a busy
loop each time: one statement for a group, and a commit of its own, costs one turn.
"""

_PUT_BYTES = 16 * 2**20
"""Most bytes in one statement; a larger group takes several, in one transaction."""

_HEADER = b"SQLite format 3\x00"
_SETTINGS = {
    "eviction_policy": "none",
    "cull_limit": 0,
    "size_limit": 2**62,
    "disk_min_file_size": 2**62,
    "disk_pickle_protocol": 0,
    "statistics": 0,
    "tag_index": 0,
    "sqlite_synchronous": 2,  # FULL: what is acknowledged is on the disk
    "sqlite_journal_mode": "wal",
    "sqlite_mmap_size": 0,
    "sqlite_cache_size": 256,  # pages of 4 KiB
    "sqlite_auto_vacuum": 0,
}

_DRAFT = ".making-"
_DRAFT_SECONDS = 3600.0
"""Seconds after which a draft was left behind by a killed process."""

_LEAST_ROW_BYTES = 64
"""An answer takes more, its key alone 40."""

SQLITE_VERSION = sqlite3.sqlite_version


_LAST = 2**63 - 1
"""The greatest number that a row can have."""


class Extent(NamedTuple):
    """How far a database reaches: by this rows that were only added are told from other changes."""

    last: int
    """Number of the row added last."""

    rows: int
    size: int
    """Bytes of all values."""


class _BytesDisk(diskcache.Disk):  # type: ignore[misc]
    """Stores text keys and bytes values inline; refuses to read anything else."""

    def put(self, key: Any) -> tuple[str, bool]:
        if type(key) is not str:
            raise TypeError(f"keys are text, not {type(key).__name__}")
        return key, True

    def get(self, key: Any, raw: Any) -> str:
        if not raw or type(key) is not str:
            raise StoreError("A key of the store is not text; it is not read.")
        return key

    def store(
        self, value: Any, read: bool, key: Any = diskcache.UNKNOWN
    ) -> tuple[int, int, None, bytes]:
        if type(value) is not bytes:
            raise TypeError(f"values are bytes, not {type(value).__name__}")
        return len(value), _RAW, None, value

    def fetch(self, mode: Any, filename: Any, value: Any, read: bool) -> bytes:
        if mode != _RAW or filename is not None or type(value) is not bytes:
            raise StoreError("A value of the store is not plain bytes; it is not read.")
        return value


class Database:
    """The answers of one project, as bytes by key.

    Where there is none, one is made elsewhere and moved into place whole: a
    process killed in the middle leaves no half of one that could be opened.
    Whoever may make it holds the project's lock.

    Args:
        folder: The project's folder; made with its parents where it is missing.
        may_make: Whether a database is made where there is none.

    Raises:
        StoreError: If it cannot be opened for writing, or there is none and none may be made.
        Damaged: If the file is no database of ours.
    """

    def __init__(self, folder: Path, *, may_make: bool = True) -> None:
        self.folder = folder
        self.path = folder / FILE_NAME
        self._lock = threading.Lock()
        self._pid = 0
        """The process that opened it; a child that was forked leaves it alone."""
        self._is_closed = False
        self._writing: tuple[sqlite3.Connection, Any] | None = None
        with _faults(self.path):
            if not _is_missing(self.path):
                _make_private(folder, self.path)
                _check(self.path)
            elif may_make:
                _make_private(folder, self.path)
                _make(self.path)
            else:
                raise StoreError(f"{self.path} is gone.")
            self._reader = self._connect("query_only=1", "cache_size=-1024")
            self._identity = _identity(self.path)
        self._pid = os.getpid()
        if may_make:
            self.begin_writing()

    def begin_writing(self) -> tuple[sqlite3.Connection, Any]:
        """Return the connection that saves and diskcache's own, opened at the first call.

        Raises:
            StoreError: If it cannot be opened for writing.
            Damaged: If the file is no database of ours.
        """
        if self._writing is None:
            with _faults(self.path):
                cache = _cache(self.folder)
                saving = self._connect(
                    "synchronous=FULL", "cache_size=-2048", "wal_autocheckpoint=4000"
                )
            self._writing = saving, cache
        return self._writing

    def _connect(self, *pragmas: str) -> sqlite3.Connection:
        # Never made here: a file that was moved away meanwhile would come back empty.
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=60,
            check_same_thread=False,
            isolation_level=None,
        )
        for pragma in ("mmap_size=0", *pragmas):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    @property
    def is_current(self) -> bool:
        """Whether it is open, and its file still the one at its place: it was not cleared."""
        try:
            return not self._is_closed and _identity(self.path) == self._identity
        except OSError:
            return False

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Return the values of those keys that are stored."""
        return dict(self._chosen("key, value", "key", keys))

    def put_many(self, items: Iterable[tuple[str, bytes]]) -> None:
        """Save all of them in one synced commit, or none.

        Raises:
            StoreError: If they cannot be saved.
        """
        now, (writer, _) = time.time(), self.begin_writing()
        groups = [{"now": now, "values": blob, "index": index} for blob, index in _blobs_of(items)]
        try:
            if len(groups) == 1:
                writer.execute(_PUT, groups[0])  # outside a transaction it is one
                return
            with writer:  # commits, or rolls back
                writer.execute("BEGIN IMMEDIATE")
                for group in groups:
                    writer.execute(_PUT, group)
        except (sqlite3.Error, OSError) as error:
            raise _saving_error(self.folder, error) from None

    def put_all(self, items: Iterable[tuple[str, bytes]]) -> int:
        """Save any number of values, some hundred in one commit; return how many there were.

        Raises:
            StoreError: If they cannot be saved; those of earlier commits are.
        """
        left, count = iter(items), 0
        while group := list(itertools.islice(left, _QUERY_KEYS)):
            self.put_many(group)
            count += len(group)
        return count

    def delete(self, key: str) -> bool:
        """Remove a key; return whether it was there."""
        _, cache = self.begin_writing()
        return bool(cache.delete(key, retry=True))

    def extent(self) -> Extent:
        """Return how far the database reaches.

        Raises:
            StoreError: If it cannot be read, or was cleared meanwhile.
        """
        ((last, rows, size),) = self._rows(
            "SELECT coalesce((SELECT max(rowid) FROM Cache), 0), "
            "(SELECT value FROM Settings WHERE key = 'count'), "
            "(SELECT value FROM Settings WHERE key = 'size')"
        )
        return Extent(last, rows, size)

    def items(self, after: int = -1, until: int = _LAST) -> Iterator[tuple[str, bytes]]:
        """Yield every key and value that is ours, oldest first.

        Args:
            after: Only rows with a greater number than this.
            until: Only rows up to this number.

        Raises:
            StoreError: If it cannot be read, or was cleared meanwhile.
        """
        query = (
            f"SELECT rowid, key, value FROM Cache WHERE rowid > ? AND rowid <= ? AND {_OURS} "
            "ORDER BY rowid LIMIT 200"
        )
        while rows := self._rows(query, after, until):
            after = rows[-1][0]
            for _, key, value in rows:
                yield key, value

    def keys(self) -> list[str]:
        """Return every key that is ours, oldest first."""
        rows = self._rows(
            "SELECT key FROM Cache WHERE raw = 1 AND mode = 1 AND typeof(key) = 'text' "
            "ORDER BY rowid"
        )
        return [key for (key,) in rows]

    def numbers(self, until: Extent) -> Sequence[int]:
        """Return the numbers of all rows, in order; reads no value.

        Args:
            until: How far the database reaches.

        Raises:
            StoreError: If it cannot be read, or was cleared meanwhile.
        """
        if until.last == until.rows:  # none was ever removed
            return range(1, until.rows + 1)
        return sorted(number for (number,) in self._rows("SELECT rowid FROM Cache"))

    def numbered(self, numbers: Sequence[int]) -> dict[int, tuple[str, bytes]]:
        """Return the keys and values of rows that are ours, by their numbers.

        Raises:
            StoreError: If they cannot be read, or were cleared meanwhile.
        """
        return {
            number: (key, value)
            for number, key, value in self._chosen("rowid, key, value", "rowid", numbers)
        }

    def _chosen(
        self, columns: str, place: str, wanted: Sequence[str] | Sequence[int]
    ) -> Iterator[Any]:
        """Yield the rows that are ours and have one of the wanted values in a place."""
        for start in range(0, len(wanted), _QUERY_KEYS):
            some = wanted[start : start + _QUERY_KEYS]
            marks = ",".join("?" * len(some))
            yield from self._rows(
                f"SELECT {columns} FROM Cache WHERE {_OURS} AND {place} IN ({marks})", *some
            )

    def _rows(self, query: str, *values: Any) -> list[Any]:
        with self._lock:
            try:
                return self._reader.execute(query, values).fetchall()
            except sqlite3.Error as error:  # closed a moment ago by who clears it, or damaged
                raise StoreError(f"{self.path} cannot be read: {error}") from None

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            self._is_closed = True  # from now on another file may get this one's identity
            self._reader.close()
        if self._writing is not None:
            for connection in self._writing:
                connection.close()

    def __del__(self) -> None:
        if self._pid == os.getpid():
            self.close()


def _blobs_of(items: Iterable[tuple[str, bytes]]) -> Iterator[tuple[bytes, str]]:
    """Yield the values packed into few blobs, each with the JSON of keys, starts and lengths."""
    index: list[tuple[str, int, int]] = []
    values: list[bytes] = []
    size = 0
    for key, value in items:
        if size + len(value) > _PUT_BYTES and values:
            yield b"".join(values), orjson.dumps(index).decode()
            index, values, size = [], [], 0
        index.append((key, size + 1, len(value)))
        values.append(value)
        size += len(value)
    if values:
        yield b"".join(values), orjson.dumps(index).decode()


class Damaged(StoreError):
    """A file at the path of a project's database that is none, or is damaged."""


def salvage(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield what can still be read of a damaged database; the file is not changed."""
    try:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)
    except sqlite3.Error:
        return
    try:
        (last,) = connection.execute("SELECT MAX(rowid) FROM Cache").fetchone()
        most = path.stat().st_size // _LEAST_ROW_BYTES  # a damaged number may be without end
        for number in range(1, min(last or 0, most) + 1):
            try:
                row = connection.execute(
                    f"SELECT key, value FROM Cache WHERE rowid = ? AND {_OURS}", (number,)
                ).fetchone()
            except sqlite3.Error:
                continue  # this page is lost; the next may not be
            if row is not None:
                yield row
    except sqlite3.Error:
        return
    finally:
        connection.close()


def _cache(folder: Path) -> Any:
    return diskcache.Cache(str(folder), timeout=60, disk=_BytesDisk, **_SETTINGS)


def _make_private(folder: Path, path: Path) -> None:
    """Make folder 0700 and file 0600; the database's own side files take after it."""
    files.make_folder(folder)
    if folder.is_symlink() or path.is_symlink():
        raise StoreError(f"{folder} is, or holds, a link; answers are kept in real folders only.")
    os.chmod(folder, 0o700)
    if path.exists():
        os.chmod(path, 0o600)


def _is_missing(path: Path) -> bool:
    """Return whether there is no database yet. Raises `Damaged` where only a journal is left."""
    if path.exists() and path.stat().st_size:
        return False
    for kind in ("wal", "journal"):
        journal = path.with_name(f"{path.name}-{kind}")
        if journal.exists() and journal.stat().st_size:
            raise Damaged(f"{path} is gone or empty, and its journal is not.")
    return True


def _make(path: Path) -> None:
    """Make an empty database beside the folder, whole and synced, and move it into place.

    SQLite makes a database in several commits: a process that is killed among them would leave half
    a schema, or a journal without write permission.
    """
    root = path.parent.parent
    with files.scratch_folder(root, prefix=_DRAFT, stale_seconds=_DRAFT_SECONDS) as draft:
        made = draft / FILE_NAME
        files.create(made, is_private=True).close()  # an empty file is an empty database
        _cache(draft).close()  # the last connection to close leaves one file, without journals
        for kind in ("wal", "journal", "shm"):  # they would be taken for the new file's own
            path.with_name(f"{path.name}-{kind}").unlink(missing_ok=True)
        files.replace_file(made, path)


def _check(path: Path) -> None:
    """Refuse a file that is no database of ours before anything could change it."""
    with path.open("rb") as file:
        if file.read(len(_HEADER)) != _HEADER:
            raise Damaged(f"{path} is no database.")
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if not {"Settings", "Cache"} <= tables:
            raise Damaged(f"{path} is a database, but not one of llmnb's.")
        connection.execute("SELECT key, mode, filename FROM Cache LIMIT 1").fetchall()
    finally:
        connection.close()


def _identity(path: Path) -> tuple[int, int]:
    state = os.stat(path, follow_symlinks=False)
    if not stat.S_ISREG(state.st_mode):
        raise OSError(f"{path} is no file")
    return state.st_dev, state.st_ino


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    """Turn errors of opening a database into `StoreError` and `Damaged`."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise _saving_error(path.parent, error) from None
        raise Damaged(f"{path} is damaged: {error}") from None
    except OSError as error:
        raise _saving_error(path.parent, error) from None


def _saving_error(folder: Path, error: Exception) -> StoreError:
    return StoreError(
        f"Answers cannot be saved in {folder}: {error}. Nothing more is asked; what was "
        "answered stays in memory. Make room or choose another folder with "
        "llmnb.configure(cache_dir=…), then run again."
    )
