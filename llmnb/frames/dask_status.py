"""How the picture of a run travels between processes, and what is left of one that has ended."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from llmnb.engine.status import (
    FailureCause,
    ModelShare,
    PoolStatus,
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
