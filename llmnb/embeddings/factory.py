"""From a name to an embedding model."""

from __future__ import annotations

from typing import Any

from llmnb.embeddings.hybrid import HybridEmbeddingModel
from llmnb.embeddings.litellm_model import LiteLLMEmbeddingModel
from llmnb.embeddings.model import EmbeddingModel
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
