"""The commands `llmnb doctor`, `llmnb models` and `llmnb pull`.

They never print a key.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from llmnb import settings
from llmnb.adapters import llamacpp, prices, weights
from llmnb.adapters.diskcache import SQLITE_VERSION
from llmnb.cli import text
from llmnb.display.escape import visible
from llmnb.models import offers
from llmnb.progress import byte_bar
from llmnb.wire.catalog import Provider, load_catalog, provider

_PACKAGES = (
    *("aiohttp", "pandas", "diskcache", "tiktoken", "genai-prices", "ipywidgets"),
    *("anywidget", "ipykernel", "jupyterlab", "pyarrow", "uvloop", "xllamacpp"),
)


# ------------------------------------------------------------------------------ doctor


def doctor(options: argparse.Namespace) -> int:
    """Print a report on the installation, one line each; return the exit code."""
    for name, finding in _findings():
        print(f"  {name:<14} {visible(finding)}")
    return 0


def _findings() -> Iterator[tuple[str, str]]:
    """Yield the name of each thing that is checked, and the finding in words."""
    import llmnb

    yield "llmnb", f"{llmnb.__version__} on Python {platform.python_version()}, {sys.platform}"
    yield "packages", ", ".join(_versions())
    yield "keys", ", ".join(_keys()) or "none found; the local model needs none"
    yield "local model", _local_model_finding()
    yield "answers", _cache_dir_finding()
    yield "event loop", _event_loop_finding()
    yield "SQLite", SQLITE_VERSION
    yield "proxies", ", ".join(_proxies()) or "none"


def _versions() -> Iterator[str]:
    for name in _PACKAGES:
        try:
            yield f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            continue


def _keys() -> Iterator[str]:
    for row in load_catalog().values():
        if row.key_env and settings.find_key(row.name, row.key_env):
            yield row.name


def _local_model_finding() -> str:
    if not llamacpp.is_installed():
        return 'not installed: pip install "llmnb[local]"'
    path = weights.find()
    return f"ready, {path}" if path else "installed; `llmnb pull` fetches its weights"


def _cache_dir_finding() -> str:
    cache_dir = settings.cache_dir()
    existing = cache_dir  # or its nearest parent that exists, in which it would be made
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if os.access(existing, os.W_OK):
        return f"{cache_dir} can be written"
    return f"{cache_dir} CANNOT be written: set LLMNB_CACHE_DIR"


def _event_loop_finding() -> str:
    if os.environ.get("LLMNB_LOOP", "uvloop") == "uvloop" and importlib.util.find_spec("uvloop"):
        return "uvloop"
    return 'asyncio; pip install "llmnb[speed]" makes it faster'


def _proxies() -> Iterator[str]:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        if os.environ.get(name) or os.environ.get(name.lower()):
            yield name


# ------------------------------------------------------------------------------ models


def add_models_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `llmnb models`."""
    parser.add_argument("provider", nargs="?", help="one provider, in more detail")


def models(options: argparse.Namespace) -> int:
    """Print the providers, whether each has a key, and the prices of their default models."""
    if options.provider:
        _show_provider(provider(options.provider))
        return 0
    columns = ("provider", "key", "default model", "$ per million tokens")
    print(text.table(columns, offers.offers()))
    print("\nA model is provider/model. Prices of " + prices.prices_date() + ".")
    return 0


def _show_provider(row: Provider) -> None:
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


# -------------------------------------------------------------------------------- pull


def add_pull_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `llmnb pull`."""
    parser.add_argument(
        "name",
        nargs="?",
        default="smollm2",
        help="smollm2 (default), or all-minilm, which makes vectors",
    )


def pull(options: argparse.Namespace) -> int:
    """Download the weights of a local model, unless they are already here; print their path."""
    name = options.name.removeprefix("local/")
    path = weights.find(name)
    if path is None:
        path = fetch_weights(name)
    print(f"local/{name}: {path}")
    return 0


def fetch_weights(name: str = "smollm2") -> Path:
    """Download weights, showing a progress bar; return their path."""
    print(weights.announcement(name))
    with byte_bar(weights.by_name(name).download_bytes) as progress:
        return weights.pull(name, progress=progress)
