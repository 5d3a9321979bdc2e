"""The three small charts of the run card, as paths in a box of 100 by 46.

Paths are made here and not in the page, so that what is drawn can be tested
and a message stays small.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from llmnb.display import durations, numbers
from llmnb.engine.status import StatusSnapshot

_BASE = 46.0
_TOP = 6.4
"""Height of the limit, or of the highest value where that is higher."""

_NARROWEST = 3.4
"""A logarithmic axis spans at least this factor, so that one of its labels is always in sight."""

_LABELS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000)


def charts(status: StatusSnapshot, *, is_still: bool = False) -> dict[str, Any]:
    """Return the three charts by the names that the card has for them.

    Args:
        status: The run.
        is_still: Whether nothing is sent at present, whatever the last minute's mean says.
    """
    return {
        "requests": _throughput(status, "requests", is_still=is_still),
        "tokens": _throughput(status, "tokens", is_still=is_still),
        "latency": _latency(status),
    }


def _throughput(status: StatusSnapshot, unit: str, *, is_still: bool) -> dict[str, Any]:
    """Return requests or tokens per minute over the run, with their limit."""
    name = f"{unit}_per_minute"
    values = [(sample.seconds, getattr(sample, name)) for sample in status.samples]
    present = getattr(status, name)
    limits = [getattr(pool, name) for pool in status.pools]
    known = [limit for limit in limits if limit is not None]
    # Rows may go to any target, so the limits add up; one unknown leaves the sum unknown.
    limit = math.fsum(known) if known and len(known) == len(limits) else None
    now = "0" if is_still else numbers.short(present)
    end = values[-1][0] if values else 0.0
    top = max([limit or 0.0, *(value for _, value in values)])
    used = min(1.0, present / limit) if limit else 0.0
    # A limit that a person named stands in the field; a learned one does not.
    sources = {getattr(pool, f"{unit}_from") for pool in status.pools}
    is_named = len(set(known)) == 1 and sources == {"given"}
    of_limit = "no limit known"
    if limit is not None:
        of_limit = f"limit {numbers.limit(limit) if limit < 10_000 else numbers.short(limit)}"
    refused = status.samples if unit == "requests" else ()
    return {
        "now": now,
        "line": _line(values, end, top),
        "limit": _y(limit, top) if limit is not None and top else "",
        "hits": "".join(
            f"M{_x(sample.seconds, end)} 46v-5" for sample in refused if sample.refusals
        ),
        "axis": of_limit,
        "label": f"{unit.capitalize()} per minute over the run: now {now}, {of_limit}",
        "used": round(100 * used, 1),
        "used_text": numbers.share(used) if limit else "none yet",
        "field": numbers.amount(known[0]) if is_named and limit is not None else "",
        "binds": int(f"{unit}/min" in status.waiting_on),
    }


def _line(values: Sequence[tuple[float, float]], end: float, top: float) -> str:
    if len(values) < 2 or end <= 0 or top <= 0:
        return ""
    return " ".join(f"{_x(seconds, end)},{_y(value, top)}" for seconds, value in values)


def _x(seconds: float, end: float) -> str:
    return f"{100 * seconds / end:.1f}" if end > 0 else "0"


def _y(value: float, top: float) -> str:
    return f"{_BASE - (_BASE - _TOP) * max(0.0, value) / top:.1f}"


def _latency(status: StatusSnapshot) -> dict[str, Any]:
    """Return one tick for each of the last replies on a logarithmic axis, and the slots taken."""
    seconds = [max(latency, 0.0005) for latency in status.latencies]
    marks: list[tuple[float, float, str]] = []
    ticks = ""
    labels: list[list[Any]] = []
    if seconds:
        x_of = _logarithmic(min(seconds), max(seconds))
        ticks = "".join(f"M{x_of(latency):.1f} 18v22" for latency in seconds)
        labels = [
            [round(x_of(label), 1), durations.exact(label)]
            for label in _LABELS
            if 3 < x_of(label) < 97
        ]
        marks = _marks(status, x_of)
    return {
        "now": _quantiles(status),
        "ticks": ticks,
        "marks": "".join(f"M{position} 12v34" for position, _, _ in marks),
        "labels": [[x, name] for _, x, name in marks],
        "axis": labels,
        "label": f"Latency of the last {len(seconds):,} replies: {_quantiles(status)}",
        **_slots(status),
    }


def _logarithmic(low: float, high: float) -> Callable[[float], float]:
    """Return where a latency stands on an axis from 0 to 100 that reaches over all of them."""
    low, high = low / 1.15, high * 1.15
    stretch = max(1.0, math.sqrt(_NARROWEST * low / high))
    low, high = low / stretch, high * stretch
    width = math.log(high / low)
    return lambda seconds: min(100.0, max(0.0, 100 * math.log(seconds / low) / width))


def _marks(
    status: StatusSnapshot, x_of: Callable[[float], float]
) -> list[tuple[float, float, str]]:
    """Return where each quantile's line stands, where its name stands, and its name."""
    lines = [
        (round(x_of(value), 1), name)
        for name, value in (("p50", status.p50), ("p95", status.p95))
        if value
    ]
    names = [min(96.0, max(4.0, position)) for position, _ in lines]
    if len(names) == 2 and names[1] - names[0] < 10:
        middle = min(91.0, max(9.0, (names[0] + names[1]) / 2))
        names = [middle - 5, middle + 5]
    return [(position, round(x, 1), name) for (position, name), x in zip(lines, names, strict=True)]


def _quantiles(status: StatusSnapshot) -> str:
    if status.p50 is None:
        return "none yet"
    text = f"p50 {durations.latency(status.p50)}"
    return text if status.p95 is None else f"{text} · p95 {durations.latency(status.p95)}"


def _slots(status: StatusSnapshot) -> dict[str, Any]:
    taken = sum(pool.in_flight for pool in status.pools)
    slots = sum(pool.places for pool in status.pools)
    named = {pool.places for pool in status.pools if not pool.is_adaptive}
    is_named = len(named) == 1 and not any(pool.is_adaptive for pool in status.pools)
    if is_named:  # the run's own limit, beside which other runs' requests do not count
        taken = status.in_flight
    return {
        "used": round(100 * min(1.0, taken / slots), 1) if slots else 0.0,
        "used_text": f"{taken:,} of {slots:,}" if slots else "none yet",
        "field": f"{named.pop():,}" if is_named else "",
        "binds": int("in flight" in status.waiting_on and "replies" in status.waiting_on),
    }
