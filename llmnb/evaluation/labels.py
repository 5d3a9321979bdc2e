"""Labels as they are compared: stripped and casefolded, shown in the first spelling."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any


def label_text(value: Any) -> str | None:
    """Return a value as the label that it is, None where it is missing or empty.

    Example:
        >>> [label_text(value) for value in (" Yes ", True, 3.0, 2.5, None, float("nan"), "")]
        ['Yes', 'true', '3', '2.5', None, None, None]
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip() or None


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
        key = text.casefold()
        self._shown.setdefault(key, text)
        return key

    def keys(self, values: Iterable[Any]) -> list[str | None]:
        """Return the forms in which values are compared."""
        return [self.key(value) for value in values]

    def shown(self, key: str | None) -> str:
        """Return how a label was written first; empty where there is none."""
        return "" if key is None else self._shown[key]


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
    except (TypeError, ValueError):
        return None
    return as_float if math.isfinite(as_float) else None
