"""Whether a target that keeps failing is asked at all.

Closed, everything goes. After several failures in a row, or when half of the
last ones failed, the breaker opens: nothing goes until a back-off has passed.
Then one request goes as a probe, and only one. Its success closes the breaker;
its failure opens it again for longer.

What was sent before the breaker opened still comes home afterwards. Its
failures do not lengthen the back-off (they are the same news), and its
successes do not close it (they are older news); the probe decides.

Source:
    "Circuit breaker" in M. Nygard, *Release It!*, 2007; the back-off is "full
    jitter" from M. Brooker, *Exponential Backoff And Jitter*, AWS Architecture
    Blog, 2015.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Literal

from llmnb.decide.dice import roll
from llmnb.decide.retry import LONGEST_SERVER_WAIT

State = Literal["closed", "open", "half-open"]

CONSECUTIVE = 5
"""Failures in a row that open it."""

REMEMBERED = 20
"""Results that the share of failures is taken from."""

LEAST_RESULTS = 10
"""Fewer results than this say nothing about a share."""

SHARE = 0.5
"""Share of failures that opens it."""

FIRST_BACK_OFF = 5.0
LONGEST_BACK_OFF = 60.0

SHORTEST_BACK_OFF = 1.0
"""Seconds; full jitter may draw next to nothing, and a server that just failed needs a moment."""


class Breaker:
    """One target's state of health.

    Args:
        consecutive: Failures in a row that open it.
        rand: Uniform numbers in [0, 1). Tests pass a constant.

    Example:
        >>> breaker = Breaker(consecutive=2, rand=lambda: 0.5)
        >>> for _ in range(2):
        ...     breaker.on_failure(now=10.0)
        >>> breaker.state(now=10.0), breaker.wait(now=10.0)
        ('open', 2.5)
        >>> breaker.may_send(now=12.5), breaker.may_send(now=12.5)
        (True, False)
        >>> breaker.on_success(now=13.0)
        >>> breaker.state(now=13.0)
        'closed'
    """

    __slots__ = (
        "_consecutive",
        "_failed",
        "_is_probing",
        "_openings",
        "_rand",
        "_results",
        "failures",
        "opened_at",
        "probe_at",
    )

    def __init__(self, *, consecutive: int = CONSECUTIVE, rand: Callable[[], float] = roll) -> None:
        self.failures = 0
        """Failures since the last success."""

        self.opened_at: float | None = None
        """When it opened; None while it is closed."""

        self.probe_at = 0.0
        """When the next probe may go; of no meaning while it is closed."""

        self._consecutive = consecutive
        self._rand = rand
        self._results: deque[bool] = deque(maxlen=REMEMBERED)
        self._failed = 0
        self._openings = 0
        self._is_probing = False

    # ------------------------------------------------------------------- questions

    @property
    def is_open(self) -> bool:
        """Whether requests wait; a probe may still be due."""
        return self.opened_at is not None

    @property
    def is_troubled(self) -> bool:
        """Whether a success would change anything; while not, it need not be told."""
        return self.opened_at is not None or self._failed > 0

    def state(self, now: float) -> State:
        """Return "closed", "open", or "half-open" when a probe may go or is out."""
        if self.opened_at is None:
            return "closed"
        return "half-open" if self._is_probing or now >= self.probe_at else "open"

    def wait(self, now: float) -> float:
        """Return the seconds until a request may go; infinity is "when the probe is back"."""
        if self.opened_at is None:
            return 0.0
        return math.inf if self._is_probing else max(0.0, self.probe_at - now)

    def may_send(self, now: float) -> bool:
        """Whether one request may go now; when half-open, it takes the only probe."""
        if self.opened_at is None:
            return True
        if self.wait(now) > 0:
            return False
        self._is_probing = True
        return True

    # ------------------------------------------------------------------------ news

    def on_success(self, now: float) -> None:
        """Note an answer: it closes a half-open breaker."""
        if self.opened_at is not None and not self._is_probing:
            return
        self.failures = 0
        if self.opened_at is None:
            self._remember(False)
            return
        self.opened_at = None
        self._is_probing = False
        self._openings = 0
        self._forget()

    def on_failure(self, now: float, retry_after: float | None = None) -> None:
        """Note a failure.

        Args:
            now: The time.
            retry_after: Seconds that the server asked to wait; no probe goes sooner.
        """
        self.failures += 1
        if self.opened_at is None:
            self._remember(True)
            if self._has_failed_enough():
                self._open(now, retry_after)
        elif self._is_probing:
            self._open(now, retry_after)
        elif retry_after is not None:
            self.probe_at = max(self.probe_at, now + _bounded(retry_after))

    def on_cancelled(self, now: float) -> None:
        """Give the probe back: the request that had taken it told nothing."""
        self._is_probing = False

    # ------------------------------------------------------------------------------

    def _has_failed_enough(self) -> bool:
        known = len(self._results)
        return self.failures >= self._consecutive or (
            known >= LEAST_RESULTS and self._failed >= known * SHARE
        )

    def _open(self, now: float, retry_after: float | None) -> None:
        ceiling = min(LONGEST_BACK_OFF, FIRST_BACK_OFF * 2.0 ** min(self._openings, 10))
        wait = max(SHORTEST_BACK_OFF, self._rand() * ceiling)
        if retry_after is not None:
            wait = max(wait, _bounded(retry_after))
        self.opened_at = now if self.opened_at is None else self.opened_at
        self.probe_at = now + wait
        self._openings += 1
        self._is_probing = False
        self._forget()

    def _remember(self, has_failed: bool) -> None:
        results = self._results
        if len(results) == REMEMBERED:
            self._failed -= results[0]
        results.append(has_failed)
        self._failed += has_failed

    def _forget(self) -> None:
        self._results.clear()
        self._failed = 0

    def __repr__(self) -> str:
        is_open = self.opened_at is not None
        return f"<Breaker {'open' if is_open else 'closed'}, {self.failures} failures in a row>"


def _bounded(retry_after: float) -> float:
    return min(max(0.0, retry_after), LONGEST_SERVER_WAIT)
