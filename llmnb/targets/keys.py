"""API keys that a person gives by a provider's name."""

from __future__ import annotations

from llmnb import settings
from llmnb.wire import catalog
from llmnb.wire.api_keys import HIDDEN

_LONGEST_NAME = 20
"""Characters of a text that may be a mistyped name; a longer one is perhaps the key."""


def set_key(provider: str, key: str | None) -> None:
    """Keep a provider's API key in this process's memory, and nowhere else.

    A server of your own needs no name: give its key with its address,
    ``llmnb.LLM(model=…, url=…, api_key=…)``.

    Args:
        provider: Catalog name, such as ``"openai"``.
        key: The key; None forgets it.

    Raises:
        UnknownProvider: If the catalog has no such provider: its key would never be used.

    Example:
        >>> set_key("openai", "sk-…")
        >>> settings.find_key("openai", ["OPENAI_API_KEY"]) == "sk-…"
        True
        >>> set_key("openai", None)
        >>> set_key("openia", "sk-…")
        Traceback (most recent call last):
        llmnb.errors.UnknownProvider: There is no provider 'openia'. Did you mean openai? ...
    """
    name = provider if len(provider) <= _LONGEST_NAME else HIDDEN
    settings.keep_key(catalog.provider(name).name, key)
