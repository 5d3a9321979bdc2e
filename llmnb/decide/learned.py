"""Limits that nobody configured: what the reply headers announce, turned into claims.

Two things are learned. The *limit* itself becomes one more claim on the gate;
it follows the latest reply, and headers that are silent change nothing. What
*remains* of it tells of requests that we do not know of: other processes on
the same account, or a window that was already used before we began.

The rule for what remains. A server that said `remaining` had, when the
request reached it, just that much left. What we have sent since is not in the
figure yet, and what has flowed back since is not either. So now there are left

    remaining - sent since + rate x seconds since

and the bucket's level is lowered to this where it is higher. It is never
raised: our own bucket holds less than a server's on purpose, so a server that
has more left than we believe is the ordinary case, and no news. In a steady
run both sums cancel, and nothing moves.

The first time a limit is heard of, a tenth of a second's worth is kept back:
what flows back is counted by the server only from when the request has reached
it, and a bucket that starts at its word to the last drop is refused. And what
was sent before it was heard of counts as if it had been known all along: a
server may hold many seconds' worth at once, a promise of so many a second does
not. Only where something remains, though: a server that has nothing left may
have refused, and not counted, any part of what was sent.

A limit that is called "per minute" but takes longer than a minute to be whole
again is none: some providers count requests by the day, under the same header
names. Such a figure is no limit per minute and what remains of it is not ours
to spread over minutes.
"""

from __future__ import annotations

from bisect import bisect_right

from llmnb.decide.admission import Admission
from llmnb.decide.bucket import BURST_SECONDS, Bucket
from llmnb.records import Announced, Limits

LONGEST_MINUTE = 61.0
"""Seconds until a limit per minute is whole again, at most; one for the rounding of headers."""

_KEPT_BACK_SECONDS = 1.0 - BURST_SECONDS
"""Kept back at first: as much as our buckets hold less than a server's."""

_REMEMBERED = 4096
"""Sent requests whose moments are remembered, to tell what was sent since when."""


class Learned:
    """What one target's headers have told.

    Example:
        >>> from llmnb.decide.admission import Admission
        >>> learned, told = Learned(), Announced(requests_per_minute=600.0, requests_remaining=2)
        >>> learned.on_headers(told, sent_at=0.0, now=0.5)
        >>> learned.limits().requests_per_minute
        600.0
        >>> admission = Admission(learned.limits(), now=0.5)
        >>> learned.reconcile(admission, now=0.5)
        >>> admission.requests
        <Bucket 600/min, 6.0 of 9.0>
    """

    __slots__ = ("_newest", "_requests", "_sent", "_tokens")

    def __init__(self) -> None:
        self._requests = _Kind()
        self._tokens = _Kind()
        self._sent = _Sent()
        self._newest = float("-inf")

    def limits(self) -> Limits:
        """Return the limits that were announced; None where nothing was."""
        return Limits(
            requests_per_minute=self._requests.per_minute,
            tokens_per_minute=self._tokens.per_minute,
        )

    def on_sent(self, tokens: float, now: float) -> None:
        """Note a request at the moment it goes.

        Args:
            tokens: Tokens that were reserved for it.
            now: The time.
        """
        self._sent.add(tokens, now)

    def on_headers(self, announced: Announced, sent_at: float, now: float) -> None:
        """Take what a reply told, good or bad.

        Args:
            announced: What its headers said.
            sent_at: When its request was sent; of replies that overtook each other, the one
                to the latest request is the newest.
            now: The time.
        """
        if sent_at < self._newest:
            return
        self._newest = sent_at
        requests, tokens = self._sent.since(sent_at)
        self._requests.take(
            announced.requests_per_minute,
            announced.requests_remaining,
            announced.requests_reset,
            sent_at,
            requests,
        )
        self._tokens.take(
            announced.tokens_per_minute,
            announced.tokens_remaining,
            announced.tokens_reset,
            sent_at,
            tokens,
        )

    def reconcile(self, admission: Admission, now: float) -> None:
        """Lower the levels of a gate's buckets to what the latest reply lets remain."""
        if self._requests.kept_back and (self._requests.left or 0.0) > 0:
            self._sent.replay(admission.requests, now)
        self._requests.lower(admission.requests, now)
        self._tokens.lower(admission.tokens, now)


class _Kind:
    """One kind of limit: of requests, or of tokens."""

    __slots__ = ("is_longer", "kept_back", "left", "per_minute", "sent_at")

    def __init__(self) -> None:
        self.per_minute: float | None = None
        self.is_longer = False
        """Whether its window was seen to be longer than a minute."""

        self.left: float | None = None
        """What remained at `sent_at`, less what was sent since; None once it was used."""

        self.sent_at = 0.0
        self.kept_back = _KEPT_BACK_SECONDS

    def take(
        self,
        limit: float | None,
        remaining: int | None,
        reset: float | None,
        sent_at: float,
        sent_since: float,
    ) -> None:
        if limit is None:
            # A window of unknown length, such as a day: nothing to spread over minutes.
            self.left = None
            return
        if reset is not None and reset > LONGEST_MINUTE:
            self.is_longer = True
        if self.is_longer:
            self.per_minute = self.left = None
            return
        self.per_minute = limit
        self.left = None if remaining is None else remaining - sent_since
        self.sent_at = sent_at

    def lower(self, bucket: Bucket | None, now: float) -> None:
        if bucket is None or self.left is None or self.per_minute is None:
            return
        since = max(0.0, now - self.sent_at) - self.kept_back
        believed = self.left + self.per_minute / 60.0 * since
        self.kept_back = 0.0
        self.left = None
        bucket.wait(0.0, now)  # brings its level up to date
        if bucket.level > believed:
            bucket.take(bucket.level - believed, now)


class _Sent:
    """How much was sent since a moment, for moments not too long ago."""

    __slots__ = ("_moments", "_requests", "_tokens", "_totals")

    def __init__(self) -> None:
        self._moments: list[float] = []
        self._totals: list[tuple[int, float]] = []
        self._requests = 0
        self._tokens = 0.0

    def add(self, tokens: float, now: float) -> None:
        self._requests += 1
        self._tokens += tokens
        self._moments.append(now)
        self._totals.append((self._requests, self._tokens))
        if len(self._moments) >= 2 * _REMEMBERED:  # rarely, so that each call costs little
            del self._moments[:_REMEMBERED]
            del self._totals[:_REMEMBERED]

    def replay(self, bucket: Bucket | None, now: float) -> None:
        """Lower a bucket's level to what it would be, had it stood at the gate all along."""
        if bucket is None or not self._moments:
            return
        level, before = bucket.capacity, self._moments[0]
        for moment in self._moments:
            level = min(bucket.capacity, level + bucket.rate * (moment - before)) - 1.0
            before = moment
        level = min(bucket.capacity, level + bucket.rate * (now - before))
        bucket.wait(0.0, now)  # brings its level up to date
        if bucket.level > level:
            bucket.take(bucket.level - level, now)

    def since(self, moment: float) -> tuple[float, float]:
        """Return the requests and tokens of what was sent after a moment."""
        place = bisect_right(self._moments, moment)
        if place == 0:
            return float(self._requests), self._tokens
        requests, tokens = self._totals[place - 1]
        return float(self._requests - requests), self._tokens - tokens
