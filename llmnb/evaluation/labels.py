"""Labels as they are compared: stripped and casefolded, shown in the first spelling."""

from __future__ import annotations

import datetime
import math
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from llmnb.display.texts import mended


def label_text(value: Any) -> str | None:
    """Return a value as the label that it is, None where it is missing or empty.

    A moment at midnight is a day, as which pandas keeps days.

    Example:
        >>> [label_text(value) for value in (" Yes ", True, 3.0, 2.5, None, float("nan"), "")]
        ['Yes', 'true', '3', '2.5', None, None, None]
        >>> label_text(datetime.datetime(2026, 1, 2))
        '2026-01-02'
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = mended(str(value).strip())
    if isinstance(value, datetime.datetime):
        text = text.removesuffix(" 00:00:00")
    return text or None


def folded(text: str) -> str:
    """Return a text as labels are compared: without capitals and outer blanks, composed.

    Example:
        >>> folded(" Caf\u0065\u0301 ") == folded("CAF\u00c9")
        True
    """
    text = text.strip().casefold()
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def label_key(value: Any) -> str | None:
    """Return a value as labels are compared, None where it is missing or empty.

    Example:
        >>> label_key(" Yes ") == label_key("yes"), label_key(3.0), label_key(None)
        (True, '3', None)
    """
    text = label_text(value)
    return None if text is None else folded(text)


class Spellings:
    """The labels of several columns, each under one key and shown as it was first written.

    Example:
        >>> spellings = Spellings()
        >>> [spellings.key(text) for text in ("Billing", "billing ", None)]
        ['billing', 'billing', None]
        >>> spellings.shown("billing")
        'Billing'
    """

    def __init__(self) -> None:
        self._shown: dict[str, str] = {}

    def key(self, value: Any) -> str | None:
        """Return the form in which a value is compared, None where it is missing."""
        text = label_text(value)
        if text is None:
            return None
        key = folded(text)
        self._shown.setdefault(key, text)
        return key

    def keys(self, values: Iterable[Any]) -> list[str | None]:
        """Return the forms in which values are compared."""
        values = list(values)
        if len(set(map(type, values)) - {type(None)}) > 1:  # True and 1 are not one label
            return [self.key(value) for value in values]
        try:
            # Most columns hold few labels: each is read once.
            known = {value: self.key(value) for value in dict.fromkeys(values)}
            return list(map(known.__getitem__, values))
        except TypeError:  # a list or a mapping
            return [self.key(value) for value in values]

    def shown(self, key: str | None) -> str:
        """Return how a label was written first; empty where there is none."""
        return "" if key is None else self._shown[key]


def numbers(values: Sequence[Any]) -> list[float | None]:
    """Return values as numbers, None where one is missing or none.

    Example:
        >>> numbers([1, 2.5, "3", None, "a few"])
        [1.0, 2.5, 3.0, None, None]
    """
    kinds = set(map(type, values)) - {type(None)}
    if kinds <= {float}:
        return [value if value is not None and math.isfinite(value) else None for value in values]
    return list(map(number, values))


def number(value: Any) -> float | None:
    """Return a value as a number, None where it is missing or none.

    Example:
        >>> number("4.5 "), number(3), number("about 3"), number(None), number(float("inf"))
        (4.5, 3.0, None, None, None)
    """
    if value is None or isinstance(value, bool):
        return None
    try:
        as_float = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return as_float if math.isfinite(as_float) else None
