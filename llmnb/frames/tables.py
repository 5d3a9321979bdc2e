"""Tables in files: CSV, JSONL, Parquet and Arrow, read and written row by row with flat memory."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self

import orjson

from llmnb.adapters import files
from llmnb.errors import ConfigurationError, UnreadableFile
from llmnb.frames.arrow_tables import ARROW_FORMATS, ArrowSink, ArrowTable, Group
from llmnb.store.spreadsheets import inert

FORMATS = (".csv", ".tsv", ".jsonl", ".ndjson", *ARROW_FORMATS)

Row = dict[str, Any]


class Table(Protocol):
    """A file that can be read row by row, more than once."""

    @property
    def columns(self) -> Sequence[str]:
        """Names of the columns, in order."""

    def rows(self) -> Iterator[Row]:
        """Yield the rows from the first."""


def open_table(path: Path) -> Table:
    """Return a table for a file, its columns already known.

    Args:
        path: A file whose name ends in .csv, .tsv, .jsonl, .ndjson, .parquet, .arrow or .feather.

    Raises:
        UnreadableFile: If it is missing, no such table, or empty.
        MissingExtra: If Parquet or Arrow is asked for and pyarrow is not installed.
    """
    kind = format_of(path)
    if path.is_dir():
        raise UnreadableFile(f"{path} is a folder, not a table.")
    if not path.exists():
        raise UnreadableFile(f"There is no file {path}.")
    try:
        if kind in ARROW_FORMATS:
            return ArrowTable(path)
        if kind in (".csv", ".tsv"):
            return _CSVTable(path, "\t" if kind == ".tsv" else ",")
        return _JSONLTable(path)
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError as error:
        raise _not_utf8(path, error) from None


def format_of(path: Path) -> str:
    """Return a file's format by its name.

    Raises:
        UnreadableFile: If it is none that is known.
    """
    kind = path.suffix.lower()
    if kind not in FORMATS:
        raise UnreadableFile(
            f"{path.name} is no kind of table that is known here: {', '.join(FORMATS)}."
        )
    return kind


class _CSVTable:
    def __init__(self, path: Path, delimiter: str) -> None:
        self._path, self._delimiter = path, delimiter
        with self._open() as file:
            header = next(csv.reader(file, delimiter=delimiter), None)
        if not header:
            raise UnreadableFile(f"{path} is empty: a table begins with the names of its columns.")
        twice = {name for name in header if header.count(name) > 1}
        if twice:
            raise UnreadableFile(f"{path} has two columns named {sorted(twice)[0]!r}.")
        self.columns: Sequence[str] = header

    def _open(self) -> IO[str]:
        return self._path.open(encoding="utf-8-sig", newline="")

    def rows(self) -> Iterator[Row]:
        csv.field_size_limit(2**31 - 1)  # cells of megabytes are cells
        width = len(self.columns)
        try:
            with self._open() as file:
                reader = csv.reader(file, delimiter=self._delimiter)
                next(reader, None)
                for cells in reader:
                    if not cells:
                        continue
                    if len(cells) > width:
                        raise UnreadableFile(
                            f"{self._path}, line {reader.line_num}: {len(cells)} cells where the "
                            f"table has {width} columns. Is a comma not quoted?"
                        )
                    cells += [""] * (width - len(cells))
                    # An empty cell of a CSV file says nothing: it is missing.
                    yield {
                        name: cell or None for name, cell in zip(self.columns, cells, strict=True)
                    }
        except UnicodeDecodeError as error:
            raise _not_utf8(self._path, error) from None
        except csv.Error as error:
            raise UnreadableFile(f"{self._path} is not a CSV file: {error}.") from None


class _JSONLTable:
    def __init__(self, path: Path) -> None:
        self._path = path
        first = next(self.rows(), None)
        if first is None:
            raise UnreadableFile(f"{path} is empty: it holds one JSON object a line.")
        self.columns: Sequence[str] = list(first)

    def rows(self) -> Iterator[Row]:
        with self._path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    found = orjson.loads(line)
                except orjson.JSONDecodeError as error:
                    raise UnreadableFile(
                        f"{self._path}, line {number} is not JSON: {error}."
                    ) from None
                if not isinstance(found, dict):
                    raise UnreadableFile(
                        f"{self._path}, line {number} is a JSON {type(found).__name__}, "
                        "not an object."
                    )
                yield found


def _not_utf8(path: Path, error: UnicodeDecodeError) -> UnreadableFile:
    return UnreadableFile(
        f"{path} is not UTF-8: byte {error.object[error.start]:#04x} cannot be read. "
        "Save it as UTF-8 and try again."
    )


# -------------------------------------------------------------------------- writing


class Writer:
    """Writes a table beside its final place and moves it there when it is whole.

    A context manager; when the block ends with an error the draft is removed,
    unless `keep` was called.

    Args:
        path: Where it is to stand.
        columns: Columns of the table, in order.
        guarded: Columns whose text may not become a formula in a spreadsheet.
    """

    def __init__(self, path: Path, columns: Sequence[str], *, guarded: Sequence[str] = ()) -> None:
        self._path = path
        self._columns = list(columns)
        self._guarded = frozenset(guarded) & frozenset(columns)
        self._kind = format_of(path)
        if not path.parent.is_dir():
            raise ConfigurationError(f"There is no folder {path.parent} to write {path.name} to.")
        self._draft = _draft(path)
        self._is_kept = False
        if self._kind in ARROW_FORMATS:
            self._sink: _Sink = ArrowSink(self._draft, self._columns, self._kind)
        elif self._kind in (".csv", ".tsv"):
            self._sink = _CSVSink(self._draft, self._columns, "\t" if self._kind == ".tsv" else ",")
        else:
            self._sink = _JSONLSink(self._draft)

    def __enter__(self) -> Self:
        return self

    def write(self, row: Any) -> None:
        """Add a row; for JSONL it may be any JSON value."""
        if self._guarded and self._kind in (".csv", ".tsv"):
            row = {
                name: inert(cell) if name in self._guarded else cell for name, cell in row.items()
            }
        self._sink.write(row)

    def write_group(self, group: Group, answers: Mapping[str, Sequence[str | None]]) -> None:
        """Add rows of a Parquet or Arrow table as they were read, with columns of answers.

        Args:
            group: The rows.
            answers: Columns of text, put in or put behind.
        """
        assert isinstance(self._sink, ArrowSink), "only Arrow's formats take groups"
        self._sink.write_group(group, answers)

    def keep(self) -> None:
        """Move what was written to its place even when the block ends with an error."""
        self._is_kept = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._sink.close()
            if error is None or self._is_kept:
                files.put_in_place(self._draft, self._path)
        finally:
            with contextlib.suppress(OSError):
                self._draft.unlink(missing_ok=True)


class _Sink(Protocol):
    def write(self, row: Any) -> None: ...
    def close(self) -> None: ...


class _CSVSink:
    def __init__(self, path: Path, columns: Sequence[str], delimiter: str) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._columns = columns
        self._writer = csv.writer(self._file, delimiter=delimiter)
        self._writer.writerow(columns)

    def write(self, row: Row) -> None:
        self._writer.writerow([_cell(row.get(name)) for name in self._columns])

    def close(self) -> None:
        self._file.close()


class _JSONLSink:
    def __init__(self, path: Path) -> None:
        self._file: io.BufferedWriter = path.open("wb")

    def write(self, row: Any) -> None:
        self._file.write(orjson.dumps(row, default=str, option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> None:
        self._file.close()


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, (dict, list)):
        return orjson.dumps(value, default=str).decode()
    return value


def _draft(path: Path) -> Path:
    """Return the path of an empty file beside `path`."""
    try:
        return files.new_draft(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from None
