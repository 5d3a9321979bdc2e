"""Promises about docstrings: examples run, and every module says what it is for."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import doctest
import importlib
import inspect
import io
import textwrap

import pandas as pd
import pytest
from tree import module_name, source_files

import llmnb
from llmnb import generation, rate_limiter, testing, widgets

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

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


def test_a_module_opens_with_what_it_is_for():
    """
    Whoever opens a file reads first what it does.
    """
    openings = {
        module_name(path): ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        for path in source_files()
    }

    assert [
        name
        for name, opening in openings.items()
        if not opening.split("\n\n")[0].rstrip().endswith((".", ":"))
    ] == []


Verbs = type(pd.DataFrame().llm)


def public() -> dict[str, object]:
    """Return every public function and class by its name, the verbs of tables among them."""
    modules = (llmnb, widgets, testing, rate_limiter, generation)
    named = {
        f"{module.__name__}.{name}": getattr(module, name)
        for module in modules
        for name in module.__all__
    }
    named |= {f"df.llm.{name}": getattr(Verbs, name) for name in dir(Verbs)}
    return {
        name: value
        for name, value in named.items()
        if (inspect.isclass(value) or inspect.isroutine(value)) and "._" not in name
        if hasattr(value, "__qualname__") and value.__module__.startswith("llmnb")
    }


PUBLIC = public()
AWAITED = [name for name in PUBLIC if inspect.iscoroutinefunction(PUBLIC[name]) and "df" in name]


@pytest.mark.parametrize("name", [name for name in PUBLIC if name not in AWAITED])
def test_a_public_name_has_an_example(name):
    """
    Whoever asks for help sees how it is used; that what is shown runs is tried above.
    """
    assert ">>> " in (PUBLIC[name].__doc__ or "")


@pytest.mark.parametrize("name", AWAITED)
def test_the_example_of_an_awaited_verb_runs(name):
    """
    It is one line with `await`, after what the example of its blocking twin has made.
    """
    llmnb.register_accessor("llm")
    twin = PUBLIC[name.replace("df.llm.a", "df.llm.")]
    names: dict[str, object] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        for example in doctest.DocTestParser().get_examples(inspect.getdoc(twin) or ""):
            exec(compile(example.source, name, "single"), names)
    shown = (inspect.getdoc(PUBLIC[name]) or "").partition("Example:\n")[2]

    line = compile(textwrap.dedent(shown), name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)

    assert "await" in shown
    asyncio.run(eval(line, names))
