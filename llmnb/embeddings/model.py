"""The base of embedding models, and two that need no provider: sparse and hybrid ones."""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from hashlib import blake2b
from typing import Any

from llmnb import bridge
from llmnb.errors import BadReply, ConfigurationError, InputError
from llmnb.wire.openai_embeddings import numbers, pack

_WORD = re.compile(r"\w+")


class EmbeddingModes(StrEnum):
    """What texts are embedded for; some models have vectors of two kinds.

    Example:
        >>> EmbeddingModes("query").value
        'query'
    """

    DOCUMENT = "document"
    """Texts that are to be found."""

    QUERY = "query"
    """Texts that are searched with."""


class EmbeddingModel(ABC):
    """A model that makes vectors of texts.

    n texts give n vectors, empty ones included. A model of one's own writes
    `packed_vectors`; everything else follows from it.

    Args:
        name: Name of the model.
        ndim: Numbers in a vector; None where only the first vector tells.

    Example:
        >>> import numpy
        >>> class Lengths(EmbeddingModel):
        ...     async def packed_vectors(self, texts):
        ...         return [numpy.array([len(text)], dtype="float32").tobytes() for text in texts]
        >>> Lengths("lengths", ndim=1).embed_documents_sync(["four", ""])
        [[4.0], [0.0]]
    """

    def __init__(self, name: str, ndim: int | None = None) -> None:
        self.name = name
        self._ndim = ndim
        self.mode = EmbeddingModes.DOCUMENT

    @property
    def ndim(self) -> int | None:
        """Numbers in a vector; None while nobody knows."""
        return self._ndim

    def set_mode(self, mode: EmbeddingModes | str) -> None:
        """Set what the next texts are embedded for.

        Args:
            mode: ``"document"`` or ``"query"``.

        Raises:
            ValueError: If it is neither.
        """
        self.mode = EmbeddingModes(mode)

    @abstractmethod
    async def packed_vectors(self, texts: Sequence[str]) -> list[bytes]:
        """Return one vector for each text: little-endian numbers of 32 bits.

        It runs on whatever loop the caller has; for the blocking methods on one of llmnb's, of
        which the engine's is none: it may block.
        """

    async def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        """Return one vector for each text, in their order.

        Args:
            texts: Texts; empty ones get a vector too.

        Raises:
            InputError: If one of them is no text; nothing was sent.
            LLMNBError: What the first text that failed has failed with, once every other one
                is done and kept.
        """
        return [numbers(vector) for vector in await self.vectors(checked_texts(texts))]

    async def embed_document(self, text: str) -> list[float]:
        """Return the vector of one text."""
        (vector,) = await self.embed_documents([text])
        return vector

    def embed_documents_sync(self, texts: Sequence[str]) -> list[list[float]]:
        """Block for what `embed_documents` returns."""
        return [numbers(vector) for vector in self.vectors_sync(checked_texts(texts))]

    def embed_document_sync(self, text: str) -> list[float]:
        """Block for the vector of one text."""
        (vector,) = self.embed_documents_sync([text])
        return vector

    async def vectors(self, texts: Sequence[str]) -> list[bytes]:
        """Return what `packed_vectors` does. Raises `BadReply` where a vector misses or is none."""
        return self._checked(await self.packed_vectors(texts), len(texts))

    def vectors_sync(self, texts: Sequence[str]) -> list[bytes]:
        """Block for what `vectors` returns."""
        return self._checked(self.packed_vectors_sync(texts), len(texts))

    def _checked(self, vectors: Any, texts: int) -> list[bytes]:
        kind, fault = f"{type(self).__name__}.packed_vectors", ""
        if not isinstance(vectors, list | tuple):
            fault = f"returned {type(vectors).__name__}"
        elif not all(isinstance(vector, bytes) and len(vector) % 4 == 0 for vector in vectors):
            fault = "returned what is no vector"
        elif len(vectors) != texts or len({*map(len, vectors)}) > 1:
            fault = f"returned {len(vectors):,} vectors for {texts:,} texts, or of several lengths"
        if fault:
            raise BadReply(
                f"{kind} {fault}. It returns a list with the bytes of one vector for each text, "
                "such as numpy.asarray(vector, '<f4').tobytes()."
            )
        return list(vectors)

    def packed_vectors_sync(self, texts: Sequence[str]) -> list[bytes]:
        """Block for what `packed_vectors` returns."""
        if bridge.is_side_thread():  # it would wait for itself
            return bridge.block(lambda: self.packed_vectors(texts))
        return bridge.call(bridge.on_side_loop(self.packed_vectors(texts)))

    def __repr__(self) -> str:
        size = "" if self.ndim is None else f", {self.ndim:,} numbers"
        return f"<{type(self).__name__} {self.name}{size}>"


def checked_texts(texts: Any) -> list[str]:
    """Return texts as a list.

    Raises:
        InputError: If they are one text, or one of them is none.

    Example:
        >>> checked_texts(("a", ""))
        ['a', '']
    """
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        raise InputError("embed_documents() takes a list of texts: put this one into [...].")
    checked = list(texts)
    for position, text in enumerate(checked):
        if not isinstance(text, str):
            raise InputError(
                f"Text {position:,} is {type(text).__name__}, not a text. Nothing was sent.",
                row=position,
            )
    return checked


class SparseEmbeddingModel(EmbeddingModel):
    """Counts words, each where its hash says; a vector's length is 1.

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
        >>> fox, same, empty = model.embed_documents_sync(["A fox", "a FOX!", ""])
        >>> fox == same, round(sum(number * number for number in fox), 6), any(empty)
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
        counts = array("d", bytes(8 * self._size))
        for word, times in Counter(_WORD.findall(text.lower())).items():
            digest = blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
            counts[int.from_bytes(digest, "little") % self._size] += times
        length = sum(count * count for count in counts) ** 0.5
        return pack([count / length for count in counts] if length else counts.tolist())


class HybridEmbeddingModel(EmbeddingModel):
    """Joins the vectors of its models end to end.

    Args:
        models: At least one.
        name: Its name; None puts the models' names together.

    Raises:
        ConfigurationError: If there is no model.

    Example:
        >>> model = HybridEmbeddingModel([SparseEmbeddingModel(ndim=8), SparseEmbeddingModel()])
        >>> model.ndim, len(model.embed_document_sync("a fox"))
        (264, 264)
    """

    def __init__(self, models: Sequence[EmbeddingModel], name: str | None = None) -> None:
        self.models = list(models or ())
        if not self.models or not all(isinstance(model, EmbeddingModel) for model in self.models):
            raise ConfigurationError("A hybrid model needs a list of models, at least one.")
        super().__init__(name or "hybrid-" + "-".join(model.name for model in self.models))

    @property
    def ndim(self) -> int | None:
        """The sum of its models' numbers; None while one of them does not know."""
        sizes = [model.ndim for model in self.models]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None

    def set_mode(self, mode: EmbeddingModes | str) -> None:
        """Set what the next texts are embedded for, in all models."""
        super().set_mode(mode)
        for model in self.models:
            model.set_mode(mode)

    async def packed_vectors(self, texts: Sequence[str]) -> list[bytes]:
        """Return one vector for each text: little-endian numbers of 32 bits."""
        vectors = await asyncio.gather(*(model.vectors(texts) for model in self.models))
        return [b"".join(parts) for parts in zip(*vectors, strict=True)]
