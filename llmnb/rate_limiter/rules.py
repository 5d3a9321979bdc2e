"""What a person allows: rates by key, checked when written; how other processes state them."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from llmnb.errors import ConfigurationError
from llmnb.rates import Allowance, Rate, allowance

Key: TypeAlias = tuple[str, str]
"""What is limited: ``("client", model)`` its tokens, ``("client|request", model)`` its requests."""

TOKENS = "client"
REQUESTS = "client|request"

Counts = Literal["tokens", "requests"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One limit: of what, and how much."""

    key: Key
    allowance: Allowance
    machine: int = 0
    """Limits of other numbers are limits of their own."""

    @property
    def per_minute(self) -> float:
        """The rate as a number a minute."""
        return self.allowance.per_minute

    @property
    def counts(self) -> Counts:
        """What the engine counts against it."""
        return "requests" if self.key[0] == REQUESTS else "tokens"

    @property
    def name(self) -> str:
        """Name of it that all processes agree on."""
        return ":".join((*self.key, str(self.machine))) if self.machine else ":".join(self.key)


def checked_key(key: Any) -> Key:
    """Return a key if it is one.

    Raises:
        ConfigurationError: If it is not a pair of texts.
    """
    is_pair = isinstance(key, tuple) and len(key) == 2
    if not is_pair or not all(isinstance(part, str) and part for part in key):
        raise ConfigurationError(
            f"{str(key)[:60]!r} is no key of a limit: it is a pair of texts, such as "
            f'("{TOKENS}", "gpt-4") for tokens or ("{REQUESTS}", "gpt-4") for requests.'
        )
    return key[0], key[1]


def keys_of(provider: str, model: str) -> list[Key]:
    """Return the keys that bind a model: its bare name counts at any provider.

    Example:
        >>> keys_of("openai", "gpt-4")[:2]
        [('client|request', 'gpt-4'), ('client|request', 'openai/gpt-4')]
    """
    return [(kind, name) for kind in (REQUESTS, TOKENS) for name in (model, f"{provider}/{model}")]


class RateConfig(MutableMapping[Key, Rate]):
    """Rates by key; a wrong one is an error where it is written.

    Args:
        rates: Rates to begin with.

    Example:
        >>> config = RateConfig()
        >>> config["client", "gpt-4"] = "100/minute"
        >>> config
        RateConfig({('client', 'gpt-4'): '100/minute'})
    """

    def __init__(self, rates: Mapping[Key, Rate] | None = None) -> None:
        self._rates: dict[Key, tuple[Rate, Rule]] = {}
        self.on_change: Callable[[], None] = lambda: None
        """Called after every change, on the thread that made it."""

        self._lock = threading.Lock()
        self.update(rates or {})

    def __getitem__(self, key: Key) -> Rate:
        return self._rates[key][0]

    def __setitem__(self, key: Key, rate: Rate) -> None:
        key = checked_key(key)
        rule = Rule(key, allowance(rate))
        with self._lock:
            self._rates = {**self._rates, key: (rate, rule)}  # readers see one or the other
        self.on_change()

    def __delitem__(self, key: Key) -> None:
        with self._lock:
            rates = dict(self._rates)
            del rates[key]
            self._rates = rates
        self.on_change()

    def __iter__(self) -> Iterator[Key]:
        return iter(self._rates)

    def __len__(self) -> int:
        return len(self._rates)

    def __repr__(self) -> str:
        return f"RateConfig({dict(self)})"

    def replace(self, rates: Mapping[Key, Rate]) -> None:
        """Take these rates in place of all there were."""
        checked = RateConfig(rates)
        with self._lock:
            self._rates = checked._rates
        self.on_change()

    def rule(self, key: Key) -> Rule | None:
        """Return the rule of a key, None where there is none."""
        entry = self._rates.get(key)
        return None if entry is None else entry[1]

    def rules(self) -> list[Rule]:
        """Return all rules."""
        return [rule for _, rule in self._rates.values()]


# ------------------------------------------------------------- as processes exchange them


def line_of(rule: Rule) -> str:
    """Return the line that states a rule to other processes.

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
        rate = Allowance(float(amount), float(seconds), str(period))
    except (ValueError, TypeError, ConfigurationError):
        return None
    is_rate = 0 < rate.amount < math.inf and 0 < rate.seconds < math.inf
    return Rule(key, rate) if is_rate else None


def smallest(rules: Iterable[Rule]) -> dict[Key, Rule]:
    """Return the smallest rule of each key.

    Example:
        >>> rates = [Allowance(9.0, 60.0, "minute"), Allowance(5.0, 60.0, "minute")]
        >>> rules = smallest(Rule(("client", "gpt-4"), rate) for rate in rates)
        >>> rules["client", "gpt-4"].per_minute
        5.0
    """
    ordered = sorted(rules, key=lambda rule: (rule.per_minute, rule.allowance.seconds))
    return {rule.key: rule for rule in reversed(ordered)}
