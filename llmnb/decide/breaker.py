"""Whether a target that keeps failing is asked at all.

Closed, everything goes. When several *different* rows have failed with no
success between, the breaker opens: a fault of a row is not an outage of its
target, and a few rows that always fail never open it. Nor does a row that fails
again after as many others were answered: the fault is its own. Open, nothing goes until
a back-off has passed. Then one request goes as a probe, and only one. Its
success closes the breaker; its failure opens it again for longer.

Replies to what was sent before the breaker opened still arrive afterwards.
Failures among them say nothing new and do not lengthen the back-off. A success
closes it only if its request was sent after every request that has failed: a
server that answers that one is not down, it failed a clump of rows. A success of
an earlier request says nothing new, and does not close it. A row that has failed
before and fails again says nothing new either: it is not counted among the
requests that a success must be newer than.

Source:
    "Circuit breaker" in M. Nygard, *Release It!*, 2007; the back-off is "full
    jitter" from M. Brooker, *Exponential Backoff And Jitter*, AWS Architecture
    Blog, 2015.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable

from llmnb.decide.retry import LONGEST_SERVER_WAIT, roll

DIFFERENT_ROWS = 5
"""Rows that must have failed, with no success between, to open it."""

FIRST_BACK_OFF = 2.0
LONGEST_BACK_OFF = 60.0

_ROWS_REMEMBERED = 1000
"""Rows that failed of which it is known when, so far as others were answered since."""

SHORTEST_BACK_OFF = 0.5
"""Seconds; full jitter may draw next to nothing, and a server that just failed needs a moment."""


class Breaker:
    """One target's state of health.

    Args:
        rows: Different rows that must fail to open it.
        rand: Uniform numbers in [0, 1). Tests pass a constant.

    Example:
        >>> breaker = Breaker(rows=2, rand=lambda: 0.5)
        >>> for row in ("a", "a", "b"):
        ...     breaker.on_failure(now=10.0, row=row, sent_at=9.0)
        >>> breaker.is_open, breaker.wait(now=10.0)
        (True, 1.0)
        >>> breaker.try_send(now=11.0), breaker.try_send(now=11.0)
        (True, False)
        >>> breaker.on_success(now=12.0, sent_at=11.0)
        >>> breaker.is_open
        False
    """

    def __init__(self, *, rows: int = DIFFERENT_ROWS, rand: Callable[[], float] = roll) -> None:
        self.failures = 0
        """Failures since the last success."""

        self.opened_at: float | None = None
        """When it opened; None while it is closed."""

        self.probe_at = 0.0
        """When the next probe may go; of no meaning while it is closed."""

        self.answers = 0
        """Answers in all, counted by whoever asks while nothing fails, too."""

        self.newest_failure = -math.inf
        """When the latest request was sent of those whose failure says something of the target."""

        self._rows = rows
        self._rand = rand
        self._failed: set[Hashable] = set()
        """Rows that have failed since the last success, up to those that opened it."""

        self._answers_before: dict[Hashable, float] = {}
        """How many answers there were when a row last failed; minus infinity: it fails alone."""

        self._openings = 0
        self._is_probing = False
        self._probe_sent_at = 0.0

    # ------------------------------------------------------------------- questions

    @property
    def is_open(self) -> bool:
        """Whether requests wait; a probe may still be due."""
        return self.opened_at is not None

    @property
    def is_troubled(self) -> bool:
        """Whether a success would change anything; if not, none needs to be noted."""
        return self.failures > 0 or self.opened_at is not None

    def has_failed(self, row: Hashable) -> bool:
        """Whether a row has failed before, so far as that is remembered."""
        return row in self._answers_before

    def wait(self, now: float) -> float:
        """Return the seconds until a request may go; infinity is "when the probe is back"."""
        if self.opened_at is None:
            return 0.0
        return math.inf if self._is_probing else max(0.0, self.probe_at - now)

    def try_send(self, now: float) -> bool:
        """Return whether one request may go now; while the breaker is open, True takes the probe.

        Whoever has taken it reports back, by `on_success`, `on_failure` or `on_cancelled`: until
        then nothing else goes.
        """
        if self.opened_at is None:
            return True
        if self.wait(now) > 0:
            return False
        self._is_probing = True
        self._probe_sent_at = now
        return True

    # ------------------------------------------------------------------------ news

    def on_success(self, now: float, *, sent_at: float) -> None:
        """Note an answer: the probe's closes the breaker, and that of anything newer than failed.

        Args:
            now: The time.
            sent_at: When its request was sent.
        """
        if self.is_open and sent_at <= self.newest_failure and not self._is_probe(sent_at):
            return
        self.failures = 0
        self._failed.clear()
        self.opened_at = None
        self._is_probing = False
        self._openings = 0

    def on_failure(
        self, now: float, row: Hashable, retry_after: float | None = None, *, sent_at: float
    ) -> None:
        """Note a failure.

        Args:
            now: The time.
            row: Which row it was; any value that tells rows apart.
            retry_after: Seconds that the server asked to wait; no probe goes sooner.
            sent_at: When its request was sent.
        """
        self.failures += 1
        is_its_own = self._is_its_own(row)
        if self._is_probe(sent_at) or not (is_its_own or row in self._failed):
            self.newest_failure = max(self.newest_failure, sent_at)
        if self.opened_at is None:
            if not is_its_own:
                self._failed.add(row)
            if len(self._failed) >= self._rows:
                self._open(now, retry_after)
        elif self._is_probe(sent_at):
            self._open(now, retry_after)
        elif retry_after is not None:
            self.probe_at = max(self.probe_at, now + _bounded(retry_after))

    def on_new_run(self, now: float) -> None:
        """Let a probe go at once: what an earlier run met need not hold any longer."""
        self._answers_before.clear()
        if self.opened_at is not None:
            self.probe_at = min(self.probe_at, now)

    def on_cancelled(self, *, sent_at: float) -> None:
        """Free the probe: the request that had taken it was cancelled and says nothing."""
        if self._is_probe(sent_at):
            self._is_probing = False

    # ------------------------------------------------------------------------------

    def _is_probe(self, sent_at: float) -> bool:
        """Whether what was sent then is the probe that is out: nothing else went after it."""
        return self._is_probing and sent_at >= self._probe_sent_at

    def _is_its_own(self, row: Hashable) -> bool:
        """Whether a row that fails has failed before, with so many answers to others since."""
        known = self._answers_before
        before = known.pop(row, math.inf)
        if is_its_own := self.answers - before >= self._rows:
            before = -math.inf
        known[row] = before if is_its_own else self.answers
        if len(known) > _ROWS_REMEMBERED:
            del known[next(iter(known))]
        return is_its_own

    def _open(self, now: float, retry_after: float | None) -> None:
        ceiling = min(LONGEST_BACK_OFF, FIRST_BACK_OFF * 2.0 ** min(self._openings, 10))
        wait = max(SHORTEST_BACK_OFF, self._rand() * ceiling)
        if retry_after is not None:
            wait = max(wait, _bounded(retry_after))
        self.opened_at = now if self.opened_at is None else self.opened_at
        self.probe_at = now + wait
        self._openings += 1
        self._is_probing = False


def _bounded(retry_after: float) -> float:
    return min(max(0.0, retry_after), LONGEST_SERVER_WAIT)


class SlowStart:
    """The number of slots of a target that has just recovered.

    Everything that waited would go at once, and a server that has just come back would fall over
    again. So one request goes first, and each success makes room for one more: the number in
    flight doubles with every round of replies. Between half of what was in flight when the target
    failed and all of that it grows by one a round, and beyond it faster again. A failure halves
    it, once a round, and tells another level: what was in flight as the failed request was sent,
    those that had been sent before the target recovered among them. What was sent after the last
    failure and before the target was known to have recovered counts as well: so many at once were
    served already.

    It also says whose fault a failure is, by what becomes of rows that had failed before: where
    more of them were answered than failed again, the target was asked too much. Until then one of
    them goes at a time, and one more for each that was answered.

    Source:
        Slow start and congestion avoidance: V. Jacobson, *Congestion Avoidance and Control*,
        SIGCOMM 1988.

    Args:
        level: Requests that were in flight when the target failed.
        since: When the latest request was sent of those that failed.

    Example:
        >>> start = SlowStart(level=8, since=0.0)
        >>> for _ in range(3):
        ...     start.on_success(sent_at=0.5)
        >>> start.slots
        4
        >>> start.on_failure(began=1.0, now=2.0, in_flight=4)
        >>> start.slots
        2
    """

    def __init__(self, level: float, *, since: float) -> None:
        self.in_flight = 0
        """Requests in flight that were sent since the target recovered."""

        self._slots = 1.0
        self._level = level
        self._since = since
        self._cut_at = -math.inf
        self._trust = 0
        """By how much more often rows that had failed were answered than failed again."""

    @property
    def slots(self) -> int:
        """Requests that may be in flight."""
        return int(self._slots + 1e-9)  # ten tenths are one

    @property
    def is_full(self) -> bool:
        """Whether the next request waits until one ends."""
        return self.in_flight >= self.slots

    @property
    def blames_target(self) -> bool:
        """Whether a failure is the target's fault rather than that of its row."""
        return self._trust > 0

    def may_repeat(self, in_flight: int) -> bool:
        """Whether a row that has failed may go beside so many others of the same kind."""
        return in_flight <= max(0, self._trust)

    def on_success(self, *, sent_at: float, has_failed: bool = False) -> None:
        """Make room for one more, or for a part of one near the level at which it failed.

        A request sent no later than the latest that has failed makes none.

        Args:
            sent_at: When the request was sent.
            has_failed: Whether its row had failed before.
        """
        self._trust += has_failed
        if sent_at <= self._since:
            return
        is_near = self._level / 2 <= self._slots < self._level
        self._slots += 1.0 / self.slots if is_near else 1.0

    def on_failure(
        self, *, began: float, now: float, in_flight: int, has_failed: bool = False
    ) -> None:
        """Halve the slots, but once for all that was sent before the last cut.

        Args:
            began: When the request was sent.
            now: The time.
            in_flight: Requests that were in flight then, itself included, whenever they were sent.
            has_failed: Whether its row had failed before.
        """
        if began >= self._cut_at:
            self._trust -= has_failed
            self._level = in_flight
            self._slots = max(1.0, min(self._slots, in_flight) / 2)
            self._cut_at = now
