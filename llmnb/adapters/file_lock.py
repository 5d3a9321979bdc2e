"""Locks between processes: on a whole file, and on single bytes of one."""

from __future__ import annotations

import errno
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from llmnb.display import durations
from llmnb.errors import StoreError

PATIENCE_SECONDS = 90.0
"""How long another process may hold a project before saving counts as failed."""


@contextmanager
def locked(path: Path, *, timeout: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Hold a lock on a file, made if it is missing.

    Args:
        path: The file.
        timeout: Seconds to wait for another process.

    Raises:
        StoreError: If another process holds it for longer, or it cannot be made.
    """
    lock = filelock.FileLock(path, mode=0o600, thread_local=False)
    try:
        lock.acquire(timeout=timeout, poll_interval=0.01)
    except filelock.Timeout:
        raise StoreError(
            f"Another process has held the project's lock for {durations.given(timeout)}: {path}"
        ) from None
    except OSError as error:
        raise StoreError(f"The project's lock cannot be taken: {error}") from None
    try:
        yield
    finally:
        lock.release()


def try_lock_byte(descriptor: int, offset: int) -> bool:
    """Lock one byte of an open file without waiting; return whether it is ours now.

    The operating system gives the byte back when the process dies. Where there are locks of an
    open file description they are used: an ordinary one is lost as soon as any descriptor of the
    file is closed anywhere in the process.

    Args:
        descriptor: An open, writable file; keep it open for as long as the lock is needed.
        offset: Which byte; it may lie beyond the end of the file.

    Raises:
        OSError: If this file system, or this operating system, cannot lock.
    """
    try:
        _lock(descriptor, offset)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


if sys.platform == "win32":

    def _lock(descriptor: int, offset: int) -> None:
        raise OSError(errno.ENOTSUP, "bytes of files are not locked on this system")

    def unlock_byte(descriptor: int, offset: int) -> None:
        """Raise `OSError`: no byte has been locked here."""
        _lock(descriptor, offset)

elif sys.platform == "linux":
    from fcntl import F_OFD_SETLK, F_UNLCK, F_WRLCK, fcntl

    _flock = struct.Struct("hhqqi0q").pack
    """`struct flock` of Linux: type, whence, start, length, process."""

    def _lock(descriptor: int, offset: int) -> None:
        fcntl(descriptor, F_OFD_SETLK, _flock(F_WRLCK, 0, offset, 1, 0))

    def unlock_byte(descriptor: int, offset: int) -> None:
        """Give a byte back that `try_lock_byte` has locked."""
        fcntl(descriptor, F_OFD_SETLK, _flock(F_UNLCK, 0, offset, 1, 0))

else:
    from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, lockf

    def _lock(descriptor: int, offset: int) -> None:
        lockf(descriptor, LOCK_EX | LOCK_NB, 1, offset)

    def unlock_byte(descriptor: int, offset: int) -> None:
        """Give a byte back that `try_lock_byte` has locked."""
        lockf(descriptor, LOCK_UN, 1, offset)
