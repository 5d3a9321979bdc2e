"""A pace for servers that count by time and tell nobody.

Places alone cannot say "ten a second" where an answer takes a twentieth of a
second: one place is too many. Such a server shows itself by refusing at a level that it
has just taken, which places never do; `Finding` then adds a pace to the places.

How fast it goes is counted, not guessed. A bucket that refuses is empty. What it
let pass between two refusals is what flowed into it between them:

    rate = accepted between two refusals / seconds between them

which is exact as long as the bucket was not full in between, and too low
otherwise; never too high. From there the pace probes as the places do: a little
above, rarely, and back at the first refusal.
"""

from __future__ import annotations

import math

from llmnb.decide.concurrency import MOST, START, Adaptive

PLACES = 64
"""Places to begin with where the pace is what keeps the limit."""

RELAPSES = 2
"""Refusals at a level that was just taken, after which a server counts by time."""

LEAST_SECONDS = 1.0
LEAST_ACCEPTED = 5
"""What must lie between two refusals to tell a rate."""

MARGIN = 0.98
"""Part of the counted rate that is used: the counting is a request or two out."""

STEP = 0.02
LARGEST_STEP = 0.16
"""How far above the pace to probe; doubled where nobody is at home."""

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

    def on_refusal(self, now: float) -> None:
        """Note a refusal, for the counting."""
        if self._begun is None:
            self._begun = now, self._accepted

    def counted(self, now: float) -> float | None:
        """Return the requests a minute that passed since the first refusal, None if unknown."""
        if self._begun is None:
            return None
        seconds, accepted = now - self._begun[0], self._accepted - self._begun[1]
        if seconds < LEAST_SECONDS or accepted < LEAST_ACCEPTED:
            return None
        return 60.0 * accepted / seconds

    def begin(self, now: float) -> None:
        """Keep to the counted rate from now on, if it can be told yet."""
        rate = self.counted(now)
        if rate is not None:
            self._safe = MARGIN * rate
            self._set(self._safe, now)

    def cut(self, sent_at: float, now: float) -> None:
        """Go slower after a refusal of what was sent at this pace."""
        if self.per_minute is None or sent_at <= self._since:
            return
        rate = self.counted(now)
        if self.per_minute > self._safe:
            pace = self._safe
            self._patience = min(LONGEST_PATIENCE, 2 * self._patience)
        else:
            pace = CUT * self.per_minute
        self._safe = pace if rate is None else min(pace, MARGIN * rate)
        self._stride = STEP
        self._set(self._safe, now)
        self._begun = now, self._accepted  # its bucket is empty now

    def keep(self, sent_at: float, now: float) -> None:
        """Take a refusal where somebody names the places: it can only be answered by a pace."""
        self.on_refusal(now)
        if self.per_minute is None:
            self.begin(now)
        else:
            self.cut(sent_at, now)

    def _set(self, per_minute: float, now: float) -> None:
        self.per_minute = per_minute
        self._since = now


class Finding:
    """Places and, where the server turns out to count by time, a pace; both found by trying.

    Args:
        start: Places to begin with.
        most: Most places.

    Example:
        >>> finding = Finding()
        >>> finding.limit, finding.per_minute
        (8, None)
    """

    def __init__(self, *, start: int = START, most: int = MOST) -> None:
        self._most = most
        self._places = Adaptive(start=start, most=most)
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
        return self._places.limit

    @property
    def per_minute(self) -> float | None:
        """Requests that may be sent a minute; None: nothing is known of a pace."""
        return self._pace.per_minute

    @property
    def usual_seconds(self) -> float | None:
        """What an answer takes when the server is quick; None at first."""
        usual = self._places.crowding.usual
        return None if usual is None else math.exp(usual)

    def on_start(self, in_flight: int, now: float) -> int:
        """Note a request that is sent; returns its number, for the calls below.

        Args:
            in_flight: Requests in flight, this one included.
            now: The time.
        """
        sequence = self._places.on_start(now)
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
        self._places.on_success(sequence, seconds, in_flight, now)
        self._pace.on_success(now)

    def on_refusal(self, sequence: int, sent_at: float, now: float) -> None:
        """Note a refusal for pace.

        Args:
            sequence: The request's number.
            sent_at: When it was sent.
            now: The time.
        """
        level = self._levels.pop(sequence, 0)
        self._refused_at = now
        self._pace.on_refusal(now)
        if self._pace.per_minute is not None:
            self._pace.cut(sent_at, now)
            return
        self._relapses += level <= self._carried
        self._carried = 0
        self._places.on_refusal(sequence, now)
        if self._relapses >= RELAPSES:
            self._pace.begin(now)
            if self._pace.per_minute is not None:
                self._places = Adaptive(start=min(PLACES, self._most), most=self._most)

    def on_end(self, sequence: int) -> None:
        """Forget a request that has ended, however."""
        self._levels.pop(sequence, None)

    def __repr__(self) -> str:
        pace = "no pace" if self.per_minute is None else f"{self.per_minute:.0f}/min"
        return f"<Finding {self._places!r}, {pace}>"
