"""A model's Markdown as HTML and as Markdown written anew, neither of which does anything.

The text is parsed, and what it holds is written anew: a few known elements, everything else
escaped. Raw HTML is text. Links and images are their words with the address beside them, so that
nothing is loaded and nothing can be clicked. Dollar signs and backslashes stand in elements of
their own, so that no formula is recognised. Control characters and directions are written out,
and blocks of code name no language.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmnb.display.escape import (
    html_lines,
    html_without_formulas,
    markdown_text,
    visible,
    visible_lines,
)

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

LONGEST = 100_000
"""Characters shown of an answer; all of it is in ``answer.text``."""

LONGEST_PARSED = 40_000
"""A longer text is shown as it is: some texts take a parser the square of their length."""


@functools.cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # not before there is an answer

    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def tokens(text: str) -> list[Token]:
    """Return what a text holds as Markdown; raw HTML is not looked for."""
    return _parser().parse(text)


def cut(text: str) -> tuple[str, str]:
    """Return what is shown of a text, and a note on what is not.

    Example:
        >>> cut("short")
        ('short', '')
    """
    if len(text) <= LONGEST:
        return text, ""
    return text[:LONGEST], f"… {len(text) - LONGEST:,} further characters are in .text"


# ------------------------------------------------------------------- inside a paragraph


@dataclass(frozen=True, slots=True)
class _Style:
    """How the inside of a paragraph is written."""

    text: Callable[[str], str]
    code: Callable[[str], str]
    mark: Callable[[Token], str]
    """Writes where stress begins or ends; empty for any other token."""

    line_break: str
    brackets: tuple[str, str]
    """Around an image's words."""


def _inline(children: Iterable[Token], style: _Style) -> str:
    out: list[str] = []
    href, link_at = "", 0
    for token in children:
        match token.type:
            case "softbreak":
                out.append("\n")
            case "hardbreak":
                out.append(style.line_break)
            case "code_inline":
                out.append(style.code(token.content))
            case "image":
                source = style.code(str(token.attrs.get("src", "")))
                first, last = style.brackets
                out.append(f"{first}image: {style.text(token.content)} ({source}){last}")
            case "link_open":
                href, link_at = str(token.attrs.get("href", "")), len(out)
            case "link_close":
                if "".join(out[link_at:]) != style.text(href):
                    out.append(f" ({style.code(href)})")
            case _:  # whatever else there is, it is text
                out.append(style.mark(token) or style.text(token.content))
    return "".join(out)


# ------------------------------------------------------------------------------ HTML


def to_html(text: str) -> str:
    """Return a model's Markdown as HTML in which nothing of it is live.

    Example:
        >>> print(to_html("**Hi** <b>you</b>"), end="")
        <p><strong>Hi</strong> &lt;b&gt;you&lt;/b&gt;</p>
        >>> print(to_html("see [this](https://a.test)"), end="")
        <p>see this (<code>https://a.test</code>)</p>
    """
    shown, note = cut(text)
    html = preformatted(shown) if len(shown) > LONGEST_PARSED else _html(tokens(shown))
    return html + (f"<p><em>{html_without_formulas(note)}</em></p>" if note else "")


def preformatted(text: str) -> str:
    """Return text as it is, line by line, with nothing looked for in it."""
    return f'<pre style="white-space:pre-wrap">{html_lines(text)}</pre>'


def code_block(text: str) -> str:
    """Return code as an element of its own."""
    return f"<pre><code>{html_lines(text)}</code></pre>"


_TAGS = frozenset(("p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote"))
_TAGS |= {"em", "strong", "s", "table", "thead", "tbody", "tr", "th", "td"}
_ALIGNED = frozenset(("text-align:left", "text-align:center", "text-align:right"))


def _html(blocks: Iterable[Token]) -> str:
    out: list[str] = []
    for token in blocks:
        if token.type == "inline":
            out.append(_inline(token.children or (), _HTML))
        elif token.type == "hr":
            out.append("<hr>\n")
        elif token.type in ("fence", "code_block"):
            out.append(code_block(token.content.removesuffix("\n")) + "\n")
        elif not token.hidden:
            out.append(_tag(token) or html_without_formulas(token.content))
    return "".join(out)


def _tag(token: Token) -> str:
    """Return a known element's beginning or end; empty for any other token."""
    if token.tag not in _TAGS or not token.nesting:
        return ""
    if token.nesting < 0:
        return f"</{token.tag}>" + ("\n" if token.block else "")
    attributes = ""
    style = str(token.attrs.get("style", ""))
    start = token.attrs.get("start")
    if token.tag in ("th", "td") and style in _ALIGNED:
        attributes = f' style="{style}"'
    elif token.tag == "ol" and isinstance(start, int):
        attributes = f' start="{start}"'
    return f"<{token.tag}{attributes}>"


_HTML = _Style(
    text=html_without_formulas,
    code=lambda text: f"<code>{html_without_formulas(text)}</code>",
    mark=_tag,
    line_break="<br>\n",
    brackets=("[", "]"),
)


# -------------------------------------------------------------------- Markdown, anew


def to_markdown(text: str) -> str:
    """Return a model's Markdown written anew, for pages that render it themselves.

    Everything that is not structure is written so that it cannot become any.

    Example:
        >>> to_markdown("**Hi** <b>you</b>")
        '**Hi** &#60;b&#62;you&#60;/b&#62;'
    """
    shown, note = cut(text)
    markdown = fenced(shown) if len(shown) > LONGEST_PARSED else _Writer().write(tokens(shown))
    return markdown + (f"\n\n{markdown_text(note)}" if note else "")


def fenced(text: str) -> str:
    """Return a text as a block of code without a language."""
    fence = "`" * max(3, 1 + _longest_ticks(text))
    # Without a language: some pages draw a block named mermaid.
    return f"{fence}\n{visible_lines(text)}\n{fence}"


def _longest_ticks(text: str) -> int:
    return max(map(len, re.findall(r"`+", text)), default=0)


def _code_span(text: str) -> str:
    shown = visible(text.replace("\t", " "))
    if not shown.strip():
        return markdown_text(text)
    ticks = "`" * (1 + _longest_ticks(shown))
    room = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{ticks}{room}{shown}{room}{ticks}"


_MARKS = {"em": "*", "strong": "**", "s": "~~"}

_MARKDOWN = _Style(
    text=markdown_text,
    code=_code_span,
    mark=lambda token: _MARKS.get(token.tag, "") if token.nesting else "",
    line_break="  \n",
    brackets=("&#91;", "&#93;"),
)

_CONTAINERS = frozenset(
    ("blockquote", "list", "heading", "paragraph", "table", "thead", "tbody", "tr", "th", "td")
)


class _Writer:
    """Writes blocks from the inside out: a container's text is marked when it is closed."""

    def __init__(self) -> None:
        self._open: list[list[str]] = [[]]
        self._lists: list[int | None] = []
        """Of each open list the number of its next item, None where it has bullets."""

        self._columns = 0
        self._is_in_table = False

    def write(self, blocks: Iterable[Token]) -> str:
        for token in blocks:
            self._take(token)
        return "\n\n".join(self._open[0])

    def _take(self, token: Token) -> None:
        kind = token.type
        if token.tag == "table":
            self._is_in_table = token.nesting > 0
        if kind == "inline":
            text = _inline(token.children or (), _MARKDOWN)
            # Between the bars of a table a bar is one of its own, in code as well.
            self._open[-1].append(text.replace("|", "\\|") if self._is_in_table else text)
        elif kind in ("fence", "code_block"):
            self._open[-1].append(fenced(token.content.removesuffix("\n")))
        elif kind == "hr":
            self._open[-1].append("---")
        elif token.tag in ("ul", "ol") and token.nesting > 0:
            start = token.attrs.get("start", 1)
            number = start if isinstance(start, int) else 1
            self._lists.append(number if token.tag == "ol" else None)
            self._open.append([])
        elif token.tag in ("ul", "ol"):
            self._lists.pop()
            self._close("\n")
        elif token.nesting and kind.partition("_")[0] in _CONTAINERS:
            if token.nesting > 0:
                self._open.append([])
            else:
                self._end(kind.removesuffix("_close"), token)

    def _close(self, between: str, first: str = "", rest: str = "") -> None:
        lines = between.join(self._open.pop()).split("\n")
        marked = [first + lines[0], *(rest + line if line else rest.rstrip() for line in lines[1:])]
        self._open[-1].append("\n".join(marked))

    def _end(self, kind: str, token: Token) -> None:
        if kind == "blockquote":
            self._close("\n\n", "> ", "> ")
        elif kind == "list_item":
            number = self._lists[-1]
            marker = "- " if number is None else f"{number}. "
            self._lists[-1] = None if number is None else number + 1
            self._close("\n\n", marker, " " * len(marker))
        elif kind == "heading":
            self._open[-1] = [text.replace("\n", " ") for text in self._open[-1]]
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
