"""Whether answers take longer because of us.

A server that never refuses slows down instead: with more requests than it can
work on, each waits in proportion. So latency is compared with what is usual
when it is quick. Half as long again is *slow*: the limit no longer grows. More
than twice as long is *crowded*, and the limit falls to half for a *trial*. If
latency falls with it, the crowding was ours, and how much it fell tells where
the server would just be full. If it does not, the answers have become longer
(other prompts, another hour), and that is what is usual from now on.

Logarithms are averaged, so that one straggler among many says little, and the
more answers differ among themselves the more of them are asked for.

Source:
    Latency as a signal: L. Brakmo and L. Peterson, *TCP Vegas*, 1995; the
    proportion is Little's law.
"""

from __future__ import annotations

import math

SLOW = math.log(1.5)
CROWDED = math.log(2.0)
EASY = math.log(1.3)
"""How much longer answers may take at the level that is gone to when it was crowded."""

TRIAL = 0.5
"""Part of the level that a trial leaves."""

RELIEF = math.log(0.8)
"""Change of latency in a trial that shows it was ours."""

SURE = 3.0
"""Standard deviations that chance does not reach."""

FULL_RELIEF = math.log(0.55)
"""The same, where the level that was left must still be crowded."""

LEAST_SAMPLES = 48
MOST_SAMPLES = 400
DOUBT = 0.06
"""How well the mean must be known to end a trial."""

FOLLOWING = 0.1
"""How much of a small change the usual follows at once."""

LONG_SLOW = 8
"""Slow judgements in a row after which a trial finds out whether it is our doing."""

SELDOM = 128
"""Further slow judgements before the next such trial, where it was."""


class Crowding:
    """Compares what answers take with what they usually take.

    Example:
        >>> crowding = Crowding()
        >>> for level, seconds in ((16, 1.0), (48, 3.0)):
        ...     for _ in range(48):
        ...         crowding.add(seconds)
        ...     print(crowding.judge(level))
        16
        24
        >>> for _ in range(48):  # half as many, half as long: it was ours
        ...     crowding.add(1.5)
        >>> crowding.judge(24)
        24
    """

    __slots__ = (
        "_count",
        "_early",
        "_is_suspect",
        "_slow",
        "_squares",
        "_sum",
        "_tried",
        "is_fresh",
        "is_ours",
        "is_slow",
        "usual",
    )

    def __init__(self) -> None:
        self.is_slow = False
        """Whether the last judgement found answers slower than usual."""

        self.is_fresh = False
        """Whether there was a judgement at the present level."""

        self.usual: float | None = None
        """Logarithm of the seconds that an answer takes when the server is not crowded."""

        self.is_ours = False
        """Whether the last trial found that the crowding was ours."""

        self._is_suspect = False
        """Whether the usual is being looked for, further and further down."""

        self._sum = 0.0
        self._squares = 0.0
        self._count = 0
        self._slow = 0
        self._early: tuple[float, int] = 0.0, 0
        self._tried: tuple[int, float] | None = None

    def add(self, seconds: float) -> None:
        """Note how long an answer took."""
        logarithm = math.log(max(seconds, 1e-6))
        self._sum += logarithm
        self._squares += logarithm * logarithm
        self._count += 1

    def forget_samples(self) -> None:
        """Begin anew: the limit has changed."""
        self._sum, self._squares, self._count, self.is_fresh = 0.0, 0.0, 0, False

    def end_trial(self) -> None:
        """Break off a trial: a refusal has said more than latency can."""
        self._tried, self._is_suspect = None, False

    def judge_early(self, level: int) -> int:
        """Return the level to go to while the limit doubles; the same where nothing is slow.

        Each level is judged by its first round alone. Of that the quickest answers have come
        first, so these rounds are only compared with each other.
        """
        total, count = self._early
        excess = self._sum / self._count - total / count if count else 0.0
        doubt = SURE * math.sqrt(self._variance() * (1 / self._count + 1 / max(1, count)))
        if count + self._count >= LEAST_SAMPLES and excess > max(SLOW, doubt):
            self._is_suspect = True
            return _eased(level, excess)
        self._early = total + self._sum, count + self._count
        return level

    def judge(self, level: int) -> int:
        """Return the level to go to; the same where nothing is crowded, or nothing can be told."""
        enough = LEAST_SAMPLES
        if self._tried is not None and self._count >= enough:
            enough = min(MOST_SAMPLES, math.ceil(self._variance() / DOUBT**2))
        if self._count < enough:
            return level
        mean = self._sum / self._count
        self.forget_samples()
        self.is_fresh = True
        if self._tried is not None:
            return self._after_trial(*self._tried, mean, level)
        if self.usual is None:
            self.usual = mean
        excess = mean - self.usual
        self.is_slow = excess > SLOW
        self._slow = self._slow + 1 if self.is_slow else min(self._slow, 0)
        if excess < SLOW / 2:
            self.usual += excess * FOLLOWING
        if level > 1 and (self._is_suspect or excess > CROWDED or self._slow > LONG_SLOW):
            self._tried = level, mean
            return int(level * TRIAL)
        return level

    def _after_trial(self, tried: int, before: float, mean: float, level: int) -> int:
        self._tried = None
        self.is_ours = mean - before < RELIEF
        self.is_slow = False
        if not self.is_ours:
            self.usual, self._slow, self._is_suspect = mean, 0, False
            return tried
        self.usual = mean if self.usual is None else min(self.usual, mean)
        self._slow = LONG_SLOW - SELDOM
        if self._is_suspect and mean - before < FULL_RELIEF and level > 1:
            self._tried = level, mean  # as crowded as before; on with it
            return int(level * TRIAL)
        self._is_suspect = False
        excess = before - self.usual
        self.is_slow = EASY < excess <= CROWDED
        return tried if excess <= CROWDED else max(level, _eased(tried, excess))

    def _variance(self) -> float:
        mean = self._sum / self._count
        return max(0.0, self._squares / self._count - mean * mean)


def _eased(level: int, excess: float) -> int:
    """Return the level where answers would take a little longer than usual."""
    return max(1, int(level * math.exp(EASY - excess)))
