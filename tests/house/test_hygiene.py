"""Promises about what is kept in the repository: nothing private, nothing large."""

from __future__ import annotations

import re

import pytest
from tree import ROOT, kept_files, project_file

LARGEST_BYTES = 400_000
"""No file is larger; tables and pictures are cut to size."""

TEXT_SUFFIXES = {
    *(
        "",
        ".cff",
        ".cfg",
        ".css",
        ".csv",
        ".html",
        ".ini",
        ".ipynb",
        ".js",
        ".json",
        ".jsonl",
        ".lua",
    ),
    *(".md", ".py", ".pyi", ".sh", ".svg", ".toml", ".txt", ".typed", ".yaml", ".yml"),
}
BINARY_SUFFIXES = {".png", ".parquet"}

# Written in pieces, so that this file does not contain what it looks for.
HOSTS = [
    "pypi" + ".org",
    "pythonhosted" + ".org",
    "registry.npm" + "js.org",
    "registry.yarn" + "pkg.com",
    "deb.debian" + ".org",
    "archive.ubuntu" + ".com",
]
MACHINE_PATHS = re.compile(
    r"(?<![\w.~$}-])/(?:home/\w|Users/\w|root/|work/|tmp/(?:venv|v/|npm|bash_jobs))"
)
KEYS = re.compile(
    r"\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{40,}|\bgsk_[A-Za-z0-9]{40,}|\bAKIA[0-9A-Z]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{36,}|\bAIza[0-9A-Za-z_-]{35}\b|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)


def texts() -> list[tuple[str, str]]:
    """Return the kept text files by their path."""
    return [
        (path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
        for path in kept_files()
        if path.suffix in TEXT_SUFFIXES
    ]


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    """Return where a pattern stands."""
    return [
        f"{name}:{number}"
        for name, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_path_of_a_machine_is_kept():
    """
    Nothing names a folder that only one machine has.
    """
    assert lines_with(MACHINE_PATHS) == []


def test_no_host_of_a_registry_is_kept():
    """
    Packages are named; where they come from is the installer's business.
    """
    assert lines_with(re.compile("|".join(map(re.escape, HOSTS)))) == []


def test_no_key_is_kept():
    """
    Nothing that looks like a live key of a provider stands in a file.
    """
    assert lines_with(KEYS) == []


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (MACHINE_PATHS, "cache_dir=/home/" + "ann/x"),
        (KEYS, "key = 'sk-" + "a1B2" * 12 + "'"),
        (KEYS, "AKIA" + "ABCDEFGHIJKLMNOP"),
    ],
)
def test_the_patterns_find_what_they_look_for(pattern, text):
    """
    A search that finds nothing has been seen to find something.
    """
    assert pattern.search(text)


def test_no_file_is_large_or_of_an_unknown_kind():
    """
    Weights, caches and archives stay out.
    """
    large = [path.name for path in kept_files() if path.stat().st_size > LARGEST_BYTES]
    kinds = TEXT_SUFFIXES | BINARY_SUFFIXES
    unknown = [path.name for path in kept_files() if path.suffix not in kinds]

    assert large == []
    assert unknown == []


def test_no_env_file_is_kept():
    """
    Keys live in files that git ignores.
    """
    assert [path.name for path in kept_files() if path.name.startswith(".env")] == []


def test_lock_files_hold_no_address():
    """
    A lock file names versions and hashes, never where something was fetched.
    """
    locks = [path for path in kept_files() if path.name in {"package-lock.json", "uv.lock"}]

    assert [path.name for path in locks if "resolved" in path.read_text(encoding="utf-8")] == []


def test_every_ignored_rule_carries_its_reason():
    """
    A rule that ruff is told to ignore has a comment beside it.
    """
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    start = lines.index("ignore = [")
    rules = lines[start + 1 : lines.index("]", start)]

    assert [line for line in rules if "#" not in line] == []
    assert project_file()["tool"]["pytest"]["ini_options"]["filterwarnings"][0] == "error"
