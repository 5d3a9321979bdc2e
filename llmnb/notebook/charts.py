"""The three small charts of the run card, as paths in a box of 100 by 46.

Paths are made here and not in the page, so that what is drawn can be tested
and a message stays small.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from llmnb.display import durations, numbers
from llmnb.engine.status import PoolStatus, Sample, StatusSnapshot

_BASE = 46.0
_TOP = 6.4
"""Height of the limit, or of the highest value where that is higher."""

_NARROWEST = 3.4
"""A logarithmic axis spans at least this factor, so that one of its labels is always in sight."""

_LABELS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000)


def charts(status: StatusSnapshot) -> dict[str, Any]:
    """Return the three charts by the names that the card has for them."""
    return {
        "requests": requests_chart(status),
        "tokens": tokens_chart(status),
        "latency": latency_chart(status),
    }


def requests_chart(status: StatusSnapshot) -> dict[str, Any]:
    """Return requests per minute over the run, with their limit."""
    return _throughput(
        "Requests per minute over the run",
        [(sample.seconds, sample.requests_per_minute) for sample in status.samples],
        status.samples,
        status.requests_per_minute,
        [pool.requests_per_minute for pool in status.pools],
        status.pools,
        binds="requests/min" in status.waiting_on,
    )


def tokens_chart(status: StatusSnapshot) -> dict[str, Any]:
    """Return tokens per minute over the run, with their limit."""
    return _throughput(
        "Tokens per minute over the run",
        [(sample.seconds, sample.tokens_per_minute) for sample in status.samples],
        (),
        status.tokens_per_minute,
        [pool.tokens_per_minute for pool in status.pools],
        status.pools,
        binds="tokens/min" in status.waiting_on,
    )


def _throughput(
    name: str,
    values: Sequence[tuple[float, float]],
    refused: Sequence[Sample],
    present: float,
    limits: Sequence[float | None],
    pools: Sequence[PoolStatus],
    *,
    binds: bool,
) -> dict[str, Any]:
    known = [one for one in limits if one is not None]
    # Rows may go to any target, so the limits add up; one unknown leaves the sum unknown.
    limit = math.fsum(known) if known and len(known) == len(limits) else None
    end = values[-1][0] if values else 0.0
    top = max([limit or 0.0, *(value for _, value in values)])
    used = min(1.0, present / limit) if limit else 0.0
    # A limit that a person named stands in the field; a learned one is said to be learned.
    named = known if len(set(known)) == 1 and not any(pool.learned for pool in pools) else []
    of_limit = f"limit {_limit(limit)}" if limit is not None else "no limit known"
    return {
        "now": numbers.short(present),
        "line": _line(values, end, top),
        "limit": _y(limit, top) if limit is not None and top else "",
        "hits": "".join(
            f"M{_x(sample.seconds, end)} 46v-5" for sample in refused if sample.refusals
        ),
        "axis": of_limit,
        "label": f"{name}: now {numbers.short(present)}, {of_limit}",
        "used": round(100 * used, 1),
        "used_text": numbers.share(used) if limit else "none yet",
        "field": numbers.amount(named[0]) if named and len(known) == len(limits) else "",
        "binds": int(binds),
    }


def _limit(limit: float) -> str:
    return numbers.limit(limit) if limit < 10_000 else numbers.short(limit)


def _line(values: Sequence[tuple[float, float]], end: float, top: float) -> str:
    if len(values) < 2 or end <= 0 or top <= 0:
        return ""
    return " ".join(f"{_x(seconds, end)},{_y(value, top)}" for seconds, value in values)


def _x(seconds: float, end: float) -> str:
    return f"{100 * seconds / end:.1f}" if end > 0 else "0"


def _y(value: float, top: float) -> str:
    return f"{_BASE - (_BASE - _TOP) * max(0.0, value) / top:.1f}"


def latency_chart(status: StatusSnapshot) -> dict[str, Any]:
    """Return one tick for each of the last replies on a logarithmic axis, and the places taken."""
    seconds = [max(one, 0.0005) for one in status.latencies]
    marks: list[list[Any]] = []
    ticks = axis = ""
    labels: list[list[Any]] = []
    if seconds:
        place = _logarithmic(min(seconds), max(seconds))
        ticks = "".join(f"M{place(one):.1f} 18v22" for one in seconds)
        labels = [
            [round(place(one), 1), durations.exact(one)] for one in _LABELS if 3 < place(one) < 97
        ]
        marks = _marks(status, place)
        axis = "".join(f"M{position} 12v34" for position, _, _ in marks)
    return {
        "now": _quantiles(status),
        "ticks": ticks,
        "marks": axis,
        "labels": [[where, name] for _, where, name in marks],
        "axis": labels,
        "label": f"Latency of the last {len(seconds):,} replies: {_quantiles(status)}",
        **_places(status),
    }


def _logarithmic(low: float, high: float) -> Any:
    low, high = low / 1.15, high * 1.15
    stretch = max(1.0, math.sqrt(_NARROWEST * low / high))
    low, high = low / stretch, high * stretch
    width = math.log(high / low)
    return lambda seconds: min(100.0, max(0.0, 100 * math.log(seconds / low) / width))


def _marks(status: StatusSnapshot, place: Any) -> list[list[Any]]:
    """Return each quantile's line, where its name stands, and its name."""
    found = [
        [round(place(value), 1), name]
        for name, value in (("p50", status.p50), ("p95", status.p95))
        if value
    ]
    names = [min(96.0, max(4.0, position)) for position, _ in found]
    if len(names) == 2 and names[1] - names[0] < 10:
        middle = min(91.0, max(9.0, (names[0] + names[1]) / 2))
        names = [middle - 5, middle + 5]
    return [
        [position, round(where, 1), name]
        for (position, name), where in zip(found, names, strict=True)
    ]


def _quantiles(status: StatusSnapshot) -> str:
    if status.p50 is None:
        return "none yet"
    text = f"p50 {durations.latency(status.p50)}"
    return text if status.p95 is None else f"{text} · p95 {durations.latency(status.p95)}"


def _places(status: StatusSnapshot) -> dict[str, Any]:
    taken = sum(pool.in_flight for pool in status.pools)
    places = sum(pool.places for pool in status.pools)
    named = {pool.places for pool in status.pools if not pool.is_adaptive}
    is_named = len(named) == 1 and not any(pool.is_adaptive for pool in status.pools)
    return {
        "used": round(100 * min(1.0, taken / places), 1) if places else 0.0,
        "used_text": f"{taken:,} of {places:,}" if places else "none yet",
        "field": f"{named.pop():,}" if is_named else "",
        "binds": int("in flight" in status.waiting_on and "replies" in status.waiting_on),
    }
