"""Holds replies back until a test lets them go, so that tests need no sleeps.

Tests call `hold` and `release` from any thread; the server's loop awaits
`passage` for every reply. Replies leave in the order in which they came.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable

from llmnb.testing.request import SimulatedRequest

Where = Callable[[SimulatedRequest], bool]


class ReplyGate:
    """A door for replies, open at first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._where: Where | None = None
        self._permits = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.is_closed = False
        """Whether replies are held back now; read without the lock on the quick path."""

    @property
    def waiting(self) -> int:
        """Replies held back now."""
        return len(self._waiting)

    def hold(self, where: Where | None = None) -> None:
        """Hold replies back from now on: all, or those for which `where` is true."""
        with self._lock:
            self._where = where
            self._permits = 0
            self.is_closed = True

    def release(self, replies: int | None = None) -> None:
        """Let so many replies go, the longest held first; None lets all go and opens the door.

        Where fewer are held, as many of those to come pass without stopping.
        """
        with self._lock:
            if replies is None:
                self.is_closed = False
                freed = list(self._waiting)
                self._waiting.clear()
            else:
                count = min(replies, len(self._waiting))
                freed = [self._waiting.popleft() for _ in range(count)]
                self._permits += replies - count
        for future in freed:
            future.get_loop().call_soon_threadsafe(_finish, future)

    async def passage(self, request: SimulatedRequest) -> None:
        """Wait until the reply to a request may go."""
        with self._lock:
            if not self.is_closed or (self._where is not None and not self._where(request)):
                return
            if self._permits:
                self._permits -= 1
                return
            future = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
        try:
            await future
        except asyncio.CancelledError:
            with self._lock:
                if future in self._waiting:
                    self._waiting.remove(future)
            raise


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
