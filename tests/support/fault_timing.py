"""Rules about when a fault strikes that only this project's tests ask for.

They are values, as those of `llmnb.testing.faults` are, so that they can travel to another process.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from llmnb.testing.faults import Fault, FaultLike, Rule, as_fault
from llmnb.testing.request import SimulatedRequest


@dataclass(frozen=True, slots=True)
class FirstOfEachPrompt:
    """A fault for the first so many requests of each prompt."""

    times: int
    fault: Fault | None

    def __call__(self, request: SimulatedRequest) -> Fault | None:
        """Return the fault while the prompt is young."""
        return self.fault if request.attempt < self.times else None


@dataclass(frozen=True, slots=True)
class AtNumbers:
    """A fault for requests of certain numbers."""

    numbers: frozenset[int]
    fault: Fault | None

    def __call__(self, request: SimulatedRequest) -> Fault | None:
        """Return the fault where the number is listed."""
        return self.fault if request.number in self.numbers else None


@dataclass(frozen=True, slots=True)
class ForPrompt:
    """A fault for prompts that hold a text."""

    text: str
    fault: Fault | None

    def __call__(self, request: SimulatedRequest) -> Fault | None:
        """Return the fault where the prompt holds the text."""
        return self.fault if self.text in request.prompt else None


@dataclass(frozen=True, slots=True)
class After:
    """A rule that begins to speak at a request of a certain number."""

    number: int
    rule: Rule

    def __call__(self, request: SimulatedRequest) -> Fault | None:
        """Ask the rule from that number on."""
        return as_fault(self.rule(request)) if request.number >= self.number else None


def first_of_each_prompt(times: int, fault: FaultLike) -> Rule:
    """Strike the first so many requests of each prompt."""
    return FirstOfEachPrompt(times, as_fault(fault))


def at_numbers(numbers: Collection[int], fault: FaultLike) -> Rule:
    """Strike requests by their number, from 0."""
    return AtNumbers(frozenset(numbers), as_fault(fault))


def for_prompt(text: str, fault: FaultLike) -> Rule:
    """Strike every prompt that holds a text."""
    return ForPrompt(text, as_fault(fault))


def after(number: int, rule: Rule) -> Rule:
    """Let a rule begin at the request of that number, such as ``after(3, always(500))``."""
    return After(number, rule)
