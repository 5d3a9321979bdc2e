"""The simulated provider with what only this project's tests need.

A `Laboratory` is used as `llmnb.testing.SimulatedProvider` is, `spawn` included. It adds
what a test decides while requests are under way (`hold`, `release`), more that can be waited
for, and a script of what goes wrong with batches (`batches.script`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from reply_gate import ReplyGate, Where
from scripted_batches import ScriptedBatches

from llmnb.testing import Ledger, LedgerTotals, SimulatedProvider
from llmnb.testing.options import Behaviour
from llmnb.testing.plan import Plan
from llmnb.testing.request_handler import RequestHandler


async def await_until(
    ledger: Ledger, is_met: Callable[[LedgerTotals], bool], timeout: float = 30.0
) -> None:
    """Wait until a ledger's totals satisfy a condition, without blocking the running loop."""
    await asyncio.to_thread(ledger.wait_until, is_met, timeout)


class LaboratoryHandler(RequestHandler):
    """A request handler that holds replies back, and whose batches follow a script."""

    batches_class = ScriptedBatches

    def __init__(self, behaviour: Behaviour) -> None:
        super().__init__(behaviour)
        self.gate = ReplyGate()

    def holds_back(self, plan: Plan) -> bool:
        """Whether the gate is closed for a request that was let in."""
        return plan.holds and self.gate.is_closed

    async def passage(self, plan: Plan) -> None:
        """Wait at the gate."""
        if plan.request is not None:
            await self.gate.passage(plan.request)


class Laboratory(SimulatedProvider):
    """A simulated provider for this project's own tests; keywords as for its base."""

    handler_class = LaboratoryHandler

    def hold(self, where: Where | None = None) -> None:
        """Hold replies back from now on: all, or those to requests for which `where` is true.

        Requests are received and entered in the ledger as ever. Refusals by
        limits are not held.
        """
        self._handler.gate.hold(where)

    def release(self, replies: int | None = None) -> None:
        """Let so many held replies go, in the order they came; None lets all go from now on."""
        self._handler.gate.release(replies)

    async def await_until(
        self, is_met: Callable[[LedgerTotals], bool], timeout: float = 30.0
    ) -> None:
        """Wait as `wait_until` does, without blocking the running loop."""
        await await_until(self.ledger, is_met, timeout)

    async def await_received(self, requests: int, timeout: float = 30.0) -> None:
        """Wait until so many requests have come."""
        await self.await_until(lambda totals: totals.received >= requests, timeout)

    def wait_idle(self, timeout: float = 30.0) -> None:
        """Block until nothing is in flight, so that cancelled requests are entered, too."""
        self.wait_until(lambda totals: totals.in_flight == 0, timeout)

    async def await_idle(self, timeout: float = 30.0) -> None:
        """Wait until nothing is in flight."""
        await self.await_until(lambda totals: totals.in_flight == 0, timeout)
