"""Models that are objects of this process: every door finds them by the name they have."""

from __future__ import annotations

import weakref
from typing import Protocol

from llmnb.targets.target import HTTPTarget


class Owner(Protocol):
    """Something that is itself a model, such as an engine that has been loaded."""

    def target(self, gen_type: str = "chat") -> HTTPTarget:
        """Return who answers."""


_owners: dict[tuple[str, str], list[weakref.ref[Owner]]] = {}


def register(provider: str, model: str, owner: Owner) -> None:
    """Have a name mean an object for as long as somebody holds it.

    Args:
        provider: Catalog name, the part before the slash.
        model: The part behind it.
        owner: What answers to it. While a later one lives it has the name.
    """
    _owners.setdefault((provider, model), []).append(weakref.ref(owner))


def owner_of(provider: str, model: str) -> Owner | None:
    """Return the object that a name means, or None for a name of the catalog.

    Example:
        >>> owner_of("openai", "gpt-4o-mini") is None
        True
    """
    if not _owners or (found := _owners.get((provider, model))) is None:
        return None
    while found:
        if (owner := found[-1]()) is not None:
            return owner
        found.pop()
    return None
