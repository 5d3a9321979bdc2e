"""Several columns of answers against one truth: who is right most often, and how surely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from llmnb.evaluation.statistics import holm, mcnemar, wilson


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
