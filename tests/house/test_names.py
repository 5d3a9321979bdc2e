"""Promises about names: the words of the first house go, and none that is gone comes back."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest
from tree import ROOT

METAPHORS = {
    *("airborne", "courier", "desk", "flight", "guest", "letterhead", "passenger", "shelf"),
    "voyage",
}
"""Words that no name and no sentence of code or docs uses; "in flight" is the field's word."""

NAMES = {
    *("agreement", "barren", "board", "dead", "depart", "ending", "episode", "few", "foreign"),
    *("forms", "found", "given", "hear", "held", "house", "keeping", "knock", "land", "landing"),
    *("naming", "one", "owned", "paying", "pieces", "place", "rail", "say", "speak", "strip"),
    *("tally", "telling", "terms", "told", "walk", "wall", "way", "wishes", "words"),
}
"""Words that nothing is called: no file, class, function, parameter or variable."""

ALLOWED = {
    "agreement": "frames notebook tests/evaluation",
    "desk": "tests/notebook",
    "few": "evaluation notebook tests/browser tests/frames",
    "foreign": "frames notebook tests/notebook",
    "forms": "tests/notebook",
    "found": (
        "evaluation frames notebook tests/browser tests/cli tests/evaluation tests/frames "
        "tests/notebook"
    ),
    "given": "engine llmnb notebook tests tests/frames tests/notebook",
    "hear": "notebook",
    "held": "frames tests/notebook",
    "one": (
        "chat display embeddings evaluation frames llmnb notebook tests/browser tests/engine "
        "tests/evaluation tests/frames tests/models tests/notebook tests/testing tests/wire"
    ),
    "pieces": "evaluation tests/evaluation tests/notebook",
    "place": (
        "adapters display evaluation frames llmnb notebook tests tests/evaluation tests/frames "
        "tests/notebook"
    ),
    "rail": "evaluation notebook tests/notebook",
    "say": "frames tests/frames tests/notebook",
    "strip": "tests/notebook",
    "terms": "evaluation",
    "told": "frames notebook tests/browser tests/frames tests/notebook tests/testing",
    "voyage": "docs tests/wire",
    "wall": "engine",
    "way": "engine tests/browser tests/frames tests/notebook",
    "words": (
        "batches cli display frames generation notebook tests/cli tests/frames tests/notebook "
        "tests/wire"
    ),
}
"""Where a word still stands: rooms of llmnb/ and folders of tests/, and docs.

The list only shrinks: a room that is rid of a word is taken off, and a word that is gone
everywhere has no line here. What to say instead stands in docs/architecture.md.
"""

_DEFINED = re.compile(
    r"\b(?:def|class)\s+(\w+)|^ *(?:self\.)?(\w+)(?::[^=\n]+)? = |\bfor ([\w, ]+) in\b"
    r"|\bas (\w+)|[(,]\s*\*{0,2}(\w+): \w",
    re.MULTILINE,
)
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_IN_FLIGHT = re.compile(r"(?:(?<![a-z])in|single)[\s_-]*flights?", re.IGNORECASE)
_METAPHORS = {
    word: (
        stem,
        re.compile(rf"(?:(?<![A-Za-z]){stem[0]}|{stem[0].upper()}){stem[1:]}{end}(?![a-z])"),
    )
    for word in METAPHORS
    for stem, end in [("shel", "(?:f|ves)") if word == "shelf" else (word, "s?")]
}
"""Of each metaphor what every form of it begins with, and the pattern of its forms."""


def parts(name: str) -> set[str]:
    """Return the words of a name, in lower case and as they stand."""
    return {part.lower() for part in _PARTS.findall(name)}


def words_in(path: Path, text: str) -> set[str]:
    """Return the words of both lists that a file uses."""
    lower = f"{path.stem}\n{text}".lower()
    used = {
        word
        for word, (stem, pattern) in _METAPHORS.items()
        if stem in lower and pattern.search(_IN_FLIGHT.sub("", f"{path.stem}\n{text}"))
    }
    if path.suffix == ".py":
        names = {path.stem, *(name for match in _DEFINED.findall(text) for name in match if name)}
        used |= NAMES & set().union(*map(parts, names))
    return used


def room(path: Path) -> str:
    """Return the room of a file: a folder of llmnb/, a folder of tests/ as such, or docs."""
    inside = path.relative_to(ROOT).parts
    if inside[0] == "llmnb":
        return inside[1] if len(inside) > 2 else "llmnb"
    return "/".join(inside[:2]) if len(inside) > 2 and inside[0] == "tests" else inside[0]


@cache
def uses() -> dict[str, set[str]]:
    """Return the rooms in which each word stands."""
    rooms: defaultdict[str, set[str]] = defaultdict(set)
    for folder, pattern in (("llmnb", "*.py"), ("tests", "*.py"), ("docs", "*.md")):
        for path in (ROOT / folder).rglob(pattern):
            if path != Path(__file__) and path.name != "architecture.md":
                for word in words_in(path, path.read_text(encoding="utf-8")):
                    rooms[word].add(room(path))
    return rooms


@pytest.mark.parametrize("word", sorted(METAPHORS | NAMES))
def test_a_word_comes_back_nowhere(word):
    """
    Where a word is gone it stays gone; what to say instead is in docs/architecture.md.
    """
    assert uses()[word] - set(ALLOWED.get(word, "").split()) == set()


@pytest.mark.parametrize("word", ALLOWED)
def test_the_list_of_exceptions_shrinks(word):
    """
    A room that is rid of a word is no exception any more.
    """
    assert set(ALLOWED[word].split()) - uses()[word] == set()


def test_the_lists_are_those_of_the_docs():
    """
    The glossary of docs/architecture.md has every word, and no other.
    """
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"^\| not \| but \|\n\|---\|---\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    left = [row.split("|")[1] for row in table.splitlines()]
    listed = {word.strip() for cell in left for word in cell.split(",")}

    assert listed == METAPHORS | NAMES
    assert set(ALLOWED) <= listed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("class FlightDeck: ...", {"flight"}),
        ("# requests in flight, single-flight", set()),
        ("books on shelves", {"shelf"}),
        ("def held_back(rows_told: int): ...", {"held", "told"}),
        ("for one in rows: ...", {"one"}),
        ("text.strip(); # one of the words", set()),
        ("self.place = 1", {"place"}),
        ("placement = 1", set()),
    ],
)
def test_words_are_seen_in_names_and_metaphors_in_sentences(text, words):
    """
    A name is read by its parts; a common word in a sentence is no name.
    """
    assert words_in(Path("x.py"), text) == words
