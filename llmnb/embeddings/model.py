"""What every embedding model can do: texts in, one vector for each out, in their order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from llmnb import bridge
from llmnb.errors import InputError
from llmnb.wire.openai_embeddings import numbers


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
        """Say what the next texts are embedded for.

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
        return [numbers(one) for one in await self.packed_vectors(checked_texts(texts))]

    async def embed_document(self, text: str) -> list[float]:
        """Return the vector of one text."""
        (vector,) = await self.embed_documents([text])
        return vector

    def embed_documents_sync(self, texts: Sequence[str]) -> list[list[float]]:
        """Block for what `embed_documents` returns."""
        return [numbers(one) for one in self.packed_vectors_sync(checked_texts(texts))]

    def embed_document_sync(self, text: str) -> list[float]:
        """Block for the vector of one text."""
        (vector,) = self.embed_documents_sync([text])
        return vector

    def packed_vectors_sync(self, texts: Sequence[str]) -> list[bytes]:
        """Block for what `packed_vectors` returns."""
        if bridge.is_aside_thread():  # it would wait for itself
            return bridge.block(lambda: self.packed_vectors(texts))
        return bridge.call(bridge.aside(self.packed_vectors(texts)))

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
    if isinstance(texts, str):
        raise InputError("embed_documents() takes a list of texts: put this one into [...].")
    found = list(texts)
    for position, text in enumerate(found):
        if not isinstance(text, str):
            raise InputError(
                f"Text {position:,} is {type(text).__name__}, not a text. Nothing was sent.",
                row=position,
            )
    return found
