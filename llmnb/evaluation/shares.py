"""How often each label is, from answers for all rows and labels for a few."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from llmnb.evaluation.statistics import wilson

_PSEUDO_ROWS = 0.6
"""Rows that are thought to be added to each side of right and wrong before the spread of errors is
estimated, so that a few labels without an error do not pass for certainty. With 0.5 the interval
covers the truth in too few simulated tables, with 0.75 in too many
(tests/evaluation/test_coverage.py)."""


@dataclass(frozen=True, slots=True)
class LabelShare:
    """The share of one label among all rows.

    Attributes:
        share: As corrected by the labels, from 0 to 1. Those of all labels sum to 1.
        low: The lower end of its 95 % interval.
        high: The upper end.
        naive: The share that the model's answers give.
        labelled_low: The lower end of what the labelled rows alone would give.
        labelled_high: The upper end.
    """

    share: float
    low: float
    high: float
    naive: float
    labelled_low: float
    labelled_high: float


def shares(
    answers: Sequence[Hashable | None],
    truth: Sequence[Hashable | None],
    labels: Iterable[Hashable],
) -> dict[Hashable, LabelShare]:
    """Return the share of each label among these very rows, corrected by a few labels.

    The estimate is that of prediction-powered inference with a tuned weight: the share among the
    labelled rows, plus lambda times what the model says more often of all rows than of those. One
    lambda, that of least variance over all labels together, serves all of them, so that shares
    sum to 1. Sources: A. N. Angelopoulos, J. C. Duchi, T. Zrnic, "PPI++: Efficient
    prediction-powered inference" (2023), arXiv:2311.01453; for a finite population it is the
    difference estimator of C.-E. Särndal, B. Swensson, J. Wretman, "Model Assisted Survey
    Sampling" (1992), whose variance falls to 0 as the last row is labelled.

    The interval is Wilson's with the number of rows at which a plain share would vary as much as
    the estimate does: E. L. Korn, B. I. Graubard, "Confidence intervals for proportions with
    small expected number of positive counts estimated from survey data", Survey Methodology 24
    (1998), 193 to 201. It never leaves what is possible at all: at least the rows that are
    labelled so, at most all rows but those that are labelled otherwise.

    Args:
        answers: The model's label of each row, None where it gave none.
        truth: The label of the same row, None where there is none. At least one is known. Which
            rows are labelled must be chance: labels of hard rows say nothing of the others.
        labels: Those to report, in this order; every label of both lists.

    Example:
        >>> said = ["a"] * 60 + ["b"] * 40
        >>> known = ["a"] * 10 + [None] * 50 + ["b"] * 9 + ["a"] + [None] * 30
        >>> share = shares(said, known, ["a", "b"])["a"]
        >>> round(share.share, 3), round(share.low, 3), round(share.high, 3), share.naive
        (0.644, 0.536, 0.739, 0.6)
    """
    table = _Table(answers, truth)
    labels = list(labels)
    weight = table.weight(labels)
    estimates = {label: table.estimate(label, weight) for label in labels}
    whole = sum(max(0.0, estimate) for estimate in estimates.values())

    found = {}
    for label in labels:
        low, high = table.interval(label, weight)
        alone = table.interval(label, 0.0)
        share = max(0.0, estimates[label]) / whole
        found[label] = LabelShare(
            share=share,
            low=min(low, share),
            high=max(high, share),
            naive=table.said[label] / table.rows,
            labelled_low=alone[0],
            labelled_high=alone[1],
        )
    return found


class _Table:
    """How many rows there are of each kind.

    Args:
        answers: The model's label of each row, None where it gave none.
        truth: The label of the same row, None where there is none.
    """

    def __init__(
        self, answers: Sequence[Hashable | None], truth: Sequence[Hashable | None]
    ) -> None:
        self.rows = len(answers)
        self.said = Counter(answers)
        self.pairs = Counter(
            pair for pair in zip(answers, truth, strict=True) if pair[1] is not None
        )
        """Labelled rows by what the model says and what is true."""
        self.labelled = self.pairs.total()
        self.labelled_said: Counter[Hashable | None] = Counter()
        self.true: Counter[Hashable] = Counter()
        for (answer, label), count in self.pairs.items():
            self.labelled_said[answer] += count
            self.true[label] += count

    def weight(self, labels: Sequence[Hashable]) -> float:
        """Return the weight of the model's answers that leaves the least variance, 0 to 1."""
        together = spread = 0.0
        for label in labels:
            by_chance = self.true[label] * self.labelled_said[label] / self.labelled
            together += (self.pairs[label, label] - by_chance) / self.labelled
            spread += self.said[label] / self.rows * (1 - self.said[label] / self.rows)
        return min(1.0, max(0.0, together / spread)) if spread > 0 else 0.0

    def estimate(self, label: Hashable, weight: float) -> float:
        """Return a label's share as corrected; for a rare one it may fall below 0."""
        among_labelled = self.true[label] / self.labelled
        surplus = self.said[label] / self.rows - self.labelled_said[label] / self.labelled
        # A row without an answer counts as the labelled rows' shares, which sum to 1 as well.
        silent = self.said[None] / self.rows - self.labelled_said[None] / self.labelled
        return among_labelled + weight * (surplus + among_labelled * silent)

    def interval(self, label: Hashable, weight: float) -> tuple[float, float]:
        """Return the 95 % interval of a label's share, given how answers are weighted."""
        share = min(1.0, max(0.0, self.estimate(label, weight)))
        if self.labelled == self.rows:
            return share, share
        variance = self._spread(label, weight) * (1 - self.labelled / self.rows) / self.labelled
        # Half a row to each side, so that a share of 0 or 1 has a spread as well.
        smooth = (share * self.labelled + 0.5) / (self.labelled + 1)
        alike = smooth * (1 - smooth) / variance
        low, high = wilson(share * alike, alike)
        least = self.true[label] / self.rows
        most = 1 - (self.labelled - self.true[label]) / self.rows
        return max(low, least), min(high, most)

    def _spread(self, label: Hashable, weight: float) -> float:
        """Return the variance, over labelled rows, of what the weighted answer leaves."""
        said = self.said[label] / self.rows
        residuals: list[tuple[float, float]] = [
            (1 - weight, _PSEUDO_ROWS * said),
            (-weight, _PSEUDO_ROWS * said),
            (1.0, _PSEUDO_ROWS * (1 - said)),
            (0.0, _PSEUDO_ROWS * (1 - said)),
        ]
        for (answer, truth), count in self.pairs.items():
            among_labelled = self.true[label] / self.labelled
            expected = among_labelled if answer is None else float(answer == label)
            residuals.append((float(truth == label) - weight * expected, count))
        total = math.fsum(count for _, count in residuals)
        mean = math.fsum(value * count for value, count in residuals) / total
        return math.fsum((value - mean) ** 2 * count for value, count in residuals) / total
