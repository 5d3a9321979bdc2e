"""Cells that hold whole conversations: lists of messages, or JSON text of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmnb.errors import InputError
from llmnb.frames.template import is_missing
from llmnb.wire.json_text import exact_json, is_container, json_text

_FORM = "a list of messages with role and content, or JSON text of one. Nothing was sent for it."


def conversation(cell: Any) -> list[dict[str, Any]] | None:
    """Return a cell's messages, None where there are none.

    Args:
        cell: A list of mappings with ``role`` and ``content``, or JSON text of one; arrays of
            NumPy and tuples are lists.

    Raises:
        InputError: If it is something else.

    Example:
        >>> conversation('[{"role": "user", "content": "Hi"}]')
        [{'role': 'user', 'content': 'Hi'}]
        >>> conversation([]) is None
        True
    """
    if isinstance(cell, str):
        if not cell.strip():
            return None
        try:
            cell = exact_json(cell)
        except ValueError as error:
            raise InputError(f"A conversation that is no JSON ({error}): it is {_FORM}") from None
    elif is_missing(cell):
        return None
    elif is_container(cell) and not isinstance(cell, (list, Mapping)):
        cell = exact_json(json_text(cell))  # an array or a tuple
    if not isinstance(cell, list):
        raise InputError(f"A conversation that is a {type(cell).__name__}: it is {_FORM}")
    for number, message in enumerate(cell):
        if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
            raise InputError(f"Message {number + 1} of a conversation has no role: it is {_FORM}")
    return [_message(message) for message in cell] or None


def last_text(cell: Any) -> str:
    """Return what a conversation says last, as text."""
    try:
        messages = conversation(cell)
    except InputError as error:
        return error.message
    content = messages[-1].get("content") if messages else None
    return content if isinstance(content, str) else json_text(content)


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message without the fields that a table's column holds for other rows only."""
    return {
        str(name): value
        for name, value in message.items()
        if value is not None or name == "content"
    }
