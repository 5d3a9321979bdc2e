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
from llmnb.errors import LLMNBError
from llmnb.frames.arrow_tables import ARROW_FORMATS, ArrowTable, BadText, Group, cells_of, takes
from llmnb.frames.table_files import Row, TableSink
from llmnb.frames.tables import format_of
from llmnb.generation.results import line
from llmnb.progress import TwoBars
from llmnb.records import Outcome


class TableJob(ABC):
    """The rows under way from one table to another.

    Args:
        questions: The table and what is asked of it.
        into: The answers' column.
    """

    def __init__(self, questions: TableQuestions, into: str) -> None:
        self._questions = questions
        self._into, self._error = into, f"{into}_error"
        self._written = 0
        """Rows written so far."""

        self.first_rows: dict[str, int] = {}
        """The first row that failed, by the kind of its error."""

    @abstractmethod
    def requests(self) -> Iterator[Any]:
        """Yield the requests, remembering their rows."""

    @abstractmethod
    def _write_ready(self, writer: TableSink) -> None:
        """Write what waits for no outcome, up to the next row that does."""

    @abstractmethod
    def _take(self, writer: TableSink, outcome: Outcome) -> None:
        """Give the next row that waits for one its outcome."""

    def write(self, run: Run, writer: TableSink, bars: TwoBars) -> None:
        """Write every row with its outcome, in the order of the table."""
        for outcome in run.outcomes(on_wait=bars.draw):
            self._write_ready(writer)
            self._take(writer, outcome)
        self._write_ready(writer)

    def _note(self, row: int, error: LLMNBError) -> None:
        self.first_rows.setdefault(type(error).__name__, row)


class RowJob(TableJob):
    """Rows that go from table to table one by one."""

    def __init__(self, questions: TableQuestions, into: str) -> None:
        super().__init__(questions, into)
        self._waiting: deque[tuple[Row, bool]] = deque()
        """Rows read and not yet written, and whether they were asked."""

    def requests(self) -> Iterator[Any]:
        """Yield the requests, remembering their rows."""
        request_of, waiting = self._questions.request, self._waiting
        for row in self._questions.rows():
            request = request_of(row)
            waiting.append((row, request is not None))
            if request is not None:
                yield request

    def _write_ready(self, writer: TableSink) -> None:
        while self._waiting and not self._waiting[0][1]:
            writer.write(self._waiting.popleft()[0], {self._into: None, self._error: None})
            self._written += 1

    def _take(self, writer: TableSink, outcome: Outcome) -> None:
        (row, _), error = self._waiting.popleft(), outcome.error
        if error is not None:
            self._note(self._written, error)
        self._written += 1
        if self._questions.are_requests:
            writer.write_line(line(outcome))
        else:
            message = None if error is None else error.message
            writer.write(row, {self._into: outcome.text, self._error: message})


# ------------------------------------------------------------------------ whole groups


def goes_by_groups(questions: TableQuestions, out: Path) -> bool:
    """Whether a table goes from file to file without being taken apart into rows."""
    table, kind = questions.table, format_of(out)
    if not isinstance(table, ArrowTable) or kind not in ARROW_FORMATS or questions.are_requests:
        return False
    return all(takes(kind, column_type) for column_type in table.schema.types)


class _WaitingGroup:
    """A group of rows that waits for its outcomes.

    Args:
        group: The rows.
        asked: Those that ask something, in order.
    """

    def __init__(self, group: Group, asked: list[int]) -> None:
        self.group, self.asked = group, asked
        self.texts: list[str | None] = [None] * group.num_rows
        self.errors: list[str | None] = [None] * group.num_rows
        self.answered = 0
        """How many of `asked` have their outcome."""

    @property
    def rows(self) -> int:
        """Rows up to the first that has no outcome."""
        is_whole = self.answered == len(self.asked)
        return self.group.num_rows if is_whole else self.asked[self.answered]


class GroupJob(TableJob):
    """Rows of a Parquet or Arrow table, which go to another one in groups."""

    def __init__(self, questions: TableQuestions, into: str) -> None:
        super().__init__(questions, into)
        self._waiting: deque[_WaitingGroup] = deque()

    def requests(self) -> Iterator[Any]:
        """Yield the requests, remembering their groups."""
        for group in self._groups():
            requests = list(map(self._request, self._fields(group)))
            asked = [row for row, request in enumerate(requests) if request is not None]
            # Whole before anything of it is asked: outcomes come in on another thread.
            self._waiting.append(_WaitingGroup(group, asked))
            yield from (requests[row] for row in asked)

    def write(self, run: Run, writer: TableSink, bars: TwoBars) -> None:
        """Write every row with its outcome, in the order of the table."""
        super().write(run, writer, bars)
        if self._waiting:  # the run was stopped: what has an outcome is written
            self._write(writer)

    def _groups(self) -> Iterator[Group]:
        table, left = self._questions.table, self._questions.limit
        assert isinstance(table, ArrowTable)
        for group in table.groups():
            if left is not None:
                group = group.slice(0, left)
                left -= group.num_rows
            yield group
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

    def _take(self, writer: TableSink, outcome: Outcome) -> None:
        waiting = self._waiting[0]
        row = waiting.asked[waiting.answered]
        waiting.answered += 1
        waiting.texts[row] = outcome.text
        if (error := outcome.error) is not None:
            waiting.errors[row] = error.message
            self._note(self._written + row, error)

    def _write_ready(self, writer: TableSink) -> None:
        while self._waiting and self._waiting[0].rows == self._waiting[0].group.num_rows:
            self._write(writer)

    def _write(self, writer: TableSink) -> None:
        waiting = self._waiting.popleft()
        rows = waiting.rows
        self._written += rows
        answers = {self._into: waiting.texts[:rows], self._error: waiting.errors[:rows]}
        writer.write_group(waiting.group.slice(0, rows), answers)
