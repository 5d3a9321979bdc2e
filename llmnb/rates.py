"""The door to the package limits, whose notation of rates is accepted for every limit.

Only the rate is taken from it: requests are spread evenly by our own bucket,
so "1000 per 2 hours" is one every 7.2 seconds and not a thousand at once.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from llmnb.display.texts import cut
from llmnb.errors import ConfigurationError


@runtime_checkable
class RateItem(Protocol):
    """What is used of a `limits.RateLimitItem`."""

    amount: int

    def get_expiry(self) -> int:
        """Return the seconds that the amount is for."""


Rate: TypeAlias = float | str | RateItem
"""A number a minute, a text such as ``"5 per second"``, or a `limits.RateLimitItem`."""


Burst = Literal["announced", "smooth"]
"""How the remainder of a limit that a server announces is spent: at once, or at an even rate."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """A rate as it was written: so many in such a period."""

    amount: float
    seconds: float
    period: str
    """Name of the period's unit, such as ``"minute"``."""

    @property
    def per_minute(self) -> float:
        """The rate as a number a minute."""
        return self.amount * 60.0 / self.seconds


ACCEPTED = (
    'A rate is a number a minute (600), a text such as "600", "100/minute", "5 per second" or '
    '"1000 per 2 hours", or a limits.RateLimitItem.'
)
"""The forms of a rate, in words."""

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
    return None if rate is None else allowance(rate).per_minute


def allowance(rate: Rate) -> Allowance:
    """Return a rate as an amount and its period.

    Args:
        rate: In any of the accepted forms; of several in one text the smallest rate. A plain
            number is for a minute.

    Raises:
        ConfigurationError: If it is in none of them, or is not above 0.

    Example:
        >>> allowance("1000 per 2 hours")
        Allowance(amount=1000.0, seconds=7200.0, period='hour')
        >>> allowance(600)
        Allowance(amount=600.0, seconds=60.0, period='minute')
    """
    if isinstance(rate, int | float) and not isinstance(rate, bool):
        read = Allowance(float(rate), 60.0, "minute")
    elif isinstance(rate, str):
        read = _of_text(rate)
    elif isinstance(rate, RateItem):
        read = _of_item(rate)
    else:
        raise ConfigurationError(f"A {type(rate).__name__} is not a rate. {ACCEPTED}")
    if not (0 < read.amount < math.inf and read.seconds > 0):
        raise ConfigurationError(
            f"A rate is finite and above 0, got {cut(repr(rate), 60)}. {ACCEPTED} "
            "Leave it out for none."
        )
    return read


def _of_text(text: str) -> Allowance:
    try:
        return Allowance(float(text.replace(",", "").replace("_", "")), 60.0, "minute")
    except ValueError:
        pass  # no plain number: read as a rate below
    import limits  # a third of a second, and most rates are numbers

    try:
        items = limits.parse_many(_UNIT.sub(lambda unit: _SHORT[unit[1].lower()], text))
    except ValueError:
        raise ConfigurationError(
            f"{cut(repr(text), 60)} cannot be read as a rate. {ACCEPTED}"
        ) from None
    return min((_of_item(item) for item in items), key=lambda one: one.per_minute)


def _of_item(item: RateItem) -> Allowance:
    unit = getattr(getattr(item, "GRANULARITY", None), "name", "") or "period"
    return Allowance(float(item.amount), float(item.get_expiry()), unit)
