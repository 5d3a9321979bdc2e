"""Cells of files that a spreadsheet may open: text there must not become a formula."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

_FORMULA = frozenset("=+-@＝＋－＠")
_BREAKS = ("\t", "\r", "\n")
"""Some programs take what follows one of them for a cell of its own."""

_NUMBER = re.compile(r"-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def inert(cell: Any) -> Any:
    r"""Return a cell that no spreadsheet takes for a formula; numbers stay numbers.

    Text that begins like one, be it behind blanks or signs that cannot be seen, gets an
    apostrophe before it; so does ``+49``, which would lose its sign.

    Example:
        >>> inert("=HYPERLINK(1)"), inert("\u00a0＝1+1"), inert("-5"), inert(-5), inert("fine")
        ("'=HYPERLINK(1)", "'\xa0＝1+1", '-5', -5, 'fine')
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
    return next((sign for sign in text if not _is_unseen(sign)), "") in _FORMULA


def _is_unseen(sign: str) -> bool:
    """Whether a sign leaves no mark: a blank, a control or formatting character."""
    return sign.isspace() or unicodedata.category(sign) in ("Cc", "Cf")
