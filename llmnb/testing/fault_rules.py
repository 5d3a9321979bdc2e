"""When a fault strikes: rules from a request to a fault, as values.

Being values they can travel to another process; any callable will do as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llmnb.errors import ConfigurationError
from llmnb.testing.draws import uniform
from llmnb.testing.faults import Fault, FaultLike, as_fault
from llmnb.testing.request import SimulatedRequest

Rule = Callable[[SimulatedRequest], FaultLike]
"""Decides what befalls a request; None leaves it to the next rule, or in peace."""

Script = Rule | Sequence[FaultLike] | Sequence[Rule] | None
"""What `SimulatedProvider(faults=...)` takes."""

_SHARE = 3
"""Purpose of the draws that decide whom `share` strikes."""


@dataclass(frozen=True, slots=True)
class ByNumber:
    """One entry per request, in order of arrival; later requests are left in peace."""

    faults: tuple[Fault | None, ...]
    start: int = 0
    """Number of the request that meets the first entry."""

    def __call__(self, request: SimulatedRequest) -> Fault | None:
        """Return the entry of this request's number."""
        position = request.number - self.start
        return self.faults[position] if 0 <= position < len(self.faults) else None


@dataclass(frozen=True, slots=True)
class FirstThatSpeaks:
    """Several rules; the first with a fault decides."""

    rules: tuple[Rule, ...]

    def __call__(self, request: SimulatedRequest) -> Fault | None:
        """Ask the rules in order."""
        for rule in self.rules:
            fault = as_fault(rule(request))
            if fault is not None:
                return fault
        return None


@dataclass(frozen=True, slots=True)
class Always:
    """The same fault for everybody."""

    fault: Fault | None

    def __call__(self, request: SimulatedRequest) -> Fault | None:
        """Return the fault."""
        return self.fault


@dataclass(frozen=True, slots=True)
class Outage:
    """A fault for all that comes within a stretch of time."""

    start: float
    duration: float
    fault: Fault | None

    def __call__(self, request: SimulatedRequest) -> Fault | None:
        """Return the fault while the outage lasts."""
        return self.fault if 0 <= request.time - self.start < self.duration else None


@dataclass(frozen=True, slots=True)
class Share:
    """A fault for a random part of the requests."""

    rate: float
    fault: Fault | None
    purpose: int

    def __call__(self, request: SimulatedRequest) -> Fault | None:
        """Draw by the request's number."""
        hit = uniform(request.seed, request.number, self.purpose) < self.rate
        return self.fault if hit else None


def by_number(faults: Sequence[FaultLike], *, start: int = 0) -> Rule:
    """Strike requests in order of arrival, one entry each; later ones are left in peace.

    Args:
        faults: What befalls each; None lets it be.
        start: Number of the request that meets the first entry.
    """
    return ByNumber(tuple(as_fault(fault) for fault in faults), start)


def always(fault: FaultLike) -> Rule:
    """Strike every request."""
    return Always(as_fault(fault))


def outage(start: float, duration: float, fault: FaultLike = 503) -> Rule:
    """Strike all that comes from `start` for `duration` seconds.

    Time runs from the first request that the provider received.
    """
    return Outage(start, duration, as_fault(fault))


def share(rate: float, fault: FaultLike) -> Rule:
    """Strike a random part of the requests, from 0 to 1, the same ones at every run.

    Rules with different faults draw independently of each other.
    """
    if not 0 <= rate <= 1:
        raise ConfigurationError(f"A share lies between 0 and 1, got {rate!r}")
    resolved = as_fault(fault)
    name = resolved.name if resolved else ""
    return Share(rate, resolved, _SHARE + sum(i * ord(c) for i, c in enumerate(name, 1)))


def as_rule(script: Script, *, start: int = 0) -> Rule | None:
    """Return a script of faults as a single rule; None where there is nothing to do.

    Args:
        script: A rule, a list of rules, or a list with an entry per request.
        start: Number of the request that meets a list's first entry.

    Raises:
        ConfigurationError: If a list mixes rules with entries.

    Example:
        >>> as_rule([503, None]).faults[0].name
        '503'
    """
    if script is None or callable(script):
        return script
    if isinstance(script, str) or not isinstance(script, Sequence):
        raise ConfigurationError(
            f"faults is a list with one entry per request, a rule such as always({script!r}), "
            "or a list of rules."
        )
    if not script:
        return None
    rules = [entry for entry in script if callable(entry)]
    entries = [entry for entry in script if not callable(entry)]
    if not rules:
        return by_number(entries, start=start)
    if not entries:
        return FirstThatSpeaks(tuple(rules))
    raise ConfigurationError(
        "faults mixes rules with entries by number: give either, "
        "or wrap the entries as by_number([...]) among the rules."
    )
