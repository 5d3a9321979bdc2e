"""Lengths of time in seconds: how long, how long ago, how long still.

No figure is ever written as 60 of a unit. A time below zero, which a clock that was set back can
give, is 0; one that is no number is `unknown`, and one without an end is `∞`.
"""

from __future__ import annotations

import math

from llmnb.display.texts import counted, of_finite

_AGES = (
    (365.25 * 86400, "year"),
    (30.44 * 86400, "month"),
    (86400.0, "day"),
    (3600.0, "h"),
    (60.0, "min"),
)


@of_finite(least=0.0)
def span(seconds: float) -> str:
    """Return a length of time with as many figures as matter.

    Example:
        >>> span(0.84), span(11.24), span(14), span(200), span(7500), span(120), span(200_000)
        ('0.8 s', '11.2 s', '14 s', '3 min 20 s', '2 h 5 min', '2 min', '2 d 8 h')
    """
    if seconds < 59.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    if (whole := round(seconds)) < 3600:
        return _two(whole, 60, "min", "s")
    if (whole := round(seconds / 60)) < 48 * 60:
        return _two(whole, 60, "h", "min")
    return _two(round(seconds / 3600), 24, "d", "h")


def exact(seconds: float) -> str:
    """Return a length of time that a person has named, in seconds and without losing any of it.

    Example:
        >>> exact(0.25), exact(600)
        ('0.25 s', '600 s')
    """
    return f"{seconds:,.10g} s"


@of_finite(least=0.0)
def elapsed(seconds: float) -> str:
    """Return a length of time that is still growing: whole seconds, cut and not rounded.

    Example:
        >>> elapsed(4.9), elapsed(48), elapsed(65)
        ('4 s', '48 s', '1 min 5 s')
    """
    return span(math.floor(seconds))


def latency(seconds: float | None) -> str:
    """Return the time of a reply, always with one decimal below a minute.

    Example:
        >>> latency(11.0), latency(0.04), latency(0.003), latency(None)
        ('11.0 s', '0.04 s', '<0.01 s', '–')
    """
    if seconds is None:
        return "–"
    if not seconds < 59.95:
        return span(seconds)
    if seconds < 0.005:
        return "<0.01 s"
    return f"{seconds:.{2 if seconds < 0.0995 else 1}f} s"


@of_finite(least=0.0)
def remaining(seconds: float) -> str:
    """Return how much time is left, at least 1 s, and in steps of 10 s above a minute.

    Example:
        >>> remaining(0.3), remaining(49.6), remaining(57), remaining(203), remaining(7512)
        ('1 s', '50 s', '57 s', '3 min 20 s', '2 h 5 min')
    """
    return _in_steps(seconds, 10)


@of_finite(least=0.0)
def rough(seconds: float) -> str:
    """Return a length of time of which only the order matters: whole seconds, or whole minutes.

    Example:
        >>> rough(0.2), rough(24), rough(414), rough(7500), rough(36_000)
        ('1 s', '24 s', '7 min', '2 h 5 min', '10 h')
    """
    return _in_steps(seconds, 60)


@of_finite(least=0.0)
def spoken(seconds: float) -> str:
    """Return a guess of the time left as it is read aloud.

    Example:
        >>> spoken(203), spoken(64), spoken(12), spoken(7512)
        ('about 3 minutes left', 'about 1 minute left', 'under a minute left', 'about 2 hours left')
    """
    if seconds < 45:
        return "under a minute left"
    minutes = max(1, round(seconds / 60))
    if minutes < 90 and minutes != 60:
        return f"about {counted(minutes, 'minute')} left"
    return f"about {counted(round(seconds / 3600), 'hour')} left"


@of_finite(least=0.0)
def age(seconds: float) -> str:
    """Return how old something is, in one unit.

    Example:
        >>> age(8), age(1570), age(9 * 86400), age(125 * 86400), age(41 * 86400)
        ('8 s', '26 min', '9 days', '4 months', '41 days')
    """
    # Months are too coarse for what is young.
    for scale, unit in _AGES[2:] if seconds < 60 * 86400 else _AGES:
        if seconds >= scale:
            number = int(seconds // scale)
            return f"{number} {unit}" if unit in ("h", "min") else counted(number, unit)
    return f"{int(seconds)} s"


def ago(seconds: float, *, is_live: bool = False) -> str:
    """Return how long ago something was, in one unit.

    Args:
        seconds: Since then.
        is_live: Whether the text is renewed all the time, so that seconds are of use.

    Example:
        >>> ago(8), ago(190), ago(100_000), ago(6 * 86400)
        ('just now', '3 min ago', 'yesterday', '6 days ago')
        >>> ago(8, is_live=True)
        '8 s ago'
    """
    if not seconds >= (1 if is_live else 60):
        return "just now"
    if 86400 <= seconds < 2 * 86400:
        return "yesterday"
    return "never" if seconds == math.inf else f"{age(seconds)} ago"


def _in_steps(seconds: float, step: int) -> str:
    """Return whole seconds, at least 1, below a minute, and steps of so many above."""
    if seconds < 59.5:
        return f"{max(1, round(seconds))} s"
    return span(step * round(seconds / step))


def _two(whole: int, base: int, large_unit: str, small_unit: str) -> str:
    large, small = divmod(whole, base)
    return f"{large:,} {large_unit}" + (f" {small} {small_unit}" if small else "")
