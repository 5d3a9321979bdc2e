"""From a name to an embedding model, and `HybridEmbeddingModel`: several of them at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from llmnb.embeddings.litellm_model import LiteLLMEmbeddingModel
from llmnb.embeddings.model import EmbeddingModel, EmbeddingModes
from llmnb.embeddings.sentence_transformer import SentenceTransformerEmbeddingModel
from llmnb.embeddings.sparse import SparseEmbeddingModel
from llmnb.errors import ConfigurationError


def embedding_model_factory(embedding: str, **kwargs: Any) -> EmbeddingModel:
    """Return the model that a name means.

    Args:
        embedding: ``"sparse"``; ``"st-…"`` for a model of sentence-transformers; ``"litellm-…"``
            or no prefix for a model behind HTTP or the embedded one; ``"hybrid-…"`` for what
            follows beside a sparse one.
        **kwargs: What the model itself takes, such as ``batch_size`` and ``config``.

    Raises:
        ConfigurationError: If the name is empty, or says a kind and no model.

    Example:
        >>> embedding_model_factory("hybrid-text-embedding-3-small").ndim
        1792
        >>> embedding_model_factory("sparse", ndim=16)
        <SparseEmbeddingModel sparse, 16 numbers>
    """
    name = embedding.strip()
    if name == "sparse":
        return SparseEmbeddingModel(**kwargs)
    kind, _, rest = name.partition("-")
    if not name or (kind in ("hybrid", "st", "litellm") and not rest):
        raise ConfigurationError(
            f"{embedding!r} names no embedding model. Say sparse, st-NAME, litellm-NAME, "
            "hybrid-NAME, or a model such as text-embedding-3-small."
        )
    if kind == "hybrid":
        dense = embedding_model_factory(rest, **kwargs)
        return HybridEmbeddingModel([dense, SparseEmbeddingModel()])
    if kind == "st":
        return SentenceTransformerEmbeddingModel(rest, **kwargs)
    return LiteLLMEmbeddingModel(rest if kind == "litellm" else name, **kwargs)


class HybridEmbeddingModel(EmbeddingModel):
    """Puts the vectors of its models together.

    Args:
        models: At least one.
        name: Its name; None puts the models' names together.

    Raises:
        ConfigurationError: If there is no model.

    Example:
        >>> from llmnb.embeddings.sparse import SparseEmbeddingModel
        >>> model = HybridEmbeddingModel([SparseEmbeddingModel(ndim=8), SparseEmbeddingModel()])
        >>> model.ndim, len(model.embed_document_sync("a fox"))
        (264, 264)
    """

    def __init__(self, models: Sequence[EmbeddingModel], name: str | None = None) -> None:
        if not models:
            raise ConfigurationError("A hybrid model needs at least one model.")
        self.models = list(models)
        super().__init__(name or "hybrid-" + "-".join(model.name for model in self.models))

    @property
    def ndim(self) -> int | None:
        """The sum of its models' numbers; None while one of them does not know."""
        sizes = [model.ndim for model in self.models]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None

    def set_mode(self, mode: EmbeddingModes | str) -> None:
        """Say to all models what the next texts are embedded for."""
        super().set_mode(mode)
        for model in self.models:
            model.set_mode(mode)

    async def packed_vectors(self, texts: Sequence[str]) -> list[bytes]:
        """Return one vector for each text: little-endian numbers of 32 bits."""
        found = await asyncio.gather(*(model.packed_vectors(texts) for model in self.models))
        return [b"".join(parts) for parts in zip(*found, strict=True)]
