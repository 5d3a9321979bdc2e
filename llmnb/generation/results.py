"""Write outcomes as lines of JSON to a file, which gets its name when it is complete."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import orjson

from llmnb.adapters import files
from llmnb.adapters.file_lock import locked
from llmnb.display.texts import counted
from llmnb.engine.run import Run
from llmnb.errors import (
    AddressInFile,
    ConfigurationError,
    Stopped,
    StoreError,
    UnreadableFile,
)
from llmnb.models.response_rows import CALLERS_FIELDS, error_texts, without_callers_fields
from llmnb.records import Outcome
from llmnb.wire import json_bytes

FLUSH_BYTES = 1 << 16

FLUSH_SECONDS = 0.5
"""Other processes see a row at most this long after it was written."""

GATHER_SECONDS = 0.005
"""Least time between two reads of a run's outcomes; its window holds far more than come in it."""

_LOCK_SECONDS = 1.0

_SPREADSHEETS = (".csv", ".tsv", ".xlsx", ".xls", ".ods")


def line(outcome: Outcome) -> bytes:
    """Return a row as a line of JSON, the request as it was written and the reply as it came."""
    asked, reply = outcome.tag, outcome.reply
    if outcome.error is None and reply is not None:
        # A line break in JSON is white space, or it would not have been read as JSON.
        response = reply.raw.replace(b"\n", b" ").replace(b"\r", b" ")
    else:
        response = orjson.dumps(error_texts(outcome.error))
    metadata = asked.get("metadata") if isinstance(asked, Mapping) else None
    parts = [_request_json(asked), response]
    if metadata:
        parts.append(_json(metadata))
    return b"[" + b", ".join(parts) + b"]\n"


def refused_addresses(count: int) -> str | None:
    """Return the notice about lines that were refused for their address; None for no lines.

    Example:
        >>> refused_addresses(2).partition(":")[0]
        '2 lines named a url or an api_key of their own and were sent nowhere'
    """
    if not count:
        return None
    its, was = ("its", "was") if count == 1 else ("their", "were")
    return (
        f"{counted(count, 'line')} named a url or an api_key of {its} own and {was} sent nowhere: "
        "if you trust the file, type the command again with --allow-urls, or pass allow_urls=True."
    )


def _request_json(asked: Any) -> bytes:
    if isinstance(asked, UnreadableFile):
        return orjson.dumps((asked.details.raw or b"").decode("utf-8", "replace"))
    written = getattr(asked, "written", None)  # of a `RequestLine`
    if written is not None and CALLERS_FIELDS.isdisjoint(asked):
        return bytes(written)
    return _json(without_callers_fields(asked) if isinstance(asked, Mapping) else asked)


def _json(value: Any) -> bytes:
    """Return a value as JSON; NaN stays NaN, and what JSON cannot hold becomes its text."""
    try:
        return json_bytes.write(value)
    except json_bytes.NotJSON:
        return json.dumps(value, default=str, separators=(",", ":")).encode()


class ResultsFile:
    """The file of results: ``NAME.part`` until every row is in it, then ``NAME``.

    A context manager; while it is open no other process writes the same file.

    Args:
        path: Where the results are to stand.

    Raises:
        ConfigurationError: If there is no such folder, or another process writes there.
    """

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            raise ConfigurationError(f"{path} is a folder; name a file for the results.")
        if not path.parent.is_dir():
            raise ConfigurationError(f"There is no folder {path.parent} to write {path.name} to.")
        self.path = path
        self.part = path.with_name(path.name + ".part")
        self._lock_path = path.with_name(f".{path.name}.lock")
        self.rows = 0
        """Rows in the file; those behind the first that was stopped are left out."""

        self.failed = 0
        self.refused = 0
        self.is_whole = False
        self._is_cut_short = False

    def spare(self, source: Path) -> None:
        """Refuse to write over the requests, or to a file that a spreadsheet would open.

        Raises:
            ConfigurationError: If the results would take the requests' place, or are named so.
        """
        if self.path.suffix.lower() in _SPREADSHEETS:
            raise ConfigurationError(
                f"The results are JSON Lines, and {self.path.name} is named like a file of a "
                "spreadsheet, which would take parts of the answers for formulas: name a .jsonl "
                "file. Nothing was sent."
            )
        for path in (self.path, self.part):
            if path.exists() and path.samefile(source):
                raise ConfigurationError(
                    f"{source} holds the requests, and the results would be written over them: "
                    "name another save_filepath. Nothing was sent."
                )

    def __enter__(self) -> Self:
        self._lock = locked(self._lock_path, timeout=_LOCK_SECONDS)
        try:
            self._lock.__enter__()
        except StoreError:
            raise ConfigurationError(
                f"{self.path} cannot be written: another process is writing it, or its folder may "
                "not be written to. Wait for that one's end, or name another file."
            ) from None
        try:
            self._file = files.create(self.part, buffering=FLUSH_BYTES)
        except OSError as error:
            self._lock.__exit__(None, None, None)
            raise ConfigurationError(
                f"{self.part} cannot be written: {error.strerror or error}."
            ) from None
        return self

    def take(self, outcome: Outcome) -> None:
        """Add a row, unless one before it was stopped: the next run writes those."""
        if self._is_cut_short or isinstance(outcome.error, Stopped):
            self._is_cut_short = True
            return
        self._file.write(line(outcome))
        self.rows += 1
        self.failed += outcome.error is not None
        self.refused += isinstance(outcome.error, AddressInFile)

    def flush(self) -> None:
        """Make the rows so far visible to other processes."""
        self._file.flush()

    def finish(self) -> None:
        """Rename the file to ``NAME``, if every row is in it."""
        self._file.close()
        if not self._is_cut_short:
            files.replace_file(self.part, self.path)
            self.is_whole = True

    def __exit__(self, *_: object) -> None:
        try:
            self._file.close()
        except OSError:
            pass  # the pump has met the same error, and raises it
        finally:
            with contextlib.suppress(OSError):  # some systems keep what is open
                self._lock_path.unlink()
            self._lock.__exit__(None, None, None)


class Pump:
    """A thread that writes a run's outcomes to the file of results, in order.

    Args:
        run: A run that hands its outcomes over and forgets them.
        results: Where they go. When it cannot take them the run is stopped.
    """

    def __init__(self, run: Run, results: ResultsFile) -> None:
        self._run = run
        self._results = results
        self._error: BaseException | None = None
        self._flushed = time.monotonic()
        self._thread = threading.Thread(target=self._pump, name="llmnb-results", daemon=True)
        self._thread.start()

    def _pump(self) -> None:
        try:
            for outcome in self._run.outcomes(on_wait=self._rest):
                self._results.take(outcome)
            self._results.finish()
        except BaseException as error:
            self._error = error
            self._run.stop()

    def _rest(self) -> None:
        """Wait until some outcomes have gathered: waking up for each costs more than writing it."""
        now = time.monotonic()
        if now - self._flushed >= FLUSH_SECONDS:
            self._flushed = now
            self._results.flush()
        if not self._run.is_done:
            time.sleep(GATHER_SECONDS)

    def join(self) -> None:
        """Wait until everything is written.

        Raises:
            StoreError: If the results cannot be written; the answers are in the project.
            LLMNBError: What ended the run.
        """
        self._thread.join()
        error = self._error
        if isinstance(error, OSError):
            what = (
                f"What was answered is kept in project {self._run.project!r}; make room and run "
                "again: only what is missing is asked."
            )
            if isinstance(self._run.error, StoreError):  # the same disk, most likely
                what = self._run.error.message
            raise StoreError(
                f"{self._results.part} cannot be written: {error.strerror or error}. {what}"
            ) from error
        if error is not None:
            raise error
