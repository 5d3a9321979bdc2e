"""Promises of shares: corrected by labels, honest about what is not known."""

from __future__ import annotations

import random

import pytest

from llmnb.evaluation.shares import shares


def test_the_estimate_is_prediction_powered_with_the_tuned_weight():
    """
    By hand: of 100 rows 60 are answered "a"; of 20 labelled 10 are, and 11 truly are. Covariance
    0.225, variance 0.24, for both labels alike: a weight of 0.9375.
    """
    said = ["a"] * 60 + ["b"] * 40
    truth = ["a"] * 10 + [None] * 50 + ["b"] * 9 + ["a"] + [None] * 30
    found = shares(said, truth, ["a", "b"])
    assert found["a"].share == pytest.approx(11 / 20 + 0.9375 * (0.6 - 0.5), abs=1e-12)
    assert found["a"].naive == 0.6


def test_shares_sum_to_one_also_where_answers_are_missing_or_a_label_is_rare():
    """
    Five labels, one of which the sample has not met, and every ninth answer missing.
    """
    dice = random.Random(5)
    for _ in range(50):
        true = dice.choices("abcde", [50, 30, 15, 4, 1], k=300)
        said = [None if dice.random() < 0.11 else dice.choice([t, t, t, "a", "e"]) for t in true]
        truth = [t if row % 8 == 0 else None for row, t in enumerate(true)]
        found = shares(said, truth, "abcde")
        assert sum(row.share for row in found.values()) == pytest.approx(1, abs=1e-12)
        for row in found.values():
            assert 0 <= row.low <= row.share <= row.high <= 1


def test_all_rows_labelled_gives_a_point():
    """
    Nothing is left to be estimated, whatever the model says.
    """
    found = shares(["b", "b", "b", None], ["a", "b", "a", "a"], ["a", "b"])
    assert (found["a"].low, found["a"].share, found["a"].high) == (0.75, 0.75, 0.75)
    assert (found["b"].low, found["b"].share, found["b"].high) == (0.25, 0.25, 0.25)


def test_no_error_seen_is_no_certainty():
    """
    Thirty labels that all agree with the model leave a width, and so does a label never met.
    """
    said = ["a"] * 500 + ["b"] * 500
    truth = [label if row % 33 == 0 else None for row, label in enumerate(said)]
    for row in shares(said, truth, ["a", "b", "c"]).values():
        assert row.high - row.low > 0.01


def test_an_interval_never_leaves_what_is_possible():
    """
    Nine rows in ten are labelled "b": "a" has at most the tenth that is left, and at least those
    that are known.
    """
    said = ["a", "b"] * 50
    truth = ["a"] * 2 + ["b"] * 88 + [None] * 10
    row = shares(said, truth, ["a", "b"])["a"]
    assert row.low >= 0.02
    assert row.high <= 0.12


def test_a_model_that_knows_nothing_does_no_harm():
    """
    One answer for all rows: the shares of the labels alone.
    """
    truth = ["a"] * 10 + ["b"] * 30 + [None] * 160
    row = shares(["a"] * 200, truth, ["a", "b"])["a"]
    assert row.share == 0.25
    assert (row.low, row.high) == (row.labelled_low, row.labelled_high)
