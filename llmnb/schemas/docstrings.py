"""Reads what a docstring says of a function and of its arguments.

Google's, numpy's and Sphinx's styles are understood; a docstring in
none of them is a description only.
"""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_ARGUMENTS = frozenset(("args", "arguments", "parameters", "params", "other parameters"))
_SECTIONS = _ARGUMENTS | {
    *("returns", "return", "raises", "raise", "yields", "yield", "example", "examples", "note"),
    *("notes", "see also", "references", "attributes", "warns", "warnings", "keyword args"),
    *("keyword arguments", "todo", "source", "receives", "methods"),
}
_NAMED = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)")
"""``name: text`` or ``name (type): text``."""

_LISTED = re.compile(r"\*{0,2}(\w+(?:\s*,\s*\*{0,2}\w+)*)\s*(?::.*)?()")
"""``name``, ``name : type`` or ``first, second : type``."""

_SPHINX = re.compile(r":(?:param|parameter|arg|argument)\s+(?:[^:]*\s)?\*{0,2}(\w+)\s*:\s*(.*)")
_RULE = re.compile(r"-{3,}")
_FIELD, _AFTER = ":", "after"


@dataclass(slots=True)
class Described:
    """What a docstring says."""

    text: str = ""
    arguments: dict[str, str] = field(default_factory=dict)


def described(docstring: str | None) -> Described:
    r"""Return what a docstring says.

    Example:
        >>> described("Look up.\n\nArgs:\n    city: Where to look.\n")
        Described(text='Look up.', arguments={'city': 'Where to look.'})
    """
    description = Described()
    for title, is_ruled, lines in _sections(inspect.cleandoc(docstring or "").splitlines()):
        if not title:
            description.text = "\n".join(lines).strip()
        elif title in _ARGUMENTS:
            description.arguments.update(_arguments(lines, is_ruled=is_ruled))
        elif title == _FIELD and (head := _SPHINX.fullmatch(lines[0])):
            more = itertools.takewhile(lambda line: line[:1].isspace(), lines[1:])
            description.arguments[head[1]] = _joined([head[2], *more])
    return description


def _sections(lines: list[str]) -> Iterator[tuple[str, bool, list[str]]]:
    """Yield the sections: title, whether it is underlined as numpy's are, and lines.

    What stands before the first has no title; each field of Sphinx's style is one of its own.
    """
    title, is_ruled, inside = "", False, list[str]()
    is_rule = False
    for line, following in itertools.zip_longest(lines, lines[1:], fillvalue=""):
        if is_rule:
            is_rule = False
            continue
        name = line.strip().removesuffix(":").lower()
        is_rule = bool(line.strip()) and bool(_RULE.fullmatch(following.strip()))
        has_colon = line.endswith(":") and not line[:1].isspace() and name in _SECTIONS
        if is_rule or has_colon:
            yield title, is_ruled, inside
            title, is_ruled, inside = name, is_rule, []
        elif line.startswith(":"):
            yield title, is_ruled, inside
            title, is_ruled, inside = _FIELD, False, [line]
        elif title and not is_ruled and line[:1].strip() and _depth(inside) > 0:
            yield title, is_ruled, inside
            title, inside = _AFTER, [line]
        else:
            inside.append(line)
    yield title, is_ruled, inside


def _arguments(lines: list[str], *, is_ruled: bool) -> dict[str, str]:
    """Return what arguments mean: beside and under names in Google's style, under in numpy's."""
    texts: dict[str, list[str]] = {}
    names: list[str] = []
    pattern, depth = (_LISTED, 0) if is_ruled else (_NAMED, _depth(lines))
    for line in lines:
        head = pattern.fullmatch(line.strip()) if _depth([line]) == depth else None
        if head is not None:
            names = [name.strip(" *") for name in head[1].split(",")]
            texts.update({name: [head[2]] for name in names})
        else:
            for name in names:
                texts[name].append(line)
    return {name: _joined(text) for name, text in texts.items()}


def _depth(lines: list[str]) -> int:
    """Return by how much the least indented line is indented; -1 where all are blank."""
    return min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=-1)


def _joined(lines: list[str]) -> str:
    return " ".join(line.strip() for line in lines if line.strip())
