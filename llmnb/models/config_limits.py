"""The limits in a model's `config`: which rates bind which of its deployments."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from llmnb.models.deployments import Deployment
from llmnb.options import OPTIONS
from llmnb.rate_limiter import Key
from llmnb.rates import Rate, per_minute
from llmnb.records import Limits

_TOKENS = ("rate_limit", "client", ("max_tokens_per_minute", "tpm"))
_REQUESTS = ("request_limit", "client|request", ("max_requests_per_minute", "rpm"))
_PLACES = "max_concurrent_requests"
_EVEN = "max_rps"

LIMITS = frozenset((*_TOKENS[2], *_REQUESTS[2], _PLACES, _EVEN))
"""Fields that may stand beside a deployment's parameters and are limits."""


def limited(
    made: Deployment, *, name: str, given: Mapping[str, Any], own: Mapping[str, Any]
) -> Deployment:
    """Return a deployment with the limits that a config sets it.

    ``rate_limit`` and ``request_limit`` may be one rate for each of the models, or a mapping
    from models to rates; what stands beside a deployment's own parameters is its own.

    Args:
        made: The deployment.
        name: The name under which the whole model is asked for.
        given: The config.
        own: The fields that the deployment was made from.

    Raises:
        ConfigurationError: If a rate is none.
    """
    model = made.model.partition("/")[2]
    rates: dict[Key, Rate] = {}
    least: list[float | None] = []
    for field, kind, others in (_TOKENS, _REQUESTS):
        limit = given.get(field)
        for rate in limit.values() if isinstance(limit, Mapping) else (limit,):
            _per_minute(field, rate)  # wrong ones are told here, not at the first request
        shared = _rate_of(limit, made.model, name)
        if shared is not None:
            rates[kind, model] = shared
        found = [_per_minute(field, shared), *(_per_minute(one, own.get(one)) for one in others)]
        least.append(min((rate for rate in found if rate is not None), default=None))
    limits = Limits(
        tokens_per_minute=least[0],
        requests_per_minute=least[1],
        concurrency=OPTIONS[_PLACES].checked(_PLACES, own.get(_PLACES)),
        even=OPTIONS[_EVEN].checked(_EVEN, own.get(_EVEN, False)),
    )
    return dataclasses.replace(made, limits=limits, rates=rates)


def _per_minute(field: str, rate: Any) -> float | None:
    found: float | None = OPTIONS["max_requests_per_minute"].checked(field, rate)
    return found


def _rate_of(limit: Any, model: str, name: str) -> Rate | None:
    """Return the rate of one model, else that of the name it is asked for under."""
    rate = _rate(limit, model)
    return _rate(limit, name) if rate is None else rate


def _rate(limit: Any, name: str) -> Rate | None:
    """Return the rate that holds for a name; the smallest where several do."""
    if limit is None:
        return None
    if not isinstance(limit, Mapping):
        rate: Rate = limit
        return rate
    names = {name, name.rpartition("/")[2], name.partition("/")[2]}
    rates = [rate for named, rate in limit.items() if _plain(named) in names]
    return min(rates, key=lambda rate: per_minute(rate) or 0.0, default=None)


def _plain(name: Any) -> str:
    return str(name[-1] if isinstance(name, tuple) else name)
