"""Rows that always fail, targets that are down, waits of nothing and of a day."""

from __future__ import annotations

import functools
import socket

import pytest
from asking import ask, kinds, questions, texts
from laboratory import Laboratory

import llmnb.decide.breaker
import llmnb.engine.row_errors
import llmnb.engine.run_context
import llmnb.running.start
from llmnb.decide.retry import RetryPolicy
from llmnb.running.asking import Asking
from llmnb.running.start import start
from llmnb.testing import faults
from llmnb.testing.faults import outage


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Wait hundredths of seconds where a run would wait seconds."""
    policy = functools.partial(RetryPolicy, base_seconds=0.02)
    monkeypatch.setattr(llmnb.running.start, "RetryPolicy", policy)
    monkeypatch.setattr(llmnb.decide.breaker, "FIRST_BACK_OFF", 0.1)
    monkeypatch.setattr(llmnb.decide.breaker, "LONGEST_BACK_OFF", 0.3)
    monkeypatch.setattr(llmnb.decide.breaker, "SHORTEST_BACK_OFF", 0.02)


def poison(rows, status=500):
    """Return a rule that fails these rows for ever."""
    bad = {f"question {row}" for row in rows}
    return lambda request: status if request.messages[-1]["content"] in bad else None


def sendings(sim, rows):
    """Return how often each of so many questions was asked."""
    return [sim.ledger.count(f"question {row}") for row in range(rows)]


@pytest.mark.parametrize("status", [500, 502, 503, 529])
def test_a_clump_of_rows_that_always_fail_costs_no_other_row(status):
    """
    Twelve of them at the head: the thirty behind are answered, each bad one is sent three times.
    """
    with Laboratory(latency=0.005, faults=poison(range(12), status)) as sim:
        run = ask(sim, questions(42), max_concurrent_requests=8, max_wait=20)

        assert texts(run)[12:].count(None) == 0
        assert kinds(run)[:12] == ["ProviderError"] * 12
        assert sendings(sim, 42) == [3] * 12 + [1] * 30


def test_three_rows_that_always_fail_are_sent_max_attempts_times():
    """
    Fewer than five different rows never open the breaker: they end, and nobody waits.
    """
    with Laboratory(latency=0.005, faults=poison((0, 1, 39))) as sim:
        run = ask(sim, questions(40), max_concurrent_requests=8, max_wait=20)
        failed = [outcome.row for outcome in run.result(60) if outcome.error is not None]

        assert failed == [0, 1, 39]
        assert sendings(sim, 40) == [3, 3, *[1] * 37, 3]


def test_no_row_carries_the_error_of_a_request_that_it_did_not_send():
    """
    Where a target is given up, a row that was never sent has no status and was not billed.
    """
    with Laboratory(faults=lambda request: 500) as sim:
        run = ask(sim, questions(60), max_concurrent_requests=4, max_wait=0.3, max_attempts=99)
        outcomes = run.result(60)
        sent = sendings(sim, 60)

    never = [outcome for outcome in outcomes if not sent[outcome.row]]
    assert never
    assert {type(outcome.error).__name__ for outcome in never} == {"Unsent"}
    assert {outcome.error.status for outcome in never} == {None}
    assert not any(outcome.error.maybe_billed for outcome in never)
    asked = [outcome for outcome in outcomes if sent[outcome.row]]
    assert {outcome.error.status for outcome in asked} == {500}


def test_a_row_whose_reply_was_lost_says_so_though_its_target_is_disabled_later():
    """
    Money that may have been spent on a row is never forgotten.
    """
    with Laboratory() as sim:
        ask(sim, [{"prompt": "Is anybody there?"}]).result(60)  # else a handful goes first
        sim.set_faults(lambda request: "reset")
        run = ask(sim, questions(20), max_concurrent_requests=20, max_wait=0.3)

        assert all(outcome.error.maybe_billed for outcome in run.result(60))


def test_an_address_where_nobody_listens_is_reported_once_for_all_rows(monkeypatch):
    """
    After a while without any answer the run is over; the next one tries afresh.
    """
    for module in (llmnb.engine.row_errors, llmnb.engine.run_context):
        monkeypatch.setattr(module, "UNREACHED_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    asking = Asking(model="m", api_key="k", url=f"http://127.0.0.1:{port}/v1")
    run = start(questions(40), asking, max_concurrent_requests=4)
    errors = [outcome.error for outcome in run.result(30)]

    assert {type(error).__name__ for error in errors} == {"Unsent"}
    assert f"127.0.0.1:{port}" in run.error.message
    assert "connection refused" in run.error.message
    assert sum(not error.attempts for error in errors) >= 20
    with Laboratory(port=port):
        assert texts(start(questions(40), asking, max_concurrent_requests=4)).count(None) == 0


def test_a_local_server_that_is_not_running_is_reported_with_the_command_that_starts_it():
    """
    Whether it was named or given by its address.
    """

    class Here:
        provider = "openai"
        endpoint = "http://localhost:11434/v1/chat/completions"

    assert "ollama serve" in llmnb.engine.row_errors.how_to_start(Here())
    Here.endpoint, Here.provider = "http://10.0.0.9/v1", "lmstudio"
    assert "lms server start" in llmnb.engine.row_errors.how_to_start(Here())


@pytest.mark.parametrize("status", [429, 503, 529])
@pytest.mark.parametrize("concurrency", [None, 4])
def test_a_wait_of_nothing_is_no_leave_to_ask_at_once(status, concurrency):
    """
    A second of it, with a schedule that begins at 20 ms: a handful of requests a row.
    """
    refusal = faults.status(status, headers={"Retry-After": "0"})
    with Laboratory(faults=[outage(0.0, 1.0, refusal)]) as sim:
        run = ask(sim, questions(3), max_concurrent_requests=concurrency)

        assert kinds(run) == ["", "", ""]
        assert max(sendings(sim, 3)) <= 16


def test_a_wait_of_a_day_is_heard_once():
    """
    The target is given up for the run: no more than were in flight ask, and one message says when.
    """
    refusal = faults.rate_limited(retry_after=86_400)
    with Laboratory(latency=0.01, faults=lambda request: refusal) as sim:
        run = ask(sim, questions(200), max_concurrent_requests=8)
        outcomes = run.result(30)

        assert len(sim.ledger.rows) <= 9
    assert all(outcome.error is not None for outcome in outcomes)
    assert "come back in 24 h" in run.error.message
    assert sum(outcome.error.status is None for outcome in outcomes) >= 191


@pytest.mark.parametrize("fault", [faults.rate_limited(retry_after=86_400), 401])
@pytest.mark.parametrize("racing", [{"time_limit": 50}, {"hedge_after": 50}])
def test_a_disabled_target_is_asked_no_more_where_requests_may_race(fault, racing):
    """
    A refusal ends the asking before its slot is given to the next request.
    """
    with Laboratory(latency=0.01, faults=lambda request: fault) as sim:
        run = ask(sim, questions(200), max_concurrent_requests=8, **racing)

        assert all(kinds(run))
        assert len(sim.ledger.rows) <= 8


def test_a_wait_of_a_day_is_waited_for_where_max_wait_covers_it():
    """
    The run goes on and shows until when; another run beside it does not wait along.
    """
    refusal = faults.rate_limited(retry_after=86_400)
    with Laboratory(faults=[refusal]) as sim:
        patient = ask(sim, questions(3), max_concurrent_requests=1, max_wait=100_000)
        while "asked for a pause" not in patient.status().waiting_on:
            assert not patient.wait(0.01)
        sim.wait_idle()
        asked = len(sim.ledger.rows)

        assert kinds(ask(sim, questions(2, first=10))) == ["Unsent", "Unsent"]
        assert patient.status().state == "running"
        assert len(sim.ledger.rows) == asked
        patient.cancel()
        patient.wait()


def test_a_new_run_is_not_blocked_by_what_an_earlier_run_met(monkeypatch):
    """
    A parked run waits for its next probe; a question put meanwhile goes at once.
    """
    monkeypatch.setattr(llmnb.decide.breaker, "FIRST_BACK_OFF", 1000.0)
    monkeypatch.setattr(llmnb.decide.breaker, "SHORTEST_BACK_OFF", 50.0)
    monkeypatch.setattr(llmnb.decide.breaker, "LONGEST_BACK_OFF", 1000.0)
    with Laboratory(faults=lambda request: 500) as sim:
        parked = ask(sim, questions(20), max_concurrent_requests=8)
        while not (parked.status().pools and parked.status().pools[0].is_open):
            assert not parked.wait(0.01)
        sim.wait_idle()
        sim.set_faults(None)

        assert kinds(ask(sim, questions(1, first=100))) == [""]
        assert kinds(parked) == [""] * 20


def test_the_line_of_a_failing_target_names_the_cause(monkeypatch):
    """
    A count of failures helps nobody to mend them.
    """
    monkeypatch.setattr(llmnb.decide.breaker, "SHORTEST_BACK_OFF", 50.0)
    with Laboratory(faults=lambda request: 502) as sim:
        run = ask(sim, questions(20), max_concurrent_requests=8)
        while "(HTTP 502)" not in run.status().waiting_on:
            assert not run.wait(0.01)
        run.cancel()
        run.wait()


def test_a_server_that_serves_so_many_at_once_loses_no_row():
    """
    It fails whatever is more than eight at a time: the load comes back slowly and stays below.
    """
    with Laboratory(latency=0.03) as sim:
        sim.set_faults(lambda request: 500 if sim.ledger.totals().in_flight > 8 else None)
        run = ask(sim, questions(60), max_concurrent_requests=24)

        assert kinds(run) == [""] * 60


@pytest.mark.parametrize("outage", [9, 40])
def test_a_server_that_serves_twenty_at_once_loses_no_row_after_an_outage(outage):
    """
    Whether it ends while the first requests are on their way, or after the last of these.
    """
    with Laboratory(latency=0.03) as sim:

        def fault(request):
            if request.number < outage:
                return 503
            return 500 if sim.ledger.in_flight > 20 else None

        sim.set_faults(fault)
        run = ask(sim, questions(100), max_concurrent_requests=40)

        assert kinds(run) == [""] * 100


def test_good_rows_behind_a_clump_of_bad_ones_wait_for_no_probe(monkeypatch):
    """
    Their answers show that the server is there, whatever the bad ones before them met.
    """
    monkeypatch.setattr(llmnb.decide.breaker, "SHORTEST_BACK_OFF", 3600.0)
    with Laboratory(latency=0.05, faults=poison(range(6))) as sim:
        run = ask(sim, questions(40), max_concurrent_requests=8)

        assert kinds(run)[6:] == [""] * 34
        assert sendings(sim, 40) == [3] * 6 + [1] * 34
