"""How servers tell of their limits: a table of headers for each family.

Source:
    "Rate limits in headers", OpenAI API guide on rate limits, and the like pages of the others.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

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
groq       tokens   x-ratelimit-reset-tokens={reset:.3f}s
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

_FAMILIES: dict[tuple[str, str], list[tuple[str, str]]] = {}
for _family, _limit, *_headers in map(str.split, _TABLE.strip().splitlines()):
    for _kind in ("requests", "tokens") if _limit == "both" else (_limit,):
        for _header in _headers:
            _name, _, _value = _header.partition("=")
            _pair = (_name.format(kind=_kind), _value)
            _FAMILIES.setdefault((_family, _kind), []).append(_pair)


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
        name: value.format_map(figures)
        for standing in standings
        for figures in [_figures(standing)]
        for name, value in _FAMILIES.get((family, standing.kind), ())
    }


def _figures(standing: Standing) -> dict[str, Any]:
    a_day = math.floor(standing.per_minute * 1440)
    return {
        "limit": math.floor(standing.per_minute),
        "left": standing.left,
        "reset": standing.reset,
        "duration": duration_text(standing.reset),
        "whole": math.ceil(standing.reset),
        "date": _date(standing.reset),
        "second": f"{standing.per_minute / 60:g}",
        "tenth": max(1, math.floor(standing.per_minute / 6)),
        "day": a_day,
        "day_left": a_day - 9,
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
