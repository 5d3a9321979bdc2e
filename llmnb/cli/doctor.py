"""`llmnb doctor`: what works here, said in one screen; no key is ever shown."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import sys
from collections.abc import Iterator

from llmnb import settings
from llmnb.adapters import llamacpp, weights
from llmnb.adapters.diskcache import SQLITE_VERSION
from llmnb.display.escape import visible
from llmnb.wire.catalog import load_catalog

_PACKAGES = (
    "aiohttp",
    "pandas",
    "diskcache",
    "tiktoken",
    "genai-prices",
    "ipywidgets",
    "anywidget",
    "ipykernel",
    "jupyterlab",
    "pyarrow",
    "uvloop",
    "xllamacpp",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """There are no options."""


def act(options: argparse.Namespace) -> int:
    """Run the command."""
    for name, words in _findings():
        print(f"  {name:<14} {visible(words)}")
    return 0


def _findings() -> Iterator[tuple[str, str]]:
    import llmnb

    yield "llmnb", f"{llmnb.__version__} on Python {platform.python_version()}, {sys.platform}"
    yield "packages", ", ".join(_versions())
    yield "keys", ", ".join(_keys()) or "none found; the local model needs none"
    yield "local model", _local_words()
    yield "answers", _folder_words()
    yield "event loop", _loop_words()
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


def _local_words() -> str:
    if not llamacpp.is_installed():
        return 'not installed: pip install "llmnb[local]"'
    found = weights.find()
    return f"ready, {found}" if found else "installed; `llmnb pull` fetches its weights"


def _folder_words() -> str:
    root = settings.cache_dir()
    there = root
    while not there.exists() and there != there.parent:
        there = there.parent
    can = os.access(there, os.W_OK)
    return f"{root} " + ("can be written" if can else "CANNOT be written: set LLMNB_CACHE_DIR")


def _loop_words() -> str:
    if os.environ.get("LLMNB_LOOP", "uvloop") == "uvloop" and importlib.util.find_spec("uvloop"):
        return "uvloop"
    return 'asyncio; pip install "llmnb[speed]" makes it faster'


def _proxies() -> Iterator[str]:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        if os.environ.get(name) or os.environ.get(name.lower()):
            yield name
