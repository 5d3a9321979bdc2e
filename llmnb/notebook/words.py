"""Numbers and words as every notebook surface writes them."""

from __future__ import annotations

import math
import re
import time

from llmnb.display.texts import counted
from llmnb.models.figures import short

# ------------------------------------------------------------------------- figures


def count(number: float) -> str:
    """Return a whole number with its thousands apart.

    Example:
        >>> count(1338)
        '1,338'
    """
    return f"{number:,.0f}"


def rate(per_minute: float) -> str:
    """Return what passes in a minute; short from 1,000.

    Example:
        >>> rate(304.4), rate(1240), rate(331_000), rate(1_200_000)
        ('304', '1.2k', '331k', '1.2M')
    """
    return short(per_minute)


def amount(number: float) -> str:
    """Return a limit as a person would type it, without losing any of it.

    Example:
        >>> amount(500), amount(500_000), amount(1240), amount(2_000_000)
        ('500', '500k', '1240', '2M')
    """
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if number >= size and number % size == 0:
            return f"{number / size:.0f}{unit}"
    return f"{number:.10g}"


def tokens(number: float) -> str:
    """Return a sum of tokens with three figures.

    Example:
        >>> tokens(950), tokens(41_230), tokens(526_000), tokens(1_004_000)
        ('950', '41.2k', '526k', '1.00M')
    """
    if number < 1000:
        return f"{number:.0f}"
    for size, unit in ((1e3, "k"), (1e6, "M"), (1e9, "B")):
        value = number / size
        # 999.95 would be written as 1000.0: it is one of the next unit.
        if value < 999.5 or unit == "B":
            digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
            return f"{value:,.{digits}f}{unit}"
    raise AssertionError("every number has a unit")


def percent(part: float, whole: float, *, done: bool = False) -> str:
    """Return a part in percent without its sign: 0 only when nothing is, 100 only when done.

    Example:
        >>> percent(1338, 2400), percent(2399, 2400), percent(2400, 2400, done=True)
        ('56', '99', '100')
    """
    if whole <= 0:
        return "100" if done else "0"
    share = 100 * part / whole
    if done and part >= whole:
        return "100"
    return f"{min(99, max(1 if part > 0 else 0, math.floor(share + 0.5)))}"


def share(part: float) -> str:
    """Return a share between 0 and 1.

    Example:
        >>> share(0.855), share(0.001), share(0)
        ('86 %', '<1 %', '0 %')
    """
    if 0 < part < 0.005:
        return "<1 %"
    return f"{100 * part + 1e-9:.0f} %"


# ---------------------------------------------------------------------------- time


def span(seconds: float) -> str:
    """Return a length of time with as many figures as matter.

    Example:
        >>> span(0.84), span(11.24), span(14), span(200), span(7500), span(120)
        ('0.8 s', '11.2 s', '14 s', '3 min 20 s', '2 h 5 min', '2 min')
    """
    if seconds < 59.95:
        text = f"{seconds:.1f}"
        return f"{text.removesuffix('.0')} s"
    whole = round(seconds)
    if whole < 3600:
        return _two(whole // 60, "min", whole % 60, "s")
    whole = round(seconds / 60)
    return _two(whole // 60, "h", whole % 60, "min")


def elapsed(seconds: float) -> str:
    """Return a length of time that is still growing: whole seconds, cut and not rounded.

    Example:
        >>> elapsed(4.9), elapsed(48), elapsed(65)
        ('4 s', '48 s', '1 min 5 s')
    """
    return span(math.floor(max(0.0, seconds)))


def latency(seconds: float | None) -> str:
    """Return the time of a reply, always with one decimal below a minute.

    Example:
        >>> latency(11.0), latency(0.04), latency(None)
        ('11.0 s', '0.04 s', '–')
    """
    if seconds is None:
        return "–"
    if seconds < 0.0995:
        return f"{seconds:.2f} s"
    return f"{seconds:.1f} s" if seconds < 59.95 else span(seconds)


def remaining(seconds: float) -> str:
    """Return a guess of the time left, in steps of 10 s above a minute.

    Example:
        >>> remaining(0.3), remaining(49.6), remaining(57), remaining(203), remaining(7512)
        ('1 s', '50 s', '57 s', '3 min 20 s', '2 h 5 min')
    """
    if seconds < 59.5:
        return f"{max(1, round(seconds))} s"
    return span(10 * round(seconds / 10))


def spoken(seconds: float) -> str:
    """Return a guess of the time left as it is read aloud.

    Example:
        >>> spoken(203), spoken(64), spoken(12), spoken(7512)
        ('about 3 minutes left', 'about 1 minute left', 'under a minute left', 'about 2 hours left')
    """
    if seconds < 45:
        return "under a minute left"
    if seconds < 5400:
        return f"about {counted(max(1, round(seconds / 60)), 'minute')} left"
    return f"about {counted(round(seconds / 3600), 'hour')} left"


def ago(seconds: float) -> str:
    """Return how long ago something was, in one unit.

    Example:
        >>> ago(0.4), ago(41), ago(70), ago(7500), ago(200_000)
        ('now', '41 s ago', '1 min ago', '2 h ago', '2 d ago')
    """
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago" if seconds >= 1 else "now"


def clock(when: float) -> str:
    """Return a moment of the day, `14:32:07`, where the kernel stands."""
    return time.strftime("%H:%M:%S", time.localtime(when))


def moment(when: float) -> str:
    """Return a day and a moment of it, `14 Nov 2026, 14:39:21`, where the kernel stands."""
    local = time.localtime(when)
    return f"{local.tm_mday} {_MONTHS[local.tm_mon - 1]} {local.tm_year}, {clock(when)}"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# strftime would write the machine's own language into an English receipt.


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    if not large:
        return f"{small} {small_unit}"
    return f"{large} {large_unit}" + (f" {small} {small_unit}" if small else "")


# --------------------------------------------------------------------------- parts

_LEFT = re.compile(r"(\d[\d,]* (?:s|min)(?: \d+ s)? left)")


def parts(sentence: str) -> list[str]:
    """Return a sentence cut into plain and stressed pieces, in turn; the time left is stressed.

    Example:
        >>> parts("It asked for 12 s. 8 s left, then sending.")
        ['It asked for 12 s. ', '8 s left', ', then sending.']
    """
    return _LEFT.split(sentence)
