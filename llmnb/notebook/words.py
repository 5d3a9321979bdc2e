"""Numbers and words as every notebook surface writes them."""

from __future__ import annotations

import math

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
