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


def in_flight() -> dict[str, asyncio.Event]:
    """Return what embeddings of this process ask for: by key, what is set once nobody does."""
    return bridge.per_loop("texts to embed", dict[str, asyncio.Event])


class TextClaims:
    """The texts that one embedding has claimed.

    Args:
        between: What other processes that use the project claim; None: each asks for itself.
    """

    def __init__(self, between: claims.Claims | None) -> None:
        self.between = between
        self._waits_no_more = False
        """Whether it has waited long enough for other processes."""

        self._claimed: set[str] = set()
        self._draining: set[str] = set()
        """Claimed texts whose request was in flight when the embedding was stopped."""

        self._patience = DRAIN_SECONDS

    def take(self, key: str) -> bool:
        """Claim a text; return False if another embedding or process is asking for it."""
        between = self.between
        if key in in_flight():
            return False
        if between is not None and not between.take(key) and not self._waits_no_more:
            return False
        in_flight()[key] = asyncio.Event()
        self._claimed.add(key)
        return True

    async def until_free(self, keys: Iterable[str]) -> None:
        """Wait until none of these texts is claimed, or only by a process that stands still."""
        for key in keys:
            if (event := in_flight().get(key)) is not None:
                await event.wait()
            between, since = self.between, Clock.monotonic()
            while between and not self._waits_no_more and between.is_taken_elsewhere(key):
                waited = Clock.monotonic() - since
                if waited > ELSEWHERE_SECONDS:
                    self._waits_no_more = True
                await asyncio.sleep(min(max(waited / 4, SOONEST_LOOK_SECONDS), LATEST_LOOK_SECONDS))

    def give_back(self, *keys: str) -> None:
        """Release texts whose vector is saved or could not be had."""
        for key in self._claimed.intersection(keys):
            self._claimed.remove(key)
            if self.between is not None:
                self.between.release(key)
            in_flight().pop(key).set()

    def give_all_back(self) -> None:
        """Release every text that is not in flight."""
        self.give_back(*(self._claimed - self._draining))

    def drain(self, keys: Iterable[str]) -> None:
        """Keep texts claimed as long as the reply to their request may still come."""
        self._draining.update(keys)
        asyncio.get_running_loop().call_later(self._patience, self.give_back, *keys)

    def drop(self) -> None:
        """Release all texts soon: their requests are dropped."""
        self._patience = DROP_SECONDS
        self.drain(tuple(self._draining))
