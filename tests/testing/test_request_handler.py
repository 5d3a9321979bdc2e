from __future__ import annotations

import gc
import tracemalloc

import pytest

from llmnb.testing.options import Behaviour
from llmnb.testing.request_handler import RequestHandler

BODY = b'{"model":"m","messages":[{"role":"user","content":"question %d"}],"max_tokens":8}'


def serve(handler: RequestHandler, number: int, headers: dict[str, str] | None = None):
    plan = handler.receive("POST", "/v1/chat/completions", headers or {}, BODY % number)
    handler.close(plan)
    return plan


def test_totals_only_keeps_memory_flat():
    """
    Ten thousand more requests, each with a prompt of its own, leave nothing behind.
    """
    handler = RequestHandler(Behaviour.of({"ledger": "totals", "requests_per_minute": 1e9}))
    for number in range(1000):
        serve(handler, number)
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(1000, 11_000):
            serve(handler, number)
        gc.collect()
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert handler.ledger.totals().finished == 11_000
    assert kept_bytes < 20_000


@pytest.mark.parametrize("name", ["authorization", "api-key", "x-api-key", "x-goog-api-key"])
def test_the_key_is_taken_from_where_each_provider_puts_it(name):
    """
    Four headers, one key.
    """
    handler = RequestHandler(Behaviour.of({"api_key": "right"}))
    prefix = "Bearer " if name == "authorization" else ""

    assert serve(handler, 0, {name: f"{prefix}right"}).status == 200
    assert serve(handler, 0, {name: f"{prefix}wrong"}).status == 401


def test_a_key_is_looked_at_before_faults_and_limits():
    """
    Who has no key meets neither the script nor the limits.
    """
    options = {"api_key": "k", "faults": [500, 500], "requests_per_minute": 60, "burst_seconds": 1}
    handler = RequestHandler(Behaviour.of(options))
    with_key = {"authorization": "Bearer k"}

    assert serve(handler, 0).status == 401
    assert serve(handler, 0, with_key).status == 500
    assert [serve(handler, 0, with_key).status for _ in range(2)] == [200, 429]


def test_each_prompt_s_first_requests_fail_in_totals_mode_too():
    """
    A script that looks at attempts has them counted, whatever the ledger keeps.
    """
    handler = RequestHandler(
        Behaviour.of(
            {"ledger": "totals", "faults": lambda request: 503 if request.attempt == 0 else None}
        )
    )

    assert [serve(handler, number).status for number in (1, 2, 1, 2)] == [503, 503, 200, 200]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/chat/completions", 404),
        ("PUT", "/v1/completions", 404),
        ("POST", "/v1/models", 404),
        ("GET", "/v1/models", 200),
        ("GET", "/v1/models/any/name", 200),
        ("GET", "/", 404),
        ("GET", "/__ledger__", 200),
    ],
)
def test_only_what_exists_is_answered(method, path, status):
    """
    Other methods and paths are 404, and none of it counts as a request for an answer.
    """
    handler = RequestHandler(Behaviour.of({}))

    assert handler.receive(method, path, {}, b"").status == status
    assert handler.ledger.totals().received == 0


def test_leaving_after_the_end_changes_nothing():
    """
    The first word about how a request ended is the last.
    """
    handler = RequestHandler(Behaviour.of({}))
    plan = serve(handler, 0)
    handler.leave(plan)

    assert (handler.ledger.totals().finished, handler.ledger.totals().cancelled) == (1, 0)


def test_waits_follow_the_length_of_the_answer_where_a_pace_is_set():
    """
    Not streamed, the first byte comes when the last token is made.
    """
    handler = RequestHandler(
        Behaviour.of({"latency": 0.5, "tokens_per_second": 10.0, "reply": "12345678"})
    )

    assert serve(handler, 0).delay == pytest.approx(0.5 + 2 / 10)
