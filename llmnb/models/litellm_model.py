"""`LiteLLMModel`: a model by its LiteLLM name and config, asked by llmnb's own engine."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from llmnb.chat.results import names_secret, without_keys
from llmnb.errors import ConfigurationError
from llmnb.models.engine_model import EngineModel
from llmnb.options import OPTIONS, RETRIES, checked, names
from llmnb.rate_limiter import Key
from llmnb.rates import Rate, per_minute
from llmnb.records import Limits, secret
from llmnb.targets.endpoint import Endpoint, check_texts
from llmnb.targets.litellm_target import LiteLLMConnection
from llmnb.wire.catalog import load_catalog, provider, providers_with_model

logger = logging.getLogger("llmnb")

DEFAULT_NAME = "gpt-4o-mini"
"""The model where neither `name` nor `config` names one."""


class LiteLLMModel(EngineModel):
    """A model by name, with parameters, limits and fallbacks in one `config`.

    Providers that llmnb knows are asked directly; every other one is reached through the
    package LiteLLM (extra ``litellm``), as is what is named ``litellm/…``. Limits, retries,
    store and cost are the engine's in both cases: LiteLLM's own retries are off.

    Wherever a model is named by a string, such an object is accepted too.

    Args:
        name: As LiteLLM spells it: ``"gpt-4o"``, ``"anthropic/claude-…"``, ``"bedrock/…"``;
            None: the config's, else ``"gpt-4o-mini"``.
        config: Parameters and more, in any of these forms (see `read_config`):
            ``{"model_list": [{"model_name": …, "litellm_params": {…}}], "fallbacks": …}``;
            ``{"name": …, "temperature": …, "max_tokens": …, "n": …}``;
            either with ``rate_limit`` (tokens) and ``request_limit`` (requests), each a text
            such as ``"100/minute"``, a `limits.RateLimitItem`, or a mapping from models to these.
            They bind this model's calls; with ``REDIS_URL`` set, those of every process that
            shares the Redis, unless `GLOBAL_LIMITER.rate_config` says otherwise.

    Raises:
        ConfigurationError: If the config cannot be read.

    Example:
        >>> from llmnb.testing import SimulatedProvider
        >>> with SimulatedProvider(reply="42") as sim:
        ...     llm = LiteLLMModel("gpt-4o", {"api_base": sim.base_url, "api_key": "k"})
        ...     llm.call_single_sync("What is the meaning of life?").text
        '42'
    """

    def __init__(self, name: str | None = None, config: Mapping[str, Any] | None = None) -> None:
        self._settings = read_config(name, config)
        self._config = without_keys(config or {})

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._settings.name

    @property
    def config(self) -> Mapping[str, Any]:
        """The config as it was given, without keys."""
        return dict(self._config)

    @property
    def model(self) -> str:
        """The first choice as ``"provider/model"``."""
        return self.endpoints[0].model

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The endpoints that are asked, in the order of fallback."""
        return self._settings.endpoints

    def _defaults(self) -> Mapping[str, Any]:
        n = {} if self._settings.n is None else {"n": self._settings.n}
        return {**self._settings.options, **n}

    def __repr__(self) -> str:
        further = len(self.endpoints) - 1
        return f"<LiteLLMModel {self.name}{f', then {further} more' if further else ''}>"


# ------------------------------------------------------------------------------ its config

ADDRESS = ("api_base", "base_url", "url")
_OF_THE_CONFIG = frozenset(
    (
        *("name", "model", "model_name", "model_list", "router_kwargs", "fallbacks", "kwargs"),
        *("default_fallbacks", "rate_limit", "request_limit", "pass_through_router", "n"),
        *("litellm_params", "model_info", "caching"),
    )
)
_CONNECTS = ("aws_", "vertex_", "azure_", "watsonx_", "sagemaker_", "gcs_")
_OF_THE_CONNECTION = frozenset(
    (
        *("api_version", "organization", "custom_llm_provider", "region_name", "extra_headers"),
        *("mock_response", "headers", "project", "drop_params"),
    )
)
ATTEMPTS = ("num_retries", "max_retries")
_TIMES = ("timeout", "request_timeout", "stream_timeout")
_RENAMED = {
    "max_token": "max_tokens",
    "max_parallel_requests": "max_concurrent_requests",
    "api_provider": "custom_llm_provider",
}
_TOKENS = ("rate_limit", "client", ("max_tokens_per_minute", "tpm"))
_REQUESTS = ("request_limit", "client|request", ("max_requests_per_minute", "rpm"))
_CONCURRENCY = "max_concurrent_requests"
_EVEN = "max_rps"
_LIMITS = frozenset((*_TOKENS[2], *_REQUESTS[2], _CONCURRENCY, _EVEN))
"""Fields that may stand beside a model's parameters and are limits."""

_OPTIONS = frozenset(names("call")) - _LIMITS - {"n", "allow_http"}
_NO_PARAMS = frozenset(
    (*_OF_THE_CONFIG, *_OPTIONS, *ATTEMPTS, *_TIMES, *_LIMITS, *ADDRESS, "api_key")
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """The settings in a config."""

    name: str
    """The name under which the model is asked for."""

    endpoints: tuple[Endpoint, ...]
    """The endpoints that are asked, in the order of fallback; at least one."""

    options: Mapping[str, Any]
    """Options of runs, such as attempts; limits stand with the endpoints they bind."""

    n: int | None = None
    """Answers to one question."""


def read_config(
    name: str | None, config: Mapping[str, Any] | None, *, gen_type: str = "chat"
) -> ModelConfig:
    """Return the settings that a name and a config mean.

    Args:
        name: Name of the model; None: the config's own, else `DEFAULT_NAME`.
        config: LiteLLM's form with a ``model_list``, or the fields themselves: ``name``,
            parameters, ``api_key``, ``api_base``, ``rate_limit`` and ``request_limit`` (a rate,
            or a mapping from models to rates), ``fallbacks``, options of runs.
        gen_type: What the models are asked for.

    Raises:
        ConfigurationError: If it cannot be read, or has no such model.

    Example:
        >>> read = read_config(None, {"name": "gpt-4o", "n": 5})
        >>> read.name, read.n, read.endpoints[0].model
        ('gpt-4o', 5, 'openai/gpt-4o')
    """
    fields = config_fields(config or {}, "config")
    fields = {**fields, **config_fields(fields.get("kwargs") or {}, "kwargs")}
    entries = _entries(fields.get("model_list"))
    name = name or _text(fields.get("name"))
    name = name or (_text(entries[0].get("model_name")) if entries else None)
    name = name or _text(fields.get("model")) or DEFAULT_NAME
    models = _models(name, fields, entries)
    every = {**fields, **models[0]}
    options = checked({key: every[key] for key in _OPTIONS if every.get(key) is not None})
    for key in ATTEMPTS:
        if every.get(key) is not None:
            options.setdefault("max_attempts", RETRIES.checked(key, every[key]) + 1)
    if ignored := [key for key in _TIMES if every.get(key) is not None]:
        logger.info("%s is left to the engine's own time-outs; see time_limit.", ignored[0])
    n = models[0].get("n", fields.get("n"))
    return ModelConfig(
        name=name,
        endpoints=tuple(_endpoint(own, name, fields, gen_type) for own in models),
        options=options,
        n=None if n is None else OPTIONS["n"].checked("n", n),
    )


def _models(
    name: str, config: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return for each model that is asked, in the order of fallback, its name and its fields."""
    shared = {key: value for key, value in config.items() if key not in _OF_THE_CONFIG}
    # An address and a key are for the model they were given with.
    elsewhere = {key: value for key, value in shared.items() if not _tells_where(key)}
    fallbacks = _fallbacks(name, config)
    if not entries:
        first = {**shared, "model": _text(config.get("model")) or name}
        return [first, *({**elsewhere, "model": other} for other in fallbacks)]
    there = [str(entry.get("model_name") or "") for entry in entries]
    if name not in there:
        raise ConfigurationError(
            f"The model_list has no model {name!r}; it has {', '.join(dict.fromkeys(there))}. "
            "Nothing was sent."
        )
    models: list[dict[str, Any]] = []
    for wanted in (name, *fallbacks):
        matching = [entry for entry in entries if entry.get("model_name") == wanted]
        for entry in matching:
            own = config_fields(entry.get("litellm_params") or {}, "litellm_params")
            model = {"model": wanted, **own}
            is_same = not models or _is_same_account(model, models[0], shared)
            models.append({**(shared if is_same else elsewhere), **model})
        if not matching:
            models.append({**elsewhere, "model": wanted})
    return models


def _is_same_account(
    model: Mapping[str, Any], first: Mapping[str, Any], shared: Mapping[str, Any]
) -> bool:
    """Return whether the config's own key and address, given for its first model, are for another.

    A key without an address is for the provider of the first model alone.
    """
    if any(model.get(key) and model[key] != first.get(key) for key in ADDRESS):
        return False
    whole = {**shared, **model}
    names_other = model.get("api_key") or model.get("custom_llm_provider")
    is_there = not names_other and any(map(whole.get, ADDRESS))
    return is_there or _owner_of(whole) == _owner_of(first)


def _owner_of(model: Mapping[str, Any]) -> tuple[str, str]:
    """Return the provider that a model's name means; through LiteLLM, LiteLLM's name of it, too."""
    provider_name, name = provider_and_model(
        str(model["model"]),
        provider_name=_text(model.get("custom_llm_provider")),
        has_url=any(map(model.get, ADDRESS)),
    )
    return provider_name, name.partition("/")[0] if provider_name == _VIA_LITELLM else ""


def _endpoint(
    own: Mapping[str, Any], name: str, config: Mapping[str, Any], gen_type: str
) -> Endpoint:
    """Return a model as an endpoint, with the limits that the config sets it.

    What the catalog knows is asked directly, in the provider's own dialect. Everything
    else, and what is named ``litellm/…``, goes through LiteLLM.
    """
    connection = {key: value for key, value in own.items() if _is_connection(key)}
    url, api_key = next(filter(None, map(own.get, ADDRESS)), ""), own.get("api_key") or None
    named = connection.pop("custom_llm_provider", None)
    check_texts(api_base=url, custom_llm_provider=named)
    provider_name, model = provider_and_model(
        str(own["model"]), provider_name=named, has_url=bool(url), gen_type=gen_type
    )
    owner = None
    if provider_name == _VIA_LITELLM:
        keyed = {"api_key": api_key, "api_base": url}
        connection |= {key: value for key, value in keyed.items() if value}
        for key, value in connection.items():
            if names_secret(key) and isinstance(value, str):
                connection[key] = secret(value)
        owner = LiteLLMConnection(model, connection)
    elif url:
        url = _full_address(provider_name, url, connection.get("api_version"))
    rates: dict[Key, Rate] = {}
    least: list[float | None] = []
    for field, kind, others in (_TOKENS, _REQUESTS):
        limit, read = config.get(field), OPTIONS[others[0]].checked
        for rate in limit.values() if isinstance(limit, Mapping) else (limit,):
            read(field, rate)  # a wrong rate is an error here, not at the first request
        shared = _rate(limit, f"{provider_name}/{model}", name)
        if shared is not None:
            rates[kind, model] = shared
        every = [read(field, shared), *(read(key, own.get(key)) for key in others)]
        least.append(min((rate for rate in every if rate is not None), default=None))
    limits = Limits(
        tokens_per_minute=least[0],
        requests_per_minute=least[1],
        concurrency=OPTIONS[_CONCURRENCY].checked(_CONCURRENCY, own.get(_CONCURRENCY)),
        even=OPTIONS[_EVEN].checked(_EVEN, own.get(_EVEN, False)),
    )
    return Endpoint(
        model=f"{provider_name}/{model}",
        url=url,
        api_key=api_key,
        params={
            key: value
            for key, value in own.items()
            if key not in _NO_PARAMS and not _is_connection(key)
        },
        limits=limits,
        rates=rates,
        owner=owner,
    )


def _rate(limit: Any, *models: str) -> Rate | None:
    """Return the rate of the first of some names that has one; the smallest where it has several.

    Args:
        limit: A rate for every model, or a mapping from models to rates.
        models: The model itself, and the name it is asked for under.
    """
    if not isinstance(limit, Mapping):
        rate: Rate | None = limit
        return rate
    for model in models:
        spellings = {model, model.rpartition("/")[2], model.partition("/")[2]}
        rates = [
            rate
            for name, rate in limit.items()
            if rate is not None and str(name[-1] if isinstance(name, tuple) else name) in spellings
        ]
        if rates:
            smallest: Rate = min(rates, key=lambda rate: per_minute(rate) or 0.0)
            return smallest
    return None


def _tells_where(key: str) -> bool:
    return key in ADDRESS or key == "api_key" or _is_connection(key)


def _is_connection(key: str) -> bool:
    """Return whether a field of a config says how LiteLLM reaches a model."""
    return key in _OF_THE_CONNECTION or key.startswith(_CONNECTS)


def _fallbacks(name: str, config: Mapping[str, Any]) -> list[str]:
    """Return the names to fall back to, in LiteLLM's forms or as a plain list."""
    router = config_fields(config.get("router_kwargs") or {}, "router_kwargs")
    fallbacks: list[str] = []
    for source in (config, router):
        for fallback in _as_list(source.get("fallbacks")):
            if isinstance(fallback, str):
                fallbacks.append(fallback)
            elif isinstance(fallback, Mapping):
                fallbacks += map(str, _as_list(fallback.get(name) or fallback.get("*")))
        fallbacks += map(str, _as_list(source.get("default_fallbacks")))
    return [fallback for fallback in dict.fromkeys(fallbacks) if fallback != name]


def _as_list(value: Any) -> Iterable[Any]:
    if value is not None and not isinstance(value, Iterable):
        raise ConfigurationError(f"fallbacks are names of models, not {value!r}. Nothing was sent.")
    return (value,) if isinstance(value, (str, Mapping)) else value or ()


def _entries(model_list: Any) -> list[dict[str, Any]]:
    if model_list is None:
        return []
    if isinstance(model_list, (str, Mapping)) or not isinstance(model_list, Iterable):
        raise ConfigurationError(
            "model_list is a list of {'model_name': …, 'litellm_params': {…}}. Nothing was sent."
        )
    return [config_fields(entry, "an entry of model_list") for entry in model_list]


def config_fields(value: Any, what: str) -> dict[str, Any]:
    """Return a part of a config, older names of fields replaced."""
    if not isinstance(value, Mapping):
        raise ConfigurationError(
            f"{what} is a dictionary, not {type(value).__name__}. Nothing was sent."
        )
    return {_RENAMED.get(str(key), str(key)): item for key, item in value.items()}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


# ---------------------------------------------------------------------------- LiteLLM's names

_ALIASES = {
    "together_ai": "together",
    "fireworks_ai": "fireworks",
    "hosted_vllm": "vllm",
    "ollama_chat": "ollama",
    "lm_studio": "lmstudio",
}
"""LiteLLM's names of providers where the catalog has others."""

_BARE_BASES = ("anthropic", "gemini", "ollama")
"""Providers whose address LiteLLM takes without the path that the catalog's has."""

_VIA_LITELLM = "litellm"


def provider_and_model(
    name: str,
    *,
    provider_name: str | None = None,
    has_url: bool = False,
    gen_type: str = "chat",
) -> tuple[str, str]:
    """Return provider and model that a LiteLLM name means.

    Example:
        >>> [provider_and_model(name) for name in ("gpt-4o", "hosted_vllm/tiny")]
        [('openai', 'gpt-4o'), ('vllm', 'tiny')]
        >>> provider_and_model("litellm/openai/gpt-4o")
        ('litellm', 'openai/gpt-4o')
    """
    if provider_name:
        name = f"{provider_name}/{name.removeprefix(provider_name + '/')}"
    head, slash, rest = name.partition("/")
    known = _ALIASES.get(head, head)
    row = load_catalog().get(known)
    if slash and (row is not None or known == "sim"):
        return (_VIA_LITELLM, name) if row and gen_type not in row.paths else (known, rest)
    owners = providers_with_model(name)
    if "openai" in owners:
        return "openai", name
    if owners:
        return owners[0], name
    if not slash and has_url:
        return "openai", name  # a server of one's own, which speaks OpenAI's protocol
    return _VIA_LITELLM, name


def _full_address(name: str, url: str, version: Any) -> str:
    """Return an address as the catalog understands it."""
    base = provider(name).base_url if name in _BARE_BASES else None
    if base and urlsplit(url).path in ("", "/"):
        url = url.rstrip("/") + urlsplit(base).path
    if name == "azure" and isinstance(version, str) and version and "api-version" not in url:
        url += f"{'&' if '?' in url else '?'}api-version={version}"
    return url
