"""All limits that bind one request: everything is taken together, or nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from llmnb.decide.admission import Reason
from llmnb.rate_limiter.link import Link
from llmnb.rate_limiter.rules import Rule
from llmnb.rate_limiter.shared import SharedLimit
from llmnb.records import Limits

_LOOK_UP_SECONDS = 1.0
"""A waiting caller looks up this often: what others return is not announced."""


class Limit(Protocol):
    """One limit, of this process or shared."""

    rule: Rule

    def wait(self, amount: float, now: float) -> float | None:
        """Return the seconds until so much may go; None: it must be drawn first."""

    def take(self, amount: float, now: float) -> None:
        """Use so much."""

    def give_back(self, amount: float, now: float) -> None:
        """Return what was taken too much."""

    def used(self, now: float) -> tuple[float, float]:
        """Return when the period began and how much this process used in it."""


class Group:
    """Limits that are asked together; lives on the loop thread.

    Args:
        limits: The limits.
        link: Where shared ones are drawn; None where they are this process's own.
    """

    def __init__(self, limits: Sequence[Limit], link: Link | None) -> None:
        self.limits = tuple(limits)
        self._link = link
        self._shared = tuple(limit for limit in limits if isinstance(limit, SharedLimit))

    def wait(self, amounts: Sequence[float], now: float) -> tuple[float, int]:
        """Return the seconds until these amounts may go, and which limit holds them longest."""
        longest, which, is_missing = 0.0, 0, False
        for position, limit in enumerate(self.limits):
            delay = limit.wait(amounts[position], now)
            if delay is None:
                is_missing, which = True, position
            elif delay > longest and not is_missing:
                longest, which = delay, position
        if is_missing and self._link is not None:
            longest = self._link.draw(self._shared, amounts, now)
        return longest, which

    def take(self, amounts: Sequence[float], now: float) -> None:
        """Use these amounts."""
        for limit, amount in zip(self.limits, amounts, strict=True):
            limit.take(amount, now)

    def listen(self, listener: Callable[[], None]) -> None:
        """Have a listener told when something may have become possible."""
        if self._link is not None:
            self._link.listeners[self] = listener

    def close(self) -> None:
        """Tell nobody any more."""
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
                delay, _ = self.wait(amounts, now)
                if delay <= 0:
                    self.take(amounts, now)
                    return
                try:
                    async with asyncio.timeout(min(delay, _LOOK_UP_SECONDS)):
                        await news.wait()
                except TimeoutError:
                    pass  # the time has come, or it is time to look up
        finally:
            self.close()


@dataclass(frozen=True, slots=True)
class Binding:
    """What binds a model: by this a gate sees whether something has changed."""

    rules: tuple[Rule, ...]
    url: str | None = field(repr=False)
    """Address of the Redis that shares them; None: they are this process's own."""


class EngineBound:
    """A group as the engine's gates ask it: one request and its tokens.

    Args:
        group: The limits.
        binding: What they were made from.
    """

    def __init__(self, group: Group, binding: Binding) -> None:
        self.binding = binding
        self._group = group
        self._counts = [limit.rule.counts for limit in group.limits]

    @property
    def limits(self) -> Limits:
        """The rates, for those who show them."""
        rates: dict[str, float] = {}
        for limit in self._group.limits:
            counts, rate = limit.rule.counts, limit.rule.per_minute
            rates[counts] = min(rate, rates.get(counts, rate))
        return Limits(
            requests_per_minute=rates.get("requests"), tokens_per_minute=rates.get("tokens")
        )

    def wait(self, tokens: float, now: float) -> tuple[float, Reason]:
        """Return the seconds until a request may go, and what holds it."""
        delay, which = self._group.wait(self._amounts(1.0, tokens), now)
        return delay, self._counts[which] if delay > 0 else ""

    def take(self, tokens: float, now: float) -> None:
        """Let one request go."""
        self._group.take(self._amounts(1.0, tokens), now)

    def give_back(self, requests: float, tokens: float) -> None:
        """Return what was taken too much."""
        now = time.monotonic()
        amounts = self._amounts(requests, tokens)
        for limit, amount in zip(self._group.limits, amounts, strict=True):
            if amount:
                limit.give_back(amount, now)

    def close(self) -> None:
        """Tell the gate nothing any more."""
        self._group.close()

    def _amounts(self, requests: float, tokens: float) -> list[float]:
        return [requests if kind == "requests" else tokens for kind in self._counts]
