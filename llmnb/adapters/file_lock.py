"""Locks between processes: on a whole file, and on single bytes of a file."""

from __future__ import annotations

import errno
import functools
import os
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from llmnb.adapters import files
from llmnb.display import durations
from llmnb.errors import StoreError

PATIENCE_SECONDS = 90.0
"""Seconds after which waiting for another process's lock fails."""

_POLL_SECONDS = 0.01
"""Seconds between two attempts to get the lock."""


@contextmanager
def locked(path: Path, *, timeout: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Hold an exclusive lock on a file during the block; make the file if it is missing.

    Args:
        path: The file.
        timeout: Seconds to wait for another process.

    Raises:
        StoreError: If another process holds it for longer, or it cannot be made.
    """
    try:
        give_back = _lock_whole(path, timeout)
    except TimeoutError:
        raise StoreError(
            f"Another process has held the project's lock for {durations.exact(timeout)}: {path}"
        ) from None
    except OSError as error:
        raise StoreError(f"The project's lock cannot be taken: {error}") from None
    try:
        yield
    finally:
        give_back()


def _lock_by_library(path: Path, timeout: float) -> Callable[[], object]:
    lock = filelock.FileLock(path, mode=0o600, thread_local=False)
    try:
        lock.acquire(timeout=timeout, poll_interval=_POLL_SECONDS)
    except filelock.Timeout:
        raise TimeoutError from None
    return lock.release


def try_lock_byte(descriptor: int, offset: int, *, is_shared: bool = False) -> bool:
    """Lock one byte of an open file without waiting; return whether it is ours now.

    The operating system gives the byte back when the process dies. Where there are locks of an
    open file description they are used: an ordinary one is lost as soon as any descriptor of the
    file is closed anywhere in the process. A lock that is ours already is kept, or changed in one
    step to the kind that is asked for; where that fails it stays what it was.

    Args:
        descriptor: An open, writable file; keep it open for as long as the lock is needed.
        offset: Which byte; it may lie beyond the end of the file.
        is_shared: Whether others may have a shared lock on it at the same time.

    Raises:
        OSError: If this file system, or this operating system, cannot lock.
    """
    try:
        _lock(descriptor, offset, is_shared)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


if sys.platform == "win32":
    _lock_whole = _lock_by_library

    def _lock(descriptor: int, offset: int, is_shared: bool) -> None:
        raise OSError(errno.ENOTSUP, "bytes of files are not locked on this system")

    def unlock_byte(descriptor: int, offset: int) -> None:
        """Raise `OSError`: no byte has been locked here."""
        _lock(descriptor, offset, False)

elif sys.platform == "linux":
    from fcntl import F_OFD_SETLK, F_RDLCK, F_UNLCK, F_WRLCK, fcntl

    _flock = struct.Struct("hhqqi0q").pack
    """`struct flock` of Linux: type, whence, start, length, process."""

    def _lock(descriptor: int, offset: int, is_shared: bool) -> None:
        kind = F_RDLCK if is_shared else F_WRLCK
        fcntl(descriptor, F_OFD_SETLK, _flock(kind, 0, offset, 1, 0))

    def unlock_byte(descriptor: int, offset: int) -> None:
        """Release a byte that `try_lock_byte` has locked."""
        fcntl(descriptor, F_OFD_SETLK, _flock(F_UNLCK, 0, offset, 1, 0))

else:
    from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, lockf

    def _lock(descriptor: int, offset: int, is_shared: bool) -> None:
        lockf(descriptor, (LOCK_SH if is_shared else LOCK_EX) | LOCK_NB, 1, offset)

    def unlock_byte(descriptor: int, offset: int) -> None:
        """Release a byte that `try_lock_byte` has locked."""
        lockf(descriptor, LOCK_UN, 1, offset)


if sys.platform != "win32":
    from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock

    _locked: set[int] = set()
    """Open files that are locked here; a child that was forked closes its own copies."""

    def _lock_whole(path: Path, timeout: float) -> Callable[[], object]:
        """Lock a file; return the function that releases the lock.

        The library does the same with 6,600 steps of Python, a tenth of what a commit costs.
        """
        until = time.monotonic() + timeout
        while True:
            try:
                descriptor = _try_whole(path)
            except OSError as error:
                if error.errno not in (errno.ENOSYS, errno.ENOTSUP):
                    raise
                return _lock_by_library(path, timeout)  # it knows another way
            if descriptor is not None:
                return functools.partial(_unlock_whole, descriptor)
            if time.monotonic() >= until:
                raise TimeoutError
            time.sleep(_POLL_SECONDS)

    def _try_whole(path: Path) -> int | None:
        try:
            descriptor = files.open_shared(path, size=0)
        except FileNotFoundError:
            files.make_folder(path.parent, is_private=False)
            descriptor = files.open_shared(path, size=0)
        _locked.add(descriptor)
        try:
            flock(descriptor, LOCK_EX | LOCK_NB)
            # Somebody may have removed the file between its opening and its lock.
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        except OSError as error:
            _close(descriptor)
            if error.errno in (errno.EAGAIN, errno.EACCES, errno.ENOENT):
                return None
            raise
        _close(descriptor)
        return None

    def _unlock_whole(descriptor: int) -> None:
        if descriptor in _locked:  # a child that was forked has let go of it
            # Not by closing alone: another process may have been started with a copy of it.
            flock(descriptor, LOCK_UN)
            _close(descriptor)

    def _close(descriptor: int) -> None:
        _locked.discard(descriptor)
        os.close(descriptor)

    def _after_fork() -> None:
        for descriptor in list(_locked):
            _close(descriptor)

    os.register_at_fork(after_in_child=_after_fork)
