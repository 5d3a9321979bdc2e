"""What each reply cost, published to listeners."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from llmnb.records import Usage
from llmnb.store.entry import Entry

logger = logging.getLogger("llmnb")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """One request that money was spent on, or may have been."""

    provider: str
    model: str
    usd: float | None
    """Dollars; None when the price is not known."""

    usage: Usage | None = None
    """Tokens, as billed; None where the reply does not say."""

    is_bound: bool = False
    """Whether the request was dropped for another's sake: `usd` is what it may cost at most."""

    project: str = ""
    """Project that keeps the answer."""

    simulated: bool = False
    """Whether `llmnb.testing` answered."""


Listener = Callable[[Paid], None]

listeners: list[Listener] = []
"""Called on the loop thread with everything that is paid for; empty: nothing is published."""


def publish_answer(entry: Entry, usage: Usage | None, project: str) -> None:
    """Publish what an answer cost that is about to be saved, or has been."""
    publish(
        Paid(
            provider=entry.provider,
            model=entry.model,
            usd=entry.usd,
            usage=usage,
            project=project,
            simulated=entry.simulated,
        )
    )


def publish(paid: Paid) -> None:
    """Tell every listener; one that fails is named in the log, and the answer stays."""
    for listener in tuple(listeners):
        try:
            listener(paid)
        except Exception:
            logger.exception("A listener to costs failed; the answer itself is not touched.")
