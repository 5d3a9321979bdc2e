"""Failures that cost no attempt: those of a server that comes back from an outage; time is faked.

A server that is asked too much at once fails rows that nothing is wrong with. It shows by its
answers to rows that had failed before.
"""

from __future__ import annotations

import random

import pytest
from simulated_runs import Server, outcomes

import llmnb.decide.breaker
from llmnb.decide.retry import RetryPolicy
from llmnb.engine.run_context import RunOptions
from llmnb.records import Limits

SEEDS = 40


@pytest.fixture
def quick(monkeypatch):
    """Let a server be probed soon after it has failed."""
    monkeypatch.setattr(llmnb.decide.breaker, "FIRST_BACK_OFF", 0.1)
    monkeypatch.setattr(llmnb.decide.breaker, "LONGEST_BACK_OFF", 0.3)
    monkeypatch.setattr(llmnb.decide.breaker, "SHORTEST_BACK_OFF", 0.02)


def asked(fails, rows, slots, *, seed, lag=0.0, **policy):
    """Return the server of a run that has ended, and the rows without an answer."""
    server = Server(random.Random(seed), fails, lag=lag)
    policy = RetryPolicy(**{"base_seconds": 0.02, **policy})
    options = RunOptions(limits=Limits(concurrency=slots), policy=policy, use_cache=False)
    done = outcomes(rows, server, options, seed=seed)
    return server, [outcome.row for outcome in done if outcome.error is not None]


@pytest.mark.parametrize("lag", [0.0, 0.03])
@pytest.mark.parametrize(
    ("outage", "places", "rows", "slots"), [(0, 8, 60, 24), (9, 20, 100, 40), (40, 20, 100, 40)]
)
@pytest.mark.usefixtures("quick")
def test_a_server_with_four_slots_loses_no_row_as_its_load_comes_back(
    outage, places, rows, slots, lag
):
    """
    Whether it is down at first or only full, and even where it is late to see a place free again.
    """

    def fails(number, row, now, serving):
        return number < outage or serving > places

    lost = {}
    for seed in range(SEEDS):
        _, unanswered = asked(fails, rows, slots, seed=seed, lag=lag)
        if unanswered:
            lost[seed] = unanswered

    assert lost == {}


@pytest.mark.usefixtures("quick")
def test_rows_that_always_fail_are_excused_nothing_while_none_like_them_is_answered():
    """
    A clump of them looks like an outage at first: each is sent three times, the others once.
    """

    def fails(number, row, now, serving):
        return row < 12

    for seed in range(SEEDS):
        server, unanswered = asked(fails, 42, 8, seed=seed)
        assert unanswered == list(range(12))
        assert [server.sent[row] for row in range(42)] == [3] * 12 + [1] * 30


@pytest.mark.usefixtures("quick")
def test_a_row_that_always_fails_is_sent_two_times_more_at_most_for_an_outage():
    """
    Every seventh row is broken, the server is away for three seconds, and then it is full.
    """

    def fails(number, row, now, serving):
        return row % 7 == 0 or 0.2 <= now < 3.0 or serving > 10

    for seed in range(SEEDS):
        server, unanswered = asked(fails, 200, 16, seed=seed)
        assert unanswered == list(range(0, 200, 7))
        assert max(server.sent.values()) <= 5


def test_a_server_that_stays_down_gets_no_request_more():
    """
    Nothing is excused without an answer: ten rows are sent three times each at most.
    """

    def fails(number, row, now, serving):
        return True

    for seed in range(SEEDS):
        server, unanswered = asked(fails, 10, 8, seed=seed)
        assert len(unanswered) == 10
        assert max(server.sent.values()) <= 3


@pytest.mark.usefixtures("quick")
def test_who_allows_a_single_attempt_gets_no_second():
    """
    With `max_attempts=1` nothing is excused.
    """

    def fails(number, row, now, serving):
        return number < 9 or serving > 10

    for seed in range(SEEDS):
        server, _ = asked(fails, 60, 24, seed=seed, max_attempts=1)
        assert max(server.sent.values()) == 1
