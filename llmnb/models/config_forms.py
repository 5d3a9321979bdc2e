"""A model's `config` in every form that people write it, read into deployments and options."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmnb.errors import ConfigurationError
from llmnb.models.config_limits import LIMITS, limited
from llmnb.models.deployments import Deployment, deployment
from llmnb.options import OPTIONS, RETRIES, checked, names

logger = logging.getLogger("llmnb")

_ADDRESS = ("api_base", "base_url", "url")
_KEY = "api_key"
_OF_THE_CONFIG = frozenset(
    (
        *("name", "model", "model_name", "model_list", "router_kwargs", "fallbacks", "kwargs"),
        *("default_fallbacks", "rate_limit", "request_limit", "pass_through_router", "n"),
        *("litellm_params", "model_info"),
    )
)
_CONNECTS = ("aws_", "vertex_", "azure_", "watsonx_", "sagemaker_", "gcs_")
_OF_THE_CONNECTION = frozenset(
    (
        *("api_version", "organization", "custom_llm_provider", "region_name", "extra_headers"),
        *("mock_response", "headers", "project", "drop_params"),
    )
)
_ATTEMPTS = ("num_retries", "max_retries")
_TIMES = ("timeout", "request_timeout", "stream_timeout")
_OPTIONS = frozenset(names("call")) - LIMITS - {"n", "allow_http"}
_RENAMED = {"max_token": "max_tokens", "max_parallel_requests": "max_concurrent_requests"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """A config, read."""

    name: str
    """The name under which the model is asked for."""

    deployments: tuple[Deployment, ...]
    """Who is asked, in the order of fallback; at least one."""

    options: Mapping[str, Any]
    """Options of runs, such as attempts; limits stand with the deployments they bind."""

    n: int | None = None
    """Answers to one question."""


def read_config(name: str | None, config: Mapping[str, Any] | None, *, default: str) -> ModelConfig:
    """Return what a name and a config mean.

    Args:
        name: Name of the model; None: the config's own, else `default`.
        config: LiteLLM's form with a ``model_list``, or the fields themselves: ``name``,
            parameters, ``api_key``, ``api_base``, ``rate_limit`` and ``request_limit`` (a rate,
            or a mapping from models to rates), ``fallbacks``, options of runs.
        default: Name of the model where nobody says one.

    Raises:
        ConfigurationError: If it cannot be read, or has no such model.

    Example:
        >>> found = read_config(None, {"name": "gpt-4o", "n": 5}, default="gpt-4o-mini")
        >>> found.name, found.n, found.deployments[0].model
        ('gpt-4o', 5, 'openai/gpt-4o')
    """
    given = _renamed(_mapping(config or {}, "config"))
    given = {**given, **_renamed(_mapping(given.get("kwargs") or {}, "kwargs"))}
    entries = _entries(given.get("model_list"))
    name = name or _text(given.get("name")) or _first_name(entries)
    name = name or _text(given.get("model")) or default
    found = _deployments(name, given, entries)
    first = found[0][1]
    return ModelConfig(
        name=name,
        deployments=tuple(
            limited(made, name=name, given=given, own=fields) for made, fields in found
        ),
        options=_options(given, first),
        n=_n(first.get("n", given.get("n"))),
    )


def _deployments(
    name: str, given: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]
) -> list[tuple[Deployment, Mapping[str, Any]]]:
    """Return who is asked, each with the fields it was made from."""
    shared = {key: value for key, value in given.items() if key not in _OF_THE_CONFIG}
    if not entries:
        mine = {**shared, "model": _text(given.get("model")) or name}
        found = [_deployment(mine)]
        for other in _fallbacks(name, given):
            # An address and a key are for the model they were given with.
            rest = {key: value for key, value in shared.items() if not _is_where(key)}
            found.append(_deployment({**rest, "model": other}))
        return found
    names = [str(entry.get("model_name") or "") for entry in entries]
    if name not in names:
        raise ConfigurationError(
            f"The model_list has no model {name!r}; it has {', '.join(dict.fromkeys(names))}. "
            "Nothing was sent."
        )
    found = []
    for wanted in dict.fromkeys([name, *_fallbacks(name, given)]):
        matching = [entry for entry in entries if entry.get("model_name") == wanted]
        for entry in matching:
            own = _renamed(_mapping(entry.get("litellm_params") or {}, "litellm_params"))
            found.append(_deployment({**shared, "model": wanted, **own}))
        if not matching:
            rest = {key: value for key, value in shared.items() if not _is_where(key)}
            found.append(_deployment({**rest, "model": wanted}))
    return found


def _deployment(fields: Mapping[str, Any]) -> tuple[Deployment, Mapping[str, Any]]:
    connection = {key: value for key, value in fields.items() if _is_connection(key)}
    made = deployment(
        str(fields["model"]),
        url=next((str(fields[one]) for one in _ADDRESS if fields.get(one)), ""),
        api_key=_text(fields.get(_KEY)),
        provider_name=_text(connection.pop("custom_llm_provider", None)),
        params={key: value for key, value in fields.items() if _is_param(key)},
        connection=connection,
    )
    return made, fields


def _is_where(key: str) -> bool:
    return key in _ADDRESS or key == _KEY or _is_connection(key)


def _is_connection(key: str) -> bool:
    return key in _OF_THE_CONNECTION or key.startswith(_CONNECTS)


def _is_param(key: str) -> bool:
    return not (
        _is_where(key)
        or key in _OF_THE_CONFIG
        or key in _OPTIONS
        or key in _ATTEMPTS
        or key in _TIMES
        or key in LIMITS
    )


def _options(given: Mapping[str, Any], first: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of runs that a config sets."""
    every = {**given, **first}
    options = checked({key: every[key] for key in _OPTIONS if every.get(key) is not None})
    for key in _ATTEMPTS:
        if every.get(key) is not None:
            options.setdefault("max_attempts", RETRIES.checked(key, every[key]) + 1)
    if ignored := [key for key in _TIMES if every.get(key) is not None]:
        logger.info("%s is left to the engine's own time-outs; see time_limit.", ignored[0])
    return options


def _fallbacks(name: str, given: Mapping[str, Any]) -> list[str]:
    """Return the names to fall back to, in LiteLLM's forms or as a plain list."""
    router = _mapping(given.get("router_kwargs") or {}, "router_kwargs")
    found: list[str] = []
    for source in (given, router):
        for one in _listed(source.get("fallbacks")):
            if isinstance(one, str):
                found.append(one)
            elif isinstance(one, Mapping):
                found += [str(other) for other in _listed(one.get(name) or one.get("*"))]
        found += [str(one) for one in _listed(source.get("default_fallbacks"))]
    return [one for one in dict.fromkeys(found) if one != name]


def _listed(value: Any) -> Iterable[Any]:
    if value is None:
        return ()
    return (value,) if isinstance(value, (str, Mapping)) else value


def _entries(model_list: Any) -> list[Mapping[str, Any]]:
    if model_list is None:
        return []
    if isinstance(model_list, (str, Mapping)) or not isinstance(model_list, Iterable):
        raise ConfigurationError(
            "model_list is a list of {'model_name': …, 'litellm_params': {…}}. Nothing was sent."
        )
    return [_mapping(entry, "an entry of model_list") for entry in model_list]


def _first_name(entries: Sequence[Mapping[str, Any]]) -> str | None:
    return _text(entries[0].get("model_name")) if entries else None


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(
            f"{what} is a {type(value).__name__}; give a dictionary. Nothing was sent."
        )
    return value


def _renamed(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {_RENAMED.get(str(key), str(key)): value for key, value in fields.items()}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _n(value: Any) -> int | None:
    return None if value is None else OPTIONS["n"].checked("n", value)
