"""Which models a provider says it has."""

from __future__ import annotations

from llmnb.models.asking import Asking
from llmnb.models.preparer import Preparer


async def has_model(asking: Asking) -> bool:
    """Return whether the provider lists the model; call it on the loop thread.

    Raises:
        ConfigurationError: If the provider is unknown or its key is missing.
        LLMNBError: If the provider does not answer.
    """
    target = Preparer(asking).default
    return target.model in await target.list_models()
