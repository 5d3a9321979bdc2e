"""What a provider says went wrong, out of whichever shape of body it says it in.

Each provider has a shape of its own: an ``error`` object, a list around it, an
``error`` that is text beside a ``code``, ``message`` at the top, ``detail`` as
text or as a list, a web page of the proxy in front. Words are taken from the
places meant for them only: a body often repeats the prompt, and a prompt that
speaks of quotas must not stop a run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from llmnb.wire import json_bytes

_READ_BYTES = 262_144
"""Longer bodies are no statement about what went wrong."""

_DEEPEST = 6
_CODE_FIELDS = ("code", "type", "status", "error_type", "reason", "limit_source", "quotaId")
_INNER = ("error", "message", "innererror", "metadata", "details", "violations", "errors", "detail")
_TITLE = re.compile(r"<title[^>]*>\s*(.*?)\s*</title", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Problem:
    """One statement of what went wrong."""

    message: str
    """The provider's own sentence; empty when it says nothing readable."""

    codes: frozenset[str]
    """Every code, type, status and reason it gives, in lower case."""

    status: int | None
    """The status that the body itself names, where it names one."""

    def has(self, *codes: str) -> bool:
        """Whether one of these codes is given."""
        return not self.codes.isdisjoint(codes)


def problem_of(body: bytes) -> Problem:
    """Read what a body says went wrong; never raises.

    Example:
        >>> problem = problem_of(b'{"error": {"message": "No.", "code": "model_not_found"}}')
        >>> problem.message, problem.has("model_not_found")
        ('No.', True)
        >>> problem_of(b"<html><title>502 Bad Gateway</title></html>").message
        'a web page: 502 Bad Gateway'
    """
    if len(body) > _READ_BYTES:
        body = b""
    try:
        value = json_bytes.read(body)
    except json_bytes.NotJSON:
        return Problem(_plain(body), frozenset(), None)
    return problem_in(value)


def problem_in(value: Any) -> Problem:
    """Read what a parsed body says went wrong.

    Example:
        >>> problem_in([{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}]).status
        429
    """
    parts = list(_parts(value))
    codes: set[str] = set()
    status = None
    for part in parts:
        for name in _CODE_FIELDS:
            said = part.get(name)
            if isinstance(said, str):
                codes.add(said.lower())
            number = _status(said)
            status = number if status is None else status
    return Problem(_sentence(value, parts), frozenset(codes), status)


def _parts(value: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Yield the objects that may hold codes, the outermost first; never the caller's own words."""
    if depth > _DEEPEST:
        return
    if isinstance(value, list):
        for one in value[:20]:
            yield from _parts(one, depth + 1)
    elif isinstance(value, dict):
        yield value
        for name in _INNER:
            inner = value.get(name)
            if isinstance(inner, str):
                inner = _wrapped(inner)
            if isinstance(inner, (dict, list)):
                yield from _parts(inner, depth + 1)


def _wrapped(text: str) -> dict[str, Any] | None:
    """Return the whole error that a text is, as Google's are where two of its servers answer."""
    if not text.lstrip().startswith("{") or '"error"' not in text:
        return None
    try:
        value = json_bytes.read(text.encode("utf-8", "replace"))
    except json_bytes.NotJSON:
        return None
    return value if isinstance(value, dict) and isinstance(value.get("error"), dict) else None


def _status(said: Any) -> int | None:
    if isinstance(said, str) and said.isascii() and said.isdigit() and len(said) == 3:
        said = int(said)
    return said if type(said) is int and 400 <= said <= 599 else None


def _sentence(value: Any, parts: list[Mapping[str, Any]]) -> str:
    """Return the provider's words, those of an upstream behind its own."""
    words: list[str] = []
    for part in parts:
        for name in ("message", "error", "detail", "msg", "raw"):
            said = part.get(name)
            if isinstance(said, str) and said.strip() and said.strip() not in words:
                if _wrapped(said) is None:  # its own words come with the parts
                    words.append(said.strip())
                break
    if not words and isinstance(value, str):
        return value
    return " · ".join(words[:3])


def _plain(body: bytes) -> str:
    text = body[:4000].decode("utf-8", "replace").strip()
    if not text.startswith("<"):
        return text
    title = _TITLE.search(text)
    return f"a web page: {title[1]}" if title else "a web page without a title"
