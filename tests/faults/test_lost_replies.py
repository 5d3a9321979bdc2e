"""Promises about requests whose reply is lost: bought twice at most, and only while it pays."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from asking import ask, kinds, questions
from conversations import raw
from laboratory.ledger_queries import counts
from script_server import GOOD, ScriptServer, reply

import llmnb.decide.breaker
from llmnb.testing import SimulatedProvider

pytestmark = pytest.mark.usefixtures("both_ways")

HALF = raw("HTTP/1.1 200 OK\ncontent-type: application/json\ncontent-length: 200") + GOOD[:50]


def raw(server):
    """Return how often each prompt was sent to a server."""
    bodies = [json.loads(request.partition(b"\r\n\r\n")[2]) for request in server.requests]
    return Counter(body["messages"][0]["content"] for body in bodies)


@pytest.mark.parametrize(
    "begun",
    [b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nconte", HALF],
    ids=["status", "headers", "body"],
)
def test_a_reply_that_had_begun_on_a_kept_connection_is_never_asked_for_again_for_nothing(begun):
    """
    It is a lost reply like any other: one re-send, counted as an attempt of its row.
    """
    with ScriptServer([reply(GOOD), "keep", begun, "reset"], [reply(GOOD)]) as server:
        run = ask(server, questions(2), max_concurrent_requests=1)
        outcomes = run.result(60)

        assert [outcome.text for outcome in outcomes] == ["fine", "fine"]
        assert [outcome.attempts for outcome in outcomes] == [1, 2]
        assert run.status().counts.num_retried == 1
        assert raw(server) == {"question 0": 1, "question 1": 2}


def test_a_stale_connection_is_followed_by_a_fresh_connection():
    """
    Where two kept connections are stale the free re-send takes neither: nothing is counted.
    """
    keeps = [reply(GOOD), "keep", "close"]
    with ScriptServer(keeps, keeps, [reply(GOOD), "keep", reply(GOOD)]) as server:
        run = ask(server, questions(2), max_concurrent_requests=2)
        run.result(60)
        again = ask(server, questions(1, first=2), max_concurrent_requests=1)

        assert [outcome.text for outcome in again.result(60)] == ["fine"]
        assert [outcome.attempts for outcome in again.result(60)] == [1]
        assert again.status().counts.num_retried == 0
        assert raw(server)["question 2"] == 2


def test_no_row_is_bought_more_than_twice_though_every_reply_is_lost(monkeypatch):
    """
    Probes obey the same: each is its row's one re-send, or its end.
    """
    monkeypatch.setattr(llmnb.decide.breaker, "LONGEST_BACK_OFF", 0.02)
    with SimulatedProvider(faults=lambda request: 504, latency=0) as sim:
        run = ask(sim, questions(8), max_wait=3)

        assert set(kinds(run)) <= {"MaybeBilled", "Unsent"}
        assert max(counts(sim.ledger).values()) <= 2


def test_a_run_re_sends_ten_rows_and_another_for_every_ten_answers():
    """
    Of fifty rows whose reply is always lost, among fifty good ones, some fifteen are bought twice.
    """

    def lose_every_second(request):
        return 504 if int(request.prompt.split()[-1]) % 2 else None

    with SimulatedProvider(faults=lose_every_second, latency=0) as sim:
        run = ask(sim, questions(100), max_concurrent_requests=1)
        lost = [kind for kind in kinds(run) if kind]
        bought = counts(sim.ledger)

    assert lost == ["MaybeBilled"] * 50
    assert 10 <= sum(count - 1 for count in bought.values()) <= 15
    assert run.status().counts.num_retried == sum(count - 1 for count in bought.values())
