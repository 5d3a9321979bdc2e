"""What a simulated provider can be set to, prices included: as keywords, and as a single value."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self, TypedDict

from llmnb.errors import ConfigurationError
from llmnb.testing.faults import Script
from llmnb.testing.latency import LatencyModel
from llmnb.testing.limits import Charge, LimitSettings, RetryHint

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

    def __post_init__(self) -> None:
        LimitSettings.__post_init__(self)
        if self.ledger not in ("rows", "totals"):
            raise ConfigurationError(f"ledger is 'rows' or 'totals', got {self.ledger!r}")
        if self.tokens_per_second is not None and not self.tokens_per_second > 0:
            raise ConfigurationError(
                f"tokens_per_second is above 0, or None for at once, got {self.tokens_per_second!r}"
            )

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Return the keywords of `SimulatedProvider` as a single value.

        Raises:
            ConfigurationError: If a keyword is unknown; the message lists those that are known.

        Example:
            >>> Behaviour.of({"seed": 3, "concurrency": 2}).concurrency
            2
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(options.keys() - known):
            raise ConfigurationError(
                f"SimulatedProvider knows no {', '.join(unknown)}. "
                f"It knows: {', '.join(sorted(known))}."
            )
        return cls(**options)

    def price(self, model: str) -> Price:
        """Return the price of a model."""
        if isinstance(self.prices, Price):
            return self.prices
        return self.prices.get(model, DEFAULT_PRICE)
