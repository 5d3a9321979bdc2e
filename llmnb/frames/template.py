"""Prompts with column names in braces, filled in row by row.

The text between braces is the exact name of a column, spaces included; two
braces are one brace. Cells are data: what they hold is never expanded again,
and nothing of them but their text is looked at.
"""

from __future__ import annotations

import base64
import datetime
import difflib
import math
import re
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from llmnb.errors import UnknownField
from llmnb.wire.json_text import duration_text, is_container, json_text

_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


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
        self.text = text
        self._parts: list[tuple[str, bool]] = []
        """Literal texts, and names of columns marked True."""
        if text in columns:
            self._parts = [(text, True)]
        else:
            self._compile(text, columns)
        self._literals = ["" if is_field else part for part, is_field in self._parts]
        self._places = [
            (place, part) for place, (part, is_field) in enumerate(self._parts) if is_field
        ]
        self.fields = tuple(dict.fromkeys(part for part, is_field in self._parts if is_field))

    def _compile(self, text: str, columns: Sequence[str]) -> None:
        known = set(columns)
        end = 0
        literal = ""
        for match in _PIECE.finditer(text):
            literal += text[end : match.start()]
            end = match.end()
            found = match[0]
            if found in ("{{", "}}"):
                literal += found[0]
            elif match[1] is None:
                raise _lone_brace(text, match.start())
            elif match[1] not in known:
                raise _unknown(match[1], columns)
            else:
                if literal:
                    self._parts.append((literal, False))
                    literal = ""
                self._parts.append((match[1], True))
        literal += text[end:]
        if literal:
            self._parts.append((literal, False))

    def render(self, row: Mapping[str, Any]) -> str | None:
        """Return the prompt for a row, None where every field of it is missing.

        A template without fields is the same prompt for every row.
        """
        pieces = self._literals.copy()
        is_empty = True
        for place, field in self._places:
            text = cell_text(row.get(field))
            if text is not None:
                pieces[place] = text
                is_empty = False
        return None if is_empty and self._places else "".join(pieces)

    @property
    def parts(self) -> Sequence[tuple[str, bool]]:
        """Literal texts, and names of columns marked True, in order."""
        return tuple(self._parts)

    def asks(self, row: Mapping[str, Any]) -> bool:
        """Whether there is anything to ask about a row: `render` gives a prompt for it."""
        fields = self.fields
        return not fields or not all(is_missing(row.get(field)) for field in fields)


def prompt_template(text: str, columns: Sequence[str]) -> Template:
    """Return a prompt's template; a slip in a column's name is none.

    Raises:
        UnknownField: If a name in braces is no column, or the text is one mistyped.

    Example:
        >>> prompt_template("txet", ["text"])
        Traceback (most recent call last):
        llmnb.errors.UnknownField: The table has no column 'txet'. Did you mean 'text'?...
    """
    template = Template(text, columns)
    if not template.fields:
        # A single word that resembles a column's name is a slip, not a question.
        near = difflib.get_close_matches(text, columns, n=1)
        if near and len(text.split()) <= len(near[0].split()):
            raise UnknownField(
                f"The table has no column {text!r}. Did you mean {near[0]!r}? A prompt without "
                "a column would be the same for every row. Nothing was sent."
            )
    return template


def escaped(text: str) -> str:
    """Return a text as a template writes it: its braces doubled."""
    return text.replace("{", "{{").replace("}", "}}")


def cell_text(cell: Any) -> str | None:
    """Return a cell as text, None where it is missing; whatever holds others as JSON, whole.

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
    """Whether a cell holds nothing: None, NaN, NaT or pandas' NA."""
    if cell is None:
        return True
    if isinstance(cell, float):
        return math.isnan(cell)
    if isinstance(cell, Real):  # a float of numpy's other than float64
        return cell != cell  # only NaN differs from itself
    return type(cell).__name__ in ("NAType", "NaTType")


def _unknown(field: str, columns: Sequence[str]) -> UnknownField:
    near = difflib.get_close_matches(field, columns, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return UnknownField(
        f"The table has no column {field!r}.{hint} "
        f"It has: {', '.join(map(repr, columns))[:600]}.\n"
        "To write a brace itself, double it: {{ or }}. Nothing was sent."
    )


def _lone_brace(text: str, position: int) -> UnknownField:
    return UnknownField(
        f"The template has a single brace at character {position + 1}: "
        f"{text[max(0, position - 15) : position + 15]!r}.\n"
        "A column's name stands between { and }; a brace itself is doubled: {{ or }}."
    )
