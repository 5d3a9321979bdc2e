"""Promises about what editors and type checkers are told of options: the table, and all of it."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest
from tree import ROOT

from llmnb.frames.accessors import DataFrameLLM, SeriesLLM
from llmnb.options import OPTIONS, PARAMS, names


def test_the_stub_is_the_table():
    """
    The generated file says what the table of options says today.
    """
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "stubs", "--check"], capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout + done.stderr


METHODS = [
    getattr(kind, name)
    for kind in (DataFrameLLM, SeriesLLM)
    for name in dir(kind)
    if not name.startswith("_")
]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__qualname__)
def test_a_method_shows_its_whole_signature_and_describes_all_of_it(method):
    """
    No keyword hides behind ``**options``, and each has its line among the arguments.
    """
    parameters = inspect.signature(method).parameters
    documentation = inspect.getdoc(method)

    assert [one.name for one in parameters.values() if one.kind is one.VAR_KEYWORD] == []
    assert [name for name in parameters if f"\n    {name}: " not in documentation] == ["self"]


@pytest.mark.parametrize(
    ("door", "shown", "without"),
    [
        ("frames", DataFrameLLM.generate, ()),
        ("frames", DataFrameLLM.agenerate, ()),
        ("embed", SeriesLLM.embed, ()),
    ],
)
def test_every_option_of_a_door_is_in_its_signature(door, shown, without):
    """
    What the table has for a door can be seen there, with the default that holds.
    """
    parameters = inspect.signature(shown).parameters

    for name in {*names(door), *(PARAMS if door == "frames" else ())} - {*without}:
        table = OPTIONS if name in OPTIONS else PARAMS
        assert parameters[name].default == table[name].default
