"""Colours and patterns of what stays in a saved notebook: the page's own, light and dark."""

from __future__ import annotations

FAINT = "opacity:.74"
RULE = "border-top:1px solid rgba(128,128,128,.32)"
ACCENT = "var(--jp-brand-color1,#2080e0)"
BAD = "var(--jp-error-color1,#d93a3a)"
FONT = "var(--jp-ui-font-family,system-ui,sans-serif)"

PATTERNS = {
    "reused": f"repeating-linear-gradient(135deg,{ACCENT} 0 1.5px,transparent 1.5px 5px)",
    "merged": f"repeating-linear-gradient(90deg,{ACCENT} 0 2px,transparent 2px 6px)",
    "send": ACCENT,
    "answered": ACCENT,
    "failed": f"repeating-linear-gradient(45deg,{BAD} 0 2px,transparent 2px 4px)",
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
