"""What a door tells a run: how patient, how fast, where answers are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from llmnb.decide.retry import RetryPolicy
from llmnb.engine.budget import Budget
from llmnb.engine.run_context import Saves
from llmnb.records import Delta, Limits
from llmnb.store.claims import Claims


class Store(Saves, Protocol):
    """The part of a project's store that a run needs."""

    enough: int
    """Answers that are worth a commit of their own, however soon after the last."""

    @property
    def name(self) -> str:
        """Name of the project."""

    @property
    def claims(self) -> Claims | None:
        """Which answers other processes are asking for; None where nobody else can be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a run behaves."""

    policy: RetryPolicy = field(default_factory=RetryPolicy)
    limits: Limits = field(default_factory=Limits)
    """The limits of this run alone, at every target."""

    account: Limits = field(default_factory=Limits)
    """Limits that hold for all runs of an account together, such as configured ones."""

    pool_limits: Mapping[str, Limits] = field(default_factory=dict)
    """Further limits of accounts, by pool, such as those that a model's own config sets."""

    use_cache: bool = True
    """False skips reading what is stored; answers are stored all the same."""

    good_finish: tuple[str, ...] = ()
    """Reasons to end that are good though no dialect's table has them."""

    window: int | None = None
    """Rows between being pulled and being released; None: from the concurrency."""

    time_limit: float | None = None
    """Seconds from a row's first dispatch to its end."""

    hedge_after: float | Literal["p95"] | None = None
    """When a redundant request is sent for a row without a first token: seconds, or the run's
    own 95th percentile; None: never."""

    budget_usd: float | None = None
    """Dollars that are not overshot beyond what is in flight."""

    budget: Budget | None = None
    """What they are taken from; several runs may share it."""

    prepare: Callable[[], None] | None = None
    """Called once on a thread before the first request; requests wait for its end."""

    on_delta: Callable[[int, Delta], None] | None = None
    """Gets the pieces of every row's answer as they come, on the loop thread."""

    streams: bool = False
    """Whether outcomes are handed over and forgotten, instead of kept for `result()`."""

    in_order: bool = True
    """Whether outcomes that are handed over come in the order of the rows, or as they are ready."""
