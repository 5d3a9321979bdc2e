"""What reply headers say about waiting and limits, in all the ways providers write it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from llmnb.records import Announced

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_BODY_DELAY = re.compile(
    rb'"retryDelay"\s*:\s*"(\d+(?:\.\d+)?)s"'
    rb"|(?:try again|retry) (?:in|after) (\d+(?:\.\d+)?)\s?(ms|s|seconds?|m|minutes?)\b",
    re.IGNORECASE,
)
_RESETS = (
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
    "anthropic-ratelimit-requests-reset",
    "anthropic-ratelimit-tokens-reset",
)


def duration(text: str, *, now: float) -> float | None:
    """Return the seconds that a header's value means, None where it means nothing.

    Understands seconds, durations (``1m30s``, ``250ms``), HTTP dates and RFC 3339 times.

    Example:
        >>> duration("1m30s", now=0.0), duration("2.5", now=0.0), duration("soon", now=0.0)
        (90.0, 2.5, None)
    """
    text = text.strip()
    try:
        seconds = float(text)
    except ValueError:
        pass
    else:
        return max(0.0, seconds) if math.isfinite(seconds) else None
    parts = _DURATION.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    return _until(text, now)


def _until(text: str, now: float) -> float | None:
    from datetime import datetime

    try:
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        try:
            when = datetime.fromisoformat(text)
        except ValueError:
            return None
    try:
        return max(0.0, when.timestamp() - now)
    except (OverflowError, OSError, ValueError):
        return None


def retry_after(headers: Mapping[str, str], body: bytes, *, now: float) -> float | None:
    """Return the seconds a refusal asks to wait, None where it does not say.

    Args:
        headers: Names in lower case.
        body: The reply; some providers write the delay there.
        now: Seconds since the epoch, for dates.

    Example:
        >>> retry_after({"retry-after-ms": "250"}, b"", now=0.0)
        0.25
    """
    if (text := headers.get("retry-after-ms")) is not None:
        milliseconds = duration(text, now=now)
        if milliseconds is not None:
            return milliseconds / 1000
    for name in ("retry-after", "llm_provider-retry-after"):
        if (text := headers.get(name)) is not None and (
            seconds := duration(text, now=now)
        ) is not None:
            return seconds
    if (match := _BODY_DELAY.search(body[:20_000])) is not None:
        if match[1] is not None:
            return float(match[1])
        unit = match[3].decode().lower()
        return float(match[2]) * (0.001 if unit == "ms" else 60.0 if unit[0] == "m" else 1.0)
    return _reset(headers, now)


def _reset(headers: Mapping[str, str], now: float) -> float | None:
    """Return the wait until the limit that is used up is open again."""
    waits = []
    for name in _RESETS:
        if (text := headers.get(name)) is None:
            continue
        remaining = headers.get(name.replace("reset", "remaining"))
        if remaining is not None and remaining.strip() not in ("0", "0.0"):
            continue
        if (seconds := duration(text, now=now)) is not None:
            waits.append(seconds)
    return max(waits) if waits else None


_PROFILES = {
    "openai": "x-ratelimit-{what}-{of}",
    "azure": "x-ratelimit-{what}-{of}",
    "groq": "x-ratelimit-{what}-{of}",
    "anthropic": "anthropic-ratelimit-{of}-{what}",
}


def announced(headers: Mapping[str, str], profile: str, *, now: float) -> Announced | None:
    """Return the limits that a reply's headers told, None where they tell none.

    Args:
        headers: Names in lower case.
        profile: How the provider names them; Groq's request figures are per day.
        now: Seconds since the epoch, for dates.

    Example:
        >>> announced({"x-ratelimit-limit-requests": "500"}, "openai", now=0.0).requests_per_minute
        500.0
    """
    pattern = _PROFILES.get(profile)
    if pattern is None:
        return None

    def number(what: str, of: str) -> float | None:
        text = headers.get(pattern.format(what=what, of=of))
        try:
            return None if text is None else float(text)
        except ValueError:
            return None

    def seconds(of: str) -> float | None:
        text = headers.get(pattern.format(what="reset", of=of))
        return None if text is None else duration(text, now=now)

    requests, tokens = number("limit", "requests"), number("limit", "tokens")
    if requests is None and tokens is None:
        return None
    if profile == "groq" and requests is not None:
        requests /= 24 * 60
    remaining, left = number("remaining", "requests"), number("remaining", "tokens")
    return Announced(
        requests_per_minute=requests,
        requests_remaining=None if remaining is None else int(remaining),
        requests_reset=seconds("requests"),
        tokens_per_minute=tokens,
        tokens_remaining=None if left is None else int(left),
        tokens_reset=seconds("tokens"),
    )


def request_id(headers: Mapping[str, str]) -> str | None:
    """Return the provider's own name for a request."""
    for name in ("x-request-id", "request-id", "apim-request-id", "x-amzn-requestid", "cf-ray"):
        if value := headers.get(name):
            return value[:200]
    return None
