"""Which dialects there are, and what a request body says in whichever of them."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from typing import Any

from llmnb.errors import ConfigurationError
from llmnb.wire import openai_replies
from llmnb.wire.dialect_base import Dialect

_CLASSES = {
    "openai.chat": ("openai_chat", "OpenAIChat"),
    "openai.text": ("openai_text", "OpenAIText"),
    "openai.responses": ("openai_responses", "OpenAIResponses"),
    "openai.embeddings": ("openai_embeddings", "OpenAIEmbeddings"),
    "anthropic.messages": ("anthropic_messages", "AnthropicMessages"),
    "gemini.generate": ("gemini", "GeminiGenerate"),
}
"""File and class of each dialect; a file is loaded when its dialect is first asked for."""


def samples_in(body: Mapping[str, Any]) -> int:
    """Return how many answers a request body asks for, in whichever dialect.

    Example:
        >>> samples_in({"n": 3}), samples_in({"generationConfig": {"candidateCount": 2}})
        (3, 2)
    """
    asked = body.get("n")
    if asked is None and isinstance(config := body.get("generationConfig"), Mapping):
        asked = config.get("candidateCount")
    return asked if type(asked) is int and asked > 0 else 1


def tier_in(body: Mapping[str, Any]) -> str | None:
    """Return the service tier that a request body asks for, in whichever dialect.

    Example:
        >>> tier_in({"service_tier": "flex"}), tier_in({"serviceTier": "FLEX"}), tier_in({})
        ('flex', 'flex', None)
        >>> tier_in({"speed": "fast"})
        'fast'
    """
    if body.get("speed") == "fast":  # Anthropic's
        return "fast"
    return openai_replies.tier(body.get("service_tier") or body.get("serviceTier"))


def is_spoken(name: str) -> bool:
    """Return whether llmnb speaks a dialect that the catalog names.

    Example:
        >>> is_spoken("openai.chat"), is_spoken("klingon.chat")
        (True, False)
    """
    return name in _CLASSES


@functools.cache
def dialect(name: str) -> Dialect:
    """Return a dialect by its name in the catalog.

    Raises:
        ConfigurationError: If llmnb does not speak it.

    Example:
        >>> dialect("openai.text").name
        'openai.text'
    """
    if name not in _CLASSES:
        raise ConfigurationError(
            f"llmnb does not speak {name!r} yet; it speaks {' and '.join(_CLASSES)}. "
            "Nothing was sent. Models of other providers can be reached through one that speaks "
            "OpenAI's protocol, such as openrouter/…"
        )
    file, kind = _CLASSES[name]
    made: Dialect = getattr(importlib.import_module(f"llmnb.wire.{file}"), kind)()
    return made
