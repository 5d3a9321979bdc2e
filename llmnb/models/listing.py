"""Which models a provider says it has."""

from __future__ import annotations

from llmnb.models.asking import Asking
from llmnb.models.resolve import resolve


async def has_model(asking: Asking) -> bool:
    """Return whether the provider lists the model; call it on the loop thread.

    Raises:
        ConfigurationError: If the provider is unknown or its key is missing.
        LLMNBError: If the provider does not answer.
    """
    target = resolve(
        asking.model,
        api_provider=asking.api_provider,
        api_key=asking.api_key,
        url=asking.url,
        gen_type=asking.gen_type,
        allow_http=asking.allow_http,
    )
    return target.model in await target.list_models()
