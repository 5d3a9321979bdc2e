"""Latencies that only this project's tests ask for: a full server, a wait for the last token."""

from __future__ import annotations

from dataclasses import dataclass

from llmnb.testing.latency import LatencyModel, Stragglers
from llmnb.testing.request import mix

_REST = 5
"""Stirred into the seed where the rest of an answer is drawn."""


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
    """Return the seconds from the first token to the last, None where a model sets none.

    A model sets them in a method `rest_seconds` with the arguments of `seconds`; who straggles
    does so until the end.
    """
    if isinstance(model, Stragglers):
        rest = rest_of(model.base, number, seed=seed, in_flight=in_flight)
        return None if rest is None else rest * model.slowness(number, seed)
    rest_seconds = getattr(model, "rest_seconds", None)
    return None if rest_seconds is None else rest_seconds(number, seed=seed, in_flight=in_flight)
