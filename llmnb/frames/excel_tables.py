"""Excel files, read and written row by row: the first sheet, its first row the columns' names."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from llmnb.display.texts import mended
from llmnb.errors import MissingExtra, UnreadableFile
from llmnb.frames.template import cell_text, is_missing

EXCEL_FORMATS = (".xlsx",)

LONGEST_TEXT = 32_767
"""Characters that a cell of Excel's takes."""

_DIGITS = 15
"""Digits that a number of Excel's has."""

_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\ufffe\uffff]|\r|_(?=x[0-9A-Fa-f]{4}_)")
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


class ExcelTable:
    """The first sheet of an Excel file; formulas are what they came to when it was saved.

    Args:
        path: The file.

    Raises:
        UnreadableFile: If it is none, or empty.
        MissingExtra: If openpyxl is not installed.
    """

    note: str | None = None

    def __init__(self, path: Path) -> None:
        self._path = path
        header = next(self._rows(), None)
        names = ["" if one is None else (cell_text(one) or "") for one in header or ()]
        while names and not names[-1]:
            names.pop()
        if not names:
            raise UnreadableFile(f"{path} is empty: a table begins with the names of its columns.")
        self.columns: Sequence[str] = names

    @property
    def all_columns(self) -> Sequence[str]:
        """The columns of all rows."""
        return self.columns

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows from the first."""
        rows = self._rows()
        next(rows, None)
        width = len(self.columns)
        for cells in rows:
            whole = [*cells[:width], *[None] * (width - len(cells))]
            yield dict(zip(self.columns, map(_read, whole), strict=True))

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        openpyxl = _openpyxl()
        try:
            book = openpyxl.load_workbook(self._path, read_only=True, data_only=True)
        except Exception as error:  # whatever a broken archive makes of a reader of archives
            raise UnreadableFile(
                f"{self._path} is not an Excel file: {type(error).__name__} {str(error)[:200]}"
            ) from None
        try:
            sheet = book.worksheets[0]
            sheet.reset_dimensions()  # some programs write them wrong
            yield from sheet.iter_rows(values_only=True)
        finally:
            book.close()


class ExcelSink:
    """Writes rows to the first sheet of a new Excel file.

    Args:
        path: The file, which exists already.
        columns: Names, in order.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._openpyxl = _openpyxl()
        self._path, self._columns = path, list(columns)
        self._book = self._openpyxl.Workbook(write_only=True)
        self._sheet = self._book.create_sheet("Sheet1")
        self._sheet.append([self._cell(name) for name in self._columns])

    def write(self, row: Mapping[str, Any], added: Mapping[str, Any]) -> None:
        """Add a row, with cells that replace its own or stand behind them."""
        filled = {**row, **added}
        self._sheet.append([self._cell(filled.get(name)) for name in self._columns])

    def _cell(self, value: Any) -> Any:
        plain = _plain(value)
        if not isinstance(plain, str):
            return plain
        from openpyxl.cell import WriteOnlyCell

        cell = WriteOnlyCell(self._sheet, value="")
        text = _UNSAFE.sub(lambda found: f"_x{ord(found[0]):04X}_", plain)
        cell.value = text[:LONGEST_TEXT]
        cell.data_type = "s"  # never a formula, however it begins
        return cell

    def close(self) -> None:
        """Write the file."""
        self._book.save(self._path)


def _read(cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), cell)


def _plain(value: Any) -> Any:
    """Return what a cell of Excel's can hold: text where its numbers and times cannot."""
    if isinstance(value, str):
        return mended(value)
    if value is None or is_missing(value):
        return None
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        exact = abs(value) < 10**_DIGITS if isinstance(value, int) else _is_short(value)
        return value if exact else cell_text(value)
    if isinstance(value, datetime.datetime):
        whole = value.tzinfo is None and value.microsecond % 1000 == 0 and value.year >= 1900
        return value if whole and not hasattr(value, "nanosecond") else cell_text(value)
    return cell_text(value)


def _is_short(value: float) -> bool:
    """Whether a number survives being written to a file of Excel's, which has 16 digits."""
    return math.isfinite(value) and float(f"{value:.16g}") == value


def _openpyxl() -> Any:
    try:
        import openpyxl
    except ImportError:
        raise MissingExtra(
            'Excel files need the extra "excel": pip install "llmnb[excel]".'
        ) from None
    return openpyxl
