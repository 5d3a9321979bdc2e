"""The base classes of the readers and writers of table files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from llmnb.errors import UnreadableFile

Row = dict[str, Any]


class FileRow(dict[str, Any]):
    """A row of a file, with the error that kept it from being read whole."""

    __slots__ = ("error",)

    error: UnreadableFile | None

    def __init__(
        self,
        cells: Mapping[str, Any] | Iterable[tuple[str, Any]],
        error: UnreadableFile | None = None,
    ) -> None:
        super().__init__(cells)
        self.error = error


class TableFile(ABC):
    """A file that can be read row by row, more than once."""

    note: str | None = None
    """A note for the person about how the file is read."""

    columns: Sequence[str]
    """Names of the columns, in order; of JSONL those of its first line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def all_columns(self) -> Sequence[str]:
        """Names that any row has; reads the file where it must."""
        return self.columns

    @abstractmethod
    def rows(self) -> Iterator[Row]:
        """Yield the rows; one that cannot be read whole carries an error."""


class TableSink(ABC):
    """Writes rows to a file.

    Args:
        draft: The file, which exists already.
        columns: Names, in order.
    """

    cut = 0
    """Cells written in part, because the format takes no longer ones."""

    def __init__(self, draft: Path, columns: Sequence[str]) -> None:
        self._draft, self._columns = draft, list(columns)

    @abstractmethod
    def write(self, row: Row, added: Mapping[str, Any] = {}) -> None:
        """Add a row, with cells that replace its own or stand behind them."""

    def write_line(self, line: bytes) -> None:
        """Add a line of JSON as it is, to a JSONL file."""
        raise NotImplementedError

    def write_group(self, group: Any, answers: Mapping[str, Sequence[str | None]]) -> None:
        """Add rows of a Parquet or Arrow table to another as they were read, with answers.

        Args:
            group: The rows, as a record batch of pyarrow.
            answers: Columns of text, put in or put behind.
        """
        raise NotImplementedError

    @abstractmethod
    def close(self) -> None:
        """Write what is left, and the end of the file."""


def empty_table(path: Path) -> UnreadableFile:
    """Return the error of a table without a first row."""
    return UnreadableFile(f"{path} is empty: a table begins with the names of its columns.")
