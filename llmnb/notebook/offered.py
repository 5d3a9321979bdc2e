"""Providers and their models as tables."""

from __future__ import annotations

from llmnb import bridge
from llmnb.adapters import prices
from llmnb.errors import LLMNBError
from llmnb.models import offers
from llmnb.notebook.forms import Table
from llmnb.notebook.report import Report
from llmnb.targets.resolve import resolve
from llmnb.wire.catalog import Provider, provider

LISTED = 200
"""Models of one provider that are shown at most."""


def every() -> Report:
    """Return all providers, whether each has a key, and its default model."""
    rows = tuple(offers.offers())
    return Report(
        "",
        Table(("provider", "key", "default model", "$ per million tokens"), rows),
        notes=(f"A model is named provider/model. Prices of {prices.prices_date()}.",),
    )


def one(name: str) -> Report:
    """Return one provider, and the models that it says it has.

    Raises:
        UnknownProvider: If there is none of that name.
    """
    row = provider(name)
    offer = offers.offer(row)
    lines = [
        ("key", offer.key),
        ("address", _address(row)),
        ("default model", offer.default_model or "none"),
        ("$ per million tokens", offer.price or "unknown"),
    ]
    models, note = _models(row)
    lines += [("model", f"{row.name}/{model}") for model in models[:LISTED]]
    more = len(models) - LISTED
    notes = [note] if note else []
    if more > 0:
        notes.insert(0, f"… {more:,} further models.")
    return Report("", Table((row.name, ""), tuple(lines)), notes=notes)


def _address(row: Provider) -> str:
    if row.name == "local":
        return "inside this process"
    return row.base_url or "must be given: " + " or ".join(row.base_url_env)


def _models(row: Provider) -> tuple[list[str], str]:
    """Return a provider's models, and a note where they are not its own word."""
    known = [model for model in row.known_models if "*" not in model]
    if row.name == "local":  # asking it would load it
        return known, "Any GGUF file works, too: local/path/to/model.gguf"
    try:
        target = resolve(row.default_models.get("chat") or "x", api_provider=row.name)
        listed = bridge.call(target.list_models())
        return sorted(listed), ""
    except LLMNBError as error:
        first = error.message.splitlines()[0]
        return known, f"Known without asking; the provider's own list is not to be had: {first}"
