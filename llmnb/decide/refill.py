"""How one announced limit fills again: at what rate, up to what, in which shape and until when.

Over the replies of a *bucket*, which fills steadily, what is left plus what flows in until the
reset stays the same. Over those of a *window* the moment of the reset stays the same: nothing
flows in before it, and everything does then. Until one of these two signs has moved clearly
farther than the other the shape is not known.
"""

from __future__ import annotations

import math
from typing import Literal

from llmnb.records import LimitReport

REACH = 0.5
"""Seconds a request may take to be counted: it may be overtaken by those sent so much later."""

LONGEST_MINUTE = 61.0
"""Seconds until a limit per minute is whole again, at most; one for the rounding of headers."""

PROOF = 4.0
"""Units that must show before it is believed, or not, that our requests are what is counted."""

_MOVED = 0.5
_TIMES = 3.0
"""A shape is known once one of its two signs has moved by so many seconds, so many times as far
as the other."""

_UNCLEAR_SECONDS = 3.0
"""After so long it should have shown how a limit fills."""

_REPEATED_SECONDS = 30.0

Shape = Literal["", "bucket", "window"]


class Repeated:
    """Notices when something odd happens for the second time within half a minute."""

    def __init__(self) -> None:
        self._last = -math.inf

    def note(self, moment: float) -> bool:
        """Note that it has happened; return whether that was the second time."""
        is_second = moment - self._last <= _REPEATED_SECONDS
        self._last = moment
        return is_second


class _Range:
    """The least and the largest of some figures."""

    def __init__(self) -> None:
        self.least, self.largest = math.inf, -math.inf

    def widened_by(self, figure: float) -> float:
        """Take in a figure; return how far apart the least and the largest are."""
        self.least, self.largest = min(self.least, figure), max(self.largest, figure)
        return self.largest - self.least


class Refill:
    """What the replies have shown of how a limit fills again.

    Args:
        period: Seconds that its figures are for.
        now: The time.
    """

    def __init__(self, period: float, now: float) -> None:
        self.limit: float | None = None
        self.rate = 0.0
        """Units a second that flow in."""

        self.capacity = math.inf
        self.shape: Shape = ""
        self.ends = math.inf
        """When the limit is whole again, or its window over, if nothing else were sent."""

        self.is_longer = period > LONGEST_MINUTE
        """Whether it is a limit of a day or the like: what is left bounds, nothing else does."""

        self.rounding = 1.0
        """Units by which a figure may be out, reported in whole numbers or in larger steps."""

        self._period = period
        self._began = now
        self._earlier_limit: float | None = None
        """The limit before the present one."""

        self._turns = Repeated()
        self._oddities = Repeated()
        self._forget_signs()
        self._slowest: tuple[float, float] | None = None
        """The least that was seen used, and the rate at which that was to flow back."""

    def _forget_signs(self) -> None:
        self.shape = ""
        self._fulls, self._moments = _Range(), _Range()
        self._last = (0.0, 0.0)
        """What a full bucket would hold, and when all is whole, by the last reply."""

    def is_clear(self, now: float) -> bool:
        """Return whether it is known how the limit fills, or cannot be known yet."""
        return bool(self.shape) or now - self._began <= _UNCLEAR_SECONDS

    def inflow(self, seconds: float) -> float:
        """Return what flows in, as far as that is known to happen steadily."""
        return self.rate * seconds if self.shape == "bucket" else 0.0

    def is_new_window(self, left: float, before: float) -> bool:
        """Return whether more may be left than before because another window has begun."""
        return self.shape != "bucket" and left > before

    def change(self, limit: float, now: float) -> str:
        """Take another limit; return why it cannot be so, "" if it can."""
        is_turn = limit == self._earlier_limit
        self.limit, self._earlier_limit = limit, self.limit
        self.rate = limit / self._period
        self._forget_signs()
        return "its limit changes to and fro" if is_turn and self._turns.note(now) else ""

    def on_reset(self, report: LimitReport, left: float, sent: float, now: float) -> str:
        """Learn from what a reply reports of the reset; return why it cannot be so, "" if it can.

        Args:
            report: The report.
            left: What is left by it.
            sent: When the request went.
            now: The time.
        """
        reset = report.reset
        if reset is None:
            return ""
        doubt = "" if self.limit is None else self._look_at_shape(report, reset, left, sent)
        whole = math.inf if self.limit is None else self.limit
        ends = now + reset + report.out_by
        if self.shape == "window":
            if now < self.ends and abs(ends - self.ends) < self._period / 2:
                ends = min(ends, self.ends)  # the lower one: its reply was quicker
            self.capacity = whole
        else:
            self.capacity = min(whole, left + self.rate * max(0.0, reset - report.out_by))
        self.ends = ends
        return doubt

    def _look_at_shape(self, report: LimitReport, reset: float, left: float, sent: float) -> str:
        out_by = report.out_by
        self._look_for_a_day(reset, out_by, left)
        full, moment = left + self.rate * reset, sent + reset
        last_full, last_moment = self._last
        self._last = full, moment
        fulls_apart = self._fulls.widened_by(full)
        moments_apart = self._moments.widened_by(moment)
        if self.shape:
            if self.shape == "bucket":
                slack = 2 * self.rounding + self.rate * (out_by + 0.1) + 0.05 * self.capacity
                is_odd = abs(full - last_full) > slack
            else:
                is_odd = REACH + out_by + _MOVED < abs(moment - last_moment) < self._period / 2
            if is_odd and self._oddities.note(sent):
                return "its reset is neither that of a bucket nor that of a window"
            return ""
        full_moved = max(0.0, fulls_apart - self.rounding) / self.rate - out_by
        moment_moved = moments_apart - REACH - out_by
        if moment_moved > _MOVED and moment_moved > _TIMES * max(0.0, full_moved):
            self.shape = "bucket"
        elif full_moved > _MOVED and full_moved > _TIMES * max(0.0, moment_moved):
            self.shape = "window"
        elif min(full_moved, moment_moved) > 2 * self._period:
            self._forget_signs()  # neither stays: begin anew
        return ""

    def _look_for_a_day(self, reset: float, out_by: float, left: float) -> None:
        """See whether the figures under the minute's name are those of a day."""
        if reset > LONGEST_MINUTE + out_by and self._period <= LONGEST_MINUTE:
            self.is_longer = True
        assert self.limit is not None
        used = self.limit - left
        if reset < 1.0 or used < 2.0:
            return
        # What it takes to flow back tells the rate where the bucket holds the whole limit.
        # In a window it is another one whenever much more has been used.
        rate = used / reset
        if self._slowest is None or used < self._slowest[0]:
            self._slowest = used, rate
        elif used >= max(PROOF, 2 * self._slowest[0]):
            is_same = abs(rate - self._slowest[1]) < 0.1 * rate
            if is_same and self.limit / rate > LONGEST_MINUTE + out_by:
                self.is_longer = True
            self._slowest = used, rate
