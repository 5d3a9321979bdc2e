"""Where the rows come from that an explorer reads, and one row as it is read.

Whether a row is shown, and how many there are of each kind, is told by arrays; texts are read a
page at a time.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from llmnb.display import changed_words, moments
from llmnb.display.texts import single_line
from llmnb.engine.counters import DESCRIPTIONS
from llmnb.errors import InputError, Stopped
from llmnb.evaluation.labels import folded
from llmnb.frames.table_source import TableSource, name_of
from llmnb.frames.template import cell_text, is_missing

OUTCOMES = ("answered", "reused", "merged", "empty", "failed", "waiting")
"""What became of a row, by its number: asked and answered, answered from the cache, by an identical
row's answer, asks nothing, failed or was stopped, not answered yet."""

ANSWERED, REUSED, MERGED, EMPTY, FAILED, WAITING = range(len(OUTCOMES))

CLEARED = "cleared from the project"
"""What is said of an answer that was kept once."""

Codes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

MOST_VALUES = 200
"""A column of more different values is no facet."""

_LONG = 60
"""A part of a structured answer that is longer stands for all of it in a list."""

_TASTED = 2_000
"""Rows that tell whether a column may be a facet."""


@dataclasses.dataclass(slots=True, kw_only=True)
class ReadRow:
    """One row as it is read; all texts are as they came."""

    position: int
    outcome: str
    label: str = ""
    """What the table calls the row, where that is not its position."""

    prompt: str = ""
    fills: Sequence[tuple[int, int]] = ()
    """Where the row's cells stand in its prompt."""

    system: str = ""
    turns: tuple[tuple[str, str], ...] = ()
    """Turns before the prompt: who, and what."""

    files: tuple[str, ...] = ()
    reasoning: str = ""
    tool_calls: tuple[str, ...] = ()
    answer: str | None = None
    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """The parts of a structured answer."""

    as_it_came: str = ""
    """The text of a structured answer, where its parts stand for it."""

    unsupported: frozenset[str] = frozenset()
    """Fields whose quote does not stand in the row."""

    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """The row's other columns."""

    error: str | None = None
    cause: str = ""
    """Why it failed, in a few words."""

    reply: str = ""
    """Of a failed row, what the model or the provider said."""

    is_cleared: bool = False
    """Whether its answer was kept once, and is not there any more."""

    model: str | None = None
    provider: str | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    usd: float | None = None
    seconds: float | None = None
    key: str | None = None
    truth: str | None = None
    before: ReadRow | None = None
    """The same row of the run before, where two are compared."""

    @property
    def line(self) -> str:
        """What a list shows of the answer."""
        if self.answer is not None or not self.fields:
            return self.answer or ""
        texts = [text for value in self.fields.values() if (text := shown(value))]
        longest = max(texts, key=len, default="")
        return longest if len(longest) > _LONG else " · ".join(texts)

    @property
    def told(self) -> tuple[str, str]:
        """What a list shows of the answer, and what kind of line that is: ``"bad"``, ``"none"``."""
        if self.is_cleared:
            return "none", CLEARED
        if self.error is not None:
            return "bad", self.cause[:1].upper() + self.cause[1:]
        if self.outcome == "empty":
            return "none", "not asked"
        if self.outcome == "waiting":
            return "none", "not answered yet"
        if not self.line:
            return "none", "no answer" if self.outcome == "failed" else "an empty answer"
        return "", self.line

    @property
    def searched(self) -> tuple[str, ...]:
        """The texts that a search looks into."""
        fields = tuple(shown(value) for value in self.fields.values())
        return (self.prompt, self.line, self.error or "", *fields)

    def changes(self) -> tuple[int, int]:
        """Return how many words were added and removed since the run before."""
        if self.is_cleared or (self.before is not None and self.before.is_cleared):
            return 0, 0
        return changed_words.counts(self.before.line if self.before else "", self.line)


class Answer(NamedTuple):
    """What a row's answer says."""

    line: str
    """What a list shows of it."""

    fields: Mapping[str, Any] = {}
    """The parts of a structured one."""


def shown(value: Any) -> str:
    """Return a value as a person reads it; empty where it is missing.

    Example:
        >>> shown(True), shown(49.0), shown(None), shown(["a", 1])
        ('yes', '49.0', '', '["a",1]')
    """
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return value if type(value) is str else cell_text(value) or ""


class Facet:
    """A name with a few values, of which each row has one or none.

    Args:
        name: What the values are of.
        values: They, as texts.
        codes: Each row's value, by its number in `values`; -1 where it has none.
    """

    def __init__(self, name: str, values: Sequence[str], codes: npt.NDArray[Any]) -> None:
        self.name = name
        self.values = list(values)
        self._codes = codes

    def counts(self, mask: Mask) -> list[int]:
        """Return how many of some rows have each value."""
        codes = self._codes[mask] + 1
        counted: list[int] = np.bincount(codes, minlength=len(self.values) + 1).tolist()
        return counted[1:]

    def mask(self, number: int) -> Mask:
        """Return which rows have a value."""
        mask: Mask = self._codes == number
        return mask


class Flags(Facet):
    """A name with values of which a row may have several."""

    def __init__(self, name: str, masks: Mapping[str, Mask]) -> None:
        self.name = name
        self.values = list(masks)
        self._masks = list(masks.values())

    def counts(self, mask: Mask) -> list[int]:
        """Return how many of some rows have each value."""
        return [int(np.count_nonzero(own & mask)) for own in self._masks]

    def mask(self, number: int) -> Mask:
        """Return which rows have a value."""
        return self._masks[number]


def facet_of(name: str, cells: Sequence[Any]) -> Facet | None:
    """Return a facet of a column's cells; None where they are not a few values again and again.

    Example:
        >>> import numpy as np
        >>> facet = facet_of("mood", ["kind", None, "kind", "unkind"])
        >>> facet.values, facet.counts(np.array([True, True, True, False]))
        (['kind', 'unkind'], [2, 0])
    """
    tasted = {shown(cell) for cell in cells[:_TASTED] if type(cell) is str or not is_missing(cell)}
    if not tasted or len(tasted) > max(6, min(MOST_VALUES, len(cells[:_TASTED]) // 3)):
        return None
    if any(len(value) > 80 for value in tasted):
        return None
    numbers: dict[str, int] = {}
    known: dict[Any, int] = {}
    codes = np.empty(len(cells), np.int16)
    for row, cell in enumerate(cells):
        try:
            code = known.get(cell)
        except TypeError:  # a list
            return None
        if code is None:
            code = -1 if is_missing(cell) else numbers.setdefault(shown(cell), len(numbers))
            if len(numbers) > MOST_VALUES:
                return None
            known[cell] = code
        codes[row] = code
    # The commonest first.
    counts = np.bincount(codes[codes >= 0], minlength=len(numbers))
    order = np.argsort(-counts, kind="stable")
    rank = np.append(np.argsort(order), -1).astype(np.int16)
    values = list(numbers)
    return Facet(name, [values[number] for number in order], rank[codes])


class RowSource:
    """The rows that an explorer reads."""

    named: Sequence[str] = ()
    """What they are, in parts: the project first, then who was asked."""

    project: str = ""
    question: str = ""
    """The column of its answers, which corrections are kept for; empty where there is none."""

    noun: str = "row"
    order_text: str = "in the frame’s order"

    @property
    def subject(self) -> str:
        """What they are, in words for a head line."""
        moment = "" if self.ended is None else moments.minute(self.ended)
        return " · ".join(filter(None, (*self.named, moment)))

    @property
    def ended(self) -> float | None:
        """When the last of them was answered, in seconds since the epoch; None: unknown so far."""
        return None

    @property
    def fields(self) -> Sequence[str]:
        """The parts of a structured answer, where each has a column and the whole has none."""
        return ()

    def column_of(self, field: str) -> str:
        """Return the name of the column of a structured answer's field, or of an answer: ""."""
        return f"{self.question}_{field}" if field else self.question

    def __len__(self) -> int:
        raise NotImplementedError

    def codes(self) -> Codes:
        """Return what became of each row, as positions in `OUTCOMES`."""
        raise NotImplementedError

    def read(self, positions: Sequence[int], *, whole: bool = False) -> list[ReadRow]:
        """Return some rows.

        Args:
            positions: Which.
            whole: Whether all there is of them is wanted, for an open row; else what a list shows
                and a search looks into.
        """
        raise NotImplementedError

    def answers(self, positions: Sequence[int]) -> list[Answer | None]:
        """Return the answers of some rows, to be compared with others; None where there is none."""
        return [
            Answer(row.line, row.fields)
            if row.error is None and (row.answer is not None or row.fields)
            else None
            for row in self.read(positions)
        ]

    def facets(self) -> list[Facet]:
        """Return by what else rows can be filtered; may take a moment."""
        return []

    def order(self) -> npt.NDArray[np.intp] | None:
        """Return all positions in the order in which they are read; None: as they are."""
        return None

    def refresh(self) -> bool:
        """Look whether anything has changed, such as answers that came; return whether it has."""
        return False

    @property
    def is_running(self) -> bool:
        """Whether answers are still coming."""
        return False

    @property
    def cleared(self) -> int:
        """How many answers were kept once and are kept no more; none is read in their place."""
        return 0

    def find(self, pattern: re.Pattern[str], positions: Sequence[int]) -> list[int]:
        """Return which of some rows hold a text in their prompt or answer."""
        search = pattern.search
        return [
            row.position
            for row in self.read(positions)
            if any(search(text) for text in row.searched if text)
        ]

    def retry(self, position: int) -> int:
        """Ask a failed row again, and those that failed for the same; returns how many."""
        raise InputError("These rows cannot be asked again from here: run the cell again.")

    can_retry = False

    def alike(self, position: int) -> int:
        """Return how many rows failed for the same as this one."""
        return 0

    def table(self) -> TableSource | None:
        """Return the table that the rows are of; None where there is none."""
        return None


class Numbers:
    """Which of a run's requests stands for each row of its table.

    Args:
        rows: The row of each request, of several for a row the last one counts; None: every row
            has the request of its own number.
        count: Rows of the table.
    """

    def __init__(self, rows: npt.NDArray[Any] | None = None, count: int = 0) -> None:
        self._of_row: npt.NDArray[np.int64] | None = None
        if rows is not None:
            self._of_row = np.full(count, -1, np.int64)
            self._of_row[rows] = np.arange(len(rows))

    def of(self, row: int) -> int:
        """Return the number of a row's request; -1 where it has none."""
        return row if self._of_row is None else int(self._of_row[row])

    def by_row(self, values: npt.NDArray[Any], missing: int) -> npt.NDArray[Any]:
        """Return what each row has of the requests' values."""
        if self._of_row is None:
            return values
        placed = np.full(len(self._of_row), missing, values.dtype)
        has = self._of_row >= 0
        placed[has] = values[self._of_row[has]]
        return placed

    def listed(self, values: list[Any]) -> list[Any]:
        """Return what each row has of the requests' values; None where it has no request."""
        if self._of_row is None:
            return values
        return [values[number] if number >= 0 else None for number in self._of_row.tolist()]


def cause_words(kind: str) -> str:
    """Return in a few words why a row failed with an error of a class."""
    return "not sent" if kind == Stopped.__name__ else DESCRIPTIONS.get(kind, kind)


# ------------------------------------------------------------------------------ a table

DETAIL_NAMES = ("model", "provider", "prompt_tokens", "completion_tokens", "usd", "seconds", "key")


class TableRows(RowSource):
    """The rows of a table with a column of answers, or of a details frame.

    Args:
        source: The table.
        column: The column of answers.
        truth: The true label of each row; None where there is no truth.
        without: Another column of answers, which the rows are not about.

    Raises:
        InputError: If there is no such column.
    """

    def __init__(
        self,
        source: TableSource,
        column: Hashable,
        truth: Sequence[Any] | None = None,
        *,
        without: str | None = None,
    ) -> None:
        self._source = source
        self._without = without
        self._column = name = name_of(column)
        columns = source.columns()
        labels = list(columns.labels)
        self._fields = [own for own in labels if own.startswith(f"{name}_")] if name else []
        if name not in labels and self._fields:  # a structured answer has no column of its own
            cells: list[Any] = [None] * source.rows
        else:
            cells = columns.cells(name)
        self._has_answers = name in labels
        errors = [own for own in (f"{name}_error", "error") if own in labels]
        self._is_details = name == "response" and "error" in labels and "model" in labels
        self._error = errors[0] if errors and (self._is_details or errors[0] != "error") else ""
        self._fields = [own for own in self._fields if own != self._error]
        self._details = [own for own in DETAIL_NAMES if own in labels] if self._is_details else []
        self._codes = self._outcomes(columns, cells)
        self._prompt = self._about(columns)
        used = {name, self._without, self._prompt, self._error, *self._fields, *self._details}
        if self._is_details:
            used |= set(labels)
        self._facts = [own for own in dict.fromkeys(labels) if own and own not in used][:20]
        if not name:  # a series, whose name stands for the same values
            self._facts = []
        self._truth = truth
        self._cells = cells
        self.question = name
        self.named = (name or "answers",)

    def _outcomes(self, columns: Any, cells: Sequence[Any]) -> Codes:
        has = np.fromiter(
            (type(cell) is str or not is_missing(cell) for cell in cells), np.bool_, len(cells)
        )
        for field in self._fields:
            if not has.all():
                texts = columns.cells(field)
                has |= np.fromiter((not is_missing(cell) for cell in texts), np.bool_, len(texts))
        codes: Codes = np.where(has, ANSWERED, EMPTY).astype(np.uint8)
        if self._error:
            errors = columns.cells(self._error)
            codes[np.fromiter((not is_missing(cell) for cell in errors), np.bool_, len(errors))] = (
                FAILED
            )
        elif not has.all():
            codes[~has] = FAILED  # a missing answer is a row that failed, or asked nothing
        if self._is_details and "cached" in columns.labels:
            cached = columns.cells("cached")
            reused = np.fromiter((cell is True for cell in cached), np.bool_, len(cached))
            codes[reused & (codes == ANSWERED)] = REUSED
        return codes

    def _about(self, columns: Any) -> str:
        """Return the column that the rows are about: a prompt, else that of the longest texts."""
        if self._is_details and "prompt" in columns.labels:
            return "prompt"
        if not self._column or self._is_details:
            return ""
        taste = self._source.rows_at(range(min(100, len(self)))).columns()
        best, longest = "", 0
        for name in dict.fromkeys(taste.labels):
            if not name or name == self._column or name.startswith(f"{self._column}_"):
                continue
            if taste.labels.count(name) > 1 or name == self._without:
                continue
            size = sum(len(cell) for cell in taste.cells(name) if isinstance(cell, str))
            if size > longest:
                best, longest = name, size
        return best

    @property
    def fields(self) -> Sequence[str]:
        """The parts of a structured answer, where each has a column and the whole has none."""
        if self._has_answers and not self._is_details:
            return ()
        return [name.removeprefix(f"{self._column}_") for name in self._fields]

    def __len__(self) -> int:
        return self._source.rows

    def codes(self) -> Codes:
        """Return what became of each row."""
        return self._codes

    def table(self) -> TableSource:
        """Return the table."""
        return self._source

    def facets(self) -> list[Facet]:
        """Return the answers' own values, whether they are right, then columns of few values."""
        found = [_truth_facets(self._cells, self._truth)] if self._truth is not None else []
        columns = self._source.columns()
        names = [self._column] if self._has_answers else []
        names += [*self._fields, *self._facts, *(["model"] if "model" in self._details else [])]
        own: list[Facet] = []
        for name in names:
            if columns.labels.count(name) != 1:
                continue
            cells = self._cells if name == self._column else columns.cells(name)
            facet = facet_of(name or "answer", cells)
            if facet is not None and (len(facet.values) > 1 or name == self._column):
                own.append(facet)
        return [facet for group in found for facet in group] + own

    def read(self, positions: Sequence[int], *, whole: bool = False) -> list[ReadRow]:
        """Return some rows."""
        positions = list(positions)
        source = self._source
        columns = source.rows_at(positions).columns()

        def cells(name: str) -> list[Any]:
            if not name or columns.labels.count(name) != 1:
                return [None] * len(positions)
            return columns.cells(name)

        answers = columns.cells(self._column) if self._has_answers else cells("")
        prompts, errors = cells(self._prompt), cells(self._error)
        fields = {name.removeprefix(f"{self._column}_"): cells(name) for name in self._fields}
        details = {name: cells(name) for name in self._details}
        facts = {name: cells(name) for name in self._facts} if whole else {}
        labels = source.row_labels(positions) if whole else [""] * len(positions)
        rows = []
        for number, position in enumerate(positions):
            known = {name: _known(values[number]) for name, values in details.items()}
            answer = answers[number]
            own = {name: values[number] for name, values in fields.items()}
            has_parts = self._is_details and any(not is_missing(cell) for cell in own.values())
            label = labels[number]
            error = _text(errors[number])
            rows.append(
                ReadRow(
                    position=position,
                    outcome=OUTCOMES[self._codes[position]],
                    label="" if label == f"{position:,}" else label,
                    prompt=_text(prompts[number]) or "",
                    answer=None if is_missing(answer) or has_parts else shown(answer),
                    as_it_came=shown(answer) if has_parts else "",
                    fields=own,
                    facts={name: values[number] for name, values in facts.items()},
                    error=error,
                    cause=single_line(error, 120) if error else "",
                    truth=self._true(position),
                    **known,
                )
            )
        return rows

    def answers(self, positions: Sequence[int]) -> list[Answer | None]:
        """Return the answers of some rows; of a single column no other is read."""
        if self._fields or not self._has_answers:
            return super().answers(positions)
        cells, has_none = self._cells, (self._codes == EMPTY) | (self._codes == FAILED)
        return [None if has_none[row] else Answer(shown(cells[row])) for row in positions]

    def find(self, pattern: re.Pattern[str], positions: Sequence[int]) -> list[int]:
        """Return which of some rows hold a text; column by column."""
        columns = self._source.rows_at(positions).columns()
        found: set[int] = set()
        names = [self._column] if self._has_answers else []
        for name in dict.fromkeys([*names, self._prompt, self._error, *self._fields]):
            if columns.labels.count(name) == 1 and (name or name in names):
                cells = columns.cells(name)
                texts = (cell if type(cell) is str else shown(cell) for cell in cells)
                found.update(row for row, text in enumerate(texts) if pattern.search(text))
        return [positions[place] for place in sorted(found)]

    def _true(self, position: int) -> str | None:
        label = None if self._truth is None else self._truth[position]
        return None if label is None else shown(label)


def _text(cell: Any) -> str | None:
    return None if is_missing(cell) else shown(cell)


def _known(cell: Any) -> Any:
    return None if is_missing(cell) else cell


def _same(left: Any, right: Any) -> bool:
    return folded(shown(left)) == folded(shown(right))


def _truth_facets(answers: Sequence[Any], truth: Sequence[Any]) -> list[Facet]:
    """Return whether answers are right, and which stand for which."""
    codes = np.empty(len(answers), np.int16)
    pairs: list[str | None] = []
    for row, (answer, label) in enumerate(zip(answers, truth, strict=True)):
        is_right = label is not None and not is_missing(answer) and _same(answer, label)
        codes[row] = 2 if label is None else 0 if is_right else 1
        has_pair = label is not None and not is_right and not is_missing(answer)
        pairs.append(f"{shown(label)} → {shown(answer)}" if has_pair else None)
    pair = facet_of("Pair", pairs)
    return [Facet("Truth", ["right", "wrong", "no label"], codes), *([pair] if pair else [])]


# ---------------------------------------------------------------------------- two runs


class PairRows(RowSource):
    """The same rows of two runs: what changed most comes first, once `compare` has read them all.

    Args:
        now: The rows that are read.
        before: The same ones of another run, by position.

    Raises:
        InputError: If there are more or fewer.
    """

    def __init__(self, now: RowSource, before: RowSource) -> None:
        if len(now) != len(before):
            raise InputError(
                f"These have {len(now):,} rows and the others {len(before):,}: rows of two runs "
                "are compared by position, so both must be over the same table."
            )
        self._now, self._before = now, before
        self.project, self.question = now.project, now.question
        self.order_text = now.order_text
        self._order: npt.NDArray[np.intp] | None = None
        self._begin()

    @property
    def subject(self) -> str:
        """What both are, in words for a head line."""
        return f"now {_short(self._now)} · before {_short(self._before)}"

    def _begin(self) -> None:
        count = len(self)
        self.compared = 0
        """How many rows were compared."""

        self._weights = np.zeros(count, np.int32)
        self._kinds = np.full(count, -1, np.int16)
        self._changed_fields: dict[str, Mask] = {}

    @property
    def is_compared(self) -> bool:
        """Whether all rows were compared."""
        return self.compared >= len(self)

    def compare(self, most: int = 2_000) -> None:
        """Compare some further rows."""
        count = len(self)
        span = range(self.compared, min(count, self.compared + most))
        answers = zip(self._now.answers(span), self._before.answers(span), strict=True)
        for position, (new, old) in zip(span, answers, strict=True):
            if new is None or old is None:
                self._kinds[position] = -1 if new is old else 3 if new is None else 2
                continue
            self._kinds[position] = new.line == old.line
            if new.line != old.line:
                self._weights[position] = sum(changed_words.counts(old.line, new.line))
            for name in new.fields.keys() & old.fields.keys():
                if shown(new.fields[name]) != shown(old.fields[name]):
                    flags = self._changed_fields.setdefault(name, np.zeros(count, np.bool_))
                    flags[position] = True
        self.compared = span.stop
        if self.is_compared:
            rank = np.choose(self._kinds + 1, (2, 0, 2, 1, 1))
            self._order = np.lexsort((np.arange(count), -self._weights, rank))
            self.order_text = "most changed first"

    def __len__(self) -> int:
        return len(self._now)

    def codes(self) -> Codes:
        """Return what became of each row now."""
        return self._now.codes()

    def facets(self) -> list[Facet]:
        """Return what changed, as far as they were compared, then the facets of the run now."""
        names = ["changed", "same", "answered only now", "only before"]
        own = [Facet("Answer", names, self._kinds)]
        if self._changed_fields:
            own.append(Flags("Field", self._changed_fields))
        return [*own, *self._now.facets()]

    def order(self) -> npt.NDArray[np.intp] | None:
        """Return the rows, most changed first; None until all were compared."""
        return self._order

    def refresh(self) -> bool:
        """Take what has come to either; all are compared anew, unless answers were cleared."""
        has_changed = any([self._now.refresh(), self._before.refresh()])
        if has_changed and not self.cleared:
            self._begin()
        return has_changed

    @property
    def is_running(self) -> bool:
        """Whether answers are still coming to either."""
        return self._now.is_running or self._before.is_running

    @property
    def cleared(self) -> int:
        """How many answers of both are kept no more."""
        return self._now.cleared + self._before.cleared

    @property
    def fields(self) -> Sequence[str]:
        """The parts of a structured answer, where each has a column and the whole has none."""
        return self._now.fields

    def column_of(self, field: str) -> str:
        """Return the name of the column of a structured answer's field."""
        return self._now.column_of(field)

    def table(self) -> TableSource | None:
        """Return the table."""
        return self._now.table()

    def read(self, positions: Sequence[int], *, whole: bool = False) -> list[ReadRow]:
        """Return some rows, each with what it was before."""
        rows = self._now.read(positions, whole=whole)
        for row, old in zip(rows, self._before.read(positions, whole=whole), strict=True):
            row.before = old
        return rows


def _short(rows: RowSource) -> str:
    """Return what tells rows of one project from others: the model, and when."""
    *_, name = rows.named
    model = name.partition("/")[2] or name  # its provider needs room and says little
    moment = "" if rows.ended is None else moments.minute(rows.ended, has_year=False)
    return ", ".join(filter(None, (model, moment)))


def fills(parts: Iterable[tuple[str, bool]], text: str) -> list[tuple[int, int]]:
    """Return where the cells stand in a prompt that was made of a template.

    Example:
        >>> fills([("Is ", False), ("text", True), (" kind?", False)], "Is this kind?")
        [(3, 7)]
    """
    if len(text) > 20_000:
        return []
    pattern = "".join("(.*?)" if is_field else re.escape(part) for part, is_field in parts)
    match = re.fullmatch(pattern, text, re.DOTALL)
    return (
        [] if match is None else [match.span(number + 1) for number in range(len(match.groups()))]
    )
