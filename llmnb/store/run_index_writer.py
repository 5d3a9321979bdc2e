"""Writes what becomes of every row of a run, beside the answers and with them."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from llmnb.adapters import files
from llmnb.adapters.file_lock import try_lock_byte
from llmnb.errors import LLMNBError, StoreError
from llmnb.records import Outcome
from llmnb.store import layout, run_index
from llmnb.store.layout import ProjectPaths
from llmnb.store.run_index import Cause, RunHeader

logger = logging.getLogger("llmnb")

MOST_CAUSES = 500
"""Messages of failures that are kept word for word; of further ones only the kind."""

MOST_RUNS = 1000
"""Runs of a project whose index is kept: the oldest make room."""

_LONGEST_MESSAGE = 2000
_SOON_SECONDS = 0.1
"""How long a row waits at most for a commit to be written with."""

_STATES = {
    "sent": run_index.ANSWERED,
    "cached": run_index.KEPT,
    "reused": run_index.REUSED,
    "merged": run_index.MERGED,
}
_REFUSALS = frozenset(("Refused", "Filtered"))

_pack, _from_hex = run_index.RECORD.pack, bytes.fromhex
"""Looked up once, and not for every row."""


class RunIndexWriter:
    """Writes the index of one run.

    Rows are taken on the loop thread, and written by the thread that saves answers: with its next
    commit, or soon. Where that fails the index is lost, with a warning; a run never stops for it.

    Args:
        project: Where it is kept.
        header: What is known beforehand.
        row_of: Which row of the table a request belongs to; None: the request's own number.
        write_soon: Has the writing thread call `write`.
    """

    def __init__(
        self,
        project: ProjectPaths,
        header: RunHeader,
        *,
        row_of: Callable[[int], int] | None = None,
        write_soon: Callable[[], None],
    ) -> None:
        self.run_id = header.run_id
        self._path = project.runs / f"{header.run_id}{layout.RUN_SUFFIX}"
        self._project = project
        self._row_of = row_of
        self._group = header.group
        self._write_soon = write_soon
        self._models: dict[tuple[str | None, str | None], int] = {(None, None): 0}
        self._kinds: dict[tuple[str, bool, str | None, str | None], tuple[int, int, int]] = {}
        """State, flags and number of the model by how an answer came and whose it is."""

        self._causes: dict[Cause, int] = {}
        self._waiting: deque[bytes] = deque()
        """Records and notes that are not written yet."""

        self._is_due = False
        self._descriptor: int | None = None
        self._is_made = False
        self._is_ended = False
        self._is_lost = False
        """Whether nothing is written any more: it cannot be, or the project was cleared."""

        self._note(run_index.HEADER, header)

    def add(self, outcome: Outcome) -> None:
        """Take a row's outcome, in place of an earlier one of the row; on the loop thread."""
        request, error, key, group = outcome.row, outcome.error, outcome.key, self._group
        kind = (outcome.source, outcome.simulated, outcome.provider, outcome.model)
        state, flags, model = self._kinds.get(kind) or self._new_kind(outcome)
        cause = attempts = 0
        if error is not None:
            state, cause = self._failure(error)
        if outcome.attempts:
            attempts = min(outcome.attempts, 255)
            if outcome.hedged:
                flags |= run_index.HEDGED
        self._waiting.append(
            _pack(
                request if self._row_of is None else self._row_of(request),
                0 if group == 1 else request % group,
                cause,
                run_index.NO_KEY if key is None else _from_hex(key),
                state,
                flags,
                attempts,
                model,
                outcome.first_token_seconds or 0.0,
            )
        )
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_later(_SOON_SECONDS, self._write_what_waits)

    def end(self, status: Mapping[str, Any]) -> None:
        """Take what the run's status is at its end; further rows may follow, and another end."""
        self._note(run_index.END, status)
        self._is_ended = True
        self._write_soon()

    def _write_what_waits(self) -> None:
        self._is_due = False
        if self._waiting:
            self._write_soon()

    def _failure(self, error: LLMNBError) -> tuple[int, int]:
        """Return the state of a failed row, and the number of its cause."""
        kind = type(error).__name__
        cause = Cause(kind, error.message[:_LONGEST_MESSAGE])
        number = self._causes.get(cause)
        if number is None and len(self._causes) >= MOST_CAUSES:
            cause = Cause(kind, f"{kind}. Its own words were not written down.")
            number = self._causes.get(cause)
        if number is None:
            number = self._causes[cause] = len(self._causes) + 1
            self._note(run_index.CAUSE, list(cause))
        if kind == "Stopped":
            return run_index.NOT_ASKED, number
        return run_index.REFUSED if kind in _REFUSALS else run_index.FAILED, number

    def _new_kind(self, outcome: Outcome) -> tuple[int, int, int]:
        """Return state, flags and model of a kind of outcome that was not met before."""
        model = outcome.provider, outcome.model
        number = self._models.get(model)
        if number is None and len(self._models) > 255:
            number = 0  # the entries tell which they are
        elif number is None:
            number = self._models[model] = len(self._models)
            self._note(run_index.MODEL, model)
        state = _STATES[outcome.source]
        flags = state - 1 + (run_index.SIMULATED if outcome.simulated else 0)
        self._kinds[outcome.source, outcome.simulated, *model] = kind = state, flags, number
        return kind

    def _note(self, kind: int, value: Any) -> None:
        self._waiting.append(run_index.note(kind, value))

    # --------------------------------------------------------------- the writing thread

    def write(self) -> None:
        """Write what was taken so far; the caller holds the project's lock."""
        has_ended = self._is_ended  # asked first: its note is among what is written
        data = b"".join([self._waiting.popleft() for _ in range(len(self._waiting))])
        if self._is_lost or not data:
            return
        try:
            if self._descriptor is None:
                self._descriptor = self._opened()
            elif not self._is_there(self._descriptor):
                raise FileNotFoundError
            files.append_whole(self._descriptor, data)
        except FileNotFoundError:  # the project was cleared, and this run with it
            self._is_lost = True
        except (OSError, StoreError) as error:
            logger.warning("The index of run %s cannot be written: %s", self.run_id, error)
            self._is_lost = True
        if has_ended or self._is_lost:
            self.close()

    def _opened(self) -> int:
        if not self._is_made:
            files.make_folder(self._project.folder)
            layout.write_mark(self._project)
            files.make_folder(self._path.parent)
            _make_room(self._path.parent)
            self._is_made = True
        elif not self._path.exists():
            raise FileNotFoundError
        descriptor = files.open_shared(self._path, size=0)
        with suppress(OSError):  # else nobody can see that the run goes on
            try_lock_byte(descriptor, run_index.ALIVE)
        return descriptor

    def _is_there(self, descriptor: int) -> bool:
        return os.path.samestat(os.fstat(descriptor), os.lstat(self._path))

    def close(self) -> None:
        """Close the file."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()


def _make_room(runs: Path) -> None:
    """Remove the oldest runs of a project that has too many."""
    # Names only: a path for each of a thousand runs would cost a short run as much as its rows.
    names = sorted(name for name in os.listdir(runs) if name.endswith(layout.RUN_SUFFIX))
    for name in names[: max(0, len(names) - MOST_RUNS + 1)]:
        with suppress(OSError):
            os.unlink(runs / name)
