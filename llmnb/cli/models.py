"""`llmnb models`: providers, whether a key is found, and what their default model costs."""

from __future__ import annotations

import argparse

from llmnb import settings
from llmnb.adapters import llamacpp, prices, weights
from llmnb.cli import text
from llmnb.wire.catalog import Provider, load_catalog, provider


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("provider", nargs="?", help="one provider, in more detail")


def act(options: argparse.Namespace) -> int:
    """Run the command."""
    if options.provider:
        _show_one(provider(options.provider))
        return 0
    rows = [
        (row.name, _key_words(row), row.default_models.get("chat", ""), _price_words(row))
        for row in load_catalog().values()
    ]
    print(text.table(("provider", "key", "default model", "$ per million tokens"), rows))
    print("\nA model is provider/model. Prices of " + prices.prices_date() + ".")
    return 0


def _show_one(row: Provider) -> None:
    print(f"{row.name}\n")
    lines = [
        ("address", row.base_url or "must be given: url=… or " + " or ".join(row.base_url_env)),
        ("key", _key_words(row)),
        ("variables", ", ".join((*row.key_env, *row.base_url_env))),
        *((f"default ({kind})", model) for kind, model in row.default_models.items()),
        ("price", _price_words(row)),
        ("known models", ", ".join(row.known_models) or "any name is passed on"),
    ]
    for name, value in lines:
        print(f"  {name:<16} {text.plain(value)}")


def _key_words(row: Provider) -> str:
    if row.name == "local":
        if not llamacpp.is_installed():
            return 'pip install "llmnb[local]"'
        return "ready" if weights.find() else "weights missing: llmnb pull"
    if not row.key_env:
        return "none needed"
    if settings.find_key(row.name, row.key_env):
        return "found"
    return f"not found ({row.key_env[0]})"


def _price_words(row: Provider) -> str:
    if row.is_local:
        return "0"
    model = row.default_models.get("chat")
    if not model:
        return ""
    rates = prices.rates(row.name, model)
    return "unknown" if rates is None else f"{rates.input:g} in, {rates.output:g} out"
