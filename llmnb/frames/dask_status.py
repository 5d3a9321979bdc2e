"""Pictures of many runs as one: how they travel, and how they add up."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from llmnb.engine.stats import LATENCIES_SHOWN
from llmnb.engine.status import (
    Clock,
    FailureCause,
    ModelShare,
    PoolStatus,
    Sample,
    State,
    StatusSnapshot,
    StatusTracker,
    frozen,
)

_LATENCIES_SENT = 30

_SPENT = frozenset(
    ("num_requests", "num_retried", "prompt_tokens", "completion_tokens", "usd", "num_unpriced",
     "hedge_usd")
)  # fmt: skip
"""Counts that stay true of a worker that has died: what was sent and paid."""


def plain(status: StatusSnapshot) -> dict[str, Any]:
    """Return a picture as plain values."""
    told = {
        field.name: getattr(status, field.name)
        for field in dataclasses.fields(status)
        if field.name not in ("samples", "latencies", "p50", "p95")
    }
    told["failures"], told["models"] = dict(status.failures), dict(status.models)
    told["latencies"] = list(status.latencies[-_LATENCIES_SENT:])
    told["counts"] = dataclasses.asdict(status.counts)
    for name in ("pools", "shares", "causes"):
        told[name] = [dataclasses.asdict(one) for one in getattr(status, name)]
    return told


def read(told: Mapping[str, Any]) -> StatusSnapshot:
    """Return the picture that plain values tell of."""
    return StatusSnapshot(
        **{
            **told,
            "failures": frozen(told["failures"]),
            "models": frozen(told["models"]),
            "latencies": tuple(told["latencies"]),
            "counts": StatusTracker(**told["counts"]),
            "pools": tuple(PoolStatus(**one) for one in told["pools"]),
            "shares": tuple(ModelShare(**one) for one in told["shares"]),
            "causes": tuple(FailureCause(**one) for one in told["causes"]),
        }
    )


def spent(status: StatusSnapshot) -> StatusSnapshot:
    """Return what remains of a run that ended with its worker: only what it has spent."""
    counts = {name: getattr(status.counts, name) for name in _SPENT}
    return dataclasses.replace(
        status,
        total=0,
        launched=0,
        completed=0,
        in_flight=0,
        waiting_on="",
        counts=StatusTracker(**counts),
        failures=frozen({}),
        models=frozen({}),
        causes=(),
        shares=(),
        pools=(),
    )


def over(status: StatusSnapshot) -> StatusSnapshot:
    """Return the same run when it is done: it is in nobody's way any more."""
    return dataclasses.replace(
        status, in_flight=0, waiting_on="", pools=(), requests_per_minute=0, tokens_per_minute=0
    )


def merged(
    pictures: Sequence[StatusSnapshot],
    *,
    state: State,
    seconds: float,
    total: int | None = None,
    samples: tuple[Sample, ...] = (),
) -> StatusSnapshot:
    """Return several pictures as one.

    Args:
        pictures: At least one.
        state: What they are together.
        seconds: Since the first began.
        total: Rows in all, where they are known.
        samples: How fast they were together.
    """
    latencies = tuple(value for one in pictures for value in one.latencies)[-LATENCIES_SHOWN:]
    ended = state in ("finished", "stopped")
    p50, p95 = _quantile(latencies, 0.5), _quantile(latencies, 0.95)
    return StatusSnapshot(
        state=state,
        total=total,
        launched=sum(one.launched for one in pictures),
        completed=sum(one.completed for one in pictures),
        counts=_sum_of_counts(one.counts for one in pictures),
        failures=frozen(_added(one.failures for one in pictures)),
        waiting_on="" if ended else next((w for one in pictures if (w := one.waiting_on)), ""),
        in_flight=sum(one.in_flight for one in pictures),
        seconds=seconds,
        project=pictures[0].project,
        models=frozen(_added(one.models for one in pictures)),
        simulated=any(one.simulated for one in pictures),
        started_at=min(one.started_at for one in pictures),
        ended_at=max((one.ended_at or 0.0 for one in pictures), default=None) if ended else None,
        pools=_pools(pictures),
        shares=_shares(pictures),
        causes=_causes(pictures),
        samples=samples,
        latencies=latencies,
        p50=p50,
        p95=p95,
        requests_per_minute=sum(one.requests_per_minute for one in pictures),
        tokens_per_minute=sum(one.tokens_per_minute for one in pictures),
        waited_seconds=max(one.waited_seconds for one in pictures),
    )


def empty(project: str) -> StatusSnapshot:
    """Return the picture of a run of which nothing is known yet."""
    return StatusSnapshot(
        state="running",
        total=None,
        launched=0,
        completed=0,
        counts=StatusTracker(),
        failures=frozen({}),
        waiting_on="",
        in_flight=0,
        seconds=0.0,
        project=project,
        models=frozen({}),
        simulated=False,
        started_at=Clock.wall(),
    )


def _sum_of_counts(several: Iterable[StatusTracker]) -> StatusTracker:
    found = StatusTracker()
    for one in several:
        for field in dataclasses.fields(one):
            name, value = field.name, getattr(one, field.name)
            put = max if name == "time_of_last_rate_limit_error" else _plus
            setattr(found, name, put(getattr(found, name), value))
    return found


def _plus(one: float, other: float) -> float:
    return one + other


def _added(several: Iterable[Mapping[str, int]]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for one in several:
        found.update(one)
    return dict(found)


def _quantile(values: Sequence[float], part: float) -> float | None:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else None


def _pools(pictures: Sequence[StatusSnapshot]) -> tuple[PoolStatus, ...]:
    """Return each model's pools as one: what is in flight adds up, a limit is what each is told."""
    found: dict[tuple[str, str], PoolStatus] = {}
    for one in (pool for picture in pictures for pool in picture.pools):
        known = found.get((one.provider, one.model))
        found[one.provider, one.model] = (
            one
            if known is None
            else dataclasses.replace(
                known,
                in_flight=known.in_flight + one.in_flight,
                places=known.places + one.places,
                paused_seconds=max(known.paused_seconds, one.paused_seconds),
                is_open=known.is_open or one.is_open,
            )
        )
    return tuple(found.values())


def _shares(pictures: Sequence[StatusSnapshot]) -> tuple[ModelShare, ...]:
    rows: Counter[str] = Counter()
    usd: dict[str, float | None] = {}
    p50: dict[str, float | None] = {}
    for one in (share for picture in pictures for share in picture.shares):
        rows[one.name] += one.rows
        p50[one.name] = one.p50
        before = usd.get(one.name)
        usd[one.name] = before if one.usd is None else one.usd + (before or 0.0)
    whole = sum(rows.values())
    return tuple(
        ModelShare(name=name, rows=count, share=count / whole, p50=p50[name], usd=usd[name])
        for name, count in rows.most_common()
        if count
    )


def _causes(pictures: Sequence[StatusSnapshot]) -> tuple[FailureCause, ...]:
    found: dict[str, FailureCause] = {}
    for one in (cause for picture in pictures for cause in picture.causes):
        known = found.get(one.kind)
        found[one.kind] = (
            one if known is None else dataclasses.replace(known, rows=known.rows + one.rows)
        )
    return tuple(sorted(found.values(), key=lambda cause: -cause.rows))
