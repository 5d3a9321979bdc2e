"""All limits that bind one request: everything is taken together, or nothing."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from llmnb.decide.admission import Reason
from llmnb.rate_limiter.limits import Limit, SharedLimit
from llmnb.rate_limiter.link import Link
from llmnb.rate_limiter.rules import Rule
from llmnb.records import Limits

_LOOK_UP_SECONDS = 1.0
"""A waiting caller looks up this often: nobody is notified of what others return."""


@dataclass(frozen=True, slots=True)
class Binding:
    """What binds a model: by this a gate sees whether something has changed."""

    rules: tuple[Rule, ...]
    url: str | None = field(repr=False)
    """Address of the Redis that shares them; None: they are this process's own."""


class LimitGroup:
    """Limits that are asked together; lives on the loop thread.

    It is a `decide.admission.Bound`, too: the engine's gates ask it for one request and its tokens.

    Args:
        members: The limits.
        link: Where shared ones are drawn; None where they are this process's own.
        binding: What it was made from, for a gate.
    """

    def __init__(
        self, members: Sequence[Limit], link: Link | None, binding: Binding | None = None
    ) -> None:
        self.binding = binding
        self._members = members
        self._counts = [limit.rule.counts for limit in members]
        self._link = link
        self._shared = tuple(limit for limit in members if isinstance(limit, SharedLimit))

    def wait_for(self, amounts: Sequence[float], now: float) -> tuple[float, int]:
        """Return the seconds until these amounts may go, and which limit holds them longest."""
        longest, which, is_missing = 0.0, 0, False
        for position, limit in enumerate(self._members):
            delay = limit.wait(amounts[position], now)
            if delay is None:
                is_missing, which = True, position
            elif delay > longest and not is_missing:
                longest, which = delay, position
        if is_missing and self._link is not None:
            longest = self._link.draw(self._shared, amounts, now)
        return longest, which

    def use(self, amounts: Sequence[float], now: float) -> None:
        """Use these amounts."""
        for limit, amount in zip(self._members, amounts, strict=True):
            limit.take(amount, now)

    def listen(self, listener: Callable[[], None]) -> None:
        """Have a listener called when something may have become possible."""
        if self._link is not None:
            self._link.listeners[self] = listener

    def close(self) -> None:
        """Call the listener no more."""
        if self._link is not None:
            self._link.listeners.pop(self, None)

    async def turn(self, amounts: Sequence[float]) -> None:
        """Wait until these amounts may go, and use them."""
        news = asyncio.Event()
        self.listen(news.set)
        try:
            while True:
                news.clear()
                now = time.monotonic()
                delay, _ = self.wait_for(amounts, now)
                if delay <= 0:
                    self.use(amounts, now)
                    return
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(delay, _LOOK_UP_SECONDS)):
                        await news.wait()
        finally:
            self.close()

    # ------------------------------------------------------------- as a gate asks it

    @property
    def limits(self) -> Limits:
        """The rates, for those who show them."""
        rates: dict[str, float] = {}
        for limit, counts in zip(self._members, self._counts, strict=True):
            rate = limit.rule.per_minute
            rates[counts] = min(rate, rates.get(counts, rate))
        return Limits(
            requests_per_minute=rates.get("requests"), tokens_per_minute=rates.get("tokens")
        )

    def wait(self, tokens: float, now: float) -> tuple[float, Reason]:
        """Return the seconds until a request may go, and what holds it."""
        delay, which = self.wait_for(self._amounts(1.0, tokens), now)
        return delay, self._counts[which] if delay > 0 else ""

    def take(self, tokens: float, now: float) -> None:
        """Let one request go."""
        self.use(self._amounts(1.0, tokens), now)

    def give_back(self, requests: float, tokens: float) -> None:
        """Return what was taken too much."""
        now = time.monotonic()
        for limit, amount in zip(self._members, self._amounts(requests, tokens), strict=True):
            if amount:
                limit.give_back(amount, now)

    def _amounts(self, requests: float, tokens: float) -> list[float]:
        return [requests if counts == "requests" else tokens for counts in self._counts]
