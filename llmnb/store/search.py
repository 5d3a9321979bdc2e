"""Stored answers as a person reads them, and found by words of their prompt or their answer."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from llmnb.errors import LLMNBError
from llmnb.records import Reply
from llmnb.schemas.output import REPAIR
from llmnb.store import projects
from llmnb.store.entry import Entry
from llmnb.store.layout import ProjectPaths
from llmnb.wire.dialect import dialect

# ------------------------------------------------------------------- an entry as text

UNREADABLE = "(not readable)"


def question(entry: Entry) -> str:
    """Return the last thing that was asked; of an answer that was mended, what it answers.

    Example:
        >>> from llmnb.store.entry import Entry
        >>> asked = b'{"messages": [{"role": "user", "content": "Hi"}]}'
        >>> question(Entry(key="k", request=asked, raw=b"", dialect="openai.chat",
        ...                provider="p", model="m", quality="good"))
        'Hi'
    """
    texts = questions(entry) or [UNREADABLE]
    is_repair = len(texts) > 2 and texts[-1].startswith(REPAIR)
    return texts[-3] if is_repair else texts[-1]


def questions(entry: Entry) -> list[str]:
    """Return all texts of a request in order, instructions included; empty if it cannot be read.

    Whatever is not text, such as a picture, is named in brackets.
    """
    try:
        body = orjson.loads(entry.request)
    except orjson.JSONDecodeError:
        return []
    if not isinstance(body, dict):
        return []
    parts = [body.get(name) for name in _INSTRUCTIONS]
    for name in _QUESTIONS:
        asked = body.get(name)
        parts += asked if isinstance(asked, list) and name != "prompt" else [asked]
    return [text for part in parts if (text := "\n".join(_texts_of(part)))]


def answer(entry: Entry) -> str:
    """Return the answer's text, or which tools it called; several answers one under the other."""
    try:
        return reply_text(dialect(entry.dialect).parse(entry.raw))
    except LLMNBError:
        return UNREADABLE


def reply_text(reply: Reply) -> str:
    """Return a reply's text, or which tools it called; several answers one under the other."""
    if len(reply.texts) > 1:
        return "\n\n".join(reply.texts)
    if reply.text or not reply.tool_calls:
        return reply.text
    return "\n".join(f"[{call.name}({call.arguments})]" for call in reply.tool_calls)


def text_of(part: Any) -> str:
    """Return the text of a message, or of its content; what is no text is named in brackets."""
    return "\n".join(_texts_of(part))


# Where the dialects put what is asked; each body holds some of them.
_INSTRUCTIONS = ("system", "systemInstruction", "system_instruction", "instructions")
_QUESTIONS = ("messages", "contents", "prompt", "input")
_TEXTS = ("text", "content", "parts", "input_text")


def _texts_of(part: Any, depth: int = 0) -> Iterator[str]:
    """Yield the texts of a message, of its content, or of a part of it."""
    if isinstance(part, str):
        if part:
            yield part
    elif depth > 8:  # nobody asks that deep; a planted entry might
        return
    elif isinstance(part, list):
        for inner in part:
            yield from _texts_of(inner, depth + 1)
    elif isinstance(part, dict):
        inner = [part[name] for name in _TEXTS if part.get(name)]
        if inner:
            yield from _texts_of(inner[0], depth + 1)
        elif isinstance(kind := part.get("type"), str) and part.get("role") is None:
            yield f"[{kind}]"
        elif "inlineData" in part or "inline_data" in part:
            yield "[image]"


# --------------------------------------------------------------------------- searching

PAGE = 20
"""Answers on one page."""

LONGEST_SEARCH = 200
"""Characters of a search that count."""

MOST_KEYWORDS = 8


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

    total: int
    """Answers that hold all words."""

    answers: int
    """Answers of the project."""

    keywords: tuple[str, ...]


def keywords_of(search: str) -> tuple[str, ...]:
    """Return the words of a search.

    Example:
        >>> keywords_of("  refund order  refund ")
        ('refund', 'order')
    """
    return tuple(dict.fromkeys(search[:LONGEST_SEARCH].split()))[:MOST_KEYWORDS]


def patterns(keywords: tuple[str, ...]) -> list[re.Pattern[str]]:
    """Return what finds each word anywhere, in any case and either way of writing accents."""
    return [
        re.compile(
            "|".join({re.escape(unicodedata.normalize(form, keyword)) for form in ("NFC", "NFD")}),
            re.IGNORECASE,
        )
        for keyword in keywords
    ]


def holding(project: ProjectPaths, search: str) -> Iterator[Entry]:
    """Yield a project's answers that hold all words of a search, the oldest first.

    Args:
        project: Where it is kept.
        search: Words that must all stand in the prompt or in the answer, anywhere and in any
            case; with none of them every answer counts.
    """
    looked = patterns(keywords_of(search))
    for entry in projects.each(project):
        text = "\n".join((*questions(entry), answer(entry))) if looked else ""
        if all(pattern.search(text) for pattern in looked):
            yield entry


def find(project: ProjectPaths, search: str = "", *, page: int = 0, size: int = PAGE) -> Page:
    """Return one page of a project's answers, the newest first.

    Args:
        project: Where it is kept.
        search: Words, as `holding` takes them.
        page: Which page, from 0.
        size: Answers on a page.
    """
    keywords = keywords_of(search)
    looked = patterns(keywords)
    keys = every = projects.keys(project)
    if keywords:
        keys = [entry.key for entry in holding(project, search)]
    number = max(0, min(page, (len(keys) - 1) // size))
    wanted = keys[::-1][number * size : (number + 1) * size]
    matches = tuple(_match(entry, looked) for entry in projects.each(project, wanted))
    return Page(
        matches=matches, number=number, total=len(keys), answers=len(every), keywords=keywords
    )


def find_answer(project: ProjectPaths, key: str) -> Entry | None:
    """Return one answer of a project, None where it is not there."""
    return next(projects.each(project, [key]), None) if key.isascii() else None


def _match(entry: Entry, looked: list[re.Pattern[str]]) -> Match:
    texts = questions(entry) or [UNREADABLE]
    shown = next(
        (text for text in reversed(texts) if any(pattern.search(text) for pattern in looked)),
        texts[-1],
    )
    return Match(entry=entry, question=shown, answer=answer(entry))
