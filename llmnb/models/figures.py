"""Figures and words as plain texts write them: aligned, restrained, and safe on any terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Container

_HIDDEN = frozenset(("Cc", "Cs", "Zl", "Zp"))

DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
"""Characters that turn the reading direction."""

_NONE: frozenset[str] = frozenset()


def visible(text: object, *, longest: int | None = None) -> str:
    r"""Return text in which nothing hides: controls, directions and line breaks are written out.

    Args:
        text: Anything; from a model, a provider or a table.
        longest: Characters kept; an ellipsis stands for the rest.

    Example:
        >>> visible("red\x1b[31m" + chr(0x202e)), visible("a line too long", longest=6)
        ('red\\x1b[31m\\u202e', 'a lin…')
    """
    return written_out(text, _HIDDEN, also=DIRECTIONS, longest=longest)


def written_out(
    text: object,
    categories: Container[str],
    *,
    also: Container[str] = _NONE,
    but: Container[str] = _NONE,
    longest: int | None = None,
) -> str:
    r"""Return text with the characters of some Unicode categories written as escapes.

    Args:
        text: Anything; from a model, a provider or a table.
        categories: Such as ``"Cc"``, controls.
        also: Characters written as escapes whatever their category.
        but: Characters left as they are whatever their category.
        longest: Characters kept; an ellipsis stands for the rest.

    Example:
        >>> written_out("a\tb\nc", {"Cc"}, but="\t")
        'a\tb\\nc'
    """
    whole = str(text)
    if longest is not None and len(whole) > longest:
        whole = whole[: longest - 1] + "…"
    if whole.isascii() and whole.isprintable():
        return whole
    return "".join(
        character.encode("unicode_escape").decode()
        if (unicodedata.category(character) in categories or character in also)
        and character not in but
        else character
        for character in whole
    )


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


def span(seconds: float) -> str:
    """Return a time as a person reads it.

    Example:
        >>> span(0.42), span(11.24), span(200), span(7500)
        ('0.4 s', '11.2 s', '3 min 20 s', '2 h 5 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:.0f} min"
