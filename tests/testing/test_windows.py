from __future__ import annotations

import random

import pytest
from laboratory.ledger_queries import heaviest
from laboratory.windows import worst_window


def brute_force_is_within(times, weights, rate, burst, slack, shortest, longest) -> bool:
    """Look at every pair of events, as the definition says."""
    for first in range(len(times)):
        for last in range(first, len(times)):
            length = times[last] - times[first]
            if length > longest:
                break
            amount = sum(weights[first : last + 1])
            if amount > rate * (max(length, shortest) + burst) * slack + 1e-9:
                return False
    return True


def test_the_heaviest_window_counts_what_lies_closer_than_its_length():
    """
    A window of a second holds what came within less than a second.
    """
    times = [0.0, 0.4, 0.999, 1.0, 5.0]

    assert heaviest(times, None, 1.0) == 3
    assert heaviest(times, [1, 1, 1, 10, 1], 1.0) == 12
    assert heaviest([], None, 1.0) == 0


@pytest.mark.parametrize("seed", range(30))
def test_the_worst_window_shows_a_breach_exactly_when_there_is_any(seed: int):
    """
    One walk over the events gives the same verdict as looking at all pairs.
    """
    rand = random.Random(seed)
    times, now = [], 0.0
    for _ in range(120):
        now += rand.expovariate(10.0)
        times.append(now)
    weights = [rand.choice([1.0, 1.0, 5.0]) for _ in times]
    limits = {"rate": rand.uniform(15, 30), "burst": rand.uniform(0, 2), "slack": 1.01}

    worst = worst_window(times, weights, shortest=0.1, longest=4.0, **limits)

    expected = brute_force_is_within(
        times, weights, limits["rate"], limits["burst"], limits["slack"], 0.1, 4.0
    )
    assert worst is not None
    assert worst.is_within == expected


def test_a_burst_shorter_than_the_shortest_window_counts_as_long_as_it():
    """
    A hundred at once are judged by what a tenth of a second allows, not by nothing.
    """
    worst = worst_window([3.0] * 100, rate=50.0, burst=1.0)

    assert worst is not None
    assert (worst.amount, worst.allowed, worst.seconds) == (100.0, pytest.approx(55.0), 0.1)


def test_without_events_there_is_no_worst_window():
    """
    An empty ledger breaks no limit.
    """
    assert worst_window([], rate=1.0, burst=1.0) is None
