"""How servers tell of their limits: a table of headers for each family.

Source:
    "Rate limits in headers", OpenAI API guide on rate limits, and the like pages of the others.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from llmnb.testing.limits import Standing

_EPSILON = 1e-9

_Headers = Mapping[str, str]

_LIMIT = {"x-ratelimit-limit-{kind}": "{limit}"}
_LEFT = {"x-ratelimit-remaining-{kind}": "{left}"}
_ANTHROPIC = {
    "anthropic-ratelimit-{kind}-limit": "{limit}",
    "anthropic-ratelimit-{kind}-remaining": "{left}",
    "anthropic-ratelimit-{kind}-reset": "{date}",
}

_FAMILIES: Mapping[str, tuple[_Headers, _Headers]] = {
    "limit": (_LIMIT, _LIMIT),
    "xai": (_LIMIT | _LEFT, _LIMIT | _LEFT),
    "openai": (_LIMIT | _LEFT | {"x-ratelimit-reset-{kind}": "{duration}"},) * 2,
    # Figures of ten seconds, of a limit that is given by the minute.
    "azure": (
        {"x-ratelimit-limit-{kind}": "{tenth}", "x-ratelimit-renewalperiod-{kind}": "10"} | _LEFT,
    )
    * 2,
    "mistral": (
        {
            "x-ratelimit-limit-req-10-second": "{tenth}",
            "x-ratelimit-remaining-req-10-second": "{left}",
        },
        {
            "x-ratelimit-limit-tokens-10-second": "{tenth}",
            "x-ratelimit-remaining-tokens-10-second": "{left}",
        },
    ),
    "together": (
        {"x-ratelimit-limit": "{second}", "x-ratelimit-remaining": "{left}"},
        {"x-tokenlimit-limit": "{second}", "x-tokenlimit-remaining": "{left}"},
    ),
    "groq": (
        {
            "x-ratelimit-limit-requests": "{day}",
            "x-ratelimit-remaining-requests": "{day_left}",
            "x-ratelimit-reset-requests": "6s",
        },
        _LIMIT | _LEFT | {"x-ratelimit-reset-tokens": "{reset:.3f}s"},
    ),
    "gateway": (
        {
            "x-ratelimit-limit": "{limit}",
            "x-ratelimit-remaining": "{left}",
            "x-ratelimit-reset": "{whole}",
        },
        {},
    ),
    "ietf": (
        {
            "ratelimit-policy": '"default";q={limit};w=60',
            "ratelimit": '"default";r={left};t={whole}',
        },
        {},
    ),
    # Input and output share one limit here.
    "anthropic": (
        _ANTHROPIC,
        _ANTHROPIC
        | {name.format(kind="input-tokens"): value for name, value in _ANTHROPIC.items()},
    ),
}
"""Names and values of the headers for a limit of requests, and for one of tokens."""


def written(family: str, standings: Sequence[Standing]) -> dict[str, str]:
    """Return the headers of one family.

    Args:
        family: As `llmnb.testing.limits.Family` names it, or ``"anthropic"``.
        standings: How the limits stand.

    Example:
        >>> written("xai", [Standing(kind="requests", per_minute=60, left=9, reset=1.0)])
        {'x-ratelimit-limit-requests': '60', 'x-ratelimit-remaining-requests': '9'}
    """
    of_requests, of_tokens = _FAMILIES[family]
    return {
        name.format(kind=standing.kind): value.format_map(figures)
        for standing in standings
        for figures in [_figures(standing)]
        for name, value in (of_requests if standing.kind == "requests" else of_tokens).items()
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
