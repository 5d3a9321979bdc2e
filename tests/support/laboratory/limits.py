"""Limits that only this project's tests ask for: eight families of headers, another client.

Source:
    "Rate limits in headers", OpenAI API guide on rate limits, and the like pages of the others.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from llmnb.option_kinds import choice
from llmnb.options import Option
from llmnb.testing.limits import (
    EnforcedLimits,
    LimitBucket,
    LimitSettings,
    Refusal,
    setting,
)
from llmnb.testing.provider_profiles import duration_text
from llmnb.testing.request import SimulatedRequest

Family = Literal[
    "openai", "azure", "groq", "mistral", "together", "xai", "gateway", "ietf", "limit"
]
"""Whose names the headers have that tell how the limits stand; ``"limit"`` tells the limits in
OpenAI's, and not what is left of them."""


@dataclass(frozen=True, kw_only=True)
class LaboratoryLimitSettings(LimitSettings):
    """Which limits stand, and how a refusal tells of them."""

    limit_headers: bool | Family = True
    """Whether replies carry the headers that tell how the limits stand, and in whose names; True:
    in those of the protocol that is spoken."""

    others_per_minute: float = 0.0
    """Requests of another client, evenly spaced, that are counted against the limit of requests."""

    count_refused: bool = False
    """Whether a refused request is counted against the limit of requests, too."""

    charge: Literal["estimate", "sum", "actual"] = "estimate"
    """Counts tokens also as Azure does: prompt and answer together."""

    checks: ClassVar[Mapping[str, Option]] = {
        **LimitSettings.checks,
        "limit_headers": setting(choice(True, False, *get_args(Family))),
        "charge": setting(choice("estimate", "sum", "actual")),
    }


class LaboratoryLimits(EnforcedLimits):
    """A provider's limits, which another client uses too and refusals may take from."""

    settings: LaboratoryLimitSettings

    def __init__(self, settings: LaboratoryLimitSettings) -> None:
        super().__init__(settings)
        self._others_since: float | None = None
        self._others_counted = 0

    def charged(self, request: SimulatedRequest) -> int:
        """Return the tokens that are counted for a request before it is answered."""
        if self.settings.charge == "sum":
            return request.prompt_tokens + (request.max_tokens or 0) * request.samples
        return super().charged(request)

    def admit(self, *, tokens: float, now: float, in_flight: int) -> Refusal | None:
        """Take what a request needs from every limit, or nothing and say why."""
        self._take_in_others(now)
        refusal = super().admit(tokens=tokens, now=now, in_flight=in_flight)
        if refusal is not None and self.settings.count_refused and "requests" in self.buckets:
            self.buckets["requests"].level -= 1.0
        return refusal

    def _take_in_others(self, now: float) -> None:
        """Let the other client's requests pass that have come meanwhile, as far as they may."""
        bucket, pace = self.buckets.get("requests"), self.settings.others_per_minute
        if not pace or bucket is None:
            return
        if self._others_since is None:
            self._others_since = now
        due = int((now - self._others_since) * pace / 60.0)
        for number in range(self._others_counted, due):
            bucket.refill(self._others_since + (number + 1) * 60.0 / pace)
            if bucket.level >= 1.0:
                bucket.level -= 1.0
        self._others_counted = due


_TABLE = """
limit      both     x-ratelimit-limit-{kind}={limit}
xai        both     x-ratelimit-limit-{kind}={limit} x-ratelimit-remaining-{kind}={left}
openai     both     x-ratelimit-limit-{kind}={limit} x-ratelimit-remaining-{kind}={left}
openai     both     x-ratelimit-reset-{kind}={duration}
azure      both     x-ratelimit-limit-{kind}={tenth} x-ratelimit-remaining-{kind}={left}
azure      both     x-ratelimit-renewalperiod-{kind}=10
mistral    requests x-ratelimit-limit-req-10-second={tenth}
mistral    requests x-ratelimit-remaining-req-10-second={left}
mistral    tokens   x-ratelimit-limit-tokens-10-second={tenth}
mistral    tokens   x-ratelimit-remaining-tokens-10-second={left}
together   requests x-ratelimit-limit={second} x-ratelimit-remaining={left}
together   tokens   x-tokenlimit-limit={second} x-tokenlimit-remaining={left}
groq       requests x-ratelimit-limit-requests={day} x-ratelimit-reset-requests=6s
groq       requests x-ratelimit-remaining-requests={day_left}
groq       tokens   x-ratelimit-limit-tokens={limit} x-ratelimit-remaining-tokens={left}
groq       tokens   x-ratelimit-reset-tokens={reset}s
gateway    requests x-ratelimit-limit={limit} x-ratelimit-remaining={left} x-ratelimit-reset={whole}
ietf       requests ratelimit-policy="default";q={limit};w=60
ietf       requests ratelimit="default";r={left};t={whole}
"""
"""Family, the limit that its headers tell of, and the headers with their values.

Azure and Mistral give figures of ten seconds, Together of a second, Groq of a day.
"""


def family_headers(family: str, standings: Sequence[LimitBucket]) -> dict[str, str]:
    """Return the headers of one family.

    Args:
        family: As `Family` names it.
        standings: How the limits stand.

    Example:
        >>> limit = LimitBucket(kind="requests", per_minute=60, burst_seconds=9)
        >>> family_headers("xai", [limit])
        {'x-ratelimit-limit-requests': '60', 'x-ratelimit-remaining-requests': '9'}
    """
    return {
        name: write(standing)
        for standing in standings
        for name, write in _FAMILIES.get((family, standing.kind), ())
    }


_FIGURES: Mapping[str, Callable[[LimitBucket], object]] = {
    "left": lambda limit: limit.left,
    "reset": lambda limit: f"{limit.reset:.3f}",
    "limit": lambda limit: math.floor(limit.per_minute),
    "duration": lambda limit: duration_text(limit.reset),
    "whole": lambda limit: math.ceil(limit.reset),
    "second": lambda limit: f"{limit.per_minute / 60:g}",
    "tenth": lambda limit: max(1, math.floor(limit.per_minute / 6)),
    "day": lambda limit: math.floor(limit.per_minute * 1440),
    "day_left": lambda limit: math.floor(limit.per_minute * 1440) - 9,
}


def _writer(value: str) -> Callable[[LimitBucket], str]:
    """Return what writes a header's value: a figure alone, or figures among other signs."""
    names = re.findall(r"{(\w+)}", value)
    if len(names) == 1 and len(value) == len(names[0]) + len("{}"):
        figure = _FIGURES[names[0]]
        return lambda standing: str(figure(standing))
    return lambda standing: value.format(**{name: _FIGURES[name](standing) for name in names})


_FAMILIES: dict[tuple[str, str], list[tuple[str, Callable[[LimitBucket], str]]]] = {}
for _family, _limit, *_headers in map(str.split, _TABLE.strip().splitlines()):
    for _kind in ("requests", "tokens") if _limit == "both" else (_limit,):
        for _header in _headers:
            _name, _, _value = _header.partition("=")
            _pair = (_name.format(kind=_kind), _writer(_value))
            _FAMILIES.setdefault((_family, _kind), []).append(_pair)
