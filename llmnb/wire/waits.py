"""Reading waits as servers write them: as seconds, durations, dates or times."""

from __future__ import annotations

import functools
import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_UNITS = {
    **dict.fromkeys(("ns",), 1e-9),
    **dict.fromkeys(("us", "µs", "μs"), 1e-6),  # the sign "micro" and the Greek letter
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}
_NUMBER = r"(?:\d{1,15}(?:\.\d{0,15})?|\.\d{1,15})"
_UNIT = "|".join(sorted(_UNITS, key=len, reverse=True))
_PART = re.compile(rf"({_NUMBER})\s*({_UNIT})(?![a-zµμ])\s*")
DURATION = rf"(?:{_NUMBER}\s*(?:{_UNIT})(?![a-zµμ])\s*){{1,8}}"
"""Pattern of one duration, such as ``1m30s`` or ``20 seconds``."""

LONGEST = 366 * 86400.0
"""Seconds; a longer wait is ignored, as a garbled header or one that means "never"."""

LONGEST_TEXT = 100
"""Characters; a longer text is no wait."""

_DAWN = 1_000_000_000
"""The year 2001 in seconds since the epoch. A larger number is a time, not a wait of 30 years."""


def wait_of(text: str, *, now: float) -> float | None:
    """Return how many seconds a text says to wait, None where it cannot be read.

    Args:
        text: A number of seconds, a duration (``1m30s``, ``250ms``), an HTTP
            date, an ISO time, or a moment in seconds or milliseconds since the
            epoch. What is past or negative means 0; what is infinite, or more
            than a year, nothing.
        now: Seconds since the epoch.

    Example:
        >>> wait_of("1m30s", now=0.0), wait_of("2.5", now=0.0), wait_of("soon", now=0.0)
        (90.0, 2.5, None)
        >>> wait_of("Thu, 01 Jan 1970 00:01:00 GMT", now=50.0)
        10.0

    Source:
        RFC 9110, section 10.2.3 (seconds and HTTP dates); the rest as providers send it.
    """
    text = text.strip()
    if len(text) > LONGEST_TEXT:
        return None
    seconds = duration_of(text) if text[-1:].isalpha() else None
    if seconds is None:
        moment = moment_of(text)
        seconds = number_of(text) if moment is None else moment - now
    return None if seconds is None or seconds > LONGEST else max(0.0, seconds)


def number_of(text: str) -> float | None:
    """Return a finite number, None for anything else.

    Example:
        >>> number_of("12"), number_of("inf"), number_of("1_0")
        (12.0, None, None)
    """
    try:
        number = float(text)
    except ValueError:
        return None
    # float() also reads 1_0 and the digits of every script; no server means those.
    return number if math.isfinite(number) and "_" not in text and text.isascii() else None


@functools.lru_cache(maxsize=4096)
def duration_of(text: str) -> float | None:
    """Return the seconds of a duration with units, None where the text is none.

    Example:
        >>> duration_of("6m0s"), duration_of("1 minute 30 seconds"), duration_of("6 apples")
        (360.0, 90.0, None)
    """
    text = text.strip().lower()
    seconds, position = 0.0, 0
    while position < len(text):
        part = _PART.match(text, position)
        if part is None:
            return None
        seconds += float(part[1]) * _UNITS[part[2]]
        position = part.end()
    return seconds if position else None


@functools.lru_cache(maxsize=256)
def moment_of(text: str) -> float | None:
    """Return a date or time in seconds since the epoch, None where the text is neither.

    Args:
        text: An HTTP date, an ISO time (in UTC where it has no zone), or seconds or
            milliseconds since the epoch.

    Example:
        >>> moment_of("1970-01-01T00:01:00Z"), moment_of("1767225600"), moment_of("20")
        (60.0, 1767225600.0, None)
    """
    if len(text) > LONGEST_TEXT:
        return None
    number = number_of(text)
    if number is not None:
        if number >= _DAWN * 1000:
            return number / 1000
        return number if number >= _DAWN else None
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = read(text)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            return moment.timestamp()
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None
