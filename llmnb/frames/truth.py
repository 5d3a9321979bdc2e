"""The true labels of a table's rows, whatever they come as."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence, Set
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any

from llmnb.display.texts import counted, cut
from llmnb.errors import InputError
from llmnb.evaluation.labels import number, numbers
from llmnb.frames.table_source import Columns, TableSource, name_of
from llmnb.frames.template import cell_text, known_cells
from llmnb.user_code import warn
from llmnb.wire.json_text import is_container, json_text


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
        listed: The first row that has a list or a mapping of labels.
    """

    labels: Sequence[Any]
    strangers: int
    name: str
    listed: int | None = None


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
    true = _labels_of(source, truth, argument)
    if all(label is None for label in true.labels):
        if true.strangers:
            raise InputError(
                f"{argument}= has {counted(true.strangers, 'label')}, but none of them belongs to "
                "a row of this table: labels are matched by the index."
            )
        raise InputError(f"{argument}= has no label for any row: all are missing.")
    return true


def answers_and_truth(source: TableSource, column: Hashable, truth: Any) -> tuple[list[Any], Truth]:
    """Return a column's answers, None where they are missing, and the true labels of its rows.

    Raises:
        InputError: If there is no such column, it is truth itself, a row has several true labels
            and no answer is a list, or as `truth_of` says.
    """
    if isinstance(truth, str) and truth == name_of(column):
        raise InputError(f"{truth!r} is the very column that is compared with truth=.")
    cells = source.columns().cells(name_of(column))
    true = truth_of(source, truth)
    if not any(map(is_container, cells)):
        refuse_several_labels(true)
    warn_unless_random(truth)
    return plain(cells), true


def refuse_several_labels(true: Truth) -> None:
    """Refuse truth that has several labels for a row, where answers are single values.

    Raises:
        InputError: If it has.
    """
    if true.listed is not None:
        shown = cut(true.labels[true.listed], 60)
        raise InputError(
            f"truth= has {shown} for the row at position {true.listed:,}: there is one true label "
            "for each row."
        )


_NAMES_OF_LABELS = 'Where the numbers are names of labels, say kind="label".'


def means_numbers(
    answers: Sequence[Any],
    truth: Sequence[Any],
    kind: str | None = None,
    *,
    advice: str = _NAMES_OF_LABELS,
) -> bool:
    """Whether numbers are compared, truth being numbers.

    Args:
        answers: What is answered in some rows, None where nothing is.
        truth: What is true of them.
        kind: "label" or "number" where the caller says it.
        advice: What to do where numbers stand against texts.

    Raises:
        InputError: If numbers stand against texts or booleans, or one is none of a finite size.
    """
    said = [answer for answer in answers if answer is not None]
    kinds = {_kind_of(truth): truth, _kind_of(said): said} if said else {}
    other = next((name for name in ("texts", "booleans") if name in kinds), None)
    is_uneven = kind is None and other is not None and "numbers" in kinds
    if is_uneven and not any(number(value) is not None for value in kinds[other or ""]):
        raise InputError(
            f"Truth is {_kind_of(truth)}, such as {_shown(truth)}, and the answers are "
            f"{_kind_of(said)}, such as {_shown(said)}: nothing can be compared. "
            f"{advice if other == 'texts' else ''}".rstrip()
        )
    if kind == "label" or (kind is None and _kind_of(truth) != "numbers"):
        return False
    if said and not any(number(answer) is not None for answer in said):
        raise InputError(f"No answer is a number, such as {_shown(said)}: nothing can be compared.")
    if None in (known := numbers(truth)):
        wrong = truth[known.index(None)]
        raise InputError(f"Truth has {_shown([wrong])}, which is no finite number.")
    return True


def _kind_of(values: Sequence[Any]) -> str:
    """Return "numbers", "booleans" or "texts" where all values are such; else nothing."""
    kinds: set[type] = set(map(type, values))
    if all(kind.__name__ in ("bool", "bool_") for kind in kinds):
        return "booleans"
    if all(issubclass(kind, Real | Decimal) for kind in kinds - {bool}) and bool not in kinds:
        return "numbers"
    return "texts" if all(issubclass(kind, str) for kind in kinds) else ""


def _shown(values: Sequence[Any]) -> str:
    return cut(repr(values[0]), 60)


def without_examples(source: TableSource, labels: Sequence[Any], examples: Any) -> list[Any]:
    """Return labels without those of rows that the prompt has shown: these prove nothing.

    Args:
        source: The table.
        labels: The true label of each row.
        examples: Labels of the rows that were shown, as `truth_of` takes them; None, and pairs
            of an input and its answer: no rows.

    Raises:
        InputError: If no label is left, or the examples cannot be matched.
    """
    if examples is None or _are_pairs(examples):
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
    is_unordered = isinstance(truth, Set | bytes | bytearray)
    if is_unordered or not hasattr(truth, "__iter__") or hasattr(truth, "columns"):
        raise InputError(
            f"{argument}= is a series, a list in the rows' order, a dictionary from the rows' "
            f"labels, or the name of a column, not {type(truth).__name__}."
        )
    if isinstance(truth, str):
        labels, strangers, name = source.columns().cells(truth), 0, truth
    else:
        labels, strangers = source.aligned(truth, argument)
        name = str(getattr(truth, "name", None) or argument)
    listed = None
    if _may_hold_lists(labels):
        listed = next((row for row, label in enumerate(labels) if is_container(label)), None)
    return Truth(_without_blanks(plain(labels)), strangers, name, listed)


def plain(cells: Sequence[Any]) -> list[Any]:
    """Return cells as they are compared: None where missing, lists and mappings as JSON text."""
    cells = known_cells(cells)
    if _may_hold_lists(cells):
        return [json_text(cell) if is_container(cell) else cell for cell in cells]
    return cells


def _may_hold_lists(cells: Sequence[Any]) -> bool:
    kinds = set(map(type, cells))
    return any(issubclass(kind, _HOLDING) or hasattr(kind, "shape") for kind in kinds)


_HOLDING = (list, tuple, Set, Mapping)


def _are_pairs(examples: Any) -> bool:
    return isinstance(examples, list | tuple) and all(
        isinstance(example, list | tuple) and len(example) == 2 for example in examples
    )


def _without_blanks(labels: list[Any]) -> list[Any]:
    """Return labels with None in the place of each blank text: it is no label."""
    if str not in set(map(type, labels)):
        return labels
    blank = [label for label in set(labels) if isinstance(label, str) and not label.strip()]
    return [None if label in blank else label for label in labels] if blank else labels


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

    Where that is missing or empty in a row, the next longest one stands in.

    Args:
        source: The table; the values of a series stand for nothing else.
        rows: Positions.
        without: Columns that are something else, and with them those called after them.
    """
    columns = source.rows_at(rows).columns()
    return first_texts(columns, by_length(columns, without))


def by_length(columns: Columns, without: Sequence[str]) -> list[int]:
    """Return the positions of columns that hold texts, that of the longest texts first.

    Args:
        columns: The columns; the values of a series stand for nothing else.
        without: Columns that are something else, and with them those called after them.
    """
    sizes = {
        position: sum(len(cell) for cell in columns.read(position) if isinstance(cell, str))
        for position, name in enumerate(columns.labels)
        if name and not any(name == other or name.startswith(f"{other}_") for other in without)
    }
    return sorted(filter(sizes.get, sizes), key=lambda position: -sizes[position])


def first_texts(columns: Columns, positions: Sequence[int]) -> list[str | None]:
    """Return each row's text in the first of some columns in which it has one."""
    texts: list[str | None] = [None] * columns.rows
    for position in positions:
        if all(texts):
            break
        cells = columns.read(position)
        texts = [text or cell_text(cell) for text, cell in zip(texts, cells, strict=True)]
    return texts
