"""What all request tasks of one run share: options, store, gates, counters, and why to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from llmnb.decide.hedge import Hedger
from llmnb.decide.retry import ResendBudget, RetryPolicy
from llmnb.display import moments
from llmnb.engine.attempt import Backlog
from llmnb.engine.budget import Budget
from llmnb.engine.counters import Counters
from llmnb.engine.gate import Gate
from llmnb.engine.row_errors import UNREACHED_SECONDS, for_unsent_rows, not_asked, unreached
from llmnb.engine.shared import engine
from llmnb.engine.target import Call, Target
from llmnb.errors import LLMNBError
from llmnb.records import Delta, Limits
from llmnb.store.claims import Claims
from llmnb.store.entry import Entry
from llmnb.store.run_index_writer import RunIndexWriter

LIMITS = {
    "max_requests_per_minute": "requests_per_minute",
    "max_tokens_per_minute": "tokens_per_minute",
    "max_concurrent_requests": "concurrency",
}
"""Fields of `Limits` by the names of the options, which are those of the settings."""

Asker = Literal["process", "run"]
"""Who may ask the same row at the same time."""


class Store(Protocol):
    """The part of a project's store that a run needs."""

    enough: int
    """Answers that are worth a commit of their own, however soon after the last."""

    @property
    def name(self) -> str:
        """Name of the project."""

    @property
    def claims(self) -> Claims | None:
        """Which answers other processes are asking for; None where nobody else can be."""

    async def aput(self, entry: Entry) -> None:
        """Save an entry; returns once it is on disk. Raises `StoreError`."""

    def lookup(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Return what is already answered; may block, so it is called on a thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a run behaves."""

    policy: RetryPolicy = field(default_factory=RetryPolicy)
    limits: Limits = field(default_factory=Limits)
    """The limits of this run alone, at every target."""

    account: Limits = field(default_factory=Limits)
    """Limits that hold for all runs of an account together, such as configured ones."""

    pool_limits: Mapping[str, Limits] = field(default_factory=dict)
    """Further limits of accounts, by pool, such as those that a model's own config sets."""

    use_cache: bool = True
    """False skips reading what is stored; answers are stored all the same."""

    good_finish: tuple[str, ...] = ()
    """Reasons to end that are good though no dialect's table has them."""

    window: int | None = None
    """Rows between being pulled and being released; None: from the concurrency."""

    time_limit: float | None = None
    """Seconds from a row's first dispatch to its end."""

    hedge_after: float | Literal["p95"] | None = None
    """When a redundant request is sent for a row without a first token: seconds, or the run's
    own 95th percentile; None: never."""

    budget_usd: float | None = None
    """Dollars that the run may spend; the most that a request may cost is reserved before it is
    sent."""

    budget: Budget | None = None
    """What they are taken from; several runs may share it."""

    prepare: Callable[[], None] | None = None
    """Called once on a thread before the first request; requests wait for its end."""

    on_delta: Callable[[int, Delta], None] | None = None
    """Gets the pieces of every row's answer as they come, on the loop thread."""

    streams: bool = False
    """Whether outcomes are handed over and forgotten, instead of kept for `result()`."""

    index: RunIndexWriter | None = None
    """Takes down what becomes of every row; None: nothing is written down."""

    in_order: bool = True
    """Whether outcomes that are handed over come in the order of the rows, or as they are ready."""


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool that a run uses."""

    target: Target
    gate: Gate
    waited_before: float
    """Seconds of pauses that its provider had asked for when the run came."""


class RunContext:
    """What all request tasks of one run share; the run's identity at the gates.

    Args:
        store: The project's store.
        options: How the run behaves.
        on_disabled: Called once when a pool, or with "" everything, is disabled.
    """

    def __init__(
        self, store: Store, options: RunOptions, on_disabled: Callable[[str, LLMNBError], None]
    ) -> None:
        self.store = store
        self.options = options
        self.counters = Counters()
        self.pools: dict[str, Pool] = {}
        """Pools in use, by name."""

        self.backlog = Backlog(0)
        self.claims = store.claims if options.use_cache else None
        """Which rows this and other processes are asking; None where each run asks for itself."""

        self.hedger = None if options.hedge_after is None else Hedger(options.hedge_after)
        """Decides when a redundant request is worth it; None: never."""

        needs_streams = (options.on_delta, options.hedge_after, options.time_limit)
        self.streams = needs_streams != (None, None, None)
        """Whether answers are asked for piece by piece."""

        self.waiting_rows: dict[Asker, int] = {"process": 0, "run": 0}
        """Rows that another process, or another run of this one, is asking at this moment."""

        self.disabled: dict[str, LLMNBError] = {}
        """Pools that are asked nothing more in this run."""

        self.end: LLMNBError | None = None
        """Why nothing at all is sent any more: answers cannot be saved, or the budget is
        reached."""

        self.is_stopped = False
        """Whether the person has stopped the run: what is on its way is finished, nothing new is
        sent."""

        self.resends = ResendBudget()
        """Says whether a row may be sent again after a perhaps billed request."""

        self.resumed = asyncio.Event()
        """Cleared while the person has paused the run."""

        self.resumed.set()
        self.must_prepare = options.prepare is not None
        """Whether requests must wait for `ready`."""

        self._preparing: asyncio.Future[None] | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._on_disabled = on_disabled

    def __str__(self) -> str:
        """Return how another run's card names this one."""
        return f"run “{self.store.name}” of {moments.clock(self.counters.started_at)}"

    async def ready(self) -> None:
        """Wait until everything that requests need is there."""
        if self._preparing is None:
            assert self.options.prepare is not None
            loop = asyncio.get_running_loop()
            self._preparing = loop.run_in_executor(None, self.options.prepare)
        await asyncio.shield(self._preparing)
        self.must_prepare = False

    async def look_up(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Return what the store holds under these keys."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, self.store.lookup, keys)

    # ----------------------------------------------------------------------- the gates

    def gate_of(self, call: Call) -> Gate:
        """Return the gate of the pool that a call draws on, held to the run's limits."""
        target = call.target
        pool = self.pools.get(target.pool)
        if pool is None:
            gate = engine().gate_of(target)
            pool = self.pools[target.pool] = Pool(target, gate, gate.waited)
            self._claim_limits(pool)
        return pool.gate

    def claim_limits(self) -> None:
        """Hold every pool to the limits in `options`, which have changed."""
        for pool in self.pools.values():
            self._claim_limits(pool)

    def _claim_limits(self, pool: Pool) -> None:
        options = self.options
        account = options.account.intersect(options.pool_limits.get(pool.target.pool) or Limits())
        pool.gate.claim(self, options.limits, account)
        if not self.resumed.is_set():
            pool.gate.pause_run(self)

    def pause(self) -> None:
        """Send nothing new until `resume`."""
        self.resumed.clear()
        for pool in self.pools.values():
            pool.gate.pause_run(self)

    def resume(self) -> None:
        """Let requests go again."""
        self.resumed.set()
        for pool in self.pools.values():
            pool.gate.resume_run(self)

    # ------------------------------------------------------------- what is asked no more

    def why_disabled(self, pool: str) -> LLMNBError | None:
        """Return why nothing more may be sent to a pool."""
        if self.is_stopped and self.end is None:
            return not_asked()
        return self.end or self.disabled.get(pool)

    def disable(self, pool: str, error: LLMNBError) -> None:
        """Send nothing more to a pool; "" is all of them. Only the first reason counts.

        Rows that were not sent get an error that says why, and nothing of the request that
        failed: it was not theirs.
        """
        if pool in self.disabled or (not pool and self.end is not None):
            return
        if pool:
            self.disabled[pool] = for_unsent_rows(error)
        else:
            self.end = for_unsent_rows(error)
        self._on_disabled(pool, error)

    def watch(self, target: Target, gate: Gate) -> None:
        """Give a target up for this run if nothing at all comes from it in a while."""
        if target.pool not in self._timers:
            loop = asyncio.get_running_loop()
            self._timers[target.pool] = loop.call_later(
                UNREACHED_SECONDS, self._give_up, target, gate
            )

    def _give_up(self, target: Target, gate: Gate) -> None:
        if not gate.health.has_answered:
            self.disable(target.pool, unreached(target, gate.health.cause))

    def close(self) -> None:
        """Forget the run at the gates, and whatever waits for a time after its end."""
        for timer in self._timers.values():
            timer.cancel()
        for pool in self.pools.values():
            pool.gate.release_claim(self)
