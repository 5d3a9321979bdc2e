"""One limit: kept in this process's memory, or shared by several processes through a Redis."""

from __future__ import annotations

import math
import time

from llmnb.decide.bucket import Bucket
from llmnb.decide.lease import (
    BLOCK_SECONDS,
    PAST_SECONDS,
    REACH_SECONDS,
    Lease,
    amount_to_draw,
    offline_share,
)
from llmnb.rate_limiter.rules import Rule

_MICRO = 1_000_000
_PREFIX = "{llmnb}:limit:"
"""The braces keep all keys on one node of a cluster."""

_FORGET_SECONDS = 6.0
"""A process that has not spoken for so long is not counted any more."""

_UNWANTED_SECONDS = 1.5
"""What is held ahead is handed back when nobody has asked for it that long."""

_SHARE_BURST_SECONDS = 0.2


class _Limit:
    """One limit, and how much of it this process has used; lives on the loop thread.

    Args:
        rule: What it allows.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._began = -math.inf
        """When the present period began: with the first use after the one before it."""

        self._time_of_day = self._in_period = 0.0
        """When that was by the time of day, and how much was used since."""

    def used(self, now: float) -> tuple[float, float]:
        """Return when the period began, by the time of day, and how much was used in it."""
        return (time.time(), 0.0) if self._is_over(now) else (self._time_of_day, self._in_period)

    def _count(self, amount: float, now: float) -> None:
        """Count an amount; a negative one corrects what was counted too much."""
        if self._is_over(now):
            if amount <= 0:
                return  # it corrects a period that is over
            self._began, self._time_of_day, self._in_period = now, time.time(), 0.0
        self._in_period = max(0.0, self._in_period + amount)

    def _is_over(self, now: float) -> bool:
        return not 0 <= now - self._began < self.rule.allowance.seconds


class OwnLimit(_Limit):
    """A limit that only this process knows.

    Args:
        rule: What it allows.
        now: The time of a steady clock.
    """

    def __init__(self, rule: Rule, *, now: float) -> None:
        super().__init__(rule)
        self._bucket = Bucket(rule.per_minute, now=now)

    def change(self, rule: Rule, now: float) -> None:
        """Follow another rule from now on; what was used still counts."""
        if rule != self.rule:
            self.rule = rule
            self._bucket.change_rate(rule.per_minute, now=now)

    def wait(self, amount: float, now: float) -> float:
        """Return the seconds until so much may go."""
        return self._bucket.wait(amount, now)

    def take(self, amount: float, now: float) -> None:
        """Use so much."""
        self._bucket.take(amount, now)
        self._count(amount, now)

    def give_back(self, amount: float, now: float) -> None:
        """Return what was taken too much; negative: what was used beyond it."""
        self._bucket.give_back(amount)
        self._count(-amount, now)


class SharedLimit(_Limit):
    """A limit kept in Redis: what this process holds of it, and its part when alone.

    Args:
        rule: What it allows.
    """

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self._unit = 60.0 / rule.per_minute
        """Seconds of the limit's time that one request or token takes."""

        self.lease = Lease(max(REACH_SECONDS, self._unit))
        self.is_asking = False
        """Whether a draw is under way."""

        self.wanted_at = -math.inf
        """When somebody last asked for permission."""

        self._used = 0.0
        """Used since the last draw."""

        self._drawn_at = -math.inf
        self._cost = 0
        """Microseconds of the limit's time that are being asked for."""

        # ------ what is reported and received
        self._sum = 0.0
        self._reported = 0
        """The sum that Redis is known to have received."""

        self._reporting = 0
        self.alive = 1
        """Processes that use it, as far as is known."""

        self._alive_at = -math.inf
        self._joined: float | None = None
        self._received_at = -math.inf
        self.used_by_all = 0.0, 0.0
        """When the period began, and how much all have used in it, as Redis said last."""

        # ------ while Redis is lost
        self._share: Bucket | None = None
        self._share_ends = math.inf
        """When this process goes back to drawing."""

    @property
    def keys(self) -> list[str]:
        """The names of it in Redis."""
        name = _PREFIX + self.rule.name
        return [name, f"{name}:members", f"{name}:told"]

    def change(self, rule: Rule, now: float) -> None:
        """Follow another rule from now on; what is held stays held."""
        if rule != self.rule:
            self.rule = rule
            self._unit = 60.0 / rule.per_minute
            self.lease.reach = max(REACH_SECONDS, self._unit)

    # ----------------------------------------------------------------- permission

    def wait(self, amount: float, now: float) -> float | None:
        """Return the seconds until so much may go; None: it must be drawn first."""
        self.wanted_at = now
        delay = self.lease.wait(amount * self._unit, now)
        if delay is None and (part := self._own_part(now)) is not None:
            return part.wait(amount, now)
        return delay

    def take(self, amount: float, now: float) -> None:
        """Use so much."""
        cost = amount * self._unit
        part = self._own_part(now)
        if part is not None and self.lease.wait(cost, now) is None:
            part.take(amount, now)
        else:
            self.lease.take(cost, now)
            self._used += amount
        self._count(amount, now)

    def give_back(self, amount: float, now: float) -> None:
        """Return what was taken too much; negative: what was used beyond it."""
        if amount < 0:
            self.lease.take(-amount * self._unit, now)
        else:
            self.lease.give_back(amount * self._unit, now)
        self._count(-amount, now)

    def _count(self, amount: float, now: float) -> None:
        self._sum += amount
        super()._count(amount, now)

    def unwanted(self, now: float) -> float:
        """Hand back what is held ahead and nobody has asked for lately; return how much it is."""
        if now - self.wanted_at < _UNWANTED_SECONDS:
            return 0.0
        return self.lease.drop_ahead(now) / self._unit

    # ------------------------------------------------------------------- exchange

    def to_draw(self, amount: float, now: float, round_trip: float) -> float:
        """Return how much to ask for so that an amount may go.

        Args:
            amount: What is to go.
            now: The time.
            round_trip: Seconds a call takes; a far Redis is asked for more at once.
        """
        available = self.lease.available(now) / self._unit
        missing = amount - available
        if missing <= 1e-9:
            return 0.0
        if now - self._drawn_at > REACH_SECONDS:
            self._used = 0.0
        block = max(BLOCK_SECONDS, 2 * round_trip) / self._unit
        if available > 0:
            missing += min(amount, block)  # what is available may lapse until the answer comes
        return amount_to_draw(missing, self._used, block)

    def arguments(self, asked: float, round_trip: float) -> list[str]:
        """Return what one call says of it.

        Args:
            asked: What is asked for; a negative amount is handed back.
            round_trip: Seconds a call takes.
        """
        self._reporting = math.floor(self._sum + 1e-6)
        self._cost = cost = math.ceil(asked * self._unit * _MICRO - 1e-6)
        # What takes long to come by is given shortly before its time only, so that a killed
        # process takes little with it.
        lead = max(0.0, min(asked * self._unit, self.lease.reach) - REACH_SECONDS)
        period = self.rule.allowance.seconds
        # What is given at the edge of the reach would have lapsed when it comes.
        past = max(self._unit, PAST_SECONDS - 2 * round_trip)
        numbers = (cost, lead * _MICRO, past * _MICRO, period * _MICRO)
        return [f"{number:.0f}" for number in (*numbers, self._reported, self._reporting)]

    def receive(
        self, answer: list[int], *, server: int, is_granted: bool, sent: float, now: float
    ) -> None:
        """Take an answer.

        Args:
            answer: Begin of what is given, processes alive, begin and count of the period.
            server: The server's time in it.
            is_granted: Whether what was asked for is given.
            sent: When the call was sent.
            now: When the answer came.
        """
        begin, alive, period_began, period_count = answer
        self._reported = self._reporting
        self.used_by_all = (period_began or server) / _MICRO, float(period_count)
        if alive >= self.alive or now - self._alive_at > _FORGET_SECONDS:
            self.alive, self._alive_at = max(1, alive), now
        if self._joined is None or now - self._received_at > _FORGET_SECONDS:
            self._joined = now
        self._received_at = now
        start = now + (begin - server) / _MICRO
        if self._share is not None and self._share_ends == math.inf:
            self._share_ends = max(now, start)
        if is_granted and self._cost > 0:
            self.lease.add(start, start + self._cost / _MICRO, lag=now - sent)
            self._drawn_at, self._used, self._share = now, 0.0, None

    # ----------------------------------------------------------------------- loss

    def keep_to_share(self, now: float) -> None:
        """Redis is lost: go on with this process's part of the limit."""
        self._share_ends = math.inf
        if self._share is not None:
            return
        known_for = None if self._joined is None else self._received_at - self._joined
        part = offline_share(
            alive=self.alive, known_for=known_for, silent_for=now - self._received_at
        )
        self._share = Bucket(
            self.rule.per_minute * part, burst_seconds=_SHARE_BURST_SECONDS, now=now
        )
        self._share.level = 0.0  # what was let pass just before the loss is not known

    def _own_part(self, now: float) -> Bucket | None:
        if self._share is not None and now >= self._share_ends:
            self._share = None
        return self._share


Limit = OwnLimit | SharedLimit
