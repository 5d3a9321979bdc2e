"""Scores of a column against truth, as tables of the library that it came from."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from llmnb.errors import ConfigurationError, InputError
from llmnb.evaluation.card_parts import Carded
from llmnb.evaluation.label_score import LabelScore, label_score
from llmnb.evaluation.labels import Spellings, number
from llmnb.evaluation.number_score import NumberScore, number_score
from llmnb.evaluation.score_card import ScoreCard, WrongRow, missing_name
from llmnb.frames.pandas_source import source_of
from llmnb.frames.table_source import AnswerColumn, Source, TableSource, name_of
from llmnb.frames.template import is_missing
from llmnb.frames.truth import (
    longest_texts,
    truth_of,
    warn_unless_random,
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
    answers = [
        None if is_missing(cell) else cell for cell in source.columns().cells(name_of(column))
    ]
    true = truth_of(source, truth)
    warn_unless_random(truth)
    labels = without_examples(source, true.labels, examples)
    compared = [row for row, label in enumerate(labels) if label is not None]
    left_out = sum(label is not None for label in true.labels) - len(compared)
    pairs = [(row, answers[row], true.labels[row]) for row in compared]
    shown = name_of(column) or "answers"
    common = _Common(source, shown, true.name, left_out, true.strangers)
    if _means_numbers(pairs, kind):
        return _scored_numbers(common, pairs)
    return _scored_labels(common, pairs, _confidence(source, column))


@dataclass(frozen=True, slots=True)
class _Common:
    """What scores of labels and of numbers have beside their figures."""

    source: TableSource
    column: str
    truth: str
    examples: int
    strangers: int

    def score(
        self,
        figures: LabelScore | NumberScore,
        wrong: Sequence[tuple[int, str, str | None]],
        shown: Callable[[str], str],
        **own: Any,
    ) -> Score:
        """Return a score.

        Args:
            figures: What was counted.
            wrong: The wrong rows, worst first: position, truth, and answer where there is one.
            shown: Returns a label as it was written.
            **own: What only this kind of score has.
        """
        first = [row for row, _, _ in wrong[:_SHOWN]]
        names = self.source.row_labels(first)
        texts = longest_texts(self.source, first, without=[self.column, self.truth])
        named = [
            WrongRow(row=name, truth=true, answered=answer, text=text)
            for (_, true, answer), name, text in zip(wrong, names, texts, strict=False)
        ]
        card = ScoreCard(
            score=figures,
            column=self.column,
            truth=self.truth,
            rows=self.source.rows,
            examples=self.examples,
            strangers=self.strangers,
            wrong=named,
            made=time.time(),
            shown=shown,
        )
        return Score(
            n=figures.n,
            missing=figures.missing,
            interval=figures.interval,
            wrong=self.source.own_rows([row for row, _, _ in wrong]),
            examples=self.examples,
            _card=card,
            **own,
        )


def _means_numbers(pairs: Sequence[tuple[int, Any, Any]], kind: str | None) -> bool:
    """Whether truth is numbers.

    Raises:
        InputError: If numbers stand against texts.
    """
    said = [answer for _, answer, _ in pairs if answer is not None]
    true = [label for _, _, label in pairs]
    are_numbers = kind == "number" or (kind is None and all(map(_is_number, true)))
    if are_numbers and said and not any(number(answer) is not None for answer in said):
        raise InputError(
            f"Truth is numbers and the answers are texts, such as {str(said[0])[:60]!r}: nothing "
            'can be compared. Where the numbers are names of labels, say kind="label".'
        )
    if kind is None and not are_numbers and said and all(map(_is_number, said)):
        texts = [label for label in true if number(label) is None]
        if len(texts) == len(true):
            raise InputError(
                f"The answers are numbers and truth is texts, such as {str(texts[0])[:60]!r}: "
                "nothing can be compared."
            )
    return are_numbers


def _is_number(value: Any) -> bool:
    return number(value) is not None and not isinstance(value, str)


def _confidence(source: TableSource, column: Hashable) -> list[float | None]:
    """Return the model's confidence in each row's answer, where the table has it."""
    columns = source.columns()
    name = f"{name_of(column)}_confidence"
    if name not in columns.names:
        return [None] * source.rows
    return [number(cell) for cell in columns.cells(name)]


def _scored_labels(
    common: _Common, pairs: Sequence[tuple[int, Any, Any]], confidence: Sequence[float | None]
) -> Score:
    spellings = Spellings()
    truth = [spellings.key(label) or "" for _, _, label in pairs]
    answers = spellings.keys(answer for _, answer, _ in pairs)
    figures = label_score(answers, truth)
    wrong = [
        place
        for place, (answer, true) in enumerate(zip(answers, truth, strict=True))
        if answer != true
    ]
    confusions = Counter((truth[place], answers[place]) for place in wrong)

    def worst(place: int) -> tuple[Any, ...]:
        sure = confidence[pairs[place][0]]
        return (
            answers[place] is None,
            sure is None,
            -(sure or 0.0),
            -confusions[truth[place], answers[place]],
            truth[place],
            answers[place] or "",
        )

    wrong.sort(key=worst)
    return common.score(
        figures,
        [
            (
                pairs[place][0],
                spellings.shown(truth[place]),
                None if (said := answers[place]) is None else spellings.shown(said),
            )
            for place in wrong
        ],
        spellings.shown,
        right=figures.right,
        accuracy=figures.accuracy,
        accuracy_answered=figures.accuracy_answered,
        macro_f1=figures.macro_f1,
        kappa=figures.kappa,
        labels=_labels_table(common.source, figures, spellings),
        matrix=_matrix(common.source, figures, spellings),
    )


def _scored_numbers(common: _Common, pairs: Sequence[tuple[int, Any, Any]]) -> Score:
    answers = [number(answer) for _, answer, _ in pairs]
    true = [_true_number(label) for _, _, label in pairs]
    figures = number_score(answers, true)
    errors = [
        None if answer is None else abs(answer - label)
        for answer, label in zip(answers, true, strict=True)
    ]
    wrong = [place for place, error in enumerate(errors) if error != 0]
    wrong.sort(key=lambda place: (errors[place] is not None, -(errors[place] or 0.0)))
    return common.score(
        figures,
        [
            (
                pairs[place][0],
                f"{true[place]:g}",
                None if (said := answers[place]) is None else f"{said:g}",
            )
            for place in wrong
        ],
        str,
        mae=figures.mae,
        rmse=figures.rmse,
        rank_correlation=figures.rank_correlation,
    )


def _true_number(label: Any) -> float:
    value = number(label)
    if value is None:
        raise InputError(f"Truth has {str(label)[:60]!r}, which is no number.")
    return value


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
