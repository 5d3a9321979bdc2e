"""Promises about who imports whom: files form no circle, whatever an import is for."""

from __future__ import annotations

import ast
from functools import cache
from itertools import count

import pytest
from tree import PACKAGE, module_name, source_files

FRONT_DOORS = ("llmnb", "llmnb.testing")
"""Packages that lend out names of all their files, at first use."""


def imported(path, modules):
    """Return the files that a file imports: for type checkers and in functions, too."""
    targets = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            names = [name if name in modules else node.module for name in whole]
        targets.update(name for name in names if name in modules)
    return targets - {module_name(path), *FRONT_DOORS}


@cache
def imports():
    """Return what every file of the package imports, the front doors left out."""
    modules = {module_name(path): path for path in source_files()}
    return {
        name: imported(path, modules) for name, path in modules.items() if name not in FRONT_DOORS
    }


def circles(edges):
    """Return the circles of a graph, each as its sorted names (Tarjan's algorithm)."""
    order, lowest, stack, result, clock = {}, {}, [], set(), count()

    def visit(name):
        order[name] = lowest[name] = next(clock)
        stack.append(name)
        for other in sorted(edges[name]):
            if other not in order:
                visit(other)
            if other in stack:
                lowest[name] = min(lowest[name], lowest[other])
        if lowest[name] == order[name]:
            start = stack.index(name)
            if len(stack) - start > 1:
                result.add(" ".join(sorted(part.removeprefix("llmnb.") for part in stack[start:])))
            del stack[start:]

    for name in edges:
        if name not in order:
            visit(name)
    return result


def test_files_import_each_other_in_no_circle():
    """
    No file reaches itself through what it imports.
    """
    assert circles(imports()) == set()


@pytest.mark.parametrize(
    "text",
    [
        "import llmnb.records",
        "from llmnb import records",
        "from llmnb.records import Outcome",
        "if TYPE_CHECKING:\n    from llmnb.records import Outcome",
        "def f():\n    from llmnb.records import Outcome",
    ],
)
def test_every_kind_of_import_is_seen(tmp_path, monkeypatch, text):
    """
    An import counts wherever it stands and however it is written.
    """
    monkeypatch.setattr("tree.ROOT", tmp_path)
    path = tmp_path / "importing.py"
    path.write_text(text, encoding="utf-8")

    assert imported(path, {"llmnb.records": PACKAGE / "records.py"}) == {"llmnb.records"}


def test_circles_of_any_length_are_noticed():
    """
    Two circles of a graph are told apart, and what only leads to them is none.
    """
    edges = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a", "e"}, "e": {"d"}, "f": {"d"}}

    assert circles(edges) == {"a b c", "d e"}
