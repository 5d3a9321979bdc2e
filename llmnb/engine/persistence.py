"""What happens to a reply once it is there: committed, priced, judged. Saved before shown."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from llmnb.decide.quality import objection
from llmnb.engine import cost_events
from llmnb.engine.attempt import ReceivedReply
from llmnb.engine.run_context import RunContext
from llmnb.engine.shared import StoredAnswer
from llmnb.engine.status import Clock
from llmnb.engine.target import Call, Target
from llmnb.errors import BadReply, IncompleteReply, LLMNBError, StoreError, UnknownEnd
from llmnb.records import SIMULATED, Outcome
from llmnb.store.entry import Entry


async def save_reply(context: RunContext, received: ReceivedReply, outcome: Outcome) -> Entry:
    """Commit a raw reply, price it, and judge whether it is a good answer.

    Args:
        context: The run.
        received: What came.
        outcome: Gets the reply, its price, and an error where it is no good answer.

    Returns:
        What was saved.
    """
    call, raw, reply = received.call, received.raw, received.reply
    target, usage = call.target, reply.usage
    usd = target.price(usage, reply.model)
    outcome.reply, outcome.usd = reply, usd
    outcome.first_token_seconds = raw.first_token_seconds
    outcome.simulated = SIMULATED in raw.headers
    name, tokens = f"{target.provider}/{target.model}", 0 if usage is None else usage.total
    context.counters.enter_reply(usage, usd, outcome.simulated)
    context.counters.on_answer(name, raw.seconds, tokens, usd, outcome.simulated)
    entry = new_entry(target, call.key, call.canonical, raw.body, outcome)
    if cost_events.listeners:
        cost_events.publish_answer(entry, usage, context.store.name)
    await _commit(context, entry)
    outcome.error = objection(reply, call.body, raw.body, context.options.good_finish)
    return entry


async def save_unread(context: RunContext, call: Call, error: BadReply) -> None:
    """Save bytes that could not be read: a better reader may read them for nothing.

    Not those of a reply that lacks its end: half an answer might be read as a whole one.
    """
    raw = error.details.raw
    if raw and not isinstance(error, IncompleteReply):
        entry = new_entry(call.target, call.key, call.canonical, raw, Outcome(row=0))
        await _commit(context, entry)


async def _commit(context: RunContext, entry: Entry) -> None:
    context.backlog.enter()
    try:
        await context.store.aput(entry)
    except StoreError as error:
        context.counters.tracker.num_unsaved += 1
        context.disable("", error)
    finally:
        context.backlog.leave()


def new_entry(target: Target, key: str, request: bytes, raw: bytes, outcome: Outcome) -> Entry:
    """Return what is kept of a reply that has come just now.

    Args:
        target: Who was asked.
        key: Key of the answer.
        request: What was asked, in canonical form.
        raw: The reply as it came.
        outcome: What is known of it: its reply, unless it could not be read, its price and
            duration, and whether it was simulated.
    """
    reply = outcome.reply
    usage = reply.usage if reply is not None else None
    return Entry(
        key=key,
        request=request,
        raw=raw,
        dialect=target.dialect_name,
        provider=target.provider,
        model=target.model,
        quality="bad" if reply is None else reply.quality,
        usd=outcome.usd,
        prompt_tokens=usage.known_prompt if usage is not None else None,
        completion_tokens=usage.known_completion if usage is not None else None,
        seconds=outcome.seconds,
        created=Clock.wall(),
        simulated=outcome.simulated,
    )


def stored_answer(
    calls: Iterable[Call], entries: Mapping[str, Entry], good_finish: Collection[str] = ()
) -> StoredAnswer | None:
    """Return the first call that is answered in the store, a good answer before any other.

    One that ended for an unknown reason is returned too: it is not bought again. None where all
    have to be asked.

    Args:
        calls: The same question to each target, in order.
        entries: What the store holds, by key.
        good_finish: Further reasons to end that are good.
    """
    ended_oddly: StoredAnswer | None = None
    for call in calls:
        entry = entries.get(call.key)
        if entry is None:
            continue
        try:
            reply = call.target.read(entry.raw)
            if call.verify is not None:
                reply = call.verify(reply)
        except LLMNBError:
            continue
        is_good = reply.quality == "good"
        error = None if is_good else objection(reply, call.body, entry.raw, good_finish)
        if error is None:
            return StoredAnswer(call, entry, reply)
        if ended_oddly is None and isinstance(error, UnknownEnd):
            ended_oddly = StoredAnswer(call, entry, reply, error)
    return ended_oddly
