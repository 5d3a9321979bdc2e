"""Moments in seconds since the epoch, as a clock on this machine's wall shows them."""

from __future__ import annotations

import time

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# strftime would write the machine's own language into an English text.

_HALF_A_DAY = 43_200


def clock(when: float) -> str:
    """Return a moment of the day, such as ``14:32:07``."""
    return time.strftime("%H:%M:%S", time.localtime(when))


def day(when: float) -> str:
    """Return a day, such as ``14 Nov 2026``."""
    local = time.localtime(when)
    return f"{local.tm_mday} {_MONTHS[local.tm_mon - 1]} {local.tm_year}"


def moment(when: float) -> str:
    """Return a day and a moment of it, such as ``14 Nov 2026, 14:39:21``."""
    return f"{day(when)}, {clock(when)}"


def minute(when: float, *, has_year: bool = True) -> str:
    """Return a day and a minute of it, such as ``14 Nov 2026, 14:39``."""
    local = time.localtime(when)
    year = f" {local.tm_year}" if has_year else ""
    return f"{local.tm_mday} {_MONTHS[local.tm_mon - 1]}{year}, {time.strftime('%H:%M', local)}"


def coming(seconds: float, now: float) -> str:
    """Return the moment so many seconds after now, with its day where it is far away."""
    return (clock if seconds < _HALF_A_DAY else moment)(now + seconds)
