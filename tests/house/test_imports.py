"""Promises about imports: they run downhill, and each dependency has one door."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tree import PACKAGE, ROOT, project_file, source_files

DOORS: dict[str, list[str]] = project_file()["tool"]["house"]["doors"]


def test_the_contracts_of_the_floors_are_kept():
    """
    import-linter finds no import that runs uphill or sideways.
    """
    linter = Path(sys.executable).with_name("lint-imports")

    done = subprocess.run(
        [str(linter), "--no-cache", "--no-logo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def imports(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield the top-level package and line of every import that runs, nested ones included."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting.extend(node.orelse)  # what stands under it never runs
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.partition(".")[0], node.lineno
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0], node.lineno
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            match node.args:
                case [ast.Constant(value=str(name)), *_]:
                    yield name.partition(".")[0], node.lineno
        waiting.extend(ast.iter_child_nodes(node))


def is_allowed(name: str, path: str) -> bool:
    """Whether a file of the package may import a package."""
    if name not in DOORS:
        return name == "llmnb" or name in sys.stdlib_module_names
    return any(
        door == "anywhere" or path == door or (door.endswith("/") and path.startswith(door))
        for door in DOORS[name]
    )


def test_each_dependency_is_imported_through_its_door_only():
    """
    A file imports the standard library, llmnb, and what it is the door to.
    """
    files = {path.relative_to(PACKAGE).as_posix(): path for path in source_files()}

    strangers = [
        f"{file}:{line} imports {name}; its door is {DOORS.get(name, 'not named')}"
        for file, path in files.items()
        for name, line in imports(ast.parse(path.read_text(encoding="utf-8")))
        if not is_allowed(name, file)
    ]

    assert strangers == []


def test_every_import_is_seen():
    """
    Nested, dotted and dynamic imports count; those for type checkers do not.
    """
    source = """
from __future__ import annotations
import a.b, c
if TYPE_CHECKING:
    import never
else:
    import d
def later():
    from e.f import g
    importlib.import_module("h.i")
from . import sibling
"""

    names = sorted(name for name, _ in imports(ast.parse(source)))

    assert names == ["__future__", "a", "c", "d", "e", "h"]
