"""What one limiter keeps on the loop thread: its own limits, its links, and who waits."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Mapping, Sequence

from llmnb.rate_limiter.group import Group, Limit
from llmnb.rate_limiter.limit_exchange import Stated
from llmnb.rate_limiter.link import Link
from llmnb.rate_limiter.own import OwnLimit
from llmnb.rate_limiter.rules import Key, Rule


class State:
    """The limits of one limiter.

    Args:
        stated: Returns the limits that this process states.
        on_received: Told of an address and of what others state there, when that has changed.
        is_busy: Whether a run is under way.
    """

    def __init__(
        self,
        stated: Stated = tuple,
        on_received: Callable[[str, Mapping[Key, Rule]], None] = lambda url, rules: None,
        is_busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self._stated = stated
        self._on_received = on_received
        self._is_busy = is_busy
        self._own: dict[str, OwnLimit] = {}
        self._links: dict[str, Link] = {}
        self._queues: dict[tuple[str | None, str], asyncio.Lock] = {}
        self._rules: dict[tuple[str | None, str], Rule] = {}

    def group(self, rules: Sequence[Rule], url: str | None) -> Group:
        """Return the limits of these rules.

        Args:
            rules: What is allowed.
            url: Address of the Redis that shares them; None: they are this process's own.

        Raises:
            ConfigurationError: If the address is none, or the extra is missing.
        """
        link = self._link(url)
        limits: list[Limit] = [
            self._own_limit(rule) if link is None else link.limit(rule) for rule in rules
        ]
        return Group(limits, link)

    def link(self, url: str | None) -> Link | None:
        """Return the conversation with a Redis, if there is one."""
        return self._links.get(url) if url else None

    def count_users(self, url: str, name: str, on_count: Callable[[int], None]) -> None:
        """Have the processes counted that use something together; see `Link.count_users`."""
        self._linked(url).count_users(name, on_count)

    async def receive_limits(self, url: str) -> None:
        """See that it is known which limits hold at a Redis."""
        await self._linked(url).receive_limits()

    async def state(self, url: str) -> None:
        """Tell a Redis what this process states now."""
        await self._linked(url).state()

    def _link(self, url: str | None) -> Link | None:
        return None if url is None else self._linked(url)

    def _linked(self, url: str) -> Link:
        if url not in self._links:
            received = functools.partial(self._on_received, url)
            self._links[url] = Link(url, self._stated, received, self._is_busy)
        return self._links[url]

    def _own_limit(self, rule: Rule) -> OwnLimit:
        now = time.monotonic()
        limit = self._own.get(rule.name)
        if limit is None:
            limit = self._own[rule.name] = OwnLimit(rule, now=now)
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
            await self.group((rule,), url).turn((weight,))

    async def used(self, rules: Sequence[Rule], url: str | None) -> dict[Rule, tuple[float, float]]:
        """Return begin and count of the current period for these rules and those of calls.

        Where Redis is lost it is this process's own count.
        """
        known = {name: rule for (where, name), rule in self._rules.items() if where == url}
        chosen = list({**known, **{rule.name: rule for rule in rules}}.values())
        group = self.group(chosen, url)
        link = self._link(url)
        if link is not None:
            await link.refresh()
        used: dict[Rule, tuple[float, float]] = {}
        for limit in group.limits:
            if link is not None and link.lost is None and limit.rule.name in link.limits:
                used[limit.rule] = link.limits[limit.rule.name].used_by_all()
            else:
                used[limit.rule] = limit.used(time.monotonic())
        return used

    async def close(self) -> None:
        """Say goodbye to every Redis."""
        for link in self._links.values():
            await link.close()
