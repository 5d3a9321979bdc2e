"""What was asked and what was answered, as text: a stored entry as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from llmnb.errors import LLMNBError
from llmnb.store.entry import Entry
from llmnb.wire.dialect import dialect

UNREADABLE = "(not readable)"


def question(entry: Entry) -> str:
    """Return the last thing that was asked.

    Example:
        >>> from llmnb.store.entry import Entry
        >>> asked = b'{"messages": [{"role": "user", "content": "Hi"}]}'
        >>> question(Entry(key="k", request=asked, raw=b"", dialect="openai.chat",
        ...                provider="p", model="m", quality="good"))
        'Hi'
    """
    found = questions(entry)
    return found[-1] if found else UNREADABLE


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
    found = [text for name in _INSTRUCTIONS if (text := _text(body.get(name)))]
    for name in _QUESTIONS:
        asked = body.get(name)
        if isinstance(asked, list) and name != "prompt":
            found += [text for one in asked if (text := _text(one))]
        elif text := _text(asked):
            found.append(text)
    return found


def answer(entry: Entry) -> str:
    """Return the answer's text, or which tools it called; several answers one under the other."""
    try:
        reply = dialect(entry.dialect).parse(entry.raw)
    except LLMNBError:
        return UNREADABLE
    if len(reply.texts) > 1:
        return "\n\n".join(reply.texts)
    if reply.text or not reply.tool_calls:
        return reply.text
    return "\n".join(f"[{call.name}({call.arguments})]" for call in reply.tool_calls)


# Where the dialects put what is asked; each body holds some of them.
_INSTRUCTIONS = ("system", "systemInstruction", "system_instruction", "instructions")
_QUESTIONS = ("messages", "contents", "prompt", "input")
_TEXTS = ("text", "content", "parts", "input_text")


def _text(part: Any) -> str:
    """Return the text of a message, of its content, or of a part of it."""
    return "\n".join(_pieces(part, 0))


def _pieces(part: Any, depth: int) -> Iterator[str]:
    if isinstance(part, str):
        if part:
            yield part
    elif depth > 8:  # nobody asks that deep; a planted entry might
        return
    elif isinstance(part, list):
        for one in part:
            yield from _pieces(one, depth + 1)
    elif isinstance(part, dict):
        inside = [part[name] for name in _TEXTS if part.get(name)]
        if inside:
            yield from _pieces(inside[0], depth + 1)
        elif isinstance(kind := part.get("type"), str) and part.get("role") is None:
            yield f"[{kind}]"
        elif "inlineData" in part or "inline_data" in part:
            yield "[image]"
