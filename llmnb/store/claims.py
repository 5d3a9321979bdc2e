"""Which process asks for which answer of a project, so that no two of them buy the same.

A claim is the operating system's lock on one byte of a file, far beyond its
end; the key says which byte. It ends with its process, however that ends.

A claim alone is not enough: another process may have asked, answered and let go
since the store was looked up. So the first file begins with a count of commits,
which every process raises before and after each of its own. Whoever has claimed
a key and finds the others' count changed since the look-up looks up again. An
odd count means that a commit is under way, or was when its process died.

The order is therefore: `look`, the look-up in the store, `take`, `has_changed`.

Where bytes cannot be locked (Windows, some network file systems) everything may
be taken, and two processes may buy the same answer.

A lock costs two calls of the system a row, and most projects are used by one
process at a time. That one locks no rows: it writes its claims into a table in
memory that all processes share (a biased lock, in the field's words). Two bytes
of the first file say who may do that:

- `_TABLE` is locked by the process whose claims stand in the table, from the first
  one until it closes the file. Nobody else ever writes there.
- `_SEVERAL` is locked by every process that locks rows, shared with all of its
  kind. Whoever wants to be the only process needs it alone for a moment: it takes
  the table, says so with a mark in the shared memory, and lets `_SEVERAL` go.

A newcomer that does not get the table locks `_SEVERAL` with the others, wipes the
mark away, waits for `_GRACE_SECONDS`, and only then reads the table, once: what
stands there is claimed for as long as it stands and `_TABLE` is locked. All else
is locked by row. The owner of the table *first* writes a claim and *then* reads
the mark; where that is gone it takes the claim back and locks rows from then on.

That no row is claimed twice: say that the owner claims a row in the table and a
newcomer locks it. The owner has read its mark after it wrote the row, and saw it;
so it wrote the row before the newcomer wiped the mark, or so shortly afterwards
that the wiping could not be seen yet. The newcomer reads the table `_GRACE_SECONDS`
after wiping, so it sees the row. (A processor may keep what it has written to
itself while it reads on, even on machines that order memory loosely, but for far
less than a microsecond, and not while the process stands still.) A process that
is stopped between any two steps only does the later one later.

That no wiping is lost: the mark is written only while `_SEVERAL` is held alone, so
by nobody while a newcomer is there, which shares it from before it wipes until it
leaves. Nobody waits for the dead: the system drops `_TABLE` with its owner, and
the next one empties the table. Nobody waits for the frozen either: a newcomer
needs no answer.

All this needs processes that share memory, that is one machine; so does the log
of the database that keeps the answers.
"""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

from llmnb.adapters import files
from llmnb.adapters.file_lock import try_lock_byte, unlock_byte
from llmnb.store import layout
from llmnb.store.layout import ProjectPaths

logger = logging.getLogger("llmnb")

FILES = 32
"""Files that the locks are spread over: the system walks through all of a file's to find one."""

_CELL_BYTES = 8
_PAGE_BYTES = 8 * files.SHARED_BLOCK
"""Of the first file, which are shared memory: the count of commits, the mark, the table."""

_COMMITS, _MARK = 0, 1
_SLOTS = [
    cell
    for cell in range(_PAGE_BYTES // _CELL_BYTES - 1, _MARK, -1)
    if (cell + 1) % (files.SHARED_BLOCK // _CELL_BYTES)
]
"""Cells of the table; those that may be set to zero by others are left out."""

_KEY_DIGITS = 15
"""Of a key's hexadecimal digits; 60 bits are a position that any file may have."""

_TABLE, _SEVERAL = 1 << 60, (1 << 60) + 1
"""Bytes of the first file, behind those of all keys."""

_GRACE_SECONDS = 0.001
_MOST_TRIES = 5
"""Attempts of a newcomer to share the lock, `_GRACE_SECONDS` apart, before its row must wait."""

_TURNS = 256
"""Claims after which a process that locks rows tries whether it is the only one by now."""


class _Commits:
    """The commits of all processes, counted in the first bytes of a file that they share."""

    def __init__(self, cells: memoryview) -> None:
        self.cells = cells
        self.own = 0

    def step(self) -> None:
        self.cells[_COMMITS] += 1
        self.own += 1


_NO_CELLS = memoryview(bytes(_CELL_BYTES)).cast("Q")
_EMPTY = memoryview(bytes(_PAGE_BYTES)).cast("Q")[_MARK + 1 :]


class Claims:
    """The claims of one project, as this process makes and sees them.

    `take` and `release` belong to one thread.

    Args:
        project: Where it is kept.
    """

    def __init__(self, project: ProjectPaths) -> None:
        self._project = project
        self._is_broken = False
        self._reset()

    def _reset(self) -> None:
        self._mutex = threading.Lock()
        self._files: list[int | None] = [None] * FILES
        self._claimed: dict[str, int] = {}
        """Keys that are claimed here: the byte that is locked or, below zero, the cell."""

        self._commits: _Commits | None = None
        self._users = 0
        self._forget()

    def _forget(self) -> None:
        """Forget whether this is the only process; the next claim decides it anew."""
        self._cells = _NO_CELLS
        self._is_only = False
        """Whether claims are written into the table."""

        self._has_table = False
        self._free: list[int] = []
        """Cells of the table that are free, if it is ours."""

        self._has_others = False
        self._turns = 0
        self._theirs: dict[int, int] = {}
        """Positions of keys that the owner of the table had claimed, and in which cells."""

    # ------------------------------------------------------------------- the commits

    def look(self) -> int:
        """Return the count of other processes' commits for `has_changed`; call before a look-up."""
        if self._commits is None or not (self._claimed or self._is_current()):
            with self._mutex, contextlib.suppress(OSError, ValueError):
                self._close()
                if os.path.exists(self._path(0)):
                    self._open(0)
        return self._elsewhere()

    def has_changed(self, seen: int) -> bool:
        """Return whether another process may have saved an answer since `look` returned `seen`."""
        now = self._elsewhere()
        return now != seen or now % 2 == 1

    def _elsewhere(self) -> int:
        """Return the commits of other processes, each counted twice."""
        commits = self._commits
        return 0 if commits is None else commits.cells[_COMMITS] - commits.own

    @contextlib.contextmanager
    def committing(self) -> Iterator[None]:
        """Tell other processes of a commit; the caller holds the project's lock."""
        self.enter()
        try:
            if self._commits is None:
                with self._mutex, contextlib.suppress(OSError, ValueError):
                    self._open(0)
            commits = self._commits
            if commits is not None:
                # The count is odd where a process died in the midst of its commit.
                commits.cells[_COMMITS] += commits.cells[_COMMITS] & 1
                commits.step()
            try:
                yield
            finally:
                if commits is not None:
                    commits.step()
        finally:
            self.leave()

    # -------------------------------------------------------------------- the claims

    def take(self, key: str) -> bool:
        """Claim a key; return False while another process has claimed it.

        Args:
            key: The key of an answer that is about to be asked for.
        """
        if key in self._claimed or self._is_broken:
            return True
        position = int(key[:_KEY_DIGITS], 16)
        if self._is_only and self._free:
            cell = self._free.pop()
            self._cells[cell] = position + 1
            if self._cells[_MARK]:  # in this order; see above
                self._claimed[key] = -cell
                return True
            self._free_cell(cell)
            self._is_only = False
        try:
            return self._lock(key, position)
        except (OSError, ValueError) as error:
            self._is_broken = True
            logger.debug("Rows of project %r are not claimed: %s", self._project.name, error)
            return True

    def _lock(self, key: str, position: int) -> bool:
        """Claim a key by a lock, or in the table if this is the only process by now."""
        if not self._is_only:
            if self._turns:
                self._turns -= 1
            elif not self._find_standing():
                return False
            elif self._is_only:
                return self.take(key)
            if self._theirs and self._is_theirs(position):
                return False
        file = self._files[position % FILES]
        if file is None:
            with self._mutex:
                file = self._open(position % FILES)
        if not try_lock_byte(file, position):
            return False
        self._claimed[key] = position
        return True

    def _find_standing(self) -> bool:
        """Become the only process or one of several; False while another one is at that."""
        with self._mutex:
            file = self._open(0)
        if try_lock_byte(file, _SEVERAL) and try_lock_byte(file, _TABLE):
            self._own_table()
            unlock_byte(file, _SEVERAL)
            return True
        for _ in range(_MOST_TRIES):
            if try_lock_byte(file, _SEVERAL, is_shared=True):
                break
            time.sleep(_GRACE_SECONDS)
        else:
            return False
        if not self._has_others and not self._has_table:
            self._cells[_MARK] = 0
            time.sleep(_GRACE_SECONDS)
            if not self._is_table_free():
                cells = self._cells.tolist()
                self._theirs = {cells[cell] - 1: cell for cell in _SLOTS if cells[cell]}
        self._has_others = True
        self._turns = _TURNS
        return True

    def _own_table(self) -> None:
        """Begin to write claims into the table, while `_TABLE` and `_SEVERAL` are locked here."""
        if not self._has_table:
            self._cells[_MARK + 1 :] = _EMPTY
            self._free = _SLOTS.copy()
            self._has_table = True
        self._cells[_MARK] = 1
        self._theirs = {}
        self._has_others = False
        self._is_only = True

    def _is_theirs(self, position: int) -> bool:
        """Return whether the owner of the table still claims a key there."""
        cell = self._theirs.get(position)
        if cell is None:
            return False
        if self._is_table_free():
            self._theirs = {}
            return False
        if self._cells[cell] == position + 1:
            return True
        del self._theirs[position]
        return False

    def _is_table_free(self) -> bool:
        """Return whether the table's owner has ended; only for one of several."""
        file = self._files[0]
        assert file is not None
        if not try_lock_byte(file, _TABLE):
            return False
        unlock_byte(file, _TABLE)
        return True

    def _free_cell(self, cell: int) -> None:
        self._cells[cell] = 0
        self._free.append(cell)

    def is_taken_elsewhere(self, key: str) -> bool:
        """Return whether another process has claimed a key that is not claimed here."""
        if key in self._claimed:
            return False
        if not self.take(key):
            return True
        self.release(key)
        return False

    def release(self, key: str) -> None:
        """Give a key up if it is claimed here: it is answered, or is not asked for now."""
        position = self._claimed.pop(key, None)
        if position is None:
            return
        if position < 0:
            self._free_cell(-position)
        elif (file := self._files[position % FILES]) is not None:
            try:
                unlock_byte(file, position)
            except OSError as error:  # it ends with the process
                logger.debug("A row of project %r stays claimed: %s", self._project.name, error)
        if not self._users:
            self._close_if_unused()

    # --------------------------------------------------------------------- the files

    def enter(self) -> None:
        """Keep the files open until `leave`, once they are."""
        with self._mutex:
            self._users += 1

    def leave(self) -> None:
        """Close the files, unless another user needs them or a key is claimed."""
        with self._mutex:
            self._users -= 1
        self._close_if_unused()

    def _close_if_unused(self) -> None:
        with self._mutex:
            if not self._users and not self._claimed:
                self._close()

    def _path(self, number: int) -> str:
        return f"{self._project.claims}-{number}"

    def _open(self, number: int) -> int:
        file = self._files[number]
        if file is None:
            layout.make_root(self._project.root)
            size = _CELL_BYTES if number else _PAGE_BYTES
            file = files.open_shared(Path(self._path(number)), size=size)
            try:
                if number == 0:
                    self._cells = memoryview(mmap.mmap(file, size)).cast("Q")
                    self._commits = _Commits(self._cells)
            except BaseException:
                os.close(file)
                raise
            self._files[number] = file
        return file

    def _close(self) -> None:
        for file in self._files:
            if file is not None:
                os.close(file)
        self._files, self._commits = [None] * FILES, None
        self._forget()

    def _is_current(self) -> bool:
        """Return whether the first file that is open still stands in its folder."""
        file = self._files[0]
        try:
            return file is not None and os.path.samestat(os.stat(self._path(0)), os.fstat(file))
        except OSError:
            return False

    def after_fork(self) -> None:
        """Forget every claim in a forked child: they are its parent's."""
        self._close()
        self._reset()


_known: weakref.WeakValueDictionary[Path, Claims] = weakref.WeakValueDictionary()
_known_lock = threading.Lock()


def of(project: ProjectPaths) -> Claims:
    """Return this process's one object for the claims of a project."""
    with _known_lock:
        claims = _known.get(project.claims)
        if claims is None:
            claims = _known[project.claims] = Claims(project)
        return claims


def _after_fork() -> None:
    global _known_lock
    _known_lock = threading.Lock()
    for claims in list(_known.values()):
        claims.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
