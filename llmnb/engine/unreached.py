"""An address from which nothing has ever come: what is told of it, and how it is started."""

from __future__ import annotations

from urllib.parse import urlsplit

from llmnb.engine.target import Target
from llmnb.errors import LLMNBError, Unsent
from llmnb.wire.catalog import load_catalog

UNREACHED_SECONDS = 15.0
"""How long an address is tried that has never answered in this process."""


def unreached(target: Target, cause: str) -> LLMNBError:
    """Return the one error for all rows of a run.

    Args:
        target: Who was to be asked.
        cause: In a few words why it could not be.
    """
    return Unsent(
        f"{target.provider} at {_address(target)} could not be reached for "
        f"{UNREACHED_SECONDS:.0f} s: {cause or 'no answer'}. Nothing was sent and nothing spent, "
        f"and it is not tried again in this run.{how_to_start(target)}",
        provider=target.provider,
        model=target.model,
        cause=cause or None,
    )


def how_to_start(target: Target) -> str:
    """Return a line that names the command which starts a local server, or nothing."""
    catalog = load_catalog()
    row = catalog.get(target.provider)
    if row is None or not row.start_command:
        place = urlsplit(target.endpoint).netloc
        place = place.replace("localhost", "127.0.0.1")
        local = (one for one in catalog.values() if one.start_command and one.base_url)
        row = next((one for one in local if urlsplit(one.base_url).netloc == place), None)
    if row is None:
        return "\nCheck the address and the network, then run again."
    return f"\nIs it running? {row.name} is started with: {row.start_command}"


def _address(target: Target) -> str:
    return target.endpoint.split("?", 1)[0]
