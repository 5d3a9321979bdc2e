"""The engine's own waits, shorter: what is promised of twenty seconds is seen in two."""

from __future__ import annotations

from typing import Any

import pytest

import llmnb.decide.breaker
import llmnb.engine.gate
import llmnb.engine.request_task
import llmnb.running.start
from llmnb.decide.retry import RetryPolicy
from llmnb.engine.gate import PATIENCE_SECONDS


def shorten_waits(monkeypatch: pytest.MonkeyPatch, factor: float) -> None:
    """Let every wait of a retry, a breaker and a fallback be `factor` times as short."""
    for name in ("FIRST_BACK_OFF", "LONGEST_BACK_OFF", "SHORTEST_BACK_OFF"):
        seconds = getattr(llmnb.decide.breaker, name)
        monkeypatch.setattr(llmnb.decide.breaker, name, seconds / factor)
    for module in (llmnb.engine.gate, llmnb.engine.request_task):
        monkeypatch.setattr(module, "PATIENCE_SECONDS", PATIENCE_SECONDS / factor)

    def policy(**options: Any) -> RetryPolicy:
        return RetryPolicy(**options, base_seconds=0.5 / factor, cap_seconds=30.0 / factor)

    monkeypatch.setattr(llmnb.running.start, "RetryPolicy", policy)
