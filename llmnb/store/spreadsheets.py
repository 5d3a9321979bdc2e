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
    if not isinstance(cell, str) or not cell or _NUMBER.fullmatch(cell):
        return cell
    if cell.startswith(_BREAKS):
        return "'" + cell
    first = next((sign for sign in cell if not _is_unseen(sign)), "")
    return "'" + cell if first in _FORMULA else cell


def _is_unseen(sign: str) -> bool:
    """Whether a sign leaves no mark: a blank, a control or formatting character."""
    return sign.isspace() or unicodedata.category(sign) in ("Cc", "Cf")
