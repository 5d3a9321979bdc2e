"""Promises of the limiter in the engine: a limit given to it binds every run and counts right."""

from __future__ import annotations

import pytest
from laboratory.ledger_queries import worst_window_of

from llmnb import AsyncLLM, bridge
from llmnb.decide.admission import Admission
from llmnb.engine.shared import engine
from llmnb.errors import ConfigurationError
from llmnb.models.llm import LLM
from llmnb.running.asking import Asking
from llmnb.running.start import start
from llmnb.testing import SimulatedProvider, faults

PER_MINUTE = 1200


@pytest.fixture
def model(request):
    """A model that no other test has asked: what was used of a limit stays used."""
    return request.node.name[:60]


def ask(sim, model, rows, **options):
    """Ask so many different questions."""
    return start(
        [{"prompt": f"question {row}"} for row in range(rows)],
        Asking(model=LLM(url=sim.base_url, api_key="k", model=model), params={"max_tokens": 5}),
        **options,
    )


@pytest.mark.alone
def test_requests_keep_the_rate_and_the_status_is_what_the_ledger_saw(global_limiter, model):
    """
    Every window is within the limit; the count is right to the request, retries included.
    """
    global_limiter.rate_config["client|request", model] = "20 per second; 1200 per minute"
    script = [None, None, faults.status(500), None, None, faults.status(500)]
    with SimulatedProvider(latency=0, faults=script) as sim:
        outcomes = ask(sim, model, 40).result()
        ledger = sim.ledger

    status = global_limiter.rate_limit_status_sync()["client|request", model]
    assert all(outcome.is_answer for outcome in outcomes)
    assert ledger.totals().received == 42
    assert worst_window_of(ledger, PER_MINUTE).is_within
    if status["period_seconds"] == 60:
        assert status["n_items_in_period"] == 42


def test_tokens_are_counted_as_they_turn_out(global_limiter, model):
    """
    What was reserved for an answer and not used is taken out again: the ledger's own figure.
    """
    global_limiter.rate_config["client", model] = 1_000_000
    with SimulatedProvider(latency=0) as sim:
        ask(sim, model, 25).result()
        billed = sum(row.prompt_tokens + row.completion_tokens for row in sim.ledger.rows)

    status = global_limiter.rate_limit_status_sync()["client", model]

    assert status["n_items_in_period"] == billed


@pytest.mark.alone
def test_async_llm_is_bound_too(global_limiter, model):
    """
    Every door leads to the same engine.
    """
    global_limiter.rate_config["client|request", "gpt-4o-mini"] = PER_MINUTE
    with SimulatedProvider(latency=0) as sim:
        llm = AsyncLLM(api_provider="openai", model="gpt-4o-mini", api_key="k", url=sim.base_url)
        llm.generate([{"prompt": str(row)} for row in range(30)])
        worst = worst_window_of(sim.ledger, PER_MINUTE)

    assert worst.is_within


def test_two_models_at_two_places_share_a_bare_names_limit(global_limiter, model):
    """
    One limit, not one for each address.
    """
    global_limiter.rate_config["client|request", model] = PER_MINUTE
    with SimulatedProvider(latency=0) as first, SimulatedProvider(latency=0) as other:
        runs = [ask(sim, model, 25) for sim in (first, other)]
        for run in runs:
            run.result()

    status = global_limiter.rate_limit_status_sync()["client|request", model]
    assert status["n_items_in_period"] == 50


def test_calls_and_the_engine_use_the_same_limit(global_limiter, model):
    """
    What a person acquires by hand the engine does not get.
    """
    global_limiter.rate_config["client|request", model] = PER_MINUTE
    with SimulatedProvider(latency=0) as sim:
        ask(sim, model, 3).result()
        global_limiter.try_acquire_sync(("client|request", model), weight=4)

    status = global_limiter.rate_limit_status_sync()["client|request", model]
    assert status["n_items_in_period"] == 7


def admission_of(sim, model):
    """Return the admission before a model of a simulated provider.

    Gates outlive their test, and a later provider may get the port of an earlier one.
    """

    async def look():
        (gate,) = [
            gate for pool, gate in engine().gates.items() if sim.origin in pool and model in pool
        ]
        return gate.account.admission

    return bridge.call(look())


def test_a_limit_set_in_the_midst_of_a_run_holds_from_then_on(global_limiter, model):
    """
    Nobody has to stop and start again; taken away, it is gone, too.
    """
    with SimulatedProvider(latency=0.02) as sim:
        run = ask(sim, model, 60, max_concurrent_requests=2)
        run.wait(0.1)
        global_limiter.rate_config["client|request", model] = 1
        while "limit of 1 requests/min" not in run.status().waiting_on:
            run.wait(0.02)
        slowed = run.status()
        del global_limiter.rate_config["client|request", model]
        outcomes = run.result()

    assert slowed.counts.num_rows_done < 60
    assert all(outcome.is_answer for outcome in outcomes)


def test_without_a_limit_nothing_waits(global_limiter, model):
    """
    The engine's own admission is used, untouched.
    """
    global_limiter.rate_config["client|request", "another"] = 5
    with SimulatedProvider(latency=0) as sim:
        ask(sim, model, 5).result()

        assert type(admission_of(sim, model)) is Admission


def test_a_wrong_address_is_an_error_before_anything_is_sent(global_limiter, model, monkeypatch):
    """
    A limit that is meant to be shared is not silently kept alone.
    """
    global_limiter.rate_config["client|request", model] = PER_MINUTE
    monkeypatch.setenv("REDIS_URL", "http://nowhere")
    with SimulatedProvider(latency=0) as sim, pytest.raises(ConfigurationError, match="REDIS_URL"):
        ask(sim, model, 5)

    assert sim.ledger.totals().received == 0


def test_stopping_a_run_that_waits_for_a_limit_ends_it(global_limiter, model):
    """
    A limit of one an hour does not hold a person.
    """
    global_limiter.rate_config["client|request", model] = "1/hour"
    with SimulatedProvider(latency=0) as sim:
        run = ask(sim, model, 5, streams=True)
        next(run.outcomes())
        run.cancel()
        run.wait()

    assert run.status().counts.num_tasks_succeeded == 1
