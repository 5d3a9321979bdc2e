"""Dollars. A price that nobody knows is `unknown`, never free."""

from __future__ import annotations

import math


def usd(dollars: float | None, *, more_unknown: bool = False) -> str:
    """Return dollars: four decimals below one dollar unless they are whole cents, two above.

    Args:
        dollars: The sum; None where it is not known.
        more_unknown: Whether something of unknown price comes on top.

    Example:
        >>> usd(0), usd(0.01234), usd(0.48), usd(1.589), usd(None), usd(0.00001)
        ('$0', '$0.0123', '$0.48', '$1.59', 'unknown', '<$0.0001')
        >>> usd(0.25, more_unknown=True), usd(0, more_unknown=True)
        ('$0.25 + unknown', 'unknown')
    """
    if dollars is None or not math.isfinite(dollars) or (more_unknown and not dollars):
        return "unknown"
    return _known(dollars) + (" + unknown" if more_unknown else "")


def _known(dollars: float) -> str:
    if dollars < 0:
        return f"-{_known(-dollars)}".replace("-<$", "-$")
    if dollars == 0:
        return "$0"
    if dollars < 0.0001:
        return "<$0.0001"
    if dollars < 0.99995:
        return f"${dollars:.4f}".removesuffix("00")
    return f"${dollars:,.2f}"


def usd_range(low: float | None, high: float | None) -> str:
    """Return the range of a cost; one figure where both ends are written alike.

    Example:
        >>> usd_range(0.31, 1.2), usd_range(2, 2), usd_range(None, None)
        ('$0.31–1.20', '$2.00', 'unknown')
    """
    first, last = usd(low), usd(high)
    if "unknown" in (first, last):
        return "unknown"
    return first if first == last else f"{first}–{last.removeprefix('$')}"
