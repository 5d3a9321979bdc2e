"""The limits that the simulated provider enforces, as a provider enforces them.

Two buckets, one of requests and one of tokens, refill steadily and hold
`burst_seconds` worth. A request passes when both hold what it needs; what is
larger than a whole bucket passes when that bucket is full and leaves a debt.
Written apart from the client's own limiter on purpose: the judge shares no
code with the client that it judges.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from llmnb.option_kinds import YES_OR_NO, Kind, any_number, choice, whole_number
from llmnb.options import Option
from llmnb.testing.request import SimulatedRequest

RetryHint = Literal["seconds", "milliseconds", "both"]
"""Whether a refusal carries ``retry-after``, ``retry-after-ms`` or both."""

Charge = Literal["estimate", "actual"]
"""Whether tokens are charged before the answer, as the larger of prompt and `max_tokens` (OpenAI),
or as they turn out (Anthropic)."""

_EPSILON = 1e-9


def setting(kind: Kind, *, is_optional: bool = False) -> Option:
    """Return what checks a setting of the simulated provider."""
    return Option("", kind, is_optional=is_optional)


ABOVE_0 = any_number(0, above=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """Which limits are enforced, and how replies announce them."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None

    burst_seconds: float = 10.0
    """How many seconds' worth may pass at once."""

    concurrency: int | None = None
    """Requests served at once; one more is refused."""

    charge: Charge = "estimate"
    """How tokens are counted before an answer is known."""

    limit_headers: bool = True
    """Whether replies carry the headers that tell how the limits stand."""

    retry_hint: RetryHint | None = "both"
    """How refusals say when to come back; None says it nowhere, in no header and no text."""

    checks: ClassVar[Mapping[str, Option]] = {
        "requests_per_minute": setting(ABOVE_0, is_optional=True),
        "tokens_per_minute": setting(ABOVE_0, is_optional=True),
        "burst_seconds": setting(ABOVE_0),
        "concurrency": setting(whole_number(1), is_optional=True),
        "charge": setting(choice(*get_args(Charge))),
        "limit_headers": setting(YES_OR_NO),
        "retry_hint": setting(choice(*get_args(RetryHint)), is_optional=True),
    }
    """What each value must be."""

    def __post_init__(self) -> None:
        for name, check in self.checks.items():
            object.__setattr__(self, name, check.checked(name, getattr(self, name)))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request may not pass."""

    kind: str
    """The limit that refuses: ``"requests"``, ``"tokens"`` or ``"concurrency"``."""

    limit: float
    """That limit, per minute (or at once)."""

    used: float
    """How much of it is used now."""

    requested: float
    """What the request needs of it."""

    wait: float = 0.0
    """Seconds until it would pass, if nothing else came."""


@dataclass(slots=True)
class LimitBucket:
    """One limit's bucket: full at first, in debt where more was taken than it held."""

    kind: str
    """What it counts: ``"requests"`` or ``"tokens"``."""

    per_minute: float
    burst_seconds: float
    capacity: float = field(init=False)
    level: float = field(init=False)
    updated: float | None = None

    def __post_init__(self) -> None:
        # A bucket that cannot hold one request would never let one pass.
        self.capacity = self.level = max(1.0, self.per_minute / 60.0 * self.burst_seconds)

    def refill(self, now: float) -> None:
        """Add what has flown in since the last time."""
        if self.updated is not None and now > self.updated:
            gained = (now - self.updated) * self.per_minute / 60.0
            self.level = min(self.capacity, self.level + gained)
        self.updated = now

    def wait(self, amount: float) -> float:
        """Return the seconds until it holds so much, or is full."""
        missing = min(amount, self.capacity) - self.level
        return 0.0 if missing <= _EPSILON else missing * 60.0 / self.per_minute

    @property
    def left(self) -> int:
        """What may still pass now."""
        return max(0, math.floor(self.level))

    @property
    def reset(self) -> float:
        """Seconds until it is full again."""
        return (self.capacity - self.level) * 60.0 / self.per_minute


class EnforcedLimits:
    """The state of a provider's limits.

    Args:
        settings: Which limits are enforced.

    Example:
        >>> limits = EnforcedLimits(LimitSettings(requests_per_minute=60, burst_seconds=1))
        >>> limits.admit(tokens=1, now=0.0, in_flight=1) is None
        True
        >>> limits.admit(tokens=1, now=0.25, in_flight=1).wait
        0.75
    """

    def __init__(self, settings: LimitSettings) -> None:
        self.settings = settings
        limits = {"requests": settings.requests_per_minute, "tokens": settings.tokens_per_minute}
        self.buckets = {
            kind: LimitBucket(kind, limit, settings.burst_seconds)
            for kind, limit in limits.items()
            if limit
        }
        """By what they count; a limit that does not stand has none."""
        self.is_open = not self.buckets and not settings.concurrency
        """Whether nothing is limited, so that there is nothing to ask."""

    def charged(self, request: SimulatedRequest) -> int:
        """Return the tokens that are counted for a request before it is answered."""
        return request.charged_tokens

    def admit(self, *, tokens: float, now: float, in_flight: int) -> Refusal | None:
        """Take what a request needs from every limit, or nothing and say why.

        Args:
            tokens: What the request is charged before its answer is known.
            now: The time.
            in_flight: Requests being served, this one included.
        """
        settings = self.settings
        if settings.concurrency is not None and in_flight > settings.concurrency:
            return Refusal("concurrency", settings.concurrency, used=in_flight - 1, requested=1)
        is_charged_later = settings.charge == "actual"
        needs = {"requests": 1.0, "tokens": 1.0 if is_charged_later else tokens}
        for name, bucket in self.buckets.items():
            bucket.refill(now)
            if (wait := bucket.wait(needs[name])) > 0.0:
                used = bucket.capacity - bucket.level
                return Refusal(name, bucket.per_minute, used, needs[name], wait)
        for name, bucket in self.buckets.items():
            if name == "requests" or not is_charged_later:
                bucket.level -= needs[name]
        return None

    def settle(self, tokens: float, *, now: float) -> None:
        """Charge what an answer really used, where the provider counts that way."""
        if self.settings.charge == "actual" and (bucket := self.buckets.get("tokens")):
            bucket.refill(now)
            bucket.level -= tokens

    def standings(self, now: float) -> list[LimitBucket]:
        """Return the limits that replies announce, as they stand now."""
        if not self.settings.limit_headers:
            return []
        for bucket in self.buckets.values():
            bucket.refill(now)
        return list(self.buckets.values())
