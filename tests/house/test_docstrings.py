"""Promises about docstrings: examples run, and every module says what it is for."""

from __future__ import annotations

import ast
import doctest
import importlib

import pytest
from tree import module_name, source_files

import llmnb

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

EVERY = [pytest.param(path, id=module_name(path)) for path in source_files()]
WITH_EXAMPLES = [
    pytest.param(module_name(path), id=module_name(path))
    for path in source_files()
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_run(name):
    """
    What a docstring shows is what happens.
    """
    llmnb.register_accessor("llm")  # whatever another test has done to it
    module = importlib.import_module(name)

    failed, tried = doctest.testmod(module, optionflags=FLAGS)

    assert tried > 0
    assert failed == 0


@pytest.mark.parametrize("path", EVERY)
def test_a_module_opens_with_what_it_is_for(path):
    """
    Whoever opens a file reads first what it does.
    """
    opening = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))

    assert opening, "no docstring"
    assert opening.split("\n\n")[0].rstrip().endswith((".", ":"))
