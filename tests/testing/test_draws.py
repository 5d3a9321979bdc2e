from __future__ import annotations

from itertools import pairwise

from llmnb.testing.request import mix, uniform


def test_a_draw_depends_on_seed_number_and_purpose_only():
    """
    Draws repeat whatever was drawn before, and differ when any of the three does.
    """
    first = uniform(1, 2, 3)
    [uniform(9, number) for number in range(100)]

    assert uniform(1, 2, 3) == first
    assert len({first, uniform(2, 2, 3), uniform(1, 3, 3), uniform(1, 2, 4)}) == 4


def test_draws_are_spread_evenly_and_do_not_follow_each_other():
    """
    Ten thousand draws fill the unit interval evenly, and neighbours are unrelated.
    """
    draws = [uniform(0, number) for number in range(10_000)]
    tenths = [sum(int(draw * 10) == tenth for draw in draws) for tenth in range(10)]

    assert all(0 < draw < 1 for draw in draws)
    assert all(900 < count < 1100 for count in tenths)
    assert 4800 < sum(a < b for a, b in pairwise(draws)) < 5200


def test_mixing_is_the_published_finaliser():
    """
    The first value of SplitMix64 from seed 0 is the one that its authors' code gives.
    """
    assert mix(0) == 0xE220A8397B1DCDAF
