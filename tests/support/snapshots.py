"""Snapshots of a run as tests of the notebook's surfaces need them."""

from __future__ import annotations

import calendar
from typing import Any

from llmnb.engine.status import (
    FailureCause,
    ModelShare,
    PoolStatus,
    Sample,
    StatusSnapshot,
    StatusTracker,
)

NOW = float(calendar.timegm((2026, 11, 14, 14, 32, 48)))

SHARES = (
    ModelShare(name="openai/gpt-5-mini", rows=871, share=0.855, p50=11.0, usd=1.16),
    ModelShare(name="anthropic/claude-haiku-4.5", rows=118, share=0.116, p50=4.6, usd=0.41),
    ModelShare(name="groq/llama-3.3-70b", rows=30, share=0.029, p50=1.2, usd=0.02),
)
CAUSES = (
    FailureCause(
        kind="ContextOverflow",
        words="longer than the context",
        rows=5,
        first_row=1871,
        example="412,806 tokens where gpt-5-mini takes 400,000",
    ),
    FailureCause(
        kind="Refused",
        words="refused by the model",
        rows=3,
        first_row=640,
        example="“I can’t help with that request.”",
    ),
    FailureCause(
        kind="TimedOut",
        words="no answer in time",
        rows=1,
        first_row=97,
        example="120 s, three attempts",
    ),
)


def counts(**changes: Any) -> StatusTracker:
    """Return the counters of a run at 56 %."""
    usual: dict[str, Any] = {
        "num_tasks_started": 1092,
        "num_tasks_in_progress": 64,
        "num_tasks_succeeded": 1019,
        "num_tasks_failed": 9,
        "num_rate_limit_errors": 31,
        "num_api_errors": 12,
        "num_other_errors": 2,
        "time_of_last_rate_limit_error": NOW - 41,
        "num_rows": 2400,
        "num_rows_done": 1338,
        "num_cached": 200,
        "num_reused": 14,
        "num_merged": 96,
        "num_requests": 1135,
        "num_retried": 43,
        "num_hedged": 12,
        "hedge_usd": 0.02,
        "usd": 1.59,
        "saved_usd": 0.48,
        "prompt_tokens": 526_000,
        "completion_tokens": 654_000,
    }
    return StatusTracker(**{**usual, **changes})


def pool(**changes: Any) -> PoolStatus:
    """Return a target whose places are all taken."""
    usual: dict[str, Any] = {
        "provider": "openai",
        "model": "gpt-5-mini",
        "in_flight": 64,
        "places": 64,
        "requests_per_minute": 500,
        "tokens_per_minute": 500_000,
    }
    return PoolStatus(**{**usual, **changes})


def samples(number: int = 70) -> tuple[Sample, ...]:
    """Return as many slices of three seconds."""
    return tuple(
        Sample(
            seconds=3.0 * (index + 1),
            requests_per_minute=300.0,
            tokens_per_minute=330_000.0,
            refusals=int(index in (33, 35)),
        )
        for index in range(number)
    )


def snapshot(tracker: StatusTracker | None = None, **changes: Any) -> StatusSnapshot:
    """Return a run at 56 %, waiting on replies."""
    usual: dict[str, Any] = {
        "state": "running",
        "total": 2400,
        "launched": 1402,
        "completed": 1338,
        "counts": tracker or counts(),
        "waiting_on": "Waiting on replies: all 64 places in flight are taken.",
        "in_flight": 64,
        "seconds": 252.0,
        "project": "tickets",
        "models": {},
        "simulated": False,
        "started_at": NOW - 252,
        "pools": (pool(),),
        "shares": SHARES,
        "causes": CAUSES,
        "samples": samples(),
        "latencies": tuple(2.0 + index / 5 for index in range(150)),
        "p50": 11.2,
        "p95": 26.1,
        "requests_per_minute": 304.0,
        "tokens_per_minute": 331_000.0,
        "budget_usd": 5.0,
    }
    return StatusSnapshot(**{**usual, **changes})


def finished(**changes: Any) -> StatusSnapshot:
    """Return the same run at its end: 9 of 2,400 rows failed."""
    tracker = counts(
        num_tasks_started=2067,
        num_tasks_in_progress=0,
        num_tasks_succeeded=2058,
        num_merged=119,
        num_rows_done=2400,
        num_requests=2064,
        usd=3.21,
        saved_usd=0.52,
        prompt_tokens=1_004_000,
        completion_tokens=1_240_000,
    )
    usual: dict[str, Any] = {
        "state": "finished",
        "launched": 2400,
        "completed": 2400,
        "in_flight": 0,
        "waiting_on": "",
        "seconds": 424.0,
        "ended_at": NOW + 393,
        "waited_seconds": 12.0,
    }
    return snapshot(changes.pop("tracker", tracker), **{**usual, **changes})


def stopped(**changes: Any) -> StatusSnapshot:
    """Return the same run, stopped with 998 rows not sent."""
    tracker = counts(
        num_tasks_in_progress=0,
        num_tasks_succeeded=1083,
        num_rows_done=2400,
        num_stopped=998,
        usd=1.69,
    )
    usual: dict[str, Any] = {
        "state": "stopped",
        "launched": 2400,
        "completed": 2400,
        "in_flight": 0,
        "waiting_on": "",
        "seconds": 211.0,
        "ended_at": NOW + 3,
    }
    return snapshot(tracker, **{**usual, **changes})
