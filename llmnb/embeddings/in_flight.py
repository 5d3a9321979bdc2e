"""Which texts are being asked for; an embedding that wants such a text waits for its vector.

Everything here happens on the loop thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from llmnb import bridge
from llmnb.engine.row_claim import ELSEWHERE_SECONDS, LATEST_LOOK_SECONDS, SOONEST_LOOK_SECONDS
from llmnb.engine.shared import DRAIN_SECONDS
from llmnb.engine.status import Clock
from llmnb.store import claims

DROP_SECONDS = 0.5
"""A dropped request's texts may be asked for again after this: what had come is saved by then."""


class Registry:
    """The keys of all texts that some embedding of this process is asking for."""

    def __init__(self) -> None:
        self._events: dict[str, asyncio.Event] = {}

    def __len__(self) -> int:
        return len(self._events)

    def add(self, key: str) -> bool:
        """Claim a text; False where somebody else is asking for it."""
        if key in self._events:
            return False
        self._events[key] = asyncio.Event()
        return True

    def remove(self, key: str) -> None:
        """Give a text up, bought and kept or not."""
        if (event := self._events.pop(key, None)) is not None:
            event.set()

    async def until_gone(self, keys: Iterable[str]) -> None:
        """Wait until nobody asks for any of these texts."""
        for event in [self._events[key] for key in keys if key in self._events]:
            await event.wait()


def in_flight() -> Registry:
    """Return the registry of this process; call it on the loop thread."""
    return bridge.per_loop("texts to embed", Registry)


class TextClaims:
    """The texts that an embedding is asking for; it gives back only its own.

    Args:
        between: What other processes that use the project claim; None: each asks for itself.
    """

    def __init__(self, between: claims.Claims | None) -> None:
        self._between = between
        self._waits_no_more = False
        """Whether it has waited long enough for other processes."""

        self._claimed: set[str] = set()
        self._draining: set[str] = set()
        """Those whose request was in flight at a stop."""

        self._is_dropped = False

    def take(self, key: str) -> bool:
        """Claim a text; False where somebody else is asking for it."""
        if not in_flight().add(key):
            return False
        if self._between is not None and not self._between.take(key) and not self._waits_no_more:
            in_flight().remove(key)
            return False
        self._claimed.add(key)
        return True

    def enter(self) -> None:
        """Keep the files of claims open until `leave`; from any thread."""
        if self._between is not None:
            self._between.enter()

    def leave(self) -> None:
        """Let the files of claims be closed, once nothing is claimed."""
        if self._between is not None:
            self._between.leave()

    async def until_free(self, keys: Iterable[str]) -> None:
        """Wait until nobody asks for any of these texts, or only a process that stands still."""
        keys = list(keys)
        await in_flight().until_gone(keys)
        for key in keys:
            since = Clock.monotonic()
            while self._is_taken_elsewhere(key):
                waited = Clock.monotonic() - since
                if waited > ELSEWHERE_SECONDS:
                    self._waits_no_more = True
                await asyncio.sleep(min(max(waited / 4, SOONEST_LOOK_SECONDS), LATEST_LOOK_SECONDS))

    def _is_taken_elsewhere(self, key: str) -> bool:
        if self._between is None or self._waits_no_more:
            return False
        return self._between.is_taken_elsewhere(key)

    def give_back(self, key: str) -> None:
        """Let others ask for a text: it is kept, or was not to be had."""
        for mine in (self._claimed, self._draining):
            if key in mine:
                mine.remove(key)
                self._let_others_ask(key)

    def give_all_back(self) -> None:
        """Let others ask for everything that is not in flight."""
        self._release(self._claimed)

    def drain(self, keys: Iterable[str]) -> None:
        """Hold texts as long as the answer to a request in flight may still come."""
        sent = self._claimed.intersection(keys)
        self._claimed -= sent
        self._draining |= sent
        self._let_go(DROP_SECONDS if self._is_dropped else DRAIN_SECONDS)

    def drop(self) -> None:
        """Hold nothing any longer: what is in flight is dropped."""
        self._is_dropped = True
        self._let_go(DROP_SECONDS)

    def _let_go(self, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self._release, self._draining)

    def _release(self, keys: set[str]) -> None:
        for key in keys:
            self._let_others_ask(key)
        keys.clear()

    def _let_others_ask(self, key: str) -> None:
        if self._between is not None:
            self._between.release(key)
        in_flight().remove(key)
