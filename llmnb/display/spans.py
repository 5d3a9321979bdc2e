"""A text of a person or a model in spans, as a page shows it: always text, nothing in it hidden."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from llmnb.display.escape import hides

Span = tuple[str, str]
"""Kinds, by blanks, and a text. Kinds are ``fill`` (from a cell), ``mark`` (found), ``ins``,
``del`` and, always the last, ``hid``: a control or a direction, written out."""

Range = tuple[int, int, str]
"""From a character of a text to before another: its kind."""

SHOWN = 2_000
"""Characters of an open text at first."""

LINE = 400
"""Characters of a text in a list."""

LONGEST = 100_000
"""Characters of a text that a page ever gets; copying takes all of it."""


def spans(text: str, ranges: Iterable[Range] = ()) -> list[Span]:
    r"""Return a text in spans.

    Args:
        text: Any text. Lines and tabs stay; joiners stay, which scripts and emoji need.
        ranges: Parts of it with a kind. They may overlap; in a span of several the first that
            was given comes first.

    Example:
        >>> spans("pay back" + chr(0x202e) + " now", [(4, 8, "mark")])
        [('', 'pay '), ('mark', 'back'), ('hid', '202e'), ('', ' now')]
    """
    result: list[Span] = []
    for start, end, kinds in _segments(len(text), list(ranges)):
        result += _visible(text[start:end], kinds)
    return result


def _segments(length: int, ranges: list[Range]) -> Iterator[tuple[int, int, str]]:
    if not ranges:
        yield 0, length, ""
        return
    edges = {0, length}
    for start, end, _ in ranges:
        edges |= {min(start, length), min(end, length)}
    # Ranges begin one after the other: those that are over are left behind.
    begun: list[tuple[int, Range]] = []
    coming = iter(sorted(enumerate(ranges), key=lambda pair: pair[1][0]))
    upcoming = next(coming, None)
    for start, end in itertools.pairwise(sorted(edges)):
        while upcoming is not None and upcoming[1][0] <= start:
            begun.append(upcoming)
            upcoming = next(coming, None)
        begun = [pair for pair in begun if pair[1][1] > start]
        yield start, end, " ".join(pair[1][2] for pair in sorted(begun))


def _visible(text: str, kinds: str) -> Iterator[Span]:
    text = text.replace("\r\n", "\n")
    if text.replace("\n", "").replace("\t", "").isprintable():  # most are
        if text:
            yield kinds, text
        return
    for is_hidden, part in itertools.groupby(text, lambda sign: hides(sign) and sign not in "\n\t"):
        if is_hidden:
            yield from ((f"{kinds} hid".lstrip(), f"{ord(sign):02x}") for sign in part)
        else:
            yield kinds, "".join(part)


def block(text: str, ranges: Iterable[Range] = (), *, shown: int = SHOWN) -> dict[str, Any]:
    """Return a text as a page's text block takes it, cut at some length.

    Args:
        text: Any text.
        ranges: Parts of it with a kind.
        shown: Characters of it.

    Returns:
        Its `spans`, and how many more characters a page can have (`more`).

    Example:
        >>> block("a line", shown=3)
        {'spans': [('', 'a l')], 'more': 3}
    """
    shown = max(0, min(shown, LONGEST))
    parts = spans(text[:shown], _before(ranges, shown))
    if shown == LONGEST < len(text):
        parts.append(("", "…"))
    return {"spans": parts, "more": max(0, min(len(text), LONGEST) - shown)}


def _before(ranges: Iterable[Range], end: int) -> list[Range]:
    return [(first, min(last, end), kind) for first, last, kind in ranges if first < end]


def cut_line(text: str, ranges: Iterable[Range] = (), *, longest: int = LINE) -> list[Span]:
    r"""Return the beginning of a text in spans, its lines joined, an ellipsis for what is left out.

    Example:
        >>> cut_line("one\ntwo", longest=5)
        [('', 'one t'), ('', '…')]
    """
    start = spans(text[:longest].replace("\n", " "), _before(ranges, longest))
    return [*start, ("", "…")] if len(text) > longest else start
