"""Finding answers of a project by words of their prompt or their answer, page by page."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from llmnb.store import projects, reading
from llmnb.store.entry import Entry
from llmnb.store.layout import Place

PAGE = 20
"""Answers on one page."""

LONGEST_SEARCH = 200
"""Characters of a search that count."""

MOST_WORDS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One answer on a page."""

    entry: Entry
    question: str
    """The text of the request that holds a word, else the last one."""

    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some of the answers that hold all words, the newest first."""

    matches: tuple[Match, ...]
    number: int
    """From 0; the last page where a later one was asked for."""

    found: int
    """Answers that hold all words."""

    answers: int
    """Answers of the project."""

    words: tuple[str, ...]


def words_of(search: str) -> tuple[str, ...]:
    """Return the words of a search.

    Example:
        >>> words_of("  refund order  refund ")
        ('refund', 'order')
    """
    found = search[:LONGEST_SEARCH].split()
    return tuple(dict.fromkeys(found))[:MOST_WORDS]


def patterns(words: tuple[str, ...]) -> list[re.Pattern[str]]:
    """Return what finds each word anywhere, in any case and either way of writing accents."""
    return [
        re.compile(
            "|".join({re.escape(unicodedata.normalize(form, word)) for form in ("NFC", "NFD")}),
            re.IGNORECASE,
        )
        for word in words
    ]


def find(place: Place, search: str = "", *, page: int = 0, size: int = PAGE) -> Page:
    """Return one page of a project's answers, the newest first.

    Args:
        place: The project.
        search: Words that must all stand in the prompt or in the answer, anywhere and in any
            case; with none of them every answer is found.
        page: Which page, from 0.
        size: Answers on a page.
    """
    words = words_of(search)
    looked = patterns(words)
    every = projects.keys_in_order(place)
    if words:
        keys = [entry.key for entry in projects.each(place) if _holds(entry, looked)]
    else:
        keys = every
    number = max(0, min(page, (len(keys) - 1) // size))
    wanted = keys[::-1][number * size : (number + 1) * size]
    matches = tuple(_match(entry, looked) for entry in projects.each(place, wanted))
    return Page(matches=matches, number=number, found=len(keys), answers=len(every), words=words)


def one(place: Place, key: str) -> Entry | None:
    """Return one answer of a project, None where it is not there."""
    return next(projects.each(place, [key]), None) if key.isascii() else None


def _holds(entry: Entry, looked: list[re.Pattern[str]]) -> bool:
    text = "\n".join((*reading.questions(entry), reading.answer(entry)))
    return all(pattern.search(text) for pattern in looked)


def _match(entry: Entry, looked: list[re.Pattern[str]]) -> Match:
    texts = reading.questions(entry) or [reading.UNREADABLE]
    shown = next(
        (text for text in reversed(texts) if any(pattern.search(text) for pattern in looked)),
        texts[-1],
    )
    return Match(entry=entry, question=shown, answer=reading.answer(entry))
