"""How far numbers are off."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llmnb.evaluation.statistics import NORMAL_975, spearman


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
