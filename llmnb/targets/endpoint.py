"""A model's endpoint and what belongs to it; and the registry of models of this process."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Mapping
from typing import Any, Protocol

from llmnb.errors import ConfigurationError
from llmnb.rate_limiter import Key
from llmnb.rates import Rate
from llmnb.records import Limits, secret, secret_url, shown_url
from llmnb.targets.target import HTTPTarget


class Owner(Protocol):
    """An object that makes the targets of its model, such as a model with a loaded engine."""

    def target(self, gen_type: str = "chat") -> HTTPTarget:
        """Return the target that answers."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One model at one address, with what it brings along."""

    model: str = ""
    """The provider's name for it, or ``"provider/model"``; empty: the configured one."""

    url: str = ""
    """Base or full endpoint; empty: the provider's own."""

    api_key: str | None = dataclasses.field(default=None, repr=False)
    """Key, where it brings its own."""

    api_provider: str | None = None
    """Catalog name of the provider, where neither `model` nor `url` implies it."""

    params: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Fields of the body that belong to it."""

    gen_type: str | None = None
    """Kind of generation where a chat is asked for; None: a chat."""

    limits: Limits | None = None
    """Limits of every request to it, beside those of the run."""

    rates: Mapping[Key, Rate] = dataclasses.field(default_factory=dict)
    """The part of `limits` that a Redis shares, in the keys of `llmnb.rate_limiter`."""

    owner: Owner | None = dataclasses.field(default=None, repr=False)
    """Makes the target, where no address does."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "api_key", secret(self.api_key))
        object.__setattr__(self, "url", secret_url(self.url))

    def __repr__(self) -> str:
        where = f" at {shown_url(self.url)}" if self.url else ""
        return f"<{type(self).__name__} {self.model}{where}>"


def check_texts(**texts: Any) -> None:
    """Refuse arguments of a model that are neither a text nor None. Raises `ConfigurationError`."""
    for name, value in texts.items():
        if value is not None and not isinstance(value, str):
            raise ConfigurationError(
                f"{name} is a text, not {type(value).__name__}. Nothing was sent."
            )


_owners: dict[tuple[str, str], list[weakref.ref[Owner]]] = {}


def register_model(provider: str, model: str, owner: Owner) -> None:
    """Make a name mean an object, for as long as the object is referenced elsewhere.

    Args:
        provider: Catalog name, the part before the slash.
        model: The part behind it.
        owner: The object; while a later one of the same name lives, that has the name.
    """
    _owners.setdefault((provider, model), []).append(weakref.ref(owner))


def registered_model(provider: str, model: str) -> Owner | None:
    """Return the object that a name means, or None for a name of the catalog.

    Example:
        >>> registered_model("openai", "gpt-4o-mini") is None
        True
    """
    references = _owners.get((provider, model), [])
    while references:
        if (owner := references[-1]()) is not None:
            return owner
        references.pop()
    return None
