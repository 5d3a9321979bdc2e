"""`SparseEmbeddingModel`: a text's words, counted, the same everywhere."""

from __future__ import annotations

import asyncio
import re
from array import array
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b

from llmnb.embeddings.model import EmbeddingModel
from llmnb.wire.openai_embeddings import packed

_WORD = re.compile(r"\w+")


class SparseEmbeddingModel(EmbeddingModel):
    """Counts words, each in the place that its hash names; a vector's length is 1.

    Texts that share words are near each other, and nothing else is: beside a model's
    vectors, in a `HybridEmbeddingModel`, it lets rare names and numbers count. Cases are
    not told apart. The same text gives the same vector in every process and on every machine.

    Args:
        name: Its name.
        ndim: Numbers in a vector.

    Raises:
        ValueError: If `ndim` is not above 0.

    Example:
        >>> model = SparseEmbeddingModel(ndim=8)
        >>> one, same, empty = model.embed_documents_sync(["A fox", "a FOX!", ""])
        >>> one == same, round(sum(number * number for number in one), 6), any(empty)
        (True, 1.0, False)

    Source:
        Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009.
    """

    def __init__(self, name: str = "sparse", ndim: int = 256) -> None:
        if isinstance(ndim, bool) or not isinstance(ndim, int) or ndim < 1:
            raise ValueError(f"ndim is the number of numbers in a vector, at least 1, not {ndim!r}")
        super().__init__(name, ndim)
        self._size = ndim

    async def packed_vectors(self, texts: Sequence[str]) -> list[bytes]:
        """Return one vector for each text: little-endian numbers of 32 bits."""
        return await asyncio.to_thread(self.packed_vectors_sync, texts)

    def packed_vectors_sync(self, texts: Sequence[str]) -> list[bytes]:
        """Return the same; nothing is waited for."""
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> bytes:
        numbers = array("d", bytes(8 * self._size))
        for word, times in Counter(_WORD.findall(text.lower())).items():
            digest = blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
            numbers[int.from_bytes(digest, "little") % self._size] += times
        length = sum(number * number for number in numbers) ** 0.5
        return packed([number / length for number in numbers] if length else numbers.tolist())
