"""What happens to a reply once it is there: committed, priced, judged. Saved before shown."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from llmnb.decide.quality import objection
from llmnb.engine import cost_events
from llmnb.engine.attempt import Answered
from llmnb.engine.coalesce import Kept, TaskResult
from llmnb.engine.run_context import RunContext
from llmnb.engine.status import Clock
from llmnb.engine.target import Call
from llmnb.errors import BadReply, IncompleteReply, LLMNBError, StoreError, UnknownEnd
from llmnb.records import SIMULATED, Reply
from llmnb.store.entry import Entry


class Keeper:
    """Saves one row's replies and makes results of them.

    Args:
        context: The run.
        started: When the row's first request was sent.
        attempts: Requests sent for the row.
        hedged: Whether redundant requests were among them.
    """

    __slots__ = ("_attempts", "_context", "_hedged", "_started")

    def __init__(
        self, context: RunContext, started: float | None, attempts: int, *, hedged: bool = False
    ) -> None:
        self._context = context
        self._started = started
        self._attempts = attempts
        self._hedged = hedged

    async def keep(self, answered: Answered, *, is_known: bool = False) -> TaskResult:
        """Commit a raw reply, price it, and judge whether it is a good answer.

        Args:
            answered: What came.
            is_known: Whether it comes from the store: then it costs nothing and stands there.
        """
        call, raw, reply = answered.call, answered.raw, answered.reply
        target = call.target
        usd = 0.0 if is_known else target.price(reply.usage, reply.model)
        result = TaskResult(
            reply=reply,
            model=target.model,
            provider=target.provider,
            key=call.key,
            usd=usd,
            seconds=self._seconds(),
            first_token_seconds=raw.first_token_seconds,
            attempts=self._attempts,
            hedged=self._hedged,
            simulated=SIMULATED in raw.headers,
            store=self._context.store,
        )
        if not is_known:
            counters, usage = self._context.counters, reply.usage
            counters.enter_reply(usage, usd)
            name = f"{target.provider}/{target.model}"
            used = 0 if usage is None else usage.total
            counters.stats.on_answer(name, raw.seconds, used, usd)
            if cost_events.listeners:
                self._publish_cost(answered, usd)
            result.entry = _entry(call, raw.body, reply, result)
            await self._put(result.entry)
        result.error = objection(reply, call.body, raw.body, self._context.good_finish)
        return result

    def _publish_cost(self, answered: Answered, usd: float | None) -> None:
        target = answered.call.target
        cost_events.publish(
            cost_events.Paid(
                provider=target.provider,
                model=target.model,
                usd=usd,
                usage=answered.reply.usage,
                project=getattr(self._context.store, "name", ""),
                simulated=SIMULATED in answered.raw.headers,
            )
        )

    async def keep_unread(self, call: Call, error: BadReply) -> None:
        """Save bytes that could not be read: a better reader may read them for nothing.

        Not those of a reply that lacks its end: half an answer might be read as a whole one.
        """
        raw = error.details.raw
        if raw and not isinstance(error, IncompleteReply):
            result = TaskResult(model=call.target.model, provider=call.target.provider)
            await self._put(_entry(call, raw, None, result))

    async def _put(self, entry: Entry) -> None:
        backlog = self._context.backlog
        backlog.enter()
        try:
            await self._context.store.aput(entry)
        except StoreError as error:
            self._context.counters.tracker.num_unsaved += 1
            self._context.disable("", error)
        finally:
            backlog.leave()

    def _seconds(self) -> float | None:
        return None if self._started is None else Clock.monotonic() - self._started


def stored_answer(
    calls: Iterable[Call], found: Mapping[str, Entry], good_finish: Collection[str] = ()
) -> Kept | None:
    """Return the first call that is answered in the store, a good answer before any other.

    One that ended for a reason that nobody knows is returned too: it is not bought again.
    None where all have to be asked.
    """
    kept: Kept | None = None
    for call in calls:
        entry = found.get(call.key)
        if entry is None:
            continue
        try:
            reply = call.target.read(entry.raw)
            if call.verify is not None:
                reply = call.verify(reply)
        except LLMNBError:
            continue
        if reply.quality == "good":
            return call, entry, reply, None
        error = objection(reply, call.body, entry.raw, good_finish)
        if error is None:
            return call, entry, reply, None
        if kept is None and isinstance(error, UnknownEnd):
            kept = call, entry, reply, error
    return kept


def _entry(call: Call, raw: bytes, reply: Reply | None, result: TaskResult) -> Entry:
    usage = reply.usage if reply is not None else None
    return Entry(
        key=call.key,
        request=call.canonical,
        raw=raw,
        dialect=call.target.dialect_name,
        provider=call.target.provider,
        model=call.target.model,
        quality="bad" if reply is None else reply.quality,
        usd=result.usd,
        prompt_tokens=usage.known_prompt if usage is not None else None,
        completion_tokens=usage.known_completion if usage is not None else None,
        seconds=result.seconds,
        created=Clock.wall(),
        simulated=result.simulated,
    )
