"""Where the rows come from that an explorer reads, and one row as it is read.

Whether a row is shown, and how many there are of each kind, is told by arrays; texts are read a
page at a time.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from llmnb.display import changed_words, moments
from llmnb.display.texts import single_line
from llmnb.engine.counters import DESCRIPTIONS
from llmnb.errors import InputError, Stopped
from llmnb.evaluation.labels import label_key
from llmnb.frames.table_source import Columns, TableSource, name_of
from llmnb.frames.template import cell_text, is_missing
from llmnb.frames.truth import Truth, by_length, first_texts, plain

OUTCOMES = ("answered", "reused", "merged", "empty", "failed", "waiting")
"""What became of a row, by its number: asked and answered, answered from the cache, by an identical
row's answer, asks nothing, failed or was stopped, not answered yet."""

ANSWER, LINE, WHOLE = range(3)
"""How much is read of a row."""

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

_CHUNK = 2_000
"""Rows of two runs that are compared at once."""

_LONGEST_TEMPLATE = 20_000
"""Characters of a prompt in which its cells are looked for."""


class ReadRow:
    """One row as it is read; all texts are as they came.

    Args:
        position: Its position in the table.
        outcome: What became of it, one of `OUTCOMES`.
    """

    label: str = ""
    """What the table calls the row, where that is not its position."""

    prompt: str = ""
    template: Sequence[tuple[str, bool]] = ()
    """The parts that its prompt was made of, and whether each is a field."""

    system: str = ""
    turns: tuple[tuple[str, str], ...] = ()
    """Turns before the prompt: who, and what."""

    files: tuple[str, ...] = ()
    reasoning: str = ""
    tool_calls: tuple[str, ...] = ()
    answer: str | None = None
    fields: Mapping[str, Any] = MappingProxyType({})
    """The parts of a structured answer."""

    as_it_came: str = ""
    """The text of a structured answer, where its parts stand for it."""

    unsupported: frozenset[str] = frozenset()
    """Fields whose quote does not stand in the row."""

    facts: Mapping[str, Any] = MappingProxyType({})
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
    is_right: bool | None = None
    """Whether the answer is the true one; None where that is not known."""

    before: ReadRow | None = None
    """The same row of the run before, where two are compared."""

    def __init__(self, position: int, outcome: str) -> None:
        self.position, self.outcome = position, outcome

    @property
    def fills(self) -> list[tuple[int, int]]:
        """Where the row's cells stand in its prompt."""
        if not self.template or len(self.prompt) > _LONGEST_TEMPLATE:
            return []
        pattern = "".join("(.*?)" if field else re.escape(part) for part, field in self.template)
        match = re.fullmatch(pattern, self.prompt, re.DOTALL)
        return [] if match is None else list(match.regs[1:])

    @property
    def has_answer(self) -> bool:
        """Whether it has an answer, be it an empty one."""
        return self.error is None and (self.answer is not None or bool(self.fields))

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
    def searched(self) -> str:
        """The texts that a search looks into, with what is in no text between them."""
        answer = self.line if self.answer is None else self.answer
        texts = (self.prompt, answer, self.error or "", *map(shown, self.fields.values()))
        return "\0".join(texts)

    def changes(self) -> tuple[int, int]:
        """Return how many words were added and removed since the run before."""
        if self.is_cleared or (self.before is not None and self.before.is_cleared):
            return 0, 0
        return changed_words.counts(self.before.line if self.before else "", self.line)


Answer = tuple[str | None, Mapping[str, Any]]
"""A row's answer in a line, None where it has none, and its fields."""


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
        counts = np.bincount(self._codes[mask] + 1, minlength=len(self.values) + 1)
        return cast("list[int]", counts[1:].tolist())

    def mask(self, numbers: Iterable[int]) -> Mask:
        """Return which rows have one of some values."""
        return np.isin(self._codes, list(numbers))


class Flags(Facet):
    """A name with values of which a row may have several."""

    def __init__(self, name: str, masks: Mapping[str, Mask]) -> None:
        self.name = name
        self.values = list(masks)
        self._masks = list(masks.values())

    def counts(self, mask: Mask) -> list[int]:
        """Return how many of some rows have each value."""
        return [int(np.count_nonzero(own & mask)) for own in self._masks]

    def mask(self, numbers: Iterable[int]) -> Mask:
        """Return which rows have one of some values."""
        mask: Mask = np.logical_or.reduce([self._masks[number] for number in numbers])
        return mask


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
    known: dict[Any, int] = {}
    there = (cell if type(cell) is str or not is_missing(cell) else None for cell in cells)
    try:
        numbers = (known.setdefault(cell, len(known)) for cell in there)
        codes = np.fromiter(numbers, np.int32, len(cells))
    except TypeError:  # a list
        return None
    if len(known) > MOST_VALUES:
        return None
    return facet_by_number(name, [None if cell is None else shown(cell) for cell in known], codes)


def facet_by_number(name: str, words: Sequence[str | None], codes: npt.NDArray[Any]) -> Facet:
    """Return a facet of values by their numbers, the commonest first.

    Args:
        name: What the values are of.
        words: They, as texts; some may be the same, and None is no value.
        codes: Each row's value, by its number in `words`; -1 where it has none.
    """
    values = list(dict.fromkeys(word for word in words if word is not None))
    places = np.array([*(-1 if word is None else values.index(word) for word in words), -1])
    numbers = places[codes]
    order = np.argsort(-np.bincount(numbers + 1, minlength=len(values) + 1)[1:], kind="stable")
    rank = np.append(np.argsort(order), -1).astype(np.int16)
    return Facet(name, [values[number] for number in order], rank[numbers])


class RowSource:
    """The rows that an explorer reads."""

    named: Sequence[str] = ()
    """What they are, in parts: the project first, then who was asked."""

    project: str = ""
    question: str = ""
    """The column of its answers, which corrections are kept for; empty where there is none."""

    fields: Mapping[str, str] = {}
    """The column of each part of a structured answer, where the whole has none."""

    table: TableSource | None = None
    """The table that the rows are of."""

    codes: Codes
    """What became of each row, as positions in `OUTCOMES`."""

    order: npt.NDArray[np.intp] | None = None
    """All positions in the order in which they are read; None: as they are."""

    compared: int | None = None
    """How many rows of two runs were compared; None where all were, or there is one run."""

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
    def is_running(self) -> bool:
        """Whether answers are still coming."""
        return False

    @property
    def cleared(self) -> int:
        """How many answers were kept once and are kept no more; none is read in their place."""
        return 0

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def places(self) -> npt.NDArray[np.int64]:
        """The row of the table that each is of, and which of that row's requests it is.

        Raises:
            InputError: If they are of no table, or not all known yet.
        """
        return np.array([np.arange(len(self)), np.zeros(len(self))], np.int64)

    def read(self, positions: Sequence[int], detail: int = LINE) -> list[ReadRow]:
        """Return some rows.

        Args:
            positions: Which.
            detail: How much of them: the `ANSWER` alone, to be compared; the `LINE` that a list
                shows and a search looks into; or the `WHOLE` row, to be opened.
        """
        raise NotImplementedError

    def facets(self) -> list[Facet]:
        """Return by what else rows can be filtered; may take a moment."""
        return []

    def compare(self) -> None:
        """Compare some further rows of two runs, until all are."""

    def refresh(self) -> bool:
        """Look whether anything has changed, such as answers that came; return whether it has."""
        return False

    def find(self, pattern: re.Pattern[str], positions: Sequence[int]) -> list[int]:
        """Return which of some rows hold a text in their prompt or answer."""
        return [row.position for row in self.read(positions) if pattern.search(row.searched)]

    def answers(self, positions: Sequence[int]) -> list[Answer]:
        """Return the answers of some rows."""
        rows = self.read(positions, ANSWER)
        return [(row.line if row.has_answer else None, row.fields) for row in rows]

    def alike(self, position: int) -> int:
        """Return how many failed rows `retry` asks again with this one."""
        return 0

    def retry(self, position: int) -> int:
        """Ask a failed row again, and those that failed for the same; returns how many."""
        raise InputError("These rows cannot be asked again from here: run the cell again.")


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
        truth: The true label of each row.
        without: Another column of answers, which the rows are not about.

    Raises:
        InputError: If there is no such column.
    """

    table: TableSource

    def __init__(
        self,
        source: TableSource,
        column: Hashable,
        truth: Truth | None = None,
        *,
        without: str | None = None,
    ) -> None:
        self.table = source
        self.question = self._column = name = name_of(column)
        self.named = (name or "answers",)
        true, called = (None, None) if truth is None else (truth.labels, truth.name)
        self._truth = true
        columns = source.columns()
        labels = list(columns.labels)
        self._has_answers = name in labels
        self._is_details = name == "response" and "error" in labels and "model" in labels
        errors = (f"{name}_error", *(["error"] if self._is_details else []))
        self._error = next((own for own in errors if own in labels), "")
        parts = [own for own in labels if name and own.startswith(f"{name}_")]
        self._fields = {own.removeprefix(f"{name}_"): own for own in parts if own != self._error}
        if not self._has_answers or self._is_details:
            self.fields = self._fields
        # A structured answer has no column of its own.
        has_column = self._has_answers or not parts
        self._cells = columns.cells(name) if has_column else [None] * source.rows
        self._right: list[bool | None] = []
        if true is not None:
            self._right = [
                None if label is None else label_key(answer) == label_key(label)
                for answer, label in zip(plain(self._cells), true, strict=True)
            ]
        self._details = [own for own in DETAIL_NAMES if own in labels and self._is_details]
        self.codes = self._outcomes(columns)
        self._prompts = self._about(columns, without, called)
        self._prompt = labels[self._prompts[0]] if self._prompts else ""
        used = {name, without, self._prompt, self._error, *parts}
        self._facts = [own for own in dict.fromkeys(labels) if own and own not in used][:20]
        if self._is_details or not name:  # a series' name stands for the same values
            self._facts = []

    def _outcomes(self, columns: Columns) -> Codes:
        has = _are_there(self._cells)
        for field in self._fields.values():
            if not has.all():
                has |= _are_there(columns.cells(field))
        codes: Codes = np.where(has, ANSWERED, EMPTY).astype(np.uint8)
        if self._error:
            codes[_are_there(columns.cells(self._error))] = FAILED
        else:
            codes[~has] = FAILED  # a missing answer is a row that failed, or asked nothing
        if self._is_details and "cached" in columns.labels:
            cached = np.array([cell is True for cell in columns.cells("cached")], np.bool_)
            codes[cached & (codes == ANSWERED)] = REUSED
        return codes

    def _about(self, columns: Columns, *without: str | None) -> list[int]:
        """Return where the columns stand that rows are about: a prompt, else the longest texts."""
        name, labels = self._column, list(columns.labels)
        if not name or self._is_details:
            return [labels.index("prompt")] if name and "prompt" in labels else []
        others = [name, *filter(None, without)]
        taste = self.table.rows_at(range(min(100, len(self)))).columns()
        return by_length(taste, others) or by_length(columns, others)

    def facets(self) -> list[Facet]:
        """Return whether answers are right, their own values, then columns of few values."""
        columns = self.table.columns()
        names = [self._column] if self._has_answers else []
        names += [*self._fields.values(), *self._facts]
        names += ["model"] if "model" in self._details else []
        own: list[Facet] = []
        for name in names:
            if columns.labels.count(name) != 1:
                continue
            cells = self._cells if name == self._column else columns.cells(name)
            facet = facet_of(name or "answer", cells)
            if facet is not None and (len(facet.values) > 1 or name == self._column):
                own.append(facet)
        return [*self._truth_facets(), *own]

    def _truth_facets(self) -> list[Facet]:
        """Return whether answers are right, and which stand for which."""
        if self._truth is None:
            return []
        codes = np.array([2 if right is None else not right for right in self._right], np.int16)
        rows = zip(self._right, self._cells, self._truth, strict=True)
        pairs = [
            None
            if right is not False or is_missing(answer)
            else f"{shown(label)} → {shown(answer)}"
            for right, answer, label in rows
        ]
        pair = facet_of("Pair", pairs)
        return [Facet("Truth", ["right", "wrong", "no label"], codes), *([pair] if pair else [])]

    def read(self, positions: Sequence[int], detail: int = LINE) -> list[ReadRow]:
        """Return some rows."""
        columns = self.table.rows_at(positions).columns()
        asked = first_texts(columns, self._prompts) if detail > ANSWER else []
        empty = f"{{{self._prompt}}} is empty" if self._prompt else ""
        answers, errors = self._answers(columns), _texts(columns, self._error)
        fields = {field: _cells(columns, name) for field, name in self._fields.items()}
        details = {name: _cells(columns, name) for name in self._details}
        facts = {name: _cells(columns, name) for name in self._facts} if detail == WHOLE else {}
        labels = self.table.row_labels(positions) if detail == WHOLE else []
        rows = []
        for number, position in enumerate(positions):
            row = ReadRow(position, OUTCOMES[self.codes[position]])
            row.answer = answers[number]
            row.prompt = (asked[number] or empty) if asked else ""
            if fields:
                row.fields = {field: values[number] for field, values in fields.items()}
                if self._is_details and not all(map(is_missing, row.fields.values())):
                    row.as_it_came, row.answer = row.answer or "", None
            if (error := errors[number]) is not None:
                row.error, row.cause = error, single_line(error, 120)
            if self._truth is not None:
                row.truth, row.is_right = _text(self._truth[position]), self._right[position]
            for name, values in details.items():
                if not is_missing(values[number]):
                    setattr(row, name, values[number])
            if detail == WHOLE:
                row.facts = {name: values[number] for name, values in facts.items()}
                row.label = "" if labels[number] == f"{position:,}" else labels[number]
            rows.append(row)
        return rows

    def find(self, pattern: re.Pattern[str], positions: Sequence[int]) -> list[int]:
        """Return which of some rows hold a text in their prompt or answer."""
        if self._fields:
            return super().find(pattern, positions)
        columns, found = self.table.rows_at(positions).columns(), set[int]()
        for texts in (
            first_texts(columns, self._prompts),
            self._answers(columns),
            _texts(columns, self._error),
        ):
            pairs = zip(positions, texts, strict=True)
            found.update(position for position, text in pairs if text and pattern.search(text))
        return sorted(found)

    def answers(self, positions: Sequence[int]) -> list[Answer]:
        """Return the answers of some rows."""
        if self._fields:
            return super().answers(positions)
        columns = self.table.rows_at(positions).columns()
        pairs = zip(self._answers(columns), _texts(columns, self._error), strict=True)
        return [(answer if error is None else None, {}) for answer, error in pairs]

    def _answers(self, columns: Columns) -> list[str | None]:
        # A series' answers have no name.
        cells = columns.cells(self._column) if self._has_answers else [None] * columns.rows
        return _as_texts(cells)


def _cells(columns: Columns, name: str) -> list[Any]:
    """Return a column's cells; none where there is no such column, or several are called so."""
    is_there = name and columns.labels.count(name) == 1
    return columns.cells(name) if is_there else [None] * columns.rows


def _texts(columns: Columns, name: str) -> list[str | None]:
    return _as_texts(_cells(columns, name))


def _as_texts(cells: Sequence[Any]) -> list[str | None]:
    return [cell if type(cell) is str or cell is None else _text(cell) for cell in cells]


def _are_there(cells: Sequence[Any]) -> Mask:
    """Return which cells are not missing."""
    there = (type(cell) is str or not is_missing(cell) for cell in cells)
    return np.fromiter(there, np.bool_, len(cells))


def _text(cell: Any) -> str | None:
    return None if is_missing(cell) else shown(cell)


# ---------------------------------------------------------------------------- two runs


class PairRows(RowSource):
    """The same rows of two runs: what changed most comes first, once `compare` has read them all.

    Args:
        now: The rows that are read.
        before: The same ones of another run, by position.

    Raises:
        InputError: If they are not the same, or not all known yet.
    """

    def __init__(self, now: RowSource, before: RowSource) -> None:
        if len(now) != len(before):
            raise InputError(
                f"These have {len(now):,} rows and the others {len(before):,}: rows of two runs "
                "are compared by position, so both must be over the same table."
            )
        if not np.array_equal(now.places, before.places):
            raise InputError(
                "Both ask several times about a row, and not about the same rows as often: there "
                "is nothing to compare by position."
            )
        self._now, self._before = now, before
        self.project, self.question, self.fields = now.project, now.question, now.fields
        self.table, self.order_text, self.codes = now.table, now.order_text, now.codes
        self._begin()

    @property
    def subject(self) -> str:
        """What both are, in words for a head line."""
        return f"now {_short(self._now)} · before {_short(self._before)}"

    def _begin(self) -> None:
        self.compared = 0
        self._weights = np.zeros(len(self), np.int32)
        self._kinds = np.full(len(self), -1, np.int16)
        self._changed_fields: dict[str, Mask] = {}

    def compare(self) -> None:
        """Compare some further rows, until all are."""
        count, first = len(self), self.compared or 0
        span = range(first, min(count, first + _CHUNK))
        pairs = zip(self._now.answers(span), self._before.answers(span), strict=True)
        for position, ((new, fields), (old, old_fields)) in zip(span, pairs, strict=True):
            if new is None or old is None:
                self._kinds[position] = 2 if new is not None else 3 if old is not None else -1
                continue
            self._kinds[position] = new == old
            if new != old:
                self._weights[position] = sum(changed_words.counts(old, new))
            for name in fields.keys() & old_fields.keys():
                if shown(fields[name]) != shown(old_fields[name]):
                    flags = self._changed_fields.setdefault(name, np.zeros(count, np.bool_))
                    flags[position] = True
        self.compared = span.stop
        if self.compared >= count:
            self.compared = None
            rank = np.choose(self._kinds + 1, (2, 0, 2, 1, 1))
            self.order = np.lexsort((np.arange(count), -self._weights, rank))
            self.order_text = "most changed first"

    def facets(self) -> list[Facet]:
        """Return what changed, as far as they were compared, then the facets of the run now."""
        names = ["changed", "same", "answered only now", "only before"]
        own = [Facet("Answer", names, self._kinds)]
        if self._changed_fields:
            own.append(Flags("Field", self._changed_fields))
        return [*own, *self._now.facets()]

    def refresh(self) -> bool:
        """Take what has come to either; all are compared anew, unless answers were cleared."""
        has_changed = any([self._now.refresh(), self._before.refresh()])
        self.codes = self._now.codes
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

    def read(self, positions: Sequence[int], detail: int = LINE) -> list[ReadRow]:
        """Return some rows, each with what it was before."""
        rows = self._now.read(positions, detail)
        for row, old in zip(rows, self._before.read(positions, detail), strict=True):
            row.before = old
        return rows


def _short(rows: RowSource) -> str:
    """Return what tells rows of one project from others: the model, and when."""
    *_, name = rows.named
    model = name.partition("/")[2] or name  # its provider needs room and says little
    moment = "" if rows.ended is None else moments.minute(rows.ended, has_year=False)
    return ", ".join(filter(None, (model, moment)))
