"""What a simulated provider can be set to, prices included: as keywords, and as a single value."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, Self, TypedDict

from llmnb.option_kinds import TEXTS, Kind, Unfit, choice, whole_number
from llmnb.options import Option, refuse_unknown
from llmnb.testing.faults import Script
from llmnb.testing.latency import LatencyModel
from llmnb.testing.limits import ABOVE_0, Charge, LimitSettings, RetryHint, setting

HOST = "127.0.0.1"
"""The only address that the simulated provider listens at."""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a token in, and for a token out.

    Example:
        >>> Price.per_million(1.0, 3.0).of(500_000, 100_000)
        0.8
    """

    prompt: float
    completion: float

    @classmethod
    def per_million(cls, prompt: float, completion: float) -> Price:
        """Return a price given, as price lists do, for a million tokens."""
        return cls(prompt / 1e6, completion / 1e6)

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Return what so many tokens cost."""
        return prompt_tokens * self.prompt + completion_tokens * self.completion


DEFAULT_PRICE = Price.per_million(0.15, 0.60)
"""What gpt-4o-mini costs in most price lists; stands for every model without its own."""


def _read_keys(keys: Any) -> bool | tuple[str, ...]:
    return keys if isinstance(keys, bool) else TEXTS.read(keys or None)


def _read_prices(prices: Any) -> Any:
    named = prices if isinstance(prices, Mapping) else {"": prices}
    if not all(isinstance(price, Price) for price in named.values()):
        raise Unfit
    return prices


class LimitOptions(TypedDict, total=False):
    """Keywords about limits; `LimitSettings` has their defaults."""

    requests_per_minute: float | None
    tokens_per_minute: float | None
    burst_seconds: float
    concurrency: int | None
    charge: Charge
    limit_headers: bool
    retry_hint: RetryHint | None


class ProviderOptions(LimitOptions, total=False):
    """Keywords of `SimulatedProvider`; `Behaviour` has their defaults."""

    seed: int
    latency: float | LatencyModel
    tokens_per_second: float | None
    faults: Script
    api_key: str | bool | Collection[str] | None
    reply: object
    models: Collection[str] | None
    prices: Price | Mapping[str, Price]
    ledger: Literal["rows", "totals"]
    clock: Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour(LimitSettings):
    """How a simulated provider behaves: its keywords as a single value."""

    seed: int = 0
    latency: float | LatencyModel = 0.0
    tokens_per_second: float | None = None
    faults: Script = None
    api_key: str | bool | Collection[str] | None = None
    reply: object = None
    models: Collection[str] | None = None
    prices: Price | Mapping[str, Price] = DEFAULT_PRICE
    ledger: Literal["rows", "totals"] = "rows"
    clock: Callable[[], float] = time.monotonic

    checks: ClassVar[Mapping[str, Option]] = {
        **LimitSettings.checks,
        "seed": setting(whole_number()),
        "tokens_per_second": setting(ABOVE_0, is_optional=True),
        "api_key": setting(Kind("True, a key or a list of them", "", _read_keys), is_optional=True),
        "models": setting(TEXTS, is_optional=True),
        "prices": setting(Kind("a Price, or Prices by the models' names", "", _read_prices)),
        "ledger": setting(choice("rows", "totals")),
    }

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Return the keywords of `SimulatedProvider` as a single value.

        Raises:
            ConfigurationError: If a keyword is unknown, or its value of a wrong kind.

        Example:
            >>> Behaviour.of({"seed": 3, "concurrency": 2}).concurrency
            2
        """
        known = sorted(field.name for field in fields(cls))
        refuse_unknown(options, known, "SimulatedProvider()")
        return cls(**options)

    def price(self, model: str) -> Price:
        """Return the price of a model."""
        if isinstance(self.prices, Price):
            return self.prices
        return self.prices.get(model, DEFAULT_PRICE)
