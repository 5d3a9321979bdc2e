"""Whether the next request of a target may go now: concurrency and every limit together, or none.

All limits are asked before any is touched, so a request never holds one of
them while it waits for another. Further limits may bind a target beside its own.
"""

from __future__ import annotations

import math
from typing import Literal, Protocol

from llmnb.decide.bucket import BURST_SECONDS, Bucket
from llmnb.records import Limits

Reason = Literal["", "concurrency", "requests", "tokens", "pause", "start"]
"""What holds the next request back, empty when nothing does; ``start`` is how the first replies,
or those after a pause, turn out."""

DEFAULT_CONCURRENCY = 64
"""Requests in flight when neither the person nor the provider names a number."""


class Bound(Protocol):
    """Further limits, such as `GLOBAL_LIMITER`'s; other targets and processes may share them."""

    @property
    def limits(self) -> Limits:
        """The rates, for those who show them."""

    def wait(self, tokens: float, now: float) -> tuple[float, Reason]:
        """Return the seconds until a request may go, and what holds it.

        Infinity is "later": the gate is called when the limits have changed.
        """

    def take(self, tokens: float, now: float) -> None:
        """Let one request go."""

    def give_back(self, requests: float, tokens: float) -> None:
        """Return what was taken too much."""


class Admission:
    """The state of one target's limits.

    Args:
        limits: What is known of the limits.
        now: The time, in seconds of a steady clock.

    Example:
        >>> admission = Admission(Limits(concurrency=1), now=0.0)
        >>> admission.wait(tokens=10, now=0.0)
        0.0
        >>> admission.admit(tokens=10, now=0.0)
        >>> admission.wait(tokens=10, now=5.0), admission.reason
        (inf, 'concurrency')
    """

    def __init__(self, limits: Limits, *, now: float) -> None:
        self.in_flight = 0
        self.paused_until = -math.inf
        self.reason: Reason = ""
        self.bound: Bound | None = None
        """Further limits; asked last, so that nothing is drawn for a request that cannot go."""

        self.requests: Bucket | None = None
        self.tokens: Bucket | None = None
        self.concurrency: float = DEFAULT_CONCURRENCY
        self.change(limits, now=now)

    def change(self, limits: Limits, *, now: float) -> None:
        """Take other limits from now on; what was already let pass still counts."""
        burst = 0.0 if limits.even else BURST_SECONDS
        self.requests = _changed(self.requests, limits.requests_per_minute, burst, now)
        self.tokens = _changed(self.tokens, limits.tokens_per_minute, BURST_SECONDS, now)
        self.concurrency = limits.concurrency or DEFAULT_CONCURRENCY
        self.limits = limits if self.bound is None else limits.intersect(self.bound.limits)

    def wait(self, tokens: float, now: float) -> float:
        """Return the seconds until such a request may go: 0 is now, infinity is "when one ends"."""
        if self.in_flight >= self.concurrency:
            self.reason = "concurrency"
            return math.inf
        longest, reason = 0.0, ""
        if now < self.paused_until:
            longest, reason = self.paused_until - now, "pause"
        if self.requests is not None and (delay := self.requests.wait(1.0, now)) > longest:
            longest, reason = delay, "requests"
        if self.tokens is not None and (delay := self.tokens.wait(tokens, now)) > longest:
            longest, reason = delay, "tokens"
        if longest <= 0 and self.bound is not None:
            longest, reason = self.bound.wait(tokens, now)
        self.reason = reason  # type: ignore[assignment]
        return longest

    @property
    def is_full(self) -> bool:
        """Whether no request may go before one ends; `reason` says so then."""
        if self.in_flight < self.concurrency:
            return False
        self.reason = "concurrency"
        return True

    def admit(self, tokens: float, now: float) -> None:
        """Let one request go; ask `wait` first."""
        self.in_flight += 1
        if self.requests is not None:
            self.requests.take(1.0, now)
        if self.tokens is not None:
            self.tokens.take(tokens, now)
        if self.bound is not None:
            self.bound.take(tokens, now)

    def release(self, *, reserved: float, used: float, was_sent: bool) -> None:
        """Take back a request that has ended.

        Args:
            reserved: Tokens it was admitted with.
            used: Tokens it turned out to use.
            was_sent: Whether it left this machine; if not, it is taken off the request limit again.
        """
        self.in_flight -= 1
        if self.tokens is not None and reserved != used:
            self.tokens.give_back(reserved - used)
        if not was_sent and self.requests is not None:
            self.requests.give_back(1.0)
        if self.bound is not None and (reserved != used or not was_sent):
            self.bound.give_back(0.0 if was_sent else 1.0, reserved - used)

    def pause(self, until: float) -> None:
        """Send nothing before `until`; a longer pause already set stays."""
        self.paused_until = max(self.paused_until, until)


def _changed(
    bucket: Bucket | None, per_minute: float | None, burst: float, now: float
) -> Bucket | None:
    if per_minute is None:
        return None
    if bucket is None:
        return Bucket(per_minute, burst_seconds=burst, now=now)
    bucket.change_rate(per_minute, burst_seconds=burst, now=now)
    return bucket
