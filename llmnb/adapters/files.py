"""The door to files that are written: whole or not at all, or a line at the end; and to folders.

A system may take fewer bytes than it was given, a disk may be full, a process may be killed, and a
umask may take even the owner's rights away. Nobody else in the house replaces a file, appends to
one, or makes a folder.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

SHARED_BLOCK = 4096
"""No disk gives room to fewer bytes of a file's memory at a time."""

_NOT_SYNCED = {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM, errno.EBADF}
"""What systems say that do not sync folders."""


def make_folder(path: Path, *, is_private: bool = True, must_be_new: bool = False) -> None:
    """Make a folder, and those above it, that their owner can use whatever the umask says.

    Args:
        path: The folder; one that is there already is left as it is.
        is_private: Whether nobody else may look into it (0700); those above it are never private.
        must_be_new: Whether one that is there already is an error.

    Raises:
        OSError: If it cannot be made.
    """
    if not path.parent.exists():
        make_folder(path.parent, is_private=False)
    try:
        path.mkdir(mode=0o700 if is_private else 0o777)
    except FileExistsError:
        if must_be_new or not path.is_dir():
            raise
        return
    _allow_owner(path, path.stat().st_mode, 0o700, is_private)


@contextmanager
def scratch_folder(parent: Path | None = None, *, prefix: str = "llmnb-") -> Iterator[Path]:
    """Give a private folder that is removed afterwards with all that is in it.

    Args:
        parent: Where it is made; None: where this system keeps such folders.
        prefix: How its name begins.
    """
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        folder.chmod(0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def create(path: Path, *, is_private: bool = False, buffering: int = -1) -> IO[bytes]:
    """Open a file for writing from its beginning; it is made where there is none.

    Args:
        path: The file.
        is_private: Whether a new one can be read by its owner only (0600).
        buffering: As for `open`.

    Raises:
        OSError: If it cannot be opened.
    """
    return _opened(path, os.O_TRUNC, is_private, buffering)


def new_draft(path: Path, *, is_private: bool = False) -> Path:
    """Make an empty file beside `path`, for `replace_file`; returns where it is.

    Raises:
        OSError: If it cannot be made.
    """
    draft = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}")
    _opened(draft, os.O_EXCL, is_private).close()
    return draft


def replace_file(draft: Path, path: Path) -> None:
    """Give a file that was written whole its place, once its bytes are on the disk.

    Raises:
        OSError: If it cannot; what stood there stands there still.
    """
    with draft.open("rb+") as file:
        os.fsync(file.fileno())
    move(draft, path)


def move(source: Path, target: Path) -> None:
    """Give a file another name, in one step; what had that name is gone.

    Raises:
        OSError: If it cannot be moved.
    """
    os.replace(source, target)
    for folder in {source.parent, target.parent}:
        _sync_folder(folder)


@contextmanager
def whole_file(path: Path, *, is_private: bool = False) -> Iterator[IO[bytes]]:
    """Give a file to write to; it takes the place of `path` where the block ends without an error.

    Raises:
        OSError: If it cannot be written; what stood there stands there still.
    """
    draft = new_draft(path, is_private=is_private)
    try:
        with draft.open("wb") as file:
            yield file
        replace_file(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def write_private(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, readable by its owner only.

    Raises:
        OSError: If it cannot be written; what stood there stands there still.
    """
    with whole_file(path, is_private=True) as file:
        file.write(data)


def append_private(path: Path, lines: bytes) -> None:
    """Add lines to a file, made for its owner only if it is missing, until all of it is written.

    They begin on a line of their own: what another process, or a full disk, left unfinished
    before them spoils itself only.

    Args:
        path: The file.
        lines: Whole lines, the last one ended too.

    Raises:
        OSError: If not all of it can be written.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _BINARY, 0o600)
    try:
        state = os.fstat(descriptor)
        _allow_owner(path, state.st_mode, 0o600, is_private=True)
        if state.st_size:
            os.lseek(descriptor, -1, os.SEEK_END)
            if os.read(descriptor, 1) != b"\n":
                lines = b"\n" + lines
        _write_all(descriptor, lines)
    finally:
        os.close(descriptor)


def open_shared(path: Path, *, size: int) -> int:
    """Open a file that processes share in place, made for its owner only if it is missing.

    Args:
        path: The file; never a link.
        size: Its first bytes that have room on the disk from now on, zeros where it is new. The
            last of every `SHARED_BLOCK` bytes, and the last of all, may be set to zero whenever
            another process opens the file for the first time: put nothing there.

    Returns:
        A descriptor to read and write with; the caller closes it.

    Raises:
        OSError: If it cannot be opened, or has no room.
    """
    flags = os.O_RDWR | os.O_CREAT | _BINARY | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, flags, 0o600)
    try:
        state = os.fstat(descriptor)
        _allow_owner(path, state.st_mode, 0o600, is_private=True)
        if state.st_size < size:
            # Written and not only made longer: to read a page that the disk has no room for
            # would end the process. Whoever comes at the same time writes the same zero.
            for end in (*range(SHARED_BLOCK, size, SHARED_BLOCK), size):
                os.lseek(descriptor, end - 1, os.SEEK_SET)
                _write_all(descriptor, b"\0")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


_BINARY: int = getattr(os, "O_BINARY", 0)  # Windows would write each line's end otherwise


def _write_all(descriptor: int, data: bytes) -> None:
    """Write all of some bytes in as few steps as the system allows."""
    left = memoryview(data)
    while left:
        written = os.write(descriptor, left)
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left = left[written:]


def _opened(path: Path, flag: int, is_private: bool, buffering: int = -1) -> IO[bytes]:
    mode = 0o600 if is_private else 0o666
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | flag | _BINARY, mode)
    try:
        _allow_owner(path, os.fstat(descriptor).st_mode, 0o600, is_private)
        return open(descriptor, "wb", buffering=buffering)
    except BaseException:
        os.close(descriptor)
        raise


def _allow_owner(path: Path, mode: int, wanted: int, is_private: bool) -> None:
    """Give the owner the rights that are wanted, and all others none if it is private."""
    now = stat.S_IMODE(mode)
    right = wanted if is_private else now | wanted
    if now != right:
        path.chmod(right)


def _sync_folder(folder: Path) -> None:
    """Have a folder's names on the disk, where the system can do that."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return  # Windows opens no folders, and one may be closed to reading
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_SYNCED:
            raise
    finally:
        os.close(descriptor)


def open_to_read(path: str | os.PathLike[str], *, through_links: bool = True) -> IO[bytes]:
    """Open a file for reading, without waiting for anybody where it is a pipe.

    Args:
        path: The file.
        through_links: Whether it may be a link. Where all links were followed before, one that
            stands there now was put there since.

    Raises:
        OSError: If it cannot be opened.
    """
    further = getattr(os, "O_NONBLOCK", 0) | (0 if through_links else getattr(os, "O_NOFOLLOW", 0))
    return open(path, "rb", opener=lambda place, flags: os.open(place, flags | further))
