"""What a project has spent, and how often its kept answers were used again.

What was spent is appended line by line and never taken back: clearing answers leaves it alone.
Uses are counted in memory and written now and then.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from llmnb import bridge
from llmnb.adapters import files
from llmnb.store import layout
from llmnb.store.entry import Entry

logger = logging.getLogger("llmnb")
_lock = threading.Lock()


# ---------------------------------------------------------------------------- spending


@dataclass(slots=True, kw_only=True)
class Spent:
    """Requests of one model, added up."""

    provider: str
    model: str
    simulated: bool = False
    """Whether the simulated provider answered: then nothing was spent, and `usd` is in no sum."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    unpriced: int = 0
    """Requests whose price is unknown; not part of `usd`."""


_Sums = dict[tuple[str, str, bool], Spent]
"""What was spent by provider and model, simulated answers apart."""

_spent_here: dict[Path, _Sums] = {}
_ON_DISK = {
    "requests": "requests",
    "prompt_tokens": "in",
    "completion_tokens": "out",
    "usd": "usd",
    "unpriced": "unpriced",
}
"""Figures with their names in a line of the log."""


def log_spending(path: Path, entries: Iterable[Entry]) -> None:
    """Add what these answers cost to a spend log, one line for each model."""
    lines: dict[tuple[str, str, bool], dict[str, Any]] = {}
    for entry in entries:
        who = entry.provider, entry.model, entry.simulated
        line = lines.get(who)
        if line is None:
            line = lines[who] = {"time": entry.created, "provider": who[0], "model": who[1]}
            line |= {"simulated": True} if entry.simulated else {}
            line |= dict.fromkeys(_ON_DISK.values(), 0)
        line["requests"] += 1
        line["in"] += entry.prompt_tokens or 0
        line["out"] += entry.completion_tokens or 0
        line["usd"] += entry.usd or 0.0
        line["unpriced"] += entry.usd is None
    if not lines:
        return
    data = b""
    with _lock:
        for line in lines.values():
            _add(_spent_here.setdefault(path, {}), line)
            data += orjson.dumps(line) + b"\n"
    files.append_private(path, data)  # in one write: lines of several processes do not mix


def spending(path: Path) -> list[Spent]:
    """Return what a spend log says by model, the dearest first."""
    sums: _Sums = {}
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    for data in lines:
        with suppress(orjson.JSONDecodeError, KeyError, TypeError):  # a killed process's last line
            _add(sums, orjson.loads(data))
    return _dearest_first(sums)


def spending_here(path: Path) -> list[Spent]:
    """Return what this process has added to a spend log by model, the dearest first."""
    with _lock:
        sums = {who: replace(spent) for who, spent in _spent_here.get(path, {}).items()}
    return _dearest_first(sums)


def _add(sums: _Sums, line: Mapping[str, Any]) -> None:
    """Add a line of the log; one that lacks a figure raises before anything is added."""
    figures = [line[on_disk] for on_disk in _ON_DISK.values()]
    who = line["provider"], line["model"], bool(line.get("simulated", line["provider"] == "sim"))
    spent = sums.setdefault(who, Spent(provider=who[0], model=who[1], simulated=who[2]))
    for field, figure in zip(_ON_DISK, figures, strict=True):
        setattr(spent, field, getattr(spent, field) + figure)


def _dearest_first(sums: _Sums) -> list[Spent]:
    return sorted(sums.values(), key=lambda spent: -spent.usd)


# -------------------------------------------------------------------------- uses again


@dataclass(slots=True)
class Hits:
    """Uses of a project's kept answers."""

    count: int = 0
    usd: float = 0.0
    """What they would have cost; simulated ones nothing."""

    last: float = 0.0
    """Seconds since the epoch; 0 before the first."""

    def plus(self, other: Hits) -> Hits:
        """Return both together."""
        return Hits(self.count + other.count, self.usd + other.usd, max(self.last, other.last))


_pending: dict[Path, Hits] = {}
"""Uses that are not written yet, by the project's folder."""


def count_hits(folder: Path, entries: Iterable[Entry]) -> None:
    """Count answers that were used again."""
    prices = [0.0 if entry.simulated else entry.usd or 0.0 for entry in entries]
    if prices:
        _count(folder, Hits(len(prices), sum(prices), time.time()))


def add_hits(folder: Path, hits: Hits) -> None:
    """Add uses that were counted elsewhere, such as those of a project that comes back."""
    if hits.count:
        _count(folder, hits)
    save_hits()


def _count(folder: Path, hits: Hits) -> None:
    with _lock:
        _pending[folder] = _pending.get(folder, Hits()).plus(hits)


def read_hits(folder: Path) -> Hits:
    """Return the uses of a project's answers, those of this process included."""
    save_hits()
    return stored_hits(folder)


def stored_hits(folder: Path) -> Hits:
    """Return the uses that are written in a project's folder."""
    try:
        line = orjson.loads((folder / layout.HITS).read_bytes())
        return Hits(int(line["hits"]), float(line["usd"]), float(line["last"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Hits()


def pending_hits() -> int:
    """Return how many uses are counted and not written yet."""
    with _lock:
        return sum(hits.count for hits in _pending.values())


def save_hits() -> None:
    """Write what was counted into the projects' folders, where there still are any."""
    with _lock:
        for folder, hits in list(_pending.items()):
            if layout.read_mark(folder) is None:
                continue  # its first answer, a borrowed one, is still being saved
            whole = stored_hits(folder).plus(hits)
            line = {"hits": whole.count, "usd": whole.usd, "last": whole.last}
            try:
                files.write_private(folder / layout.HITS, orjson.dumps(line))
            except OSError as error:
                logger.debug("hits of %s are not written: %s", folder, error)
            else:
                del _pending[folder]


bridge.at_exit(save_hits)
