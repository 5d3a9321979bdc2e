"""Promises of the papers for people who work on llmnb: what they name is there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from tree import ROOT

import llmnb

PAPERS = ["CONTRIBUTING.md", "SECURITY.md", "docs/releasing.md"]
MADE = {"dist/"}
"""What a command makes, and a fresh clone has not."""


def named_paths(text: str) -> set[str]:
    """Return what stands in code marks or behind a link and looks like a path of the project."""
    marked = re.findall(r"`([\w./-]+)`", text)
    linked = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    is_path = re.compile(r"[\w.-]+/.*|[\w-]+\.(?:md|toml|cff|yaml|py)")
    return {name for name in marked if is_path.fullmatch(name)} | set(linked)


def targets() -> set[str]:
    """Return the names that `make` knows."""
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))


def read(name: str) -> str:
    """Return a paper's text."""
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("paper", PAPERS)
def test_every_path_that_is_named_exists(paper):
    """
    A file that moves takes its mention along.
    """
    folder = (ROOT / paper).parent
    missing = [
        name
        for name in named_paths(read(paper)) - MADE
        if not (ROOT / name).exists() and not (folder / name).exists()
    ]

    assert missing == []


def test_a_missing_path_would_be_seen():
    """
    Paths in code marks and behind links are found, addresses are not.
    """
    text = "`llmnb/gone.py`, `GONE.md`, [x](docs/gone.md), [y](https://a.test/b), `a call()`, `df`"

    assert named_paths(text) == {"llmnb/gone.py", "GONE.md", "docs/gone.md"}
    assert len(named_paths(read("CONTRIBUTING.md"))) >= 40


@pytest.mark.parametrize("paper", [*PAPERS, ".pre-commit-config.yaml", "docs/testing.md"])
def test_every_task_that_is_named_exists(paper):
    """
    `make lint` and its like are in the Makefile.
    """
    named = set(re.findall(r"`make ([a-z-]+)|^make ([a-z-]+)", read(paper), re.M))

    assert {marked or alone for marked, alone in named} <= targets()


@pytest.mark.parametrize("thing", ["provider", "dialect", "verb", "widget"])
def test_each_thing_that_is_added_often_has_its_files(thing):
    """
    The page says for each which files to touch, code and tests.
    """
    (section,) = re.findall(rf"^## Add a {thing}$(.*?)^## ", read("CONTRIBUTING.md"), re.M | re.S)
    named = named_paths(section)

    assert any(name.startswith("llmnb/") for name in named)
    assert any(name.startswith("tests/") for name in named)
    assert any(name.endswith(".md") for name in named) or thing == "dialect"


def test_the_hook_runs_what_make_lint_runs():
    """
    One list of checks: the hook calls the task, and downloads no tool of its own.
    """
    config = read(".pre-commit-config.yaml")

    assert re.findall(r"entry: (.*)", config) == ["make lint"]
    assert re.findall(r"repo: (.*)", config) == ["local"]


def test_the_citation_names_this_version():
    """
    The version, the title and the licence are those of the package.
    """
    project = tomllib.loads(read("pyproject.toml"))["project"]
    fields = dict(re.findall(r"^(\w+): (.+)$", read("CITATION.cff"), re.M))

    assert (fields["version"], fields["title"]) == (llmnb.__version__, project["name"])
    assert fields["license"] == project["license"]


def test_an_issue_asks_for_what_mends_it():
    """
    The form for faults asks for code that shows it and for `llmnb doctor`, and warns of keys.
    """
    form = read(".github/ISSUE_TEMPLATE/fault.yml")

    assert "llmnb doctor" in form
    assert "Never paste a key" in form
    assert Path(ROOT / ".github/ISSUE_TEMPLATE/wish.yml").is_file()


def test_what_the_quick_check_runs_is_there():
    """
    A file that was moved would end `make quick` before its first test.
    """
    script = (ROOT / "tools" / "check").read_text(encoding="utf-8")
    listed = re.findall(r"\btests/[\w/]+(?:\.py)?", script.split("failed=()")[0])

    assert len(listed) > 20
    assert [path for path in listed if not (ROOT / path).exists()] == []
