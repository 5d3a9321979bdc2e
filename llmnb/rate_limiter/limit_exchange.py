"""What the processes at one Redis state about limits: each says its own, the smallest holds.

Nobody's limit is exceeded because another process states a larger one, or none at all. A
statement stands as long as the process that made it, and is forgotten a minute after the
last word of one that was killed.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from llmnb.adapters.redis import SharedStore
from llmnb.errors import ConfigurationError
from llmnb.rate_limiter.rules import Key, Rule, checked_key
from llmnb.rates import Allowance

LIFETIME_SECONDS = 60.0
"""A process that was not heard of for so long states nothing any more."""

FRESH_SECONDS = 1.5
"""What was heard so lately need not be asked again."""

_HASH = "{llmnb}:rules"

Stated = Callable[[], Sequence[Rule]]
"""Returns what this process states."""

OnReceived = Callable[[Mapping[Key, Rule]], None]
"""Told of the smallest limits that others state, whenever those have changed."""


class LimitExchange:
    """What all processes at one Redis state; lives on the loop thread.

    Args:
        store: The Redis.
        member: This process's name there.
        stated: Returns what this process states.
        on_received: Told when others state something else.
    """

    def __init__(
        self, store: SharedStore, member: str, stated: Stated, on_received: OnReceived
    ) -> None:
        self._store = store
        self._member = member
        self._stated = stated
        self._on_received = on_received
        self._received: dict[Key, Rule] = {}
        self._received_at = -math.inf
        self.calls = 0
        """Round trips so far."""

    @property
    def is_fresh(self) -> bool:
        """Whether everybody was heard lately."""
        return time.monotonic() - self._received_at < FRESH_SECONDS

    @property
    def has_limits(self) -> bool:
        """Whether this process has something to uphold."""
        return bool(self._stated())

    async def publish(self) -> None:
        """State what this process states, and hear the others.

        Raises:
            LimiterError: If Redis does not answer; what was received last holds until it does.
        """
        await self._exchange([line_of(rule) for rule in self._stated()])

    async def leave(self) -> None:
        """Take back what this process states.

        Raises:
            LimiterError: If Redis does not answer; it forgets in a minute.
        """
        await self._exchange([])

    async def _exchange(self, lines: Sequence[str]) -> None:
        lifetime = f"{LIFETIME_SECONDS * 1_000_000:.0f}"
        self.calls += 1
        received = await self._store.agree([_HASH], [self._member, lifetime, *lines])
        self._received_at = time.monotonic()
        rules = smallest(rule for line in received if (rule := rule_of(line)) is not None)
        if rules != self._received:
            self._received = rules
            self._on_received(rules)


def line_of(rule: Rule) -> str:
    """Return a rule as one line.

    Example:
        >>> line_of(Rule(("client", "gpt-4"), Allowance(100.0, 60.0, "minute")))
        '["client","gpt-4",100.0,60.0,"minute"]'
    """
    rate = rule.allowance
    return json.dumps([*rule.key, rate.amount, rate.seconds, rate.period], separators=(",", ":"))


def rule_of(line: str) -> Rule | None:
    """Return the rule of a line, None for a line that is none.

    Example:
        >>> rule_of('["client","gpt-4",100.0,60.0,"minute"]').per_minute
        100.0
        >>> rule_of('["client","gpt-4",-1,60.0,"minute"]') is None
        True
    """
    try:
        kind, name, amount, seconds, period = json.loads(line)
        key = checked_key((kind, name))
        made = Allowance(float(amount), float(seconds), str(period))
    except (ValueError, TypeError, ConfigurationError):
        return None
    is_rate = 0 < made.amount < math.inf and 0 < made.seconds < math.inf
    return Rule(key, made) if is_rate else None


def smallest(rules: Iterable[Rule]) -> dict[Key, Rule]:
    """Return the smallest rule of each key.

    Example:
        >>> rates = [Allowance(9.0, 60.0, "minute"), Allowance(5.0, 60.0, "minute")]
        >>> rules = smallest(Rule(("client", "gpt-4"), rate) for rate in rates)
        >>> rules["client", "gpt-4"].per_minute
        5.0
    """
    tightest: dict[Key, Rule] = {}
    for rule in rules:
        known = tightest.get(rule.key)
        if known is None or _size(rule) < _size(known):
            tightest[rule.key] = rule
    return tightest


def _size(rule: Rule) -> tuple[float, float]:
    return rule.per_minute, rule.allowance.seconds
