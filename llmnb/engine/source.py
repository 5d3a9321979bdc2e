"""Any iterable as chunks of numbered inputs, read only as far as there is room."""

from __future__ import annotations

import abc
import asyncio
import itertools
import threading
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence, Sized
from typing import Any, cast

from llmnb import bridge

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
        """Do what takes time; what fails is reported when the input is looked at."""
        raise NotImplementedError


class InMemory(Sequence[Any]):
    """Inputs that are there, or made without code that may block: they are read in place."""


async def get_ready(inputs: Iterable[Any]) -> None:
    """Have all inputs that take time get ready together."""
    if any(issubclass(kind, Slow) for kind in set(map(type, inputs))):
        await asyncio.gather(*(item.get_ready() for item in inputs if isinstance(item, Slow)))


class InputSource(abc.ABC):
    """Where a run's inputs come from; used on the loop thread."""

    @abc.abstractmethod
    async def take(self, room: int) -> list[Any]:
        """Return between 1 and `room` inputs; none at the end."""

    async def rest(self) -> list[Any]:
        """Return the inputs that were not taken, where their number is known; else none."""
        return []


def open_source(
    inputs: Iterable[Any] | AsyncIterable[Any] | InputSource,
) -> tuple[InputSource, int | None]:
    """Return a source over the inputs and their number, where it is known."""
    if isinstance(inputs, InputSource):
        return inputs, None
    if isinstance(inputs, AsyncIterable):
        return _AsyncSource(inputs), None
    if type(inputs) in (list, tuple) or isinstance(inputs, InMemory):
        in_memory = cast(Sequence[Any], inputs)
        return _SequenceSource(in_memory), len(in_memory)
    length = len(inputs) if isinstance(inputs, Sized) else None
    return _IteratorSource(iter(inputs), has_rest=isinstance(inputs, Sequence)), length


class _SequenceSource(InputSource):
    """A list, a tuple, or another sequence in memory."""

    def __init__(self, inputs: Sequence[Any]) -> None:
        self._inputs = iter(inputs)

    async def take(self, room: int) -> list[Any]:
        return list(itertools.islice(self._inputs, min(room, CHUNK_ROWS)))

    async def rest(self) -> list[Any]:
        return list(self._inputs)


class _IteratorSource(InputSource):
    """Any other iterable: reading runs code that may block, so it is done on a thread."""

    def __init__(self, inputs: Iterator[Any], *, has_rest: bool) -> None:
        self._inputs = inputs
        self._has_rest = has_rest
        self._lock = threading.Lock()
        self._taken: list[Any] = []
        """What was read and has not been handed over: a stop does not wait for slow inputs."""

    async def take(self, room: int) -> list[Any]:
        taken = await bridge.in_thread(self._read, min(room, CHUNK_ROWS))
        self._taken = []
        return taken

    async def rest(self) -> list[Any]:
        return await bridge.in_thread(self._read_the_rest) if self._has_rest else []

    def _read(self, room: int) -> list[Any]:
        taken: list[Any] = []
        until = time.monotonic() + PATIENCE_SECONDS
        with self._lock:
            self._taken = taken
            for item in self._inputs:
                taken.append(item)
                if len(taken) >= room or time.monotonic() > until:
                    break
        return taken

    def _read_the_rest(self) -> list[Any]:
        with self._lock:
            return [*self._taken, *self._inputs]


class _AsyncSource(InputSource):
    """An async iterable, whose code may block: read on the loop beside ours."""

    def __init__(self, inputs: AsyncIterable[Any]) -> None:
        self._inputs: AsyncIterator[Any] = aiter(inputs)

    async def take(self, room: int) -> list[Any]:
        return await bridge.on_side_loop(self._read(room))

    async def _read(self, room: int) -> list[Any]:
        """Read inputs one by one, as long as they do not keep us waiting."""
        taken: list[Any] = []
        until = time.monotonic() + PATIENCE_SECONDS
        async for item in self._inputs:
            taken.append(item)
            if len(taken) >= min(room, CHUNK_ROWS) or time.monotonic() > until:
                break
        return taken
