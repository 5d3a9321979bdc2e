"""What became of every row of a run, kept beside the project's answers: its form, and its reading.

::

    <cache_dir>/maths-1a2b3c4d5e6f/runs/
        run-20261129-214500-3f9a2c.idx     one file a run, only ever appended to

A file is a row of records of `RECORD_BYTES` each: one for every row of the run, in the order in
which they ended; of several for one row the last counts. Between them stand notes, JSON that takes
as many further records as it needs: the header first, then models and causes of failures, each
once, and at the end what the run's status was. Where a row's record has its state, a note's has a
byte that JSON, being UTF-8, never holds, so that nothing is taken for something else.

Answers are not in it: they stand in the store under the keys.
"""

from __future__ import annotations

import dataclasses
import difflib
import io
import os
import secrets
import struct
import sys
import time
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import compress
from operator import lt, ne
from pathlib import Path
from typing import IO, Any, NamedTuple

import orjson

from llmnb.adapters import files
from llmnb.adapters.file_lock import try_lock_byte
from llmnb.errors import ConfigurationError, StoreError
from llmnb.records import Source
from llmnb.store import layout
from llmnb.store.entry import KEY_LENGTH, Entry
from llmnb.store.layout import ProjectPaths
from llmnb.store.project import ProjectStore
from llmnb.store.writer import writer

STATES = ("", "answered", "kept", "reused", "merged", "failed", "refused", "not asked")
"""What became of a row, by its number: a request was sent for it; the own or another project had
its answer; it shares an identical row's; it failed or was refused; the run ended before it."""

ANSWERED, KEPT, REUSED, MERGED, FAILED, REFUSED, NOT_ASKED = range(1, len(STATES))

SOURCES: tuple[Source, ...] = ("sent", "cached", "reused", "merged")
"""Where an answer came from, by the lowest bits of a record's flags."""

SIMULATED, HEDGED = 4, 8
"""Further bits of a record's flags."""

RECORD = struct.Struct("<IHH20sBBBBf")
"""Row, sample, number of its cause, key, state, flags, attempts, number of its model, seconds to
the first token."""

RECORD_BYTES = RECORD.size
_SAMPLE, _CAUSE, _KEY, _STATE, _FLAGS, _ATTEMPTS, _MODEL, _FIRST_TOKEN = 4, 6, 8, 28, 29, 30, 31, 32
NO_KEY = bytes(KEY_LENGTH // 2)

_NOTE, _TAIL = 0xFF, 0xFE
"""In the place of the state: a note begins; the note before, an end, takes so many records."""

HEADER, MODEL, CAUSE, END = range(1, 5)
"""Kinds of notes."""

ALIVE = 1 << 61
"""Byte, beyond the file's end, that the writing process locks while the run goes on."""

_SAVING_SECONDS = 10.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunHeader:
    """What is known of a run before its first row; all of it can be written as JSON."""

    verb: str
    """What was called, such as ``"generate"``."""

    run_id: str = ""
    project: str = ""
    model: str = ""
    """The models in words, such as ``"openai/gpt-5-mini, then 2 more"``; empty where requests name
    their own."""

    begun: float = 0.0
    """Seconds since the epoch."""

    prompt: str = ""
    """The template of the prompt."""

    column: str = ""
    """Name of the column of answers."""

    rows: int | None = None
    """Rows of the table, or requests of the list; None where their number was not known."""

    group: int = 1
    """Requests for every row: samples, times variants."""

    form: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """How columns are made of the answers; whoever starts the run knows what is in it."""

    traits: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """What may tell it from other runs, by name."""

    empty: int = 0
    """Rows of the table that ask nothing."""


class Cause(NamedTuple):
    """Why rows failed."""

    kind: str
    """Name of the error's class."""

    message: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """One run as a list shows it."""

    path: Path
    header: RunHeader
    records: int
    """Rows with an outcome, nearly: those that were mended count twice while a run goes on."""

    end: Mapping[str, Any] | None
    """Its status when it ended; None where it goes on, or its process died."""

    written: float
    """When it was written to last, in seconds since the epoch."""

    is_running: bool


def new_run_id() -> str:
    """Return a name for a run; names sort by the time of their making."""
    return f"run-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"


def note(kind: int, value: Any) -> bytes:
    """Return a note as whole records.

    Args:
        kind: What it is.
        value: What it says, in values of JSON; dataclasses are written field by field.
    """
    text = orjson.dumps(value)
    count = -(-len(text) // RECORD_BYTES)
    head = RECORD.pack(len(text), kind, 0, NO_KEY, _NOTE, 0, 0, 0, 0.0)
    tail = b""
    if kind == END:
        tail = RECORD.pack(count + 2, kind, 0, NO_KEY, _TAIL, 0, 0, 0, 0.0)
    return head + text.ljust(count * RECORD_BYTES) + tail


# ------------------------------------------------------------------------------ reading


class RunIndex:
    """What became of the rows of one run, in the order of the rows.

    Columns are arrays that `numpy.frombuffer` takes as they are. Of a million rows they are there
    in about half a second; texts are read a page at a time, by `entries`.

    Args:
        summary: The run.
        data: The file.

    Example:
        >>> from llmnb.store import run_index
        >>> run_index.read("run-20261129-214500-3f9a2c", Path("no such folder"))
        Traceback (most recent call last):
        llmnb.errors.ConfigurationError: There is no run 'run-20261129-214500-3f9a2c' in ...
    """

    def __init__(self, summary: RunSummary, data: bytes) -> None:
        self.summary = summary
        self.header = summary.header
        self.end = summary.end
        """The run's status when it ended, as it was written; None where it has not ended."""

        self.project = ProjectPaths(summary.path.parents[2], summary.header.project)
        self._made = _made(self.project)
        self.models: list[tuple[str | None, str | None]] = [(None, None)]
        """Provider and model, by the numbers in `model_numbers`."""

        self.causes: list[Cause] = [Cause("", "")]
        """Why rows failed, by the numbers in `cause_numbers`."""

        self._size = len(data)
        self._store = ProjectStore(self.project, share=False)
        self._data = _in_order(self._without_notes(data), self.header.group)
        self.rows = _column(self._data, 0, "I")
        """The position of each record's row in the table."""

        self.samples = _column(self._data, _SAMPLE, "H")
        """Which of a row's requests each is, from 0."""

        self.states = self._data[_STATE::RECORD_BYTES]
        """What became of each, as positions in `STATES`."""

        self.cause_numbers = _column(self._data, _CAUSE, "H")
        self.model_numbers = self._data[_MODEL::RECORD_BYTES]
        self.flags = self._data[_FLAGS::RECORD_BYTES]
        self.attempts = self._data[_ATTEMPTS::RECORD_BYTES]

    def _without_notes(self, data: bytes) -> bytes:
        """Return the records of rows alone, having read the notes between them."""
        count = len(data) // RECORD_BYTES  # a torn record is none
        states = data[_STATE : count * RECORD_BYTES : RECORD_BYTES]
        spans, start, file = [], 0, io.BytesIO(data)
        while (at := states.find(_NOTE, start)) >= 0:
            spans.append((start, at))
            kind, text, size = _read_note(file, at)
            start = at + size
            if start > count:
                start = count  # torn
                break
            if kind == MODEL:
                provider, model = orjson.loads(text)
                self.models.append((provider, model))
            elif kind == CAUSE:
                self.causes.append(Cause(*orjson.loads(text)))
        spans.append((start, count))
        rows = b"".join([data[a * RECORD_BYTES : b * RECORD_BYTES] for a, b in spans])
        kinds = rows[_STATE::RECORD_BYTES]
        if set(kinds) <= _ROW_STATES:
            return rows
        good = [number for number, state in enumerate(kinds) if state in _ROW_STATES]
        return b"".join([rows[n * RECORD_BYTES : (n + 1) * RECORD_BYTES] for n in good])

    @property
    def is_running(self) -> bool:
        """Whether the run goes on, in whichever process."""
        return self.end is None and _is_alive(self.summary.path)

    @property
    def is_cleared(self) -> bool:
        """Whether its project was cleared, and perhaps filled anew, since it was read.

        An index that made room for a later one is gone as well, but its project is the same.
        """
        return not self.summary.path.exists() and _made(self.project) != self._made

    def newest(self) -> RunIndex:
        """Return the index as it is written by now; itself where nothing came, or it is gone."""
        writer().flush(_SAVING_SECONDS)
        with suppress(OSError, ConfigurationError, StoreError):
            if self.summary.path.stat().st_size != self._size:
                return read(self.header.run_id, self.project.root)
        return self

    def __len__(self) -> int:
        return len(self.states)

    def key(self, number: int) -> str | None:
        """Return the key of a record's answer; None where it never became a request."""
        first = number * RECORD_BYTES + _KEY
        key = self._data[first : first + len(NO_KEY)]
        return None if key == NO_KEY else key.hex()

    def cause(self, number: int) -> Cause | None:
        """Return why a record's row has no answer; None where it has one."""
        cause = self.cause_numbers[number]
        return self.causes[cause] if 0 < cause < len(self.causes) else None

    def model(self, number: int) -> tuple[str | None, str | None]:
        """Return the provider and the model that a record's row was answered by."""
        model = self.model_numbers[number]
        return self.models[model] if model < len(self.models) else (None, None)

    def first_token_seconds(self, number: int) -> float | None:
        """Return the seconds to a record's first token; None where they are not known."""
        seconds: float
        (seconds,) = _FLOAT.unpack_from(self._data, number * RECORD_BYTES + _FIRST_TOKEN)
        return seconds or None

    def entries(self, numbers: Sequence[int]) -> list[Entry | None]:
        """Return what the store holds for some records, in one query a few hundred.

        `llmnb.store.search` makes texts of an entry: its prompt and its answer. Blocks; asks for
        a page, or in chunks. None where there is no answer, or it was deleted. Once the project
        was cleared there is none: what stands under these keys since was never the run's.

        Args:
            numbers: Numbers of records, from 0; not rows.
        """
        if self.is_cleared:
            return [None] * len(numbers)
        keys = [self.key(number) for number in numbers]
        stored = self._store.peek([key for key in keys if key is not None])
        return [None if key is None else stored.get(key) for key in keys]


def _made(project: ProjectPaths) -> object:
    """Return when a project was made, by which it is told from one that was filled anew."""
    mark = layout.read_mark(project.folder)
    return None if mark is None else mark.get("created", 0)


_ROW_STATES = frozenset(range(1, len(STATES)))
_FLOAT = struct.Struct("<f")


def read(run_id: str, cache_dir: Path) -> RunIndex:
    """Return the index of a run; one that goes on as far as it is written.

    Args:
        run_id: Its name.
        cache_dir: Folder of all projects.

    Raises:
        ConfigurationError: If there is none.
        StoreError: If it cannot be read.
    """
    writer().flush(_SAVING_SECONDS)
    path = find(run_id, cache_dir)
    if path is None:
        near = difflib.get_close_matches(run_id, [path.stem for path in paths(cache_dir)], n=3)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ConfigurationError(
            f"There is no run {run_id!r} in {cache_dir}.{hint} llmnb.runs() lists those there are. "
            "Clearing a project removes its runs; another folder may hold it: "
            "llmnb.configure(cache_dir=…)."
        )
    summary = summarize(path)
    if summary is None:
        raise StoreError(f"{path} cannot be read: llmnb has not written it, or not all of it.")
    try:
        with files.open_to_read(path, through_links=False) as file:
            return RunIndex(summary, file.read())
    except (OSError, ValueError, TypeError) as error:  # it is damaged
        raise StoreError(f"{path} cannot be read: {error}") from None


def find(run_id: str, cache_dir: Path) -> Path | None:
    """Return the file of a run's index; None where there is none."""
    name = f"{Path(run_id).name}{layout.RUN_SUFFIX}"  # a name is no path
    for project in layout.stored_projects(cache_dir):
        if (project.runs / name).is_file():
            return project.runs / name
    return None


def paths(cache_dir: Path) -> Iterator[Path]:
    """Yield the files of all runs of a cache folder."""
    for project in layout.stored_projects(cache_dir):
        yield from layout.run_files(project.folder)


def summaries(cache_dir: Path) -> list[RunSummary]:
    """Return the runs of a cache folder, the newest first; of each only its ends are read."""
    writer().flush(_SAVING_SECONDS)
    known = [summary for path in paths(cache_dir) if (summary := summarize(path)) is not None]
    return sorted(known, key=lambda summary: summary.header.begun, reverse=True)


def summarize(path: Path) -> RunSummary | None:
    """Return what the beginning and the end of an index tell; None where it is none of ours."""
    try:
        with files.open_to_read(path, through_links=False) as file:
            kind, text, size = _read_note(file, 0)
            if kind != HEADER:
                return None
            header = header_in(orjson.loads(text))
            if header is None or header.run_id != path.stem:
                return None
            state = os.fstat(file.fileno())
            records = state.st_size // RECORD_BYTES
            end = _read_end(file, records)
    except (OSError, ValueError, TypeError, AttributeError, struct.error):
        return None
    return RunSummary(
        path=path,
        header=header,
        records=max(0, records - size),
        end=end,
        written=state.st_mtime,
        is_running=end is None and _is_alive(path),
    )


def header_in(values: Mapping[str, Any]) -> RunHeader | None:
    """Return the header that was written down as JSON; None where it is none of ours."""
    known = {
        field.name: values[field.name]
        for field in dataclasses.fields(RunHeader)
        if field.name in values
    }
    fits = all(isinstance(value, _KINDS.get(name, str)) for name, value in known.items())
    if fits and "verb" in known:
        return RunHeader(**known)
    return None  # of something else, or of a later release


_KINDS: Mapping[str, Any] = {
    "begun": int | float,
    "rows": int | None,
    "group": int,
    "empty": int,
    "form": dict,
    "traits": dict,
}
"""Types of the fields of a header; the others are texts."""


def _is_alive(path: Path) -> bool:
    """Return whether the process that writes an index is there."""
    try:
        descriptor = files.open_existing(path)
        try:
            return not try_lock_byte(descriptor, ALIVE)
        finally:
            os.close(descriptor)
    except OSError:  # it is gone, or nobody can lock here
        return False


def _read_end(file: IO[bytes], records: int) -> Mapping[str, Any] | None:
    """Return the last note of a file if it is the run's end."""
    file.seek((records - 1) * RECORD_BYTES)
    last = file.read(RECORD_BYTES)
    if last[_STATE] != _TAIL:
        return None
    back, _ = _LENGTH_AND_KIND.unpack_from(last)
    kind, text, _ = _read_note(file, records - back)
    values = orjson.loads(text) if kind == END else None
    return values if isinstance(values, dict) else None


_LENGTH_AND_KIND = struct.Struct("<IH")


def _read_note(file: IO[bytes], number: int) -> tuple[int, bytes, int]:
    """Return a note's kind, its JSON, and how many records it takes; the kind 0 is of no note."""
    file.seek(number * RECORD_BYTES)
    head = file.read(RECORD_BYTES)
    length, kind = _LENGTH_AND_KIND.unpack_from(head)
    if head[_STATE] != _NOTE:
        return 0, b"", 0
    return kind, file.read(length), 1 - (-length // RECORD_BYTES) + (kind == END)


def _column(data: bytes, offset: int, code: str) -> array[int]:
    """Return a column of whole numbers, taken byte by byte at the speed of a copy."""
    column = array(code)
    size = column.itemsize
    taken = bytearray(len(data) // RECORD_BYTES * size)
    for byte in range(size):
        taken[byte::size] = data[offset + byte :: RECORD_BYTES]
    column.frombytes(bytes(taken))
    if sys.byteorder == "big":
        column.byteswap()
    return column


def _in_order(data: bytes, group: int) -> bytes:
    """Return records in the order of their rows and samples, the last one of each."""
    numbers = _column(data, 0, "I").tolist()
    if group > 1:
        samples = _column(data, _SAMPLE, "H")
        numbers = [row * group + sample for row, sample in zip(numbers, samples, strict=True)]
    if all(map(lt, numbers, numbers[1:])):
        return data
    # Stable, and quick where they are nearly in order: of several for one row the latest is last.
    order = sorted(range(len(numbers)), key=numbers.__getitem__)
    numbers.sort()
    is_last = map(ne, numbers, [*numbers[1:], -1])
    records = [data[at : at + RECORD_BYTES] for at in range(0, len(data), RECORD_BYTES)]
    return b"".join(map(records.__getitem__, compress(order, is_last)))
