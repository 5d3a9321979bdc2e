"""Read and write Parquet and Arrow files group by group, keeping the columns' types."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from llmnb.display.texts import mended
from llmnb.errors import MissingExtra, UnreadableFile
from llmnb.frames.csv_tables import CSVTable
from llmnb.frames.table_files import FileRow, Row, TableFile, TableSink
from llmnb.frames.template import cell_text
from llmnb.wire.json_text import json_text

ARROW_FORMATS = (".parquet", ".arrow", ".feather")

_GROUP_ROWS = 5_000
_GROUP_BYTES = 8 << 20
_SMALLEST_GROUP = 16
_READ_BYTES = 1 << 20

Group = Any
"""A record batch of pyarrow."""


class ArrowTable(TableFile):
    """A table in a Parquet or Arrow file; only one group of its rows is in memory at a time.

    Args:
        path: The file.

    Raises:
        UnreadableFile: If it is neither a Parquet nor an Arrow file.
        MissingExtra: If pyarrow is not installed.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._is_parquet = path.suffix.lower() == ".parquet"
        try:
            self.schema: Any = self._schema()
        except (ValueError, OSError) as error:
            kind = "a Parquet" if self._is_parquet else "an Arrow"
            raise UnreadableFile(
                f"{path} is not {kind} file: {str(error).splitlines()[0]}"
            ) from None
        self.columns = list(self.schema.names)

    def rows(self) -> Iterator[Row]:
        """Yield the rows; a row with a text that is not UTF-8 is a `FileRow` with an error."""
        for group in self.groups():
            columns = map(cells_of, group.columns)
            for cells in zip(*columns, strict=True):
                row = dict(zip(self.columns, cells, strict=True))
                bad = {name: cell for name, cell in row.items() if type(cell) is BadText}
                if bad:
                    texts = {name: cell.text for name, cell in bad.items()}
                    row = FileRow({**row, **texts}, next(iter(bad.values())).error)
                yield row

    def groups(self) -> Iterator[Group]:
        """Yield the rows in groups that fit into memory; at least one group, which may be empty."""
        import pyarrow

        groups = self._parquet_groups() if self._is_parquet else self._arrow_groups()
        yield next(groups, None) or pyarrow.RecordBatch.from_pylist([], schema=self.schema)
        yield from groups

    def _schema(self) -> Any:
        if not self._is_parquet:
            with _ipc(self.path) as reader:
                return reader.schema
        with _parquet().ParquetFile(self.path) as file:
            return file.schema_arrow

    def _parquet_groups(self) -> Iterator[Group]:
        # A buffer, because without one pyarrow reads a whole row group's columns at once.
        with _parquet().ParquetFile(self.path, buffer_size=_READ_BYTES) as file:
            groups = [file.metadata.row_group(at) for at in range(file.metadata.num_row_groups)]
            sizes = [group.total_byte_size / max(group.num_rows, 1) for group in groups]
            yield from file.iter_batches(batch_size=_group_rows(max(sizes, default=0)))

    def _arrow_groups(self) -> Iterator[Group]:
        with _ipc(self.path) as reader:
            # A file has its batches by number; a stream yields them one after the other.
            if hasattr(reader, "num_record_batches"):
                batches = map(reader.get_batch, range(reader.num_record_batches))
            else:
                batches = iter(reader)
            for batch in batches:
                step = _group_rows(batch.nbytes / max(batch.num_rows, 1))
                for first in range(0, batch.num_rows, step):
                    yield batch.slice(first, step)


class BadText:
    """A cell of text whose bytes are not UTF-8."""

    __slots__ = ("error", "text")

    def __init__(self, raw: bytes) -> None:
        self.text = raw.decode("utf-8", "replace")
        self.error = UnreadableFile(
            f"Row not asked: a cell's bytes are no UTF-8 text ({self.text[:60]!r}). Mend them "
            "where the file was made.",
            raw=raw[:1000],
        )


def cells_of(column: Any) -> list[Any]:
    """Return a column's cells; a text that is not UTF-8 becomes a `BadText`."""
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        return [_cell(scalar) for scalar in column]


def _cell(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except UnicodeDecodeError as error:
        return BadText(bytes(error.object))


def takes(kind: str, column_type: Any) -> bool:
    """Return whether a file format can hold an Arrow type; Parquet, for one, has no empty struct.

    Args:
        kind: Suffix of the format, one of `ARROW_FORMATS`.
        column_type: The type, as a `pyarrow.DataType`.
    """
    import pyarrow

    if kind != ".parquet":
        return True
    try:
        table = pyarrow.table({"column": pyarrow.nulls(1, column_type)})
        _parquet().write_table(table, pyarrow.BufferOutputStream())
    except pyarrow.ArrowException:
        return False
    return True


def schema_of(table: TableFile | None, columns: Sequence[str], kind: str) -> Any:
    """Return the schema in which a table's rows can be written without loss.

    A column becomes text if no single type gives all its values back unchanged, or if the format
    does not have its type.

    Args:
        table: The table; if its format has no types, all its rows are read to find them. None:
            columns of texts.
        columns: Names of the columns to write, those of the answers included.
        kind: Suffix of the format, one of `ARROW_FORMATS`.
    """
    _parquet()
    import pyarrow

    if isinstance(table, ArrowTable):
        types = dict(zip(table.schema.names, table.schema.types, strict=True))
    elif table is None or isinstance(table, CSVTable):
        types = {}  # all its cells are texts
    else:
        types = _types(table, table.all_columns)
    types = {name: own for name, own in types.items() if own is not None and takes(kind, own)}
    return pyarrow.schema([(name, types.get(name) or pyarrow.string()) for name in columns])


def _types(table: TableFile, names: Sequence[str]) -> dict[str, Any]:
    """Return the type of each column that has a single one; None where no type will do."""
    types: dict[str, set[Any]] = {name: set() for name in names}
    rows = table.rows()
    while group := list(itertools.islice(rows, _GROUP_ROWS)):
        for name, known in types.items():
            cells = [row.get(name) for row in group]
            if len(known) < 2 and any(cell is not None for cell in cells):
                known.add(_type_of(cells))
    return {name: known.pop() for name, known in types.items() if len(known) == 1}


def _type_of(cells: Sequence[Any]) -> Any:
    """Return the type that gives the cells back unchanged; None if there is none."""
    import pyarrow

    try:
        array = pyarrow.array(cells)
        read_back = array.to_pylist()
    except (pyarrow.ArrowException, ValueError, TypeError, OverflowError):
        return None
    if pyarrow.types.is_null(array.type) or json_text(read_back) != json_text(cells):
        return None
    return array.type


def _group_rows(row_bytes: float) -> int:
    return int(min(max(_GROUP_BYTES / max(row_bytes, 1), _SMALLEST_GROUP), _GROUP_ROWS))


class ArrowSink(TableSink):
    """Writes rows to a Parquet or Arrow file, in groups.

    Args:
        draft: The file, which exists already.
        columns: Names of the columns, in order.
        kind: Suffix of the format, one of `ARROW_FORMATS`.
        schema: Schema of the rows that are written one by one.
    """

    def __init__(self, draft: Path, columns: Sequence[str], kind: str, schema: Any) -> None:
        super().__init__(draft, columns)
        self._kind = kind
        self._rows: list[Row] = []
        self._waiting_bytes = 0
        self._writer: Any = None
        self._schema: Any = schema

    def write(self, row: Row, added: Mapping[str, Any] = {}) -> None:
        """Add a row; the cells in `added` replace its own of the same name or follow them."""
        filled = {**row, **added}
        kept = {name: filled.get(name) for name in self._columns}
        self._rows.append(kept)
        self._waiting_bytes += sum(
            len(cell) for cell in kept.values() if isinstance(cell, (str, bytes))
        )
        if len(self._rows) >= _GROUP_ROWS or self._waiting_bytes >= _GROUP_BYTES:
            self._flush()

    def write_group(self, group: Group, answers: Mapping[str, Sequence[str | None]]) -> None:
        """Write rows as they were read; each column of answers replaces one or is appended."""
        import pyarrow

        table = pyarrow.Table.from_batches([group])
        for name, texts in answers.items():
            column = _string_array(texts)
            index = table.schema.get_field_index(name)
            if index < 0:
                table = table.append_column(name, column)
            else:
                table = table.set_column(index, name, column)
        self._put(table)

    def _flush(self) -> None:
        import pyarrow

        columns = {
            field.name: _string_array([cell_text(row[field.name]) for row in self._rows])
            if pyarrow.types.is_string(field.type)
            else [row[field.name] for row in self._rows]
            for field in self._schema
        }
        self._put(pyarrow.table(columns, schema=self._schema))
        self._rows, self._waiting_bytes = [], 0

    def _put(self, table: Any) -> None:
        if self._writer is None:
            if self._kind == ".parquet":
                self._writer = _parquet().ParquetWriter(self._draft, table.schema)
            else:
                import pyarrow.ipc

                self._writer = pyarrow.ipc.new_file(str(self._draft), table.schema)
        self._writer.write_table(table)

    def close(self) -> None:
        """Write the rows that still wait, and finish the file."""
        if self._rows or self._writer is None:
            self._flush()
        self._writer.close()


def _string_array(texts: Sequence[str | None]) -> Any:
    """Return the texts as an Arrow string array; lone surrogates become U+FFFD."""
    import pyarrow

    try:
        return pyarrow.array(texts, pyarrow.string())
    except UnicodeEncodeError:  # a lone surrogate, which UTF-8 cannot hold
        encodable = [None if text is None else mended(text) for text in texts]
        return pyarrow.array(encodable, pyarrow.string())


def _ipc(path: Path) -> Any:
    """Return a reader of an Arrow file, or of an Arrow stream."""
    _parquet()
    import pyarrow.ipc

    try:
        return pyarrow.ipc.open_file(pyarrow.memory_map(str(path)))
    except pyarrow.ArrowInvalid:
        return pyarrow.ipc.open_stream(pyarrow.memory_map(str(path)))


def _parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra(
            'Parquet and Arrow files need the extra "parquet": pip install "llmnb[parquet]".'
        ) from None
    return pyarrow.parquet
