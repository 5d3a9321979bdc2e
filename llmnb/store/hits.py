"""How often kept answers were used again, counted in memory and written now and then."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import orjson

from llmnb.adapters import files
from llmnb.store import layout
from llmnb.store.entry import Entry

logger = logging.getLogger("llmnb")


@dataclass(slots=True)
class Hits:
    """Uses of a project's answers."""

    count: int = 0
    usd: float = 0.0
    """What they would have cost."""

    last: float = 0.0
    """Seconds since the epoch; 0 before the first."""


_lock = threading.Lock()
_pending: dict[Path, Hits] = {}


def note(folder: Path, entries: Iterable[Entry]) -> None:
    """Count answers that were used again."""
    count, usd = 0, 0.0
    for entry in entries:
        count += 1
        usd += entry.usd or 0.0
    if count:
        with _lock:
            pending = _pending.setdefault(folder, Hits())
            pending.count += count
            pending.usd += usd
            pending.last = time.time()


def read(folder: Path) -> Hits:
    """Return the uses of a project's answers, those of this process included."""
    save()
    return stored(folder)


def stored(folder: Path) -> Hits:
    """Return the uses that a folder's file tells of."""
    try:
        found = orjson.loads((folder / layout.HITS).read_bytes())
        return Hits(int(found["hits"]), float(found["usd"]), float(found["last"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Hits()


def add(folder: Path, more: Hits) -> None:
    """Add uses that were counted elsewhere, such as those of a project that comes back."""
    if more.count:
        with _lock:
            pending = _pending.setdefault(folder, Hits())
            pending.count += more.count
            pending.usd += more.usd
            pending.last = max(pending.last, more.last)
    save()


def save() -> None:
    """Add what was counted to the projects' files, where there still are any."""
    with _lock:
        pending, keep = dict(_pending), {}
        _pending.clear()
        for folder, more in pending.items():
            if layout.read_mark(folder) is None:
                keep[folder] = more  # its first answer, a borrowed one, is still being saved
                continue
            known = stored(folder)
            data = {
                "hits": known.count + more.count,
                "usd": known.usd + more.usd,
                "last": max(known.last, more.last),
            }
            try:
                files.write_private(folder / layout.HITS, orjson.dumps(data))
            except OSError as error:
                logger.debug("hits of %s are not written: %s", folder, error)
                keep[folder] = more
        _pending.update(keep)


atexit.register(save)
