"""`llmnb models`: providers, whether a key is found, and what their default model costs."""

from __future__ import annotations

import argparse

from llmnb.adapters import prices
from llmnb.cli import text
from llmnb.display.escape import visible
from llmnb.models import offers
from llmnb.wire.catalog import Provider, provider


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("provider", nargs="?", help="one provider, in more detail")


def act(options: argparse.Namespace) -> int:
    """Run the command."""
    if options.provider:
        _show_one(provider(options.provider))
        return 0
    columns = ("provider", "key", "default model", "$ per million tokens")
    print(text.table(columns, offers.offers()))
    print("\nA model is provider/model. Prices of " + prices.prices_date() + ".")
    return 0


def _show_one(row: Provider) -> None:
    print(f"{row.name}\n")
    offer = offers.offer(row)
    lines = [
        ("address", row.base_url or "must be given: url=… or " + " or ".join(row.base_url_env)),
        ("key", offer.key),
        ("variables", ", ".join((*row.key_env, *row.base_url_env))),
        *((f"default ({kind})", model) for kind, model in row.default_models.items()),
        ("price", offer.price),
        ("known models", ", ".join(row.known_models) or "any name is passed on"),
    ]
    for name, value in lines:
        print(f"  {name:<16} {visible(value)}")
