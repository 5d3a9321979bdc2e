"""Promises of tools/matrix: what it tries, and that what it does not try is said."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tree import project_file, tool

matrix = tool("matrix")


def python_that_says(folder: Path, name: str, version: str, code: int = 0) -> str:
    """Make a program that answers like a Python of some version."""
    program = folder / name
    program.write_text(
        f"#!/bin/sh\necho {version}\n[ {code} = 0 ] || echo 'no _ssl' >&2\nexit {code}\n"
    )
    program.chmod(0o755)
    return str(program)


def test_the_lowest_both_pandas_and_every_python_are_tried():
    """
    On the oldest Python the floors and both pandas; on each later one the newest of everything.
    """
    entries = matrix.planned("3.11", ["3.13", "3.11", "3.12"])

    assert [(entry.name, entry.python, entry.pins, entry.resolution) for entry in entries] == [
        ("lowest", "3.11", (), "lowest-direct"),
        ("pandas-2.2", "3.11", ("pandas==2.2.*",), "highest"),
        ("pandas-3", "3.11", ("pandas==3.*",), "highest"),
        ("3.12", "3.12", (), "highest"),
        ("3.13", "3.13", (), "highest"),
    ]


def test_versions_are_compared_as_numbers(tmp_path):
    """
    3.9 is older than 3.11, and left out; 3.20 comes after 3.12.
    """
    programs = [
        python_that_says(tmp_path, version, version) for version in ("3.9", "3.20", "3.11", "3.12")
    ]

    usable, broken = matrix.usable_pythons(programs, "3.11")

    assert (set(usable), broken) == ({"3.20", "3.11", "3.12"}, [])
    assert [entry.name for entry in matrix.planned("3.11", usable)][-2:] == ["3.12", "3.20"]


def test_a_python_without_a_module_is_passed_over_and_said(tmp_path):
    """
    One built without a system library is no place to try anything, unless another one works.
    """
    bare = python_that_says(tmp_path, "bare", "3.12", code=1)
    whole = python_that_says(tmp_path, "whole", "3.12")

    assert matrix.usable_pythons([bare], "3.11") == ({}, ["Python 3.12: no _ssl"])
    assert matrix.usable_pythons([bare, whole], "3.11") == ({"3.12": whole}, [])


def test_this_python_is_usable():
    """
    A real one has all that is needed.
    """
    version = "{}.{}".format(*sys.version_info)

    assert matrix.usable_pythons([sys.executable], "3.11") == ({version: sys.executable}, [])


def test_every_extra_is_tried_or_said_not_to_be():
    """
    An extra that is added is installed for the tests, or listed with the reason why not.
    """
    extras = project_file()["project"]["optional-dependencies"]
    tried = {*matrix.EXTRAS.split(","), *extras["dev"][0].split("[")[1].rstrip("]").split(",")}

    assert set(extras) - {"all"} == tried | set(matrix.UNTRIED_EXTRAS)


def test_what_the_classifiers_promise_is_read():
    """
    A promised Python that the machine lacks is listed as not tried.
    """
    project = project_file()["project"]

    assert matrix.named_pythons(project) >= {"3.11", "3.12", "3.13"}
    assert matrix.oldest_python(project) in matrix.named_pythons(project)


def test_an_address_of_a_registry_is_not_repeated():
    """
    What an installer says is printed without where it looked.
    """
    message = matrix.without_addresses("no wheel at https://packages.example/simple/x/ for x")

    assert message == "no wheel at (address) for x"


def test_an_unknown_entry_is_refused(capsys, monkeypatch):
    """
    A mistyped name tries nothing.
    """
    monkeypatch.setattr(matrix, "candidates", lambda uv: [sys.executable])

    with pytest.raises(SystemExit):
        matrix.main(["pandas-9"])

    assert "no such entry: pandas-9" in capsys.readouterr().err
