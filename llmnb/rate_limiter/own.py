"""One limit that only this process knows."""

from __future__ import annotations

import time

from llmnb.decide.bucket import Bucket, Period
from llmnb.rate_limiter.rules import Rule


class OwnLimit:
    """A limit kept in this process's memory; lives on the loop thread.

    Args:
        rule: What it allows.
        now: The time of a steady clock.
    """

    def __init__(self, rule: Rule, *, now: float) -> None:
        self.rule = rule
        self._bucket = Bucket(rule.per_minute, now=now)
        self._period = Period(rule.allowance.seconds)

    def change(self, rule: Rule, now: float) -> None:
        """Follow another rule from now on; what was used still counts."""
        if rule != self.rule:
            self.rule = rule
            self._bucket.change_rate(rule.per_minute, now=now)
            self._period.seconds = rule.allowance.seconds

    def wait(self, amount: float, now: float) -> float | None:
        """Return the seconds until so much may go."""
        return self._bucket.wait(amount, now)

    def take(self, amount: float, now: float) -> None:
        """Use so much."""
        self._bucket.take(amount, now)
        self._period.add(amount, now=now, time_of_day=time.time())

    def give_back(self, amount: float, now: float) -> None:
        """Return what was taken too much; negative: what was used beyond it."""
        self._bucket.give_back(amount)
        self._period.add(-amount, now=now, time_of_day=time.time())

    def used(self, now: float) -> tuple[float, float]:
        """Return when the period began, by the time of day, and how much was used in it."""
        return self._period.read(now=now, time_of_day=time.time())
