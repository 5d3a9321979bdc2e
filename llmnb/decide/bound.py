"""Admission to a target that further limits bind, such as those given to `GLOBAL_LIMITER`."""

from __future__ import annotations

import dataclasses
from typing import Protocol

from llmnb.decide.admission import Admission, Reason
from llmnb.records import Limits


class Bound(Protocol):
    """Limits beside the target's own; they may be shared with other targets and processes."""

    @property
    def limits(self) -> Limits:
        """The rates, for those who show them."""

    def wait(self, tokens: float, now: float) -> tuple[float, Reason]:
        """Return the seconds until a request may go, and what holds it.

        Infinity is "it will be told": whoever made the limits is called when they have changed.
        """

    def take(self, tokens: float, now: float) -> None:
        """Let one request go."""

    def give_back(self, requests: float, tokens: float) -> None:
        """Return what was taken too much."""


class BoundAdmission(Admission):
    """An admission that asks the further limits, too: all of them together or none.

    Args:
        limits: What is known of the target's own limits.
        bound: The further ones.
        now: The time, in seconds of a steady clock.
    """

    __slots__ = ("bound",)

    def __init__(self, limits: Limits, bound: Bound, *, now: float) -> None:
        self.bound = bound
        super().__init__(limits, now=now)

    def change(self, limits: Limits, *, now: float) -> None:
        """Take other limits of its own from now on."""
        super().change(limits, now=now)
        further = self.bound.limits
        self.limits = dataclasses.replace(
            limits,
            requests_per_minute=_least(limits.requests_per_minute, further.requests_per_minute),
            tokens_per_minute=_least(limits.tokens_per_minute, further.tokens_per_minute),
        )

    def wait(self, tokens: float, now: float) -> float:
        """Return the seconds until such a request may go; infinity is "when something changes"."""
        longest = super().wait(tokens, now)
        if longest > 0:
            return longest  # nothing is drawn for a request that could not go
        delay, reason = self.bound.wait(tokens, now)
        if delay > 0:
            self.reason = reason
        return delay

    def admit(self, tokens: float, now: float) -> None:
        """Let one request go; ask `wait` first."""
        super().admit(tokens, now)
        self.bound.take(tokens, now)

    def release(self, *, reserved: float, used: float, was_sent: bool) -> None:
        """Take back a request that has ended."""
        super().release(reserved=reserved, used=used, was_sent=was_sent)
        if reserved != used or not was_sent:
            self.bound.give_back(0.0 if was_sent else 1.0, reserved - used)


def rebound(admission: Admission, bound: Bound | None, *, now: float) -> Admission:
    """Return an admission like this one under other further limits.

    Args:
        admission: The one in use; what it has let pass still counts.
        bound: The further limits; None: there are none any more.
        now: The time, in seconds of a steady clock.
    """
    if bound is None and type(admission) is Admission:
        return admission
    nothing = Limits()
    fresh = (
        Admission(nothing, now=now) if bound is None else BoundAdmission(nothing, bound, now=now)
    )
    for name in Admission.__slots__:
        setattr(fresh, name, getattr(admission, name))
    return fresh


def _least(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
