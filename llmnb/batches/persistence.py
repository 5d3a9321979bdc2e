"""Results of a batch into the project's store, as live answers are, at the batch's price."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from llmnb.batches.records import Failed, Part, Record
from llmnb.engine import cost_events
from llmnb.engine.status import Clock
from llmnb.errors import BadReply, IncompleteReply, LLMNBError
from llmnb.records import RawReply, Reply, Usage
from llmnb.store.entry import Entry
from llmnb.store.project import ProjectStore
from llmnb.targets.target import HTTPTarget
from llmnb.wire import batches, canonical
from llmnb.wire.batches import PRICE_FACTOR, Result, key_of

_AT_ONCE = 500
"""Answers saved in one commit."""


@dataclass(slots=True)
class Kept:
    """What one part has brought."""

    answered: int = 0
    failed: list[Failed] = field(default_factory=list)
    strangers: int = 0
    """Results whose ids we did not give."""

    repeated: int = 0
    """Results that came a second time."""


class ResultWriter:
    """Save the results of one part, in whatever order and however often they come.

    Args:
        part: The part; its lines say which ids were given.
        record: Its run.
        target: Who was asked.
        store: Where answers go.
    """

    def __init__(self, part: Part, record: Record, target: HTTPTarget, store: ProjectStore) -> None:
        self._part = part
        self._record = record
        self._target = target
        self._store = store
        self._asked: dict[str, bytes] = {}
        self._seen: set[str] = set()
        self.kept = Kept()

    def read_requests(self) -> None:
        """Read which requests were sent; on a thread, for there may be 200 MB of them."""
        for one in batches.lines(self._part.content()):
            body = one.get("body", one.get("params"))
            if isinstance(body, dict):
                self._asked[str(one["custom_id"])] = canonical.canonical(body)

    async def take(self, raw: RawReply, results: Iterable[Result]) -> None:
        """Save the results of one file.

        Raises:
            StoreError: If they cannot be saved; they are fetched again later.
        """
        pending: list[tuple[Entry, Reply | None]] = []
        for result in results:
            if result.name not in self._asked:
                self.kept.strangers += 1
                continue
            if result.name in self._seen:
                self.kept.repeated += 1
                continue
            self._seen.add(result.name)
            if (read := self._read(result, raw)) is not None:
                pending.append(read)
            if len(pending) >= _AT_ONCE:
                await self._save(pending)
                pending = []
        await self._save(pending)

    def finish(self) -> Kept:
        """Return what came, with an error for every request that nothing was said of."""
        for name in self._asked:
            if name not in self._seen:
                self._fail(name, batches.absent(self._part.standing.batch or "?"))
        return self.kept

    @property
    def is_ours(self) -> bool:
        """Whether any result bore an id that we gave."""
        return bool(self._seen) or not self.kept.strangers

    def _read(self, result: Result, raw: RawReply) -> tuple[Entry, Reply | None] | None:
        if result.kind != "answered":
            batch = self._part.standing.batch or "?"
            self._fail(result.name, batches.shortfall(result.kind, batch))
            return None
        one = RawReply(status=result.status, headers=raw.headers, body=result.body)
        if (error := self._target.judge(one)) is not None:
            self._fail(result.name, error)
            return None
        try:
            reply = self._target.read(result.body)
        except LLMNBError as unread:
            self._fail(result.name, unread)
            if isinstance(unread, BadReply) and not isinstance(unread, IncompleteReply):
                return self._entry(result, None, raw), None
            return None
        self.kept.answered += 1
        return self._entry(result, reply, raw), reply

    def _fail(self, name: str, error: LLMNBError) -> None:
        self.kept.failed.append(Failed(key_of(name), type(error).__name__, error.message))

    def _entry(self, result: Result, reply: Reply | None, raw: RawReply) -> Entry:
        usage = None if reply is None else reply.usage
        price = None if reply is None else self._target.price(usage, reply.model)
        return Entry(
            key=key_of(result.name),
            request=self._asked[result.name],
            raw=result.body if reply is None else reply.raw or result.body,
            dialect=self._record.dialect,
            provider=self._record.provider,
            model=self._record.model,
            quality="bad" if reply is None else reply.quality,
            usd=price if price is None or _is_told(usage) else price * PRICE_FACTOR,
            prompt_tokens=None if usage is None else usage.known_prompt,
            completion_tokens=None if usage is None else usage.known_completion,
            created=Clock.wall(),
            simulated=self._target.is_simulated(raw),
        )

    async def _save(self, pending: list[tuple[Entry, Reply | None]]) -> None:
        """Save answers in one commit, those left out that another process has saved already."""
        if not pending:
            return
        since = self._part.standing.since
        keys = [entry.key for entry, _ in pending]
        there = await asyncio.to_thread(self._store.peek, keys)
        fresh = [
            (entry, reply)
            for entry, reply in pending
            if (old := there.get(entry.key)) is None
            or old.reused_from is not None
            or old.created < since
        ]
        await asyncio.gather(*(self._store.aput(entry) for entry, _ in fresh))
        if cost_events.listeners:
            for entry, reply in fresh:
                _tell(entry, reply, self._store.name)


def _is_told(usage: Usage | None) -> bool:
    """Whether the reply itself said what it cost, so that the price is a batch's already."""
    return usage is not None and usage.usd is not None


def _tell(entry: Entry, reply: Reply | None, project: str) -> None:
    if reply is not None:
        cost_events.publish(
            cost_events.Paid(
                provider=entry.provider,
                model=entry.model,
                usd=entry.usd,
                usage=reply.usage,
                project=project,
                simulated=entry.simulated,
            )
        )
