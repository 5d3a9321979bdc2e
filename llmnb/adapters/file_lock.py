"""A lock between processes, on a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

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
            f"Another process has held the project's lock for {timeout:.0f} s: {path}"
        ) from None
    except OSError as error:
        raise StoreError(f"The project's lock cannot be taken: {error}") from None
    try:
        yield
    finally:
        lock.release()
