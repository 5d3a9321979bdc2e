"""`llmnb pull`: the weights of the small local model, once."""

from __future__ import annotations

import argparse
from pathlib import Path

from llmnb.adapters import weights
from llmnb.progress import byte_bar


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("name", nargs="?", default="smollm2", help="default: smollm2")


def act(options: argparse.Namespace) -> int:
    """Run the command."""
    name = options.name.removeprefix("local/")
    found = weights.find(name)
    if found is None:
        found = pull(name)
    print(f"local/{name}: {found}")
    return 0


def pull(name: str = "smollm2") -> Path:
    """Fetch weights with a bar; returns where they are."""
    print(weights.announcement(name))
    with byte_bar(weights.known(name).download_bytes) as progress:
        return weights.pull(name, progress=progress)
