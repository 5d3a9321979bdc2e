"""Whether a row may be asked here, or another process or another run is asking it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from llmnb.engine.persistence import stored_answer
from llmnb.engine.run_context import Asker, RunContext
from llmnb.engine.shared import SharedRequest, StoredAnswer
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
        super().__init__(stored[1].key)
        self.stored = stored


@dataclass(slots=True, eq=False)
class RowClaim:
    """One row's claim among all processes of the project, and its look at the store."""

    context: RunContext
    key: str
    seen: int
    """What the project's claims returned before the latest look-up of the row."""

    misfit: bytes | None
    """A stored answer that does not fit, and is not looked for again."""

    _waited_since: float | None = field(default=None, init=False)
    """When the row first met another process that was asking it."""

    _waits_no_more: bool = field(default=False, init=False)
    """Whether it has waited long enough for other processes."""

    def release(self, request: SharedRequest) -> None:
        """Let other processes ask the row; while its request stands aside, it claims nothing."""
        claims = self.context.claims
        if claims is not None and not request.is_aside:
            claims.release(self.key)

    async def look_before_sending(self, calls: Sequence[Call]) -> None:
        """Return if the row is still to be asked, and claimed.

        Raises:
            AskedElsewhere: If another process is asking it.
            AnsweredMeanwhile: If another process has asked it.
        """
        claims = self.context.claims
        if claims is not None:
            if not claims.take(self.key) and not self._waits_no_more:
                raise AskedElsewhere
            await self._look_again(calls)

    async def wait_for_others(
        self,
        request: SharedRequest,
        calls: Sequence[Call],
        nap: Callable[[float], Awaitable[None]],
    ) -> None:
        """Return once nobody else asks the row, or stands still.

        Args:
            request: The row's request.
            calls: The question to each target.
            nap: Sleeps for so many seconds.

        Raises:
            AnsweredMeanwhile: If its answer is in the store.
        """
        waiting, since = self.context.waiting_rows, Clock.monotonic()
        if self._waited_since is None:
            self._waited_since = since
        asker = self._asker(request) or "process"
        waiting[asker] += 1
        try:
            while True:
                # A quarter of the time so far: many rows may wait, each for a minute.
                delay = max((Clock.monotonic() - self._waited_since) / 4, SOONEST_LOOK_SECONDS)
                await nap(min(delay, LATEST_LOOK_SECONDS))
                present = self._asker(request)
                if present is None:
                    break
                waiting[asker] -= 1
                waiting[present] += 1
                asker = present
                if asker == "process" and Clock.monotonic() - since > ELSEWHERE_SECONDS:
                    self._waits_no_more = True
                    break
        finally:
            waiting[asker] -= 1
        await self._look_again(calls)

    def _asker(self, request: SharedRequest) -> Asker | None:
        """Return who else asks the row at present."""
        if request.is_asked_by_another:
            return "run"
        claims = self.context.claims
        is_taken = claims is not None and claims.is_taken_elsewhere(self.key)
        return "process" if is_taken else None

    async def _look_again(self, calls: Sequence[Call]) -> None:
        """Look the row up in the store once more. Raises `AnsweredMeanwhile`."""
        claims = self.context.claims
        if claims is None:
            return
        self.seen = claims.look()
        entries = await self.context.look_up([call.key for call in calls])
        fitting = {key: entry for key, entry in entries.items() if entry.raw != self.misfit}
        stored = stored_answer(calls, fitting, self.context.options.good_finish)
        if stored is not None:
            raise AnsweredMeanwhile(stored)
