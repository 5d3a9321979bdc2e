"""CSV files of any encoding, delimiter and line ends, which are kept when they are written again.

A row goes out as the text that it came in, with cells put behind: quotes, blanks and bytes that
are no text included.
"""

from __future__ import annotations

import codecs
import csv
import decimal
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import dropwhile, islice
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
"""Encodings of several bytes a character, in which no single byte can be kept as it is."""

_NO_LETTERS = frozenset(b"\x81\x8d\x8f\x90\x9d\xd0\xde\xf0\xfe\xff")
"""Bytes that cp1252 does not use, or whose letters are very rare."""


@dataclass(frozen=True, slots=True)
class CSVForm:
    """How the cells of a file are written."""

    delimiter: str = ","
    encoding: str = "utf-8"
    """Python's name; ``utf-8-sig`` and ``utf-16`` begin with a byte order mark."""

    line_end: str = "\r\n"

    @property
    def out(self) -> CSVForm:
        """The same form in an encoding that can hold any answer."""
        if codecs.lookup(self.encoding).name.startswith("utf"):
            return self
        return CSVForm(self.delimiter, "utf-8-sig", self.line_end)


class CSVRow(FileRow):
    """A row, with the text that it was read from."""

    __slots__ = ("missing", "written")

    written: str
    """Its text, without the line's end."""

    missing: int
    """Number of cells that it lacks; below 0, of those that it has too many."""


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
        name, self._has_bad_bytes = _encoding(path, encoding)
        if encoding is None and name == "cp1252":
            self.note = (
                f"{path.name} is not UTF-8 and is read as cp1252 (Windows); "
                "--encoding NAME reads it otherwise."
            )
        self.form = CSVForm(encoding=name)
        with self._open() as file:
            first = file.readline()
            file.seek(0)
            chosen = _delimiter(file, DELIMITERS.get(self.kind, ","), delimiter)
            self.form = CSVForm(chosen, name, first[len(first.rstrip("\r\n")) :][:2] or "\n")
            file.seek(0)
            _check_quotes(file, path.name, chosen)
        header = next(self._records(), None)
        if header is None:
            raise empty_table(path)
        self.columns = header[0]
        self.header = header[1]
        """The first line as it stands there."""

    def rows(self) -> Iterator[CSVRow]:
        """Yield the rows; one with too many cells or invalid bytes carries an error."""
        records = self._records()
        next(records, None)
        for cells, written, line in records:
            if not cells and len(self.columns) > 1:
                continue
            yield self._record(cells, written, line)

    def _record(self, cells: list[str], written: str, line: int) -> CSVRow:
        columns = self.columns
        cells = cells or [""]  # a blank line, in a table of a single column
        # An empty cell of a CSV file says nothing: it is missing.
        row = CSVRow(zip(columns, (cell or None for cell in cells), strict=False))
        row.written = written
        row.missing = len(columns) - len(cells)
        if row.missing > 0:
            for name in columns[len(cells) :]:
                row[name] = None
        where = f"line {line} of {self.path.name}"
        if row.missing < 0:
            rest = ", ".join(map(repr, cells[len(columns) :]))[:200]
            row.error = UnreadableFile(
                f"Row not asked: {where} has {len(cells)} cells where the table has "
                f"{len(columns)} columns; left over: {rest}. Is a comma not quoted?"
            )
        elif self._has_bad_bytes and not written.isascii() and _is_broken(written):
            row.error = UnreadableFile(
                f"Row not asked: {where} holds bytes that are no text in {self.form.encoding}. "
                "Mend them, or name the file's encoding with --encoding."
            )
        return row

    def _records(self) -> Iterator[tuple[list[str], str, int]]:
        """Yield each row's cells, the text they were read from, and the number of its last line."""
        taken: list[str] = []

        def lines(file: IO[str]) -> Iterator[str]:
            for line in file:
                taken.append(line)
                yield line

        try:
            with self._open() as file:
                reader = csv.reader(lines(file), delimiter=self.form.delimiter)
                is_header = True
                for cells in reader:
                    written = taken[0] if len(taken) == 1 else "".join(taken)
                    taken.clear()
                    if cells or not is_header:  # blank lines may stand before the header
                        is_header = False
                        yield cells, written.rstrip("\r\n"), reader.line_num
        except csv.Error as error:
            raise UnreadableFile(f"{self.path} is not a CSV file: {error}.") from None

    def _open(self) -> IO[str]:
        errors = "strict" if self.form.encoding.startswith(_WIDE) else "surrogateescape"
        return self.path.open(encoding=self.form.encoding, errors=errors, newline="")


def _is_broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


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
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            try:
                decoder.decode(block)
            except UnicodeDecodeError:
                return block
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            file.seek(max(0, path.stat().st_size - _BLOCK))
            return file.read()
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
    lines = list(islice(dropwhile(str.isspace, file), 4 * _LOOKED_AT))

    def evenness(delimiter: str) -> float:
        try:
            rows = list(islice(csv.reader(lines, delimiter=delimiter), _LOOKED_AT))
        except csv.Error:
            return 0
        width = len(rows[0]) if rows else 0
        return sum(len(row) == width for row in rows) / len(rows) if width > 1 else 0

    scores = {sign: evenness(sign) for sign in (usual, ",", ";", "\t", "|")}
    if scores[usual]:
        return usual
    best = max(scores, key=lambda sign: scores[sign])
    return best if scores[best] >= 0.8 else usual


_UP_TO_CLOSING = re.compile(r'[^"]*+(?:""[^"]*+)*+"(?!")')
"""Matches the rest of a quoted cell up to its closing quote; two quotes stand for one."""


def _check_quotes(file: IO[str], name: str, delimiter: str) -> None:
    """Refuse a file with an unclosed quote: all rows after it would be read as a single cell.

    A cell of several lines ends with a quote that a delimiter or a line's end follows. Where
    anything else follows, that quote opened a cell of a later row.

    Raises:
        UnreadableFile: If there is one; the message names the line where it was opened.
    """
    opening = re.compile(f'(?:^|{re.escape(delimiter)})"')
    opened = 0
    for number, line in enumerate(file, start=1):
        if '"' not in line:
            continue
        at = 0
        while True:
            if not opened:
                start = opening.search(line, at)
                if start is None:
                    break
                opened, at = number, start.end()
            end = _UP_TO_CLOSING.match(line, at)
            if end is None:
                break
            at = end.end()
            if opened != number and line[at : at + 1] not in ("", "\r", "\n", delimiter):
                raise _unclosed(name, opened, f"line {number}, where the next quote is")
            opened = 0
    if opened:
        raise _unclosed(name, opened, "the end of the file")


def _unclosed(name: str, line: int, end: str) -> UnreadableFile:
    return UnreadableFile(
        f"A quote opened in line {line} of {name} is not closed: all rows from there to {end} "
        "would be one cell. Close it, or write a quote that belongs to the text twice within a "
        "quoted cell. Nothing was sent."
    )


class CSVSink(TableSink):
    """Writes rows of cells.

    Args:
        path: The file, which exists already.
        columns: Names, in order.
        form: How they are written.
        source: The table whose rows are written, where their text can be kept.
        guards_rows: Whether a row's own text may not become a formula in a spreadsheet.
        guards_added: Whether text that is added to a row may not.
    """

    def __init__(
        self,
        path: Path,
        columns: Sequence[str],
        form: CSVForm,
        source: CSVTable | None = None,
        *,
        guards_rows: bool,
        guards_added: bool,
    ) -> None:
        self._columns = list(columns)
        self._form = form
        self._row_cell = _guarded if guards_rows else _cell
        self._added_cell = _guarded if guards_added else _cell
        errors = "strict" if form.encoding.startswith(_WIDE) else "surrogateescape"
        self._file: io.TextIOWrapper = path.open(
            "w", encoding=form.encoding, errors=errors, newline=""
        )
        self._writer = csv.writer(_Echo(), delimiter=form.delimiter, lineterminator="\r\n")
        self._columns_as_read = 0
        """Number of the first columns whose text is written as it was read from the source."""

        if (
            source is not None
            and source.form.delimiter == form.delimiter
            and self._columns[: len(source.columns)] == list(source.columns)
        ):
            self._columns_as_read = len(source.columns)
            self._put(self._columns[self._columns_as_read :], behind=source.header)
        else:
            self._put([self._row_cell(name) for name in self._columns])

    def write(self, row: Row, added: Mapping[str, Any]) -> None:
        """Add a row, with cells that replace its own or stand behind them."""
        if (
            self._columns_as_read
            and isinstance(row, CSVRow)
            and row.missing >= 0
            and added.keys().isdisjoint(self._columns[: self._columns_as_read])
        ):
            cells = [
                self._added_cell(added.get(name)) for name in self._columns[self._columns_as_read :]
            ]
            self._put(cells, behind=row.written + self._form.delimiter * row.missing)
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
            text = f"{behind}{self._form.delimiter}{text}" if cells else behind
        self._file.write(_encodable(text, self._form.encoding) + self._form.line_end)

    def close(self) -> None:
        """Write what is left."""
        self._file.close()


class _Echo:
    def write(self, text: str) -> str:
        return text


def _encodable(text: str, encoding: str) -> str:
    """Return a text that can be encoded: lone surrogates that stand for no byte are replaced."""
    if text.isascii() or not _is_broken(text):
        return text
    if encoding.startswith(_WIDE):
        return text.encode("utf-8", "replace").decode()
    return "".join(
        "\ufffd" if "\ud800" <= sign <= "\udfff" and not "\udc80" <= sign <= "\udcff" else sign
        for sign in text
    )


def _cell(value: Any) -> str:
    return cell_text(value) or ""


def _guarded(value: Any) -> str:
    """Return a cell that no spreadsheet takes for a formula; numbers stay numbers."""
    text = _cell(value)
    return text if isinstance(value, (int, float, decimal.Decimal)) else str(inert_cell(text))
