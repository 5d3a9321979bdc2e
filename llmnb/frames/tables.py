"""Tables in files: CSV, JSONL, Parquet, Arrow and Excel, read and written with flat memory.

A row that cannot be read keeps its place: it comes with what could be read of it and an error.
What a row holds goes out as it came in, wherever the formats allow it.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import orjson

from llmnb.adapters import files
from llmnb.errors import ConfigurationError, UnreadableFile
from llmnb.frames.arrow_tables import ARROW_FORMATS, ArrowSink, ArrowTable, BadRow, Group, schema_of
from llmnb.frames.csv_tables import DELIMITERS, CSVForm, CSVSink, CSVTable, Record
from llmnb.frames.excel_tables import EXCEL_FORMATS, ExcelSink, ExcelTable, LongRow
from llmnb.generation.lines import Line, RequestLines
from llmnb.wire.json_text import json_text

FORMATS = (".csv", ".tsv", ".jsonl", ".ndjson", *ARROW_FORMATS, *EXCEL_FORMATS)

UNREADABLE = "unreadable"
"""The field of a JSONL row that holds the text of a line which is no JSON object."""

Row = dict[str, Any]


class Table(Protocol):
    """A file that can be read row by row, more than once."""

    note: str | None
    """What the person should know about how the file is read."""

    @property
    def columns(self) -> Sequence[str]:
        """Names of the columns, in order; of JSONL those of its first line."""

    @property
    def all_columns(self) -> Sequence[str]:
        """Names that any row has; reads the file where it must."""

    def rows(self) -> Iterator[Row]:
        """Yield the rows from the first."""


def open_table(path: Path, *, encoding: str | None = None, delimiter: str | None = None) -> Table:
    """Return a table for a file, its columns already known.

    Args:
        path: A file whose name ends in .csv, .tsv, .jsonl, .ndjson, .parquet, .arrow, .feather
            or .xlsx.
        encoding: That of a CSV file; None: found by looking.
        delimiter: What stands between the cells of a CSV file; None: found by looking.

    Raises:
        UnreadableFile: If it is missing, no such table, or empty.
        ConfigurationError: If there is no such encoding, or the format has its own.
        MissingExtra: If Parquet, Arrow or Excel is asked for and its package is not installed.
    """
    kind = format_of(path)
    if path.is_dir():
        raise UnreadableFile(f"{path} is a folder, not a table.")
    if not path.exists():
        raise UnreadableFile(f"There is no file {path}.")
    if kind not in DELIMITERS and (encoding is not None or delimiter is not None):
        raise ConfigurationError(
            f"--encoding and --delimiter are for CSV files, and {path.name} is none. "
            "Nothing was sent."
        )
    try:
        if kind in ARROW_FORMATS:
            return ArrowTable(path)
        if kind in EXCEL_FORMATS:
            return ExcelTable(path)
        if kind in DELIMITERS:
            return CSVTable(path, encoding=encoding, delimiter=delimiter)
        return JSONLTable(path)
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError as error:
        raise UnreadableFile(
            f"{path} is no text in the encoding that it says: byte "
            f"{error.object[error.start]:#04x} cannot be read. Name it with --encoding."
        ) from None


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


def error_of(row: Row) -> UnreadableFile | None:
    """Return what kept a row from being read whole, None where it could be."""
    return row.error if isinstance(row, _MAY_BE_BAD) else None


class Broken(dict[str, Any]):
    """A row that could not be read: its text, and why."""

    def __init__(self, text: str, error: UnreadableFile) -> None:
        super().__init__({UNREADABLE: text})
        self.error = error


_MAY_BE_BAD = (Record, Broken, BadRow, LongRow)


class JSONLTable:
    """A file of one JSON object a line."""

    note: str | None = None

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines = RequestLines(path, is_exact=True)
        self.columns: Sequence[str] = list(self._lines.first())
        self._all: Sequence[str] | None = None

    @property
    def all_columns(self) -> Sequence[str]:
        """The fields of all lines; reads the file."""
        if self._all is None:
            names: dict[str, None] = {}
            for row in self.rows():
                if not row.keys() <= names.keys():
                    names.update(dict.fromkeys(row))
            self._all = list(names)
        return self._all

    def may_have(self, names: Sequence[str]) -> bool:
        """Whether a line may have one of these fields; looks for their spelling only: fast."""
        dumped = {json.dumps(name, ensure_ascii=ascii) for name in names for ascii in (True, False)}
        needles = [one.encode("utf-8", "surrogatepass") for one in dumped]
        # A writer may escape any sign, and a slash in its own way; few do.
        escaped = {rb"\\u" + unit for name in names for unit in _units(name)}
        escaped |= {rb"\\/" for name in names if "/" in name}
        escapes = re.compile(b"|".join(escaped), re.IGNORECASE)
        overlap = max(map(len, needles)) + _BLANKS
        before = b""
        with self.path.open("rb", buffering=0) as file:
            while block := file.read(_BLOCK):
                data = before + block
                if any(_has_field(data, needle) for needle in needles) or escapes.search(data):
                    return True
                before = data[-overlap:]
        return False

    def rows(self) -> Iterator[Row]:
        """Yield the lines as rows, numbers to their last digit."""
        return map(_row, self._lines)

    def requests(self) -> Iterator[Row]:
        """Yield the lines as requests, numbers as a provider reads them."""
        return map(_row, RequestLines(self.path))


_BLOCK = 1 << 20

_BLANKS = 64
"""Blanks that are looked through between a field's name and its colon."""


def _row(one: Line | UnreadableFile) -> Row:
    if type(one) is Line:
        return one
    assert isinstance(one, UnreadableFile)
    return Broken((one.details.raw or b"").decode("utf-8", "replace"), one)


def _has_field(data: bytes, needle: bytes) -> bool:
    """Whether a name stands somewhere with a colon behind it, or at the end, as far as is seen."""
    place = data.find(needle)
    while place >= 0:
        end = place + len(needle)
        behind = data[end : end + _BLANKS].lstrip()
        if not behind or behind.startswith(b":"):
            return True
        place = data.find(needle, end)
    return False


def _units(name: str) -> list[bytes]:
    """Return the halves of characters of a name as JSON can escape them."""
    data = name.encode("utf-16-be", "surrogatepass")
    return [data[place : place + 2].hex().encode() for place in range(0, len(data), 2)]


def taken(table: Table, names: Sequence[str]) -> list[str]:
    """Return those names that some row of a table has already."""
    if not isinstance(table, JSONLTable):
        return [name for name in names if name in table.columns]
    if not table.may_have(names):
        return []
    return [name for name in names if name in table.all_columns]


# -------------------------------------------------------------------------- writing


class Writer:
    """Writes a table beside its final place and moves it there when it is whole.

    A context manager; when the block ends with an error the draft is removed,
    unless `keep` was called.

    Args:
        path: Where it is to stand.
        columns: Columns of the table, in order.
        source: The table whose rows are written: its line ends, marks and types are kept.
        is_lossless: Whether text that a spreadsheet would take for a formula stays in CSV as it
            is. Else it gets an apostrophe, unless it came in from a CSV or an Excel file.
    """

    def __init__(
        self,
        path: Path,
        columns: Sequence[str],
        *,
        source: Table | None = None,
        is_lossless: bool = False,
    ) -> None:
        self._path = path
        self._is_lossless = is_lossless
        self._kind = format_of(path)
        if not path.parent.is_dir():
            raise ConfigurationError(f"There is no folder {path.parent} to write {path.name} to.")
        self._draft = _draft(path)
        self._is_kept = False
        self._sink = self._made(list(columns), source)

    def _made(self, columns: list[str], source: Table | None) -> _Sink:
        if self._kind in ARROW_FORMATS:
            schema = None if source is None else schema_of(source, columns, self._kind)
            return ArrowSink(self._draft, columns, self._kind, schema)
        if self._kind in EXCEL_FORMATS:
            return ExcelSink(self._draft, columns)
        if self._kind in DELIMITERS:
            form = CSVForm(DELIMITERS[self._kind])
            known = source if isinstance(source, CSVTable) else None
            if known is not None:
                form = known.form.out
                if self._kind != known.kind:
                    form = CSVForm(DELIMITERS[self._kind], form.encoding, form.line_end)
            # A spreadsheet's own rows were in one before.
            is_own = isinstance(source, (CSVTable, ExcelTable))
            return CSVSink(
                self._draft,
                columns,
                form,
                known,
                guards_rows=not self._is_lossless and not is_own,
                guards_added=not self._is_lossless,
            )
        return _JSONLSink(self._draft)

    def __enter__(self) -> Self:
        return self

    def write(self, row: Row, added: Mapping[str, Any] | None = None) -> None:
        """Add a row, with cells that replace its own or stand behind them."""
        self._sink.write(row, {} if added is None else added)

    @property
    def cut(self) -> int:
        """Cells written in part, because the format takes no longer ones."""
        return self._sink.cut if isinstance(self._sink, ExcelSink) else 0

    def write_line(self, line: bytes) -> None:
        """Add a line of JSON as it is."""
        assert isinstance(self._sink, _JSONLSink), "only JSONL takes lines"
        self._sink.write_line(line)

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
                files.replace_file(self._draft, self._path)
        finally:
            with contextlib.suppress(OSError):
                self._draft.unlink(missing_ok=True)


class _Sink(Protocol):
    def write(self, row: Row, added: Mapping[str, Any]) -> None: ...
    def close(self) -> None: ...


class _JSONLSink:
    def __init__(self, path: Path) -> None:
        # Each time that it is written, the lock of Python is given up, and must be had back.
        self._file = path.open("wb", buffering=_BLOCK)

    def write(self, row: Row, added: Mapping[str, Any]) -> None:
        if type(row) is Line and row and added and row.written and added.keys().isdisjoint(row):
            # As it was written, with fields put behind: no number or name is written anew.
            self._file.write(b"%b,%b\n" % (row.written[:-1], _json(added)[1:]))
            return
        self._file.write(_json({**row, **added}) + b"\n")

    def write_line(self, line: bytes) -> None:
        self._file.write(line)

    def close(self) -> None:
        self._file.close()


def _json(value: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:
        return json_text(value).encode("utf-8", "replace")


def _draft(path: Path) -> Path:
    """Return the path of an empty file beside `path`."""
    try:
        return files.new_draft(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from None
