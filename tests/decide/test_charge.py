"""Promises about the charge: tokens are counted as the provider counts them, soon enough."""

from __future__ import annotations

import pytest

from llmnb.decide.bucket import Bucket
from llmnb.decide.charge import LARGEST_FACTOR, TokenCharge


def test_what_is_left_tells_what_requests_cost_that_went_together():
    """
    In whatever order they arrived: the figures lie as far apart as all but one of them cost.
    """
    charge = TokenCharge()
    for number in (3, 0, 7, 1, 2, 6, 5, 4):
        left = 30_000.0 - 120.0 * (number + 1)
        charge.on_left(20.0, number, sent=0.0, left=left, rate=500.0, grain=1.0)

    assert charge.of(20.0) == pytest.approx(120.0)
    assert charge.is_before


def test_what_does_not_fall_is_no_charge_of_nothing():
    """
    A provider that counts when it has answered shows no fall at first.
    """
    charge = TokenCharge()
    for number in range(8):
        charge.on_left(20.0, number, sent=0.0, left=30_000.0, rate=500.0, grain=1.0)

    assert charge.of(20.0) == 20.0
    assert not charge.is_before


def test_a_refusal_that_says_what_it_counts_is_believed_at_once():
    """
    Upwards only: it may speak of one request that is smaller than others.
    """
    charge = TokenCharge()
    charge.on_refusal(20.0, 20.0, rate=1e4, now=0.0, requested=120.0)
    assert charge.of(20.0) == pytest.approx(120.0)

    charge.on_refusal(20.0, 120.0, rate=1e4, now=5.0, requested=60.0)
    assert charge.of(20.0) == pytest.approx(120.0)


def test_refusals_of_a_single_wave_count_once():
    """
    Sixty rows that are refused together say what one of them says.
    """
    charge, factors = TokenCharge(), []
    for _ in range(60):
        charge.on_sent(20.0, 0.0)
    for number in range(60):
        charge.on_refusal(20.0, charge.of(20.0), rate=1e4, now=number / 200)
        factors.append(charge.factor)

    assert set(factors) == {factors[0]}


def test_the_factor_has_an_end():
    """
    A server that refuses for another cause does not bring a run to a stop.
    """
    charge = TokenCharge()
    for number in range(1000):
        charge.on_refusal(20.0, 20.0, rate=1e4, now=float(number))

    assert charge.factor <= LARGEST_FACTOR


@pytest.mark.parametrize("real", [1.1, 2.0, 6.0])
@pytest.mark.parametrize("rows", [300, 600])
def test_a_count_that_nobody_names_is_learned_from_refusals(real, rows):
    """
    After the first second at most 3 % are refused, and 0.95 of the limit is used.
    """
    charge, rate = TokenCharge(), 10_000.0
    ours = Bucket(60 * rate, now=0.0)
    theirs, updated = rate, 0.0
    mine = 125.0 / real
    now, done, late, paused = 0.0, 0, 0, 0.0
    while done < rows:
        now = max(now, paused) + max(1e-4, ours.wait(charge.of(mine), max(now, paused)))
        theirs, updated = min(rate, theirs + rate * (now - updated)), now
        ours.take(charge.of(mine), now)
        charge.on_sent(charge.of(mine), now)
        if theirs >= 125.0:
            theirs -= 125.0
            done += 1
        else:
            late += now > 1.0
            charge.on_refusal(mine, charge.of(mine), rate, now)
            ours.drain(now)
            paused = now + (125.0 - theirs) / rate

    assert late <= 0.03 * rows
    assert rows * 125.0 >= 0.95 * (rate + rate * now)
