"""Excel files, read and written row by row: the first sheet, its first row the columns' names."""

from __future__ import annotations

import datetime
import itertools
import math
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from llmnb.display.escape import is_formula
from llmnb.display.texts import mended
from llmnb.errors import ConfigurationError, MissingExtra, UnreadableFile
from llmnb.frames.table_files import FileRow, Row, TableFile, TableSink, empty_table
from llmnb.frames.template import cell_text, is_missing

EXCEL_FORMATS = (".xlsx",)

LONGEST_TEXT = 32_767
"""Characters that a cell takes; an emoji counts as two, an escaped character as seven."""

MOST_ROWS = 1_048_576
"""Rows that a sheet has, the columns' names among them."""

MOST_COLUMNS = 16_384

_DIGITS = 15
"""Digits that a number of Excel's has."""

_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\ufffe\uffff]|\r|_(?=x[0-9A-Fa-f]{4}_)")
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


class ExcelTable(TableFile):
    """The first sheet of an Excel file; formulas are what they came to when it was saved.

    Args:
        path: The file.

    Raises:
        UnreadableFile: If it is none, or empty.
        MissingExtra: If openpyxl is not installed.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        names = [cell_text(cell) or "" for cell in next(self._rows(), ())]
        while names and not names[-1]:
            names.pop()
        if not names:
            raise empty_table(path)
        if names.count("") > 1:  # several blank names would be the same name
            names = [name or f"Unnamed: {number}" for number, name in enumerate(names)]
        self.columns = names

    def rows(self) -> Iterator[Row]:
        """Yield the rows from the first; one with cells that no column names says so."""
        rows = self._rows()
        next(rows, None)
        width = len(self.columns)
        for number, cells in enumerate(rows, start=2):
            whole = [*cells[:width], *[None] * (width - len(cells))]
            row = dict(zip(self.columns, map(_read, whole), strict=True))
            rest = ", ".join(repr(cell) for cell in cells[width:] if cell is not None)[:200]
            if rest:
                error = UnreadableFile(
                    f"Row not asked: row {number} of {self.path.name} has cells behind the last "
                    f"column that has a name; left over: {rest}. Name their columns in the first "
                    "row, or empty them."
                )
                row = FileRow(row, error)
            yield row

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        openpyxl = _openpyxl()
        try:
            book = openpyxl.load_workbook(self.path, read_only=True, data_only=True)
        except Exception as error:  # openpyxl raises errors of many kinds for a broken archive
            raise UnreadableFile(
                f"{self.path} is not an Excel file: {type(error).__name__} {str(error)[:200]}"
            ) from None
        try:
            sheet = book.worksheets[0]
            sheet.reset_dimensions()  # some programs write them wrong
            yield from sheet.iter_rows(values_only=True)
        finally:
            book.close()


def refuse_unfit(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], name: str) -> None:
    """Refuse a table that a sheet of Excel's cannot hold whole.

    Args:
        rows: The rows that are to be written.
        columns: Names, the answers' among them.
        name: What the file is to be called.

    Raises:
        ConfigurationError: If it has too many rows or columns, or a cell is too long.
    """
    if len(columns) > MOST_COLUMNS:
        raise _unfit(name, f"{len(columns):,} columns, and a sheet has {MOST_COLUMNS:,}")
    names = {column: column for column in columns}
    for number, row in enumerate(itertools.chain([names], rows)):
        if number >= MOST_ROWS:
            raise _unfit(name, f"more than {MOST_ROWS - 1:,} rows, which a sheet has")
        for column, cell in row.items():
            plain = _plain(cell)
            if isinstance(plain, str) and not _fits(_escaped(plain)):
                where = f"row {number:,}" if number else "the first row"
                where += f" has {len(plain):,} characters in column {column[:80]!r}"
                raise _unfit(name, f"{where}, and a cell takes {LONGEST_TEXT:,}")


def _unfit(name: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{name} cannot hold this table: {why}. CSV, JSONL and Parquet hold it: name such a file "
        "with --out. Nothing was sent."
    )


class ExcelSink(TableSink):
    """Writes rows to the first sheet of a new Excel file; every text is a text, never a formula.

    Args:
        draft: The file, which exists already.
        columns: Names, in order.
    """

    def __init__(self, draft: Path, columns: Sequence[str]) -> None:
        super().__init__(draft, columns)
        self._book = _openpyxl().Workbook(write_only=True)
        self._sheet = self._book.create_sheet("Sheet1")
        self._sheet.append([self._cell(name) for name in self._columns])

    def write(self, row: Row, added: Mapping[str, Any] = {}) -> None:
        """Add a row, with cells that replace its own or stand behind them."""
        filled = {**row, **added}
        self._sheet.append([self._cell(filled.get(name)) for name in self._columns])

    def _cell(self, value: Any) -> Any:
        plain = _plain(value)
        if not isinstance(plain, str):
            return plain
        from openpyxl.cell import WriteOnlyCell

        text = _escaped(plain)
        if not _fits(text):
            self.cut += 1
            sizes = range(len(plain))
            end = bisect_right(sizes, False, key=lambda size: not _fits(_escaped(plain[:size])))
            text = _escaped(plain[: end - 1])
        cell = WriteOnlyCell(self._sheet, value="")
        cell.value = text
        cell.data_type = "s"  # never a formula, however it begins
        # Excel's mark for a text that stays one when it is edited; it is no part of the text.
        cell.quotePrefix = is_formula(plain)
        return cell

    def close(self) -> None:
        """Write the file."""
        self._book.save(self._draft)


def _escaped(text: str) -> str:
    """Return a text as Excel's files hold it, with characters that XML cannot hold by number."""
    return _UNSAFE.sub(lambda sign: f"_x{ord(sign[0]):04X}_", text)


def _fits(text: str) -> bool:
    """Whether an escaped text is short enough, counted in halves of 32 bits as Excel does."""
    if 2 * len(text) <= LONGEST_TEXT or text.isascii():
        return len(text) <= LONGEST_TEXT
    return len(text.encode("utf-16-le")) <= 2 * LONGEST_TEXT


def _read(cell: Any) -> Any:
    is_text = isinstance(cell, str)
    return _ESCAPED.sub(lambda escape: chr(int(escape[1], 16)), cell) if is_text else cell


def _plain(value: Any) -> Any:
    """Return a value as a cell can hold it: as text if no number or time of Excel's is exact."""
    if isinstance(value, str):
        return mended(value)
    if is_missing(value):
        return None
    is_exact = False
    if isinstance(value, int):  # bools among them
        is_exact = abs(value) < 10**_DIGITS
    elif isinstance(value, float):  # written with 16 digits
        is_exact = math.isfinite(value) and float(f"{value:.16g}") == value
    elif isinstance(value, datetime.datetime) and not hasattr(value, "nanosecond"):
        is_exact = value.tzinfo is None and value.microsecond % 1000 == 0 and value.year >= 1900
    return value if is_exact else cell_text(value)


def _openpyxl() -> Any:
    try:
        import openpyxl
    except ImportError:
        raise MissingExtra(
            'Excel files need the extra "excel": pip install "llmnb[excel]".'
        ) from None
    return openpyxl
