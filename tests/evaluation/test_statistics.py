"""Promises of the statistics: equal to published examples and to other packages' figures."""

from __future__ import annotations

import math

import pytest

from llmnb.evaluation.scores import label_score, number_score
from llmnb.evaluation.statistics import holm, kappa, mcnemar, spearman, wilson

# By statsmodels 0.15.0, `proportion_confint(…, method="wilson")`.
WILSON = [
    (0, 1, 0.0, 0.7934506856227627),
    (1, 1, 0.2065493143772374, 1.0),
    (0, 20, 0.0, 0.1611251580528194),
    (1, 29, 0.006113214292762667, 0.17175521879320294),
    (15, 148, 0.06238639953073628, 0.16048724172330803),
    (81, 263, 0.2552885198782742, 0.36620957698280004),
    (168, 200, 0.7828592983793288, 0.8843258796841298),
    (48, 48, 0.9258998703338827, 1.0),
    (999, 1000, 0.9943574414020421, 0.9998234536293739),
    (1234, 98765, 0.011820276045385936, 0.013206254815070394),
]

# By statsmodels 0.15.0, `mcnemar(…, exact=True)`.
MCNEMAR = [
    (0, 1, 1.0),
    (0, 5, 0.0625),
    (12, 19, 0.28104151505976915),
    (12, 31, 0.005401572654591291),
    (11, 83, 8.004192428935576e-15),
    (450, 550, 0.0017305360849763027),
    (4900, 5100, 0.04658552770494645),
]

# By statsmodels 0.15.0, `multipletests(…, method="holm")`.
HOLM = [
    ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),
    ([0.0001, 0.2, 0.2, 0.9], [0.0004, 0.6, 0.6, 0.9]),
    ([0.049, 0.05, 0.001, 0.012, 0.013], [0.098, 0.098, 0.005, 0.048, 0.048]),
    ([0.7, 0.8], [1.0, 1.0]),
]

# By scikit-learn 1.9.1 on these sixty labels and answers.
TRUTH = "aababaabaaaaacaabdbadacaaaacabbabaaabaabaacbabbccadaacababcb"
ANSWERS = "cabaacabadaaacaabdbddacaaaaccbbabaaabaabaaabdbbccadaacababcd"
KAPPA, MACRO_F1 = 0.7670405522001726, 0.7955197132616487
LABELS = {
    "a": (0.9310344827586207, 0.8181818181818182, 0.8709677419354839),
    "b": (1.0, 0.875, 0.9333333333333333),
    "c": (0.7, 0.875, 0.7777777777777778),
    "d": (0.42857142857142855, 1.0, 0.6),
}


def nearly(value: float) -> object:
    """Return what is equal to a value but for 1e-9 of it."""
    return pytest.approx(value, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("right", "rows", "low", "high"), WILSON)
def test_an_interval_is_wilsons(right, rows, low, high):
    """
    The same figures as another package's, at both ends of the scale too.
    """
    assert wilson(right, rows) == (nearly(low), nearly(high))


@pytest.mark.parametrize(
    ("right", "rows", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_an_interval_is_that_of_the_published_examples(right, rows, low, high):
    """
    R. G. Newcombe, Stat. Med. 17 (1998), 857 to 872, table I, method 3.
    """
    assert [round(end, 4) for end in wilson(right, rows)] == [low, high]


@pytest.mark.parametrize(("first", "second", "p"), MCNEMAR)
def test_a_test_of_pairs_is_exact_and_the_same_from_both_sides(first, second, p):
    """
    For five tosses as for ten thousand.
    """
    assert mcnemar(first, second) == nearly(p)
    assert mcnemar(second, first) == mcnemar(first, second)


def test_pairs_that_are_even_prove_nothing():
    """
    Also where nothing tells two apart.
    """
    assert mcnemar(0, 0) == mcnemar(7, 7) == 1.0


@pytest.mark.parametrize(("given", "corrected"), HOLM)
def test_several_tests_are_corrected_in_steps(given, corrected):
    """
    In the order given, never above 1, never a smaller one after a larger.
    """
    assert holm(given) == [nearly(p) for p in corrected]


def test_agreement_beyond_chance_is_cohens():
    """
    The worked example of two raters with fifty cases, kappa 0.4, and sixty labels of another
    package.
    """
    assert kappa({("y", "y"): 20, ("y", "n"): 5, ("n", "y"): 10, ("n", "n"): 15}) == nearly(0.4)
    score = label_score(list(ANSWERS), list(TRUTH))
    assert score.kappa == nearly(KAPPA)
    assert score.macro_f1 == nearly(MACRO_F1)
    found = {
        label: (figures.precision, figures.recall, figures.f1)
        for label, figures in score.labels.items()
    }
    assert found == {label: tuple(map(nearly, figures)) for label, figures in LABELS.items()}


def test_one_label_leaves_nothing_to_agree_about():
    """
    Kappa and macro F1 are not known rather than 0 or 1.
    """
    assert kappa({("a", "a"): 9}) is None
    score = label_score(["a", "a", "b"], ["a", "a", "a"])
    assert (score.kappa, score.macro_f1, score.accuracy) == (None, None, 2 / 3)


def test_missing_answers_and_unknown_labels_are_categories_of_their_own():
    """
    A missing answer is wrong, in kappa as in accuracy, and no label's precision counts it.
    """
    score = label_score(["a", "b", None, "c"], ["a", "b", "b", "a"])
    assert (score.n, score.right, score.missing, score.wrong) == (4, 2, 1, 1)
    assert score.unknown == ["c"]
    assert score.accuracy_answered == nearly(2 / 3)
    assert score.labels["b"].precision == 1.0
    # Po 2/4; of chance: a 2/4·1/4 + b 2/4·1/4 = 1/4.
    assert score.kappa == nearly((0.5 - 0.25) / 0.75)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (
            # The example of many textbooks: intelligence and hours of television a week.
            [106, 100, 86, 101, 99, 103, 97, 113, 112, 110],
            [7, 27, 2, 50, 28, 29, 20, 12, 6, 17],
            -0.17575757575757575,
        ),
        (
            # With ties; by SciPy 1.17.1, `spearmanr`.
            [2, 3, 3, 5, 3, 4, 1, 1, 4, 4, 4, 4, 3, 1, 2, 1, 3, 3, 4, 2, 5, 1, 2, 5, 3],
            [2, 5, 3, 7, 4, 4, 2, 3, 5, 4, 5, 4, 5, 3, 4, 2, 3, 5, 4, 2, 4, 1, 2, 7, 2],
            0.7431860842347172,
        ),
    ],
)
def test_ranks_are_correlated_as_spearman_does(first, second, expected):
    """
    Equal numbers share their mean rank.
    """
    assert spearman(first, second) == nearly(expected)
    assert spearman([1, 1, 1], [1, 2, 3]) is None


def test_numbers_are_measured_by_their_distance():
    """
    By hand: 1, 0 and 3 off; what is not answered is counted and not measured.
    """
    score = number_score([4.0, 2.0, None, 8.0], [5.0, 2.0, 1.0, 5.0])
    assert (score.n, score.missing, score.mae) == (4, 1, nearly(4 / 3))
    assert score.rmse == nearly(math.sqrt(10 / 3))
    assert score.mean_difference == nearly(2 / 3)
    assert number_score([None], [1.0]).mae is None
