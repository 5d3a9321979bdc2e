"""Reads what a docstring says of a function and of its arguments.

Google's, numpy's and Sphinx's ways of writing are understood; a docstring in
none of them is a description only.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field

_ARGUMENTS = frozenset(("args", "arguments", "parameters", "params", "other parameters"))
_SECTIONS = _ARGUMENTS | {
    *("returns", "return", "raises", "raise", "yields", "yield", "example", "examples", "note"),
    *("notes", "see also", "references", "attributes", "warns", "warnings", "keyword args"),
    *("keyword arguments", "todo", "source", "receives", "methods"),
}
_NAMED = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)")
"""``name: text`` or ``name (type): text``."""

_LISTED = re.compile(r"\*{0,2}(\w+(?:\s*,\s*\*{0,2}\w+)*)\s*(?::.*)?")
"""``name``, ``name : type`` or ``one, other : type``."""

_SPHINX = re.compile(r":(?:param|parameter|arg|argument)\s+(?:[^:]*\s)?\*{0,2}(\w+)\s*:\s*(.*)")
_RULE = re.compile(r"-{3,}")


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
    lines = inspect.cleandoc(docstring or "").splitlines()
    found = Described()
    opening: list[str] = []
    section = ""
    inside: list[str] = []
    is_ruled = False

    def close() -> None:
        if section in _ARGUMENTS:
            found.arguments.update(_listed(inside) if is_ruled else _named(inside))

    place = 0
    while place < len(lines):
        line = lines[place]
        following = lines[place + 1] if place + 1 < len(lines) else ""
        name = line.strip().removesuffix(":").lower()
        has_rule = bool(_RULE.fullmatch(following.strip())) and bool(line.strip())
        has_colon = line.endswith(":") and not line[:1].isspace() and name in _SECTIONS
        if has_rule or has_colon:
            close()
            section, inside, is_ruled = name, [], has_rule
            place += 2 if has_rule else 1
            continue
        if line.startswith(":"):
            close()
            section, inside, is_ruled = "sphinx", [], False
            place = _sphinx(lines, place, found)
            continue
        if not is_ruled and line[:1].strip() and _is_indented(inside):
            close()
            section, inside = "after", []
        (inside if section else opening).append(line)
        place += 1
    close()
    found.text = "\n".join(opening).strip()
    return found


def _is_indented(lines: list[str]) -> bool:
    return _indent(next((line for line in lines if line.strip()), "")) > 0


def _named(lines: list[str]) -> dict[str, str]:
    """Read Google's way: names are indented least, what they mean stands beside and under them."""
    found: dict[str, list[str]] = {}
    name = ""
    depth = min((_indent(line) for line in lines if line.strip()), default=0)
    for line in lines:
        head = _NAMED.fullmatch(line.strip()) if _indent(line) == depth else None
        if head is not None:
            name = head.group(1)
            found[name] = [head.group(2)]
        elif name:
            found[name].append(line.strip())
    return {name: _joined(words) for name, words in found.items()}


def _listed(lines: list[str]) -> dict[str, str]:
    """Read numpy's way: names stand at the margin, what they mean is indented under them."""
    found: dict[str, list[str]] = {}
    names: list[str] = []
    for line in lines:
        head = _LISTED.fullmatch(line.strip()) if line.strip() and not _indent(line) else None
        if head is not None:
            names = [name.strip(" *") for name in head.group(1).split(",")]
            found.update({name: [] for name in names})
        else:
            for name in names:
                found[name].append(line.strip())
    return {name: _joined(words) for name, words in found.items()}


def _sphinx(lines: list[str], place: int, found: Described) -> int:
    """Read one field of Sphinx's way; returns the line after it."""
    head = _SPHINX.fullmatch(lines[place])
    words = [head.group(2)] if head else []
    place += 1
    while place < len(lines) and lines[place][:1].isspace():
        words.append(lines[place].strip())
        place += 1
    if head:
        found.arguments[head.group(1)] = _joined(words)
    return place


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip()) if line.strip() else -1


def _joined(words: list[str]) -> str:
    return " ".join(word for word in words if word)
