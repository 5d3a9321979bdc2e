"""How often labels are right, and which are taken for which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmnb.evaluation.statistics import kappa, wilson


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
