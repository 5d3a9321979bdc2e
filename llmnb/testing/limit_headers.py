"""How servers tell of their limits: a table of headers for each family.

Source:
    "Rate limits in headers", OpenAI API guide on rate limits, and the like pages of the others.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from llmnb.testing.limits import Standing

_EPSILON = 1e-9

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
anthropic  both     anthropic-ratelimit-{kind}-limit={limit}
anthropic  both     anthropic-ratelimit-{kind}-remaining={left}
anthropic  both     anthropic-ratelimit-{kind}-reset={date}
anthropic  tokens   anthropic-ratelimit-input-tokens-limit={limit}
anthropic  tokens   anthropic-ratelimit-input-tokens-remaining={left}
anthropic  tokens   anthropic-ratelimit-input-tokens-reset={date}
"""
"""Family, the limit that its headers tell of, and the headers with their values.

Azure and Mistral give figures of ten seconds, Together of a second, Groq of a day.
"""


def written(family: str, standings: Sequence[Standing]) -> dict[str, str]:
    """Return the headers of one family.

    Args:
        family: As `llmnb.testing.limits.Family` names it, or ``"anthropic"``.
        standings: How the limits stand.

    Example:
        >>> written("xai", [Standing(kind="requests", per_minute=60, left=9, reset=1.0)])
        {'x-ratelimit-limit-requests': '60', 'x-ratelimit-remaining-requests': '9'}
    """
    return {
        name: write(standing)
        for standing in standings
        for name, write in _FAMILIES.get((family, standing.kind), ())
    }


def _date(seconds: float) -> str:
    """Return the moment after so many seconds, never too early."""
    moment = datetime.fromtimestamp(math.ceil(time.time() + seconds), UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def duration_text(seconds: float) -> str:
    """Write a duration as OpenAI's reset headers do, rounded up to the millisecond.

    Example:
        >>> duration_text(0.0201), duration_text(8.64), duration_text(360)
        ('21ms', '8.64s', '6m0s')
    """
    milliseconds = math.ceil(seconds * 1000 - _EPSILON)
    if milliseconds < 1000:
        return f"{max(0, milliseconds)}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    text = f"{rest / 1000:g}s"
    return f"{minutes}m{text}" if minutes else text


_FIGURES: Mapping[str, Callable[[Standing], object]] = {
    "left": lambda limit: limit.left,
    "reset": lambda limit: f"{limit.reset:.3f}",
    "limit": lambda limit: math.floor(limit.per_minute),
    "duration": lambda limit: duration_text(limit.reset),
    "whole": lambda limit: math.ceil(limit.reset),
    "date": lambda limit: _date(limit.reset),
    "second": lambda limit: f"{limit.per_minute / 60:g}",
    "tenth": lambda limit: max(1, math.floor(limit.per_minute / 6)),
    "day": lambda limit: math.floor(limit.per_minute * 1440),
    "day_left": lambda limit: math.floor(limit.per_minute * 1440) - 9,
}


def _writer(value: str) -> Callable[[Standing], str]:
    """Return what writes a header's value: a figure alone, or figures among other signs."""
    names = re.findall(r"{(\w+)}", value)
    if len(names) == 1 and len(value) == len(names[0]) + len("{}"):
        figure = _FIGURES[names[0]]
        return lambda standing: str(figure(standing))
    return lambda standing: value.format(**{name: _FIGURES[name](standing) for name in names})


_FAMILIES: dict[tuple[str, str], list[tuple[str, Callable[[Standing], str]]]] = {}
for _family, _limit, *_headers in map(str.split, _TABLE.strip().splitlines()):
    for _kind in ("requests", "tokens") if _limit == "both" else (_limit,):
        for _header in _headers:
            _name, _, _value = _header.partition("=")
            _pair = (_name.format(kind=_kind), _writer(_value))
            _FAMILIES.setdefault((_family, _kind), []).append(_pair)
