"""When a late request deserves a second one.

A few requests in a hundred take many times as long as the rest. Once a request
has waited longer than nearly all of its kind, sending it again is likely to be
faster than waiting on; the longer the first is waited for, the less that costs.

In "p95" mode the moment is the 95th percentile of the latest first-token
times, so about one request in twenty is sent twice. An allowance of one for
every twenty rows holds the extra load below that share whatever happens: when
a whole server slows down, every request looks late, and doubling them all
would finish it off.

The times must be those of first requests only. A hedged row counts with the
time since its FIRST request was sent, whoever answered: the first would have
taken at least that long. Were the winner's own time counted, every hedge would
make the next one look due sooner, until the allowance is spent on requests
that were never late.

Source:
    J. Dean and L. A. Barroso, *The Tail at Scale*, Communications of the ACM
    56 (2013).
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from typing import Literal

REMEMBERED = 500
"""First-token times that the percentile is taken from."""

LEAST_TIMES = 20
"""With fewer times than this no percentile is known, and nothing is hedged."""

QUANTILE = 0.95

EXTRA_LOAD = 0.05
"""Redundant requests for each row, at most."""

LARGEST_ALLOWANCE = 25.0
"""Redundant requests that a calm while may save up for a bad moment."""

_LOOK_AGAIN = 0.25
"""Part of the delay after which a request that could not be hedged is looked at again."""


class Hedger:
    """Decides for one run when a row's redundant request goes.

    Args:
        after: Seconds without a first token, or ``"p95"``.

    Example:
        >>> hedger = Hedger("p95")
        >>> for tenths in range(1, 101):
        ...     hedger.on_first_token(tenths / 10)
        >>> hedger.delay(now=0.0, is_throttled=False)
        9.5
        >>> hedger.delay(now=0.0, is_throttled=True) is None
        True
    """

    def __init__(self, after: float | Literal["p95"] = "p95") -> None:
        self._fixed = None if after == "p95" else float(after)
        self._allowance = 0.0
        self._recent: deque[float] = deque()
        self._ordered: list[float] = []

    def delay(self, now: float, is_throttled: bool, waited: float = 0.0) -> float | None:
        """Return the seconds after sending at which a redundant request is due.

        Args:
            now: The time; the answer may change as replies come in.
            is_throttled: Whether a limit or a pause holds the target back. A second request
                would only take the place of somebody's first.
            waited: Seconds since the request was sent. For one that is due and could not be
                hedged the moment lies a little ahead of this, never in the past.

        Returns:
            Seconds after sending; None while nothing is to be hedged.
        """
        if is_throttled:
            return None
        delay = self._fixed
        if delay is None:
            if len(self._ordered) < LEAST_TIMES:
                return None
            delay = self._ordered[math.ceil(QUANTILE * len(self._ordered)) - 1]
        if waited < delay - 1e-6:  # a sum of times is not exact
            return delay
        return waited + max(_LOOK_AGAIN * delay, 0.01)

    def on_first_token(self, seconds: float) -> None:
        """Note one row's first token; once a row.

        Args:
            seconds: Since the row's first request was sent, whichever request answered.
        """
        self._allowance = min(LARGEST_ALLOWANCE, self._allowance + EXTRA_LOAD)
        if self._fixed is not None:
            return
        if len(self._recent) == REMEMBERED:
            del self._ordered[bisect_left(self._ordered, self._recent.popleft())]
        self._recent.append(seconds)
        insort(self._ordered, seconds)

    def may_spend(self) -> bool:
        """Whether the extra load allows one more redundant request."""
        return self._fixed is not None or self._allowance >= 1.0

    def on_hedged(self) -> None:
        """Note that a redundant request was sent."""
        self._allowance -= 1.0
