"""Promises about names that a dependency does not promise to keep."""

from __future__ import annotations

import ast
import re
from functools import cache
from itertools import chain
from pathlib import Path

import pytest
from tree import ROOT, project_file, source_files

_ASKING = {"getattr", "setattr", "hasattr", "delattr"}


@cache
def borrowed() -> dict[str, str]:
    """Return the table's private names, each with the net beneath it."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.split("## Borrowed names\n")[1].split("\n## ")[0]
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines() if line[:1] == "|"]
    return {
        name.rpartition(".")[2]: net.strip()
        for dependency, names, _where, net in rows[2:]
        for name in re.findall(r"`([\w.]+)`", names)
    }


def is_private(name: object) -> bool:
    """Whether a name is its owner's own; ``_repr_html_`` and its like are protocols."""
    return isinstance(name, str) and name.startswith("_") and not name.endswith("_")


def is_self(node: ast.Attribute) -> bool:
    """Whether an attribute is asked of the very object."""
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def own_names(tree: ast.Module) -> set[str]:
    """Return the private names that a file itself makes, for classes of its own."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
        elif isinstance(node, ast.Attribute) and is_self(node) and isinstance(node.ctx, ast.Store):
            names.add(node.attr)
    return names


def taken(path: Path) -> set[str]:
    """Return the private names that a file takes from what is not its own."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: set[object] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            if not is_self(node):
                names.add(node.attr)
        elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("llmnb"):
            names |= {*(node.module or "").split("."), *(alias.name for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {part for alias in node.names for part in alias.name.split(".")}
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in _ASKING:
            names |= {
                argument.value for argument in node.args if isinstance(argument, ast.Constant)
            }
    return {str(name) for name in names if is_private(name)} - own_names(tree) - {"__future__"}


def test_a_private_name_of_somebody_elses_stands_in_the_table():
    """
    Whoever takes one says in docs/architecture.md what happens where it is otherwise.
    """
    table = borrowed().keys()

    unlisted = {path: taken(path) - table for path in source_files()}

    assert {path: names for path, names in unlisted.items() if names} == {}


def test_the_table_names_nothing_that_is_not_taken_any_more():
    """
    Every private name in it is found in the code.
    """
    code = "\n".join(path.read_text(encoding="utf-8") for path in source_files())

    assert [name for name in borrowed() if not re.search(rf"\b{name}\b", code)] == []


@pytest.mark.parametrize("name", ["aiohttp", "diskcache", "genai-prices", "litellm", "vllm"])
def test_what_is_known_from_inside_is_capped_below_its_next_major_version(name):
    """
    A release that may change what was read there is not installed before it was tried.
    """
    project = project_file()["project"]
    every = chain(project["dependencies"], *project["optional-dependencies"].values())
    lines = [line for line in every if re.match(rf"{name}[<>=]", line)]

    assert lines
    assert all(re.search(r",<\d+\b", line) for line in lines)
