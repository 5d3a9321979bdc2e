"""Promises of leases: what all holders send together keeps the limit, whoever holds what."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laboratory.windows import worst_window

from llmnb.decide.lease import Lease, amount_to_draw

UNIT = 0.01  # 100 a second
REACH = 0.7


class Grants:
    """What a shared limit has given out: the script's rule, in a line."""

    def __init__(self) -> None:
        self.free = 0.0

    def draw(self, cost: float, now: float, horizon: float = 0.2) -> tuple[float, float] | None:
        """Return a stretch, or None where too much is given out ahead."""
        self.free = max(self.free, now - REACH)
        if self.free > now + horizon:
            return None
        begin, self.free = self.free, self.free + cost
        return begin, self.free


steps = st.lists(
    st.tuples(
        st.floats(0.0, 0.4),  # seconds that pass
        st.integers(0, 3),  # who is busy
        st.integers(1, 12),  # how much it draws
        st.integers(1, 15),  # how much it would send
    ),
    max_size=200,
)


@given(steps)
@settings(deadline=None, max_examples=200)
def test_four_holders_keep_a_limit_in_every_window(steps):
    """
    However they draw, wait, lapse and catch up: no window of t seconds holds more than t + reach.
    """
    given_out, leases, now, sent = Grants(), [Lease(REACH) for _ in range(4)], 0.0, []
    for passed, who, drawn, wanted in steps:
        now += passed
        stretch = given_out.draw(drawn * UNIT, now)
        if stretch is not None:
            leases[who].add(*stretch)
        for _ in range(wanted):
            if leases[who].wait(UNIT, now) != 0.0:
                break
            leases[who].take(UNIT, now)
            sent.append(now)

    worst = worst_window(sent, rate=1 / UNIT, burst=REACH, slack=1.0001, shortest=0.01)
    assert worst is None or worst.amount <= worst.allowed + 1


def test_permission_comes_at_the_end_of_what_it_costs():
    """
    A steady stretch is used at a steady pace, not at once.
    """
    lease = Lease(REACH)
    lease.add(100.0, 100.03)

    waits = []
    for _ in range(3):
        waits.append(round(lease.wait(UNIT, 100.0), 6))
        lease.take(UNIT, 100.0)

    assert waits == [0.01, 0.02, 0.03]
    assert lease.wait(UNIT, 100.0) is None


def test_what_was_not_used_lapses():
    """
    A process that slept has no burst.
    """
    lease = Lease(REACH)
    lease.add(0.0, 5.0)

    assert lease.available(3600.0) == 0.0
    assert lease.wait(UNIT, 3600.0) is None


def test_what_came_late_lapses_earlier():
    """
    An answer that took half a second does not prolong what it brought.
    """
    prompt, late = Lease(REACH), Lease(REACH)
    prompt.add(0.0, 0.1)
    late.add(0.0, 0.1, lag=0.5)

    assert prompt.available(0.25) == pytest.approx(0.1)
    assert late.available(0.25) == pytest.approx(0.05)


def test_stretches_with_gaps_follow_each_other():
    """
    What costs more than the first stretch waits for its share of the second.
    """
    lease = Lease(REACH)
    lease.add(0.0, 0.1)
    lease.add(0.5, 0.6)

    assert lease.wait(0.15, 0.0) == pytest.approx(0.55)


def test_a_cost_beyond_the_reach_goes_when_the_reach_is_there():
    """
    A request larger than a burst is not kept for ever.
    """
    lease = Lease(REACH)
    lease.add(0.0, 5.0)

    assert lease.wait(5.0, 0.0) == pytest.approx(REACH)


@pytest.mark.parametrize("cost", [0.3, 0.5, 0.69, 0.7, 5.0])
@pytest.mark.parametrize("late", [0.0, 0.001, 0.1, 0.19])
@pytest.mark.parametrize("lag", [0.0, 0.001])
def test_whoever_wakes_a_little_late_still_goes(cost, late, lag):
    """
    Part of what was waited for has lapsed by then; a large request must not wait for ever.
    """
    lease = Lease(REACH)
    lease.add(0.0, cost, lag)
    now = lease.wait(cost, 0.0) + late

    assert lease.wait(cost, now) == 0.0
    lease.take(cost, now)
    assert lease.available(now) <= 1e-9


def test_a_rate_below_once_a_second_keeps_its_distance():
    """
    What goes late has used its permission up: the next comes a whole unit later.
    """
    unit, lease, given_out, now, sent = 2.0, Lease(2.0), Grants(), 0.0, []
    given_out.free = 0.0
    for _ in range(6):
        while (wait := lease.wait(unit, now)) != 0.0:
            if wait is None:
                missing = unit - lease.available(now)
                lease.add(given_out.free, given_out.free + missing)
                given_out.free += missing
            else:
                now += wait + 0.15
        lease.take(unit, now)
        sent.append(now)

    assert all(late - early >= unit - 0.2 for early, late in pairwise(sent))
    assert sent[-1] - sent[0] >= 5 * unit - 0.2


def test_using_more_than_granted_is_paid_by_the_next_stretch():
    """
    An answer longer than was reserved slows those that follow.
    """
    lease = Lease(REACH)
    lease.take(0.1, 0.0)
    assert lease.wait(UNIT, 0.0) is None

    lease.add(0.0, 0.15)

    assert lease.available(0.0) == pytest.approx(0.05)
    assert lease.wait(UNIT, 0.0) == pytest.approx(0.11)


def test_what_is_returned_may_be_used_at_once_and_lapses():
    """
    A request that never left returns its place.
    """
    lease = Lease(REACH)
    lease.give_back(UNIT, 10.0)

    assert lease.wait(UNIT, 10.0) == 0.0
    assert lease.wait(UNIT, 11.0) is None


def test_giving_back_pays_a_debt_first():
    """
    Debts are not forgotten.
    """
    lease = Lease(REACH)
    lease.take(0.2, 0.0)

    lease.give_back(0.25, 0.0)

    assert lease.available(0.0) == pytest.approx(0.05)


def test_what_lies_ahead_can_be_let_go():
    """
    A process that wants nothing more keeps only what is past.
    """
    lease = Lease(REACH)
    lease.add(0.0, 0.3)
    lease.add(0.4, 0.5)

    dropped = lease.drop_ahead(0.1)

    assert dropped == pytest.approx(0.3)
    assert lease.available(0.1) == pytest.approx(0.1)


def test_a_busy_process_soon_draws_whole_blocks():
    """
    The first request draws for itself; soon one draw is good for fifty.
    """
    used, asked = 0.0, []
    for _ in range(8):
        used = amount_to_draw(1, used, block=50)
        asked.append(used)

    assert asked == [1, 2, 4, 8, 16, 32, 50, 50]
