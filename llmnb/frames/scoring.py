"""Scores of a column against truth, as tables of the library that it came from."""

from __future__ import annotations

import functools
import itertools
import math
import operator
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmnb.display.texts import cut
from llmnb.engine import gc_thresholds
from llmnb.errors import ConfigurationError
from llmnb.evaluation.card import Carded
from llmnb.evaluation.labels import Spellings, numbers
from llmnb.evaluation.score_card import LabelCard, NumberCard, ScoreCard, missing_name
from llmnb.evaluation.scores import LabelScore, NumberScore, label_score, number_score
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

_LONGEST_TEXT = 120
_NO_ANSWER = "no answer"


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
    source, name = source_of(table), name_of(column) or "answers"
    with gc_thresholds.raised():
        answers, true = answers_and_truth(source, column, truth)
        labels = without_examples(source, true.labels, examples)
        rows = [row for row, label in enumerate(labels) if label is not None]
        said = list(map(answers.__getitem__, rows))
        known = list(map(labels.__getitem__, rows))
        if means_numbers(said, known, kind):
            compared = _compared_numbers(said, known)
        else:
            sure = _of_answers(source, column, "confidence")
            confidence = None if sure is None else list(map(numbers(sure).__getitem__, rows))
            compared = _compared_labels(source, said, known, confidence)
        figures, wrong = compared.figures, [rows[place] for place in compared.wrong]
        unsupported = None
        if (marks := _of_answers(source, column, "supported")) is not None:
            keys = Spellings().keys(marks)  # a file has them as texts
            marked = {row for row in rows if keys[row] == "false"}
            unsupported = len(marked), len(marked.intersection(wrong))
        first = wrong[:_SHOWN]
        called = "the labels" if true.name == name_of(column) else true.name
        texts = longest_texts(source, first, without=[name, called])
        left_out = len(true.labels) - true.labels.count(None) - len(rows)
        card = compared.card(
            column=name,
            truth=called,
            rows=source.rows,
            examples=left_out,
            strangers=true.strangers,
            wrong=[
                [row, *written, cut(text or "", _LONGEST_TEXT)]
                for row, written, text in zip(
                    source.row_labels(first), compared.written, texts, strict=True
                )
            ],
            others_wrong=len(wrong) - len(first),
            made=time.time(),
            unsupported=unsupported,
        )
        return Score(
            **{name: getattr(figures, name) for name in _FIGURES if hasattr(figures, name)},
            **compared.tables,
            wrong=source.own_rows(wrong),
            examples=left_out,
            unsupported=None if unsupported is None else unsupported[0],
            _card=card,
        )


_FIGURES = (
    *("n", "missing", "interval", "right", "accuracy", "accuracy_answered", "macro_f1", "kappa"),
    *("mae", "rmse", "rank_correlation"),
)
"""Figures that a score of labels or of numbers has."""


@dataclass(frozen=True, slots=True)
class _Compared:
    """What a comparison with truth came to.

    Attributes:
        figures: What was counted.
        wrong: Places of the wrong answers, worst first.
        written: The truth and the answer of the first of them, as they are written.
        card: Makes the card.
        tables: `labels` and `matrix`, of labels only.
    """

    figures: LabelScore | NumberScore
    wrong: Sequence[int]
    written: Sequence[tuple[str, str]]
    card: Callable[..., ScoreCard]
    tables: Mapping[str, Any] = field(default_factory=dict)


def _of_answers(source: TableSource, column: Hashable, what: str) -> list[Any] | None:
    """Return what the table tells of each row's answer, in a column called after it; else None."""
    columns = source.columns()
    name = f"{name_of(column)}_{what}"
    return known_cells(columns.cells(name)) if name in columns.names else None


def _compared_labels(
    source: TableSource,
    said: Sequence[Any],
    known: Sequence[Any],
    confidence: Sequence[float | None] | None,
) -> _Compared:
    spellings = Spellings()
    truth = [key or "" for key in spellings.keys(known)]
    answers = spellings.keys(said)
    figures = label_score(answers, truth)
    wrong = list(itertools.compress(range(len(truth)), map(operator.ne, answers, truth)))
    confusions = [pair for pair in figures.pairs if pair[0] != pair[1]]
    confusions.sort(
        key=lambda pair: (pair[1] is None, -figures.pairs[pair], pair[0], pair[1] or "")
    )
    ranks = {pair: rank for rank, pair in enumerate(confusions)}
    wrong.sort(key=lambda place: ranks[truth[place], answers[place]])
    if (sure := confidence) is not None:
        wrong.sort(
            key=lambda place: (answers[place] is None, sure[place] is None, -(sure[place] or 0.0))
        )
    return _Compared(
        figures,
        wrong,
        [
            (spellings.shown(truth[place]), spellings.shown(answers[place]) or _NO_ANSWER)
            for place in wrong[:_SHOWN]
        ],
        functools.partial(LabelCard, score=figures, shown=spellings.shown),
        {
            "labels": _labels_table(source, figures, spellings),
            "matrix": _matrix(source, figures, spellings),
        },
    )


def _compared_numbers(said: Sequence[Any], known: Sequence[Any]) -> _Compared:
    answers = numbers(said)
    truth = [label for label in numbers(known) if label is not None]  # all, as checked
    figures = number_score(answers, truth)
    errors = [
        math.inf if answer is None else abs(answer - label)
        for answer, label in zip(answers, truth, strict=True)
    ]
    # Those without an answer first, then the largest error.
    wrong = [place for place, error in enumerate(errors) if error]
    wrong.sort(key=errors.__getitem__, reverse=True)
    written = [
        (f"{truth[place]:g}", _NO_ANSWER if (own := answers[place]) is None else f"{own:g}")
        for place in wrong[:_SHOWN]
    ]
    return _Compared(figures, wrong, written, functools.partial(NumberCard, score=figures))


def _labels_table(source: TableSource, figures: LabelScore, spellings: Spellings) -> Any:
    rows = figures.labels.values()
    kinds = {"rows": "Int64", "precision": "Float64", "recall": "Float64", "f1": "Float64"}
    return source.named(
        "label",
        list(map(spellings.shown, figures.labels)),
        {
            name: AnswerColumn([getattr(row, name) for row in rows], kind)
            for name, kind in kinds.items()
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
