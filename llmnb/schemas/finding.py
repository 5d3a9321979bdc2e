"""Finds the JSON document in what a model has written around it.

Models put answers in code fences, greet first and explain afterwards, or think
aloud. The text is tried as a whole, then what stands in fences (the last one
first: a model's last word counts), then whatever is balanced between braces or
brackets (the longest first: notes such as ``[1]`` are shorter than answers).
Nothing is ever mended, guessed or evaluated: what is found is JSON as it stands,
and no part of a document that was cut off or is nested too deeply is taken for
the document.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from llmnb.display.texts import mended_value
from llmnb.schemas.faults import Misfit

MAX_DEPTH = 100
"""Levels of nesting that are read."""

_MAX_CANDIDATES = 20
"""Fences, and documents between words, that are tried."""

_SEARCH_BEYOND = 1_000_000
"""Characters looked at beyond the text's own length, when openings turn out to be none."""

_OPENING = re.compile(r"[{\[]")
_MARKS = re.compile(r'["{}\[\]]')
_DOCUMENT = re.compile(
    r"\{\s*(?:\}|\"[^\"\\]*(?:\\.[^\"\\]*)*\"\s*:)|\[\s*(?:[\]{\[\"\d-]|true|false|null)", re.DOTALL
)
"""The beginning of a document, in contrast to a bracket in prose."""

_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_PAIRS = {"{": "}", "[": "]"}


class NotRead(ValueError):
    """A text is no JSON document."""


class TooDeep(NotRead):
    """A document is nested more deeply than `MAX_DEPTH`."""


def without_thoughts(text: str) -> str:
    """Return what a model has said after thinking aloud; nothing if it has only thought.

    Example:
        >>> without_thoughts("<think>Five stars?</think> Four.")
        'Four.'
    """
    text = text.strip().removeprefix("\ufeff")
    _, has_thought, said = text.rpartition("</think>")
    if has_thought:
        return said.strip()
    return "" if text.startswith("<think>") else text


def documents(text: str) -> Iterator[Any]:
    """Yield the JSON documents in a text, the likeliest answer first.

    Example:
        >>> list(documents('Sure [1]: {"stars": 5}. Anything else?'))
        [{'stars': 5}, [1]]
    """
    try:
        yield read(text.strip().removeprefix("\ufeff"))
        return
    except TooDeep:
        return
    except NotRead:
        pass  # not JSON as a whole: that is what the rest is for
    text = without_thoughts(text)
    try:
        candidates = [*_fenced(text), *_balanced(text)]
    except TooDeep:
        return
    for candidate in candidates:
        try:
            yield read(candidate)
        except NotRead:
            continue


def fitting(text: str, candidates: Iterable[Any], read: Callable[[Any], Any]) -> Any:
    """Return what is read of the first candidate that fits.

    Args:
        text: In which the candidates stand.
        candidates: JSON documents.
        read: Returns what a document means, or raises `Misfit`.

    Raises:
        Misfit: With the faults of the first candidate, or why the text holds none.
    """
    first: Misfit | None = None
    for document in candidates:
        try:
            return read(document)
        except Misfit as misfit:
            first = first or misfit
    raise first or Misfit([why_none(text)])


def why_none(text: str) -> str:
    """Return why a text holds no document, in words that a model can act on.

    Example:
        >>> why_none("I like it.")
        'there is no JSON document in it'
        >>> why_none('{"stars": 5')
        'the JSON document ends before it is complete'
    """
    text = without_thoughts(text)
    opening = _DOCUMENT.search(text) or _OPENING.search(text)
    if opening is None:
        return "there is no JSON document in it"
    try:
        _balanced(text)
    except TooDeep as error:
        return str(error)
    rest = text[opening.start() :].rstrip().removesuffix("```").rstrip()
    try:
        read(rest)
    except NotRead as error:
        return str(error)
    return "there is no JSON document in it"


def read(text: str) -> Any:
    r"""Return the value of a text that is one JSON document.

    Unlike the standard library's reader this one refuses NaN, infinities and
    numbers too large for any column; a lone half of a surrogate pair becomes
    U+FFFD.

    Raises:
        NotRead: If it is none, or nested too deeply.

    Example:
        >>> read('[1, "\\ud83d"]')
        [1, '\ufffd']
    """
    try:
        document = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()) or "Unterminated" in error.msg:
            raise NotRead("the JSON document ends before it is complete") from None
        raise NotRead(
            f"it is not JSON: {error.msg[:1].lower()}{error.msg[1:]} at line {error.lineno}, "
            f"column {error.colno}"
        ) from None
    except RecursionError:
        raise TooDeep("the JSON document is nested too deeply") from None
    except ValueError as error:
        raise NotRead(f"it is not JSON: {error}") from None
    has_many_levels = text.count("[") + text.count("{") > MAX_DEPTH
    if has_many_levels and is_deeper(document, MAX_DEPTH):
        raise TooDeep(f"the JSON document is nested more than {MAX_DEPTH} levels deep")
    return mended_value(document) if "\\u" in text or not text.isascii() else document


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number there")


def _finite(digits: str) -> float:
    number = float(digits)
    if number - number != 0.0:
        raise ValueError("a number is too large")
    return number


def is_deeper(document: Any, levels: int) -> bool:
    """Whether dicts and lists stand in each other more than so many levels deep.

    Example:
        >>> is_deeper([[1]], 1), is_deeper([[1]], 2)
        (True, False)
    """
    level = [document]
    for _ in range(levels + 1):
        level = [node for node in level if isinstance(node, (dict, list))]
        if not level:
            return False
        level = [
            inner
            for node in level
            for inner in (node.values() if isinstance(node, dict) else node)
            if isinstance(inner, (dict, list))
        ]
    return True


# ------------------------------------------------------------------------- between words


def _fenced(text: str) -> Iterator[str]:
    # Split, not searched by a pattern: one that backtracks would take for ever over backticks.
    for piece in reversed(text.split("```")[1::2][-_MAX_CANDIDATES:]):
        head, newline, rest = piece.partition("\n")
        if newline and head.strip():
            yield rest
        yield piece


def _balanced(text: str) -> list[str]:
    """Return what stands between brackets that match, the longest first."""
    candidates = []
    left = len(text) + _SEARCH_BEYOND
    position = 0
    while left > 0 and (opening := _OPENING.search(text, position)):
        start = opening.start()
        end, is_whole = _end_of(text, start)
        left -= end - start
        if is_whole:
            candidates.append(text[start:end])
        elif _DOCUMENT.match(text, start):
            break  # it is cut off or damaged: what stands in it is not the answer
        position = end if is_whole else start + 1
    candidates.reverse()
    return sorted(candidates, key=len, reverse=True)[:_MAX_CANDIDATES]


def _end_of(text: str, start: int) -> tuple[int, bool]:
    """Return where the bracket at `start` is closed, or where it turns out that it is not."""
    closings: list[str] = []
    position = start
    while mark := _MARKS.search(text, position):
        sign, position = mark.group(), mark.end()
        if sign == '"':
            string = _STRING.match(text, mark.start())
            if string is None:
                return len(text), False
            position = string.end()
        elif sign in _PAIRS:
            closings.append(_PAIRS[sign])
            if len(closings) > MAX_DEPTH:
                raise TooDeep(f"its brackets are nested more than {MAX_DEPTH} levels deep")
        elif closings.pop() != sign:
            return position, False
        elif not closings:
            return position, True
    return len(text), False
