"""Which model a LiteLLM name means: one of the catalog's providers, or LiteLLM itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from llmnb.adapters import litellm
from llmnb.chat.results import names_secret
from llmnb.rate_limiter import Key
from llmnb.rates import Rate
from llmnb.records import Limits, secret, secret_url, shown_url
from llmnb.targets.litellm_target import LiteLLMTarget
from llmnb.wire.catalog import load_catalog, provider, providers_with_model

_ALIASES = {
    "together_ai": "together",
    "fireworks_ai": "fireworks",
    "hosted_vllm": "vllm",
    "ollama_chat": "ollama",
    "lm_studio": "lmstudio",
    "sim": "sim",
}
"""LiteLLM's names of providers where the catalog has others."""

_BARE_BASES = ("anthropic", "gemini", "ollama")
"""Providers whose address LiteLLM takes without the path that the catalog's has."""

_VIA_LITELLM = "litellm"


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """One model at one address, as an entry of a model list describes it."""

    model: str
    """``"provider/model"``."""

    url: str = ""
    api_key: str | None = field(default=None, repr=False)
    api_provider: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the body that belong to it."""

    limits: Limits = field(default_factory=Limits)
    """What its config allows."""

    rates: Mapping[Key, Rate] = field(default_factory=dict)
    """The config's ``rate_limit`` and ``request_limit``, in the keys of `llmnb.rate_limiter`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "api_key", secret(self.api_key))
        object.__setattr__(self, "url", secret_url(self.url))

    def __repr__(self) -> str:
        where = f" at {shown_url(self.url)}" if self.url else ""
        return f"<{type(self).__name__} {self.model}{where}>"


@dataclass(frozen=True, kw_only=True, repr=False)
class LiteLLMDeployment(Deployment):
    """One model that only LiteLLM reaches."""

    connection: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What LiteLLM needs to reach it, such as ``aws_region_name``; never part of a request."""

    def __post_init__(self) -> None:
        super().__post_init__()
        kept = {
            name: secret(value) if names_secret(name) and isinstance(value, str) else value
            for name, value in self.connection.items()
        }
        object.__setattr__(self, "connection", kept)

    def target(self, gen_type: str = "chat") -> LiteLLMTarget:
        """Return who answers: the engine asks here instead of looking a name up.

        Raises:
            MissingExtra: If LiteLLM is not installed.
        """
        litellm.check_installed()
        name = self.model.partition("/")[2]
        keyed = {"api_key": self.api_key, "api_base": self.url}
        given = {key: value for key, value in keyed.items() if value}
        return LiteLLMTarget(name, gen_type, {**self.connection, **given})


def deployment(
    name: str,
    *,
    url: str = "",
    api_key: str | None = None,
    provider_name: str | None = None,
    params: Mapping[str, Any] | None = None,
    connection: Mapping[str, Any] | None = None,
) -> Deployment:
    """Return what a name of LiteLLM's means.

    What the catalog knows is asked directly, in the provider's own dialect. Everything
    else, and what is named ``litellm/…``, goes through LiteLLM.

    Args:
        name: As LiteLLM spells it, such as ``"gpt-4o"`` or ``"bedrock/…"``.
        url: Base or endpoint, where it is not the provider's own.
        api_key: Key; else wherever keys are looked for.
        provider_name: LiteLLM's ``custom_llm_provider``.
        params: Fields of the body.
        connection: Further things that LiteLLM needs to reach it.

    Example:
        >>> deployment("together_ai/meta-llama/Llama-3-8b").model
        'together/meta-llama/Llama-3-8b'
        >>> deployment("bedrock/anthropic.claude-3").model
        'litellm/bedrock/anthropic.claude-3'
    """
    params, connection = dict(params or {}), dict(connection or {})
    asked, model = who(name, provider_name=provider_name, has_url=bool(url))
    if asked == _VIA_LITELLM:
        return LiteLLMDeployment(
            model=f"{asked}/{model}",
            url=url,
            api_key=api_key,
            params=params,
            connection=connection,
        )
    return Deployment(
        model=f"{asked}/{model}",
        url=_whole(asked, url, connection.get("api_version")) if url else "",
        api_key=api_key,
        api_provider=None,
        params=params,
    )


def who(name: str, *, provider_name: str | None = None, has_url: bool = False) -> tuple[str, str]:
    """Return provider and model that a LiteLLM name means.

    Example:
        >>> who("gpt-4o"), who("hosted_vllm/tiny"), who("litellm/openai/gpt-4o")
        (('openai', 'gpt-4o'), ('vllm', 'tiny'), ('litellm', 'openai/gpt-4o'))
    """
    if provider_name:
        name = f"{provider_name}/{name.removeprefix(provider_name + '/')}"
    head, slash, rest = name.partition("/")
    known = _ALIASES.get(head, head)
    if slash and (known in load_catalog() or known == "sim"):
        return known, rest
    owners = providers_with_model(name)
    if "openai" in owners:
        return "openai", name
    if owners:
        return owners[0], name
    if not slash and has_url:
        return "openai", name  # a server of one's own, which speaks OpenAI's protocol
    return _VIA_LITELLM, name


def _whole(name: str, url: str, version: Any) -> str:
    """Return an address as the catalog understands it."""
    base = provider(name).base_url if name in _BARE_BASES else None
    if base and urlsplit(url).path in ("", "/"):
        url = url.rstrip("/") + urlsplit(base).path
    if name == "azure" and isinstance(version, str) and version and "api-version" not in url:
        url += f"{'&' if '?' in url else '?'}api-version={version}"
    return url
