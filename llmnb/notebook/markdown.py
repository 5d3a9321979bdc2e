"""A model's Markdown as HTML and as plain text, neither of which does anything.

The text is parsed, and what is found is written anew: a few known elements without
attributes, everything else escaped. Raw HTML is text. Links and images are their
words with the address beside them, so that nothing is loaded and nothing can be
clicked. Dollar signs and backslashes stand in elements of their own, so that no
formula is recognised. Control characters and directions are written out.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING

from llmnb.display.escape import html_lines, html_without_formulas

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

LONGEST = 100_000
"""Characters shown of an answer; all of it is in ``answer.text``."""

LONGEST_PARSED = 40_000
"""A longer text is shown as it is: some texts take a parser the square of their length."""

_TAGS = frozenset(("p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote"))
_TAGS |= {"em", "strong", "s", "table", "thead", "tbody", "tr", "th", "td"}
_ALIGNED = frozenset(("text-align:left", "text-align:center", "text-align:right"))


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
    found = preformatted(shown) if len(shown) > LONGEST_PARSED else _html(tokens(shown))
    return found + (f"<p><em>{html_without_formulas(note)}</em></p>" if note else "")


def preformatted(text: str) -> str:
    """Return text as it is, line by line, with nothing looked for in it."""
    return f'<pre style="white-space:pre-wrap">{html_lines(text)}</pre>'


def code_block(text: str) -> str:
    """Return code as an element of its own."""
    return f"<pre><code>{html_lines(text)}</code></pre>"


def _html(found: Iterable[Token]) -> str:
    out: list[str] = []
    _write_html(found, out)
    return "".join(out)


def _write_html(found: Iterable[Token], out: list[str]) -> None:
    href, words_at = "", 0
    for token in found:
        kind = token.type
        if kind == "inline":
            _write_html(token.children or (), out)
        elif kind == "text":
            out.append(html_without_formulas(token.content))
        elif kind == "softbreak":
            out.append("\n")
        elif kind == "hardbreak":
            out.append("<br>\n")
        elif kind == "hr":
            out.append("<hr>\n")
        elif kind == "code_inline":
            out.append(f"<code>{html_without_formulas(token.content)}</code>")
        elif kind in ("fence", "code_block"):
            out.append(code_block(token.content.removesuffix("\n")) + "\n")
        elif kind == "image":
            out.append(_image_html(token))
        elif kind == "link_open":
            href, words_at = str(token.attrs.get("href", "")), len(out)
        elif kind == "link_close":
            address = f"<code>{html_without_formulas(href)}</code>"
            if "".join(out[words_at:]) != html_without_formulas(href):
                out.append(f" ({address})")
        elif token.tag in _TAGS and kind.endswith(("_open", "_close")):
            if not token.hidden:
                out.append(_tag(token))
        else:  # nothing else is expected; whatever it is, it is text
            out.append(html_without_formulas(token.content))


def _tag(token: Token) -> str:
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


def _image_html(token: Token) -> str:
    source = html_without_formulas(str(token.attrs.get("src", "")))
    return f"[image: {html_without_formulas(token.content)} (<code>{source}</code>)]"
