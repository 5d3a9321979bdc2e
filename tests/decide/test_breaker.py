"""Promises of the breaker: a dead target costs few requests, and is asked again soon enough."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmnb.decide.breaker import Breaker


def opened(*, rand=0.5, retry_after=None):
    """Return a breaker that opened at second 0."""
    breaker = Breaker(rand=lambda: rand)
    for row in range(5):
        breaker.on_failure(0.0, row, retry_after, sent_at=0.0)
    return breaker


def test_five_different_rows_that_fail_open_it():
    """
    Four are bad luck, five are a pattern.
    """
    breaker = Breaker(rand=lambda: 0.5)

    for row in range(4):
        breaker.on_failure(0.0, row, sent_at=0.0)
    assert breaker.try_send(0.0)
    breaker.on_failure(0.0, 4, sent_at=0.0)

    assert not breaker.try_send(0.0)
    assert (breaker.failures, breaker.opened_at) == (5, 0.0)


def test_four_rows_that_always_fail_never_open_it():
    """
    A fault of a row is not an outage of its target, however often it is tried.
    """
    breaker = Breaker()

    for number in range(1000):
        breaker.on_failure(float(number), number % 4, sent_at=float(number))

    assert not breaker.is_open


def test_a_success_between_failures_starts_the_count_anew():
    """
    What answers now and then is not dead.
    """
    breaker = Breaker()

    for row in range(4):
        breaker.on_failure(0.0, row, sent_at=0.0)
    breaker.on_success(0.0, sent_at=0.0)
    for row in range(4, 8):
        breaker.on_failure(0.0, row, sent_at=0.0)

    assert not breaker.is_open


def test_every_second_row_failing_leaves_it_closed():
    """
    Half of the rows are answered: that is not a target which is down.
    """
    breaker = Breaker()

    for row in range(0, 1000, 2):
        breaker.on_success(0.0, sent_at=0.0)
        breaker.on_failure(0.0, row, sent_at=0.0)

    assert not breaker.is_open


def test_a_new_run_begins_with_a_probe_at_once():
    """
    What an earlier run met is no reason for the next one to wait.
    """
    breaker = opened(retry_after=100.0)
    assert not breaker.try_send(1.0)

    breaker.on_new_run(1.0)

    assert [breaker.try_send(1.0), breaker.try_send(1.0)] == [True, False]


def test_while_nothing_failed_lately_successes_need_not_be_reported():
    """
    A healthy target's breaker costs nothing per request.
    """
    breaker = Breaker()
    assert not breaker.is_troubled

    breaker.on_failure(0.0, "row", sent_at=0.0)

    assert breaker.is_troubled


def test_half_open_admits_a_single_probe_at_a_time():
    """
    The probe tells what a hundred requests would tell.
    """
    breaker = opened()

    assert breaker.wait(0.0) == 1.0
    assert not breaker.try_send(0.9)
    assert breaker.try_send(1.0)
    assert breaker.is_open
    assert not breaker.try_send(100.0)
    assert breaker.wait(100.0) == math.inf


def test_a_probe_that_is_answered_closes_it():
    """
    From then on everything goes, and the next failure is a first one.
    """
    breaker = opened()
    breaker.try_send(2.5)

    breaker.on_success(3.0, sent_at=2.5)

    assert (breaker.is_open, breaker.failures, breaker.wait(3.0)) == (False, 0, 0.0)


def test_a_probe_that_was_cancelled_may_be_sent_again():
    """
    It told nothing, so another may go at once.
    """
    breaker = opened()
    breaker.try_send(2.5)

    breaker.on_cancelled(sent_at=2.5)

    assert breaker.try_send(3.0)


def test_the_back_off_doubles_up_to_a_minute():
    """
    Ceilings of 2, 4, 8, 16, 32, 60 seconds.
    """
    breaker, now, waits = opened(rand=0.999999), 0.0, []

    for _ in range(6):
        waits.append(round(breaker.wait(now)))
        now += breaker.wait(now)
        assert breaker.try_send(now)
        breaker.on_failure(now, 0, sent_at=now)

    assert waits == [2, 4, 8, 16, 32, 60]


def test_no_probe_follows_at_once():
    """
    Full jitter may draw 0; a server that has just failed still gets half a second.
    """
    assert opened(rand=0.0).wait(0.0) == 0.5


@pytest.mark.parametrize(("asked", "waits"), [(30.0, 30.0), (0.1, 1.0), (86_400.0, 120.0)])
def test_what_the_server_asks_for_is_honoured(asked, waits):
    """
    No probe goes sooner than Retry-After says; a day is not believed.
    """
    assert opened(retry_after=asked).wait(0.0) == waits


def test_failures_of_earlier_requests_do_not_lengthen_the_back_off():
    """
    Sixty requests that were in flight when it opened are the same news sixty times.
    """
    breaker = opened()

    for row in range(60):
        breaker.on_failure(0.25, row, sent_at=0.0)

    assert breaker.wait(0.25) == 0.75
    assert breaker.failures == 65


def test_an_answer_to_an_earlier_request_does_not_close_it():
    """
    It is older news than the failures that opened it.
    """
    breaker = opened()

    breaker.on_success(0.5, sent_at=0.0)

    assert breaker.is_open


def test_rows_that_fail_again_after_others_were_answered_do_not_open_it():
    """
    Five answers since say that the fault is the rows' own, however many they are.
    """
    breaker = Breaker()
    for row in range(12):
        breaker.on_failure(0.0, row, sent_at=0.0)
    breaker.try_send(60.0)
    for _ in range(5):
        breaker.answers += 1
        breaker.on_success(61.0, sent_at=60.0)

    for attempt in range(3):
        for row in range(12):
            breaker.on_failure(70.0 + attempt, row, sent_at=70.0)

    assert not breaker.is_open


def test_rows_that_an_outage_failed_open_it_when_it_comes_back():
    """
    Four answers between two outages say nothing of the rows.
    """
    breaker = Breaker()
    for row in range(12):
        breaker.on_failure(0.0, row, sent_at=0.0)
    breaker.try_send(60.0)
    for _ in range(4):
        breaker.answers += 1
        breaker.on_success(61.0, sent_at=60.0)

    for row in range(5):
        breaker.on_failure(70.0, row, sent_at=70.0)

    assert breaker.is_open


def test_an_answer_to_what_was_sent_after_all_that_failed_closes_it():
    """
    A clump of bad rows went first: the good one behind them shows that the server is there.
    """
    breaker = Breaker(rand=lambda: 0.5)
    for row in range(5):
        breaker.on_failure(0.2, row, sent_at=0.01 * row)

    breaker.on_success(0.3, sent_at=0.04)
    assert breaker.is_open  # sent together with the last of them
    breaker.on_success(0.3, sent_at=0.05)
    assert not breaker.is_open


@pytest.mark.parametrize("is_late", [False, True])
def test_a_row_that_fails_again_hides_no_answer_to_what_was_sent_before_it(is_late):
    """
    It was sent last of all and says no more than it did at first, before it opens and after.
    """
    breaker = Breaker(rand=lambda: 0.5)
    for row in range(4):
        breaker.on_failure(0.1, row, sent_at=0.01 * row)
    for row in (4, 0) if is_late else (0, 4):
        breaker.on_failure(0.4, row, sent_at=0.04 if row else 0.3)
    assert breaker.is_open
    breaker.on_success(0.5, sent_at=0.2)

    assert not breaker.is_open


def test_a_late_failure_does_not_decide_for_the_probe():
    """
    What was sent before the breaker opened comes home while the probe is out: the probe decides.
    """
    breaker = opened()
    assert breaker.try_send(1.0)

    breaker.on_failure(1.1, "late", sent_at=0.0)
    breaker.on_success(1.2, sent_at=0.0)
    assert breaker.is_open
    breaker.on_success(1.5, sent_at=1.0)

    assert not breaker.is_open


def test_a_probe_that_ends_after_its_breaker_closed_allows_no_second():
    """
    Another answer closed it, it opened again, and a new probe is out: there is still only one.
    """
    breaker = opened()
    assert breaker.try_send(1.0)
    breaker.on_success(1.5, sent_at=0.5)
    for row in range(5):
        breaker.on_failure(2.0, row, sent_at=1.6)
    assert breaker.try_send(9.0)

    breaker.on_cancelled(sent_at=1.0)

    assert not breaker.try_send(9.0)


def test_a_clock_that_is_set_back_does_not_keep_it_open():
    """
    The probe's answer closes it though what failed seems to have been sent later.
    """
    breaker = Breaker(rand=lambda: 0.5)
    for row in range(5):
        breaker.on_failure(4000.0, row, sent_at=4000.0)
    breaker.on_new_run(400.0)
    assert breaker.try_send(400.0)

    breaker.on_success(401.0, sent_at=400.0)

    assert not breaker.is_open


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["answered", "failed", "cancelled"]), st.integers(0, 9)),
        max_size=60,
    )
)
def test_whatever_comes_home_in_whatever_order_a_single_probe_is_out_at_most(steps):
    """
    And only the probe's answer, or that of something newer than all that failed, closes it.
    """
    breaker, now = Breaker(rand=lambda: 0.5), 0.0
    in_flight, probe, newest = [], None, -1.0
    for step, (ending, place) in enumerate(steps):
        now += 0.4
        is_probe = breaker.is_open
        if breaker.try_send(now):
            assert not is_probe or probe not in in_flight
            in_flight.append(now)
            probe = now if is_probe else probe
        if not in_flight:
            continue
        sent_at = in_flight.pop(place % len(in_flight))
        was_open = breaker.is_open
        if ending == "answered":
            breaker.on_success(now, sent_at=sent_at)
            if was_open and not breaker.is_open:
                assert sent_at == probe or sent_at > newest
        elif ending == "failed":
            breaker.on_failure(now, step, sent_at=sent_at)
            newest = max(newest, sent_at)
        elif sent_at == probe:
            breaker.on_cancelled(sent_at=sent_at)
        if was_open and not breaker.is_open:
            probe = None


@pytest.mark.parametrize(("draw", "most"), [(0.5, 10), (0.999999, 6)])
def test_a_target_that_is_down_costs_hardly_any_requests(draw, most):
    """
    Three minutes of a target that never answers cost what was in flight and ten probes at most.
    """
    breaker, now, probes = Breaker(rand=lambda: draw), 0.0, 0
    for row in range(50):
        breaker.on_failure(0.0, row, sent_at=0.0)

    while (now := now + breaker.wait(now)) < 180:
        assert breaker.try_send(now)
        probes += 1
        breaker.on_failure(now, 0, sent_at=now)

    assert probes <= most


def test_an_outage_of_twenty_seconds_is_over_soon_after_its_end():
    """
    It is closed again within one back-off of the server's return.
    """
    for draw in (0.1, 0.5, 0.9):
        breaker, now = opened(rand=draw), 0.0
        while breaker.is_open:
            now += breaker.wait(now)
            assert breaker.try_send(now)
            if now > 20:
                breaker.on_success(now, sent_at=now)
            else:
                breaker.on_failure(now, 0, sent_at=now)

        assert now <= 60
