"""Random tables, measured by llmnb and by the packages that ``test_references.py`` names.

Prints, as JSON, the largest difference of each figure: relative to the reference where that is
above 1, else absolute; of p-values always relative.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator

import numpy as np
from scipy.stats import spearmanr
from sklearn import metrics
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW

from llmnb.evaluation.scores import label_score, number_score
from llmnb.evaluation.statistics import holm, mcnemar, spearman, wilson

TABLES = 400

Pair = tuple[str, float, float]
"""A figure's name, its value here, and the reference."""


def intervals(dice: random.Random) -> Iterator[Pair]:
    """Yield the ends of Wilson's interval for a share of few or of many rows."""
    rows = round(10 ** dice.uniform(0, 7))
    right = dice.choice([0, rows, dice.randint(0, rows)])
    ours, theirs = wilson(right, rows), proportion_confint(right, rows, method="wilson")
    yield "wilson low", ours[0], max(0.0, theirs[0])
    yield "wilson high", ours[1], min(1.0, theirs[1])


def tests(dice: random.Random) -> Iterator[Pair]:
    """Yield the exact test of pairs, and Holm's correction of several."""
    tosses = round(10 ** dice.uniform(0, 5))
    first = min(tosses, max(0, round(dice.gauss(tosses / 2, 2 * math.sqrt(tosses)))))
    table = [[0, first], [tosses - first, 0]]
    yield (
        "p of mcnemar",
        mcnemar(first, tosses - first),
        float(reference_mcnemar(table, exact=True).pvalue),
    )
    several = [dice.random() ** 4 for _ in range(dice.randint(1, 12))]
    corrected = multipletests(several, method="holm")[1]
    for own, reference in zip(holm(several), corrected, strict=True):
        yield "p of holm", own, float(reference)


def labels(dice: random.Random) -> Iterator[Pair]:
    """Yield the figures of labels: unknown ones and missing answers are categories of kappa."""
    known = [f"label {number}" for number in range(dice.randint(2, 12))]
    rows = dice.randint(2, 2000)
    shares = [dice.random() ** 2 + 1e-6 for _ in known]
    truth = dice.choices(known, shares, k=rows)
    skill = dice.random()
    answers = [
        label if dice.random() < skill else dice.choice([*known, "another", None])
        for label in truth
    ]
    ours = label_score(answers, truth)
    said = ["(missing)" if answer is None else answer for answer in answers]
    yield "accuracy", ours.accuracy, float(metrics.accuracy_score(truth, said))
    if ours.kappa is None or ours.macro_f1 is None:
        return
    yield "kappa", ours.kappa, float(metrics.cohen_kappa_score(truth, said))
    present = list(ours.labels)
    figures = metrics.precision_recall_fscore_support(
        truth, said, labels=present, zero_division=0.0
    )
    yield "macro F1", ours.macro_f1, float(np.mean(figures[2]))
    for place, label in enumerate(present):
        own = ours.labels[label]
        yield "precision", own.precision or 0.0, float(figures[0][place])
        yield "recall", own.recall, float(figures[1][place])
        yield "F1", own.f1, float(figures[2][place])
        yield "rows", own.rows, float(figures[3][place])


def numbers(dice: random.Random) -> Iterator[Pair]:
    """Yield the figures of numbers, with many equal ones and far from zero."""
    rows, scale = dice.randint(3, 2000), 10 ** dice.uniform(-3, 6)
    step = dice.choice([scale / 3, 0.0])

    def drawn() -> float:
        value = dice.gauss(100 * scale, scale)
        return round(value / step) * step if step else value

    truth = [drawn() for _ in range(rows)]
    answers = [value + dice.gauss(0, scale) if dice.random() < 0.5 else drawn() for value in truth]
    ours = number_score(answers, truth)
    mae = float(metrics.mean_absolute_error(truth, answers))
    low, high = DescrStatsW(np.abs(np.subtract(answers, truth))).zconfint_mean()
    for name, own, reference in (
        ("mae", ours.mae, mae),
        ("mae low", ours.interval[0], max(0.0, float(low))),
        ("mae high", ours.interval[1], float(high)),
        ("rmse", ours.rmse, float(metrics.root_mean_squared_error(truth, answers))),
    ):
        yield name, own / scale, reference / scale
    correlation = spearmanr(answers, truth).statistic
    own = spearman(answers, truth)
    if own is not None and not math.isnan(correlation):
        yield "spearman", own, float(correlation)


def main() -> None:
    """Print the largest difference of each figure."""
    dice = random.Random(20261129)
    largest: dict[str, float] = {}
    for _ in range(TABLES):
        for measured in (intervals, tests, labels, numbers):
            for name, own, reference in measured(dice):
                whole = abs(reference) if name.startswith("p of") else max(1.0, abs(reference))
                difference = abs(own - reference) / (whole or 1.0)
                largest[name] = max(largest.get(name, 0.0), difference)
    print(json.dumps(largest))


if __name__ == "__main__":
    main()
