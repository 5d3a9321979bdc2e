"""CSV files of any encoding, delimiter and line ends, which are kept when they are written again.

A row goes out as the text that it came in, with cells put behind: quotes, blanks and bytes that
are no text included.
"""

from __future__ import annotations

import codecs
import csv
import decimal
import io
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from llmnb.display.escape import inert_cell
from llmnb.errors import ConfigurationError, UnreadableFile
from llmnb.frames.table_files import FileRow, Row, TableFile, TableSink, empty_table
from llmnb.frames.template import cell_text

DELIMITERS = {".csv": ",", ".tsv": "\t"}

_BLOCK = 1 << 20
_LOOKED_AT = 50
"""Rows that are read to find the delimiter."""

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16's, with which it begins
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UNMARKED = {b"\1\0\1\0": "utf-16-le", b"\0\1\0\1": "utf-16-be"}
"""Encodings by which of the first four bytes are zero, as they are in a Latin name of a column."""

_WIDE = ("utf-16", "utf-32")
"""Encodings of several bytes a character."""

_NO_LETTERS = frozenset(b"\x81\x8d\x8f\x90\x9d\xd0\xde\xf0\xfe\xff")
"""Bytes that cp1252 does not use, or whose letters are very rare."""

_STRAY = re.compile("[\udc80-\udcff]")
"""A byte that is no text in the encoding of its file."""

_HALF = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Half of a character, which stands for no byte."""


class CSVRow(FileRow):
    """A row, with the text that it was read from."""

    __slots__ = ("written",)

    written: str | None
    """Its text, without the line's end, cells that it lacks added; None where it has too many."""


class CSVTable(TableFile):
    """A CSV file, read row by row.

    Args:
        path: The file.
        encoding: Python's name of it; None: found by looking.
        delimiter: One character; None: found by looking.

    Raises:
        UnreadableFile: If it is empty, not of that encoding, or a quote in it is never closed.
        ConfigurationError: If there is no such encoding or delimiter.
    """

    def __init__(
        self, path: Path, *, encoding: str | None = None, delimiter: str | None = None
    ) -> None:
        csv.field_size_limit(2**31 - 1)  # cells of megabytes are cells
        super().__init__(path)
        self.kind = path.suffix.lower()
        self.encoding, self._has_bad_bytes = _encoding(path, encoding)
        """Python's name of it; ``utf-8-sig`` and ``utf-16`` begin with a byte order mark."""

        if encoding is None and self.encoding == "cp1252":
            self.note = (
                f"{path.name} is not UTF-8 and is read as cp1252 (Windows); "
                "--encoding NAME reads it otherwise."
            )
        with self._open() as file:
            first = file.readline()
            file.seek(0)
            self.delimiter = _delimiter(file, DELIMITERS.get(self.kind, ","), delimiter)
        self.line_end = first[len(first.rstrip("\r\n")) :][:2] or "\n"
        header = next(self._records(), None)
        if header is None:
            raise empty_table(path)
        self.columns, self.header = header[0], header[1]
        """The names, and the first line as it stands there."""

        self._check_quotes()

    def rows(self) -> Iterator[CSVRow]:
        """Yield the rows; one with too many cells or invalid bytes carries an error."""
        records = self._records()
        next(records, None)
        for cells, written, _, line in records:
            if not cells and len(self.columns) > 1:
                continue
            yield self._record(cells, written, line)

    def _record(self, cells: list[str], written: str, line: int) -> CSVRow:
        columns = self.columns
        cells = cells or [""]  # a blank line, in a table of a single column
        missing = len(columns) - len(cells)
        # An empty cell of a CSV file says nothing: it is missing.
        values = itertools.chain((cell or None for cell in cells), itertools.repeat(None, missing))
        row = CSVRow(zip(columns, values, strict=False))
        row.written = written + self.delimiter * missing if missing >= 0 else None
        where = f"line {line} of {self.path.name}"
        if missing < 0:
            rest = ", ".join(map(repr, cells[len(columns) :]))[:200]
            row.error = UnreadableFile(
                f"Row not asked: {where} has {len(cells)} cells where the table has "
                f"{len(columns)} columns; left over: {rest}. Is a comma not quoted?"
            )
        elif self._has_bad_bytes and _STRAY.search(written):
            row.error = UnreadableFile(
                f"Row not asked: {where} holds bytes that are no text in {self.encoding}. "
                "Mend them, or name the file's encoding with --encoding."
            )
        return row

    def _records(self) -> Iterator[tuple[list[str], str, int, int]]:
        """Yield each row's cells, the text they were read from, and its first and last line."""
        taken: list[str] = []

        def lines(file: IO[str]) -> Iterator[str]:
            for line in file:
                taken.append(line)
                yield line

        try:
            with self._open() as file:
                reader = csv.reader(lines(file), delimiter=self.delimiter)
                is_header = True
                for cells in reader:
                    written = taken[0] if len(taken) == 1 else "".join(taken)
                    first = reader.line_num - len(taken) + 1
                    taken.clear()
                    if cells or not is_header:  # blank lines may stand before the header
                        is_header = False
                        yield cells, written.rstrip("\r\n"), first, reader.line_num
        except csv.Error as error:
            raise UnreadableFile(f"{self.path} is not a CSV file: {error}.") from None

    def _check_quotes(self) -> None:
        """Refuse a file with an unclosed quote: all rows behind it would be read as a single cell.

        A cell of several lines ends with a quote that a delimiter or a line's end follows. Where
        anything else follows, that quote opened a cell of a later row.
        """
        written, first, line = "", 1, 1
        for _, written, first, line in self._records():
            if first < line:
                try:
                    list(csv.reader([written], delimiter=self.delimiter, strict=True))
                except csv.Error:
                    raise self._unclosed(first, line) from None
        # Only within a quote another line goes on with the last one.
        if written and len(list(csv.reader([f"{written}\n", "-"], delimiter=self.delimiter))) == 1:
            raise self._unclosed(first, line)

    def _unclosed(self, first: int, last: int) -> UnreadableFile:
        return UnreadableFile(
            f"A quote opened in line {first} of {self.path.name} is not closed: all rows from "
            f"there to line {last} would be one cell. Close it, or write a quote that belongs to "
            "the text twice within a quoted cell. Nothing was sent."
        )

    def _open(self) -> IO[str]:
        errors = "strict" if self.encoding.startswith(_WIDE) else "surrogateescape"
        return self.path.open(encoding=self.encoding, errors=errors, newline="")


def _encoding(path: Path, encoding: str | None) -> tuple[str, bool]:
    """Return a file's encoding, and whether some of its bytes are invalid in it."""
    with path.open("rb") as file:
        head = file.read(4)
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    name = marked or _UNMARKED.get(bytes(map(bool, head)), "utf-8")
    if encoding is not None:
        try:
            name = codecs.lookup(encoding).name
        except LookupError:
            raise ConfigurationError(
                f"There is no encoding {encoding!r}: utf-8, utf-16, cp1252 and latin-1 are usual. "
                "Nothing was sent."
            ) from None
        if name == "utf-8" and marked == "utf-8-sig":
            name = marked
    wrong = _undecodable(path, name)
    if wrong and not name.startswith("utf-8") and len("\n".encode(name)) > 1:
        raise UnreadableFile(f"{path} is not {name}: name its encoding. Nothing was sent.")
    if wrong and encoding is None and not marked and _is_cp1252(wrong):
        return "cp1252", False
    return name, bool(wrong)


def _undecodable(path: Path, encoding: str) -> bytes:
    """Return a block of a file that cannot be decoded; empty if all of it can."""
    with path.open("rb") as file:
        text = io.TextIOWrapper(file, encoding, newline="")
        try:
            while text.read(_BLOCK):
                pass
        except UnicodeDecodeError:
            file.seek(max(0, file.tell() - _BLOCK))
            return file.read(_BLOCK)
    return b""


def _is_cp1252(block: bytes) -> bool:
    """Return whether bytes that are not UTF-8 look like cp1252, not like broken UTF-8."""
    text = block.decode("utf-8", "surrogateescape")
    odd = [ord(sign) - 0xDC00 for sign in text if "\udc80" <= sign <= "\udcff"]
    good = sum(1 for sign in text if sign > "\x7f") - len(odd)
    return len(odd) > good and _NO_LETTERS.isdisjoint(odd)


def _delimiter(file: IO[str], usual: str, chosen: str | None) -> str:
    """Return the chosen delimiter, else the one that divides the first rows evenly."""
    if chosen is not None:
        chosen = {"\\t": "\t", "tab": "\t"}.get(chosen, chosen)
        if len(chosen) != 1 or chosen in '"\r\n':
            raise ConfigurationError(
                f"A delimiter is one character such as ';' or '\\t', not {chosen!r}. "
                "Nothing was sent."
            )
        return chosen
    lines = list(itertools.islice(itertools.dropwhile(str.isspace, file), 4 * _LOOKED_AT))

    def evenness(delimiter: str) -> float:
        try:
            rows = list(itertools.islice(csv.reader(lines, delimiter=delimiter), _LOOKED_AT))
        except csv.Error:
            return 0
        width = len(rows[0]) if rows else 0
        return sum(len(row) == width for row in rows) / len(rows) if width > 1 else 0

    scores = {sign: evenness(sign) for sign in (usual, ",", ";", "\t", "|")}
    if scores[usual]:
        return usual
    best = max(scores, key=lambda sign: scores[sign])
    return best if scores[best] >= 0.8 else usual


class CSVSink(TableSink):
    """Writes rows of cells, as the table's own file is written where they come from one.

    Args:
        draft: The file, which exists already.
        columns: Names, in order.
        kind: Suffix of the format, one of `DELIMITERS`.
        source: The table whose rows are written, where their text can be kept.
        guards_rows: Whether a row's own text may not become a formula in a spreadsheet.
        guards_added: Whether text that is added to a row may not.
    """

    def __init__(
        self,
        draft: Path,
        columns: Sequence[str],
        kind: str,
        source: CSVTable | None = None,
        *,
        guards_rows: bool,
        guards_added: bool,
    ) -> None:
        super().__init__(draft, columns)
        self._delimiter, encoding, self._line_end = DELIMITERS[kind], "utf-8", "\r\n"
        if source is not None:
            is_unicode = codecs.lookup(source.encoding).name.startswith("utf")
            encoding = source.encoding if is_unicode else "utf-8-sig"  # it can hold any answer
            self._line_end = source.line_end
            if kind == source.kind:
                self._delimiter = source.delimiter
        self._row_cell = _guarded if guards_rows else _cell
        self._added_cell = _guarded if guards_added else _cell
        # Of several bytes a character, no single byte can be kept as it is.
        errors = "replace" if encoding.startswith(_WIDE) else "surrogateescape"
        self._file = draft.open("w", encoding=encoding, errors=errors, newline="")
        self._writer = csv.writer(_Echo(), delimiter=self._delimiter, lineterminator="\r\n")
        self._columns_as_read = 0
        """Number of the first columns whose text is written as it was read from the source."""

        if (
            source is not None
            and source.delimiter == self._delimiter
            and self._columns[: len(source.columns)] == list(source.columns)
        ):
            self._columns_as_read = len(source.columns)
            self._put(self._columns[self._columns_as_read :], behind=source.header)
        else:
            self._put([self._row_cell(name) for name in self._columns])

    def write(self, row: Row, added: Mapping[str, Any] = {}) -> None:
        """Add a row, with cells that replace its own or stand behind them."""
        behind = row.written if self._columns_as_read and isinstance(row, CSVRow) else None
        if behind is not None and added.keys().isdisjoint(self._columns[: self._columns_as_read]):
            names = self._columns[self._columns_as_read :]
            self._put([self._added_cell(added.get(name)) for name in names], behind=behind)
            return
        self._put(
            [
                self._added_cell(added[name]) if name in added else self._row_cell(row.get(name))
                for name in self._columns
            ]
        )

    def _put(self, cells: Sequence[str], *, behind: str | None = None) -> None:
        """Write a line of cells, after the text of the row's own cells if there is one."""
        # The writer quotes cells with a part of its line end, so it must have both of its signs.
        text = self._writer.writerow(cells)[:-2] if cells else ""
        if behind is not None:
            text = f"{behind}{self._delimiter}{text}" if cells else behind
        try:
            self._file.write(text + self._line_end)
        except UnicodeEncodeError:
            self._file.write(_HALF.sub("\ufffd", text) + self._line_end)

    def close(self) -> None:
        """Write what is left."""
        self._file.close()


class _Echo:
    def write(self, text: str) -> str:
        return text


def _cell(value: Any) -> str:
    return cell_text(value) or ""


def _guarded(value: Any) -> str:
    """Return a cell that no spreadsheet takes for a formula; numbers stay numbers."""
    text = _cell(value)
    return text if isinstance(value, (int, float, decimal.Decimal)) else str(inert_cell(text))
