"""Whether the words that a model quotes stand in the text that it was shown."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

SHORTEST_PART = 4
"""Folded characters that each part of a shortened quote has at least: fewer stand anywhere."""

_WORK = 20_000_000
"""Characters compared at most before a quote that only ever cuts a number is given up."""

_IGNORED = (
    *((0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x180B, 0x180F), (0x200B, 0x200F)),
    *((0x202A, 0x202E), (0x2060, 0x206F), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFF9, 0xFFFB)),
    *((0xE0000, 0xE007F), (0xE0100, 0xE01EF)),
)
"""Characters that are not seen: soft hyphens, zero widths, directions, variation selectors."""

_SIGNS = {
    **{code: None for first, last in _IGNORED for code in range(first, last + 1)},
    **dict.fromkeys(map(ord, '"`´‘’‚‛“”„‟′″«»‹›「」『』'), "'"),
    **dict.fromkeys(map(ord, "‐‑‒–—―−"), "-"),
}
_BEFORE_DIGIT = re.compile(r"(?<=[\d.,])['\s]+(?=\d)")
_HYPHEN = re.compile(r"(?<=[^\W\d_])-+(?=[^\W\d_])")
_ELLIPSIS = re.compile(r"[\[(]\.{3,}[\])]|\.{3,}")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_MANY_MARKS = re.compile(rb"(?<=[^\0]{30})[^\0]+")
_GAP = "\0"
"""Stands for what tells two numbers apart."""


class CellTexts:
    r"""The texts of one row's cells, in which quotes are looked up.

    A quote is found where one of the texts holds it, after the same is done to both:

    - capitals and compatibility forms of Unicode (NFKC) are folded, such as ``ﬁ`` and full-width
      letters; characters that are not seen (soft hyphens, zero widths, marks of direction) count
      for nothing;
    - quotation marks and apostrophes count for nothing; all dashes are one, and between letters
      they count for nothing, so that a word broken at the end of a line is whole;
    - white space counts for nothing, but between numbers;
    - the final full stop, comma and the like of a quote are left out;
    - a quote with an ellipsis is found where its parts, of at least `SHORTEST_PART` characters
      each, stand in one text in their order;
    - a quote that begins or ends with a digit does not begin or end within a number.

    Nothing is found of a quote without a letter, a digit or a symbol.

    Args:
        texts: The cells' texts; None is missing.

    Example:
        >>> texts = CellTexts(["It came three days\nlate, “again”, for $15.", None])
        >>> [texts.has(quote) for quote in ("Three days late", '"again"', "came … late", "$1")]
        [True, True, True, False]
    """

    def __init__(self, texts: Iterable[str | None]) -> None:
        self._texts = [text for text in texts if text]
        self._folded: list[str] | None = None

    def has(self, quote: str) -> bool:
        """Return whether one of the texts holds a quote."""
        wanted = _folded(quote)
        bare = _trimmed(wanted)
        if not bare:
            return False
        as_it_is = quote.strip()
        if any(_place(as_it_is, text) >= 0 for text in self._texts):
            return True
        if self._folded is None:
            self._folded = [_folded(text) for text in self._texts]
        if any(_place(bare, text) >= 0 for text in self._folded):
            return True
        parts = [part for piece in _ELLIPSIS.split(wanted) if (part := _trimmed(piece))]
        if len(parts) < 2 or any(len(part) < SHORTEST_PART for part in parts):
            return False
        return any(_has_in_order(parts, text) for text in self._folded)


def is_supported(
    value: Any, quotes: str | Sequence[str] | None, texts: CellTexts, *, has_pictures: bool = False
) -> bool | None:
    """Return whether the words that are quoted for a value stand in its row.

    Args:
        value: The value; a list wants a quote for each of its items.
        quotes: A quote, or several: each of them has to be found.
        texts: The row's cells.
        has_pictures: Whether the row has pictures, whose words nobody can look up.

    Returns:
        None where nothing is claimed, the value being missing or empty, and where a quote that no
        text holds may stand in a picture.

    Example:
        >>> texts = CellTexts(["two apples, a pear"])
        >>> is_supported(["apple", "pear"], ["two apples", "a pear"], texts)
        True
        >>> is_supported(2, "two", texts), is_supported(2, "", texts), is_supported(None, "", texts)
        (True, False, None)
    """
    if value is None or value in ("", [], {}):
        return None
    quoted = [quotes] if isinstance(quotes, str) else list(quotes or ())
    quoted = [quote for quote in quoted if isinstance(quote, str) and quote.strip()]
    if len(quoted) < (len(value) if isinstance(value, list) else 1):
        return False
    if all(texts.has(quote) for quote in quoted):
        return True
    return None if has_pictures else False


def _folded(text: str) -> str:
    if not text.isascii():
        text = unicodedata.normalize("NFKC", _few_marks(text.translate(_SIGNS)).casefold())
    text = text.translate(_SIGNS).casefold()
    text = _BEFORE_DIGIT.sub(_GAP, text).replace("'", "")
    return _HYPHEN.sub("", "".join(text.split()))


def _few_marks(text: str) -> str:
    """Return a text in which no more than thirty combining marks follow each other.

    Ordering longer runs takes the square of their length. Source: Unicode Standard Annex 15,
    "Unicode Normalization Forms", section "Stream-Safe Text Format".
    """
    classes = bytes(map(unicodedata.combining, text))
    runs = [match.span() for match in _MANY_MARKS.finditer(classes)]
    ends = [0, *(end for _, end in runs)]
    starts = [*(start for start, _ in runs), len(text)]
    return "".join([text[end:start] for end, start in zip(ends, starts, strict=True)])


def _trimmed(quote: str) -> str:
    """Return a folded quote without what models put around it."""
    if quote.startswith(".."):  # not the point of ".5"
        quote = quote.lstrip(".")
    return quote.strip(_GAP).rstrip(".,;:!?" + _GAP)


def _place(quote: str, text: str, start: int = 0) -> int:
    """Return where a text holds a quote that cuts no number; -1 where it does not."""
    looks = 1 + _WORK // len(quote)
    while looks and (start := text.find(quote, start)) >= 0:
        if not _cuts_number(text, start, start + len(quote)):
            return start
        number = _NUMBER.match(text, start) if _begins_within(text, start) else None
        start = number.end() if number else start + 1
        looks -= 1
    return -1


def _cuts_number(text: str, start: int, end: int) -> bool:
    is_cut_behind = text[end - 1].isdecimal() and _goes_on(text[end : end + 2])
    return is_cut_behind or _begins_within(text, start)


def _begins_within(text: str, start: int) -> bool:
    """Whether a place is within a number."""
    return text[start].isdecimal() and _goes_on(text[max(0, start - 2) : start][::-1])


def _goes_on(signs: str) -> bool:
    """Whether signs, going outwards, belong to the number beside them."""
    return signs[:1].isdecimal() or (signs[:1] in (".", ",") and signs[1:].isdecimal())


def _has_in_order(parts: Sequence[str], text: str) -> bool:
    start = 0
    for part in parts:
        place = _place(part, text, start)
        if place < 0:
            return False
        start = place + len(part)
    return True
