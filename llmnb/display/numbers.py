"""Counts, sums, sizes, limits and percent. What is no number is `unknown`, no end is `∞`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from llmnb.display.texts import of_finite

_LETTERS = ((1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "B"), (1e12, "T"))
_BYTES = ((1.0, " B"), (1e3, " kB"), (1e6, " MB"), (1e9, " GB"), (1e12, " TB"))


@of_finite()
def count(number: float) -> str:
    """Return a whole number with its thousands apart.

    Example:
        >>> count(1338)
        '1,338'
    """
    return f"{number:,.0f}"


@of_finite()
def short(number: float) -> str:
    """Return a number of which two figures matter, such as a rate or an estimate.

    Example:
        >>> short(304.4), short(1240), short(331_000), short(1_200_000)
        ('304', '1.2k', '331k', '1.2M')
    """
    return _scaled(number, _LETTERS, 2)


@of_finite()
def tokens(number: float) -> str:
    """Return a sum of tokens with three figures.

    Example:
        >>> tokens(950), tokens(41_230), tokens(526_000), tokens(1_004_000)
        ('950', '41.2k', '526k', '1.00M')
    """
    return _scaled(number, _LETTERS, 3)


def tokens_in_out(tokens_in: float, tokens_out: float) -> str:
    """Return the tokens of prompts and of answers.

    Example:
        >>> tokens_in_out(1_004_000, 41_230)
        '1.00M in, 41.2k out'
    """
    return f"{tokens(tokens_in)} in, {tokens(tokens_out)} out"


@of_finite()
def size(number: float) -> str:
    """Return bytes with three figures; a kB has 1,000.

    Example:
        >>> size(950), size(300_000), size(14_230_000), size(209_000_000), size(31_000_000)
        ('950 B', '300 kB', '14.2 MB', '209 MB', '31.0 MB')
    """
    return _scaled(number, _BYTES, 3)


@of_finite()
def limit(number: float) -> str:
    """Return a limit as a sentence names it: whole, or with three figures where it is small.

    Example:
        >>> limit(30_000), limit(1437.28), limit(0.5), limit(12.5)
        ('30,000', '1,437', '0.5', '12.5')
    """
    return f"{number:.3g}" if abs(number) < 99.95 else f"{number:,.0f}"


@of_finite()
def amount(number: float) -> str:
    """Return a limit as a person would type it, without losing any of it.

    Example:
        >>> amount(500), amount(500_000), amount(1240), amount(2_000_000)
        ('500', '500k', '1240', '2M')
    """
    for scale, unit in ((1e6, "M"), (1e3, "k")):
        if number >= scale and number % scale == 0:
            return f"{number / scale:.0f}{unit}"
    return f"{number:.10g}"


def percent(part: float, whole: float, *, done: bool = False) -> str:
    """Return a part in percent without its sign: 0 only when nothing is, 100 only when done.

    Example:
        >>> percent(1338, 2400), percent(2399, 2400), percent(2400, 2400, done=True)
        ('56', '99', '100')
    """
    if whole <= 0:
        return "100" if done else "0"
    if done and part >= whole:
        return "100"
    return f"{min(99, max(1 if part > 0 else 0, math.floor(100 * part / whole + 0.5)))}"


@of_finite()
def share(part: float) -> str:
    """Return a share between 0 and 1 in percent.

    Example:
        >>> share(0.855), share(0.001), share(0)
        ('86 %', '<1 %', '0 %')
    """
    if 0 < part < 0.005:
        return "<1 %"
    return f"{100 * part + 1e-9:.0f} %"


def _scaled(number: float, units: Sequence[tuple[float, str]], figures: int) -> str:
    """Return a number in the first unit in which it is below 1,000 when it is rounded."""
    for scale, unit in units:
        value = number / scale
        if abs(round(value)) < 1000 or unit == units[-1][1]:
            return _rounded(value, figures if scale > 1 else 1) + unit
    raise AssertionError("every number has a unit")


def _rounded(value: float, figures: int) -> str:
    """Return a value with so many figures, but none of its whole ones left out."""
    for digits in range(figures - 1, 0, -1):
        text = f"{value:.{digits}f}"
        if abs(float(text)) < 10 ** (figures - digits):  # 9.96 with two figures is 10, not 10.0
            return text
    return f"{value:,.0f}"
