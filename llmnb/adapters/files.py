"""Write files atomically, append lines to them, and make folders.

This guards against short writes, full disks, killed processes, and umasks that take even the
owner's rights away. No other module replaces a file, appends to one, or makes a folder.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

SHARED_BLOCK = 4096
"""Bytes; file systems allocate a file's space in blocks of at least this size."""

_SYNC_UNSUPPORTED = {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM, errno.EBADF}
"""Errors of `fsync` on systems that cannot sync a folder."""


def make_folder(path: Path, *, is_private: bool = True, must_be_new: bool = False) -> None:
    """Make a folder and its missing parents, usable by their owner whatever the umask is.

    Args:
        path: The folder; an existing one is left unchanged.
        is_private: Whether only the owner may use it (0700), and it may be no link; its parents
            are never private.
        must_be_new: Whether an existing folder is an error.

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
        if is_private and path.is_symlink():
            raise OSError(errno.ELOOP, "it is a link to another folder", str(path)) from None
        return
    _allow_owner(path, path.stat().st_mode, 0o700, is_private)


@contextmanager
def scratch_folder(
    parent: Path | None = None, *, prefix: str = "llmnb-", stale_seconds: float | None = None
) -> Iterator[Path]:
    """Yield a new private folder; remove it and its contents at the end of the block.

    Args:
        parent: Folder to make it in; None means the system's folder for temporary files.
        prefix: How its name begins.
        stale_seconds: Older folders of such names in `parent` are removed: a process that made
            one was killed; None removes nothing.
    """
    if parent is not None and stale_seconds is not None:
        for left in parent.glob(f"{prefix}*"):
            if time.time() - left.stat().st_mtime > stale_seconds:
                shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        folder.chmod(0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def create(
    path: Path, *, is_private: bool = False, must_be_new: bool = False, buffering: int = -1
) -> IO[bytes]:
    """Open a file for writing; empty it, or create it if it is missing.

    Args:
        path: The file.
        is_private: Whether a new one can be read by its owner only (0600).
        must_be_new: Whether an existing file is an error.
        buffering: As for `open`.

    Raises:
        OSError: If it cannot be opened.
    """
    mode = 0o600 if is_private else 0o666
    flag = os.O_EXCL if must_be_new else os.O_TRUNC
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | flag | _BINARY, mode)
    try:
        _allow_owner(path, os.fstat(descriptor).st_mode, 0o600, is_private)
        return open(descriptor, "wb", buffering=buffering)
    except BaseException:
        os.close(descriptor)
        raise


def new_draft(path: Path, *, is_private: bool = False) -> Path:
    """Create an empty file beside `path`, for `replace_file`; return its path.

    Raises:
        OSError: If it cannot be made.
    """
    draft = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}")
    create(draft, is_private=is_private, must_be_new=True).close()
    return draft


def replace_file(draft: Path, path: Path) -> None:
    """Sync a finished draft to disk, then let it replace `path`.

    Raises:
        OSError: If that fails; `path` is then unchanged.
    """
    with draft.open("rb+") as file:
        os.fsync(file.fileno())
    move(draft, path)


def move(source: Path, target: Path) -> None:
    """Rename a file atomically, replacing any file at `target`, and sync both folders.

    Raises:
        OSError: If it cannot be moved.
    """
    os.replace(source, target)
    for folder in {source.parent, target.parent}:
        _sync_folder(folder)


@contextmanager
def whole_file(path: Path, *, is_private: bool = False) -> Iterator[IO[bytes]]:
    """Yield a file to write to; it replaces `path` if the block ends without an error.

    Raises:
        OSError: If it cannot be written; `path` is then unchanged.
    """
    draft = new_draft(path, is_private=is_private)
    try:
        with draft.open("wb") as file:
            yield file
        replace_file(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def write_private(path: Path, data: bytes) -> None:
    """Write a file atomically, readable by its owner only.

    Raises:
        OSError: If it cannot be written; `path` is then unchanged.
    """
    with whole_file(path, is_private=True) as file:
        file.write(data)


def append_private(path: Path, lines: bytes, *, is_synced: bool = False) -> None:
    """Append lines to a file; create it for its owner only if it is missing.

    They always begin on a new line, so that an unfinished line before them, left by another
    process or a full disk, does not spoil them.

    Args:
        path: The file; never a link.
        lines: Complete lines, each ending in a newline.
        is_synced: Whether to return only when they are on the disk, the file's name included.

    Raises:
        OSError: If not all of it can be written, or synced.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _BINARY | _NO_LINK, 0o600)
    try:
        state = os.fstat(descriptor)
        _allow_owner(path, state.st_mode, 0o600, is_private=True)
        if state.st_size:
            os.lseek(descriptor, -1, os.SEEK_END)
            if os.read(descriptor, 1) != b"\n":
                lines = b"\n" + lines
        _write_all(descriptor, lines)
        if is_synced:
            os.fsync(descriptor)
            if not state.st_size:
                _sync_folder(path.parent)
    finally:
        os.close(descriptor)


def append_whole(descriptor: int, data: bytes) -> None:
    """Append bytes to an open file that only this process writes to: all of them, or none.

    Raises:
        OSError: If they cannot be written.
    """
    end = os.lseek(descriptor, 0, os.SEEK_END)
    try:
        _write_all(descriptor, data)
    except OSError:
        os.ftruncate(descriptor, end)
        raise


def open_shared(path: Path, *, size: int) -> int:
    """Open a file that processes share in place, made for its owner only if it is missing.

    Args:
        path: The file; never a link.
        size: Bytes at its beginning for which the disk reserves room; new ones are zero. Another
            process that opens the file for the first time may set the last byte of every
            `SHARED_BLOCK`, and the last of all, to zero: put nothing there.

    Returns:
        A descriptor to read and write with; the caller closes it.

    Raises:
        OSError: If it cannot be opened, or has no room.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _BINARY | _NO_LINK, 0o600)
    try:
        state = os.fstat(descriptor)
        _allow_owner(path, state.st_mode, 0o600, is_private=True)
        if state.st_size < size:
            # Write a byte in every block instead of only extending the file: reading a mapped page
            # that the disk has no room for would kill the process. Another process that does
            # this at the same time writes the same zeros.
            for end in (*range(SHARED_BLOCK, size, SHARED_BLOCK), size):
                os.lseek(descriptor, end - 1, os.SEEK_SET)
                _write_all(descriptor, b"\0")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_existing(path: Path) -> int:
    """Open a file that is there, and no link, to read and write; return its descriptor.

    Raises:
        OSError: If it cannot be opened.
    """
    return os.open(path, os.O_RDWR | _BINARY | _NO_LINK)


_BINARY: int = getattr(os, "O_BINARY", 0)  # else Windows writes CRLF for LF
_NO_LINK: int = getattr(os, "O_NOFOLLOW", 0)


def _write_all(descriptor: int, data: bytes) -> None:
    """Write all the bytes, in as many calls as the system needs."""
    left = memoryview(data)
    while left:
        written = os.write(descriptor, left)
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left = left[written:]


def _allow_owner(path: Path, mode: int, wanted: int, is_private: bool) -> None:
    """Give the owner the `wanted` permissions; if the file is private, take all other ones away.

    Args:
        path: The file or folder.
        mode: Its present mode, as `os.stat` returns it.
        wanted: Permission bits of the owner, such as 0o600.
        is_private: Whether nobody else may have any.
    """
    present = stat.S_IMODE(mode)
    permissions = wanted if is_private else present | wanted
    if present != permissions:
        path.chmod(permissions)


def _sync_folder(folder: Path) -> None:
    """Sync a folder's entries to disk, so that a rename in it survives a crash.

    Does nothing where the system cannot sync folders.

    Raises:
        OSError: If the disk reports an error.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return  # Windows cannot open folders; elsewhere this one may not be readable
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _SYNC_UNSUPPORTED:
            raise
    finally:
        os.close(descriptor)


def open_to_read(path: str | os.PathLike[str], *, through_links: bool = True) -> IO[bytes]:
    """Open a file for reading; where it is a pipe, do not wait for a writer.

    Args:
        path: The file.
        through_links: Whether it may be a symbolic link. Pass False for a path that was already
            resolved: a link found there now was put there since.

    Raises:
        OSError: If it cannot be opened.
    """
    extra_flags = getattr(os, "O_NONBLOCK", 0) | (0 if through_links else _NO_LINK)
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | extra_flags))
