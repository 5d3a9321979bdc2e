"""How long the simulated provider takes until the first token.

What follows is the business of `tokens_per_second`; without it the rest comes at once. Draws
depend on the seed and the request's number only: a repeated run meets the same waits, and two
requests for the same thing wait independently of each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Protocol

from llmnb.option_kinds import any_number
from llmnb.options import Option
from llmnb.testing.request import uniform

_STANDARD_NORMAL = NormalDist()
_BODY, _TAIL = 1, 2
"""Purposes of draws: the ordinary wait, and who is a straggler."""


_LATENCY = Option(
    "the seconds to the first token, or a model of them such as Lognormal(0.2)",
    any_number(0),
    is_optional=False,
)


class LatencyModel(Protocol):
    """Anything that says how long one request waits for its first token.

    Example:
        >>> class Slower:  # the more there is to do
        ...     def seconds(self, number, *, seed, in_flight):
        ...         return 0.01 * in_flight
        >>> latency_model(Slower()).seconds(0, seed=0, in_flight=5)
        0.05
    """

    def seconds(self, number: int, *, seed: int, in_flight: int) -> float:
        """Return the wait of a request.

        Args:
            number: The request's number, from 0.
            seed: Seed of the simulation.
            in_flight: Requests being served now, this one included.
        """


@dataclass(frozen=True, slots=True)
class Fixed:
    """The same wait every time.

    Example:
        >>> Fixed(0.05).seconds(7, seed=0, in_flight=1)
        0.05
    """

    wait: float
    """Seconds."""

    def seconds(self, number: int, *, seed: int, in_flight: int) -> float:
        """Return the wait; the arguments do not matter."""
        return self.wait


@dataclass(frozen=True, slots=True)
class Lognormal:
    """Waits spread as those of real services are: many near the median, some far above.

    Example:
        >>> waits = sorted(Lognormal(0.1).seconds(n, seed=0, in_flight=1) for n in range(999))
        >>> round(waits[499], 1)
        0.1
    """

    median: float
    """Seconds that half of the requests stay below."""

    sigma: float = 0.4
    """Spread of the logarithm; 0.4 puts the 95th percentile at about twice the median."""

    def seconds(self, number: int, *, seed: int, in_flight: int) -> float:
        """Draw the wait of a request."""
        draw = _STANDARD_NORMAL.inv_cdf(uniform(seed, number, _BODY))
        return self.median * math.exp(self.sigma * draw)


@dataclass(frozen=True, slots=True)
class Stragglers:
    """A few requests wait many times as long as the rest.

    Example:
        >>> slow = Stragglers(Fixed(0.1), share=0.02, factor=10)
        >>> waits = [slow.seconds(n, seed=0, in_flight=1) for n in range(10_000)]
        >>> 150 < sum(wait == 1.0 for wait in waits) < 250
        True
    """

    base: LatencyModel
    """The wait of everybody."""

    share: float = 0.02
    """Which part of the requests straggles, from 0 to 1."""

    factor: float = 10.0
    """How many times as long a straggler waits."""

    def seconds(self, number: int, *, seed: int, in_flight: int) -> float:
        """Draw the wait of a request."""
        wait = self.base.seconds(number, seed=seed, in_flight=in_flight)
        return wait * self.slowness(number, seed)

    def slowness(self, number: int, seed: int) -> float:
        """Return how many times as long a request takes."""
        return self.factor if uniform(seed, number, _TAIL) < self.share else 1.0


def latency_model(latency: float | LatencyModel) -> LatencyModel:
    """Return a model for seconds, or the model itself.

    Raises:
        ConfigurationError: If it is neither.

    Example:
        >>> latency_model(0.05)
        Fixed(wait=0.05)
    """
    if hasattr(latency, "seconds"):
        return latency
    return Fixed(float(_LATENCY.checked("latency", latency)))
