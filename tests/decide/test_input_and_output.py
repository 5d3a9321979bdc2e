"""Promises about limits of input and of output tokens, each announced by itself and enforced."""

from __future__ import annotations

import random

import pytest
from counting import Row, TokenLimit, ask

from llmnb.decide.charge import Estimate


def of_both(row: Row) -> Estimate:
    """Count as the catalog has it; a few tokens too many for the prompt."""
    return Estimate(1.1 * row.prompt + row.most, 1.1 * row.prompt, row.most)


def rows(count: int = 400) -> list[Row]:
    dice, made = random.Random(7), []
    for _ in range(count):
        most = dice.choice([200, 400])
        made.append(Row(dice.randint(100, 900), most, max(1, int(most * dice.uniform(0.2, 0.6)))))
    return made


def an_input_limit(per_minute: float, **how) -> TokenLimit:
    return TokenLimit(per_minute, per_minute, lambda row: row.prompt, "input", grain=1000, **how)


def most_of_output(per_minute: float) -> TokenLimit:
    """Count what an answer may have, before it is known."""
    return TokenLimit(per_minute, per_minute, lambda row: row.most, "output", grain=1000)


def output_as_it_comes(per_minute: float) -> TokenLimit:
    """Count what an answer has had, once it is there."""
    return TokenLimit(
        *(per_minute, per_minute, lambda row: row.answer, "output"),
        counts_answers=True,
        grain=1000,
    )


def between(dice: random.Random) -> float:
    return dice.uniform(0.3, 0.7)


@pytest.mark.parametrize(
    "limits",
    [
        lambda: [an_input_limit(40_000), most_of_output(1e6)],
        lambda: [an_input_limit(1e6), most_of_output(30_000)],
        lambda: [an_input_limit(1e6), output_as_it_comes(20_000)],
        lambda: [an_input_limit(60_000), output_as_it_comes(15_000)],
    ],
    ids=["input", "output at most", "output as it comes", "both"],
)
def test_what_is_left_of_input_and_of_output_binds(limits):
    """
    Whichever is the tighter: at most 3 % are refused, and 0.9 of it is used.
    """
    asked = rows()
    counted = ask(limits(), asked, estimate=of_both, latency=between)

    assert len(counted.refused) <= 0.03 * len(asked)
    assert counted.used >= 0.9
