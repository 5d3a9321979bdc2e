"""Figures and words as plain texts write them: aligned, restrained, and safe on any terminal."""

from __future__ import annotations


def leader(name: str, value: str, note: str = "") -> str:
    """Return a name and a value with dots between.

    Example:
        >>> leader("rows", "10", "of a table")
        '  rows ....................      10   of a table'
    """
    dots = "." * max(3, 24 - len(name))
    return f"  {name} {dots} {value:>7}" + (f"   {note}" if note else "")


def short(count: float) -> str:
    """Return a count as a person reads it.

    Example:
        >>> short(950), short(1_240), short(331_000), short(1_200_000)
        ('950', '1.2k', '331k', '1.2M')
    """
    if count < 1000:
        return f"{count:.0f}"
    for limit, unit, size in ((999_500, "k", 1e3), (999.5e6, "M", 1e6)):
        if count < limit:
            return _two_figures(count / size, unit)
    return _two_figures(count / 1e9, "B")


def _two_figures(value: float, unit: str) -> str:
    return f"{value:.1f}{unit}" if value < 10 else f"{value:.0f}{unit}"
