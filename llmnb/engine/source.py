"""Any iterable as chunks of numbered inputs, read only as far as there is room."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence, Sized
from typing import Any, Protocol

CHUNK_ROWS = 256
"""Most inputs taken at a time: enough for one cheap look-up, few enough to stay smooth."""

PATIENCE_SECONDS = 0.02
"""A slow source is not waited for longer than this before what has come is used."""


class Slow:
    """An input that must get ready, off the loop, before a run looks at it: a picture to fetch.

    A class of its own, so that asking each input costs next to nothing.
    """

    __slots__ = ()

    async def get_ready(self) -> None:
        """Do what takes time; what fails is told when the input is looked at."""
        raise NotImplementedError


async def get_ready(inputs: Iterable[Any]) -> None:
    """Have all inputs that take time get ready together."""
    slow = [one for one in inputs if isinstance(one, Slow)]
    if slow:
        await asyncio.gather(*(one.get_ready() for one in slow))


class Source(Protocol):
    """Where a run's inputs come from."""

    async def take(self, room: int) -> list[Any]:
        """Return between 1 and `room` inputs; none at the end."""

    def rest(self) -> list[Any]:
        """Return the inputs that were not taken, where that takes no time; else none."""


def open_source(inputs: Iterable[Any] | AsyncIterable[Any]) -> tuple[Source, int | None]:
    """Return a source over the inputs and their number, where it is known."""
    if isinstance(inputs, AsyncIterable):
        return _AsyncSource(inputs), None
    if isinstance(inputs, Sequence):
        return _SequenceSource(inputs), len(inputs)
    length = len(inputs) if isinstance(inputs, Sized) else None
    return _IteratorSource(iter(inputs)), length


class _SequenceSource:
    """A list: no input can take time, so it is read in place."""

    def __init__(self, inputs: Sequence[Any]) -> None:
        self._inputs = iter(inputs)

    async def take(self, room: int) -> list[Any]:
        return list(itertools.islice(self._inputs, min(room, CHUNK_ROWS)))

    def rest(self) -> list[Any]:
        return list(self._inputs)


class _IteratorSource:
    """Any other iterable: reading may block, so it is done on a thread."""

    def __init__(self, inputs: Iterator[Any]) -> None:
        self._inputs = inputs

    async def take(self, room: int) -> list[Any]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, self._read, min(room, CHUNK_ROWS))

    def rest(self) -> list[Any]:
        return []

    def _read(self, room: int) -> list[Any]:
        taken: list[Any] = []
        until = time.monotonic() + PATIENCE_SECONDS
        for item in self._inputs:
            taken.append(item)
            if len(taken) >= room or time.monotonic() > until:
                break
        return taken


class _AsyncSource:
    """An async iterable: awaited one by one, as long as it does not keep us waiting."""

    def __init__(self, inputs: AsyncIterable[Any]) -> None:
        self._inputs: AsyncIterator[Any] = aiter(inputs)

    async def take(self, room: int) -> list[Any]:
        taken: list[Any] = []
        until = time.monotonic() + PATIENCE_SECONDS
        async for item in self._inputs:
            taken.append(item)
            if len(taken) >= min(room, CHUNK_ROWS) or time.monotonic() > until:
                break
        return taken

    def rest(self) -> list[Any]:
        return []
