"""What was spent, appended line by line and never taken back: clearing answers leaves it alone."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from llmnb.adapters import files
from llmnb.store.entry import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Requests of one model, added up."""

    provider: str
    model: str
    requests: int
    prompt_tokens: int
    completion_tokens: int
    usd: float
    unpriced: int
    """Requests whose price is unknown; not part of `usd`."""


_here: dict[Path, dict[tuple[str, str], list[Any]]] = {}
_lock = threading.Lock()
_FIELDS = ("requests", "in", "out", "usd", "unpriced")


def append(path: Path, entries: Iterable[Entry]) -> None:
    """Add what these answers cost, one line for each model."""
    sums: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in entries:
        line = sums.get((entry.provider, entry.model))
        if line is None:
            line = sums[entry.provider, entry.model] = {
                "time": entry.created,
                "provider": entry.provider,
                "model": entry.model,
                "requests": 0,
                "in": 0,
                "out": 0,
                "usd": 0.0,
                "unpriced": 0,
            }
        line["requests"] += 1
        line["in"] += entry.prompt_tokens or 0
        line["out"] += entry.completion_tokens or 0
        line["usd"] += entry.usd or 0.0
        line["unpriced"] += entry.usd is None
    if not sums:
        return
    with _lock:
        for line in sums.values():
            _add(_here.setdefault(path, {}), line)
    data = b"".join(orjson.dumps(line) + b"\n" for line in sums.values())
    files.append_private(path, data)  # in one write: lines of several processes do not mix


def totals(path: Path) -> list[Spent]:
    """Return what was spent by model, the dearest first."""
    sums: dict[tuple[str, str], list[Any]] = {}
    for line in _lines(path):
        _add(sums, line)
    return _spent(sums)


def in_this_process(path: Path) -> list[Spent]:
    """Return what this process has spent by model, the dearest first."""
    with _lock:
        return _spent(_here.get(path, {}))


def _add(sums: dict[tuple[str, str], list[Any]], line: dict[str, Any]) -> None:
    values = sums.setdefault((line["provider"], line["model"]), [0, 0, 0, 0.0, 0])
    for place, name in enumerate(_FIELDS):
        values[place] += line[name]


def _spent(sums: dict[tuple[str, str], list[Any]]) -> list[Spent]:
    found = [
        Spent(
            provider=provider,
            model=model,
            requests=values[0],
            prompt_tokens=values[1],
            completion_tokens=values[2],
            usd=values[3],
            unpriced=values[4],
        )
        for (provider, model), values in sums.items()
    ]
    return sorted(found, key=lambda one: -one.usd)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        data = path.read_bytes()
    except OSError:
        return
    for line in data.splitlines():
        try:
            found = orjson.loads(line)
            if {"provider", "model", "requests", "in", "out", "usd", "unpriced"} <= found.keys():
                yield found
        except (orjson.JSONDecodeError, AttributeError):
            continue  # the last line of a killed process
