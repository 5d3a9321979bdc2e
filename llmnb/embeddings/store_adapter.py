"""What keeps the vectors: a batch comes in, one answer for each of its texts goes to the store.

So no text is bought twice, whatever batches it travels in, and an answer is
found by the key that asking for the text alone would have.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from llmnb.embeddings.batches import Batch, Text
from llmnb.engine.persistence import stored_answer
from llmnb.engine.target import Target
from llmnb.errors import LLMNBError
from llmnb.records import Reply
from llmnb.store.entry import Entry
from llmnb.store.project import ProjectStore


class StoreAdapter:
    """A project's store as a run of batches sees it.

    Args:
        store: The project's store.
        target: Who is asked.
        on_saved: Told the key of every text that is kept, on the loop thread.
    """

    def __init__(
        self, store: ProjectStore, target: Target, on_saved: Callable[[str], None]
    ) -> None:
        self._store = store
        self._target = target
        self._on_saved = on_saved
        self._batches: dict[str, Batch] = {}

    @property
    def name(self) -> str:
        """Name of the project."""
        return self._store.name

    @property
    def enough(self) -> int:
        """Answers that are worth a commit of their own."""
        return self._store.enough

    @enough.setter
    def enough(self, answers: int) -> None:
        self._store.enough = answers

    @property
    def claims(self) -> None:
        """Return nothing: texts are claimed when they are put into a batch, batches never.

        A batch whose texts were claimed when it is sent would have to be made anew wherever
        another process has some of them.
        """
        return None

    def expect(self, key: str, batch: Batch) -> None:
        """Say which texts an answer that comes under a key will be for."""
        self._batches[key] = batch

    def lookup(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Return nothing: batches are not kept, their texts are."""
        return {}

    def find(self, texts: Sequence[Text]) -> dict[str, tuple[Entry, bytes]]:
        """Return what is kept of texts, by key, with their vectors; blocks."""
        found = {}
        entries = self._store.lookup([text.key for text in texts])
        for text in texts:
            kept = None if text.alone is None else stored_answer([text.alone], entries)
            if kept is not None and kept[2].vectors:
                found[text.key] = (kept[1], kept[2].vectors[0])
        return found

    async def aput(self, entry: Entry) -> None:
        """Keep a batch's answers; returns once all are on disk. Raises `StoreError`."""
        batch = self._batches.pop(entry.key, None)
        reply = self._read(entry)
        if batch is None or reply is None or len(reply.vectors) != len(batch):
            await self._store.aput(entry)  # what could not be read is kept as it came
            return
        entries = divided(entry, reply, batch)
        await asyncio.gather(*(self._store.aput(one) for one in entries))
        for text in batch:
            self._on_saved(text.key)

    def _read(self, entry: Entry) -> Reply | None:
        try:
            return self._target.read(entry.raw)
        except LLMNBError:
            return None


def divided(entry: Entry, reply: Reply, batch: Batch) -> list[Entry]:
    """Return a batch's answer as one for each text that got a vector.

    Tokens and dollars of all texts add up to the whole's.
    """
    weights = [max(1, text.tokens) for text in batch]
    tokens: Sequence[int | None] = [None] * len(batch)
    if reply.usage is not None and not reply.usage.unknown:
        tokens = portions(reply.usage.prompt, weights)
        weights = [count or 0 for count in tokens]
    dollars = _dollars(entry.usd, weights)
    found = []
    for place, text in enumerate(batch):
        assert text.alone is not None
        if not reply.vectors[place]:
            continue  # what is kept is an answer
        found.append(
            dataclasses.replace(
                entry,
                key=text.key,
                request=text.alone.canonical,
                raw=written(reply.vectors[place], reply.model, tokens[place]),
                usd=dollars[place],
                prompt_tokens=tokens[place],
                completion_tokens=None if tokens[place] is None else 0,
            )
        )
    return found


def written(vector: bytes, model: str | None, tokens: int | None) -> bytes:
    """Return a vector as the reply that asking for its text alone would have given.

    Example:
        >>> written(b"four", "m", 1)[:60]
        b'{"object":"list","data":[{"object":"embedding","index":0,"em'
    """
    packed = base64.b64encode(vector).decode()
    body: dict[str, Any] = {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": packed}],
    }
    if model is not None:
        body["model"] = model
    if tokens is not None:
        body["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
    return orjson.dumps(body)


def portions(total: int, weights: Sequence[int]) -> list[int]:
    """Return a whole number in portions that are about as the weights, and add up to it.

    Example:
        >>> portions(10, [1, 1, 1]), sum(portions(7, [5, 0, 3]))
        ([3, 3, 4], 7)
    """
    whole = sum(weights) or 1
    found, given, so_far = [], 0, 0
    for weight in weights:
        so_far += weight
        upto = total * so_far // whole if sum(weights) else 0
        found.append(upto - given)
        given = upto
    if found:
        found[-1] += total - given
    return found


def _dollars(total: float | None, weights: Sequence[int]) -> list[float | None]:
    if total is None:
        return [None] * len(weights)
    whole = sum(weights) or 1
    found = [total * weight / whole for weight in weights[:-1]]
    return [*found, total - sum(found)]
