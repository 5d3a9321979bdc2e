"""A model's Markdown as HTML and as plain text, neither of which does anything.

The text is parsed, and what is found is written anew: a few known elements without
attributes, everything else escaped. Raw HTML is text. Links and images are their
words with the address beside them, so that nothing is loaded and nothing can be
clicked. Dollar signs and backslashes stand in elements of their own, so that no
formula is recognised. Control characters and directions are written out.
"""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from llmnb.notebook import words

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

LONGEST = 100_000
"""Characters shown of an answer; all of it is in ``answer.text``."""

LONGEST_PARSED = 40_000
"""A longer text is shown as it is: some texts take a parser the square of their length."""

INERT = "tex2jax_ignore mathjax_ignore"
"""Classes that tell the page's typesetter to stay out."""

_TAGS = frozenset(("p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote"))
_TAGS |= {"em", "strong", "s", "table", "thead", "tbody", "tr", "th", "td"}
_ALIGNED = frozenset(("text-align:left", "text-align:center", "text-align:right"))
_FORMULA = re.compile(r"[$\\]")


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


# ------------------------------------------------------------------------------ text


def to_text(text: str) -> str:
    r"""Return text for a terminal or a plain output: lines stay, nothing else acts.

    Example:
        >>> to_text("one\r\ntwo \x1b[31m")
        'one\ntwo \\x1b[31m'
    """
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(words.visible(line.replace("\t", "    ")) for line in lines)


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
    return found + (f"<p><em>{inert(note)}</em></p>" if note else "")


def preformatted(text: str) -> str:
    """Return text as it is, line by line, with nothing looked for in it."""
    return f'<pre style="white-space:pre-wrap">{_code(text)}</pre>'


def code_block(text: str) -> str:
    """Return code as an element of its own."""
    return f"<pre><code>{_code(text)}</code></pre>"


def _code(text: str) -> str:
    # Typesetters pass over `pre` and `code`; the wrapper is for those that do not.
    return _spanned(html.escape(to_text(text), quote=True))


def inert(text: str) -> str:
    """Return text for a page, in which no formula is recognised either."""
    return _spanned(words.escaped(text.replace("\t", " ")))


def _spanned(escaped: str) -> str:
    return _FORMULA.sub(r"<span>\g<0></span>", escaped)


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
            out.append(inert(token.content))
        elif kind == "softbreak":
            out.append("\n")
        elif kind == "hardbreak":
            out.append("<br>\n")
        elif kind == "hr":
            out.append("<hr>\n")
        elif kind == "code_inline":
            out.append(f"<code>{inert(token.content)}</code>")
        elif kind in ("fence", "code_block"):
            out.append(code_block(token.content.removesuffix("\n")) + "\n")
        elif kind == "image":
            out.append(_image_html(token))
        elif kind == "link_open":
            href, words_at = str(token.attrs.get("href", "")), len(out)
        elif kind == "link_close":
            address = f"<code>{inert(href)}</code>"
            if "".join(out[words_at:]) != inert(href):
                out.append(f" ({address})")
        elif token.tag in _TAGS and kind.endswith(("_open", "_close")):
            if not token.hidden:
                out.append(_tag(token))
        else:  # nothing else is expected; whatever it is, it is text
            out.append(inert(token.content))


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
    source = inert(str(token.attrs.get("src", "")))
    return f"[image: {inert(token.content)} (<code>{source}</code>)]"
