"""Short ways to have texts embedded by a simulated provider, and what it saw of them."""

from __future__ import annotations

import dataclasses
from typing import Any

from laboratory import Laboratory

from llmnb.embeddings.litellm_model import LiteLLMEmbeddingModel
from llmnb.embeddings.order import EMBEDS, Order
from llmnb.embeddings.run import EmbeddingRun
from llmnb.running.asking import Asking
from llmnb.testing.openai_embeddings import vector
from llmnb.wire.openai_embeddings import pack

SIZE = 8
MODEL = "text-embedding-3-small"
KEY = "sk-never-shown-123456"


class Asked(list[list[str]]):
    """The texts of every request that a provider has received, in order."""

    @property
    def texts(self) -> list[str]:
        """All texts."""
        return [text for batch in self for text in batch]

    def __call__(self, request: Any) -> Any:
        """Note a request; what says *fail* is refused, as a provider refuses a whole batch."""
        self.append(list(request.parts))
        return 400 if any("fail" in text for text in request.parts) else None


def order(sim: Laboratory, **changes: Any) -> Order:
    """Return an order for short vectors."""
    params = changes.pop("params", {"dimensions": SIZE})
    made = Order(
        asking=Asking(model=MODEL, gen_type=EMBEDS, params=params, api_key="k", url=sim.base_url)
    )
    return dataclasses.replace(made, **changes)


def embed(sim: Laboratory, texts: Any, **changes: Any) -> EmbeddingRun:
    """Embed texts and wait for the end."""
    run = EmbeddingRun(texts, order(sim, **changes))
    run.result(60)
    return run


def right(text: str, size: int = SIZE) -> bytes:
    """Return the vector that the provider makes of a text."""
    return pack(vector(text, size))


def model_at(
    sim: Laboratory, *, batch_size: int | None = None, **config: Any
) -> LiteLLMEmbeddingModel:
    """Return a model of short vectors behind a provider."""
    fields = {"api_key": KEY, "api_base": sim.base_url, "dimensions": SIZE}
    fields.update(config.pop("kwargs", {}))
    return LiteLLMEmbeddingModel(batch_size=batch_size, config={**config, "kwargs": fields})
