"""A model's Markdown as HTML that does nothing.

The text is parsed, and what it holds is written anew: a few known elements, everything else
escaped. Raw HTML is text. Links and images are their words with the address beside them, so that
nothing is loaded and nothing can be clicked. Dollar signs and backslashes stand in elements of
their own, so that no formula is recognised. Control characters and directions are written out,
and blocks of code name no language.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING

from llmnb.display.escape import html_lines, html_text, html_without_formulas

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


def to_html(text: str) -> str:
    """Return a model's Markdown as HTML in which nothing of it is live.

    Example:
        >>> print(to_html("**Hi** <b>you</b>"), end="")
        <p><strong>Hi</strong> &lt;b&gt;you&lt;/b&gt;</p>
        >>> print(to_html("see [this](https://a.test)"), end="")
        <p>see this (<code>https://a.test</code>)</p>
    """
    html = preformatted(text[:LONGEST]) if len(text) > LONGEST_PARSED else _html(tokens(text))
    if (rest := len(text) - LONGEST) > 0:
        html += f"<p><em>… {rest:,} further characters are in .text</em></p>"
    return html


def preformatted(text: str) -> str:
    """Return text as it is, line by line, with nothing looked for in it."""
    return f'<pre style="white-space:pre-wrap">{html_lines(text)}</pre>'


def code_block(text: str) -> str:
    """Return code as an element of its own."""
    return f"<pre><code>{html_lines(text)}</code></pre>"


_TAGS = frozenset(("p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote"))
_TAGS |= {"em", "strong", "s", "table", "thead", "tbody", "tr", "th", "td"}


def _html(blocks: Iterable[Token]) -> str:
    out: list[str] = []
    for token in blocks:
        if token.type == "inline":
            out.append(_inline(token.children or ()))
        elif token.type == "hr":
            out.append("<hr>\n")
        elif token.type in ("fence", "code_block"):
            out.append(code_block(token.content.removesuffix("\n")) + "\n")
        elif not token.hidden:
            out.append(_tag(token) or html_without_formulas(token.content))
    return "".join(out)


def _inline(children: Iterable[Token]) -> str:
    out: list[str] = []
    href, link_at = "", 0
    for token in children:
        match token.type:
            case "softbreak":
                out.append("\n")
            case "hardbreak":
                out.append("<br>\n")
            case "code_inline":
                out.append(_code(token.content))
            case "image":
                words = html_without_formulas(token.content)
                out.append(f"[image: {words} ({_code(str(token.attrs.get('src', '')))})]")
            case "link_open":
                href, link_at = str(token.attrs.get("href", "")), len(out)
            case "link_close":
                if "".join(out[link_at:]) != html_without_formulas(href):
                    out.append(f" ({_code(href)})")
            case _:  # whatever else there is, it is text
                out.append(_tag(token) or html_without_formulas(token.content))
    return "".join(out)


def _code(text: str) -> str:
    return f"<code>{html_without_formulas(text)}</code>"


def _tag(token: Token) -> str:
    """Return a known element's beginning or end; empty for any other token."""
    if token.tag not in _TAGS or not token.nesting:
        return ""
    if token.nesting < 0:
        return f"</{token.tag}>" + ("\n" if token.block else "")
    attributes = "".join(
        f' {name}="{html_text(value)}"'
        for name, value in token.attrs.items()
        if name in ("start", "style")  # of a list's first number, of a cell's alignment
    )
    return f"<{token.tag}{attributes}>"
