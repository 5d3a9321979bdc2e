"""The content of an OpenAI message, which is text or a list of parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmnb.wire import json_bytes

REASONING = ("reasoning_content", "reasoning")
"""Names under which a message shows its reasoning."""


def text_of(content: Any) -> str:
    """Return a content as text; parts that are not text are left out, a value is its JSON.

    Example:
        >>> text_of([{"type": "text", "text": "Hi"}, {"type": "thinking", "thinking": []}])
        'Hi'
        >>> text_of({"stars": 4})
        '{"stars":4}'
        >>> text_of([1, 2])
        '[1,2]'
    """
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if is_in_parts(content):
        texts = (part.get("text") for part in content if isinstance(part, dict))
        return "".join(text for text in texts if isinstance(text, str))
    # Cloudflare gives what was asked for as JSON already read.
    return json_bytes.write(content, is_strict=False).decode()


def is_in_parts(content: Any) -> bool:
    """Whether a content is a list of parts; one of anything else is a value.

    Example:
        >>> is_in_parts([{"type": "text", "text": "Hi"}]), is_in_parts([1, 2])
        (True, False)
    """
    return isinstance(content, list) and (not content or any(map(_is_part, content)))


def _is_part(given: Any) -> bool:
    return isinstance(given, dict) and ("type" in given or "text" in given)


def thinking_of(content: Any) -> str:
    """Return the reasoning that Mistral puts among the parts of a content."""
    if not isinstance(content, list):
        return ""
    thoughts = (part.get("thinking") for part in content if isinstance(part, dict))
    return "".join(text_of(thought) for thought in thoughts if isinstance(thought, (str, list)))


def reasoning_of(message: Mapping[str, Any]) -> str | None:
    """Return the reasoning that a message shows, under whichever name; None where it shows none.

    Example:
        >>> reasoning_of({"content": "4", "reasoning_content": "2 + 2"})
        '2 + 2'
    """
    first, second = REASONING
    found = message.get(first) or message.get(second)
    if found and isinstance(found, str):
        return found
    content = message.get("content")
    return (thinking_of(content) or None) if type(content) is list else None
