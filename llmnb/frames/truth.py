"""The true labels of a table's rows, whatever they come as."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from llmnb.display.texts import counted
from llmnb.errors import InputError
from llmnb.frames.table_source import TableSource
from llmnb.frames.template import is_missing
from llmnb.user_code import warn


class Labelled(ABC):
    """Labels that a person gives one after the other; it stands wherever truth does."""

    @property
    @abstractmethod
    def labels(self) -> Any:
        """A column over the table's rows, missing where there is no label."""

    @property
    @abstractmethod
    def not_random(self) -> str:
        """How labelled rows were chosen that were not drawn at random; empty where all were."""


def warn_unless_random(truth: Any) -> None:
    """Warn where a person has labelled rows that were not drawn at random."""
    if isinstance(truth, Labelled) and (how := truth.not_random):
        warn(
            f"These labels are not of rows at random, but of {how}: what they say of the whole "
            'table may be far off. Label some with sample="random" for that.'
        )


@dataclass(frozen=True, slots=True)
class Truth:
    """The label of each row, None where it has none.

    Attributes:
        labels: In the rows' order.
        strangers: Labels that belong to no row of the table.
        name: What the truth is called.
    """

    labels: Sequence[Any]
    strangers: int
    name: str


def truth_of(source: TableSource, truth: Any, argument: str = "truth") -> Truth:
    """Return the true label of each row.

    Args:
        source: The table.
        truth: What `label` returned; a series, matched by its index (of Polars, which has none, by
            position), a list in the rows' order, a dictionary from the rows' labels, or the name of
            a column.
        argument: What the caller calls it.

    Raises:
        InputError: If the table is empty, a list or series has another length, index values are
            repeated, no label belongs to a row, or all are missing.
    """
    if not source.rows:
        raise InputError("The table has no rows: there is nothing to score.")
    found = _labels_of(source, truth, argument)
    if all(label is None for label in found.labels):
        if found.strangers:
            raise InputError(
                f"{argument}= has {counted(found.strangers, 'label')}, but none of them belongs to "
                "a row of this table: labels are matched by the index."
            )
        raise InputError(f"{argument}= has no label for any row: all are missing.")
    return found


def without_examples(source: TableSource, labels: Sequence[Any], examples: Any) -> list[Any]:
    """Return labels without those of rows that the prompt has shown: these prove nothing.

    Args:
        source: The table.
        labels: The true label of each row.
        examples: Labels of the rows that were shown, as `truth_of` takes them; None: no rows.

    Raises:
        InputError: If no label is left, or the examples cannot be matched.
    """
    if examples is None:
        return list(labels)
    shown = _labels_of(source, examples, "examples").labels
    left = [
        label if example is None else None for label, example in zip(labels, shown, strict=True)
    ]
    if all(label is None for label in left):
        raise InputError("Every labelled row is an example: there is nothing left to compare.")
    return left


def _labels_of(source: TableSource, truth: Any, argument: str) -> Truth:
    name = argument
    if isinstance(truth, Labelled):
        truth = truth.labels
    if not hasattr(truth, "__iter__") or hasattr(truth, "columns"):
        raise InputError(
            f"{argument}= is a series, a list in the rows' order, a dictionary from the rows' "
            f"labels, or the name of a column, not {type(truth).__name__}."
        )
    if isinstance(truth, str):
        labels, strangers, name = source.columns().cells(truth), 0, truth
    else:
        labels, strangers = source.aligned(truth, argument)
        name = str(getattr(truth, "name", None) or argument)
    labels = [None if is_missing(label) else label for label in labels]
    return Truth(labels, strangers, name)


def check_length(labels: Sequence[Any], rows: int, argument: str) -> None:
    """Refuse labels by position that are more or fewer than the rows.

    Raises:
        InputError: If they are.
    """
    if len(labels) != rows:
        raise InputError(
            f"{argument}= has {counted(len(labels), 'value')} and the table "
            f"{counted(rows, 'row')}: labels without an index are matched by position, so there "
            "must be one for each row."
        )


def repeated(labels: Sequence[Hashable]) -> Hashable | None:
    """Return a value that stands in an index more than once, None where all differ."""
    seen: set[Hashable] = set()
    for label in labels:
        if label in seen:
            return label
        seen.add(label)
    return None


def longest_texts(
    source: TableSource, rows: Sequence[int], *, without: Sequence[str]
) -> list[str | None]:
    """Return what rows are about: the column of the longest texts among some rows.

    Args:
        source: The table; the values of a series stand for nothing else.
        rows: Positions.
        without: Columns that are something else, and with them those called after them.
    """
    columns = source.rows_at(rows).columns()
    texts = []
    for position, name in enumerate(columns.labels):
        is_other = any(name == other or name.startswith(f"{other}_") for other in without)
        if name and not is_other:
            texts.append(
                [cell if isinstance(cell, str) else None for cell in columns.read(position)]
            )
    return max(
        texts,
        key=lambda cells: sum(len(cell) for cell in cells if cell),
        default=[None] * len(rows),
    )
