"""What all registry of one run share: the store, patience, counters, limits, and why to stop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from llmnb.decide.hedge import Hedger
from llmnb.decide.retry import ResendBudget, RetryPolicy
from llmnb.engine.backlog import Backlog
from llmnb.engine.budget import Budget
from llmnb.engine.counters import Counters
from llmnb.engine.gate import Gate
from llmnb.engine.target import Call, Target
from llmnb.engine.unreached import UNREACHED_SECONDS, unreached
from llmnb.errors import (
    ErrorDetails,
    FlowControl,
    LLMNBError,
    MaybeBilled,
    ProviderError,
    StoreError,
    Unsent,
)
from llmnb.records import Delta
from llmnb.store.claims import Claims
from llmnb.store.entry import Entry

Asker = Literal["process", "run"]
"""Who may ask the same row at the same time."""


class Saves(Protocol):
    """The part of a project's store that a request_task needs."""

    async def aput(self, entry: Entry) -> None:
        """Save an entry; returns once it is on disk. Raises `StoreError`."""

    def lookup(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Return what is already answered; may block, so it is called on a thread."""


@dataclass(slots=True, eq=False)
class RunContext:
    """What all registry of one run share."""

    run: object
    """Whose requests these are, at the gates."""

    store: Saves
    policy: RetryPolicy
    counters: Counters
    gate_of: Callable[[Call], Gate]
    backlog: Backlog
    time_limit: float | None = None
    """Seconds from a row's first dispatch to its end."""

    hedger: Hedger | None = None
    """Decides when a redundant request is worth it; None: never."""

    budget: Budget | None = None
    on_delta: Callable[[int, Delta], None] | None = None
    """Gets the pieces of every row's answer as they come."""

    use_cache: bool = True
    claims: Claims | None = None
    """Which rows this and other processes are asking; None where each run asks for itself."""

    waiting_rows: dict[Asker, int] = field(default_factory=lambda: {"process": 0, "run": 0})
    """Rows that wait at this moment for whoever else asks them: another process, or another run
    of this one."""

    good_finish: tuple[str, ...] = ()
    """Further reasons to end that are good."""

    disabled: dict[str, LLMNBError] = field(default_factory=dict)
    """Pools that are asked nothing more in this run."""

    end: LLMNBError | None = None
    """Why nothing at all is sent any more: answers cannot be saved, or the budget is reached."""

    is_stopped: bool = False
    """Whether the person has stopped the run: what is on its way is finished, nothing is sent
    again."""

    resends: ResendBudget = field(default_factory=ResendBudget)
    """Says whether a row may be sent again after a perhaps billed request."""

    resumed: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared while the person has paused the run."""

    prepare: Callable[[], None] | None = None
    """Called once on a thread before the first request; None once it has been."""

    _ready: asyncio.Future[None] | None = None
    _watched: dict[str, asyncio.TimerHandle] = field(default_factory=dict)
    on_disabled: Callable[[str, LLMNBError], None] = lambda pool, error: None
    """Told once when a pool, or with "" everything, dies."""

    @property
    def streams(self) -> bool:
        """Whether answers are asked for piece by piece."""
        return self.on_delta is not None or self.hedger is not None or self.time_limit is not None

    async def ready(self) -> None:
        """Wait until everything that requests need is there; with no `prepare` left it is."""
        if self._ready is None and self.prepare is not None:
            loop = asyncio.get_running_loop()
            self._ready = loop.run_in_executor(None, self.prepare)
        if self._ready is not None and not self._ready.done():
            await asyncio.shield(self._ready)
        self.prepare = None

    @property
    def store_error(self) -> StoreError | None:
        """Why answers cannot be saved."""
        return self.end if isinstance(self.end, StoreError) else None

    def why_disabled(self, pool: str) -> LLMNBError | None:
        """Return why nothing more may be sent to a pool."""
        return self.end or self.disabled.get(pool)

    def disable(self, pool: str, error: LLMNBError) -> None:
        """Send nothing more to a pool; "" is all of them. Only the first reason counts.

        Rows that were not sent get an error that says why, and nothing of the request that
        failed: it was not theirs.
        """
        if not pool:
            if self.end is not None:
                return
            self.end = _for_unsent_rows(error)
        elif pool in self.disabled:
            return
        else:
            self.disabled[pool] = _for_unsent_rows(error)
        self.on_disabled(pool, error)

    def watch(self, target: Target, gate: Gate) -> None:
        """Give a target up for this run if nothing at all comes from it in a while."""
        if target.pool in self._watched:
            return
        loop = asyncio.get_running_loop()
        self._watched[target.pool] = loop.call_later(UNREACHED_SECONDS, self._give_up, target, gate)

    def _give_up(self, target: Target, gate: Gate) -> None:
        if not gate.health.has_answered:
            self.disable(target.pool, unreached(target, gate.health.cause))

    def using_claims(self) -> contextlib.AbstractContextManager[None]:
        """Return what keeps the files of claims open until the run ends."""
        return contextlib.nullcontext() if self.claims is None else self.claims.in_use()

    def close(self) -> None:
        """End what waits for a time that comes after the run."""
        for timer in self._watched.values():
            timer.cancel()


def _for_unsent_rows(error: LLMNBError) -> LLMNBError:
    """Return what a row gets that was not sent because of another row's error."""
    twin = copied(error)
    told = error.details
    if isinstance(error, (FlowControl, MaybeBilled, ProviderError)):
        twin = Unsent(f"Not sent. The last word from there was: {error.message}")
    twin.details = ErrorDetails(
        provider=told.provider, model=told.model, retry_after=told.retry_after, cause=told.cause
    )
    return twin


def copied(error: LLMNBError) -> LLMNBError:
    """Return a twin of an error, so that rows do not share one object's details."""
    kind, arguments = error.__reduce__()[:2]
    twin: LLMNBError = kind(*arguments)
    return twin
