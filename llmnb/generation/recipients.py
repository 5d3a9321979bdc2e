"""Choose the provider, model, endpoint and limits for a list of requests."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from llmnb.generation.rate_limits import requests_limits_dict, requests_url_dict
from llmnb.rates import Rate
from llmnb.running.asking import Asking
from llmnb.targets.resolve import choose, names_provider
from llmnb.wire.catalog import dialect_at, provider_of_url, providers_with_model

logger = logging.getLogger("llmnb")


def asking_for(
    first: Mapping[str, Any] | None,
    *,
    request_url: str | None = None,
    api_provider: str | None = None,
    gen_type: str | None = None,
    **further: Any,
) -> Asking:
    """Return the model and endpoint for requests that name none themselves.

    Args:
        first: The first request, whose model stands for those that name none.
        request_url: A base or a full endpoint; None: the table's, else the provider's own.
        api_provider: Catalog name, where neither address nor model tells.
        gen_type: ``"chat"``, ``"text"`` or another kind; None: as address and request say.
        **further: What else an `Asking` takes.
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
    if model and not (request_url or api_provider or names_provider(model)):
        # A model that no provider lists is taken for one of OpenAI's, such as a fine-tuned one.
        api_provider = None if providers_with_model(model) else "openai"
    return Asking(
        model=model, api_provider=api_provider, url=request_url, gen_type=gen_type, **further
    )


def limits_for(
    first: Mapping[str, Any] | None, requests: Rate | None, tokens: Rate | None
) -> tuple[Rate | None, Rate | None]:
    """Return requests and tokens a minute: the caller's, else those tabled for the first model.

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


def _gen_type(first: Mapping[str, Any], url: str | None) -> str:
    if (url := url or requests_url_dict.get(str(first.get("model")))) is not None:
        known = dialect_at(url)
        return known[0] if known else "chat"  # a base address gives chats
    asks = "messages" in first or "prompt" in first
    return "embedding" if "input" in first and not asks else "chat"


def _is_elsewhere(model: str | None, url: str | None) -> bool:
    """Return whether a model names another provider than the one at an address.

    Its key must not be sent there.
    """
    if model is None or url is None or not names_provider(model):
        return False
    return provider_of_url(url) not in (None, model.partition("/")[0].lower())
