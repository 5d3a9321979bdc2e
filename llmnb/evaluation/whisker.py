"""A share with its interval, drawn on an axis: dot and whisker, and bars beneath."""

from __future__ import annotations

from llmnb.display.palette import ACCENT, PATTERNS

FEW_LABELS = 15
"""Labels below which a sentence says that they say little."""

_GREY = "rgba(128,128,128,.32)"
_INK = "background:currentColor;opacity:.6"
_ABSOLUTE = "position:absolute"


def whisker(
    value: float,
    interval: tuple[float, float],
    *,
    whole: float = 1.0,
    ring: float | None = None,
    height: int = 14,
) -> str:
    """Return an axis from 0 with a dot at a value and a line over its interval.

    A screen reader passes over it: the figures stand beside it.

    Args:
        value: Where the dot is.
        interval: Where the line begins and ends.
        whole: Where the axis ends; what lies beyond is drawn at its end.
        ring: Where a ring is drawn: what the value is compared with.
        height: In pixels.
    """

    def at(number: float) -> str:
        return f"{100 * min(1.0, max(0.0, number / whole)):.1f}%"

    middle = height / 2
    low, high = interval
    width = f"{100 * (min(whole, high) - max(0.0, low)) / whole:.1f}%"
    cap = f"{_ABSOLUTE};top:{middle - 4:g}px;height:7px;width:1px;{_INK}"
    caps = "".join(f'<span style="{cap};left:{at(end)}"></span>' for end in (low, high))
    dot = f"top:{middle - 4:g}px;width:8px;height:8px;margin-left:-4px;border-radius:50%"
    ringed = ""
    if ring is not None:
        ringed = (
            f'<span style="{_ABSOLUTE};left:{at(ring)};{dot};box-sizing:border-box;'
            'border:1.5px solid currentColor;opacity:.7"></span>'
        )
    return (
        f'<div aria-hidden="true" style="position:relative;height:{height}px;width:100%;'
        f'min-width:60px"><span style="{_ABSOLUTE};left:0;right:0;top:{middle - 0.5:g}px;'
        f'height:1px;background:{_GREY}"></span><span style="{_ABSOLUTE};left:{at(low)};'
        f'width:{width};top:{middle - 1:g}px;height:2px;{_INK}"></span>{caps}{ringed}'
        f'<span style="{_ABSOLUTE};left:{at(value)};{dot};background:{ACCENT}"></span></div>'
    )


def right_and_wrong(right: float, wrong: float, missing: float) -> str:
    """Return the bar under a score's whisker: what is right, wrong, and not answered."""
    outline = "box-shadow:inset 0 0 0 1px rgba(128,128,128,.7)"
    parts = (
        (right, f"background:{ACCENT}"),
        (wrong, f"background:{PATTERNS['failed']}"),
        (missing, outline),
    )
    segments = "".join(
        f'<span style="width:{100 * share:.2f}%;min-width:2px;{style}"></span>'
        for share, style in parts
        if share
    )
    style = "display:flex;height:9px;gap:1px;margin:0 0 8px"
    return f'<div aria-hidden="true" style="{style}">{segments}</div>'
