"""Rows of a batch run, and how an outcome is made of what the store holds for one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from llmnb import errors, settings
from llmnb.batches.records import Failed, RowNote
from llmnb.decide.quality import objection
from llmnb.engine.target import Call, Row
from llmnb.errors import InputError, LLMNBError
from llmnb.records import Outcome, Source
from llmnb.store.entry import Entry
from llmnb.targets.target import HTTPTarget
from llmnb.wire.json_bytes import NotJSON, read

_LENGTHS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


@dataclasses.dataclass(slots=True, eq=False)
class BatchRow:
    """One row."""

    key: str | None
    row: Row | None = None
    """As it was prepared; None in a run that was attached to."""

    error: LLMNBError | None = None
    """Why it never became a request."""

    part: str | None = None
    """Part that asks it, as ``run_id/part``; None where the store has it."""

    is_length_chosen: bool = True
    is_first: bool = True
    """Whether it is the first row of its key."""

    good_finish: tuple[str, ...] = ()
    """Finish reasons that are good here, beside those of `configure`."""

    @property
    def call(self) -> Call | None:
        """What is asked."""
        return None if self.row is None else self.row.call


def of_note(
    note: RowNote, run_id: str, *, is_first: bool, good_finish: tuple[str, ...] = ()
) -> BatchRow:
    """Return a row as it was written down."""
    part = note.elsewhere
    if note.part is not None:
        part = f"{run_id}/{note.part}"
    error = None if note.error is None else error_of(*note.error)
    return BatchRow(
        key=note.key,
        error=error,
        part=part,
        is_length_chosen=note.is_length_chosen,
        is_first=is_first,
        good_finish=good_finish,
    )


def error_of(kind: str, message: str) -> LLMNBError:
    """Return an error that was written down.

    Example:
        >>> error_of("InputError", "No.")
        InputError('No.')
    """
    found = getattr(errors, kind, None)
    is_ours = isinstance(found, type) and issubclass(found, LLMNBError)
    return found(message) if is_ours and found is not None else LLMNBError(message)


def unasked(number: int, row: BatchRow) -> Outcome:
    """Return the outcome of a row that never became a request."""
    error = row.error or InputError("The row asks nothing.", row=number)
    return _outcome(number, row, error=error)


def failed(number: int, row: BatchRow, error: LLMNBError) -> Outcome:
    """Return the outcome of a row without an answer."""
    return _outcome(number, row, error=error)


def failed_as(number: int, row: BatchRow, failure: Failed) -> Outcome:
    """Return the outcome of a row whose request failed in its batch."""
    return failed(number, row, error_of(failure.kind, failure.message))


def answered(number: int, row: BatchRow, entry: Entry, target: HTTPTarget) -> Outcome | None:
    """Return the outcome of a row that the store has an answer for; None where it is none."""
    call = row.call
    try:
        reply = target.read(entry.raw)
        if call is not None and call.verify is not None:
            reply = call.verify(reply)
    except LLMNBError as unread:
        return failed(number, row, unread) if row.part is not None else None
    body = call.body if call is not None else _body(entry, row)
    good_finish = (*row.good_finish, *settings.current().good_finish)
    error: LLMNBError | None = objection(reply, body, entry.raw, good_finish)
    if error is not None and row.part is None and not isinstance(error, errors.UnknownEnd):
        return None
    value = None
    if error is None and call is not None and call.check is not None:
        try:
            value = call.check(reply)
        except LLMNBError as mismatch:
            error = mismatch
    source = _source(row, entry)
    is_sent = source == "sent"
    found = _outcome(number, row, error=error)
    found.reply = reply
    found.value = value
    found.provider, found.model = entry.provider, entry.model
    found.source = source
    found.simulated = entry.simulated
    found.usd = entry.usd if is_sent else 0.0
    found.saved_usd = None if is_sent else entry.usd
    found.attempts = 1 if is_sent else 0
    return found


def _source(row: BatchRow, entry: Entry) -> Source:
    if row.part is None:
        return "cached" if entry.reused_from is None else "reused"
    return "sent" if row.is_first else "merged"


def _outcome(number: int, row: BatchRow, *, error: LLMNBError | None) -> Outcome:
    prepared = row.row
    return Outcome(
        row=number,
        key=row.key,
        error=error,
        metadata=None if prepared is None else prepared.metadata,
        tag=None if prepared is None else prepared.tag,
    )


def _body(entry: Entry, row: BatchRow) -> Mapping[str, Any]:
    """Return the body that was sent; a length that nobody chose is left out."""
    try:
        body = read(entry.request)
    except NotJSON:
        body = None
    if not isinstance(body, dict):
        return {}
    if row.is_length_chosen:
        return body
    return {name: value for name, value in body.items() if name not in _LENGTHS}
