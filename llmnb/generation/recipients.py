"""From the cookbook's arguments to who is asked: which endpoint, which kind of answer, how fast."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from llmnb.generation.rate_limits import requests_limits_dict, requests_url_dict
from llmnb.rates import Rate
from llmnb.running.asking import Asking, Duplicates
from llmnb.targets.resolve import choose
from llmnb.wire.catalog import dialect_at, load_catalog, provider_of_url, providers_with_model

logger = logging.getLogger("llmnb")


def gen_type_of(url: str) -> str:
    """Return what kind of answers an endpoint gives; a base address gives chats.

    Example:
        >>> gen_type_of("https://api.openai.com/v1/completions")
        'text'
        >>> gen_type_of("http://127.0.0.1:8000/v1")
        'chat'
    """
    spoken = dialect_at(url)
    return spoken[0] if spoken else "chat"


def asking_for(
    first: Mapping[str, Any] | None,
    *,
    request_url: str | None = None,
    api_key: str | None = None,
    api_provider: str | None = None,
    duplicates: Duplicates = "merge",
    allow_urls: bool = True,
    params: Mapping[str, Any] | None = None,
    gen_type: str | None = None,
) -> Asking:
    """Return who is asked by requests that do not say it themselves.

    Args:
        first: The first request, whose model stands for those that name none.
        request_url: A base or a full endpoint; None: the table's, else the provider's own.
        api_key: Key for that address.
        api_provider: Catalog name, where neither address nor model tells.
        duplicates: Identical requests are sent once (``"merge"``) or each for itself.
        allow_urls: Whether a request may name a URL or a key of its own.
        params: Fields of the body where a request does not say otherwise.
        gen_type: ``"chat"``, ``"text"`` or another kind; None: as address and request say.
    """
    first = first or {}
    model = str(first.get("model") or "") or None
    gen_type = gen_type or _gen_type(first, request_url)
    if model is None and request_url is None:
        announcement = choose(None, api_provider=api_provider, gen_type=gen_type).announcement
        if announcement:
            logger.warning("%s", announcement)
    if _is_elsewhere(model, request_url):
        request_url = None
    if model and not (request_url or api_provider or _names_provider(model)):
        # Who asks here for a model that nobody lists means one of OpenAI's, such as a tuned one.
        api_provider = None if providers_with_model(model) else "openai"
    return Asking(
        model=model,
        api_provider=api_provider,
        api_key=api_key,
        url=request_url,
        gen_type=gen_type,
        allow_urls=allow_urls,
        duplicates=duplicates,
        params=params or {},
    )


def limits_for(
    first: Mapping[str, Any] | None, requests: Rate | None, tokens: Rate | None
) -> tuple[Rate | None, Rate | None]:
    """Return requests and tokens a minute: as given, else the table's for the first model.

    Example:
        >>> limits_for({"model": "gpt-4-0613"}, None, 500)
        (7500, 500)
    """
    tabled = requests_limits_dict.get(str((first or {}).get("model")))
    if tabled is None:
        return requests, tokens
    return (
        tabled["max_requests_per_minute"] if requests is None else requests,
        tabled["max_tokens_per_minute"] if tokens is None else tokens,
    )


def provider_for(request: Mapping[str, Any], asking: Asking) -> tuple[str, str]:
    """Return provider and model of a request as names, as far as they can be told.

    Example:
        >>> provider_for({"model": "groq/m"}, Asking(model="gpt-4-0613"))
        ('groq', 'm')
    """
    model = str(request.get("model") or asking.model or "")
    named = request.get("api_provider") or asking.api_provider
    if named:
        return str(named).lower(), model.removeprefix(f"{named}/")
    if _names_provider(model):
        head, _, rest = model.partition("/")
        return head.lower(), rest
    url = request.get("url") or asking.url
    owner = provider_of_url(str(url)) if url else None
    return owner or "openai", model


def _gen_type(first: Mapping[str, Any], url: str | None) -> str:
    url = url or requests_url_dict.get(str(first.get("model")))
    if url is not None:
        return gen_type_of(url)
    asks = "messages" in first or "prompt" in first
    return "embedding" if "input" in first and not asks else "chat"


def _names_provider(model: str) -> bool:
    head, slash, _ = model.partition("/")
    return bool(slash) and (head == "sim" or head.lower() in load_catalog())


def _is_elsewhere(model: str | None, url: str | None) -> bool:
    """Whether a model names a provider that does not answer at the address given.

    Its key must not be sent there.
    """
    if model is None or url is None or not _names_provider(model):
        return False
    owner = provider_of_url(url)
    return owner is not None and owner != model.partition("/")[0].lower()
