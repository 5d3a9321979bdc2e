"""What runs spend, held against the provider's own ledger (fault 37; hedges; empty accounts)."""

from __future__ import annotations

import pytest
from asking import ask, kinds, questions
from laboratory import Laboratory
from laboratory.ledger_queries import duplicates

from llmnb.adapters import prices
from llmnb.models.llm import LLM
from llmnb.running.asking import Asking
from llmnb.running.start import start
from llmnb.testing import Fixed, Stragglers, faults
from llmnb.testing.faults import share
from llmnb.testing.options import Price

INPUT, OUTPUT = 2.0, 8.0
"""Dollars for a million tokens."""

PRICE = Price(INPUT / 1e6, OUTPUT / 1e6)
DEAR = Price(0.01, 0.01)


@pytest.fixture(autouse=True)
def priced():
    """The model "a" costs what the ledger says it does."""
    prices.set_price("a", INPUT, OUTPUT)
    yield
    prices.set_price("a", None)


def dear():
    """Make every token cost a cent, so that a few requests are a budget."""
    prices.set_price("a", DEAR.prompt * 1e6, DEAR.completion * 1e6)


def begin(sim, requests, **options):
    """Start a run at the priced model."""
    options.setdefault("max_concurrent_requests", 32)
    asking = Asking(model=LLM(url=sim.base_url, api_key="k", model="a"))
    return start(requests, asking, **options)


def test_what_a_run_says_it_spent_is_what_the_ledger_bills():
    """
    To the billionth of a dollar, cached and merged rows at 0.
    """
    with Laboratory(prices=PRICE) as sim:
        requests = questions(200) + questions(50)
        run = begin(sim, requests)
        spent = sum(outcome.usd for outcome in run.result(60))

        assert run.status().counts.simulated_usd == pytest.approx(sim.ledger.totals().usd, abs=1e-9)
        assert spent == pytest.approx(sim.ledger.totals().usd, abs=1e-9)
        assert begin(sim, requests).result(60)[0].usd == 0


@pytest.mark.parametrize("hedge", [0.02, "p95"])
def test_finished_replies_are_priced_exactly_and_dropped_ones_from_above(hedge):
    """
    One in twenty is a straggler and is hedged: the two sums are never below the ledger's.
    """
    latency = Stragglers(Fixed(0.005), share=0.05, factor=100)
    with Laboratory(prices=PRICE, latency=latency, reply="word word word") as sim:
        run = begin(
            sim, [{**request, "max_tokens": 20} for request in questions(300)], hedge_after=hedge
        )
        assert kinds(run) == [""] * 300
        counts = run.status().counts
        sim.wait_idle()
        finished = sum(row.usd for row in sim.ledger.finished)

        assert counts.num_hedged > 0
        assert counts.simulated_usd == pytest.approx(
            300 * finished / len(sim.ledger.finished), abs=1e-6
        )
        assert counts.simulated_usd + counts.hedge_usd >= sim.ledger.totals().usd - 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_a_budget_is_never_overshot(seed):
    """
    With refusals, failures, lost replies and unequal answers: the ledger bills no more.
    """
    dear()
    limit = 5.0
    troubles = [share(0.1, 429), share(0.1, 500), share(0.05, faults.lost_reply())]
    with Laboratory(prices=DEAR, faults=troubles, seed=seed) as sim:
        requests = [{**request, "max_tokens": 10} for request in questions(300)]
        run = begin(sim, requests, budget_usd=limit, max_concurrent_requests=4)
        ends = kinds(run)
        sim.wait_idle()

        assert "BudgetExceeded" in ends
        assert "" in ends
        assert sim.ledger.totals().usd <= limit + 1e-9
        assert run.status().counts.simulated_usd <= limit + 1e-9


@pytest.mark.parametrize(("budget", "sent"), [(2.0, 1), (4.0, 2)])
def test_a_redundant_request_is_sent_only_where_the_budget_has_room_for_it(budget, sent):
    """
    A request may cost $1.50: within $2 a late one is waited for, within $4 it is hedged.
    """
    dear()
    with Laboratory(prices=DEAR, latency=Fixed(0.3)) as sim:
        requests = [{**request, "max_tokens": 50} for request in questions(1)]
        run = begin(sim, requests, budget_usd=budget, hedge_after=0.02)
        assert kinds(run) == [""]
        sim.wait_idle()

        assert len(sim.ledger.received) == sent
        assert sim.ledger.totals().usd <= budget


def test_what_a_budget_left_over_is_asked_by_the_next_run():
    """
    With more money nothing is bought twice.
    """
    dear()
    with Laboratory(prices=DEAR) as sim:
        requests = [{**request, "max_tokens": 5} for request in questions(40)]
        first = begin(sim, requests, budget_usd=2.0)
        assert set(kinds(first)) == {"", "BudgetExceeded"}
        assert kinds(begin(sim, requests, budget_usd=1e6)) == [""] * 40

        assert len(sim.ledger.finished) == 40
        assert duplicates(sim.ledger) == {}


def test_an_empty_account_stops_ten_thousand_rows_with_what_is_in_flight():
    """
    Where nobody named a number of places, too: those under way as the first refusal came, and one.
    """
    with Laboratory(faults=lambda request: faults.quota()) as sim:
        sim.hold()
        run = ask(sim, questions(10_000), max_concurrent_requests=None)
        sim.wait_received(1)
        while run.status().in_flight > sim.ledger.in_flight:
            run.wait(0.01)
        in_flight = sim.ledger.in_flight
        sim.release()

        assert set(kinds(run)) == {"QuotaExhausted"}
        assert len(sim.ledger.received) <= in_flight + 1
        assert type(run.error).__name__ == "QuotaExhausted"
