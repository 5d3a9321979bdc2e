"""What all runs of a process share: the flights in the air, the gates before the targets."""

from __future__ import annotations

import asyncio
from typing import Any

from llmnb import bridge
from llmnb.engine.coalesce import Flights
from llmnb.engine.gate import Gate
from llmnb.engine.status import Clock
from llmnb.engine.target import Call

DRAIN_SECONDS = 10.0
"""Requests in flight at a stop, or at the process's end, are finished and stored for so long."""


class Engine:
    """Flights, gates and background work; lives on the loop thread."""

    def __init__(self) -> None:
        self.flights = Flights()
        self.gates: dict[str, Gate] = {}
        self.tasks: set[asyncio.Task[Any]] = set()
        """What is under way; whoever adds a task sees to it that it leaves at its end."""

    def gate_of(self, call: Call) -> Gate:
        """Return the gate of the pool that a call draws on."""
        target = call.target
        gate = self.gates.get(target.pool)
        if gate is None:
            gate = self.gates[target.pool] = Gate(target.limits, clock=Clock.monotonic)
        return gate

    def look_after(self, task: asyncio.Task[Any]) -> None:
        """Keep a task alive until it is done."""
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def drain(self) -> None:
        """Give what is in flight its ten seconds before the process ends."""
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=DRAIN_SECONDS)
        for task in self.tasks:
            task.cancel()


def engine() -> Engine:
    """Return the engine of the loop thread; call it there."""
    return bridge.per_loop("engine", Engine, Engine.drain)
