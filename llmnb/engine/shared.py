"""What all runs of a process share: the registry in the air, the gates before the targets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from llmnb import bridge
from llmnb.engine.coalesce import InFlightRegistry
from llmnb.engine.gate import Gate
from llmnb.engine.status import Clock
from llmnb.engine.target import Call, Target
from llmnb.rate_limiter import GLOBAL_LIMITER
from llmnb.rate_limiter.group import LimitGroup

DRAIN_SECONDS = 10.0
"""Requests in flight at a stop, or at the process's end, are finished and stored for so long."""


class Engine:
    """InFlightRegistry, gates and background work; lives on the loop thread."""

    def __init__(self) -> None:
        self.registry = InFlightRegistry()
        self.gates: dict[str, Gate] = {}
        self._targets: dict[str, Target] = {}
        self._bound: dict[str, LimitGroup] = {}
        """The limits of `GLOBAL_LIMITER` that bind a pool."""
        self.tasks: set[asyncio.Task[Any]] = set()
        """What is under way; whoever adds a task sees to it that it leaves at its end."""
        self.paused: set[Callable[[], None]] = set()
        """Stops the runs that are paused now: nobody will resume one once the process ends."""

    def gate_of(self, call: Call) -> Gate:
        """Return the gate of the pool that a call draws on."""
        target = call.target
        gate = self.gates.get(target.pool)
        if gate is None:
            if not self.gates:
                self._follow_the_limiter()
            gate = self.gates[target.pool] = Gate(target.limits, clock=Clock.monotonic)
            self._targets[target.pool] = target
            GLOBAL_LIMITER.count_users(target.pool, gate.know_of)
        self._bind(target, gate)
        return gate

    def _bind(self, target: Target, gate: Gate) -> None:
        """Have a gate keep to what the limiter says of its target now."""
        binding = GLOBAL_LIMITER.binding(target.provider, target.model)
        before = self._bound.get(target.pool)
        if binding == (None if before is None else before.binding):
            return
        if before is not None:
            self._bound.pop(target.pool).close()
        if binding is None:
            gate.bind(None)
            return
        bound = self._bound[target.pool] = GLOBAL_LIMITER.bind(binding, gate.advance)
        gate.bind(bound)

    def _follow_the_limiter(self) -> None:
        """Have changes of the limiter's rates hold for runs under way."""
        loop = asyncio.get_running_loop()

        def rebind() -> None:
            for pool, gate in self.gates.items():
                self._bind(self._targets[pool], gate)

        def on_change() -> None:
            if loop.is_closed():
                stop()
            else:
                loop.call_soon_threadsafe(rebind)

        stop = GLOBAL_LIMITER.follow(on_change)

    def look_after(self, task: asyncio.Task[Any]) -> None:
        """Keep a task alive until it is done."""
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def drain(self) -> None:
        """Give what is in flight its ten seconds before the process ends."""
        for stop in list(self.paused):
            stop()
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=DRAIN_SECONDS)
        for task in self.tasks:
            task.cancel()


def engine() -> Engine:
    """Return the engine of the loop thread; call it there."""
    return bridge.per_loop("engine", Engine, Engine.drain)
