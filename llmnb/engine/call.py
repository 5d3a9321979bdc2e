"""One flight: attempts at one request until there is an answer, a typed error, or a stop.

The flight reserves its place, sends, gives the place back the moment the
reply is read, and only then saves, reads and prices. Whatever happens the
reservation is settled.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from llmnb.decide.quality import objection
from llmnb.decide.retry import LONGEST_SERVER_WAIT, RetryPolicy, Tries, next_wait, resend_allowance
from llmnb.engine.coalesce import Landing
from llmnb.engine.gate import Gate
from llmnb.engine.status import Clock, StatusTracker
from llmnb.engine.target import Call
from llmnb.errors import (
    AccountError,
    BadReply,
    FlowControl,
    LLMNBError,
    MaybeBilled,
    Stopped,
    StoreError,
    Unsent,
)
from llmnb.records import RawReply, Reply
from llmnb.store.entry import Entry

logger = logging.getLogger("llmnb")


class Saves(Protocol):
    """The part of a project's store that a flight needs."""

    async def aput(self, entry: Entry) -> None:
        """Save an entry; returns once it is on disk. Raises `StoreError`."""


@dataclass(slots=True, eq=False)
class Voyage:
    """What all flights of one run share."""

    store: Saves
    policy: RetryPolicy
    counts: StatusTracker
    gate_of: Callable[[Call], Gate]
    time_limit: float | None = None
    dead: dict[str, LLMNBError] = field(default_factory=dict)
    """Pools whose account is refused, or everything once answers cannot be saved."""

    store_error: StoreError | None = None
    resent: int = 0
    """Requests sent again after a perhaps billed one."""

    resumed: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared while the person has paused the run."""

    on_dead: Callable[[str, LLMNBError], None] = lambda pool, error: None
    """Told once when a pool dies, so that the run can drop what waits for it."""

    def why_dead(self, pool: str) -> LLMNBError | None:
        """Return why nothing more may be sent to a pool."""
        return self.store_error or self.dead.get(pool)


class Flight:
    """One request's life; `run` is a task of its own."""

    __slots__ = ("attempts", "call", "gate", "history", "is_sending", "started", "tries", "voyage")

    def __init__(self, call: Call, voyage: Voyage) -> None:
        self.call = call
        self.voyage = voyage
        self.gate = voyage.gate_of(call)
        self.tries = Tries()
        self.attempts = 0
        self.history: list[str] = []
        self.started: float | None = None
        self.is_sending = False
        """Whether a request is on its way or its reply is being saved: it will be finished."""

    async def run(self) -> Landing:
        """Fly to the end. Never raises anything but what ends the process."""
        try:
            raw, reply = await self._ask()
            return await self._save(raw, reply)
        except LLMNBError as error:
            return self._failed(error)
        except asyncio.CancelledError:
            return self.stopped()
        except Exception as error:  # a fault of ours: the row still gets its outcome
            logger.exception("llmnb failed on a row; please report this")
            return self._failed(_unexpected(error))

    def stopped(self) -> Landing:
        """Land because the task was cancelled."""
        dead = self.voyage.why_dead(self.call.target.pool)
        if dead is not None and not self.is_sending:
            return self._failed(copied(dead))
        return self._failed(
            Stopped(
                "Stopped while its request was on its way; it may have been billed. "
                "Run again to ask it anew."
                if self.is_sending
                else "Not asked: the run was stopped. Run again to ask what is missing.",
                maybe_billed=self.is_sending,
            )
        )

    # ------------------------------------------------------------------- attempts

    async def _ask(self) -> tuple[RawReply, Reply]:
        target, counts = self.call.target, self.voyage.counts
        reserved = target.charge(self.call)
        is_first = False
        while True:
            await self._admitted(reserved, is_first)
            outcome = await self._attempt(reserved)
            if not isinstance(outcome, LLMNBError):
                self.gate.on_success()
                return outcome
            _count(outcome, counts)
            self.history.append(outcome.message)
            await self._wait_after(outcome)
            is_first = True
            counts.num_retried += 1

    async def _admitted(self, reserved: float, is_first: bool) -> None:
        """Wait for a turn; not while paused, never once the target is dead."""
        voyage = self.voyage
        while True:
            self._raise_if_dead()
            if not voyage.resumed.is_set():
                await voyage.resumed.wait()
            await self.gate.admit(reserved, is_first=is_first)
            if voyage.resumed.is_set() and voyage.why_dead(self.call.target.pool) is None:
                return
            self.gate.release(reserved=reserved, used=0.0, was_sent=False)

    def _raise_if_dead(self) -> None:
        error = self.voyage.why_dead(self.call.target.pool)
        if error is not None:
            raise copied(error)

    async def _attempt(self, reserved: float) -> tuple[RawReply, Reply] | LLMNBError:
        """Send once, and settle what was reserved whatever happens."""
        target, voyage = self.call.target, self.voyage
        self.attempts += 1
        voyage.counts.num_requests += 1
        self.is_sending = True
        used, was_sent = reserved, True
        if self.started is None:
            self.started = self.gate.clock()
        try:
            raw = await target.send(self.call.wire, timeout=voyage.time_limit)
            error = target.judge(raw)
            if error is not None:
                used = 0.0
                return error
            reply = target.read(raw.body)
            used = target.used(reserved, reply.usage)
            return raw, reply
        except Unsent as error:
            used, was_sent = 0.0, False
            return error
        except BadReply as error:
            await self._keep_unread(error)
            return error
        except LLMNBError as error:
            return error
        finally:
            self.gate.release(reserved=reserved, used=used, was_sent=was_sent)

    async def _wait_after(self, error: LLMNBError) -> None:
        """Sleep until the next attempt, or raise the error that ends the row."""
        voyage = self.voyage
        self.is_sending = False
        if isinstance(error, AccountError):
            self._kill_target(error)
            raise error
        is_flow = isinstance(error, FlowControl)
        since_success = self.gate.on_refusal() if is_flow else 0.0
        can_resend = voyage.resent < resend_allowance(voyage.counts.num_rows)
        wait = next_wait(
            error, self.tries, voyage.policy, since_success=since_success, can_resend=can_resend
        )
        if wait is None:
            raise _final(error, self.tries, voyage.policy, since_success)
        if isinstance(error, MaybeBilled):
            voyage.resent += 1
        if is_flow:
            self.gate.pause(wait)
        elif wait > 0:
            await asyncio.sleep(wait)

    def _kill_target(self, error: LLMNBError) -> None:
        pool = self.call.target.pool
        if pool not in self.voyage.dead:
            self.voyage.dead[pool] = error
            self.voyage.on_dead(pool, error)

    # -------------------------------------------------------------------- landing

    async def _save(self, raw: RawReply, reply: Reply) -> Landing:
        """Commit the raw reply, then hand the answer out."""
        call, counts = self.call, self.voyage.counts
        target = call.target
        usd = target.price(reply.usage, reply.model)
        landing = Landing(
            reply=reply,
            raw=raw.body,
            model=target.model,
            provider=target.provider,
            usd=usd,
            seconds=None if self.started is None else self.gate.clock() - self.started,
            first_token_seconds=raw.first_token_seconds,
            attempts=self.attempts,
            simulated=target.is_simulated(raw),
            store=self.voyage.store,
        )
        if reply.usage is not None:
            counts.prompt_tokens += reply.usage.prompt
            counts.completion_tokens += reply.usage.completion
        if usd is None:
            counts.num_unpriced += 1
        else:
            counts.usd += usd
        landing.entry = self._entry(raw.body, reply, landing)
        landing.is_saved = await self._put(landing.entry)
        landing.error = objection(reply, call.body, raw.body)
        if landing.error is not None:
            self._describe(landing.error)
        return landing

    async def _keep_unread(self, error: BadReply) -> None:
        """Save bytes that could not be read: a better reader may read them for nothing."""
        raw = error.details.raw
        if raw:
            call = self.call
            landing = Landing(model=call.target.model, provider=call.target.provider)
            await self._put(self._entry(raw, None, landing))

    async def _put(self, entry: Entry) -> bool:
        try:
            await self.voyage.store.aput(entry)
        except StoreError as error:
            self.voyage.counts.num_unsaved += 1
            if self.voyage.store_error is None:
                self.voyage.store_error = error
                self.voyage.on_dead("", error)
            return False
        return True

    def _entry(self, raw: bytes, reply: Reply | None, landing: Landing) -> Entry:
        usage = reply.usage if reply is not None else None
        call = self.call
        return Entry(
            key=call.key,
            request=call.canonical,
            raw=raw,
            dialect=call.target.dialect_name,
            provider=call.target.provider,
            model=call.target.model,
            quality="bad" if reply is None else reply.quality,
            usd=landing.usd,
            prompt_tokens=usage.prompt if usage is not None else None,
            completion_tokens=usage.completion if usage is not None else None,
            seconds=landing.seconds,
            created=Clock.wall(),
            simulated=landing.simulated,
        )

    def _failed(self, error: LLMNBError) -> Landing:
        self._describe(error)
        target = self.call.target
        return Landing(
            error=error,
            model=target.model,
            provider=target.provider,
            seconds=None if self.started is None else self.gate.clock() - self.started,
            attempts=self.attempts,
        )

    def _describe(self, error: LLMNBError) -> None:
        target = self.call.target
        error.with_details(
            provider=error.details.provider or target.provider,
            model=error.details.model or target.model,
            attempts=self.attempts,
            history=tuple(self.history),
        )


def _count(error: LLMNBError, counts: StatusTracker) -> None:
    if isinstance(error, FlowControl):
        counts.num_rate_limit_errors += 1
        counts.time_of_last_rate_limit_error = Clock.wall()
    elif error.details.status is not None:
        counts.num_api_errors += 1
    else:
        counts.num_other_errors += 1


def _unexpected(cause: Exception) -> LLMNBError:
    error = LLMNBError(
        f"llmnb itself failed on this row ({type(cause).__name__}); the log has the details. "
        "Please report it. The other rows go on.",
        maybe_billed=True,
    )
    error.__cause__ = cause
    return error


def copied(error: LLMNBError) -> LLMNBError:
    """Return a twin of an error, so that rows do not share one object's details."""
    kind, arguments = error.__reduce__()[:2]
    twin: LLMNBError = kind(*arguments)
    return twin


def _final(
    error: LLMNBError, tries: Tries, policy: RetryPolicy, since_success: float
) -> LLMNBError:
    """Say why nothing more is tried, where the error itself cannot know."""
    hint = error.details.retry_after
    text = error.message
    if hint is not None and hint > LONGEST_SERVER_WAIT:
        when = Clock.wall() + hint
        text += f"\nIt asks to come back in {_span(hint)}, at {_time_of_day(when)}; run again then."
    elif isinstance(error, FlowControl):
        text += (
            f"\nIt has refused for {_span(since_success)} without one answer. Finished rows are "
            f"kept: run again later, or allow longer waits with max_wait={policy.max_wait * 2:.0f}."
        )
    elif tries.failures >= policy.max_attempts > 1:
        text += (
            f"\nGiven up after {tries.failures} attempts; run again to ask only what is missing."
        )
    else:
        return error
    twin = copied(error)
    twin.args = (text,)
    return twin


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _time_of_day(wall: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(wall))
