"""The forms an answer can be asked in: what the model is told, and how its answer is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from llmnb.display.escape import visible
from llmnb.errors import SchemaMismatch
from llmnb.notebook import markdown

Form = Literal["markdown", "text", "json", "code", "table"]
"""How an answer is asked for, read and shown."""

FORMS: tuple[Form, ...] = ("markdown", "text", "json", "code", "table")

INSTRUCTIONS: Mapping[Form, str] = {
    "json": "Answer with one JSON value and nothing else: no explanation, no code fence.",
    "code": "Answer with code only, in one fenced block, without any explanation.",
    "table": "Answer with one Markdown table and nothing else.",
}
"""What is added to the system message for a form."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table as text: names of columns, and rows of the same length."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def system_message(system: str, form: Form) -> str:
    """Return the system message for a form; empty where there is nothing to say.

    Example:
        >>> system_message("Be brief.", "markdown")
        'Be brief.'
    """
    return "\n\n".join(part for part in (system, INSTRUCTIONS.get(form, "")) if part)


def read(text: str, form: Form) -> Any:
    r"""Return what an answer holds: a JSON value, code, a `Table`, or the text itself.

    Raises:
        SchemaMismatch: If the answer is not of that form. It is kept all the same.

    Example:
        >>> read('Here you are: ```{"a": [1]}```', "json")
        {'a': [1]}
        >>> read("| a | b |\n|---|---|\n| 1 | x |", "table").rows
        (('1', 'x'),)
    """
    if form == "json":
        return _json(text)
    if form == "code":
        return _code(text)
    if form == "table":
        return _table(text)
    return text


def _mismatch(wanted: str, text: str) -> SchemaMismatch:
    start = visible(" ".join(text.split()), longest=120)
    return SchemaMismatch(
        f"The answer is not {wanted}: it begins {start!r}.\n"
        "Run the cell again with --no-cache to ask anew, or with another -f to take it as it is.",
        raw=text.encode("utf-8", "replace"),
    )


def _blocks(text: str) -> list[str]:
    """Return the contents of fenced blocks."""
    if len(text) > markdown.LONGEST_PARSED:
        return []
    return [token.content for token in markdown.tokens(text) if token.type == "fence"]


def _json(text: str) -> Any:
    from llmnb.schemas import finding  # its room is large, and most answers are no JSON

    for document in finding.documents(text):
        return document
    raise _mismatch("JSON", text)


def _code(text: str) -> str:
    blocks = _blocks(text)
    return "\n".join(blocks).strip("\n") if blocks else text.strip("\n")


def _table(text: str) -> Table:
    return _markdown_table(text) or _table_of_objects(text)


def _markdown_table(text: str) -> Table | None:
    if len(text) > markdown.LONGEST_PARSED:
        return None
    rows: list[list[str]] = []
    is_inside = False
    for token in markdown.tokens(text):
        if token.type == "table_open":
            is_inside = True
        elif token.type == "table_close":
            break
        elif is_inside and token.type == "tr_open":
            rows.append([])
        elif is_inside and token.type == "inline":
            parts = (one.content for one in token.children or ())
            rows[-1].append("".join(parts).strip())
    if not rows:
        return None
    return Table(tuple(rows[0]), tuple(tuple(row) for row in rows[1:]))


def _table_of_objects(text: str) -> Table:
    try:
        found = _json(text)
    except SchemaMismatch:
        raise _mismatch("a table", text) from None
    if not (isinstance(found, list) and found and all(isinstance(one, dict) for one in found)):
        raise _mismatch("a table", text)
    columns = tuple(dict.fromkeys(name for one in found for name in one))
    return Table(columns, tuple(tuple(one.get(name) for name in columns) for one in found))
