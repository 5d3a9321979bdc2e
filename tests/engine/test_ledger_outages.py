"""What outages cost, by the provider's own ledger (fault 11; a primary that dies in mid-run)."""

from __future__ import annotations

import pytest
from asking import ask, kinds, questions, texts
from fault_timing import after
from laboratory import Laboratory
from short_waits import shorten_waits

import llmnb.decide.breaker
from llmnb import bridge
from llmnb.engine.shared import engine
from llmnb.models.llm import LLM
from llmnb.running.asking import Asking
from llmnb.running.start import start
from llmnb.testing.faults import always, outage

PLACES = 16

UNTIL_NOTICED = PLACES + 4
"""Requests that fail before a breaker opens at the fifth failure, where none is answered
meanwhile: each of the first four gives its place to one more request."""

HEALTHY = 100
"""Requests that are answered before the server fails."""


def failing(fault, **options):
    """Return a provider that answers so many, then holds those in flight that will fail."""
    sim = Laboratory(latency=0.02, faults=after(HEALTHY, always(fault)), **options)
    sim.hold()
    sim.release(HEALTHY)
    return sim


def probe_now(sim):
    """Let the next probe of a failing provider be due."""

    async def due():
        for pool, gate in engine().gates.items():
            if sim.origin in pool and gate.health.breaker.is_open:
                gate.health.breaker.probe_at = gate.clock()
                gate.advance()

    bridge.call(due())


@pytest.mark.parametrize("fault", [503, 500])
def test_an_outage_costs_a_tenth_at_most_and_no_row(monkeypatch, fault):
    """
    20 s of it in the midst of a run, all times ten times shorter: every row is answered.
    """
    shorten_waits(monkeypatch, 10)
    rows = 600
    faults = [outage(0.4, 2.0, fault)]
    with Laboratory(latency=0.02, faults=faults, reply=lambda prompt: prompt) as sim:
        run = ask(sim, questions(rows), max_concurrent_requests=PLACES)

        assert texts(run) == [f"question {row}" for row in range(rows)]
        assert len(sim.ledger.finished) == rows
        assert len(sim.ledger.received) <= rows * 1.10


@pytest.mark.parametrize("fault", ["reset", "closed"])
def test_of_an_outage_without_a_word_only_those_in_flight_may_be_lost(monkeypatch, fault):
    """
    Nobody knows whether they were billed: few are sent again, the others say so; no more is spent.
    """
    shorten_waits(monkeypatch, 50)
    rows = 400
    with failing(fault) as sim:
        run = ask(sim, questions(rows), max_concurrent_requests=PLACES)
        sim.wait_received(HEALTHY + PLACES)  # every place is taken by one that will fail
        sim.release()
        while not run.status().pools[0].is_open:
            assert not run.wait(0.01)
        sim.wait_received(sim.ledger.totals().received + 2)  # probes
        sim.set_faults(None)

        lost = [outcome for outcome in run.result(60) if outcome.error is not None]
        assert len(lost) <= PLACES
        assert all(outcome.error.maybe_billed for outcome in lost)
        assert len(sim.ledger.received) <= rows * 1.10


def test_a_server_that_is_away_for_a_while_is_waited_for(monkeypatch):
    """
    Nobody listens: nothing is sent, so nothing is lost but what was on its way as it went.
    """
    shorten_waits(monkeypatch, 10)
    rows = 300
    with Laboratory(latency=0.02) as first:
        port = int(first.base_url.rsplit(":", 1)[1].split("/")[0])
        run = ask(first, questions(rows), max_concurrent_requests=PLACES)
        first.wait_received(100)
    while not run.status().pools[0].is_open:
        assert not run.wait(0.01)
    with Laboratory(latency=0.02, port=port) as second:
        lost = [outcome for outcome in run.result(60) if outcome.error is not None]

        assert len(lost) <= PLACES
        assert all(outcome.error.maybe_billed for outcome in lost)
        assert len(first.ledger.finished) + len(second.ledger.finished) == rows - len(lost)


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(300)
def test_a_real_outage_of_twenty_seconds_costs_a_tenth_at_most():
    """
    The same in real seconds: 503 to everybody for 20 s, 2,000 rows.
    """
    rows = 2000
    with Laboratory(latency=0.05, faults=[outage(1.0, 20.0, 503)]) as sim:
        run = ask(sim, questions(rows), max_concurrent_requests=PLACES)

        assert all(outcome.error is None for outcome in run.result(240))
        assert len(sim.ledger.received) <= rows * 1.10


def test_no_burst_follows_an_outage(monkeypatch):
    """
    Whoever waited for its end goes at the pace of the places, and one probe goes first.
    """
    shorten_waits(monkeypatch, 50)
    with failing(503) as sim:
        run = ask(sim, questions(200), max_concurrent_requests=PLACES)
        sim.wait_received(HEALTHY + PLACES)
        sim.release()
        sim.wait_received(HEALTHY + UNTIL_NOTICED + 3)
        sim.set_faults(None)

        assert set(kinds(run)) == {""}
        assert sim.ledger.totals().max_in_flight <= PLACES
        rows = sim.ledger.rows
        probes = [row for row in rows if row.fault][UNTIL_NOTICED:]
        assert len(probes) >= 3
        for probe in probes:  # each went alone
            others = [row for row in rows if row is not probe and row.finished is not None]
            assert not any(row.received < probe.received < row.finished for row in others)


def test_a_primary_that_dies_in_mid_run_wastes_little_and_gets_its_rows_back(monkeypatch):
    """
    Ten and the places are wasted at most; the fallback is used to the full; two probes end it.
    """
    shorten_waits(monkeypatch, 10)
    # Probes go when the test says so: their number does not depend on how long the rest takes.
    monkeypatch.setattr(llmnb.decide.breaker, "SHORTEST_BACK_OFF", 3600.0)
    with (
        failing(500, reply="from a") as a,
        Laboratory(reply="from b", latency=0.05) as b,
    ):
        models = [
            LLM(url=a.base_url, api_key="k", model="a"),
            LLM(url=b.base_url, api_key="k", model="b"),
        ]
        before = []  # answers of the primary when it recovered

        def rows():
            for request in questions(20_000):
                if before and a.ledger.totals().finished > before[0] + PLACES:
                    return  # it is asked again by many
                yield request

        run = start(rows(), Asking(model=models), max_concurrent_requests=PLACES)
        a.wait_received(HEALTHY + PLACES)
        b.hold()
        a.release()
        b.wait_received(PLACES)  # every place at the fallback is taken, though the primary is dead
        b.release()
        b.wait_received(150)
        wasted = [row for row in a.ledger.rows if row.fault]
        a.set_faults(None)
        before.append(a.ledger.totals().finished)
        probe_now(a)
        outcomes = run.result(60)

        assert {outcome.error for outcome in outcomes} == {None}
        assert len(wasted) <= 10 + PLACES
        # Of the probes that went after its recovery the first succeeded.
        assert len([row for row in a.ledger.rows if row.fault]) <= len(wasted) + 1
        assert len(outcomes) < 20_000
        assert len(a.ledger.finished) + len(b.ledger.finished) == len(outcomes)


@pytest.mark.slow
@pytest.mark.alone
def test_beside_a_primary_that_is_down_the_fallback_is_as_fast_as_alone():
    """
    At least nine tenths of the rows a second that it answers alone.
    """
    rows = 2000

    def seconds(has_primary):
        failing = Laboratory(faults=lambda request: 500)
        with failing as a, Laboratory(latency=0.1, ledger="totals") as b:
            models = [LLM(url=b.base_url, api_key="k", model="b")]
            if has_primary:
                models.insert(0, LLM(url=a.base_url, api_key="k", model="a"))
            run = start(questions(rows), Asking(model=models), max_concurrent_requests=PLACES)
            assert set(kinds(run)) == {""}
            totals = b.ledger.totals()
            return totals.last_received - totals.first_received

    assert seconds(False) / seconds(True) >= 0.9
