"""A client that loses its patience soon, and retries that do not wait long."""

from __future__ import annotations

import functools

import pytest
from conversations import CAP_BYTES

import llmnb.decide.breaker
import llmnb.models.start
import llmnb.models.target
from llmnb import bridge
from llmnb.adapters.http import HttpClient
from llmnb.decide.retry import RetryPolicy

IDLE_SECONDS = 0.5
TOTAL_SECONDS = 1.5


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Wait hundredths of seconds where a run would wait seconds; keep replies below 1 MiB."""
    policy = functools.partial(RetryPolicy, base_seconds=0.01)
    monkeypatch.setattr(llmnb.models.start, "RetryPolicy", policy)
    monkeypatch.setattr(llmnb.decide.breaker, "FIRST_BACK_OFF", 0.2)
    monkeypatch.setattr(llmnb.decide.breaker, "SHORTEST_BACK_OFF", 0.02)
    use(monkeypatch, "small", max_body=CAP_BYTES)


@pytest.fixture
def impatient(monkeypatch):
    """Give up after half a second of silence, or after a second and a half in all."""
    use(monkeypatch, "impatient", idle_timeout=IDLE_SECONDS, total_timeout=TOTAL_SECONDS)


def use(monkeypatch, name, **settings):
    """Let the engine's requests go through a client of their own."""

    def client():
        make = functools.partial(HttpClient, **settings)
        return bridge.per_loop(f"http-{name}", make, HttpClient.close)

    monkeypatch.setattr(llmnb.models.target, "http_client", client)
