"""Promises about the SQL that is written by hand."""

from __future__ import annotations

import ast
import re

import pytest
from tree import PACKAGE, source_files

NUMBERED = re.compile(r"(?<!\w)\?\d")


def statements() -> dict[str, str]:
    """Return every text of the product that is a statement of SQL, by where it stands."""
    return {
        f"{path.relative_to(PACKAGE)}:{node.lineno}": node.value
        for path in source_files()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|CREATE)\b", node.value)
    }


def test_no_placeholder_has_a_number():
    """
    Python 3.12 warns of a numbered placeholder that is given a tuple, and 3.14 saves nothing.
    """
    by_line = statements()

    assert len(by_line) >= 4, "the search sees the statements of the store"
    assert [where for where, text in by_line.items() if NUMBERED.search(text)] == []


@pytest.mark.parametrize("text", ["VALUES (?1, ?2)", "SELECT substr(?2, 1)"])
def test_a_numbered_placeholder_would_be_seen(text):
    """
    The pattern finds what it looks for.
    """
    assert NUMBERED.search(text)
