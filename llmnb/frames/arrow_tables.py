"""Parquet and Arrow files, read and written group by group, their columns' types kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from llmnb.errors import MissingExtra, UnreadableFile

ARROW_FORMATS = (".parquet", ".arrow", ".feather")

_GROUP_ROWS = 5_000
_GROUP_BYTES = 8 << 20
_SMALLEST_GROUP = 16
_READ_BYTES = 1 << 20

Group = Any
"""A record batch of pyarrow."""


class ArrowTable:
    """A table in a Parquet or Arrow file; however large, one group of rows is in memory.

    Args:
        path: The file.

    Raises:
        UnreadableFile: If it is no such file, or has two columns of one name.
        MissingExtra: If pyarrow is not installed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_parquet = path.suffix.lower() == ".parquet"
        try:
            self.schema: Any = self._schema()
        except (ValueError, OSError) as error:
            kind = "a Parquet" if self._is_parquet else "an Arrow"
            raise UnreadableFile(
                f"{path} is not {kind} file: {str(error).splitlines()[0]}"
            ) from None
        self.columns: Sequence[str] = list(self.schema.names)
        if twice := [name for name in self.columns if self.columns.count(name) > 1]:
            raise UnreadableFile(f"{path} has two columns named {twice[0]!r}.")

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows from the first."""
        for group in self.groups():
            yield from group.to_pylist()

    def groups(self) -> Iterator[Group]:
        """Yield the rows in groups that are small enough to be held; at least one, maybe empty."""
        import pyarrow

        groups = self._parquet_groups() if self._is_parquet else self._arrow_groups()
        yield next(groups, None) or pyarrow.RecordBatch.from_pylist([], schema=self.schema)
        yield from groups

    def _schema(self) -> Any:
        if not self._is_parquet:
            with _ipc(self._path) as reader:
                return reader.schema
        with _parquet().ParquetFile(self._path) as file:
            return file.schema_arrow

    def _parquet_groups(self) -> Iterator[Group]:
        # Read in pieces: else a whole row group's columns are taken at once.
        with _parquet().ParquetFile(self._path, buffer_size=_READ_BYTES) as file:
            found = file.metadata
            size = (
                max(
                    (
                        found.row_group(place).total_byte_size
                        / max(found.row_group(place).num_rows, 1)
                    )
                    for place in range(found.num_row_groups)
                )
                if found.num_row_groups
                else 0
            )
            yield from file.iter_batches(batch_size=_group_rows(size))

    def _arrow_groups(self) -> Iterator[Group]:
        with _ipc(self._path) as reader:
            for batch in _batches(reader):
                step = _group_rows(batch.nbytes / max(batch.num_rows, 1))
                for first in range(0, batch.num_rows, step):
                    yield batch.slice(first, step)


def _group_rows(row_bytes: float) -> int:
    return int(min(max(_GROUP_BYTES / max(row_bytes, 1), _SMALLEST_GROUP), _GROUP_ROWS))


class ArrowSink:
    """Writes groups of rows; the first decides the types where no table is followed.

    Args:
        path: The file, which exists already.
        columns: Names, in order.
        kind: ``".parquet"``, or one of Arrow's own.
    """

    def __init__(self, path: Path, columns: Sequence[str], kind: str) -> None:
        _parquet()
        self._path, self._columns, self._kind = path, columns, kind
        self._rows: list[Mapping[str, Any]] = []
        self._held = 0
        self._writer: Any = None
        self._schema: Any = None

    def write(self, row: Mapping[str, Any]) -> None:
        """Add a row."""
        kept = {name: row.get(name) for name in self._columns}
        self._rows.append(kept)
        self._held += sum(len(cell) for cell in kept.values() if isinstance(cell, (str, bytes)))
        if len(self._rows) >= _GROUP_ROWS or self._held >= _GROUP_BYTES:
            self._flush()

    def write_group(self, group: Group, answers: Mapping[str, Sequence[str | None]]) -> None:
        """Add rows as they were read, with columns of text put in or put behind."""
        import pyarrow

        table = pyarrow.Table.from_batches([group])
        for name, texts in answers.items():
            column = _texts(texts)
            place = table.schema.get_field_index(name)
            if place < 0:
                table = table.append_column(name, column)
            else:
                table = table.set_column(place, name, column)
        self._put(table)

    def _flush(self) -> None:
        import pyarrow

        columns = {name: [row[name] for row in self._rows] for name in self._columns}
        table = pyarrow.table(columns, schema=self._schema)
        if self._schema is None:
            # A first group without one answer must not make the column typeless.
            fields = [
                field.with_type(pyarrow.string()) if pyarrow.types.is_null(field.type) else field
                for field in table.schema
            ]
            table = table.cast(pyarrow.schema(fields))
        self._put(table)
        self._rows, self._held = [], 0

    def _put(self, table: Any) -> None:
        if self._writer is None:
            self._schema = table.schema
            if self._kind == ".parquet":
                self._writer = _parquet().ParquetWriter(self._path, table.schema)
            else:
                import pyarrow.ipc

                self._writer = pyarrow.ipc.new_file(str(self._path), table.schema)
        self._writer.write_table(table)

    def close(self) -> None:
        """Write what is left, and the end of the file."""
        if self._rows or self._writer is None:
            self._flush()
        self._writer.close()


def _texts(texts: Sequence[str | None]) -> Any:
    import pyarrow

    try:
        return pyarrow.array(texts, pyarrow.string())
    except UnicodeEncodeError:  # half a character
        whole = [
            one and one.encode("utf-8", "surrogatepass").decode("utf-8", "replace") for one in texts
        ]
        return pyarrow.array(whole, pyarrow.string())


def _ipc(path: Path) -> Any:
    """Return a reader of an Arrow file, or of an Arrow stream."""
    _parquet()
    import pyarrow.ipc

    try:
        return pyarrow.ipc.open_file(pyarrow.memory_map(str(path)))
    except pyarrow.ArrowInvalid:
        return pyarrow.ipc.open_stream(pyarrow.memory_map(str(path)))


def _batches(reader: Any) -> Iterator[Group]:
    if not hasattr(reader, "num_record_batches"):
        yield from reader
        return
    for place in range(reader.num_record_batches):
        yield reader.get_batch(place)


def _parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra(
            'Parquet and Arrow files need the extra "parquet": pip install "llmnb[parquet]".'
        ) from None
    return pyarrow.parquet
