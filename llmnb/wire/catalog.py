"""The providers: who they are, where they answer, which key they want. A data table, read once."""

from __future__ import annotations

import difflib
import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

from llmnb.errors import UnknownProvider


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One row of the catalog; `catalog.toml` explains the fields."""

    name: str
    base_url: str | None = None
    key_env: tuple[str, ...] = ()
    base_url_env: tuple[str, ...] = ()
    dialects: Mapping[str, str] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)
    default_models: Mapping[str, str] = field(default_factory=dict)
    known_models: tuple[str, ...] = ()
    key_header: str = "authorization"
    extra_headers: Mapping[str, str] = field(default_factory=dict)
    charge: str = "actual"
    limit_headers: str = "none"
    is_local: bool = False
    even_pace: bool = False


@functools.cache
def load_catalog() -> Mapping[str, Provider]:
    """Return all providers by name, in the order of the table.

    Example:
        >>> load_catalog()["openai"].key_env
        ('OPENAI_API_KEY',)
    """
    text = resources.files("llmnb.wire").joinpath("catalog.toml").read_text(encoding="utf-8")
    return {name: _provider(name, row) for name, row in tomllib.loads(text).items()}


def _provider(name: str, row: Mapping[str, Any]) -> Provider:
    own = f"LLMNB_{name.upper()}_BASE_URL"
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    values["base_url_env"] = (own, *values.get("base_url_env", ()))
    return Provider(name=name, **values)


def provider(name: str) -> Provider:
    """Return a provider by name.

    Raises:
        UnknownProvider: With the names that are nearest.
    """
    catalog = load_catalog()
    try:
        return catalog[name.lower()]
    except KeyError:
        near = difflib.get_close_matches(name.lower(), catalog, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        raise UnknownProvider(
            f"There is no provider {name!r}. {hint}Known are: {', '.join(catalog)}."
        ) from None


def providers_with_model(model: str) -> list[str]:
    """Return the providers that are known to have a model.

    Example:
        >>> providers_with_model("gpt-4o-mini")
        ['openai']
    """
    return [
        row.name
        for row in load_catalog().values()
        if any(fnmatchcase(model, known) for known in row.known_models)
    ]


def provider_of_url(url: str) -> str | None:
    """Return the provider that answers at an address, or None for a stranger's.

    Example:
        >>> provider_of_url("https://api.groq.com/openai/v1/chat/completions")
        'groq'
    """
    host = urlsplit(url).netloc.rpartition("@")[2].lower()
    for row in load_catalog().values():
        if row.base_url is not None and urlsplit(row.base_url).netloc == host:
            return row.name
    return None
