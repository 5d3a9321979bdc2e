"""The rows of a table between being asked and being written, in the order of the table.

Where both tables are Parquet or Arrow, rows go group by group as Arrow holds them: only the
columns that the prompt names become Python's; all others go from file to file as they are, with
their types.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmnb.cli.table_questions import TableQuestions
from llmnb.engine.run import Run
from llmnb.frames.arrow_tables import ARROW_FORMATS, ArrowTable, BadText, Group, cells_of, takes
from llmnb.frames.table_files import Row, TableSink
from llmnb.frames.tables import format_of
from llmnb.generation.results import line
from llmnb.progress import TwoBars
from llmnb.records import Outcome


class _WaitingGroup:
    """A group of rows that waits for its outcomes.

    Args:
        group: The rows.
        rows: How many there are.
        asked: Those that ask something, in order.
    """

    def __init__(self, group: Any, rows: int, asked: list[int]) -> None:
        self.group, self.asked = group, asked
        self.texts: list[Any] = [None] * rows
        self.errors: list[str | None] = [None] * rows
        self.answered = 0
        """How many of `asked` have their outcome."""

    @property
    def is_whole(self) -> bool:
        """Whether every row that asks something has its outcome."""
        return self.answered == len(self.asked)

    @property
    def rows(self) -> int:
        """Rows up to the first that has no outcome."""
        return len(self.texts) if self.is_whole else self.asked[self.answered]


class TableJob(ABC):
    """The rows under way from one table to another, in groups.

    Args:
        questions: The table and what is asked of it.
        into: The answers' column.
    """

    def __init__(self, questions: TableQuestions, into: str) -> None:
        self._questions = questions
        self._into, self._error = into, f"{into}_error"
        self._waiting: deque[_WaitingGroup] = deque()
        self._written = 0
        """Rows written so far."""

        self.first_rows: dict[str, int] = {}
        """The first row that failed, by the kind of its error."""

    @abstractmethod
    def _groups(self) -> Iterator[tuple[Any, list[Any]]]:
        """Yield each group with its rows' requests, None where there is nothing to ask."""

    @abstractmethod
    def _put(self, writer: TableSink, group: Any, answers: dict[str, list[Any]]) -> None:
        """Write as many rows of a group as there are answers, with these as further columns."""

    def requests(self) -> Iterator[Any]:
        """Yield the requests, remembering their groups."""
        for group, requests in self._groups():
            asked = [row for row, request in enumerate(requests) if request is not None]
            # Whole before anything of it is asked: outcomes come in on another thread.
            self._waiting.append(_WaitingGroup(group, len(requests), asked))
            yield from (requests[row] for row in asked)

    def write(self, run: Run, writer: TableSink, bars: TwoBars) -> None:
        """Write every row with its outcome, in the order of the table."""
        for outcome in run.outcomes(on_wait=bars.draw):
            self._write_whole(writer)
            self._take(outcome)
        self._write_whole(writer)
        if self._waiting:  # the run was stopped: what has an outcome is written
            self._write(writer)

    def _take(self, outcome: Outcome) -> None:
        """Give the next row that waits for one its outcome."""
        waiting = self._waiting[0]
        row = waiting.asked[waiting.answered]
        waiting.answered += 1
        waiting.texts[row] = line(outcome) if self._questions.are_requests else outcome.text
        if (error := outcome.error) is not None:
            waiting.errors[row] = error.message
            self.first_rows.setdefault(type(error).__name__, self._written + row)

    def _write_whole(self, writer: TableSink) -> None:
        while self._waiting and self._waiting[0].is_whole:
            self._write(writer)

    def _write(self, writer: TableSink) -> None:
        waiting = self._waiting.popleft()
        rows = waiting.rows
        self._written += rows
        answers = {self._into: waiting.texts[:rows], self._error: waiting.errors[:rows]}
        self._put(writer, waiting.group, answers)


class RowJob(TableJob):
    """Rows that go from table to table one by one."""

    def _groups(self) -> Iterator[tuple[Row, list[Any]]]:
        for row in self._questions.rows():
            yield row, [self._questions.request(row)]

    def _put(self, writer: TableSink, group: Row, answers: dict[str, list[Any]]) -> None:
        for text, error in zip(*answers.values(), strict=True):
            if self._questions.are_requests:
                writer.write_line(text)
            else:
                writer.write(group, {self._into: text, self._error: error})


# ------------------------------------------------------------------------ whole groups


def goes_by_groups(questions: TableQuestions, out: Path) -> bool:
    """Whether a table goes from file to file without being taken apart into rows."""
    table, kind = questions.table, format_of(out)
    if not isinstance(table, ArrowTable) or kind not in ARROW_FORMATS or questions.are_requests:
        return False
    return all(takes(kind, column_type) for column_type in table.schema.types)


class GroupJob(TableJob):
    """Rows of a Parquet or Arrow table, which go to another one in groups."""

    def _groups(self) -> Iterator[tuple[Group, list[Any]]]:
        table, left = self._questions.table, self._questions.limit
        assert isinstance(table, ArrowTable)
        for group in table.groups():
            if left is not None:
                group = group.slice(0, left)
                left -= group.num_rows
            yield group, list(map(self._request, self._fields(group)))
            if left == 0:
                return

    def _fields(self, group: Group) -> Iterator[dict[str, Any]]:
        """Yield the rows with no more than what the prompt names."""
        fields = self._questions.fields
        if not fields:
            return itertools.repeat({}, group.num_rows)
        columns = [cells_of(group.column(name)) for name in fields]
        return (dict(zip(fields, cells, strict=True)) for cells in zip(*columns, strict=True))

    def _request(self, fields: dict[str, Any]) -> Any:
        for cell in fields.values():
            if isinstance(cell, BadText):
                return cell.error
        return self._questions.request(fields)

    def _put(self, writer: TableSink, group: Group, answers: dict[str, list[Any]]) -> None:
        writer.write_group(group.slice(0, len(answers[self._into])), answers)
