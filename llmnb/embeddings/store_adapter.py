"""Store the reply to a batch as a reply to each of its texts.

So no text is bought twice, whatever batches it travels in, and an answer is
found by the key that asking for the text alone would have.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import itertools
import operator
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson

from llmnb.embeddings.texts import Batch, Text
from llmnb.engine.persistence import stored_answer
from llmnb.engine.target import Target
from llmnb.errors import LLMNBError
from llmnb.records import Reply
from llmnb.store.entry import Entry
from llmnb.store.project import ProjectStore

Amount = TypeVar("Amount", int, float)


class TextStore(ProjectStore):
    """A project's store, for a run of batches; batches are not kept, their texts are.

    Args:
        project: The project.
        target: Who is asked.
        on_saved: Told the key of every text that is kept, on the loop thread.
    """

    def __init__(
        self, project: ProjectStore, target: Target, on_saved: Callable[[str], None]
    ) -> None:
        super().__init__(project.paths, project.share)
        self._target = target
        self._on_saved = on_saved
        self._batches: dict[str, Batch] = {}

    def expect(self, key: str, batch: Batch) -> None:
        """Note which texts the answer to a batch's key will be for."""
        self._batches[key] = batch

    def find(self, texts: Sequence[Text]) -> dict[str, tuple[Entry, bytes]]:
        """Return stored entries and their vectors by key; blocks."""
        entries = self.lookup([text.key for text in texts])
        answers = ((text.key, stored_answer([text.call], entries)) for text in texts if text.call)
        return {
            key: (answer.entry, answer.reply.vectors[0])
            for key, answer in answers
            if answer is not None and answer.reply.vectors
        }

    async def aput(self, entry: Entry) -> None:
        """Keep a batch's answers; returns once all are on disk. Raises `StoreError`."""
        batch = self._batches.pop(entry.key, [])
        entries = [entry]  # an unreadable reply is stored as it came
        with contextlib.suppress(LLMNBError):
            reply = self._target.read(entry.raw)
            if batch and len(reply.vectors) == len(batch):
                entries = divide(entry, reply, batch)
        await asyncio.gather(*map(super().aput, entries))
        if entries != [entry]:
            for text in batch:
                self._on_saved(text.key)


def divide(entry: Entry, reply: Reply, batch: Batch) -> list[Entry]:
    """Divide the answer to a batch into answers to each text that got a vector.

    Tokens and dollars of all texts add up to the whole's.
    """
    weights = [max(1, text.tokens) for text in batch]
    tokens: Sequence[int | None] = [None] * len(batch)
    if reply.usage is not None and not reply.usage.unknown:
        tokens = weights = portions(reply.usage.prompt, weights)
    dollars: Sequence[float | None] = [None] * len(batch)
    if entry.usd is not None:
        dollars = portions(entry.usd, weights)
    return [
        dataclasses.replace(
            entry,
            key=text.key,
            request=text.request,
            raw=vector_reply(vector, reply.model, own_tokens),
            usd=own_dollars,
            prompt_tokens=own_tokens,
            completion_tokens=None if own_tokens is None else 0,
        )
        for text, vector, own_tokens, own_dollars in zip(
            batch, reply.vectors, tokens, dollars, strict=True
        )
        if vector  # texts without one are not stored
    ]


def vector_reply(vector: bytes, model: str | None, tokens: int | None) -> bytes:
    """Return a vector as the reply that asking for its text alone would have given.

    Example:
        >>> vector_reply(b"four", "m", 1)[:60]
        b'{"object":"list","data":[{"object":"embedding","index":0,"em'
    """
    one = {"object": "embedding", "index": 0, "embedding": base64.b64encode(vector).decode()}
    body: dict[str, Any] = {"object": "list", "data": [one]}
    if model is not None:
        body["model"] = model
    if tokens is not None:
        body["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
    return orjson.dumps(body)


def portions(total: Amount, weights: Sequence[int]) -> list[Amount]:
    """Divide an amount in proportion to weights; the portions add up to it.

    Portions of a whole number are whole.

    Example:
        >>> portions(10, [1, 1, 1]), sum(portions(7, [5, 0, 3])), portions(1.5, [2, 1])
        ([3, 3, 4], 7, [1.0, 0.5])
    """
    if not any(weights):
        weights = [1] * len(weights)
    whole = sum(weights)
    divide = operator.floordiv if isinstance(total, int) else operator.truediv
    ends = [divide(total * so_far, whole) for so_far in itertools.accumulate(weights, initial=0)]
    return [end - begin for begin, end in itertools.pairwise(ends)]
