"""The door to limits, whose notation for rates is accepted wherever a limit is.

Only the rate is taken from it: requests are spread evenly by our own bucket,
so "1000 per 2 hours" is one every 7.2 seconds and not a thousand at once.
"""

from __future__ import annotations

import math
import re
from typing import Protocol, TypeAlias, runtime_checkable

from llmnb.errors import ConfigurationError


@runtime_checkable
class RateItem(Protocol):
    """What is used of a `limits.RateLimitItem`."""

    amount: int

    def get_expiry(self) -> int:
        """Return the seconds that the amount is for."""


Rate: TypeAlias = float | str | RateItem
"""A number a minute, a text such as ``"5 per second"``, or a `limits.RateLimitItem`."""

_ACCEPTED = (
    'A rate is a number a minute (600), a text such as "600", "100/minute", "5 per second" or '
    '"1000 per 2 hours", or a limits.RateLimitItem.'
)

_SHORT = {"sec": "second", "s": "second", "min": "minute", "m": "minute", "h": "hour", "d": "day"}
_UNIT = re.compile(r"(?<=[\s/\d])(sec|s|min|m|h|d)\b", re.IGNORECASE)


def per_minute(rate: Rate | None) -> float | None:
    """Return a rate as a number a minute.

    Args:
        rate: In any of the accepted forms; several in one text, divided by semicolons, give
            the smallest. None stays None.

    Raises:
        ConfigurationError: If it is in none of them, or is not above 0.

    Example:
        >>> per_minute(600), per_minute("5 per second"), per_minute("1000 per 2 hours")
        (600.0, 300.0, 8.333333333333334)
        >>> per_minute("100/minute; 1000/hour")
        16.666666666666668
    """
    if rate is None:
        return None
    if isinstance(rate, str):
        found = _of_text(rate)
    elif isinstance(rate, RateItem):
        found = _of_item(rate)
    elif isinstance(rate, bool) or not isinstance(rate, int | float):
        raise ConfigurationError(f"A {type(rate).__name__} is not a rate. {_ACCEPTED}")
    else:
        found = float(rate)
    if not 0 < found < math.inf:
        raise ConfigurationError(
            f"A rate is finite and above 0, got {_short(rate)}. {_ACCEPTED} Leave it out for none."
        )
    return found


def _of_text(text: str) -> float:
    try:
        return float(text.replace(",", "").replace("_", ""))
    except ValueError:
        pass  # no plain number: read as a rate below
    import limits  # a third of a second, and most rates are numbers

    try:
        items = limits.parse_many(_UNIT.sub(lambda unit: _SHORT[unit[1].lower()], text))
    except ValueError:
        raise ConfigurationError(f"{_short(text)} cannot be read as a rate. {_ACCEPTED}") from None
    return min(_of_item(item) for item in items)


def _of_item(item: RateItem) -> float:
    return item.amount * 60.0 / item.get_expiry()


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
