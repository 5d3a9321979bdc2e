"""The simulated provider with what only this project's tests and benchmarks need.

A `Laboratory` is used as `llmnb.testing.SimulatedProvider` is. It adds what a test decides
while requests are under way (`hold`, `release`), more that can be waited for, a script of what
goes wrong with batches (`batches.script`), rarer limits and latencies, a second server
(`transport="fast"`) and a process of its own (`spawn`). Replies of damaged bytes are in
`laboratory.hostile_replies`, questions to its ledger in `laboratory.ledger_queries` and
`laboratory.windows`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from laboratory import fast_server
from laboratory.latencies import rest_of
from laboratory.ledger_queries import dump
from laboratory.limits import LaboratoryLimits, LaboratoryLimitSettings, family_headers
from laboratory.reply_gate import ReplyGate, Where
from laboratory.scripted_batches import ScriptedBatches
from laboratory.spawned import SpawnedProvider
from llmnb.option_kinds import choice
from llmnb.options import Option
from llmnb.testing import Ledger, LedgerTotals, SimulatedProvider, SimulatedRequest
from llmnb.testing.limits import setting
from llmnb.testing.options import Behaviour
from llmnb.testing.plan import ReplyPlan
from llmnb.testing.provider_profiles import OPENAI, ProviderProfile
from llmnb.testing.request_handler import RequestHandler


async def await_until(
    ledger: Ledger, is_met: Callable[[LedgerTotals], bool], timeout: float = 30.0
) -> None:
    """Wait until a ledger's totals satisfy a condition, without blocking the running loop."""
    await asyncio.to_thread(ledger.wait_until, is_met, timeout)


@dataclass(frozen=True, kw_only=True)
class LaboratoryBehaviour(LaboratoryLimitSettings, Behaviour):
    """How a laboratory behaves: its keywords as a single value."""

    transport: Literal["aiohttp", "fast"] = "aiohttp"
    """Which server carries it: aiohttp's, or the bare one for benchmarks."""

    checks: ClassVar[Mapping[str, Option]] = {
        **Behaviour.checks,
        **LaboratoryLimitSettings.checks,
        "transport": setting(choice("aiohttp", "fast")),
    }


class LaboratoryHandler(RequestHandler):
    """A request handler that holds replies back, and whose batches follow a script."""

    batches_class = ScriptedBatches
    limits_class = LaboratoryLimits

    def __init__(self, behaviour: Behaviour) -> None:
        super().__init__(behaviour)
        self.gate = ReplyGate()

    def holds_back(self, plan: ReplyPlan) -> bool:
        """Whether the gate is closed for a request that was let in."""
        return plan.was_admitted and self.gate.is_closed

    async def passage(self, plan: ReplyPlan) -> None:
        """Wait at the gate."""
        if plan.request is not None and self.holds_back(plan):
            await self.gate.passage(plan.request)

    def ledger_page(self, method: str, query: str) -> dict[str, Any]:
        """Return the ledger with its rows where ``?rows`` asks for them; begin it anew (DELETE)."""
        if method == "DELETE":
            self.ledger.reset()
            self.started = None
        page = dump(self.ledger, rows="rows" in query and self.ledger.keep_rows)
        page["cpu_seconds"] = {"thread": time.thread_time(), "process": time.process_time()}
        return page

    def limit_headers(self, profile: ProviderProfile, now: float) -> dict[str, str]:
        """Return the headers that tell how the limits stand, in the names of the family set."""
        family = self.limits.settings.limit_headers
        if isinstance(family, str) and profile is OPENAI:
            return family_headers(family, self.limits.standings(now))
        return super().limit_headers(profile, now)

    def waits(self, request: SimulatedRequest, plan: ReplyPlan) -> tuple[float, float | None]:
        """Return the seconds until the first byte, and the tokens a second after it."""
        draw = {"seed": self.behaviour.seed, "in_flight": self.ledger.in_flight}
        rest = rest_of(self.latency, request.number, **draw)
        if rest is None:
            return super().waits(request, plan)
        first = self.latency.seconds(request.number, **draw)
        if plan.stream is None:
            return first + (rest if plan.answer.completion_tokens > 1 else 0.0), None
        later_tokens = len(plan.stream.token_events) - 1
        return first, later_tokens / rest if later_tokens > 0 and rest > 0 else None


class Laboratory(SimulatedProvider):
    """A simulated provider for this project's own tests; keywords as for its base."""

    handler_class = LaboratoryHandler
    behaviour_class = LaboratoryBehaviour

    async def serve(self, port: int, on_listening: Callable[[int], object]) -> None:
        """Serve until cancelled, on the server that is asked for."""
        if self._behaviour.transport == "fast":
            await fast_server.serve(self._handler, port, on_listening)
        else:
            await super().serve(port, on_listening)

    @classmethod
    def spawn(cls, *, transport: str = "fast", **options: Any) -> SpawnedProvider:
        """Start one in another process, so that it takes no time from a client that is measured.

        Args:
            transport: Which server carries it.
            **options: Keywords as for the class; functions among them must stand in a module.
        """
        return SpawnedProvider(cls, transport=transport, **options)

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
