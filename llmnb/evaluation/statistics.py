"""Intervals, tests and agreement, each by the formula of the paper that it names."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

NORMAL_975 = 1.959963984540054
"""The point below which a normal variable lies in 97.5 % of all cases: 95 % lie within ±this."""


def wilson(right: float, rows: float, z: float = NORMAL_975) -> tuple[float, float]:
    """Return the score interval of a share, between 0 and 1.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    J. Am. Stat. Assoc. 22 (1927), 209 to 212.

    Args:
        right: How many rows are right; need not be whole.
        rows: How many there are, above 0.
        z: How many standard errors wide to each side; 95 % unless told otherwise.

    Example:
        >>> low, high = wilson(81, 263)
        >>> round(low, 4), round(high, 4)
        (0.2553, 0.3662)
    """
    share, squared = right / rows, z * z / rows
    middle = (share + squared / 2) / (1 + squared)
    half = z / (1 + squared) * math.sqrt(share * (1 - share) / rows + squared / rows / 4)
    return max(0.0, middle - half), min(1.0, middle + half)


def mcnemar(first_only: int, second_only: int) -> float:
    """Return how likely so uneven a division of the rows is if both are as often right.

    The exact test, on both sides: which of two is the one that is right, where only one is, is
    the toss of a fair coin. 1.0 where no row tells them apart.

    Source: Q. McNemar, "Note on the sampling error of the difference between correlated
    proportions or percentages", Psychometrika 12 (1947), 153 to 157; with the binomial
    distribution in place of the normal one.

    Args:
        first_only: Rows on which only the first is right.
        second_only: Rows on which only the second is right.

    Example:
        >>> round(mcnemar(19, 12), 3)
        0.281
    """
    tosses, fewer = first_only + second_only, min(first_only, second_only)
    if first_only == second_only:
        return 1.0
    # The largest term first, by logarithms so that no number of rows is too large.
    term = math.exp(
        math.lgamma(tosses + 1)
        - math.lgamma(fewer + 1)
        - math.lgamma(tosses - fewer + 1)
        - tosses * math.log(2)
    )
    terms = []
    for heads in range(fewer, -1, -1):
        terms.append(term)
        term *= heads / (tosses - heads + 1)
    return min(1.0, 2 * math.fsum(terms))


def holm(probabilities: Sequence[float]) -> list[float]:
    """Return p-values of several tests corrected for their number, in the order given.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Stat. 6
    (1979), 65 to 70.

    Example:
        >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]
    """
    corrected = [0.0] * len(probabilities)
    largest = 0.0
    order = sorted(range(len(probabilities)), key=probabilities.__getitem__)
    for step, test in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - step) * probabilities[test]))
        corrected[test] = largest
    return corrected


def kappa(pairs: Mapping[tuple[Any, Any], int]) -> float | None:
    """Return Cohen's kappa: agreement beyond that of two who only know how often each label is.

    Source: J. Cohen, "A coefficient of agreement for nominal scales", Educ. Psychol. Meas. 20
    (1960), 37 to 46.

    Args:
        pairs: How many rows there are of each pair of categories.

    Returns:
        1.0 where all agree, 0.0 where as many agree as by chance; None where both know one
        category only, so that chance leaves nothing to be better at.

    Example:
        >>> kappa({("a", "a"): 20, ("a", "b"): 5, ("b", "a"): 10, ("b", "b"): 15})
        0.4
    """
    rows = sum(pairs.values())
    first, second = Counter[Any](), Counter[Any]()
    for (one, other), count in pairs.items():
        first[one] += count
        second[other] += count
    # In whole numbers, so that no rounding hides that all agree by chance.
    agreed = rows * sum(count for (one, other), count in pairs.items() if one == other)
    by_chance = sum(count * second[one] for one, count in first.items())
    if rows * rows == by_chance:
        return None
    return (agreed - by_chance) / (rows * rows - by_chance)


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return the rank correlation of two rows of numbers; equal ones share their mean rank.

    Source: C. Spearman, "The proof and measurement of association between two things", Am. J.
    Psychol. 15 (1904), 72 to 101.

    Returns:
        From -1 to 1; None for fewer than two numbers, and where all of one side are equal.

    Example:
        >>> round(spearman([1, 2, 3, 4], [1, 3, 2, 4]), 3)
        0.8
    """
    if len(first) < 2:
        return None
    one, other = _centred(_ranks(first)), _centred(_ranks(second))
    spread = math.sqrt(math.fsum(x * x for x in one) * math.fsum(y * y for y in other))
    if not spread:
        return None
    return math.fsum(x * y for x, y in zip(one, other, strict=True)) / spread


def _ranks(numbers: Sequence[float]) -> list[float]:
    ordered = sorted(numbers)
    last = dict(zip(ordered, range(1, len(ordered) + 1), strict=True))
    if len(last) == len(ordered):
        return list(map(last.__getitem__, numbers))
    first = dict(zip(reversed(ordered), range(len(ordered), 0, -1), strict=True))
    return [(first[number] + last[number]) / 2 for number in numbers]


def _centred(numbers: Iterable[float]) -> list[float]:
    numbers = list(numbers)
    mean = math.fsum(numbers) / len(numbers)
    return [number - mean for number in numbers]
