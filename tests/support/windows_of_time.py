"""How much of a ledger fell into windows of time: what only this project's tests ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmnb.testing.ledger import Ledger, Weigh, Which


def heaviest(times: Sequence[float], weights: Sequence[float] | None, seconds: float) -> float:
    """Return the most that fell into any window of so many seconds.

    Args:
        times: When the events happened, ascending.
        weights: What each counts; None counts each as one.
        seconds: Length of the window. An event at its very end is outside.

    Example:
        >>> heaviest([0.0, 0.5, 0.9, 1.0], None, 1.0)
        3.0
    """
    best = amount = 0.0
    first = 0
    for last, time in enumerate(times):
        amount += 1.0 if weights is None else weights[last]
        while time - times[first] >= seconds:
            amount -= 1.0 if weights is None else weights[first]
            first += 1
        best = max(best, amount)
    return best


def max_in_window(
    ledger: Ledger, seconds: float, *, of: Which = "received", weigh: Weigh = "requests"
) -> float:
    """Return the most requests (or charged tokens) in any window of so many seconds."""
    return heaviest(*ledger.events(of, weigh), seconds)


def is_within(ledger: Ledger, per_minute: float, burst: float = 1.0, **options: Any) -> bool:
    """Return whether every window of t seconds, t from 0.1 to 60, keeps to a limit.

    That is: holds at most ``per_minute / 60 * (t + burst) * slack``. Arguments as for
    `Ledger.worst_window`, which also tells by how much.
    """
    worst = ledger.worst_window(per_minute, burst, **options)
    return worst is None or worst.is_within
