"""What a dialect can do, and which there are."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from llmnb.errors import ConfigurationError
from llmnb.records import Delta, Reply
from llmnb.wire import openai_replies


class Assembler(Protocol):
    """Puts the pieces of one streamed reply together."""

    def feed(self, data: bytes) -> list[Delta]:
        """Take bytes as they come; returns what they bring of the answer.

        A piece that is neither text nor reasoning, such as a part of a tool
        call, is an empty `Delta`: the list tells that the answer has begun.
        """

    def has_ended(self) -> bool:
        """Whether the mark has come after which nothing of the answer follows."""

    def finish(self) -> bytes:
        """Return the body the same request would have had unstreamed.

        Raises:
            IncompleteReply: If the stream ended without its finish marker.
            LLMNBError: Of another type, if the stream brought an error.
        """


class Dialect(Protocol):
    """One way of asking and answering."""

    @property
    def name(self) -> str:
        """Name in the catalog, such as ``"openai.chat"``."""

    def body(
        self, request: Mapping[str, Any], *, model: str, params: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return a new request body.

        Args:
            request: ``messages``, ``prompt`` or ``input``, and any further
                fields of the body; they win over `params`, and one that is
                None takes a parameter back. Never changed; its lists are
                shared, not copied.
            model: Model, as the provider spells it.
            params: Fields of the body where the request does not say otherwise.

        Raises:
            InputError: If the request asks nothing, or nothing this dialect can ask.
        """

    def stream_body(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the same body, asking for a stream that ends with the usage."""

    def parse(self, raw: bytes) -> Reply:
        """Read a reply.

        Raises:
            BadReply: If it cannot be read; its bytes are kept.
            LLMNBError: Of another type, if it says what went wrong.
        """

    def assembler(self, *, samples: int = 1) -> Assembler:
        """Return what reads one streamed reply.

        Args:
            samples: Answers asked for in the one request (``n``); with fewer
                the stream is not whole.
        """


def _openai_chat() -> Dialect:
    from llmnb.wire.openai_chat import OpenAIChat

    return OpenAIChat()


def _openai_text() -> Dialect:
    from llmnb.wire.openai_text import OpenAIText

    return OpenAIText()


def _anthropic_messages() -> Dialect:
    from llmnb.wire.anthropic_messages import AnthropicMessages

    return AnthropicMessages()


def _gemini_generate() -> Dialect:
    from llmnb.wire.gemini import GeminiGenerate

    return GeminiGenerate()


def _openai_responses() -> Dialect:
    from llmnb.wire.openai_responses import OpenAIResponses

    return OpenAIResponses()


def _openai_embeddings() -> Dialect:
    from llmnb.wire.openai_embeddings import OpenAIEmbeddings

    return OpenAIEmbeddings()


_SPOKEN: dict[str, Callable[[], Dialect]] = {
    "openai.chat": _openai_chat,
    "openai.text": _openai_text,
    "openai.responses": _openai_responses,
    "openai.embeddings": _openai_embeddings,
    "anthropic.messages": _anthropic_messages,
    "gemini.generate": _gemini_generate,
}


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
    return openai_replies.tier(
        {"service_tier": body.get("service_tier") or body.get("serviceTier")}
    )


def is_spoken(name: str) -> bool:
    """Whether llmnb speaks a dialect that the catalog names.

    Example:
        >>> is_spoken("openai.chat"), is_spoken("klingon.chat")
        (True, False)
    """
    return name in _SPOKEN


@functools.cache
def dialect(name: str) -> Dialect:
    """Return a dialect by its name in the catalog.

    Raises:
        ConfigurationError: If llmnb does not speak it.

    Example:
        >>> dialect("openai.text").name
        'openai.text'
    """
    try:
        return _SPOKEN[name]()
    except KeyError:
        raise ConfigurationError(
            f"llmnb does not speak {name!r} yet; it speaks {' and '.join(_SPOKEN)}. "
            "Nothing was sent. Models of other providers can be reached through one that speaks "
            "OpenAI's protocol, such as openrouter/…"
        ) from None
