"""A model's Markdown written anew, for pages that render Markdown themselves.

Everything that is not structure is written so that it cannot become any: marks are
entities, dollar signs and backslashes stand in elements of their own, links and
images are words with the address beside them, and blocks of code name no language.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from llmnb.display.escape import markdown_text, visible, visible_lines
from llmnb.notebook.markdown import LONGEST_PARSED, cut, tokens

if TYPE_CHECKING:
    from markdown_it.token import Token


def to_markdown(text: str) -> str:
    """Return a model's Markdown written anew, for pages that render it themselves.

    Everything that is not structure is written so that it cannot become any.

    Example:
        >>> to_markdown("**Hi** <b>you</b>")
        '**Hi** &#60;b&#62;you&#60;/b&#62;'
    """
    shown, note = cut(text)
    if len(shown) > LONGEST_PARSED:
        return fenced(shown) + (f"\n\n{markdown_text(note)}" if note else "")
    return _Writer().write(tokens(shown)) + (f"\n\n{markdown_text(note)}" if note else "")


def fenced(text: str) -> str:
    """Return a text as a block of code without a language."""
    runs = re.findall(r"`+", text)
    fence = "`" * max(3, 1 + max(map(len, runs), default=0))
    # Without a language: some pages draw a block named mermaid.
    return f"{fence}\n{visible_lines(text)}\n{fence}"


def _spanned_code(text: str) -> str:
    shown = visible(text.replace("\t", " "))
    if not shown.strip():
        return markdown_text(text)
    runs = re.findall(r"`+", shown)
    mark = "`" * (1 + max(map(len, runs), default=0))
    room = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{mark}{room}{shown}{room}{mark}"


class _Writer:
    """Writes blocks from the inside out: a container's text is marked when it is closed."""

    def __init__(self) -> None:
        self._open: list[list[str]] = [[]]
        self._markers: list[tuple[str, int]] = []
        self._columns = 0
        self._is_in_table = False

    def write(self, found: Iterable[Token]) -> str:
        for token in found:
            self._take(token)
        return "\n\n".join(self._open[0])

    def _take(self, token: Token) -> None:
        kind = token.type
        if token.tag == "table":
            self._is_in_table = token.nesting > 0
        if kind == "inline":
            text = _inline(token.children or ())
            # Between the bars of a table a bar is one of its own, in code as well.
            self._open[-1].append(text.replace("|", "\\|") if self._is_in_table else text)
        elif kind in ("fence", "code_block"):
            self._open[-1].append(fenced(token.content.removesuffix("\n")))
        elif kind == "hr":
            self._open[-1].append("---")
        elif kind in ("bullet_list_open", "ordered_list_open"):
            start = token.attrs.get("start", 1)
            number = start if isinstance(start, int) else 1
            self._markers.append(("-" if kind[0] == "b" else ".", number))
            self._open.append([])
        elif kind in ("bullet_list_close", "ordered_list_close"):
            self._markers.pop()
            self._close("\n")
        elif kind.endswith("_open") and kind.partition("_")[0] in _CONTAINERS:
            self._open.append([])
        elif kind.endswith("_close") and kind.partition("_")[0] in _CONTAINERS:
            self._end(kind.removesuffix("_close"), token)

    def _close(self, between: str, first: str = "", rest: str = "") -> None:
        lines = between.join(self._open.pop()).split("\n")
        marked = [first + lines[0], *(rest + line if line else rest.rstrip() for line in lines[1:])]
        self._open[-1].append("\n".join(marked))

    def _end(self, kind: str, token: Token) -> None:
        if kind == "blockquote":
            self._close("\n\n", "> ", "> ")
        elif kind == "list_item":
            mark, number = self._markers[-1]
            self._markers[-1] = (mark, number + 1)
            marker = "- " if mark == "-" else f"{number}. "
            self._close("\n\n", marker, " " * len(marker))
        elif kind == "heading":
            self._open[-1] = [one.replace("\n", " ") for one in self._open[-1]]
            self._close(" ", "#" * int(token.tag[1]) + " ")
        elif kind in ("th", "td"):
            self._close(" ")
        elif kind == "tr":
            self._columns = len(self._open[-1])
            self._close(" | ", "| ")
            self._open[-1][-1] += " |"
        elif kind == "thead":
            self._open[-1].append("|" + " --- |" * self._columns)
            self._close("\n")
        else:
            self._close("\n")


_CONTAINERS = frozenset(
    ("blockquote", "list", "heading", "paragraph", "table", "thead", "tbody", "tr", "th", "td")
)


def _inline(found: Iterable[Token]) -> str:
    out: list[str] = []
    href, words_at = "", 0
    for token in found:
        kind = token.type
        if kind == "softbreak":
            out.append("\n")
        elif kind == "hardbreak":
            out.append("  \n")
        elif kind == "code_inline":
            out.append(_spanned_code(token.content))
        elif kind == "image":
            source = _spanned_code(str(token.attrs.get("src", "")))
            out.append(f"&#91;image: {markdown_text(token.content)} ({source})&#93;")
        elif kind == "link_open":
            href, words_at = str(token.attrs.get("href", "")), len(out)
        elif kind == "link_close":
            if "".join(out[words_at:]) != markdown_text(href):
                out.append(f" ({_spanned_code(href)})")
        elif kind in _INLINE_MARKS:
            out.append(_INLINE_MARKS[kind])
        else:
            out.append(markdown_text(token.content))
    return "".join(out)


_INLINE_MARKS = {
    f"{kind}_{end}": mark
    for kind, mark in (("em", "*"), ("strong", "**"), ("s", "~~"))
    for end in ("open", "close")
}
