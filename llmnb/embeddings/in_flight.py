"""Claims of texts: an embedding waits for texts that another one is already asking for.

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
"""Texts of a dropped request may be asked for again after this; a reply is saved by then."""


class Registry:
    """The keys of all texts that embeddings of this process are asking for."""

    def __init__(self) -> None:
        self._events: dict[str, asyncio.Event] = {}

    def add(self, key: str) -> bool:
        """Claim a text; return False if another embedding is asking for it."""
        if key in self._events:
            return False
        self._events[key] = asyncio.Event()
        return True

    def remove(self, key: str) -> None:
        """Release a text, whether or not its vector was saved."""
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
    """The texts that one embedding has claimed.

    Args:
        between: What other processes that use the project claim; None: each asks for itself.
    """

    def __init__(self, between: claims.Claims | None) -> None:
        self._between = between
        self._waits_no_more = False
        """Whether it has waited long enough for other processes."""

        self._claimed: set[str] = set()
        self._draining: set[str] = set()
        """Claimed texts whose request was in flight when the embedding was stopped."""

        self._is_dropped = False

    def take(self, key: str) -> bool:
        """Claim a text; return False if another embedding or process is asking for it."""
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
        """Allow the files of claims to be closed once nothing is claimed."""
        if self._between is not None:
            self._between.leave()

    async def until_free(self, keys: Iterable[str]) -> None:
        """Wait until none of these texts is claimed, or only by a process that stands still."""
        keys = list(keys)
        await in_flight().until_gone(keys)
        for key in keys:
            between, since = self._between, Clock.monotonic()
            while between and not self._waits_no_more and between.is_taken_elsewhere(key):
                waited = Clock.monotonic() - since
                if waited > ELSEWHERE_SECONDS:
                    self._waits_no_more = True
                await asyncio.sleep(min(max(waited / 4, SOONEST_LOOK_SECONDS), LATEST_LOOK_SECONDS))

    def give_back(self, key: str) -> None:
        """Release a text whose vector is saved or could not be had."""
        for mine in (self._claimed, self._draining):
            if key in mine:
                mine.remove(key)
                self._let_others_ask(key)

    def give_all_back(self) -> None:
        """Release every text that is not in flight."""
        self._release(self._claimed)

    def drain(self, keys: Iterable[str]) -> None:
        """Keep texts claimed as long as the reply to their request may still come."""
        sent = self._claimed.intersection(keys)
        self._claimed -= sent
        self._draining |= sent
        self._let_go(DROP_SECONDS if self._is_dropped else DRAIN_SECONDS)

    def drop(self) -> None:
        """Release all texts soon: their requests are dropped."""
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
