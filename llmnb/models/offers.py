"""What each provider of the catalog offers here: whether a key is found, and what a model costs."""

from __future__ import annotations

from dataclasses import dataclass

from llmnb import settings
from llmnb.adapters import llamacpp, prices, weights
from llmnb.wire.catalog import Provider, load_catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One provider as a person chooses among them."""

    provider: str
    key: str
    """Whether a key is found, in words; never the key."""

    default_model: str
    price: str
    """Dollars per million tokens of the default model, in words."""


def offers() -> list[Offer]:
    """Return what every provider offers, in the order of the catalog."""
    return [offer(row) for row in load_catalog().values()]


def offer(row: Provider) -> Offer:
    """Return what one provider offers."""
    return Offer(
        provider=row.name,
        key=key_words(row),
        default_model=row.default_models.get("chat", ""),
        price=price_words(row),
    )


def key_words(row: Provider) -> str:
    """Return whether a provider can be asked as things stand."""
    if row.name == "local":
        if not llamacpp.is_installed():
            return 'pip install "llmnb[local]"'
        return "ready" if weights.find() else "weights missing: llmnb pull"
    if not row.key_env:
        return "none needed"
    if settings.find_key(row.name, row.key_env):
        return "found"
    return f"not found ({row.key_env[0]})"


def price_words(row: Provider) -> str:
    """Return what the default model costs."""
    if row.is_local:
        return "0"
    model = row.default_models.get("chat")
    if not model:
        return ""
    rates = prices.rates(row.name, model)
    return "unknown" if rates is None else f"{rates.input:g} in, {rates.output:g} out"
