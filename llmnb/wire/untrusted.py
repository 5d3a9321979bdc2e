"""Fields of what a provider or a caller sent, read without trust: another type counts as absent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_LARGEST_COUNT = 2**53
"""More tokens than this are a mistake, not a count."""


def text_in(fields: Mapping[str, Any], name: str) -> str | None:
    """Return a field that is text, else None."""
    value = fields.get(name)
    return value if isinstance(value, str) else None


def dict_in(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a field that is an object, else an empty one."""
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def list_in(fields: Mapping[str, Any], name: str) -> list[Any]:
    """Return a field that is a list, else an empty one."""
    value = fields.get(name)
    return value if isinstance(value, list) else []


def dicts_in(fields: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the objects of a field that is a list.

    Example:
        >>> dicts_in({"data": [{"id": 1}, None]}, "data"), dicts_in({"data": 7}, "data")
        ([{'id': 1}], [])
    """
    return [entry for entry in list_in(fields, name) if isinstance(entry, dict)]


def join_texts(parts: Iterable[Mapping[str, Any]], name: str) -> str:
    """Return the joined texts of a field of several objects.

    Example:
        >>> join_texts([{"text": "a"}, {"text": None}, {"text": "b"}], "text")
        'ab'
    """
    return "".join(text for part in parts if isinstance(text := part.get(name), str))


def count_in(fields: Mapping[str, Any], name: str) -> int | None:
    """Return a field that is a number of tokens, else None.

    Example:
        >>> count_in({"n": 4.0}, "n"), count_in({"n": -1}, "n"), count_in({"n": True}, "n")
        (4, None, None)
    """
    value = fields.get(name)
    if type(value) is not int:
        if type(value) is not float or not value.is_integer():
            return None
        value = int(value)
    return value if 0 <= value < _LARGEST_COUNT else None


def index_of(entry: Mapping[str, Any]) -> int:
    """Return the index that an entry of a list gives itself, 0 where it gives none."""
    index = entry.get("index")
    return index if type(index) is int else 0
