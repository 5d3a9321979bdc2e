"""The queue in front of one target: strict first come, first served, one timer for all who wait."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace

from llmnb.decide.admission import Admission, Reason
from llmnb.records import Limits


class Gate:
    """Admits requests of one pool in order; lives on the loop thread.

    Args:
        own: Limits that belong to the target itself.
        clock: Steady seconds.
    """

    def __init__(self, own: Limits, *, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.own = own
        self.admission = Admission(own, now=clock())
        self.refusals = 0
        """Refusals for pace since the last success."""
        self.first_refusal: float | None = None
        """When the present time without a success began; None while all is well."""
        self._claims: dict[object, Limits] = {}
        self._waiting: deque[tuple[asyncio.Future[None], float]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    # ------------------------------------------------------------- who wants what

    def claim(self, owner: object, limits: Limits) -> None:
        """Hold the pool to a person's limits while `owner` runs; the smallest claim wins."""
        self._claims[owner] = limits
        self._apply()

    def release_claim(self, owner: object) -> None:
        """Forget what an ended run asked for."""
        if self._claims.pop(owner, None) is not None and self._claims:
            self._apply()
        # With no claim left the last limits stay, so that the next run of the same
        # account does not start with a fresh burst; a new claim replaces them.

    def _apply(self) -> None:
        claims = [self.own, *self._claims.values()]
        chosen = replace(
            self.own,
            requests_per_minute=_least(claim.requests_per_minute for claim in claims),
            tokens_per_minute=_least(claim.tokens_per_minute for claim in claims),
            concurrency=_least_count(claim.concurrency for claim in self._claims.values())
            or self.own.concurrency,
            even=any(claim.even for claim in claims),
        )
        self.admission.change(chosen, now=self.clock())
        self._advance()

    # ------------------------------------------------------------------ admission

    @property
    def in_flight(self) -> int:
        """Requests admitted and not yet released."""
        return self.admission.in_flight

    @property
    def reason(self) -> Reason:
        """What holds the first in the queue back; empty when nobody waits."""
        return self.admission.reason if self._waiting else ""

    async def admit(self, tokens: float, *, is_first: bool = False) -> None:
        """Wait for a turn and take it.

        Args:
            tokens: Tokens to reserve.
            is_first: Whether it goes before all who wait: it was refused before them.
        """
        if not self._waiting:
            now = self.clock()
            if self.admission.wait(tokens, now) <= 0:
                self.admission.admit(tokens, now)
                return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if is_first:
            self._waiting.appendleft((turn, tokens))
        else:
            self._waiting.append((turn, tokens))
        self._advance()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # Admitted in the same moment: hand the turn back.
                self.release(reserved=tokens, used=0.0, was_sent=False)
            else:
                self._advance()  # drops the cancelled turn if it stands at the head
            raise

    def release(self, *, reserved: float, used: float, was_sent: bool) -> None:
        """Give a place back; the next in the queue is admitted at once."""
        self.admission.release(reserved=reserved, used=used, was_sent=was_sent)
        if self._waiting:
            self._advance()

    def pause(self, seconds: float) -> None:
        """Admit nobody for so many seconds."""
        self.admission.pause(self.clock() + seconds)
        self._advance()

    def _advance(self) -> None:
        """Admit from the head of the queue as long as it may go; set the timer for the rest."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, admission = self._waiting, self.admission
        while waiting:
            turn, tokens = waiting[0]
            if turn.done():  # cancelled, and its owner has not run yet
                waiting.popleft()
                continue
            now = self.clock()
            delay = admission.wait(tokens, now)
            if delay > 0:
                if delay != math.inf:
                    loop = asyncio.get_running_loop()
                    # Capped, so that a changed clock is noticed within a second.
                    self._timer = loop.call_later(min(delay, 1.0), self._advance)
                return
            waiting.popleft()
            admission.admit(tokens, now)
            turn.set_result(None)

    # --------------------------------------------------------------------- health

    def on_success(self) -> None:
        """Note that the target has answered."""
        self.refusals = 0
        self.first_refusal = None

    def on_refusal(self) -> float:
        """Note a refusal; returns the seconds since the target last answered well."""
        self.refusals += 1
        now = self.clock()
        if self.first_refusal is None:
            self.first_refusal = now
        return now - self.first_refusal


def _least(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return min(known) if known else None


def _least_count(values: Iterable[int | None]) -> int | None:
    least = _least(values)
    return None if least is None else int(least)
