"""Dollars that a run may spend: reserved before a request is sent, settled when it has ended."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import Iterator

from llmnb.display import money
from llmnb.errors import BudgetExceeded

_SLACK = 1e-9

_shared: contextvars.ContextVar[SharedBudget | None] = contextvars.ContextVar(
    "shared_budget", default=None
)


class Budget:
    """What is spent, what is reserved for requests on their way, and what is left.

    A request that might break the budget waits for those on their way, because
    most cost less than was reserved for them. When nothing is on its way and it
    still does not fit, buying ends.

    Args:
        limit: Dollars.

    Example:
        >>> budget = Budget(1.0)
        >>> budget.try_reserve(0.75), budget.try_reserve(0.75)
        (True, False)
        >>> budget.settle(reserved=0.75, spent=0.25)
        >>> budget.try_reserve(0.75)
        True
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.spent = 0.0
        self.reserved = 0.0
        self._freed = asyncio.Event()

    def try_reserve(self, usd: float) -> bool:
        """Reserve dollars if they are there."""
        if self.spent + self.reserved + usd > self.limit + _SLACK:
            return False
        self.reserved += usd
        return True

    async def reserve(self, usd: float) -> None:
        """Reserve dollars, waiting for requests on their way where that may help.

        Raises:
            BudgetExceeded: If it cannot.
        """
        while not self.try_reserve(usd):
            if self.reserved <= _SLACK:
                raise BudgetExceeded(
                    f"The budget of {money.usd(self.limit)} is reached: {money.usd(self.spent)} "
                    f"are spent, and the next request may cost up to {money.usd(usd)}. It was not "
                    "sent; everything answered is kept. Raise budget_usd and run again to ask "
                    "what is missing."
                )
            self._freed.clear()
            await self._freed.wait()

    def settle(self, *, reserved: float, spent: float) -> None:
        """Turn a reservation into what was really spent."""
        self.reserved = max(0.0, self.reserved - reserved)
        self.spent += spent
        self._freed.set()


class SharedBudget:
    """One budget for several runs, such as the rounds of a tool loop: the first one's limit holds.

    Example:
        >>> rounds = SharedBudget()
        >>> with rounds.used():
        ...     first, second = budget_for(0.05), budget_for(0.05)
        >>> first is second
        True
    """

    def __init__(self) -> None:
        self.budget: Budget | None = None
        """Made by the first run that is started inside."""

    @contextlib.contextmanager
    def used(self) -> Iterator[None]:
        """Have the runs that are started inside spend from this one."""
        token = _shared.set(self)
        try:
            yield
        finally:
            _shared.reset(token)


def budget_for(limit: float | None) -> Budget | None:
    """Return what a run that is started now may spend from; None: it has no budget."""
    if limit is None:
        return None
    shared = _shared.get()
    if shared is None:
        return Budget(limit)
    if shared.budget is None:
        shared.budget = Budget(limit)
    return shared.budget
