"""How often labels are right, how far numbers are off, and who of several is right most often."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from llmnb.evaluation.statistics import NORMAL_975, holm, kappa, mcnemar, spearman, wilson


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """How well the answers find one label.

    Attributes:
        rows: How many rows truly have it.
        precision: The share of those answered so that truly are; None where nothing is.
        recall: The share of its rows that are answered so.
        f1: The harmonic mean of both.
    """

    rows: int
    precision: float | None
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class LabelScore:
    """Answers against truth, row by row.

    Attributes:
        n: Rows that have a true label.
        right: Rows whose answer is that label.
        missing: Rows without an answer; they count as wrong.
        interval: The 95 % interval of accuracy (Wilson).
        accuracy_answered: The share that is right of the rows with an answer; None without any.
        macro_f1: The mean F1 of the true labels; None where there is only one.
        kappa: Cohen's kappa, unknown labels and missing answers as categories; None likewise.
        labels: The figures of each true label, the most frequent first.
        unknown: Labels that were answered and are true of no row, the most frequent first.
        pairs: Rows by true label and answer, None for a missing one.
    """

    n: int
    right: int
    missing: int
    interval: tuple[float, float]
    accuracy_answered: float | None
    macro_f1: float | None
    kappa: float | None
    labels: Mapping[str, LabelFigures]
    unknown: Sequence[str]
    pairs: Mapping[tuple[str, str | None], int]

    @property
    def accuracy(self) -> float:
        """The share of rows that are right."""
        return self.right / self.n

    @property
    def wrong(self) -> int:
        """Rows with an answer that is not the true label."""
        return self.n - self.right - self.missing

    @property
    def most_frequent(self) -> tuple[str, float]:
        """The label that is true most often, and the share that is right by always saying it."""
        label, figures = next(iter(self.labels.items()))
        return label, figures.rows / self.n


def label_score(answers: Sequence[str | None], truth: Sequence[str]) -> LabelScore:
    """Return how well answers agree with truth.

    Args:
        answers: The label that is answered for each row, None where none is.
        truth: The true label of the same row; at least one row.

    Example:
        >>> score = label_score(["a", "b", "a", None], ["a", "b", "b", "b"])
        >>> score.accuracy, score.missing, score.labels["b"].recall
        (0.5, 1, 0.3333333333333333)
    """
    pairs = Counter(zip(truth, answers, strict=True))
    true, said = Counter[str](), Counter[str | None]()
    for (label, answer), rows in pairs.items():
        true[label] += rows
        said[answer] += rows
    labels = {}
    for label, rows in true.most_common():
        hits = pairs[label, label]
        labels[label] = LabelFigures(
            rows=rows,
            precision=hits / said[label] if said[label] else None,
            recall=hits / rows,
            f1=2 * hits / (rows + said[label]),
        )
    right, missing = sum(pairs[label, label] for label in labels), said.pop(None, 0)
    one_label = len(labels) == 1
    return LabelScore(
        n=len(truth),
        right=right,
        missing=missing,
        interval=wilson(right, len(truth)),
        accuracy_answered=right / (len(truth) - missing) if missing < len(truth) else None,
        macro_f1=None if one_label else sum(row.f1 for row in labels.values()) / len(labels),
        kappa=None if one_label else kappa(pairs),
        labels=labels,
        unknown=[label for label, _ in said.most_common() if label and label not in labels],
        pairs=pairs,
    )


@dataclass(frozen=True, slots=True)
class NumberScore:
    """Answered numbers against true ones.

    Attributes:
        n: Rows that have a true number.
        missing: Rows without an answered number; no other figure counts them.
        mae: The mean distance, whatever its sign; None without any answer, as what follows.
        interval: The 95 % interval of that mean, by the normal distribution.
        rmse: The root of the mean squared distance.
        mean_difference: The mean of answer minus truth.
        rank_correlation: Spearman's; None as well where all numbers of a side are equal.
        differences: Answer minus truth of each answered row, in order.
    """

    n: int
    missing: int
    mae: float | None
    interval: tuple[float, float] | None
    rmse: float | None
    mean_difference: float | None
    rank_correlation: float | None
    differences: Sequence[float]


def number_score(answers: Sequence[float | None], truth: Sequence[float]) -> NumberScore:
    """Return how far answers are from the truth.

    Args:
        answers: The number that is answered for each row, None where none is.
        truth: The true number of the same row; at least one row.

    Example:
        >>> score = number_score([4.0, 2.0, None, 5.0], [5.0, 2.0, 1.0, 5.0])
        >>> score.missing, round(score.mae, 3), round(score.rmse, 3)
        (1, 0.333, 0.577)
    """
    pairs = [(x, y) for x, y in zip(answers, truth, strict=True) if x is not None]
    differences = [answer - true for answer, true in pairs]
    if not pairs:
        return NumberScore(len(truth), len(truth), None, None, None, None, None, ())
    rows = len(pairs)
    distances = [abs(difference) for difference in differences]
    mae = math.fsum(distances) / rows
    half = math.inf
    if rows > 1:
        variance = math.fsum((distance - mae) ** 2 for distance in distances) / (rows - 1)
        half = NORMAL_975 * math.sqrt(variance / rows)
    return NumberScore(
        n=len(truth),
        missing=len(truth) - rows,
        mae=mae,
        interval=(max(0.0, mae - half), mae + half),
        rmse=math.sqrt(math.fsum(x * x for x in differences) / rows),
        mean_difference=math.fsum(differences) / rows,
        rank_correlation=spearman([x for x, _ in pairs], [y for _, y in pairs]),
        differences=differences,
    )


@dataclass(frozen=True, slots=True)
class Rival:
    """One of several that answered the same rows.

    Attributes:
        number: Its place in the order given.
        right: Rows that it has right.
        accuracy: Their share.
        low: The lower end of the 95 % interval of it (Wilson).
        high: The upper end.
        worse: Rows wrong here that the best has right.
        better: Rows right here that the best has wrong.
        p: How likely so uneven a division is if both are as often right (exact McNemar); None
            for the best itself.
        p_holm: The same, corrected for the number of rivals (Holm).
    """

    number: int
    right: int
    accuracy: float
    low: float
    high: float
    worse: int = 0
    better: int = 0
    p: float | None = None
    p_holm: float | None = None

    @property
    def is_worse(self) -> bool:
        """Whether it is shown to be worse than the best, at 5 %."""
        return self.p_holm is not None and self.p_holm < 0.05


def rank(answers: Sequence[Sequence[str | None]], truth: Sequence[str]) -> list[Rival]:
    """Return who is right most often, first the best; who is named first wins where two are even.

    Args:
        answers: For each rival the label of each row, None where it gave none.
        truth: The true label of each row; at least one row.

    Example:
        >>> best, other = rank([["a", "b", "b"], ["a", "a", "a"]], ["a", "a", "a"])
        >>> best.number, best.accuracy, other.worse, other.better, other.p
        (1, 1.0, 2, 0, 0.5)
    """
    hits = [
        [answer == true for answer, true in zip(column, truth, strict=True)] for column in answers
    ]
    rivals = []
    for number, own in enumerate(hits):
        right = sum(own)
        low, high = wilson(right, len(truth))
        rivals.append(Rival(number, right, right / len(truth), low, high))
    rivals.sort(key=lambda rival: (-rival.right, rival.number))
    best, *others = rivals
    against = []
    for rival in others:
        pairs = list(zip(hits[best.number], hits[rival.number], strict=True))
        worse, better = pairs.count((True, False)), pairs.count((False, True))
        against.append(replace(rival, worse=worse, better=better, p=mcnemar(worse, better)))
    corrected = holm([rival.p or 0.0 for rival in against])
    return [
        best,
        *(replace(rival, p_holm=p) for rival, p in zip(against, corrected, strict=True)),
    ]
