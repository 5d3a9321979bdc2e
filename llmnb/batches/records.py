"""Records of batch runs on disk, written before anything is sent, so that nothing is sent twice.

::

    <cache_dir>/.batches/
        .lock                          held while a new run looks which requests are under way
        batch-20261121-101500-3f9a2c/  a run
            record.json                who is asked; written last, never changed, holds no key
            table.json                 of a table: what was asked, and of which rows
            rows.jsonl                 for each row its answer's key, and which part asks it
            part-0000.jsonl            the requests of a part, until their results are kept
            part-0000.json             how far the part is
            part-0000.errors.json      requests without an answer, and why
            part-0000.lock             held by the process that submits it
"""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import orjson

from llmnb import errors
from llmnb.adapters import files
from llmnb.engine.target import Call, Row
from llmnb.errors import BadReply, ConfigurationError, LLMNBError, StoreError
from llmnb.store import layout
from llmnb.store.project import Share
from llmnb.store.run_index import RunHeader, header_in
from llmnb.wire.batches import lines, name_of
from llmnb.wire.canonical import canonical

logger = logging.getLogger("llmnb")

FOLDER = ".batches"
RECORD, TABLE, ROWS, LOCK = "record.json", "table.json", "rows.jsonl", ".lock"

PartState = Literal["prepared", "submitting", "submitted", "kept", "refused"]
"""Not sent; perhaps sent; at the provider; its results are saved; no results will come."""

OPEN: frozenset[str] = frozenset(("prepared", "submitting", "submitted"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Who is asked by a run, and where its answers go."""

    run_id: str
    project: str
    share: Share
    provider: str
    """Catalog name, or ``sim``."""

    model: str
    url: str = field(repr=False)
    """The endpoint that the requests name; without the key, nor what is secret in the address."""

    gen_type: str
    dialect: str
    rows: int
    parts: int
    created: float
    """Seconds since the epoch."""


@dataclass(slots=True, eq=False)
class BatchRow:
    """One row of a run."""

    prepared: Row
    """As it was prepared; in a run that was attached to it has no call."""

    key: str | None
    """Key of its answer; None where it never became a request."""

    part: str | None = None
    """``run_id/part`` that asks it; None where the store has its answer."""

    is_length_chosen: bool = True
    """Whether the caller said how long the answer may be."""

    is_first: bool = True
    """Whether it is the first row of its key."""

    @property
    def call(self) -> Call | None:
        """What is asked; None where nothing is, or where the requests are not at hand."""
        return self.prepared.call


def _line(row: BatchRow, run_id: str) -> bytes:
    """Return what is written down of a row: key, part of this run or of another, and the rest."""
    own, _, number = (row.part or "").partition("/")
    part = (int(number), None) if own == run_id else (None, row.part)
    error = row.prepared.error
    words = None if error is None else (type(error).__name__, error.message)
    return orjson.dumps((row.key, *part, row.is_length_chosen, words)) + b"\n"


def error_of(kind: str, message: str) -> LLMNBError:
    """Return an error that was written down.

    Example:
        >>> error_of("InputError", "No.")
        InputError('No.')
    """
    known = getattr(errors, kind, None)
    is_ours = isinstance(known, type) and issubclass(known, LLMNBError)
    return known(message) if is_ours and known is not None else LLMNBError(message)


@dataclass(slots=True, kw_only=True)
class PartStanding:
    """How far a part is."""

    state: PartState = "prepared"
    requests: int = 0
    tag: str = ""
    """Our mark on the batch at the provider."""

    batch: str | None = None
    """The provider's name for the batch."""

    since: float = 0.0
    """When it was submitted, in seconds since the epoch."""

    strangers: list[str] = field(default_factory=list)
    """The provider's names of batches that were mistaken for it."""

    words: str = ""
    """Why it was refused."""

    kind: str = ""
    """Kind of error of a refused part."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A request that got no answer."""

    key: str
    kind: str
    message: str


@dataclass(slots=True)
class Part:
    """One batch of a run, on disk."""

    folder: Path
    number: int
    standing: PartStanding = field(default_factory=PartStanding)

    @property
    def name(self) -> str:
        """Run and part."""
        return f"{self.folder.name}/{self.number}"

    def path(self, suffix: str) -> Path:
        """Return the path of one of its files."""
        return self.folder / f"part-{self.number:04d}.{suffix}"

    def load(self) -> Part:
        """Read from disk how far it is; returns itself."""
        stored = _object(self.path("json"))
        names = {field.name for field in fields(PartStanding)} & stored.keys()
        self.standing = PartStanding(**{name: stored[name] for name in names})
        return self

    def save(self, **changes: Any) -> None:
        """Write down how far it is.

        Raises:
            StoreError: If it cannot be written; then nothing must be sent.
        """
        for name, value in changes.items():
            setattr(self.standing, name, value)
        write(self.path("json"), orjson.dumps(asdict(self.standing)))

    @property
    def is_open(self) -> bool:
        """Whether results may still come."""
        return self.standing.state in OPEN

    def content(self) -> bytes:
        """Return its requests as lines."""
        try:
            return self.path("jsonl").read_bytes()
        except OSError as error:
            raise StoreError(f"The requests of batch {self.name} cannot be read: {error}") from None

    def requests(self) -> dict[str, bytes]:
        """Return the canonical bodies of its requests by their custom ids.

        The file of rows names each of them, too: where a body cannot be read any more it is empty,
        and its answer is kept all the same.
        """
        bodies: dict[str, bytes] = {}
        with contextlib.suppress(StoreError):
            for number, row in enumerate(read_rows(self.folder)):
                if row.key is not None and row.part == self.name and row.is_first:
                    bodies[name_of(row.key, number)] = b""
        with contextlib.suppress(StoreError, BadReply):
            for line in lines(self.content()):
                body = line.get("body", line.get("params"))
                if isinstance(body, dict):
                    bodies[str(line["custom_id"])] = canonical(body)
        if not bodies:
            raise StoreError(f"The requests of batch {self.name} cannot be read any more.")
        return bodies

    def failures(self) -> list[Failed]:
        """Return the requests without an answer, none where the file of them is damaged."""
        try:
            return [Failed(*row) for row in orjson.loads(self.path("errors.json").read_bytes())]
        except (OSError, ValueError, TypeError):
            return []

    def close(self, state: PartState, failed: Sequence[Failed], **changes: Any) -> None:
        """Record that it has ended, and remove its requests' texts."""
        if failed:
            write(self.path("errors.json"), orjson.dumps([astuple(row) for row in failed]))
        self.save(state=state, **changes)
        self.path("jsonl").unlink(missing_ok=True)


def folder_of(cache_dir: Path, run_id: str) -> Path:
    """Return where a run is written down; a name is no path."""
    return cache_dir / FOLDER / Path(run_id).name


def root(cache_dir: Path) -> Path:
    """Return the folder of all records, made if it is missing."""
    folder = cache_dir / FOLDER
    try:
        layout.make_root(cache_dir)
        files.make_folder(folder)
    except OSError as error:
        raise StoreError(
            f"The cache folder {cache_dir} cannot be made: {error}. Nothing was submitted; "
            "choose another with llmnb.configure(cache_dir=…) or LLMNB_CACHE_DIR."
        ) from None
    return folder


def write(path: Path, data: bytes) -> None:
    """Write a small file whole or not at all."""
    try:
        files.write_private(path, data)
    except OSError as error:
        raise StoreError(
            f"The record of the batch run cannot be written: {error}. What is submitted already "
            "goes on at the provider; nothing more is submitted."
        ) from None


def write_run(
    folder: Path, record: Record, rows: Sequence[BatchRow], parts: Sequence[Sequence[bytes]]
) -> list[Part]:
    """Write a run down whole: its record is the last thing written.

    Args:
        folder: The run's own folder, not there yet.
        record: Who is asked.
        rows: Its rows.
        parts: The lines of each batch.

    Raises:
        StoreError: If it cannot be written; then nothing is left of it.
    """
    made = []
    try:
        files.make_folder(folder, must_be_new=True)
        for number, lines in enumerate(parts):
            made.append(part := Part(folder, number))
            with files.whole_file(part.path("jsonl"), is_private=True) as file:
                file.writelines(lines)
            part.save(requests=len(lines), tag=f"{record.run_id}-{part.number}")
        with files.whole_file(folder / ROWS, is_private=True) as file:
            file.writelines(_line(row, record.run_id) for row in rows)
        write(folder / RECORD, orjson.dumps({"llmnb": 1, **asdict(record)}))
    except (OSError, StoreError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, StoreError):
            raise
        raise StoreError(
            f"The requests of the batch cannot be written: {error}. Nothing was submitted."
        ) from None
    return made


def write_table(folder: Path, header: RunHeader, positions: Sequence[int]) -> None:
    """Write down of which table's rows a run asks, so that its columns can be made again.

    Args:
        folder: The run's own folder.
        header: What is known of the call.
        positions: The rows that are asked, in order.
    """
    asked = None if isinstance(positions, range) else list(positions)
    write(folder / TABLE, orjson.dumps({"header": asdict(header), "positions": asked}))


def read_table(folder: Path) -> tuple[RunHeader, Sequence[int]] | None:
    """Return what `write_table` wrote; None where the run was of no table."""
    try:
        stored = _object(folder / TABLE)
        header, positions = header_in(stored["header"]), stored["positions"]
    except (StoreError, KeyError, TypeError, AttributeError):
        return None
    if header is None or header.rows is None:
        return None
    return header, range(header.rows) if positions is None else positions


def read_record(folder: Path) -> Record:
    """Return the record of a run.

    Raises:
        ConfigurationError: If there is none.
    """
    try:
        stored = _object(folder / RECORD)
        return Record(**{field.name: stored[field.name] for field in fields(Record)})
    except (StoreError, KeyError, TypeError):
        raise ConfigurationError(
            f"There is no batch run {folder.name!r} in {folder.parent}; llmnb.runs() lists those "
            "there are. Another folder may hold it: llmnb.configure(cache_dir=…)."
        ) from None


def read_rows(folder: Path) -> list[BatchRow]:
    """Return the rows of a run.

    Raises:
        StoreError: If one of them cannot be read any more.
    """
    seen: set[str] = set()
    rows = []
    try:
        for line in (folder / ROWS).read_bytes().splitlines():
            key, number, elsewhere, is_length_chosen, error = orjson.loads(line)
            prepared = Row(call=None, error=error_of(*error) if error else None)
            part = elsewhere if number is None else f"{folder.name}/{number}"
            rows.append(BatchRow(prepared, key, part, is_length_chosen, key not in seen))
            seen.add(key)
    except (OSError, ValueError, TypeError) as error:
        raise _unreadable(folder / ROWS, error) from None
    if len(rows) != (known := read_record(folder).rows):
        raise _unreadable(folder / ROWS, f"it has {len(rows):,} of {known:,} rows")
    return rows


def parts_of(folder: Path, record: Record) -> list[Part]:
    """Return the parts of a run as they are on disk."""
    return [Part(folder, number).load() for number in range(record.parts)]


def part_named(folder: Path, name: str) -> Part:
    """Return a part by ``run_id/part``."""
    run_id, _, number = name.partition("/")
    return Part(folder / Path(run_id).name, int(number)).load()


def all_records(folder: Path) -> Iterator[tuple[Path, Record]]:
    """Yield every run that is written down whole, the oldest first."""
    for path in sorted(folder.glob(f"*/{RECORD}")):
        with contextlib.suppress(ConfigurationError):
            yield path.parent, read_record(path.parent)


def open_parts(folder: Path) -> Iterator[tuple[Record, Part, set[str]]]:
    """Yield every part that results may still come from, with the keys it asks."""
    for run_folder, record in all_records(folder):
        try:
            waiting = [part for part in parts_of(run_folder, record) if part.is_open]
            rows = read_rows(run_folder) if waiting else []
        except StoreError as error:
            if run_folder.exists():  # else another process has cleared it
                logger.warning("%s What it asks may be asked, and paid for, again.", error)
            continue
        for part in waiting:
            yield record, part, {row.key for row in rows if row.key and row.part == part.name}


def _object(path: Path) -> dict[str, Any]:
    try:
        stored = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise _unreadable(path, error) from None
    if not isinstance(stored, dict):
        raise _unreadable(path, "it was not written by llmnb")
    return stored


def _unreadable(path: Path, why: Exception | str) -> StoreError:
    return StoreError(f"{path.name} of batch run {path.parent.name} cannot be read: {why}.")
