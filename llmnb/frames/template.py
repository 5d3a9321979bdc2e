"""Prompts with column names in braces, filled in row by row; and what a cell holds, as text.

The text between braces is the exact name of a column, spaces included; two
braces are one brace. Cells are data: what they hold is never expanded again,
and nothing of them but their text is looked at.
"""

from __future__ import annotations

import base64
import datetime
import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from numbers import Number
from typing import Any, Self

from llmnb.errors import InputError, UnknownField
from llmnb.wire.json_text import duration_text, exact_json, is_container, json_text

_MARK = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class Template:
    """A prompt compiled for the columns of one table.

    Args:
        text: A column's name, or a text with columns' names in braces.
        columns: The table's columns.

    Raises:
        UnknownField: If a name in braces is no column; the message lists those there are.

    Example:
        >>> Template("{title}: {a b} {{sic}}", ["title", "a b"]).render({"title": "T", "a b": 7})
        'T: 7 {sic}'
        >>> Template("title", ["title"]).render({"title": "Just the cell {title}"})
        'Just the cell {title}'
    """

    def __init__(self, text: str, columns: Sequence[str]) -> None:
        self._text = text
        self.parts = [(text, True)] if text in columns else list(_parts(text, columns))
        """Literal texts, and names of columns marked True, in order."""

        self.fields = tuple(dict.fromkeys(part for part, is_field in self.parts if is_field))
        """Names of the columns that it reads, each once."""

    @classmethod
    def of_parts(cls, *parts: tuple[str, bool]) -> Self:
        """Return the template of literal texts and names of columns, whatever is in these.

        Args:
            *parts: Texts; True marks a column's name.

        Example:
            >>> Template.of_parts(("Hi ", False), ("a {b}", True)).render({"a {b}": "Ann"})
            'Hi Ann'
        """
        made = cls("", [""])
        made.parts = list(parts)
        made.fields = tuple(dict.fromkeys(part for part, is_field in parts if is_field))
        made._text = "".join(f"{{{part}}}" if is_field else part for part, is_field in parts)
        return made

    def __str__(self) -> str:
        return self._text

    def render(self, row: Mapping[str, Any]) -> str | None:
        """Return the prompt for a row, None where every field of it is missing.

        A template without fields is the same prompt for every row.
        """
        cells = {field: cell_text(row.get(field)) for field in self.fields}
        if cells and all(cell is None for cell in cells.values()):
            return None
        return "".join([(cells[part] or "") if is_field else part for part, is_field in self.parts])


def _parts(text: str, columns: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Yield the literal texts of a template, and the names of columns, which are marked True."""
    known = set(columns)
    end, literal = 0, ""
    for match in _MARK.finditer(text):
        literal += text[end : match.start()]
        end = match.end()
        if match[0] in ("{{", "}}"):
            literal += match[0][0]
        elif match[1] in known:
            if literal:
                yield literal, False
            yield match[1], True
            literal = ""
        else:
            raise _wrong_brace(text, match, columns)
    if literal := literal + text[end:]:
        yield literal, False


def _wrong_brace(text: str, match: re.Match[str], columns: Sequence[str]) -> UnknownField:
    """Return the error of a single brace, or of braces around what is no column."""
    if match[1] is None:
        start = match.start()
        return UnknownField(
            f"The template has a single brace at character {start + 1}: "
            f"{text[max(0, start - 15) : start + 15]!r}.\n"
            "A column's name stands between { and }; a brace itself is doubled: {{ or }}. "
            "Nothing was sent."
        )
    note = "\nTo write a brace itself, double it: {{ or }}."
    if len(writable(columns)) < len(columns):
        note += " A column with a brace in its name has to be renamed before a prompt can name it."
    return unknown_column(match[1], columns, note)


def writable(columns: Sequence[str]) -> list[str]:
    """Return the names that can stand between braces: those without one.

    Example:
        >>> writable(["a b", "{c}"])
        ['a b']
    """
    return [name for name in columns if "{" not in name and "}" not in name]


def wrong_field(text: str, columns: Sequence[str]) -> tuple[str, str]:
    """Return the first name in braces that is no column, and the likely one; empty where none is.

    Example:
        >>> wrong_field("{subjekt} {{sic}}", ["subject"])
        ('subjekt', 'subject')
    """
    for match in _MARK.finditer(text):
        if match[1] is not None and match[1] not in columns:
            near = difflib.get_close_matches(match[1], columns, n=1)
            return match[1], near[0] if near else ""
    near = difflib.get_close_matches(text, columns, n=1) if text not in columns else []
    return ("", near[0]) if near else ("", "")


def unknown_column(name: str, columns: Sequence[str], note: str = "") -> UnknownField:
    """Return the error for a name that no column has, with the nearest one and all of them."""
    near = difflib.get_close_matches(name, columns, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    has = f"It has: {listed(columns)}." if columns else "It has no columns."
    return UnknownField(f"The table has no column {name!r}.{hint} {has}{note} Nothing was sent.")


def listed(columns: Sequence[str]) -> str:
    """Return the names of columns for an error; the values of a series are ``{}``."""
    return ", ".join(repr(name) if name else "{}" for name in columns)[:600]


def ambiguous_column(name: str) -> InputError:
    """Return the error for a name that several columns have."""
    return InputError(
        f"The table has several columns named {name!r}, so nobody can say which one is meant: "
        "rename them. Nothing was sent."
    )


def prompt_template(text: str, columns: Sequence[str]) -> Template:
    """Return a prompt's template; refuse a word that looks like a mistyped column.

    Raises:
        UnknownField: If a name in braces is no column, or the text is one mistyped.

    Example:
        >>> prompt_template("txet", ["text"])
        Traceback (most recent call last):
        llmnb.errors.UnknownField: The table has no column 'txet'. Did you mean 'text'?...
    """
    template = Template(text, columns)
    if not template.fields:
        # A single word that resembles a column's name is a typing error, not a prompt.
        near = difflib.get_close_matches(text, columns, n=1)
        if near and len(text.split()) <= len(near[0].split()):
            raise UnknownField(
                f"The table has no column {text!r}. Did you mean {near[0]!r}? A prompt without "
                "a column would be the same for every row. Nothing was sent."
            )
    return template


def escaped(text: str) -> str:
    """Return a text with its braces doubled, as a template writes them."""
    return text.replace("{", "{{").replace("}", "}}")


def cell_text(cell: Any) -> str | None:
    """Return a cell as text, None where it is missing; containers become complete JSON.

    The same text for a cell of pandas, Polars, Dask or a file: bytes are base64, spans of time
    as pandas writes them.

    Raises:
        InputError: If it is nested too deeply.

    Example:
        >>> cell_text(1.5), cell_text({"a": [1]}), cell_text(float("nan"))
        ('1.5', '{"a":[1]}', None)
    """
    if isinstance(cell, str):
        return cell
    if is_missing(cell):
        return None
    if is_container(cell):
        return json_text(cell)
    if isinstance(cell, (bytes, bytearray, memoryview)):
        return base64.b64encode(cell).decode()
    if isinstance(cell, datetime.timedelta):
        return duration_text(cell)
    return str(cell)


def is_missing(cell: Any) -> bool:
    """Return whether a cell is missing: None, NaT, pandas' NA, or a NaN, a decimal's too."""
    if cell is None:
        return True
    kind = type(cell).__name__
    if isinstance(cell, (float, Number)) or kind == "datetime64":  # which is numpy's
        return bool(cell != cell)  # only NaN and NaT differ from themselves
    return kind in ("NAType", "NaTType")


_NEVER_MISSING = frozenset((str, int, bool, type(None)))


def known_cells(cells: Sequence[Any]) -> list[Any]:
    """Return cells with None in the place of each that is missing.

    Example:
        >>> known_cells(["a", float("nan"), 1.5])
        ['a', None, 1.5]
    """
    kinds = set(map(type, cells)) - _NEVER_MISSING
    if not kinds:
        return list(cells)
    if kinds == {float}:
        return [None if cell != cell else cell for cell in cells]  # only NaN differs from itself
    return [None if is_missing(cell) else cell for cell in cells]


# ----------------------------------------------------------------------- conversations

_MESSAGES = (
    "a list of messages with role and content, or JSON text of one. Nothing was sent for it."
)


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
            raise InputError(
                f"A conversation that is no JSON ({error}): it is {_MESSAGES}"
            ) from None
    elif is_missing(cell):
        return None
    elif is_container(cell) and not isinstance(cell, (list, Mapping)):
        cell = exact_json(json_text(cell))  # an array or a tuple
    if not isinstance(cell, list):
        raise InputError(f"A conversation of type {type(cell).__name__}: it is {_MESSAGES}")
    for number, message in enumerate(cell):
        if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
            raise InputError(
                f"Message {number + 1} of a conversation has no role: it is {_MESSAGES}"
            )
    return [_message(message) for message in cell] or None


def last_text(cell: Any) -> str:
    """Return the last message of a conversation as text."""
    try:
        messages = conversation(cell)
    except InputError as error:
        return error.message
    content = messages[-1].get("content") if messages else None
    return content if isinstance(content, str) else json_text(content)


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message without fields that are None because only other rows have them."""
    return {
        str(name): value
        for name, value in message.items()
        if value is not None or name == "content"
    }
