"""Promises about who writes files."""

from __future__ import annotations

import ast
from pathlib import Path

from tree import PACKAGE, source_files

DOOR = PACKAGE / "adapters" / "files.py"

_CALLS = {
    *("os.replace", "os.rename", "os.renames", "os.write", "os.pwrite", "os.writev", "os.open"),
    *("os.fdopen", "os.fsync", "os.mkdir", "os.makedirs", "os.link", "os.symlink", "os.umask"),
    *("shutil.move", "shutil.copy", "shutil.copyfile", "shutil.copytree"),
    *("tempfile.mkstemp", "tempfile.mkdtemp", "tempfile.NamedTemporaryFile"),
    *("tempfile.TemporaryDirectory", "tempfile.TemporaryFile"),
}
_METHODS = {"rename", "mkdir", "write_text", "write_bytes", "touch", "symlink_to", "hardlink_to"}

_VALUES = {"dataclasses.replace", "self._config.replace"}
"""Methods of values of ours that are called as a file's are."""


def written_by_hand(path: Path) -> list[str]:
    """Return the calls of a file that replace, append to, or make something on the disk."""
    calls = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        last = name.rpartition(".")[2]
        is_path = name.endswith(".replace") and len(node.args) == 1 and not node.keywords
        modes = [
            argument.value
            for argument in [*node.args[:2], *(keyword.value for keyword in node.keywords)]
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
        ]
        appends = last == "open" and any({"a", "x"} & set(mode) for mode in modes if len(mode) < 4)
        if name in _CALLS or last in _METHODS or appends or (is_path and name not in _VALUES):
            calls.append(f"line {node.lineno}: {ast.unparse(node)[:60]}")
    return calls


def others() -> list[Path]:
    """Return every file of the product but the door; the simulated provider writes none."""
    return [path for path in source_files() if path != DOOR]


def test_files_are_replaced_appended_to_and_made_in_a_single_file():
    """
    All others ask adapters/files.py, which finishes what it begins.
    """
    by_hand = {path: written_by_hand(path) for path in others()}

    assert {path: lines for path, lines in by_hand.items() if lines} == {}


def test_what_is_written_by_hand_would_be_seen():
    """
    The door itself does by hand what nobody else may.
    """
    assert len(written_by_hand(DOOR)) >= 7
