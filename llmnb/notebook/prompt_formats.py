"""The formats in which an answer can be asked for: what is added to the prompt, how it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from llmnb.display.escape import visible
from llmnb.errors import SchemaMismatch
from llmnb.notebook import markdown

if TYPE_CHECKING:
    from pandas import DataFrame

Format = Literal["markdown", "text", "json", "code", "table"]
"""How an answer is asked for, read and shown."""

INSTRUCTIONS: Mapping[Format, str] = {
    "json": "Answer with one JSON value and nothing else: no explanation, no code fence.",
    "code": "Answer with code only, in one fenced block, without any explanation.",
    "table": "Answer with one Markdown table and nothing else.",
}
"""What is added to the system message for a format."""


def system_message(system: str, form: Format) -> str:
    """Return the system message for a format; empty where there is nothing to say.

    Example:
        >>> system_message("Be brief.", "markdown")
        'Be brief.'
    """
    return "\n\n".join(part for part in (system, INSTRUCTIONS.get(form, "")) if part)


def read(text: str, form: Format) -> Any:
    r"""Return what an answer holds: a JSON value, code, a frame, or the text itself.

    Raises:
        SchemaMismatch: If the answer is not of that format. It is kept all the same.

    Example:
        >>> read('Here you are: ```{"a": [1]}```', "json")
        {'a': [1]}
        >>> read("| a | b |\n|---|---|\n| 1 | x |", "table").to_dict("list")
        {'a': [1], 'b': ['x']}
    """
    match form:
        case "json":
            return _json(text, "JSON")
        case "code":
            blocks = [token.content for token in _tokens(text) if token.type == "fence"]
            return "\n".join(blocks).strip("\n") if blocks else text.strip("\n")
        case "table":
            return _table(text)
    return text


def _mismatch(wanted: str, text: str) -> SchemaMismatch:
    start = visible(" ".join(text.split()), longest=120)
    return SchemaMismatch(
        f"The answer is not {wanted}: it begins {start!r}.\n"
        "Run the cell again with --no-cache to ask anew, or with another -f to take it as it is.",
        raw=text.encode("utf-8", "replace"),
    )


def _tokens(text: str) -> list[Any]:
    return [] if len(text) > markdown.LONGEST_PARSED else markdown.tokens(text)


def _json(text: str, wanted: str) -> Any:
    from llmnb.schemas import finding  # its room is large, and most answers are no JSON

    for document in finding.documents(text):
        return document
    raise _mismatch(wanted, text)


def _table(text: str) -> DataFrame:
    """Return the first Markdown table of a text, else a JSON list of objects, as a frame."""
    from llmnb.frames.pandas_source import frame_of

    rows: list[list[Any]] = []
    for token in _tokens(text):
        if token.type == "table_close":
            break
        if token.type == "tr_open":
            rows.append([])
        elif rows and token.type == "inline":
            rows[-1].append("".join(child.content for child in token.children or ()).strip())
    if rows:
        return frame_of(rows[0], rows[1:])
    objects = _json(text, "a table")
    if not (
        isinstance(objects, list) and objects and all(isinstance(row, dict) for row in objects)
    ):
        raise _mismatch("a table", text)
    columns = list(dict.fromkeys(name for row in objects for name in row))
    return frame_of(columns, [[row.get(name) for name in columns] for row in objects])
