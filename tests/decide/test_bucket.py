"""Promises of the bucket: never more than the rate, nothing too large, debts are paid."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmnb.decide.bucket import Bucket


def test_a_full_bucket_lets_its_capacity_pass_at_once():
    """
    The burst is 0.9 s of the rate.
    """
    bucket = Bucket(600, now=0.0)

    for _ in range(9):
        assert bucket.wait(1, now=0.0) == 0
        bucket.take(1, now=0.0)

    assert bucket.wait(1, now=0.0) == pytest.approx(0.1)


def test_a_cost_larger_than_the_bucket_passes_when_it_is_full():
    """
    Nothing is too large to pass; what follows waits until the debt is paid.
    """
    bucket = Bucket(60, now=0.0)

    assert bucket.wait(30, now=0.0) == 0
    bucket.take(30, now=0.0)

    assert bucket.wait(1, now=0.0) == pytest.approx(30.0)


def test_a_refund_never_lifts_the_level_above_the_capacity():
    """
    Giving back more than was taken is no credit.
    """
    bucket = Bucket(60, now=0.0)
    bucket.take(1, now=0.0)

    bucket.give_back(50)

    assert bucket.level == bucket.capacity


def test_an_hour_asleep_gives_no_burst():
    """
    However long nothing happened, only the capacity may pass at once.
    """
    bucket = Bucket(600, now=0.0)
    bucket.take(9, now=0.0)

    assert bucket.wait(10, now=3600.0) == 0
    bucket.take(9, now=3600.0)
    assert bucket.wait(1, now=3600.0) > 0


def test_a_clock_that_goes_back_changes_nothing():
    """
    Time running backwards neither fills nor empties the bucket.
    """
    bucket = Bucket(60, now=100.0)
    bucket.take(1, now=100.0)

    assert bucket.wait(1, now=40.0) == pytest.approx(1.0)


def test_a_clock_set_back_by_an_hour_stops_nothing():
    """
    The bucket goes on filling from the new time, not from when the old one comes round again.
    """
    bucket = Bucket(60, now=3600.0)
    bucket.take(1, now=3600.0)

    assert bucket.wait(1, now=0.0) == pytest.approx(1.0)
    assert bucket.wait(1, now=1.0) == 0


@pytest.mark.parametrize("rate", [0, -1, float("inf"), float("nan")])
def test_a_rate_must_be_a_number_above_zero(rate):
    """
    A limit of nothing, or of everything, is a mistake.
    """
    with pytest.raises(ValueError, match="finite number"):
        Bucket(rate, now=0.0)


@given(
    per_minute=st.floats(1, 100_000),
    costs=st.lists(st.floats(0.1, 50), min_size=1, max_size=200),
)
def test_no_window_sees_more_than_the_rate_and_a_burst(per_minute, costs):
    """
    For any costs, what passes in t seconds is at most rate x t, the capacity, and one last cost.
    """
    bucket = Bucket(per_minute, now=0.0)
    now, passed = 0.0, []
    for cost in costs:
        now += bucket.wait(cost, now)
        bucket.take(cost, now)
        passed.append((now, cost))

    for start in range(len(passed)):
        total = 0.0
        for end in range(start, len(passed)):
            total += passed[end][1]
            seconds = passed[end][0] - passed[start][0]
            largest = max(passed[start][1], passed[end][1])
            assert total <= bucket.rate * seconds + bucket.capacity + largest + 1e-3
