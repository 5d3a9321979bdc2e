"""A client that loses its patience soon, and retries that do not wait long."""

from __future__ import annotations

import functools
import itertools

import http_transports
import pytest
from conversations import CAP_BYTES

import llmnb.decide.breaker
import llmnb.running.start
import llmnb.targets.target
from llmnb import bridge
from llmnb.adapters.http import HttpClient, trial
from llmnb.decide.retry import RetryPolicy

IDLE_SECONDS = 0.5
TOTAL_SECONDS = 1.5

_numbers = itertools.count()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Wait hundredths of seconds where a run would wait seconds; keep replies below 1 MiB."""
    policy = functools.partial(RetryPolicy, base_seconds=0.01)
    monkeypatch.setattr(llmnb.running.start, "RetryPolicy", policy)
    monkeypatch.setattr(llmnb.decide.breaker, "FIRST_BACK_OFF", 0.2)
    monkeypatch.setattr(llmnb.decide.breaker, "SHORTEST_BACK_OFF", 0.02)
    use(monkeypatch, "small", max_body=CAP_BYTES)


@pytest.fixture(params=http_transports.TRANSPORTS)
def both_ways(request, monkeypatch):
    """Send requests by hand, then by aiohttp's session: what is promised holds for both."""
    http_transports.use(monkeypatch, request.param)


@pytest.fixture
def impatient(monkeypatch):
    """Give up after half a second of silence, or after a second and a half in all."""
    use(monkeypatch, "impatient", idle_timeout=IDLE_SECONDS, total_timeout=TOTAL_SECONDS)


@pytest.fixture
def untried(monkeypatch):
    """Begin as a process does: the library was not tried, and no connection is open."""
    monkeypatch.setattr(trial, "is_passed", None)
    use(monkeypatch, f"untried-{next(_numbers)}")


def use(monkeypatch, name, **settings):
    """Let the engine's requests go through a client of their own."""

    def client():
        make = functools.partial(HttpClient, **settings)
        return bridge.per_loop(f"http-{name}", make, HttpClient.close)

    monkeypatch.setattr(llmnb.targets.target, "http_client", client)
