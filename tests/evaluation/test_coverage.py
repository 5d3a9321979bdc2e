"""The promise of a share's interval, measured: it covers the truth of these very rows."""

from __future__ import annotations

import itertools
import random

import pytest

from llmnb.evaluation.shares import LabelShare, shares

RIGHT = {"right 90 %": 0.9, "by chance": 0.5}


def simulated(
    dice: random.Random, *, model: str, rows: int, labelled: int, share: float
) -> tuple[LabelShare, float]:
    """Return the estimated share of a label in a made-up table, and the true one."""
    have = round(rows * share)
    true = ["yes"] * have + ["no"] * (rows - have)
    other = {"yes": "no", "no": "yes"}
    said = [label if dice.random() < RIGHT[model] else other[label] for label in true]
    truth: list[str | None] = [None] * rows
    for row in dice.sample(range(rows), labelled):
        truth[row] = true[row]
    return shares(said, truth, ["yes", "no"])["yes"], have / rows


def measured(tables: int, **kind) -> tuple[float, float, float]:
    """Return how often the truth is covered, and the mean width with the model and without."""
    dice = random.Random(20261129)
    hits = width = alone = 0.0
    for _ in range(tables):
        row, truth = simulated(dice, **kind)
        hits += row.low - 1e-12 <= truth <= row.high + 1e-12
        width += row.high - row.low
        alone += row.labelled_high - row.labelled_low
    return hits / tables, width / tables, alone / tables


KINDS = [
    {"model": model, "rows": rows, "labelled": labelled, "share": share}
    for model, rows, labelled, share in itertools.product(
        RIGHT, (240, 10_000), (30, 50, 200), (0.02, 0.1, 0.5)
    )
]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
def test_the_interval_covers_the_truth_of_these_rows(kind):
    """
    In at least 93 % of 2,000 tables of each kind, and in at most 97 % where ten of the labelled
    rows have the label; with a model that is right it is narrower than with the labels alone.
    """
    covered, width, alone = measured(2_000, **kind)
    assert covered >= 0.93
    if kind["labelled"] * kind["share"] >= 10:
        assert covered <= 0.97
        if kind["model"] == "right 90 %":
            assert width < alone


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
def test_the_interval_covers_the_truth_of_a_small_table(share):
    """
    The same for 400 tables of 240 rows with fifty labels; the textbook interval covers 63 % of
    them at 2 %.
    """
    covered, width, alone = measured(400, model="right 90 %", rows=240, labelled=50, share=share)
    assert 0.92 <= covered <= 0.985
    assert width < alone
