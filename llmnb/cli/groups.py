"""Rows of Parquet and Arrow tables under way: held as Arrow holds them, written group by group.

Only the columns that the prompt names become Python's; all others go from file to
file as they are, with their types.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmnb.cli.asking import Questions
from llmnb.engine.run import Run
from llmnb.frames.arrow_tables import ARROW_FORMATS, ArrowTable, BadText, Group, cells_of, takes
from llmnb.frames.tables import Writer, format_of
from llmnb.progress import TwoBars
from llmnb.records import Outcome


def goes_by_groups(questions: Questions, out: Path) -> bool:
    """Whether a table goes from file to file without being taken apart into rows."""
    table, kind = questions.table, format_of(out)
    if not isinstance(table, ArrowTable) or kind not in ARROW_FORMATS or questions.are_requests:
        return False
    return all(takes(kind, column_type) for column_type in table.schema.types)


@dataclass(slots=True, eq=False)
class _Waiting:
    """A group of rows that waits for its outcomes."""

    group: Group
    asked: list[int]
    """Its rows that ask something, in order."""

    texts: list[str | None] = field(init=False)
    errors: list[str | None] = field(init=False)
    answered: int = 0
    """How many of `asked` have their outcome."""

    def __post_init__(self) -> None:
        self.texts = [None] * self.group.num_rows
        self.errors = [None] * self.group.num_rows

    @property
    def is_whole(self) -> bool:
        return self.answered == len(self.asked)

    @property
    def rows(self) -> int:
        """Rows up to the first that has no outcome."""
        return self.group.num_rows if self.is_whole else self.asked[self.answered]


class GroupJob:
    """The groups under way, on their way from table to table.

    Args:
        questions: The table and what is asked of it.
        into: The answers' column.
    """

    def __init__(self, questions: Questions, into: str) -> None:
        self._questions = questions
        self._into = into
        self._waiting: deque[_Waiting] = deque()
        self.examples: list[tuple[int, str, str]] = []
        """A failure of each kind: its row, kind and words."""

        self._written = 0
        self.refused = 0  # rows of these tables are texts: they cannot name an address

    def requests(self) -> Iterator[Any]:
        """Yield the requests, remembering their groups."""
        for group in self._groups():
            made = list(map(self._request, self._fields(group)))
            asked = [row for row, request in enumerate(made) if request is not None]
            # Whole before anything of it is asked: outcomes come in on another thread.
            self._waiting.append(_Waiting(group, asked))
            yield from (request for request in made if request is not None)

    def write(self, run: Run, writer: Writer, bars: TwoBars) -> None:
        """Write every row with its outcome, in the order of the table."""
        for outcome in run.outcomes(on_wait=bars.draw):
            self._write_whole(writer)
            self._note(self._waiting[0], outcome)
        self._write_whole(writer)
        if self._waiting:  # the run was stopped: what has an outcome is written
            self._write(writer, self._waiting.popleft())

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

    def _note(self, waiting: _Waiting, outcome: Outcome) -> None:
        row = waiting.asked[waiting.answered]
        waiting.answered += 1
        waiting.texts[row] = outcome.text
        if (error := outcome.error) is not None:
            waiting.errors[row] = error.message
            kind = type(error).__name__
            if kind not in {known for _, known, _ in self.examples}:
                self.examples.append((self._written + row, kind, error.message))

    def _write_whole(self, writer: Writer) -> None:
        while self._waiting and self._waiting[0].is_whole:
            self._write(writer, self._waiting.popleft())

    def _write(self, writer: Writer, waiting: _Waiting) -> None:
        rows = waiting.rows
        self._written += rows
        answers = {
            self._into: waiting.texts[:rows],
            f"{self._into}_error": waiting.errors[:rows],
        }
        writer.write_group(waiting.group.slice(0, rows), answers)
