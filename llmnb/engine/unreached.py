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
        f"{where_nobody_is(target, cause, f' for {UNREACHED_SECONDS:.0f} s')}\n"
        "Nothing was sent and nothing spent, and it is not tried again in this run.",
        provider=target.provider,
        model=target.model,
        cause=cause or None,
    )


def where_nobody_is(target: Target, cause: str, span: str = "") -> str:
    """Return one line, since often no more is shown: the address, the cause and what to do.

    Args:
        target: Who was to be asked.
        cause: In a few words why it could not be.
        span: For how long it was tried, such as `` for 15 s``.
    """
    return (
        f"{target.provider} at {_address(target)} could not be reached{span}: "
        f"{cause or 'no answer'}. {how_to_start(target)}"
    )


def how_to_start(target: Target) -> str:
    """Return what to do: the command that starts a local server, or a look at the address."""
    catalog = load_catalog()
    row = catalog.get(target.provider)
    if row is None or not row.start_command:
        place = urlsplit(target.endpoint).netloc
        place = place.replace("localhost", "127.0.0.1")
        local = (one for one in catalog.values() if one.start_command and one.base_url)
        row = next((one for one in local if urlsplit(one.base_url).netloc == place), None)
    if row is None:
        return "Check the address and the network, then run again."
    return f"Is it running? {row.name} is started with: {row.start_command}"


def _address(target: Target) -> str:
    return target.endpoint.split("?", 1)[0]
