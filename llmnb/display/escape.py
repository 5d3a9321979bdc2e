"""Text of models, providers, tables and files, so that nothing in it acts or hides.

Each function takes text for one place: a terminal or a message, HTML, a cell of a file
that a spreadsheet may open. Tests try each with every hostile text there is in
`tests/display/test_escape.py`; every text that is shown goes through one of these.
"""

from __future__ import annotations

import html
import re
import unicodedata
from typing import Any

from llmnb.display.texts import cut

_JOINERS = frozenset("\u200c\u200d\u00ad")
# Letters of Indic scripts and emoji need the joiners; a soft hyphen does nothing to a line.

_HIDDEN = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
_FORMULA = re.compile(r"[$\\]")


_FORMULA_SIGNS = frozenset("=+-@＝＋－＠")
_BREAKS = ("\t", "\r", "\n")
"""Some programs take what follows one of them for a cell of its own."""

_NUMBER = re.compile(r"-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def visible(text: object, *, longest: int | None = None) -> str:
    r"""Return text in which nothing hides: controls, directions and line breaks are written out.

    Args:
        text: Anything; from a model, a provider or a table.
        longest: Characters kept; an ellipsis stands for the rest.

    Example:
        >>> visible("red\x1b[31m" + chr(0x202e)), visible("a line too long", longest=6)
        ('red\\x1b[31m\\u202e', 'a lin…')
    """
    whole = str(text)
    if longest is not None:
        whole = cut(whole, longest)
    if whole.isprintable():
        return whole
    return "".join(
        character.encode("unicode_escape").decode() if hides(character) else character
        for character in whole
    )


def hides(character: str) -> bool:
    """Whether a character is never seen: a control, a direction, a line break, half of another."""
    return unicodedata.category(character) in _HIDDEN and character not in _JOINERS


def summary(kind: str, text: str, *, longest: int = 200) -> str:
    """Return the `repr` of an object that says how it stands: one line, whatever is in its names.

    Example:
        >>> summary("Plan", "3 rows, " + "x" * 300)[:16], len(summary("Plan", "x" * 300))
        ('<Plan 3 rows, xx', 200)
    """
    return f"<{kind} {cut(visible(text), longest - len(kind) - 3)}>"


def visible_lines(text: str) -> str:
    r"""Return text for a terminal or a plain output: lines stay, nothing else acts.

    Example:
        >>> visible_lines("one\r\ntwo \x1b[31m")
        'one\ntwo \\x1b[31m'
    """
    lines = text.replace("\r\n", "\n").replace("\t", "    ").split("\n")
    return "\n".join(map(visible, lines))


def html_text(text: object, *, longest: int | None = None) -> str:
    """Return text for the inside of an HTML element or of a quoted attribute.

    Example:
        >>> html_text('<img src="x">')
        '&lt;img src=&quot;x&quot;&gt;'
    """
    return html.escape(visible(text, longest=longest), quote=True)


def html_without_formulas(text: str) -> str:
    r"""Return text for the inside of an HTML element on a page that looks for formulas.

    Example:
        >>> html_without_formulas("$x$ <b>")
        '<span>$</span>x<span>$</span> &lt;b&gt;'
    """
    return _without_formulas(html_text(text.replace("\t", " ")))


def html_lines(text: str) -> str:
    """Return lines of text for an HTML element that keeps them, such as `pre`."""
    return _without_formulas(html.escape(visible_lines(text), quote=True))


def _without_formulas(escaped: str) -> str:
    return _FORMULA.sub(r"<span>\g<0></span>", escaped)


# ----------------------------------------------------------------- cells of spreadsheets


def inert_cell(cell: Any) -> Any:
    r"""Return a cell that no spreadsheet takes for a formula; numbers stay numbers.

    Text that begins like one, be it behind blanks or signs that cannot be seen, gets an
    apostrophe before it; so does ``+49``, which would lose its sign.

    Example:
        >>> [inert_cell(cell) for cell in ("=HYPERLINK(1)", "\u00a0＝1+1", "-5", -5, "fine")]
        ["'=HYPERLINK(1)", "'\xa0＝1+1", '-5', -5, 'fine']
    """
    return "'" + cell if isinstance(cell, str) and is_formula(cell) else cell


def is_formula(text: str) -> bool:
    r"""Whether a spreadsheet may take a text for a formula, or for several cells.

    Example:
        >>> is_formula(" =1+1"), is_formula("\tfine"), is_formula("-5"), is_formula("1+1")
        (True, True, False, False)
    """
    if not text or _NUMBER.fullmatch(text):
        return False
    if text.startswith(_BREAKS):
        return True
    seen = (
        sign
        for sign in text
        # Blanks and characters of control or format leave no mark.
        if not sign.isspace() and unicodedata.category(sign) not in ("Cc", "Cf")
    )
    return next(seen, "") in _FORMULA_SIGNS
