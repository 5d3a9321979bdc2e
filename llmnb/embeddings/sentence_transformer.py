"""`SentenceTransformerEmbeddingModel`: the door to sentence-transformers, inside this process."""

from __future__ import annotations

import asyncio
import importlib.util
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from llmnb.embeddings.model import EmbeddingModel
from llmnb.errors import MissingExtra

PACKAGE = "sentence_transformers"
DEFAULT = "sentence-transformers/multi-qa-MiniLM-L6-cos-v1"


class SentenceTransformerEmbeddingModel(EmbeddingModel):
    """A model of sentence-transformers, computed on this machine; nothing is kept or sent.

    It is loaded when it is first needed. A model that has prompts of its own for queries
    and documents gets the one that `set_mode` asks for.

    Args:
        name: Name of the model at Hugging Face, or the folder that holds one.
        config: ``batch_size``, and what `SentenceTransformer` itself takes, such as
            ``device``; in ``kwargs`` or beside it.

    Raises:
        MissingExtra: If the extra ``sentence-transformers`` is not installed.

    Example:
        >>> name = "sentence-transformers/all-MiniLM-L6-v2"
        >>> model = SentenceTransformerEmbeddingModel(name)  # doctest: +SKIP
        >>> len(model.embed_documents_sync(["so good"])[0])  # doctest: +SKIP
        384
    """

    def __init__(self, name: str = DEFAULT, config: Mapping[str, Any] | None = None) -> None:
        if importlib.util.find_spec(PACKAGE) is None:
            raise MissingExtra(
                "Models of sentence-transformers need an extra that is not installed:\n"
                '  pip install "llmnb[sentence-transformers]"\n'
                "Without it: model='local/all-minilm' embeds on this machine too, "
                "SparseEmbeddingModel() needs nothing."
            )
        super().__init__(name)
        self.config = dict(config or {})
        own = {key: value for key, value in self.config.items() if key != "kwargs"}
        self._settings = {**own, **(self.config.get("kwargs") or {})}
        self.batch_size = int(self._settings.pop("batch_size", 32))
        self._loaded: Any = None
        self._lock = threading.Lock()

    @property
    def ndim(self) -> int | None:
        """Numbers in a vector; the model is loaded to know."""
        if self._ndim is None:
            model = self._model()
            # The older name is on its way out.
            kinds = ("get_embedding_dimension", "get_sentence_embedding_dimension")
            size = next(filter(None, (getattr(model, kind, None) for kind in kinds)))
            self._ndim = size()
        return self._ndim

    async def packed_vectors(self, texts: Sequence[str]) -> list[bytes]:
        """Return one vector for each text: little-endian numbers of 32 bits."""
        return await asyncio.to_thread(self.packed_vectors_sync, texts)

    def packed_vectors_sync(self, texts: Sequence[str]) -> list[bytes]:
        """Compute them."""
        if not texts:
            return []
        model = self._model()
        # Newer versions know what a text is embedded for; older ones have one way only.
        encode = getattr(model, f"encode_{self.mode.value}", None) or model.encode
        with self._lock:  # torch computes on all cores anyway
            vectors = encode(
                list(texts),
                batch_size=self.batch_size,
                show_progress_bar=False,
                convert_to_numpy=True,
            )
        return [row.astype("<f4").tobytes() for row in vectors]

    def _model(self) -> Any:
        with self._lock:
            if self._loaded is None:
                import sentence_transformers

                self._loaded = sentence_transformers.SentenceTransformer(
                    self.name, **self._settings
                )
            return self._loaded
