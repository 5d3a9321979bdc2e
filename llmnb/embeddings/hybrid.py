"""`HybridEmbeddingModel`: several models' vectors of a text, one behind the other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from llmnb.embeddings.model import EmbeddingModel, EmbeddingModes
from llmnb.errors import ConfigurationError


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
