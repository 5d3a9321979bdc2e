"""A pace for servers that count by time and tell nobody.

Slots alone cannot say "ten a second" where an answer takes a twentieth of a
second: one slot is too many. Such a server shows itself by refusing at a level that it
has just taken, which slots never cause; `Finding` then adds a pace to the slots.

How fast it goes is counted, not guessed. A bucket that refuses is empty. What it
let pass between two refusals is what flowed into it between them:

    rate = accepted between two refusals / seconds between them

which is exact as long as the bucket was not full in between, and too low
otherwise; never too high. From there the pace probes as the slots do: a little
above, rarely, and back at the first refusal.
"""

from __future__ import annotations

import math

from llmnb.decide.concurrency import MOST, START, Adaptive

PACED_SLOTS = 64
"""Slots to begin with where the pace is what keeps the limit."""

RELAPSES = 2
"""Refusals at a level that was just taken, after which a server counts by time."""

LEAST_SECONDS = 1.0
LEAST_ACCEPTED = 5
"""What must lie between two refusals to tell a rate."""

MARGIN = 0.98
"""Part of the counted rate that is used: the counting is a request or two out."""

STEP = 0.02
LARGEST_STEP = 0.16
"""How far above the pace to probe; doubled after each probe that was not refused."""

CUT = 0.97
"""What remains of a pace that is refused where the rate cannot be counted."""

FIRST_PATIENCE = 20.0
LONGEST_PATIENCE = 640.0
"""Seconds at a pace before the next probe."""

QUICK_PATIENCE = 2.0
"""The same where pauses, in which the server's bucket was full, have made the count too low."""


class Pace:
    """Requests a minute of a server that says nothing; None until it shows that it counts them.

    Args:
        patience: Seconds at a pace before the first probe.
    """

    def __init__(self, patience: float = FIRST_PATIENCE) -> None:
        self.per_minute: float | None = None
        self._first_patience = patience
        self._accepted = 0
        self._begun: tuple[float, int] | None = None
        """When the first refusal to count from was, and how many had been accepted."""

        self._since = -math.inf
        """When the pace was set; what was sent before says nothing about it."""

        self._safe = 0.0
        """A pace that held before the last probe."""

        self._patience = patience
        self._stride = STEP

    def on_success(self, now: float) -> None:
        """Note an answer; after a long calm the pace rises a little."""
        self._accepted += 1
        if self.per_minute is not None and now - self._since > self._patience:
            if self.per_minute > self._safe:  # the last probe met nobody
                self._patience = self._first_patience
                self._stride = min(LARGEST_STEP, 2 * self._stride)
            self._safe = self.per_minute
            self._set(self.per_minute * (1 + self._stride), now)

    def on_refusal(self, sent_at: float, now: float, *, may_begin: bool = True) -> None:
        """Note a refusal: keep to a pace, or go slower where it was sent at the present one.

        Args:
            sent_at: When its request was sent.
            now: The time.
            may_begin: Whether to keep to a pace from now on where none is known yet.
        """
        if self._begun is None:
            self._begun = now, self._accepted
        seconds, accepted = now - self._begun[0], self._accepted - self._begun[1]
        counted = math.inf  # not known yet
        if seconds >= LEAST_SECONDS and accepted >= LEAST_ACCEPTED:
            counted = MARGIN * 60.0 * accepted / seconds
        if self.per_minute is None:
            if may_begin and counted < math.inf:
                self._safe = counted
                self._set(counted, now)
        elif sent_at > self._since:
            if self.per_minute > self._safe:
                self._patience = min(LONGEST_PATIENCE, 2 * self._patience)
            else:
                self._safe = CUT * self.per_minute
            self._safe = min(self._safe, counted)
            self._stride = STEP
            self._set(self._safe, now)
            self._begun = now, self._accepted  # its bucket is empty now

    def _set(self, per_minute: float, now: float) -> None:
        self.per_minute = per_minute
        self._since = now


class Finding:
    """Slots and, where the server turns out to count by time, a pace; both found by trying.

    Args:
        start: Slots to begin with.
        most: Most slots.

    Example:
        >>> finding = Finding()
        >>> finding.limit, finding.per_minute
        (8, None)
    """

    def __init__(self, *, start: int = START, most: int = MOST) -> None:
        self._most = most
        self._slots = Adaptive(start=start, most=most)
        self._pace = Pace()
        self._levels: dict[int, int] = {}
        """How many were in flight when each request in flight was sent."""

        self._carried = 0
        """Most in flight that the server is seen to take since the last refusal."""

        self._refused_at = -math.inf
        self._relapses = 0

    @property
    def limit(self) -> int:
        """Requests that may be in flight now."""
        return self._slots.limit

    @property
    def per_minute(self) -> float | None:
        """Requests that may be sent a minute; None: nothing is known of a pace."""
        return self._pace.per_minute

    @property
    def usual_seconds(self) -> float | None:
        """What an answer takes when the server is quick; None at first."""
        usual = self._slots.crowding.usual
        return None if usual is None else math.exp(usual)

    def on_start(self, in_flight: int) -> int:
        """Note a request that is sent; return its number, for the calls below.

        Args:
            in_flight: Requests in flight, this one included.
        """
        sequence = self._slots.on_start()
        self._levels[sequence] = in_flight
        return sequence

    def on_success(self, sequence: int, seconds: float, in_flight: int, now: float) -> None:
        """Note an answer.

        Args:
            sequence: The request's number.
            seconds: How long it took.
            in_flight: Requests in flight, this one included.
            now: The time.
        """
        level = self._levels.pop(sequence, 0)
        if level > self._carried and now - seconds > self._refused_at:
            self._carried = level
        self._slots.on_success(sequence, seconds, in_flight)
        self._pace.on_success(now)

    def on_refusal(self, sequence: int, sent_at: float, now: float) -> None:
        """Note that a request was rate limited.

        Args:
            sequence: The request's number.
            sent_at: When it was sent.
            now: The time.
        """
        level = self._levels.pop(sequence, 0)
        self._refused_at = now
        had_pace = self._pace.per_minute is not None
        if not had_pace:
            self._relapses += level <= self._carried
            self._carried = 0
            self._slots.on_refusal(sequence)
        self._pace.on_refusal(sent_at, now, may_begin=self._relapses >= RELAPSES)
        if not had_pace and self._pace.per_minute is not None:
            self._slots = Adaptive(start=min(PACED_SLOTS, self._most), most=self._most)

    def on_end(self, sequence: int) -> None:
        """Forget a request that has ended, however."""
        self._levels.pop(sequence, None)

    def __repr__(self) -> str:
        pace = "no pace" if self.per_minute is None else f"{self.per_minute:.0f}/min"
        return f"<Finding {self._slots!r}, {pace}>"
