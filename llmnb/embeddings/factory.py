"""Make an embedding model from its name, and choose one if none is named."""

from __future__ import annotations

from typing import Any

from llmnb import settings
from llmnb.embeddings.litellm_model import LiteLLMEmbeddingModel
from llmnb.embeddings.model import EmbeddingModel, HybridEmbeddingModel, SparseEmbeddingModel
from llmnb.embeddings.sentence_transformer import SentenceTransformerEmbeddingModel
from llmnb.errors import ConfigurationError, LLMNBError
from llmnb.running.asking import Model
from llmnb.targets.resolve import choose, provider_with_key
from llmnb.wire.catalog import Provider, load_catalog, provider
from llmnb.wire.dialect import is_spoken

VARIABLE = "LLMNB_EMBEDDING_MODEL"
"""Environment variable that names the model."""


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
    name = embedding.strip() if isinstance(embedding, str) else ""
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


def choose_model(model: Model | None) -> tuple[Model, str | None]:
    """Return the model that is named, or a chosen one with a line that says so.

    Named; else `LLMNB_EMBEDDING_MODEL`; else the embedding model of the provider whose chat
    model is configured; else that of the first provider whose key is found; else a small model
    of vectors that runs inside this process.

    Args:
        model: What the caller named.

    Example:
        >>> choose_model("ollama/all-minilm")
        ('ollama/all-minilm', None)
    """
    named = model or settings.environment(VARIABLE)
    if named:
        return named, None
    row = _configured() or provider_with_key("embedding") or provider("local")
    name = f"{row.name}/{row.default_models['embedding']}"
    return name, (f"No embedding model named: asking {name}. Choose with model=… or {VARIABLE}.")


def _configured() -> Provider | None:
    """Return the provider of the configured chat model, where it has embeddings, too."""
    if not (name := settings.model(None)):
        return None
    try:
        row = load_catalog().get(choose(name).provider)
    except LLMNBError:
        return None
    if row is None:  # sim/
        row = provider("openai")
        return row if settings.find_key(row.name, row.key_env) else None
    has_model = "embedding" in row.default_models and is_spoken(row.dialects["embedding"])
    return row if has_model else None
