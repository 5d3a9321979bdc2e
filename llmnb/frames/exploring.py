"""Reading rows: filter, search, open one, mark it, correct its answer. The widget is elsewhere."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from llmnb.display.escape import summary
from llmnb.display.texts import counted, cut
from llmnb.errors import InputError
from llmnb.evaluation.labels import number
from llmnb.frames import static_rows
from llmnb.frames.pandas_source import PandasSource
from llmnb.frames.row_labels import RowLabels
from llmnb.frames.row_sources import (
    CLEARED,
    FAILED,
    OUTCOMES,
    WAITING,
    WHOLE,
    Facet,
    Mask,
    ReadRow,
    RowSource,
)
from llmnb.frames.shown import Followed
from llmnb.frames.table_source import AnswerColumn
from llmnb.frames.template import is_missing
from llmnb.store import search
from llmnb.store.labels import Label

OUTCOME, MARK = "its outcome", "its mark"
"""Facets that rows of all sources have, as no column is called."""

IS_MARKED = 1
"""The number of the value of `MARK` that marked rows have."""

CORRECTION = "correction"
"""How labels are marked that correct an answer; they are of no random sample."""

_CHUNK = 2_000
"""Rows that a search reads between two looks whether it was stopped."""

_PAUSE_SECONDS = 0.001
"""A search lets everybody else have their turn between two chunks."""

_WAIT_SECONDS = 0.1

_MOST_LOOKED_UP = 20_000
"""Rows whose contents are read unasked, to know them again."""


class Explorer(Followed):
    """Rows to read: what was asked, what came back, what it cost.

    As a cell's last line it shows a widget with a list, an open row, a search and filters. The
    same can be done in code, and an open widget follows.

    Made by `explore()` of a run, of ``df.llm`` and of `llmnb`.

    Args:
        source: The rows.

    Example:
        >>> import pandas as pd
        >>> df = pd.DataFrame({"text": ["good", "bad", "fine"], "mood": ["kind", None, "kind"]})
        >>> ex = df.llm.explore("mood")
        >>> ex.filter(outcome="failed")
        >>> ex.positions.tolist(), ex.row(1)["prompt"]
        ([1], 'bad')
        >>> ex.filter()
        >>> ex.search("GOO")
        >>> ex.positions.tolist()
        [0]
        >>> ex.mark(0)
        >>> df[ex.marks]["text"].tolist()
        ['good']
    """

    _widget_name = "llmnb.notebook.explorer.ExplorerWidget"

    def __init__(self, source: RowSource) -> None:
        super().__init__()
        self.source = source
        """The rows."""

        self._lock = threading.RLock()
        count = len(source)
        self._marks: Mask = np.zeros(count, np.bool_)
        self._labels: dict[str, RowLabels] = {}
        """What keeps corrections of the answer, or of its fields by name, once they are asked for.
        """

        self._is_keyless = False
        """Whether nothing but answers is in the table, so that no row can be told from another."""

        self.chosen: dict[str, frozenset[int]] = {}
        """Values that are chosen of facets, by their numbers; none is empty."""

        self._facets: list[Facet] | None = None
        self.searched = ""
        """What is searched for; empty: nothing."""

        self._hits: Mask | None = None
        self.rows_read = 0
        """How many rows a search has read."""

        self._stop = threading.Event()
        self._searching: threading.Thread | None = None
        self._began = 0.0
        self._shown: npt.NDArray[np.intp] | None = None
        self._comparing = threading.Lock()
        self._was_compared = False
        if count <= _MOST_LOOKED_UP:
            self.compare()

    # ---------------------------------------------------------------------- in code

    def __len__(self) -> int:
        return len(self.source)

    @property
    def positions(self) -> npt.NDArray[np.intp]:
        """Positions of the rows that are shown, in the order in which they are read.

        Of two runs over many rows these are known once all were compared, which takes its time.
        """
        self.compare()
        return self.listed

    @property
    def listed(self) -> npt.NDArray[np.intp]:
        """Positions of the rows that are shown by now; two runs may still be compared."""
        with self._lock:
            if self._shown is None:
                mask, order = self._mask(), self.source.order
                self._shown = np.flatnonzero(mask) if order is None else order[mask[order]]
            return self._shown

    def filter(
        self,
        *,
        outcome: str | Iterable[str] | None = None,
        marked: bool | None = None,
        **values: str | Iterable[str],
    ) -> None:
        """Show only some rows; without arguments all of them again, and no search.

        Args:
            outcome: What became of them: ``"answered"``, ``"reused"``, ``"merged"``, ``"empty"``,
                ``"failed"``, ``"waiting"``, or several of these.
            marked: Only rows that are marked, or that are not; None: both.
            **values: Values of a field or a column, by its name.

        Raises:
            InputError: If there is no such outcome, name or value.
        """
        wanted: dict[str, Any] = {OUTCOME: outcome, MARK: marked, **values}
        chosen = {
            name: frozenset(_number(text, self.facet(name), name) for text in _texts(value))
            for name, value in wanted.items()
            if value is not None
        }
        with self._lock:
            if not chosen:
                self.stop()
                self.searched, self._hits = "", None
            self.chosen = {name: numbers for name, numbers in chosen.items() if numbers}
        self._changed()

    def search(self, text: str) -> None:
        """Show only rows whose prompt or answer holds a text, anywhere and in any case.

        Blocks until all rows are read; an interrupt stops it, and what was found stays.

        Args:
            text: Taken literally; empty ends the search.

        Raises:
            InputError: If it is longer than 200 characters.
        """
        self.begin_search(text)
        try:
            while (thread := self._searching) is not None and thread.is_alive():
                thread.join(_WAIT_SECONDS)
        except KeyboardInterrupt:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop a search; what it has found stays."""
        self._stop.set()

    def row(self, position: int) -> dict[str, Any]:
        """Return one row, as it is.

        Args:
            position: Its position in the table, from 0; negative ones count from the end.

        Returns:
            A dictionary with ``prompt``, ``answer``, ``error`` and ``model`` among others; of two
            runs also ``added`` and ``removed``, the numbers of words, and ``before``.

        Raises:
            InputError: If there is no such row.
        """
        return _as_dict(self.source.read([self._checked(position)], WHOLE)[0])

    def mark(self, position: int, on: bool = True) -> None:
        """Mark a row, or take its mark away.

        Args:
            position: Its position in the table.
            on: Whether it is marked.

        Raises:
            InputError: If there is no such row.
        """
        self._marks[self._checked(position)] = bool(on)
        self._changed()

    @property
    def marks(self) -> Any:
        """Which rows are marked: a series of booleans over the table."""
        return self._over_rows({"marked": AnswerColumn(self._marks.tolist(), "boolean")})

    def correct(self, position: int, answer: Label | Mapping[str, Label]) -> None:
        """Say what a row's answer should be; it is kept as a label, on disk when this returns.

        Rows of the same content share it. `df.llm.apply_labels` writes corrections over a column.
        Of a structured answer each field is corrected by itself, and kept for the column in which
        the field stands: ``ex.correct(7, {"mood": "kind"})``, then ``apply_labels("mood")``. A
        text is read as the field's own kind: a number, or "yes" and "no".

        Args:
            position: The row's position in the table.
            answer: The right answer; of a structured one the right values of some of its fields,
                by name. Fields that hold lists or objects cannot be corrected.

        Raises:
            InputError: If there is no such row or field, a text is none of the field's kind, or
                the rows are of no table.
            StoreError: If it could not be kept.
        """
        row = self._checked(position)
        for field, label in self._labels_in(row, answer).items():
            if label is None:
                raise InputError("There is no right answer in this; take_back() ends a correction.")
            self._kept_labels(field).give(row, label, sample=CORRECTION)
        self._changed()

    def _labels_in(self, row: int, answer: Label | Mapping[str, Label]) -> dict[str, Label]:
        """Return a correction by field; by no name where the answer is one value."""
        fields = list(self.source.fields)
        if not isinstance(answer, Mapping):
            if fields and self.can_correct:
                raise InputError(
                    f"These answers have the fields {cut(', '.join(fields), 300)}: correct them "
                    f"by name, such as {{{fields[0]!r}: …}}."
                )
            return {"": answer}
        if unknown := [name for name in answer if name not in fields]:
            known = f"has {cut(', '.join(fields), 300)}" if fields else "has no fields"
            raise InputError(f"The answer {known}: there is no {unknown[0]!r}.")
        now = self.source.read([row])[0].fields
        return {name: _typed(label, now.get(name), name) for name, label in answer.items()}

    def take_back(self, position: int) -> None:
        """Take the correction of a row back, if it has one."""
        row = self._checked(position)
        for field in self._answer_columns:
            labels = self._kept_labels(field)
            act = labels.said(row)
            if act is not None and act.sample == CORRECTION:
                labels.store.undo(act.id)
        self._changed()

    def correction(self, position: int) -> Any:
        """Return what a row's answer was corrected to; None where it was not.

        Of a structured answer these are the corrected fields by name. Of a large table nothing is
        looked up before something is corrected.
        """
        if fields := self.source.fields:
            labels = {name: self._said(position, name) for name in fields}
            return {name: label for name, label in labels.items() if label is not None} or None
        label = self._said(position)
        return None if label is None else str(label)

    def _said(self, row: int, field: str = "") -> Label | None:
        """Return what was said of a row's answer, or of a field of it, if that corrects it."""
        if not self.can_correct or (field not in self._labels and len(self) > _MOST_LOOKED_UP):
            return None
        try:
            act = self._kept_labels(field).said(row)
        except InputError:
            self._is_keyless = True
            return None
        return act.label if act is not None and act.sample == CORRECTION else None

    @property
    def can_correct(self) -> bool:
        """Whether answers can be corrected: those of a table can."""
        source = self.source
        return source.table is not None and bool(source.question) and not self._is_keyless

    @property
    def corrections(self) -> Any:
        """What answers were corrected to: a series over the table, missing where they were not.

        Of structured answers it is a frame, with a column for each field.
        """
        columns: dict[Hashable, AnswerColumn] = {}
        for field, column in self._answer_columns.items():
            if self.can_correct:
                self._kept_labels(field)
            labels = [self._said(row, field) for row in range(len(self))]
            kind = "object" if field else "string"
            columns[column or "corrections"] = AnswerColumn(labels, kind)
        return self._over_rows(columns, is_frame=bool(self.source.fields))

    @property
    def _answer_columns(self) -> Mapping[str, str]:
        """The columns of the answer's fields; by no name that of an answer without fields."""
        return self.source.fields or {"": self.source.question}

    def _kept_labels(self, field: str = "") -> RowLabels:
        source = self.source
        if source.table is None or not source.question:
            raise InputError(
                "Answers are corrected over a table: explore a run of it, or a column with "
                "df.llm.explore(column)."
            )
        if field not in self._labels:
            self._labels[field] = RowLabels(
                source.table,
                self._answer_columns.get(field, source.question),
                project=source.project or None,
                answers=[source.question, *source.fields.values()],
            )
        return self._labels[field]

    # ---------------------------------------------------------------- for the widget

    def _changed(self) -> None:
        with self._lock:
            self._shown = None
        self._notify()

    @property
    def facets(self) -> list[Facet]:
        """By what rows can be filtered beside their outcome."""
        self.compare()
        if self._facets is None:
            self._facets = self.source.facets()
        return self._facets

    @property
    def has_facets(self) -> bool:
        """Whether the facets are known: of many rows that takes a moment."""
        return self._facets is not None

    def choose(self, name: str, number: int) -> None:
        """Choose a value of a facet beside those that are chosen, or leave it out again."""
        numbers = self.chosen.get(name, frozenset()) ^ {number}
        others = {other: chosen for other, chosen in self.chosen.items() if other != name}
        self.chosen = {**others, name: numbers} if numbers else others
        self._changed()

    # --------------------------------------------------------------------- two runs

    def compare(self) -> None:
        """Compare two runs row by row, where that was not done; an interrupt leaves it for later.

        Then what changed comes first, and alone where nothing was filtered by.
        """
        while self.source.compared is not None:
            self.compare_some()

    def compare_some(self) -> None:
        """Compare some further rows of two runs; see `compare`."""
        with self._comparing:
            if self.source.compared is None:
                return
            self.source.compare()
            if self.source.compared is not None:
                return
            self._facets = self.source.facets()
            has_changed = self._facets[0].counts(np.ones(len(self), np.bool_))[0]
            if has_changed and not (self.chosen or self.searched or self._was_compared):
                self.chosen["Answer"] = frozenset({0})
            self._was_compared = True
        self._changed()

    # ------------------------------------------------------------------------- rows

    def is_marked(self, position: int) -> bool:
        """Whether a row is marked."""
        return bool(self._marks[position])

    def refresh(self) -> bool:
        """Take what has come since; return whether anything has."""
        if not self.source.refresh():
            return False
        with self._lock:
            more: Mask = np.zeros(len(self) - len(self._marks), np.bool_)
            self._marks = np.append(self._marks, more)
            if self._hits is not None:
                self._hits = np.append(self._hits, more)
            if self.source.compared is None:
                self._facets = None
        if len(self) <= _MOST_LOOKED_UP:
            self.compare()
        self._changed()
        return True

    def all_counts(self) -> list[int]:
        """Return how many rows there are of each outcome, whatever is filtered by."""
        counts: list[int] = np.bincount(self.source.codes, minlength=len(OUTCOMES)).tolist()
        return counts

    @property
    def marks_total(self) -> int:
        """How many rows are marked, whatever is filtered by."""
        return int(np.count_nonzero(self._marks))

    def facet_counts(self, facet: Facet) -> list[int]:
        """Return how many rows have each value, of those that other filters leave."""
        return facet.counts(self._mask(facet.name))

    def bins(self, count: int) -> tuple[list[int], list[int], int]:
        """Return the table from left to right: rows shown and rows failed in each part.

        Args:
            count: Parts, if there are so many rows.

        Returns:
            Both, and how many rows the largest part has. Rows that wait are not shown yet.
        """
        rows = len(self)
        parts = min(count, rows) or 1
        positions, codes = self.listed, self.source.codes
        if WAITING not in self.chosen.get(OUTCOME, ()):
            positions = positions[codes[positions] != WAITING]
        failed = np.flatnonzero(codes == FAILED)
        shown = np.bincount(positions * parts // max(rows, 1), minlength=parts)
        bad = np.bincount(failed * parts // max(rows, 1), minlength=parts)
        return shown.tolist(), bad.tolist(), -(-rows // parts)

    def rank(self, position: int) -> int:
        """Return which of the shown rows a row is; where it is not shown, the one after it."""
        positions = self.listed
        if self.source.order is None:
            return int(np.searchsorted(positions, position))
        found = np.flatnonzero(positions == position)
        return int(found[0]) if len(found) else 0

    def next_failed(self, position: int) -> int | None:
        """Return the next shown row that failed, from the first again after the last one."""
        positions = self.listed
        ranks = np.flatnonzero(self.source.codes[positions] == FAILED)
        if not len(ranks):
            return None
        rank = self.rank(position)
        is_shown = rank < len(positions) and positions[rank] == position
        later = ranks[ranks >= rank + is_shown]
        return int(positions[later[0] if len(later) else ranks[0]])

    # ------------------------------------------------------------------- searching

    @property
    def hits(self) -> int:
        """How many rows a search has found, whatever is filtered by."""
        return 0 if self._hits is None else int(np.count_nonzero(self._hits))

    @property
    def is_searching(self) -> bool:
        """Whether rows are still being read for it."""
        thread = self._searching
        return thread is not None and thread.is_alive()

    @property
    def seconds_left(self) -> float | None:
        """How long a search takes still; None where nobody knows yet."""
        if not self.rows_read or not self.is_searching:
            return None
        return (time.monotonic() - self._began) * (len(self) - self.rows_read) / self.rows_read

    def pattern(self) -> re.Pattern[str] | None:
        """Return what finds the text that is searched for; None: nothing is."""
        return search.patterns((self.searched,))[0] if self.searched else None

    def begin_search(self, text: str) -> None:
        """Search on a thread of its own; see `search`."""
        if not isinstance(text, str):
            raise InputError(f"A search is a text, not {type(text).__name__}.")
        if len(text) > search.LONGEST_SEARCH:
            raise InputError(f"A search has at most {search.LONGEST_SEARCH} characters.")
        self.stop()
        if (before := self._searching) is not None:
            before.join()
        with self._lock:
            self._stop = stop = threading.Event()
            self.searched, self.rows_read = text.strip(), 0
            self._hits = np.zeros(len(self), np.bool_) if self.searched else None
            self._searching = None
        if self.searched:
            self._began = time.monotonic()
            self._searching = threading.Thread(
                target=self._search, args=(stop,), daemon=True, name="llmnb-search"
            )
            self._searching.start()
        self._changed()

    def _search(self, stop: threading.Event) -> None:
        (pattern,) = search.patterns((self.searched,))
        count, told = len(self), time.monotonic()
        for start in range(0, count, _CHUNK):
            if stop.wait(_PAUSE_SECONDS):
                break
            end = min(count, start + _CHUNK)
            found = self.source.find(pattern, range(start, end))
            with self._lock:
                hits = self._hits
                if hits is None or stop.is_set():
                    break
                hits[found] = True
                self.rows_read, self._shown = end, None
            if time.monotonic() - told > _WAIT_SECONDS:
                told = time.monotonic()
                self._changed()
        self._searching = None
        self._changed()

    # -------------------------------------------------------------------- inside

    def _mask(self, without: str = "") -> Mask:
        """Return which rows all filters leave, but for one."""
        with self._lock:
            mask: Mask = np.ones(len(self), np.bool_)
            if self._hits is not None:
                mask &= self._hits
            for name, numbers in self.chosen.items():
                if name != without:
                    mask &= self.facet(name).mask(numbers)
            return mask

    def facet(self, name: str) -> Facet:
        """Return what rows can be filtered by, by its name.

        Raises:
            InputError: If there is none of that name.
        """
        if name == OUTCOME:
            return Facet(name, OUTCOMES, self.source.codes.astype(np.int16))
        if name == MARK:
            return Facet(name, ("no", "yes"), self._marks.astype(np.int16))
        for facet in self.facets:
            if facet.name == name:
                return facet
        names = ", ".join(["outcome", "marked", *(repr(facet.name) for facet in self.facets)])
        raise InputError(f"Rows cannot be filtered by {name!r}. There is: {cut(names, 320)}.")

    def _checked(self, position: Any) -> int:
        count = len(self)
        if isinstance(position, bool) or not isinstance(position, int | np.integer):
            raise InputError(f"A row is a number, not {type(position).__name__}.")
        if not -count <= position < count:
            raise InputError(f"There is no row {position:,}: there are {counted(count, 'row')}.")
        return int(position) % count

    def _over_rows(
        self, columns: Mapping[Hashable, AnswerColumn], *, is_frame: bool = False
    ) -> Any:
        table = self.source.table
        if table is None:
            import pandas as pd

            table = PandasSource(pd.Series(np.arange(len(self)), name=None))
        return table.filled(columns, into=None, is_frame=is_frame)

    def _repr_html_(self) -> str:
        return static_rows.html(self.source, self.listed, self.marks_total)

    def __str__(self) -> str:
        return static_rows.text(self.source, self.listed, self.marks_total)

    def __repr__(self) -> str:
        shown = counted(len(self.listed), self.source.noun)
        return summary("Explorer", f"{shown} of {len(self):,}, {self.source.subject}")


def _texts(values: str | Iterable[str] | None) -> list[Any]:
    if values is None:
        return []
    return [values] if isinstance(values, str) or not hasattr(values, "__iter__") else list(values)


def _number(value: Any, facet: Facet, name: str) -> int:
    text = "yes" if value is True else "no" if value is False else str(value)
    if text in facet.values:
        return facet.values.index(text)
    known = cut(", ".join(facet.values), 300)
    raise InputError(f"There is no {name.removeprefix('its ')} {value!r}. There is: {known}.")


def _typed(label: Label, now: Any, field: str) -> Label:
    """Return a correction of a field as the kind of value that the field has.

    Example:
        >>> _typed("no", True, "urgent"), _typed("4.5", 3, "stars"), _typed("4.5", "low", "mood")
        (False, 4.5, '4.5')
    """
    if isinstance(now, Mapping | list | tuple):
        raise InputError(f"{field} holds a list or an object, which cannot be corrected here.")
    if not isinstance(label, str) or is_missing(now) or isinstance(now, str):
        return label
    text = label.strip()
    if isinstance(now, bool | np.bool_):
        if text.casefold() not in _TRUTH:
            raise InputError(f"{field} is yes or no, not {cut(label, 40)!r}.")
        return _TRUTH[text.casefold()]
    if isinstance(now, int | float | np.number):
        if (value := number(text)) is None:
            raise InputError(f"{field} is a number, not {cut(label, 40)!r}.")
        return int(value) if value.is_integer() and re.fullmatch(r"[+-]?\d+", text) else value
    return label


_TRUTH = {"yes": True, "true": True, "no": False, "false": False}


_TOLD = (
    *("position", "outcome", "prompt", "answer", "error", "model", "provider", "fields", "truth"),
    *("system", "reasoning", "prompt_tokens", "completion_tokens", "usd", "seconds", "key"),
)


def _as_dict(row: ReadRow) -> dict[str, Any]:
    told = {name: getattr(row, name) for name in _TOLD}
    if row.is_cleared:
        told["error"] = CLEARED
    told["fields"] = dict(row.fields)
    told["answer"] = row.answer if row.answer is not None else row.as_it_came or None
    if row.before is not None:
        told["added"], told["removed"] = row.changes()
        told["before"] = _as_dict(row.before)
    return told
