"""Promises of the cost tracker: what it says is what the provider's ledger says."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from llmnb import GLOBAL_COST_TRACKER, LLM, cost_tracking_ctx, enable_cost_tracking, set_price
from llmnb.cost import CostTracker
from llmnb.engine.cost_events import Paid
from llmnb.running.asking import Asking
from llmnb.running.start import start
from llmnb.testing import Fixed, SimulatedProvider, Stragglers

MODEL = "costly-model"


@pytest.fixture(autouse=True)
def _fresh():
    """Begin at 0, switched off, with a price of its own."""
    set_price(MODEL, 0.15, 0.60)
    GLOBAL_COST_TRACKER.reset()
    yield
    set_price(MODEL, None)
    enable_cost_tracking(False)
    GLOBAL_COST_TRACKER.reset()


def llm_at(sim, **options):
    return LLM(url=sim.base_url, api_key="k", model=f"openai/{MODEL}", **options)


def paid(usd, **fields):
    return Paid(provider="openai", model="m", usd=usd, **fields)


def test_nothing_is_counted_before_it_is_switched_on():
    """
    Off by default, and off again afterwards.
    """
    with SimulatedProvider() as sim:
        llm_at(sim).call_single_sync("one")
        enable_cost_tracking()
        llm_at(sim).call_single_sync("two")
        enable_cost_tracking(False)
        llm_at(sim).call_single_sync("three")

    assert GLOBAL_COST_TRACKER.num_requests == 1
    assert GLOBAL_COST_TRACKER.simulated_usd == pytest.approx(sim.ledger.finished[1].usd)


def test_a_stored_answer_adds_nothing():
    """
    Nobody was paid for it.
    """
    with SimulatedProvider() as sim, cost_tracking_ctx() as tracker:
        first = llm_at(sim).call_single_sync("one")
        again = llm_at(sim).call_single_sync("one")

        assert tracker.simulated_usd == first.cost > 0
        assert again.cost == 0.0


def test_it_is_seen_from_every_thread():
    """
    Switched on in one, spent in another, read in a third.
    """
    enable_cost_tracking()
    with SimulatedProvider() as sim:
        threads = [
            threading.Thread(target=llm_at(sim).call_single_sync, args=(f"prompt {number}",))
            for number in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert GLOBAL_COST_TRACKER.num_requests == 4
    assert GLOBAL_COST_TRACKER.simulated_usd == pytest.approx(sim.ledger.totals().usd)


def test_blocks_may_nest_and_overlap():
    """
    The block entered last decides; leaving them in any order restores what was.
    """
    tracker = CostTracker()
    outer, inner = tracker.within(True), tracker.within(False)

    outer.__enter__()
    inner.__enter__()
    states = [tracker.enabled]
    outer.__exit__(None, None, None)
    states.append(tracker.enabled)
    inner.__exit__(None, None, None)

    assert [*states, tracker.enabled] == [False, False, False]
    with tracker.within(True):
        assert tracker.enabled
    assert not tracker.enabled


def test_an_unknown_price_is_counted_apart_never_as_nothing():
    """
    The sum lacks it, and says so.
    """
    tracker = CostTracker()

    tracker.record(paid(None))
    tracker.record(paid(0.5))

    assert (tracker.num_requests, tracker.num_unpriced) == (2, 1)
    assert tracker.lifetime_cost_usd == 0.5
    assert tracker.by_model == {"openai/m": 0.5}


def test_a_sum_of_very_many_is_exact():
    """
    Twenty thousand times a tenth of a cent is twenty dollars, to the last nano-dollar.
    """
    tracker = CostTracker(report_every_usd=None)

    for _ in range(20_000):
        tracker.record(paid(0.001))

    assert tracker.lifetime_cost_usd == pytest.approx(20.0, abs=1e-12)


def test_reports_come_after_so_many_dollars(caplog):
    """
    One line each time that the sum has grown by `report_every_usd`.
    """
    tracker = CostTracker()
    tracker.report_every_usd = 2.0

    with caplog.at_level(logging.INFO, "llmnb"):
        for _ in range(5):
            tracker.record(paid(1.0))

    assert [record.message for record in caplog.records] == [
        "Spent so far: $2.00 on 2 requests.",
        "Spent so far: $4.00 on 4 requests.",
    ]


def test_callbacks_plain_and_async_learn_of_every_payment():
    """
    With provider, model, dollars, tokens and project; taken back they hear no more.
    """
    heard, heard_async, is_there = [], [], threading.Event()

    async def listen(paid):
        await asyncio.sleep(0)
        heard_async.append(paid)
        is_there.set()

    GLOBAL_COST_TRACKER.add_callback(heard.append)
    GLOBAL_COST_TRACKER.add_callback(listen)
    try:
        with SimulatedProvider() as sim, cost_tracking_ctx():
            llm_at(sim, project_name="Mine").call_single_sync("one")
            assert is_there.wait(30)
            GLOBAL_COST_TRACKER.remove_callback(heard.append)
            llm_at(sim).call_single_sync("two")
    finally:
        GLOBAL_COST_TRACKER.remove_callback(heard.append)
        GLOBAL_COST_TRACKER.remove_callback(listen)

    (paid,) = heard
    assert (paid.provider, paid.model, paid.project, paid.simulated) == (
        "openai",
        MODEL,
        "Mine",
        True,
    )
    assert paid.usd == pytest.approx(sim.ledger.finished[0].usd)
    assert paid.usage.total > 0
    assert heard_async[0] == paid


def test_a_callback_that_fails_costs_no_answer(caplog):
    """
    The log names it; the row has its answer.
    """

    def breaks(paid):
        raise RuntimeError("accounts closed")

    GLOBAL_COST_TRACKER.add_callback(breaks)
    try:
        with SimulatedProvider(reply="kept") as sim, cost_tracking_ctx():
            result = llm_at(sim).call_single_sync("one")
    finally:
        GLOBAL_COST_TRACKER.remove_callback(breaks)

    assert result.text == "kept"
    assert "listener" in caplog.text


def test_llm_cost_tells_what_the_tracker_counts(cache_dir):
    """
    Beside the spend logs, where it was switched on; nothing where it was not.
    """
    from llmnb.notebook.magics_looking import spending

    with SimulatedProvider() as sim:
        llm_at(sim).call_single_sync("one")
        before = str(spending(cache_dir))
        with cost_tracking_ctx():
            llm_at(sim).call_single_sync("two")

    assert "cost tracker" not in before
    assert "The cost tracker counts $0 and <$0.0001 simulated here." in str(spending(cache_dir))


def mixed(rows):
    """Requests of which a fifth repeat an earlier one."""
    return [
        {"messages": [{"role": "user", "content": f"question {row % (rows * 4 // 5)}"}]}
        for row in range(rows)
    ]


def reply(prompt):
    """Answer; every third question with reasoning before it."""
    if sum(map(ord, prompt)) % 3 == 0:
        return {"content": prompt.upper(), "reasoning_content": "thinking " * (len(prompt) % 7)}
    return prompt[::-1] * (1 + len(prompt) % 5)


def faults(request):
    """Fail now and then the first time."""
    if request.attempt:
        return None
    return {0: 500, 1: 429, 2: 503}.get(request.number % 50)


@pytest.mark.parametrize(
    "rows", [500, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(300)])]
)
def test_the_cost_of_mixed_requests_is_the_ledgers_to_the_nano_dollar(rows):
    """
    Cached, merged, reasoning, retried: tracker, run and results agree with the provider.
    """
    with SimulatedProvider(reply=reply, faults=faults, latency=0) as sim, cost_tracking_ctx() as on:
        asking = Asking(model=llm_at(sim))
        start(mixed(rows)[: rows // 4], asking, max_concurrent_requests=64).result(100)
        run = start(mixed(rows), asking, max_concurrent_requests=64)
        outcomes = run.result(100)
        spent = on.simulated_usd

    billed = sum(row.usd for row in sim.ledger.finished)
    assert all(outcome.is_answer for outcome in outcomes)
    assert {outcome.source for outcome in outcomes} >= {"sent", "cached"}
    assert on.num_requests == len(sim.ledger.finished) == rows * 4 // 5
    assert spent == pytest.approx(billed, abs=1e-9)
    assert sim.ledger.totals().usd == pytest.approx(billed, abs=1e-9)


@pytest.mark.parametrize("rows", [200, pytest.param(2_000, marks=pytest.mark.slow)])
def test_hedged_requests_cost_exactly_what_was_kept_and_at_most_the_bound(rows):
    """
    The kept replies to the nano-dollar; all that was dropped is never more than its bound.
    """
    latency = Stragglers(Fixed(0.02), share=0.2, factor=20)
    with (
        SimulatedProvider(reply=reply, latency=latency, seed=1) as a,
        SimulatedProvider(reply=reply, latency=latency, seed=2) as b,
        cost_tracking_ctx() as on,
    ):
        run = start(
            [{"prompt": f"q {row}"} for row in range(rows)],
            Asking(model=[llm_at(a), llm_at(b)], params={"max_tokens": 64}),
            hedge_after=0.1,
            max_concurrent_requests=64,
        )
        outcomes = run.result(100)
        exact, bound = on.simulated_usd, on.upper_bound_usd

    assert all(outcome.is_answer for outcome in outcomes)
    kept = sum(outcome.usd for outcome in outcomes)
    all_of_it = a.ledger.totals().usd + b.ledger.totals().usd
    assert exact == pytest.approx(kept, abs=1e-9)
    assert exact <= all_of_it + 1e-9
    assert all_of_it <= exact + bound + 1e-9
    assert bound == pytest.approx(run.status().counts.hedge_usd, abs=1e-9)
    assert bound > 0
