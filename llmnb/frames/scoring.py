"""Scores of a column against truth, as tables of the library that it came from."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from llmnb.errors import ConfigurationError, InputError
from llmnb.evaluation.label_score import LabelScore, label_score
from llmnb.evaluation.labels import Spellings, number
from llmnb.evaluation.number_score import number_score
from llmnb.evaluation.score_card import ScoreCard, WrongRow, missing_name
from llmnb.frames.pandas_source import source_of
from llmnb.frames.table_source import AnswerColumn, Source, TableSource, name_of
from llmnb.frames.template import is_missing
from llmnb.frames.truth import longest_texts, truth_of

_SHOWN = 4
"""Wrong rows that a card names."""


@dataclass(frozen=True, slots=True, eq=False)
class Score:
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
    right: int | None
    missing: int
    accuracy: float | None
    interval: tuple[float, float] | None
    accuracy_answered: float | None
    macro_f1: float | None
    kappa: float | None
    mae: float | None
    rmse: float | None
    rank_correlation: float | None
    labels: Any
    matrix: Any
    wrong: Any
    examples: int
    _card: ScoreCard

    def __repr__(self) -> str:
        return f"<Score: {self._card.line()}>"

    def __str__(self) -> str:
        return self._card.text()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))

    def _repr_html_(self) -> str:
        return self._card.html()


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
    is_example = _labelled(source, examples)
    compared = [
        row for row, label in enumerate(true.labels) if label is not None and not is_example[row]
    ]
    left_out = sum(label is not None and is_example[row] for row, label in enumerate(true.labels))
    if not compared:
        raise InputError("Every labelled row is an example: there is nothing left to score.")
    pairs = [(row, answers[row], true.labels[row]) for row in compared]
    shown = name_of(column) or "answers"
    common = _Common(source, shown, true.name, left_out, true.strangers)
    if _means_numbers(pairs, kind):
        return _scored_numbers(common, pairs)
    return _scored_labels(common, pairs, _confidence(source, column))


@dataclass(frozen=True, slots=True)
class _Common:
    """What a score of either kind shows beside its figures."""

    source: TableSource
    column: str
    truth: str
    examples: int
    strangers: int

    def card(self, figures: Any, wrong: Sequence[WrongRow], spellings: Spellings) -> ScoreCard:
        return ScoreCard(
            score=figures,
            column=self.column,
            truth=self.truth,
            rows=self.source.rows,
            examples=self.examples,
            strangers=self.strangers,
            wrong=wrong,
            made=time.time(),
            shown=spellings.shown,
        )


def _labelled(source: TableSource, examples: Any) -> list[bool]:
    """Return which rows are examples of the prompt."""
    if examples is None:
        return [False] * source.rows
    labels, _ = source.aligned(examples, "examples")
    return [not is_missing(label) for label in labels]


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
    first = wrong[:_SHOWN]
    rows = [pairs[place][0] for place in first]
    names, texts = (
        common.source.row_labels(rows),
        longest_texts(common.source, rows, without=[common.column, common.truth]),
    )
    named = [
        WrongRow(
            row=name,
            truth=spellings.shown(truth[place]),
            answered=None if (said := answers[place]) is None else spellings.shown(said),
            text=text,
        )
        for place, name, text in zip(first, names, texts, strict=True)
    ]
    return Score(
        n=figures.n,
        right=figures.right,
        missing=figures.missing,
        accuracy=figures.accuracy,
        interval=figures.interval,
        accuracy_answered=figures.accuracy_answered,
        macro_f1=figures.macro_f1,
        kappa=figures.kappa,
        mae=None,
        rmse=None,
        rank_correlation=None,
        labels=_labels_table(common.source, figures, spellings),
        matrix=_matrix(common.source, figures, spellings),
        wrong=common.source.own_rows([pairs[place][0] for place in wrong]),
        examples=common.examples,
        _card=common.card(figures, named, spellings),
    )


def _scored_numbers(common: _Common, pairs: Sequence[tuple[int, Any, Any]]) -> Score:
    answers = [number(answer) for _, answer, _ in pairs]
    truth = [number(label) for _, _, label in pairs]
    if (
        place := next((place for place, true in enumerate(truth) if true is None), None)
    ) is not None:
        raise InputError(f"Truth has {str(pairs[place][2])[:60]!r}, which is no number.")
    true = [value for value in truth if value is not None]
    figures = number_score(answers, true)
    errors = [
        None if answer is None else abs(answer - label)
        for answer, label in zip(answers, true, strict=True)
    ]
    wrong = [place for place, error in enumerate(errors) if error != 0]
    wrong.sort(key=lambda place: (errors[place] is not None, -(errors[place] or 0.0)))
    first = wrong[:_SHOWN]
    rows = [pairs[place][0] for place in first]
    names, texts = (
        common.source.row_labels(rows),
        longest_texts(common.source, rows, without=[common.column, common.truth]),
    )
    named = [
        WrongRow(
            row=name,
            truth=f"{true[place]:g}",
            answered=None if (said := answers[place]) is None else f"{said:g}",
            text=text,
        )
        for place, name, text in zip(first, names, texts, strict=True)
    ]
    return Score(
        n=figures.n,
        right=None,
        missing=figures.missing,
        accuracy=None,
        interval=figures.interval,
        accuracy_answered=None,
        macro_f1=None,
        kappa=None,
        mae=figures.mae,
        rmse=figures.rmse,
        rank_correlation=figures.rank_correlation,
        labels=None,
        matrix=None,
        wrong=common.source.own_rows([pairs[place][0] for place in wrong]),
        examples=common.examples,
        _card=common.card(figures, named, Spellings()),
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
