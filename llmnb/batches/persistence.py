"""Saving a batch's results in the project's store, and reading rows' outcomes from it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from llmnb import errors, settings
from llmnb.batches.records import BatchRow, Failed, Part
from llmnb.decide.quality import objection
from llmnb.engine import cost_events
from llmnb.engine.persistence import new_entry
from llmnb.errors import BadReply, IncompleteReply, InputError, LLMNBError
from llmnb.records import SIMULATED, Outcome, RawReply, Reply, Source
from llmnb.store.entry import Entry
from llmnb.store.project import ProjectStore
from llmnb.targets.target import HTTPTarget
from llmnb.wire import batches, json_bytes
from llmnb.wire.batches import PRICE_FACTOR, Result, key_of
from llmnb.wire.conversation import LENGTHS

AT_ONCE = 500
"""Answers saved in one commit, and keys looked up in one query."""


class ResultWriter:
    """Save the results of one part, in whatever order and however often they come.

    Args:
        part: The part, which knows the ids that were given.
        target: Who was asked.
        store: Where answers go.
    """

    def __init__(self, part: Part, target: HTTPTarget, store: ProjectStore) -> None:
        self._part = part
        self._target = target
        self._store = store
        self._asked: dict[str, bytes] = {}
        self._seen: set[str] = set()
        self._has_strangers = False
        self.answered = 0
        self.failed: list[Failed] = []

    def read_requests(self) -> None:
        """Read which requests were sent; on a thread, for there may be 200 MB of them."""
        self._asked = self._part.requests()

    async def take(self, raw: RawReply, results: Iterable[Result]) -> None:
        """Save the results of one file.

        Raises:
            StoreError: If they cannot be saved; they are fetched again later.
        """
        pending: list[tuple[Entry, Reply | None]] = []
        for result in results:
            if result.name not in self._asked:
                self._has_strangers = True
            elif result.name not in self._seen:
                self._seen.add(result.name)
                if (read := self._read(result, raw)) is not None:
                    pending.append(read)
            if len(pending) >= AT_ONCE:
                await self._save(pending)
                pending = []
        if pending:
            await self._save(pending)

    def finish(self) -> None:
        """Enter an error for every request that nothing was said of."""
        for name in self._asked:
            if name not in self._seen:
                self._fail(name, batches.missing_error(self._part.standing.batch or "?"))

    @property
    def named(self) -> int:
        """Requests that the results have named so far."""
        return len(self._seen)

    @property
    def is_ours(self) -> bool:
        """Whether any result bore an id that we gave."""
        return bool(self._seen) or not self._has_strangers

    def _read(self, result: Result, raw: RawReply) -> tuple[Entry, Reply | None] | None:
        if result.kind != "answered":
            batch = self._part.standing.batch or "?"
            self._fail(result.name, batches.unanswered_error(result.kind, batch))
            return None
        single = RawReply(status=result.status, headers=raw.headers, body=result.body)
        if (error := self._target.judge(single)) is not None:
            self._fail(result.name, error)
            return None
        try:
            reply = self._target.read(result.body)
        except LLMNBError as unread:
            self._fail(result.name, unread)
            if isinstance(unread, BadReply) and not isinstance(unread, IncompleteReply):
                return self._entry(result, None, raw), None
            return None
        self.answered += 1
        return self._entry(result, reply, raw), reply

    def _fail(self, name: str, error: LLMNBError) -> None:
        self.failed.append(Failed(key_of(name), type(error).__name__, error.message))

    def _entry(self, result: Result, reply: Reply | None, raw: RawReply) -> Entry:
        usage = None if reply is None else reply.usage
        price = None if reply is None else self._target.price(usage, reply.model)
        if price is not None and (usage is None or usage.usd is None):
            price *= PRICE_FACTOR  # a reply that says what it cost says a batch's price
        outcome = Outcome(row=0, reply=reply, usd=price, simulated=SIMULATED in raw.headers)
        request = self._asked[result.name]
        return new_entry(self._target, key_of(result.name), request, result.body, outcome)

    async def _save(self, pending: list[tuple[Entry, Reply | None]]) -> None:
        """Save answers in one commit, those left out that another process has saved already."""
        since = self._part.standing.since
        known = await asyncio.to_thread(self._store.peek, [entry.key for entry, _ in pending])
        fresh = [
            (entry, reply)
            for entry, reply in pending
            if (old := known.get(entry.key)) is None
            or old.reused_from is not None
            or old.created < since
        ]
        await asyncio.gather(*(self._store.aput(entry) for entry, _ in fresh))
        for entry, reply in fresh:
            if reply is not None:
                cost_events.publish_answer(entry, reply.usage, self._store.name)


# ---------------------------------------------------------------------------- outcomes


def failed_outcome(number: int, row: BatchRow, error: LLMNBError | None = None) -> Outcome:
    """Return the outcome of a row without an answer; without an error, its own."""
    error = error or row.prepared.error or InputError("The row asks nothing.", row=number)
    return _outcome(number, row, error=error)


def _outcome(number: int, row: BatchRow, **fields: Any) -> Outcome:
    prepared = row.prepared
    return Outcome(row=number, key=row.key, metadata=prepared.metadata, tag=prepared.tag, **fields)


def stored_outcomes(
    rows: Mapping[int, BatchRow],
    look: Callable[[Sequence[str]], Mapping[str, Entry]],
    target: HTTPTarget,
    good_finish: tuple[str, ...],
) -> dict[int, Outcome]:
    """Return the outcomes of rows that are answered in the store, by position; blocks.

    Args:
        rows: Rows by their position.
        look: Returns what the store has, by key.
        target: Who was asked.
        good_finish: Finish reasons that are good here, beside those of `configure`.
    """
    good_finish = (*good_finish, *settings.current().good_finish)
    outcomes: dict[int, Outcome] = {}
    remaining = iter(rows.items())
    while chunk := list(itertools.islice(remaining, AT_ONCE)):
        entries = look([row.key for _, row in chunk if row.key is not None])
        for number, row in chunk:
            if (entry := entries.get(row.key or "")) is not None:
                outcome = _stored_outcome(number, row, entry, target, good_finish)
                if outcome is not None:
                    outcomes[number] = outcome
    return outcomes


def _stored_outcome(
    number: int, row: BatchRow, entry: Entry, target: HTTPTarget, good_finish: tuple[str, ...]
) -> Outcome | None:
    """Return the outcome of a row that the store has an entry for; None where it must be asked."""
    call = row.call
    try:
        reply = target.read(entry.raw)
        if call is not None and call.verify is not None:
            reply = call.verify(reply)
    except LLMNBError as unread:
        return failed_outcome(number, row, unread) if row.part is not None else None
    body = call.body if call is not None else _body(entry, row)
    error: LLMNBError | None = objection(reply, body, entry.raw, good_finish)
    if error is not None and row.part is None and not isinstance(error, errors.UnknownEnd):
        return None
    value = None
    if error is None and call is not None and call.check is not None:
        try:
            value = call.check(reply)
        except LLMNBError as mismatch:
            error = mismatch
    source: Source = "sent" if row.is_first else "merged"
    if row.part is None:
        source = "cached" if entry.reused_from is None else "reused"
    is_sent = source == "sent"
    return _outcome(
        number,
        row,
        error=error,
        reply=reply,
        value=value,
        provider=entry.provider,
        model=entry.model,
        source=source,
        simulated=entry.simulated,
        usd=entry.usd if is_sent else 0.0,
        saved_usd=None if is_sent else entry.usd,
        attempts=1 if is_sent else 0,
    )


def _body(entry: Entry, row: BatchRow) -> Mapping[str, Any]:
    """Return the body that was sent; a length that nobody chose is left out."""
    try:
        body = json_bytes.read(entry.request)
    except json_bytes.NotJSON:
        body = None
    if not isinstance(body, dict):
        return {}
    unchosen = () if row.is_length_chosen else LENGTHS
    return {name: value for name, value in body.items() if name not in unchosen}
