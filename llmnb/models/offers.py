"""What each provider offers: its default model and price, and whether a key for it is found."""

from __future__ import annotations

from typing import NamedTuple

from llmnb import settings
from llmnb.adapters import llamacpp, prices, weights
from llmnb.wire.catalog import Provider, load_catalog


class Offer(NamedTuple):
    """One provider as a person chooses among them."""

    provider: str
    key: str
    """A text that says whether a key is found; never the key."""

    default_model: str
    price: str
    """Dollars per million tokens of the default model, as a text."""


def offers() -> list[Offer]:
    """Return what every provider offers, in the order of the catalog."""
    return [offer(row) for row in load_catalog().values()]


def offer(row: Provider) -> Offer:
    """Return what one provider offers."""
    if row.name == "local":
        key = "ready" if weights.find() else "weights missing: llmnb pull"
        if not llamacpp.is_installed():
            key = 'pip install "llmnb[local]"'
    elif not row.key_env:
        key = "none needed"
    else:
        has_key = settings.find_key(row.name, row.key_env)
        key = "found" if has_key else f"not found ({row.key_env[0]})"
    model = row.default_models.get("chat", "")
    price = "0" if row.is_local else ""
    if model and not row.is_local:
        rates = prices.rates(row.name, model)
        price = "unknown" if rates is None else f"{rates.input:g} in, {rates.output:g} out"
    return Offer(row.name, key, model, price)
