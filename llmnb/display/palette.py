"""Colours and patterns of what stays in a saved notebook: the page's own, light and dark."""

from __future__ import annotations

FAINT = "opacity:.74"
RULE = "border-top:1px solid rgba(128,128,128,.32)"
ACCENT = "var(--jp-brand-color1,#2080e0)"
BAD = "var(--jp-error-color1,#d93a3a)"
FONT = "var(--jp-ui-font-family,system-ui,sans-serif)"


def _hatch(angle: int, colour: str, part: int, size: int) -> str:
    """Return slanted lines as square tiles.

    A gradient that repeats along a slant has lines of two widths in Chromium.

    Args:
        angle: Across the lines, in degrees.
        colour: Of the lines.
        part: Width of a line, in percent of a tile's diagonal; there are two in a tile.
        size: Of a tile, in pixels.
    """
    lines = f"{colour} 0 {part}%,transparent {part}% 50%,{colour} 50% {50 + part}%"
    return f"linear-gradient({angle}deg,{lines},transparent {50 + part}%) 0 0/{size}px {size}px"


PATTERNS = {
    "reused": _hatch(135, ACCENT, 15, 7),
    "merged": f"repeating-linear-gradient(90deg,{ACCENT} 0 2px,transparent 2px 6px)",
    "send": ACCENT,
    "answered": ACCENT,
    "failed": _hatch(45, BAD, 25, 6),
    "rest": "rgba(128,128,128,.22)",
}
"""Parts of a bar by name."""

PLAIN = {
    "reused": "#90c0f0",
    "merged": "#60a0e8",
    "send": "#2080e0",
    "answered": "#2080e0",
    "failed": "#d93a3a",
}
"""The same where a page takes neither a pattern nor a theme's colour, such as an untrusted one."""
