"""The limits that the simulated provider enforces, as a provider enforces them.

Two buckets, one of requests and one of tokens, refill steadily and hold
`burst_seconds` worth. A request passes when both hold what it needs; what is
larger than a whole bucket passes when that bucket is full and leaves a debt.
Written apart from the client's own limiter on purpose: the judge shares no
code with whom it judges.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

from llmnb.errors import ConfigurationError

RetryHint = Literal["seconds", "milliseconds", "both"]
"""Whether a refusal carries ``retry-after``, ``retry-after-ms`` or both."""

Charge = Literal["estimate", "sum", "actual"]
"""Whether tokens are charged before the answer, as the larger of prompt and `max_tokens` (OpenAI)
or as their sum (Azure), or as they turn out (Anthropic)."""

Family = Literal[
    "openai", "azure", "groq", "mistral", "together", "xai", "gateway", "ietf", "limit"
]
"""Whose names the headers have that tell how the limits stand; ``"limit"`` tells the limits in
OpenAI's, and not what is left of them."""

_EPSILON = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """Which limits stand, and how a refusal tells of them."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None

    burst_seconds: float = 10.0
    """How many seconds' worth may pass at once."""

    concurrency: int | None = None
    """Requests served at once; one more is refused."""

    charge: Charge = "estimate"
    """How tokens are counted before an answer is known."""

    limit_headers: bool | Family = True
    """Whether replies carry the headers that tell how the limits stand, and in whose names; True:
    in those of the protocol that is spoken."""

    others_per_minute: float = 0.0
    """Requests of another client, evenly spaced, that are counted against the limit of requests."""

    retry_hint: RetryHint | None = "both"
    """How refusals say when to come back; None says it nowhere, in no header and no text."""

    count_refused: bool = False
    """Whether a refused request is counted against the limit of requests, too."""

    def __post_init__(self) -> None:
        if self.limit_headers not in (True, False, *get_args(Family)):
            known = ", ".join(get_args(Family))
            raise ConfigurationError(
                f"limit_headers is True, False or one of {known}, got {self.limit_headers!r}"
            )
        for name in ("requests_per_minute", "tokens_per_minute", "burst_seconds", "concurrency"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ConfigurationError(f"{name} is a number above 0, got {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a request may not pass."""

    kind: Literal["requests", "tokens", "concurrency"]
    """The limit that refuses."""

    limit: float
    """That limit, per minute (or at once)."""

    used: float
    """How much of it is used now."""

    requested: float
    """What the request needs of it."""

    wait: float
    """Seconds until it would pass, if nothing else came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How one limit stands."""

    kind: Literal["requests", "tokens"]
    per_minute: float

    left: int
    """What may still pass now."""

    reset: float
    """Seconds until it is whole again."""


@dataclass(slots=True)
class _Bucket:
    per_minute: float
    capacity: float
    level: float = field(init=False)
    updated: float | None = None

    def __post_init__(self) -> None:
        self.level = self.capacity

    def refill(self, now: float) -> None:
        if self.updated is not None and now > self.updated:
            gained = (now - self.updated) * self.per_minute / 60.0
            self.level = min(self.capacity, self.level + gained)
        self.updated = now

    def wait(self, amount: float) -> float:
        missing = min(amount, self.capacity) - self.level
        return 0.0 if missing <= _EPSILON else missing * 60.0 / self.per_minute

    def used(self) -> float:
        return self.capacity - self.level

    def reset(self) -> float:
        return self.used() * 60.0 / self.per_minute


class EnforcedLimits:
    """The state of a provider's limits.

    Args:
        settings: Which limits stand.

    Example:
        >>> limits = EnforcedLimits(LimitSettings(requests_per_minute=60, burst_seconds=1))
        >>> limits.admit(tokens=1, now=0.0, in_flight=1) is None
        True
        >>> limits.admit(tokens=1, now=0.25, in_flight=1).wait
        0.75
    """

    def __init__(self, settings: LimitSettings) -> None:
        self.settings = settings
        burst = settings.burst_seconds
        self._requests = _bucket(settings.requests_per_minute, burst)
        self._others_since: float | None = None
        self._others_counted = 0
        self._tokens = _bucket(settings.tokens_per_minute, burst)

    @property
    def is_open(self) -> bool:
        """Whether nothing is limited, so that there is nothing to ask."""
        return self._requests is None and self._tokens is None and not self.settings.concurrency

    def admit(self, *, tokens: float, now: float, in_flight: int) -> Refusal | None:
        """Take what a request needs from every limit, or nothing and say why.

        Args:
            tokens: What the request is charged before its answer is known.
            now: The time.
            in_flight: Requests being served, this one included.
        """
        need = 1.0 if self.settings.charge == "actual" else tokens
        refusal = self._refusal(need, now, in_flight)
        if refusal is None or self.settings.count_refused:
            if self._requests:
                self._requests.level -= 1.0
            if self._tokens and refusal is None and self.settings.charge != "actual":
                self._tokens.level -= tokens
        return refusal

    def settle(self, tokens: float, *, now: float) -> None:
        """Charge what an answer really used, where the provider counts that way."""
        if self._tokens and self.settings.charge == "actual":
            self._tokens.refill(now)
            self._tokens.level -= tokens

    def _refusal(self, tokens: float, now: float, in_flight: int) -> Refusal | None:
        cap = self.settings.concurrency
        if cap is not None and in_flight > cap:
            return Refusal(kind="concurrency", limit=cap, used=in_flight - 1, requested=1, wait=0.0)
        self._take_in_others(now)
        for bucket, amount in ((self._requests, 1.0), (self._tokens, tokens)):
            if bucket is None:
                continue
            bucket.refill(now)
            wait = bucket.wait(amount)
            if wait > 0.0:
                return Refusal(
                    kind="requests" if bucket is self._requests else "tokens",
                    limit=bucket.per_minute,
                    used=bucket.used(),
                    requested=amount,
                    wait=wait,
                )
        return None

    def _take_in_others(self, now: float) -> None:
        """Let the other client's requests pass that have come meanwhile, as far as they may."""
        if not self.settings.others_per_minute or self._requests is None:
            return
        if self._others_since is None:
            self._others_since = now
        due = int((now - self._others_since) * self.settings.others_per_minute / 60.0)
        for number in range(self._others_counted, due):
            self._requests.refill(
                self._others_since + (number + 1) * 60.0 / self.settings.others_per_minute
            )
            if self._requests.level >= 1.0:
                self._requests.level -= 1.0
        self._others_counted = due

    def standings(self, now: float) -> list[Standing]:
        """Return how the limits stand that replies are to tell of."""
        standings: list[Standing] = []
        if not self.settings.limit_headers:
            return standings
        for bucket in (self._requests, self._tokens):
            if bucket is not None:
                bucket.refill(now)
                standings.append(
                    Standing(
                        kind="requests" if bucket is self._requests else "tokens",
                        per_minute=bucket.per_minute,
                        left=max(0, math.floor(bucket.level)),
                        reset=bucket.reset(),
                    )
                )
        return standings

    def retry_headers(self, wait: float) -> dict[str, str]:
        """Return the headers that tell when to come back, never too early."""
        hint = self.settings.retry_hint
        headers: dict[str, str] = {}
        if hint in ("seconds", "both"):
            headers["retry-after"] = str(math.ceil(wait))
        if hint in ("milliseconds", "both"):
            headers["retry-after-ms"] = str(math.ceil(wait * 1000))
        return headers


def _bucket(per_minute: float | None, burst_seconds: float) -> _Bucket | None:
    if per_minute is None:
        return None
    # A bucket that cannot hold one request would never let one pass.
    return _Bucket(per_minute, max(1.0, per_minute / 60.0 * burst_seconds))
