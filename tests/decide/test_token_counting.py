"""Promises about servers that count tokens in their own way: it is found out soon."""

from __future__ import annotations

import math
import random

import pytest
from counting import Row, TokenLimit, ask

from llmnb.decide.charge import Estimate, TokenCharge


def of_larger(row: Row) -> Estimate:
    """Count as the catalog has it of those who take the larger part."""
    return Estimate(max(row.prompt, row.most), row.prompt, row.most)


def of_both(row: Row) -> Estimate:
    """Count as the catalog has it of all others."""
    return Estimate(row.prompt + row.most, row.prompt, row.most)


def same(number: int, dice: random.Random) -> tuple[int, int]:
    return 8, 100


def mixed(number: int, dice: random.Random) -> tuple[int, int]:
    return dice.randint(10, 400), dice.choice([50, 100, 200])


def changing(number: int, dice: random.Random) -> tuple[int, int]:
    return (20, 200) if number < 300 else (300, 50)


def rows(make, count: int = 600, seed: int = 0) -> list[Row]:
    dice, made = random.Random(seed), []
    for number in range(count):
        prompt, most = make(number, dice)
        made.append(Row(prompt, most, max(1, int(most * dice.uniform(0.1, 0.6)))))
    return made


def together(row: Row) -> float:
    return row.prompt + row.most


def by_characters(row: Row) -> float:
    return 1.3 * row.prompt + row.most


def the_larger(row: Row) -> float:
    return max(row.prompt, row.most)


def in_the_end(row: Row) -> float:
    return row.prompt + row.answer


def limit(asked: list[Row], count, **how) -> TokenLimit:
    """Return a limit of ninety such rows a second, a second's worth of which may pass at once."""
    a_second = 90 * sum(count(row) for row in asked) / len(asked)
    return TokenLimit(60 * a_second, how.pop("seconds", 1.0) * a_second, count, **how)


def between(dice: random.Random) -> float:
    return dice.uniform(0.3, 0.7)


@pytest.mark.parametrize("make", [same, mixed, changing])
@pytest.mark.parametrize("estimate", [of_larger, of_both])
@pytest.mark.parametrize("count", [together, by_characters])
@pytest.mark.parametrize("tells_requested", [True, False])
def test_what_nobody_announces_is_learned_from_refusals(make, estimate, count, tells_requested):
    """
    After the first second at most 3 % are refused, and 0.95 of the limit is used.
    """
    asked = rows(make)
    server = limit(asked, count)
    counted = ask(
        *([server], asked),
        estimate=estimate,
        per_minute=server.per_minute,
        is_announced=False,
        tells_requested=tells_requested,
        latency=between,
    )

    assert counted.refused_later <= 0.03
    assert counted.used >= 0.95


@pytest.mark.parametrize("make", [same, mixed, changing])
@pytest.mark.parametrize("estimate", [of_larger, of_both])
@pytest.mark.parametrize("count", [together, by_characters, the_larger])
def test_what_is_announced_tells_how_tokens_are_counted(make, estimate, count):
    """
    Soon enough: after the first second at most 3 % are refused, and 0.95 of the limit is used.
    """
    asked = rows(make, 1200)
    server = limit(asked, count)
    counted = ask([server], asked, estimate=estimate, latency=between, at_once=128)

    assert counted.refused_later <= 0.03
    assert counted.used >= 0.95


@pytest.mark.parametrize("make", [same, mixed])
def test_a_server_that_counts_what_answers_have_in_the_end_is_not_overrun(make):
    """
    It counts late, and refuses 3 % at most; announced or not.
    """
    asked = rows(make)
    for is_announced in (True, False):
        server = limit(asked, in_the_end, counts_answers=True)
        counted = ask(
            *([server], asked),
            estimate=of_both,
            per_minute=None if is_announced else server.per_minute,
            is_announced=is_announced,
            latency=between,
        )

        assert counted.refused_later <= 0.03
        assert counted.used >= 0.9


def test_a_refused_request_leaves_no_allowance_behind():
    """
    What it had reserved was never there: giving it back lets nobody pass too early.
    """
    asked = rows(same)
    server = limit(asked, lambda row: 1.3 * row.prompt + row.most)
    counted = ask(
        *([server], asked),
        estimate=of_larger,
        per_minute=server.per_minute * 1.02,
        is_announced=False,
        tells_requested=True,
        latency=between,
    )

    assert counted.refused_later <= 0.03


@pytest.mark.parametrize(
    ("of_prompt", "of_answer"), [(1.0, 1.0), (2.0, 1.0), (1.0, 0.2), (3.0, 0.0)]
)
def test_prompt_and_answer_are_distinguished(of_prompt, of_answer):
    """
    From eight requests that went together, in whatever order they arrived.
    """
    charge, dice, left, blocks = TokenCharge(), random.Random(4), 200_000.0, []
    for number in range(16):
        prompt, answer = dice.randint(50, 900), dice.choice([50, 200, 700])
        left -= of_prompt * prompt + of_answer * answer
        blocks.append((number, Estimate(prompt + answer, prompt, answer), left))
    for first in (0, 8):
        block = blocks[first : first + 8]
        dice.shuffle(block)
        for number, estimate, rest in block:
            charge.on_left(estimate, number, sent=first / 8, left=rest, rate=500.0, grain=1.0)

    assert charge.weights == pytest.approx((of_prompt, of_answer), abs=0.1)


def test_a_server_that_takes_the_larger_part_is_recognised():
    """
    Whatever the catalog says of it.
    """
    charge, dice, left = TokenCharge(), random.Random(4), 200_000.0
    for number in range(24):
        prompt, answer = dice.randint(50, 900), dice.choice([50, 200, 700])
        left -= max(prompt, answer)
        estimate = Estimate(prompt + answer, prompt, answer)
        charge.on_left(estimate, number, sent=number // 8, left=left, rate=500.0, grain=1.0)

    assert charge.of(Estimate(1500.0, 800.0, 700.0)) == pytest.approx(800.0, rel=0.05)
    assert charge.of(Estimate(900.0, 200.0, 700.0)) == pytest.approx(700.0, rel=0.05)


@pytest.mark.parametrize("requested", [0.0, 1.0, 1e12])
@pytest.mark.parametrize("left", [0.0, 1e15])
def test_the_weights_have_bounds(requested, left):
    """
    Whatever a server says, a request costs something, and not everything.
    """
    charge = TokenCharge()
    estimate = Estimate(100.0, 20.0, 100.0)
    for number in range(200):
        charge.on_sent(charge.of(estimate), number / 10)
        left_now = left / (1 + number % 8)
        charge.on_left(estimate, number, number / 10, left_now, rate=100.0, grain=1.0)
        charge.on_refusal(estimate, charge.of(estimate), 100.0, number / 10, requested)

    of_prompt, of_answer = charge.weights
    assert 0.5 <= of_prompt <= 4.0
    assert 0.0 <= of_answer <= 2.0
    assert 1.0 <= charge.of(estimate) <= 16 * 280


@pytest.mark.parametrize("seconds", [1.0, 10.0])
def test_a_pace_is_learned_where_the_slots_are_named_and_nothing_is_announced(seconds):
    """
    64 at once where ten a second pass, told in whole seconds when to come back: at most a fifth of
    the requests for 400 rows is refused, and it takes a tenth longer than it must.
    """
    server = TokenLimit(600, 10 * seconds, lambda row: 1.0)
    asked = [Row(0, 0, 0)] * 400
    counted = ask(
        *([server], asked),
        estimate=lambda row: Estimate(0, 0, 0),
        is_announced=False,
        hint=math.ceil,
    )

    assert len(counted.refused) <= 0.2 * len(counted.sent)
    assert counted.sent[-1] <= 1.1 * (400 - 10 * seconds) / 10
