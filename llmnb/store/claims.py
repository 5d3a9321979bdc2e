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
"""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

from llmnb.adapters import files
from llmnb.adapters.file_lock import try_lock_byte, unlock_byte
from llmnb.store import layout
from llmnb.store.layout import Place

logger = logging.getLogger("llmnb")

FILES = 16
"""Files that the locks are spread over: the system walks through all of a file's to find one."""

_COUNT_BYTES = 8
_KEY_DIGITS = 15
"""Of a key's hexadecimal digits; 60 bits are a position that any file may have."""


class _Commits:
    """The commits of all processes, counted in the first bytes of a file that they share."""

    def __init__(self, descriptor: int) -> None:
        self._cells = memoryview(mmap.mmap(descriptor, _COUNT_BYTES)).cast("Q")
        self._own = 0

    @property
    def elsewhere(self) -> int:
        """Commits of other processes, each counted twice."""
        return self._cells[0] - self._own

    def begin(self) -> None:
        self._cells[0] += self._cells[0] & 1  # a process died in the midst of its commit
        self.step()

    def step(self) -> None:
        self._cells[0] += 1
        self._own += 1


class Claims:
    """The claims of one project, as this process makes and sees them.

    `take` and `release` belong to one thread.

    Args:
        place: The project.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._is_broken = False
        self._reset()

    def _reset(self) -> None:
        self._mutex = threading.Lock()
        self._files: list[int | None] = [None] * FILES
        self._held: dict[str, int] = {}
        """Keys that are claimed here, and where."""

        self._commits: _Commits | None = None
        self._users = 0

    # ------------------------------------------------------------------- the commits

    def look(self) -> int:
        """Return how the project stands, for `has_changed`; call it before a look-up."""
        if self._commits is None or not (self._held or self._is_current()):
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
        commits = self._commits
        return 0 if commits is None else commits.elsewhere

    @contextlib.contextmanager
    def committing(self) -> Iterator[None]:
        """Tell other processes of a commit; the caller holds the project's lock."""
        with self.in_use():
            commits = self._commits
            if commits is None:
                with self._mutex, contextlib.suppress(OSError, ValueError):
                    self._open(0)
                commits = self._commits
            if commits is None:
                yield
                return
            commits.begin()
            try:
                yield
            finally:
                commits.step()

    # -------------------------------------------------------------------- the claims

    def take(self, key: str) -> bool:
        """Claim a key; return False while another process has claimed it.

        Args:
            key: The key of an answer that is about to be asked for.
        """
        if key in self._held or self._is_broken:
            return True
        try:
            position = int(key[:_KEY_DIGITS], 16)
            file = self._files[position % FILES]
            if file is None:
                with self._mutex:
                    self._open(0)
                    file = self._open(position % FILES)
            if not try_lock_byte(file, position):
                return False
        except (OSError, ValueError) as error:
            self._is_broken = True
            logger.debug("Rows of project %r are not claimed: %s", self._place.name, error)
            return True
        self._held[key] = position
        return True

    def is_taken_elsewhere(self, key: str) -> bool:
        """Return whether another process has claimed a key that is not claimed here."""
        if not self.take(key):
            return True
        self.release(key)
        return False

    def release(self, key: str) -> None:
        """Give a key up if it is claimed here: it is answered, or is not asked for now."""
        position = self._held.pop(key, None)
        if position is None:
            return
        file = self._files[position % FILES]
        if file is not None:
            with contextlib.suppress(OSError):
                unlock_byte(file, position)
        if not self._users:
            self._close_if_unused()

    # --------------------------------------------------------------------- the files

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep the files open for a while, once they are."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def enter(self) -> None:
        """Keep the files open until `leave`, once they are."""
        with self._mutex:
            self._users += 1

    def leave(self) -> None:
        """Close the files, unless somebody else needs them or something is claimed."""
        with self._mutex:
            self._users -= 1
        self._close_if_unused()

    def _close_if_unused(self) -> None:
        with self._mutex:
            if not self._users and not self._held:
                self._close()

    def _path(self, number: int) -> str:
        return f"{self._place.claims}-{number}"

    def _open(self, number: int) -> int:
        file = self._files[number]
        if file is None:
            layout.make_root(self._place.root)
            file = files.open_shared(Path(self._path(number)), size=_COUNT_BYTES)
            try:
                if number == 0:
                    self._commits = _Commits(file)
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

    def _is_current(self) -> bool:
        """Return whether the first file that is open still stands in its folder."""
        file = self._files[0]
        try:
            return file is not None and os.path.samestat(os.stat(self._path(0)), os.fstat(file))
        except OSError:
            return False

    def after_fork(self) -> None:
        """Hold nothing in a child: what is claimed is its parent's."""
        self._close()
        self._reset()


_known: weakref.WeakValueDictionary[Path, Claims] = weakref.WeakValueDictionary()
_known_lock = threading.Lock()


def of(place: Place) -> Claims:
    """Return this process's one object for the claims of a project."""
    with _known_lock:
        return _known.setdefault(place.claims, Claims(place))


def _after_fork() -> None:
    global _known_lock
    _known_lock = threading.Lock()
    for claims in list(_known.values()):
        claims.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
