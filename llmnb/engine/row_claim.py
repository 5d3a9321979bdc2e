"""Whether a row may be asked here, or another process or another run is asking it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from llmnb.engine.persistence import stored_answer
from llmnb.engine.run_context import Asker, RunContext
from llmnb.engine.shared import SharedRequest, StoredAnswer, engine
from llmnb.engine.status import Clock
from llmnb.engine.target import Call
from llmnb.records import REQUEST_SECONDS

NEVER = -1
"""What no project's claims return: the store is looked up again."""

ELSEWHERE_SECONDS = 2 * REQUEST_SECONDS
"""How long a row waits for another process that asks it: longer than any request takes, so that
process stands still (it was stopped, or its machine was) and may never go on."""

SOONEST_LOOK_SECONDS, LATEST_LOOK_SECONDS = 0.02, 1.0
"""How soon, and at most how seldom, a row looks whether another process still asks it."""


class AskedElsewhere(Exception):
    """Another process is asking the row, or another run while its own was paused."""


class AnsweredMeanwhile(Exception):
    """Another process has asked the row, and its answer is in the store."""

    def __init__(self, stored: StoredAnswer) -> None:
        super().__init__(stored.entry.key)
        self.stored = stored


@dataclass(slots=True, eq=False)
class ClaimedRequest(SharedRequest):
    """A request whose row is claimed among all processes of the project before it is sent.

    Args:
        context: The run.
        left: The row's question to each target that is still to be asked, the first choice first.
        stored: An answer from the store that only needs to be repaired.
        seen: What the project's claims returned before the latest look-up of the row.
    """

    context: RunContext
    left: list[Call]
    stored: StoredAnswer | None
    seen: int
    _waits_on: asyncio.Future[Any] | None = field(default=None, init=False)
    _misfit: bytes | None = field(default=None, init=False)
    """A stored answer that does not fit, and is not looked for again."""

    _waited_since: float | None = field(default=None, init=False)
    """When the row first met another process that was asking it."""

    _waits_no_more: bool = field(default=False, init=False)
    """Whether it has waited long enough for other processes."""

    def release_claim(self) -> None:
        """Let other processes ask the row; while its request stands aside, it claims nothing."""
        claims = self.context.claims
        if claims is not None and not self.is_aside:
            claims.release(self.key)

    async def _look_before_sending(self) -> None:
        """Return if the row is still to be asked, and claimed.

        Raises:
            AskedElsewhere: If another process is asking it.
            AnsweredMeanwhile: If another process has asked it.
        """
        claims = self.context.claims
        if claims is not None and not claims.take(self.key) and not self._waits_no_more:
            raise AskedElsewhere
        await self._look_again()

    async def _wait_for_others(self) -> None:
        """Return once nobody else asks the row, or stands still. Raises `AnsweredMeanwhile`."""
        waiting, since = self.context.waiting_rows, Clock.monotonic()
        if self._waited_since is None:
            self._waited_since = since
        asker: Asker | None = self._asker() or "process"
        while asker is not None:
            waiting[asker] += 1
            try:
                # A quarter of the time so far: many rows may wait, each for a minute.
                delay = max((Clock.monotonic() - self._waited_since) / 4, SOONEST_LOOK_SECONDS)
                await self._sleep(min(delay, LATEST_LOOK_SECONDS))
            finally:
                waiting[asker] -= 1
            asker = self._asker()
            if asker == "process" and Clock.monotonic() - since > ELSEWHERE_SECONDS:
                self._waits_no_more = True
                break
        await self._look_again()

    def _asker(self) -> Asker | None:
        """Return who else asks the row at present."""
        if self.is_aside and self.key in engine().requests:
            return "run"
        claims = self.context.claims
        is_taken = claims is not None and claims.is_taken_elsewhere(self.key)
        return "process" if is_taken else None

    async def _look_again(self) -> None:
        """Look the row up in the store once more. Raises `AnsweredMeanwhile`."""
        context = self.context
        if context.claims is None:
            return
        self.seen = context.claims.look()
        entries = await context.look_up([call.key for call in self.left])
        fitting = {key: entry for key, entry in entries.items() if entry.raw != self._misfit}
        stored = stored_answer(self.left, fitting, context.options.good_finish)
        if stored is not None:
            raise AnsweredMeanwhile(stored)

    async def _sleep(self, seconds: float) -> None:
        """Sleep, unless what it waits on is ended."""
        loop = asyncio.get_running_loop()
        self._waits_on = asleep = loop.create_future()
        timer = loop.call_later(seconds, _end, asleep)
        try:
            await asleep
        finally:
            timer.cancel()


def _end(wait: asyncio.Future[Any]) -> None:
    if not wait.done():
        wait.set_result(None)
