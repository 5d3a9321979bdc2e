"""Promises of the command line's help."""

from __future__ import annotations

import itertools
import re

import pytest

from llmnb import cli

ACTIONS = ("list", "show", "clear", "undo", "export", "import")
COMMANDS = [(name,) for name in cli.COMMANDS] + [("cache", action) for action in ACTIONS]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_argument_says_what_it_is(words, capsys, monkeypatch):
    """
    In the help of each command and each action of one; a sentence says what the command does.
    """
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        cli.main([*words, "--help"])
    usage, does, *sections = capsys.readouterr().out.split("\n\n")
    lines = [line for section in sections for line in section.splitlines() if line[:1] == " "]

    assert usage.startswith(f"usage: llmnb {' '.join(words)}")
    assert does.endswith(".")
    # Behind the name, two blanks and its description; long names have theirs on the next line.
    bare = [line for line in lines if re.fullmatch(r"  \S+( \S+)*", line)]
    below = {line for line, after in itertools.pairwise(lines) if after[:20].isspace()}
    assert [line for line in bare if line not in below and line.strip() != "ACTION"] == []
