"""A run's status as it is written down at its end, and read again later."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from llmnb.engine.status import (
    FailureCause,
    ModelShare,
    Pace,
    PoolStatus,
    Sample,
    StatusSnapshot,
    StatusTracker,
    frozen,
)

T = TypeVar("T")

_LISTS = {"pools": PoolStatus, "shares": ModelShare, "causes": FailureCause, "samples": Sample}
_LEFT_OUT = ("latencies", "waiting_on")
"""What only says how a run goes on."""


def as_json(status: StatusSnapshot) -> dict[str, Any]:
    """Return a status in values that orjson writes."""
    values = {
        field.name: getattr(status, field.name)
        for field in dataclasses.fields(status)
        if field.name not in _LEFT_OUT
    }
    return values | {"failures": dict(status.failures), "models": dict(status.models)}


def from_json(values: Mapping[str, Any]) -> StatusSnapshot:
    """Return a status that was written down, by this release or another.

    Raises:
        TypeError: If it is none.

    Example:
        >>> status = StatusSnapshot(state="finished", project="Maths", completed=3)
        >>> import orjson
        >>> from_json(orjson.loads(orjson.dumps(as_json(status)))).completed
        3
    """
    known = dict(values)
    for name in ("failures", "models"):
        known[name] = frozen(known.get(name) or {})
    for name, kind in _LISTS.items():
        known[name] = tuple(_made(kind, item) for item in known.get(name) or ())
    known["counts"] = _made(StatusTracker, known.get("counts") or {})
    known["pace"] = _made(Pace, known.get("pace") or {})
    return _made(StatusSnapshot, known)


def _made(kind: type[T], values: Mapping[str, Any]) -> T:
    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in values.items() if name in names})
