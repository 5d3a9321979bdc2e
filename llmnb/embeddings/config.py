"""The `config` of an embedding model, in the forms that LMI takes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from llmnb.errors import ConfigurationError
from llmnb.models.litellm_model import litellm_endpoint, provider_and_model
from llmnb.options import OPTIONS, RETRIES, checked
from llmnb.records import secret
from llmnb.targets.endpoint import Endpoint
from llmnb.wire.catalog import load_catalog

_KNOWN = (
    "kwargs",
    "batch_size",
    "rate_limit",
    "request_limit",
    "max_tokens",
    "document_prefix",
    "query_prefix",
    "document_kwargs",
    "query_kwargs",
)
_OPTIONS = (
    *("max_requests_per_minute", "max_tokens_per_minute", "max_concurrent_requests"),
    *("burst", "max_attempts", "max_wait", "budget_usd"),
)
_RATES = {
    "rate_limit": "max_tokens_per_minute",
    "request_limit": "max_requests_per_minute",
}
_KEY = ("api_key",)
_ADDRESS = ("api_base", "base_url", "url")
_PROVIDER = ("api_provider", "custom_llm_provider")
_ATTEMPTS = ("num_retries", "max_retries")
_IGNORED = frozenset(("caching", "drop_params", "timeout"))
"""LiteLLM's own switches, which mean nothing to a request that llmnb sends."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingConfig:
    """What a `config` says, sorted.

    Example:
        >>> found = EmbeddingConfig.of({"kwargs": {"dimensions": 64}, "rate_limit": "9/minute"})
        >>> found.params, found.limits
        ({'dimensions': 64}, {'max_tokens_per_minute': '9/minute'})
    """

    api_key: str | None = dataclasses.field(default=None, repr=False)
    url: str | None = None
    api_provider: str | None = None
    connection: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)
    """What LiteLLM needs to reach a provider, such as ``aws_region_name``."""

    params: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Fields of the body."""

    limits: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Limits and patience, as the engine's door takes them."""

    batch_size: int | None = None
    most_tokens: int | None = None
    prefixes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """What stands before every text, by mode."""

    mode_params: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    """Further fields of the body, by mode."""

    @classmethod
    def of(cls, config: Mapping[str, Any] | None) -> EmbeddingConfig:
        """Return what a `config` says.

        Raises:
            ConfigurationError: If it says what nobody understands.
        """
        given = dict(config or {})
        if unknown := sorted(set(given) - {*_KNOWN, *_OPTIONS}):
            raise ConfigurationError(
                f"An embedding model's config has no {', '.join(map(repr, unknown))}; it has: "
                f"{', '.join((*_KNOWN, *_OPTIONS))}. Fields of the request go into 'kwargs'."
            )
        fields = dict(given.get("kwargs") or {})
        limits: dict[str, Any] = {}
        for rate, option in _RATES.items():
            if given.get(rate) is not None:
                OPTIONS[option].checked(rate, given[rate])  # here, not at the first request
                limits[option] = given[rate]
        if (retries := _taken(fields, _ATTEMPTS)) is not None:
            limits["max_attempts"] = RETRIES.checked("max_retries", retries) + 1
        own = {name: given[name] for name in _OPTIONS if given.get(name) is not None}
        limits |= checked(own)
        connection = {name: fields.pop(name) for name in list(fields) if _connects(name)}
        return cls(
            connection=connection,
            api_key=secret(_taken(fields, _KEY)),
            url=_taken(fields, _ADDRESS),
            api_provider=_taken(fields, _PROVIDER),
            params={name: value for name, value in fields.items() if name not in _IGNORED},
            limits=limits,
            batch_size=given.get("batch_size"),
            most_tokens=given.get("max_tokens"),
            prefixes={mode: str(given.get(f"{mode}_prefix") or "") for mode in _MODES},
            mode_params={mode: dict(given.get(f"{mode}_kwargs") or {}) for mode in _MODES},
        )

    def endpoint(self, name: str) -> Endpoint:
        """Return where a name's model is: at a provider of the catalog, or behind LiteLLM."""
        provider, _ = provider_and_model(
            name, provider_name=self.api_provider, has_url=bool(self.url)
        )
        row = load_catalog().get(provider)
        has_none = row is not None and "embedding" not in row.paths
        return litellm_endpoint(
            f"litellm/{name}" if has_none else name,
            url=self.url or "",
            api_key=self.api_key,
            provider_name=None if has_none else self.api_provider,
            connection=self.connection,
        )


_MODES = ("document", "query")


def _connects(field: str) -> bool:
    return field in ("api_version", "organization") or field.startswith(
        ("aws_", "vertex_", "watsonx_", "azure_")
    )


def _taken(fields: dict[str, Any], names: tuple[str, ...]) -> Any:
    """Take a field out under any of its names."""
    found = None
    for name in names:
        value = fields.pop(name, None)
        found = value if found is None else found
    return found
