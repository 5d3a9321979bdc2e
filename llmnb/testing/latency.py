"""How long the simulated provider takes: until the first token, then token by token.

A latency is the wait until the first token. What follows is the business of
`tokens_per_second`, or of a model that has a wait for the rest, too
(`FirstThenRest`); without either the rest comes at once. Draws depend on the
seed and the request's number only: a repeated run meets the same waits, and
two requests for the same thing wait independently of each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Protocol

from llmnb.errors import ConfigurationError
from llmnb.testing.draws import mix, uniform

_STANDARD_NORMAL = NormalDist()
_BODY, _TAIL = 1, 2
"""Purposes of draws: the ordinary wait, and who is a straggler."""

_REST = 5
"""Stirred into the seed where the rest of an answer is drawn."""


class RestSeconds(Protocol):
    """Says how long the rest of an answer takes."""

    def __call__(self, number: int, *, seed: int, in_flight: int) -> float | None:
        """Return the seconds from the first token to the last, None where it does not say."""


class LatencyModel(Protocol):
    """Anything that says how long one request waits for its first token."""

    def seconds(self, number: int, *, seed: int, in_flight: int) -> float:
        """Return the wait of a request.

        Args:
            number: The request's number, from 0.
            seed: Seed of the simulation.
            in_flight: Requests being served now, this one included.
        """


@dataclass(frozen=True, slots=True)
class Fixed:
    """The same wait every time."""

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
        return wait * self._slowness(number, seed)

    def rest_seconds(self, number: int, *, seed: int, in_flight: int) -> float | None:
        """Return the time of the rest: who straggles does so until the end."""
        rest = rest_of(self.base, number, seed=seed, in_flight=in_flight)
        return None if rest is None else rest * self._slowness(number, seed)

    def _slowness(self, number: int, seed: int) -> float:
        return self.factor if uniform(seed, number, _TAIL) < self.share else 1.0


@dataclass(frozen=True, slots=True)
class Saturating:
    """A server of so many places: beyond them everybody waits in proportion.

    Example:
        >>> Saturating(Fixed(0.1), places=8).seconds(0, seed=0, in_flight=16)
        0.2
    """

    base: LatencyModel
    """The wait on a server that is not full."""

    places: int
    """Requests that are served at full speed at once."""

    def seconds(self, number: int, *, seed: int, in_flight: int) -> float:
        """Return the wait, longer the fuller the server is."""
        wait = self.base.seconds(number, seed=seed, in_flight=in_flight)
        return wait * max(1.0, in_flight / self.places)

    def rest_seconds(self, number: int, *, seed: int, in_flight: int) -> float | None:
        """Return the time of the rest, longer the fuller the server is."""
        rest = rest_of(self.base, number, seed=seed, in_flight=in_flight)
        return None if rest is None else rest * max(1.0, in_flight / self.places)


@dataclass(frozen=True, slots=True)
class FirstThenRest:
    """One wait until the first token, and another until the last, drawn apart.

    Example:
        >>> late_end = FirstThenRest(Fixed(0.1), rest=Stragglers(Fixed(1.0), share=0.5))
        >>> rests = {late_end.rest_seconds(n, seed=0, in_flight=1) for n in range(99)}
        >>> late_end.seconds(0, seed=0, in_flight=1), sorted(rests)
        (0.1, [1.0, 10.0])
    """

    first: LatencyModel
    """The wait until the first token."""

    rest: LatencyModel
    """The time from there to the last token, however many there are."""

    def seconds(self, number: int, *, seed: int, in_flight: int) -> float:
        """Draw the wait of a request until its first token."""
        return self.first.seconds(number, seed=seed, in_flight=in_flight)

    def rest_seconds(self, number: int, *, seed: int, in_flight: int) -> float | None:
        """Draw the time of the rest, independently of the first token's."""
        return self.rest.seconds(number, seed=mix(seed ^ _REST), in_flight=in_flight)


def rest_of(model: LatencyModel, number: int, *, seed: int, in_flight: int) -> float | None:
    """Return the seconds from the first token to the last, None where a model does not say.

    A model says so in a method `rest_seconds` with the arguments of `seconds`.
    """
    rest_seconds: RestSeconds | None = getattr(model, "rest_seconds", None)
    if rest_seconds is None:
        return None
    return rest_seconds(number, seed=seed, in_flight=in_flight)


def latency_model(latency: float | LatencyModel) -> LatencyModel:
    """Return a model for seconds, or the model itself.

    Raises:
        ConfigurationError: If it is neither.

    Example:
        >>> latency_model(0.05)
        Fixed(wait=0.05)
    """
    if isinstance(latency, int | float):
        if not 0 <= latency < math.inf:
            raise ConfigurationError(f"latency is a number of seconds from 0, got {latency!r}")
        return Fixed(float(latency))
    if hasattr(latency, "seconds"):
        return latency
    raise ConfigurationError(
        f"latency is a number of seconds or a latency model such as Lognormal(0.2), got {latency!r}"
    )
