"""Read and write tables in files: CSV, JSONL, Parquet, Arrow and Excel, with flat memory.

A row that cannot be read keeps its place: it comes with what could be read of it and an error.
What a row holds goes out as it came in, wherever the formats allow it.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from llmnb.adapters import files
from llmnb.errors import ConfigurationError, UnreadableFile
from llmnb.frames.arrow_tables import ARROW_FORMATS, ArrowSink, ArrowTable, schema_of
from llmnb.frames.csv_tables import DELIMITERS, CSVSink, CSVTable
from llmnb.frames.excel_tables import EXCEL_FORMATS, ExcelSink, ExcelTable
from llmnb.frames.table_files import FileRow, Row, TableFile, TableSink
from llmnb.generation.lines import RequestLine, RequestLines
from llmnb.wire.json_text import json_text

FORMATS = (".csv", ".tsv", ".jsonl", ".ndjson", *ARROW_FORMATS, *EXCEL_FORMATS)

UNREADABLE = "unreadable"
"""The field of a JSONL row that holds the text of a line which is no JSON object."""


def open_table(
    path: Path, *, encoding: str | None = None, delimiter: str | None = None
) -> TableFile:
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
    """Return the error that kept a row from being read whole; None where it was."""
    return row.error if isinstance(row, FileRow) else None


class JSONLTable(TableFile):
    """A file of one JSON object a line."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._lines = RequestLines(path, is_exact=True)
        self.columns = list(self._lines.first())

    @functools.cached_property
    def all_columns(self) -> Sequence[str]:
        """The fields of all lines; reads the file."""
        names: dict[str, None] = {}
        for row in self.rows():
            if not row.keys() <= names.keys():
                names.update(dict.fromkeys(row))
        return list(names)

    def may_have(self, names: Sequence[str]) -> bool:
        """Return whether a line may have one of these fields, by a search of the file for names."""
        dumped = {json.dumps(name, ensure_ascii=ascii) for name in names for ascii in (True, False)}
        needles = [text.encode("utf-8", "surrogatepass") for text in dumped]
        needles += [b"\\u", b"\\/"]  # JSON allows any letter of a name to be escaped, and a slash
        with self.path.open("rb", buffering=_BLOCK) as file:
            return any(needle in line for line in file for needle in needles)

    def rows(self) -> Iterator[Row]:
        """Yield the lines as rows, numbers to their last digit."""
        return map(_row, self._lines)

    def requests(self) -> Iterator[Row]:
        """Yield the lines as requests, numbers as a provider reads them."""
        return map(_row, RequestLines(self.path))


_BLOCK = 1 << 20


def _row(line: RequestLine | UnreadableFile) -> Row:
    if isinstance(line, RequestLine):
        return line
    return FileRow({UNREADABLE: (line.details.raw or b"").decode("utf-8", "replace")}, line)


def taken(table: TableFile, names: Sequence[str]) -> list[str]:
    """Return those names that some row of a table has already."""
    if not isinstance(table, JSONLTable):
        return [name for name in names if name in table.columns]
    if not table.may_have(names):
        return []
    return [name for name in names if name in table.all_columns]


# -------------------------------------------------------------------------- writing


@contextlib.contextmanager
def table_writer(
    path: Path,
    columns: Sequence[str],
    *,
    source: TableFile | None = None,
    is_lossless: bool = False,
) -> Iterator[TableSink]:
    """Write a table beside its final place and move it there when it is whole.

    When the block ends with an error the draft is removed.

    Args:
        path: Where it is to stand.
        columns: Columns of the table, in order.
        source: The table whose rows are written: its line ends, marks and types are kept.
        is_lossless: Whether text that a spreadsheet would take for a formula stays in CSV as it
            is. Else it gets an apostrophe, unless it came in from a CSV or an Excel file.

    Raises:
        ConfigurationError: If it cannot be written there.
    """
    format_of(path)
    if not path.parent.is_dir():
        raise ConfigurationError(f"There is no folder {path.parent} to write {path.name} to.")
    try:
        draft = files.new_draft(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from None
    is_whole = False
    try:
        sink = _sink(path.suffix.lower(), draft, columns, source, is_lossless)
        try:
            yield sink
            is_whole = True
        finally:
            sink.close()
            if is_whole:
                files.replace_file(draft, path)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def _sink(
    kind: str, draft: Path, columns: Sequence[str], source: TableFile | None, is_lossless: bool
) -> TableSink:
    if kind in ARROW_FORMATS:
        return ArrowSink(draft, columns, kind, schema_of(source, columns, kind))
    if kind in EXCEL_FORMATS:
        return ExcelSink(draft, columns)
    if kind not in DELIMITERS:
        return _JSONLSink(draft, columns)
    is_own = isinstance(source, (CSVTable, ExcelTable))  # a spreadsheet's rows were in one before
    return CSVSink(
        draft,
        columns,
        kind,
        source if isinstance(source, CSVTable) else None,
        guards_rows=not is_lossless and not is_own,
        guards_added=not is_lossless,
    )


class _JSONLSink(TableSink):
    def __init__(self, draft: Path, columns: Sequence[str]) -> None:
        super().__init__(draft, columns)
        # Each write releases the GIL and has to wait for it, so writes are few and large.
        self._file = draft.open("wb", buffering=_BLOCK)

    def write(self, row: Row, added: Mapping[str, Any] = {}) -> None:
        written = row.written if type(row) is RequestLine and row else b""
        if added and written and added.keys().isdisjoint(row):
            # The line's own text with fields added, so that its numbers and names stay as they are.
            self._file.write(b"%b,%b\n" % (written[:-1], _json(added)[1:]))
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
