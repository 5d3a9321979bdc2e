"""What a door tells a run: how patient, how fast, where answers are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from llmnb.decide.retry import RetryPolicy
from llmnb.engine.call import Saves
from llmnb.records import Limits
from llmnb.store.entry import Entry


class Store(Saves, Protocol):
    """The part of a project's store that a run needs."""

    enough: int
    """Answers that are worth a commit of their own, however soon after the last."""

    @property
    def name(self) -> str:
        """Name of the project."""

    def lookup(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Return what is already answered; may block, so it is called on a thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a run behaves."""

    policy: RetryPolicy = field(default_factory=RetryPolicy)
    limits: Limits = field(default_factory=Limits)
    """The person's limits, for every target of the run."""

    use_cache: bool = True
    """False skips reading what is stored; answers are stored all the same."""

    window: int | None = None
    """Rows between being pulled and being released; None: from the concurrency."""

    time_limit: float | None = None
    """Seconds from a request's sending to its end."""

    streams: bool = False
    """Whether outcomes are handed over in order and forgotten, instead of kept for `result()`."""
