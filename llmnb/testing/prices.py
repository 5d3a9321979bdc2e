"""What the simulated provider charges, so that a client's cost can be compared with the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for one token in, and for one token out.

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


def price_of(prices: Price | Mapping[str, Price], model: str) -> Price:
    """Return the price of a model."""
    if isinstance(prices, Price):
        return prices
    return prices.get(model, DEFAULT_PRICE)
