"""Scores of a column against truth, as tables of the library that it came from."""

from __future__ import annotations

import itertools
import math
import operator
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from llmnb.engine import gc_thresholds
from llmnb.errors import ConfigurationError
from llmnb.evaluation.card_parts import Carded
from llmnb.evaluation.label_score import LabelScore, label_score
from llmnb.evaluation.labels import Spellings, numbers
from llmnb.evaluation.number_score import NumberScore, number_score
from llmnb.evaluation.score_card import ScoreCard, WrongRow, missing_name
from llmnb.frames.pandas_source import source_of
from llmnb.frames.table_source import AnswerColumn, Source, TableSource, name_of
from llmnb.frames.template import known_cells
from llmnb.frames.truth import (
    answers_and_truth,
    longest_texts,
    means_numbers,
    without_examples,
)

_SHOWN = 4
"""Wrong rows that a card names."""


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class Score(Carded):
    """How often a column is right, how sure that is, and where it is wrong.

    Attributes:
        n: Labelled rows that were compared.
        right: Rows whose answer is the true label; None for numbers.
        missing: Rows without an answer; as labels they count as wrong.
        accuracy: `right` of `n`; None for numbers.
        interval: The 95 % interval of accuracy, or of `mae`.
        accuracy_answered: The share that is right of the rows with an answer.
        macro_f1: The mean F1 of the true labels; None where there is only one.
        kappa: Cohen's kappa; None where there is only one label.
        mae: The mean distance of numbers; None for labels.
        rmse: The root of their mean squared distance.
        rank_correlation: Spearman's.
        labels: A table of the true labels: rows, precision, recall, f1; None for numbers.
        matrix: A table with truth in rows and answers in columns, the last one of missing answers.
        wrong: The frame's rows that are wrong: by the model's confidence where the frame has it
            (``<column>_confidence``), else the commonest confusion first; numbers by the largest
            error. Unanswered rows stand last, of numbers first.
        examples: Labelled rows that were left out as examples.
        unsupported: Rows whose answer quotes words that are not in their text, where the frame
            tells (``<column>_supported``, as ``extract(…, quotes=True)`` gives it); else None.
    """

    n: int
    right: int | None = None
    missing: int
    accuracy: float | None = None
    interval: tuple[float, float] | None = None
    accuracy_answered: float | None = None
    macro_f1: float | None = None
    kappa: float | None = None
    mae: float | None = None
    rmse: float | None = None
    rank_correlation: float | None = None
    labels: Any = None
    matrix: Any = None
    wrong: Any
    examples: int
    unsupported: int | None
    _card: ScoreCard


def column_score(
    table: Source, column: Hashable, truth: Any, examples: Any = None, kind: str | None = None
) -> Score:
    """Compare a column with the truth; nothing is sent.

    Raises:
        InputError: If the table is empty, has no such column, or truth cannot be matched.
        ConfigurationError: If `kind` is neither "label" nor "number".
    """
    if kind not in (None, "label", "number"):
        raise ConfigurationError(f'kind= is "label" or "number", not {kind!r}.')
    source = source_of(table)
    with gc_thresholds.raised():
        answers, true = answers_and_truth(source, column, truth)
        labels = without_examples(source, true.labels, examples)
        rows = [row for row, label in enumerate(labels) if label is not None]
        compared = _Compared(
            source=source,
            column=name_of(column) or "answers",
            name="the labels" if true.name == name_of(column) else true.name,
            examples=len(true.labels) - true.labels.count(None) - len(rows),
            strangers=true.strangers,
            supported=_of_answers(source, column, "supported"),
            rows=rows,
            answers=list(map(answers.__getitem__, rows)),
            truth=list(map(labels.__getitem__, rows)),
        )
        if means_numbers(compared.answers, compared.truth, kind):
            return _scored_numbers(compared)
        sure = _of_answers(source, column, "confidence")
        return _scored_labels(compared, None if sure is None else numbers(sure))


@dataclass(frozen=True, slots=True)
class _Compared:
    """The rows that have a true label, each with what was answered and what is true."""

    source: TableSource
    column: str
    name: str
    """What the truth is called."""

    examples: int
    strangers: int
    supported: list[Any] | None
    rows: Sequence[int]
    answers: Sequence[Any]
    truth: Sequence[Any]

    def score(
        self,
        figures: LabelScore | NumberScore,
        wrong: Sequence[int],
        written: Callable[[int], tuple[str, str | None]],
        shown: Callable[[str], str],
        **own: Any,
    ) -> Score:
        """Return a score.

        Args:
            figures: What was counted.
            wrong: Places of the wrong ones, worst first.
            written: Returns the truth at a place, and the answer where there is one.
            shown: Returns a label as it was written.
            **own: What only this kind of score has.
        """
        rows = list(map(self.rows.__getitem__, wrong))
        unsupported = None
        if (marks := self.supported) is not None:
            said = Spellings().keys(marks)  # a file has them as texts
            marked = {row for row in self.rows if said[row] == "false"}
            unsupported = len(marked), sum(row in marked for row in rows)
        first = rows[:_SHOWN]
        names = self.source.row_labels(first)
        texts = longest_texts(self.source, first, without=[self.column, self.name])
        named = [
            WrongRow(row=name, truth=true, answered=answer, text=text)
            for (true, answer), name, text in zip(map(written, wrong), names, texts, strict=False)
        ]
        card = ScoreCard(
            score=figures,
            column=self.column,
            truth=self.name,
            rows=self.source.rows,
            examples=self.examples,
            strangers=self.strangers,
            wrong=named,
            made=time.time(),
            shown=shown,
            unsupported=unsupported,
        )
        return Score(
            n=figures.n,
            missing=figures.missing,
            interval=figures.interval,
            wrong=self.source.own_rows(rows),
            examples=self.examples,
            unsupported=None if unsupported is None else unsupported[0],
            _card=card,
            **own,
        )


def _of_answers(source: TableSource, column: Hashable, what: str) -> list[Any] | None:
    """Return what the table tells of each row's answer, in a column called after it; else None."""
    columns = source.columns()
    name = f"{name_of(column)}_{what}"
    return known_cells(columns.cells(name)) if name in columns.names else None


def _scored_labels(compared: _Compared, confidence: Sequence[float | None] | None) -> Score:
    spellings = Spellings()
    truth = [key or "" for key in spellings.keys(compared.truth)]
    answers = spellings.keys(compared.answers)
    figures = label_score(answers, truth)
    wrong = list(itertools.compress(range(len(truth)), map(operator.ne, answers, truth)))
    confusions = [pair for pair in figures.pairs if pair[0] != pair[1]]
    confusions.sort(
        key=lambda pair: (pair[1] is None, -figures.pairs[pair], pair[0], pair[1] or "")
    )
    ranks = {pair: rank for rank, pair in enumerate(confusions)}
    wrong.sort(key=lambda place: ranks[truth[place], answers[place]])
    if confidence is not None:
        sure = [confidence[row] for row in compared.rows]
        wrong.sort(
            key=lambda place: (answers[place] is None, sure[place] is None, -(sure[place] or 0.0))
        )

    def written(place: int) -> tuple[str, str | None]:
        said = answers[place]
        return spellings.shown(truth[place]), None if said is None else spellings.shown(said)

    return compared.score(
        figures,
        wrong,
        written,
        spellings.shown,
        right=figures.right,
        accuracy=figures.accuracy,
        accuracy_answered=figures.accuracy_answered,
        macro_f1=figures.macro_f1,
        kappa=figures.kappa,
        labels=_labels_table(compared.source, figures, spellings),
        matrix=_matrix(compared.source, figures, spellings),
    )


def _scored_numbers(compared: _Compared) -> Score:
    answers = numbers(compared.answers)
    true = [label for label in numbers(compared.truth) if label is not None]  # all, as checked
    figures = number_score(answers, true)
    errors = [
        -1.0 if answer is None else abs(answer - label)
        for answer, label in zip(answers, true, strict=True)
    ]
    wrong = [place for place, error in enumerate(errors) if error]
    # Those without an answer first, then the largest error.
    wrong.sort(key=[math.inf if error < 0 else error for error in errors].__getitem__, reverse=True)

    def written(place: int) -> tuple[str, str | None]:
        said = answers[place]
        return f"{true[place]:g}", None if said is None else f"{said:g}"

    return compared.score(
        figures,
        wrong,
        written,
        str,
        mae=figures.mae,
        rmse=figures.rmse,
        rank_correlation=figures.rank_correlation,
    )


def _labels_table(source: TableSource, figures: LabelScore, spellings: Spellings) -> Any:
    rows = list(figures.labels.values())
    return source.named(
        "label",
        [spellings.shown(label) for label in figures.labels],
        {
            "rows": AnswerColumn([row.rows for row in rows], "Int64"),
            "precision": AnswerColumn([row.precision for row in rows], "Float64"),
            "recall": AnswerColumn([row.recall for row in rows], "Float64"),
            "f1": AnswerColumn([row.f1 for row in rows], "Float64"),
        },
    )


def _matrix(source: TableSource, figures: LabelScore, spellings: Spellings) -> Any:
    labels = [*figures.labels]
    columns = {spellings.shown(label): label for label in [*labels, *figures.unknown]}
    cells: dict[str, AnswerColumn] = {
        shown: AnswerColumn([figures.pairs.get((true, label), 0) for true in labels], "Int64")
        for shown, label in columns.items()
    }
    missing = AnswerColumn([figures.pairs.get((true, None), 0) for true in labels], "Int64")
    cells[missing_name(list(columns))] = missing
    return source.named("truth", [spellings.shown(label) for label in labels], cells)
