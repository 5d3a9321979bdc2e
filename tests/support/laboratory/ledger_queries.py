"""What only this project's tests and benchmarks ask a ledger."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

from laboratory.windows import Window, worst_window
from llmnb.testing import Ledger
from llmnb.testing.ledger import Which

Weigh = Literal["requests", "tokens"]
"""Whether a limit counts requests or the tokens that it charges for them."""


def dump(ledger: Ledger, *, rows: bool) -> dict[str, Any]:
    """Return a ledger as plain values, for JSON."""
    book: dict[str, Any] = {"totals": dataclasses.asdict(ledger.totals())}
    if rows:
        book["rows"] = [list(row) for row in ledger.rows]
    return book


def counts(
    ledger: Ledger, of: Which = "received", *, by: Literal["prompt", "body"] = "prompt"
) -> Counter[str]:
    """Return how often each prompt (or each whole body) came, by its hash."""
    return Counter(getattr(row, f"{by}_hash") for row in getattr(ledger, of))


def duplicates(
    ledger: Ledger, of: Which = "billed", *, by: Literal["prompt", "body"] = "prompt"
) -> dict[str, int]:
    """Return what was bought more than once: hash → times."""
    return {name: times for name, times in counts(ledger, of, by=by).items() if times > 1}


def _events(ledger: Ledger, of: Which, weigh: Weigh) -> tuple[list[float], list[float] | None]:
    """Return when requests came, and what each weighs where that is not one."""
    rows = getattr(ledger, of)
    times = [row.received for row in rows]
    return times, None if weigh == "requests" else [float(row.charged_tokens) for row in rows]


def worst_window_of(
    ledger: Ledger,
    per_minute: float,
    burst: float = 1.0,
    *,
    slack: float = 1.01,
    of: Which = "received",
    weigh: Weigh = "requests",
    **lengths: float,
) -> Window | None:
    """Return the window that comes nearest to, or furthest beyond, a limit.

    Args:
        ledger: What is asked.
        per_minute: Units a minute that are allowed, as limits are given everywhere.
        burst: Seconds' worth that may come at once.
        slack: Factor for rounding and jitter.
        of: Which requests count.
        weigh: Whether the limit counts requests or charged tokens.
        **lengths: `shortest` and `longest` window looked at, in seconds (0.1, 60).
    """
    times, weights = _events(ledger, of, weigh)
    rate = per_minute / 60.0
    return worst_window(times, weights, rate=rate, burst=burst, slack=slack, **lengths)


def heaviest(times: Sequence[float], weights: Sequence[float] | None, seconds: float) -> float:
    """Return the most that fell into any window of so many seconds.

    Args:
        times: When the events happened, ascending.
        weights: What each counts; None counts each as 1.
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
    return heaviest(*_events(ledger, of, weigh), seconds)


def is_within(ledger: Ledger, per_minute: float, burst: float = 1.0, **options: Any) -> bool:
    """Return whether every window of t seconds, t from 0.1 to 60, keeps to a limit.

    That is: holds at most ``per_minute / 60 * (t + burst) * slack``. Arguments as for
    `worst_window_of`, which also tells by how much.
    """
    worst = worst_window_of(ledger, per_minute, burst, **options)
    return worst is None or worst.is_within
