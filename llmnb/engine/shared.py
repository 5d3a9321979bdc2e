"""What all runs of a process share: the requests in flight, and the gates before the targets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from llmnb import bridge
from llmnb.engine.gate import Gate
from llmnb.engine.status import Clock
from llmnb.engine.target import Call, Target
from llmnb.errors import LLMNBError
from llmnb.rate_limiter import GLOBAL_LIMITER
from llmnb.rate_limiter.group import LimitGroup
from llmnb.records import Outcome, Reply
from llmnb.store.entry import Entry

DRAIN_SECONDS = 10.0
"""Requests in flight at a stop, or at the process's end, are finished and stored for so long."""


class StoredAnswer(NamedTuple):
    """What the store holds of a row."""

    call: Call
    entry: Entry
    reply: Reply
    error: LLMNBError | None = None
    """Why it is no good answer, though it is not bought again."""

    def outcome(self, row: int) -> Outcome:
        """Return the outcome of a row that it answers, at no cost."""
        entry, target = self.entry, self.call.target
        return Outcome(
            row=row,
            reply=self.reply,
            error=self.error,
            key=self.call.key,
            provider=target.provider,
            model=target.model,
            source="cached" if entry.reused_from is None else "reused",
            simulated=entry.simulated,
            usd=0.0,
            saved_usd=entry.usd,
        )


@dataclass(slots=True, eq=False)
class TaskResult:
    """How a request task ended."""

    outcome: Outcome | None
    """The outcome of the row that opened it; None where `stored` answers the row."""

    entry: Entry | None = None
    """What was saved, so that a waiter of another project can save it too."""

    store: object = None
    """The store it was saved in."""

    stored: StoredAnswer | None = None
    """What the store held when the row's turn came, since another process had asked it: all who
    want the row take it from there."""


Waiter = Callable[[TaskResult, bool], None]
"""Called once, on the loop thread, with the result and whether somebody else's request brought
it."""


@dataclass(slots=True, eq=False)
class SharedRequest:
    """A request that several rows, of several runs, may wait for.

    While its run is paused, or blocked by a rate of its own, it stands aside: it takes no further
    waiters, and those who want the same answer open a request of their own.
    """

    key: str
    """Key of what is asked."""

    context: object
    """The run whose request it is."""

    is_aside: bool = field(default=False, init=False)
    waiters: list[tuple[Waiter, object]] = field(default_factory=list, init=False)
    """Who gets the result, and for which run; the row that opened the request comes first."""

    def stand_aside_if_slowed(self) -> None:
        """Stand aside where only its own run holds it back; called when another run comes."""

    def leave_registry(self, result: TaskResult) -> None:
        """Take no further waiters, and give those of other runs this result."""
        if self.is_aside:
            return
        self.is_aside = True
        del engine().requests[self.key]
        others = [waiter for waiter, run in self.waiters if run is not self.context]
        self.waiters = [(waiter, run) for waiter, run in self.waiters if run is self.context]
        for waiter in others:
            waiter(result, True)

    def rejoin_registry(self) -> bool:
        """Take waiters again; return False while another request asks for the same."""
        requests = engine().requests
        if self.key in requests:
            return False
        requests[self.key] = self
        self.is_aside = False
        return True


class Engine:
    """Requests in flight, by the key of what they ask, gates and background work.

    Lives on the loop thread. A result that comes while somebody is still looking the store up is
    kept until that look-up ends: the look-up may have begun before the commit, and would otherwise
    buy the answer again.
    """

    def __init__(self) -> None:
        self.requests: dict[str, SharedRequest] = {}
        """Those that take waiters."""

        self._results: dict[str, TaskResult] = {}
        """Answers that came while a look-up was under way."""

        self._lookups = 0
        self.gates: dict[str, Gate] = {}
        self._targets: dict[str, Target] = {}
        self.tasks: set[asyncio.Task[Any]] = set()
        """Tasks under way; each is discarded when it is done."""

    @contextmanager
    def lookup(self) -> Iterator[None]:
        """Keep results for as long as a look-up in the store takes."""
        self._lookups += 1
        try:
            yield
        finally:
            self._lookups -= 1
            if not self._lookups:
                self._results.clear()

    def join(self, key: str, waiter: Waiter, run: object) -> bool:
        """Wait for a request in flight, or get its result at once; return False if there is none.

        Args:
            key: Key of what is asked.
            waiter: Gets the result.
            run: Whose row it is.
        """
        request = self.requests.get(key)
        if request is not None and request.context is not run:
            request.stand_aside_if_slowed()
            request = self.requests.get(key)
        if request is not None:
            request.waiters.append((waiter, run))
            return True
        if (result := self._results.get(key)) is None:
            return False
        waiter(result, True)
        return True

    def resolve(self, request: SharedRequest, result: TaskResult) -> None:
        """Close a request and give every waiter its result."""
        if not request.is_aside:
            del self.requests[request.key]
        outcome = result.outcome
        # What came out of a store is found there, by those who may look into it.
        if self._lookups and outcome is not None and outcome.error is None:
            self._results[request.key] = result
        is_merged = False
        for waiter, _ in request.waiters:
            waiter(result, is_merged)
            is_merged = True

    def gate_of(self, target: Target) -> Gate:
        """Return the gate of a target's pool."""
        gate = self.gates.get(target.pool)
        if gate is None:
            if not self.gates:
                self._follow_the_limiter()
            gate = self.gates[target.pool] = Gate(target.limits, clock=Clock.monotonic)
            self._targets[target.pool] = target
            GLOBAL_LIMITER.count_users(target.pool, gate.account.announced.on_processes)
        self._bind(target, gate)
        return gate

    def _bind(self, target: Target, gate: Gate) -> None:
        """Hold a gate to the limits that `GLOBAL_LIMITER` has for its target now."""
        binding = GLOBAL_LIMITER.binding(target.provider, target.model)
        group = gate.account.admission.bound
        known = group.binding if isinstance(group, LimitGroup) else None
        if binding == known:
            return
        if isinstance(group, LimitGroup):
            group.close()
        gate.bind(None if binding is None else GLOBAL_LIMITER.bind(binding, gate.advance))

    def _follow_the_limiter(self) -> None:
        """Have changes of the limiter's rates hold for runs under way."""
        loop = asyncio.get_running_loop()

        def rebind() -> None:
            for pool, gate in self.gates.items():
                self._bind(self._targets[pool], gate)

        def on_change() -> None:
            with suppress(RuntimeError):  # the loop was closed
                loop.call_soon_threadsafe(rebind)

        GLOBAL_LIMITER.follow(on_change)

    def look_after(self, task: asyncio.Task[Any]) -> None:
        """Keep a task alive until it is done."""
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


def engine() -> Engine:
    """Return the engine of the loop thread; call it there."""
    return bridge.per_loop("engine", Engine)
