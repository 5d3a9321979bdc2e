"""What one limiter keeps on the loop thread: its own limits, its links, and who waits."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Mapping, Sequence

from llmnb.rate_limiter.group import Binding, LimitGroup
from llmnb.rate_limiter.limits import OwnLimit
from llmnb.rate_limiter.link import Link, Stated
from llmnb.rate_limiter.rules import Key, Rule


class State:
    """The limits of one limiter.

    Args:
        stated: Returns the limits that this process states.
        on_received: Called with an address and what others state there, when that has changed.
        is_busy: Whether a run is under way.
    """

    def __init__(
        self,
        stated: Stated,
        on_received: Callable[[str, Mapping[Key, Rule]], None],
        is_busy: Callable[[], bool],
    ) -> None:
        self._stated = stated
        self._on_received = on_received
        self._is_busy = is_busy
        self._own: dict[str, OwnLimit] = {}
        self.links: dict[str, Link] = {}
        """The conversation with each Redis, by its address."""

        self._queues: dict[tuple[str | None, str], asyncio.Lock] = {}
        self._rules: dict[tuple[str | None, str], Rule] = {}

    def group(self, binding: Binding) -> LimitGroup:
        """Return the limits of some rules.

        Raises:
            ConfigurationError: If the address is none, or the extra is missing.
        """
        link = None if binding.url is None else self.link(binding.url)
        own = self._own_limit
        limits = [own(rule) if link is None else link.limit(rule) for rule in binding.rules]
        return LimitGroup(limits, link, binding)

    def link(self, url: str) -> Link:
        """Return the conversation with a Redis; it begins where there is none yet."""
        if url not in self.links:
            received = functools.partial(self._on_received, url)
            self.links[url] = Link(url, self._stated, received, self._is_busy)
        return self.links[url]

    def _own_limit(self, rule: Rule) -> OwnLimit:
        now = time.monotonic()
        limit = self._own.setdefault(rule.name, OwnLimit(rule, now=now))
        limit.change(rule, now)
        return limit

    async def acquire(
        self, rule: Rule, url: str | None, weight: float, *, is_configured: bool
    ) -> None:
        """Wait for a turn, first come, first served, and use so much.

        Args:
            rule: What is allowed.
            url: Address of the Redis that shares it.
            weight: How much.
            is_configured: Whether the rule stands in the configuration; others are remembered.
        """
        if not is_configured:
            self._rules[url, rule.name] = rule
        queue = self._queues.setdefault((url, rule.name), asyncio.Lock())
        async with queue:
            await self.group(Binding((rule,), url)).turn((weight,))

    async def used(self, rules: Sequence[Rule], url: str | None) -> dict[Rule, tuple[float, float]]:
        """Return begin and count of the current period for these rules and those of calls.

        Where Redis is lost it is this process's own count.
        """
        names = {name: rule for (where, name), rule in self._rules.items() if where == url}
        chosen = {**names, **{rule.name: rule for rule in rules}}.values()
        if url is None:
            return {rule: self._own_limit(rule).used(time.monotonic()) for rule in chosen}
        link = self.link(url)
        limits = [link.limit(rule) for rule in chosen]
        await link.refresh()
        return {
            limit.rule: limit.used_by_all if link.lost is None else limit.used(time.monotonic())
            for limit in limits
        }

    async def close(self) -> None:
        """Leave every Redis."""
        for link in self.links.values():
            await link.close()
