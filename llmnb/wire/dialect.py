"""Dialects, in which providers are asked and answer: what all have in common, and their table.

Replies are read without trust, and errors about them are worded here.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
from collections.abc import Mapping
from typing import Any, ClassVar

from llmnb.errors import BadReply, ConfigurationError, LLMNBError
from llmnb.records import Reply
from llmnb.wire import json_bytes
from llmnb.wire.classify import error_inside, problem_of, safe_text
from llmnb.wire.event_stream import EventAssembler, is_stream, without_done
from llmnb.wire.untrusted import count_in, dict_in
from llmnb.wire.usage import tier


class Dialect:
    """One way of asking and answering."""

    name: ClassVar[str]
    """Name in the catalog, such as ``"openai.chat"``."""

    stream_fields: ClassVar[Mapping[str, Any]] = {"stream": True}
    """Fields of a body that ask for a stream which ends with the usage."""

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
        raise NotImplementedError

    def stream_body(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the same body, asking for a stream that ends with the usage."""
        return {**body, **self.stream_fields}

    def assembler(self, *, samples: int = 1) -> EventAssembler:
        """Return what reads one streamed reply; where a dialect has none, one that reads errors.

        Args:
            samples: Answers asked for in the one request (``n``); with fewer
                the stream is not whole.
        """
        return EventAssembler()

    def parse(self, raw: bytes) -> Reply:
        """Read a reply; one that was streamed against our wish is put together first.

        Raises:
            BadReply: If it cannot be read; its bytes are kept.
            LLMNBError: Of another type, if it says what went wrong.
        """
        if raw[:1] != b"{":
            raw = self.unstreamed(raw)
        try:
            body, readable = json_bytes.read_with_bytes(raw)
        except json_bytes.NotJSON:
            try:
                body, readable = json_bytes.read_with_bytes(without_done(raw))
            except json_bytes.NotJSON:
                raise _unreadable_reply(raw, "is not JSON") from None
        if type(body) is not dict:
            raise _unreadable_reply(raw, "is JSON, but no object")
        if body.get("error"):
            raise error_inside(body, raw)
        try:
            reply = self.reply(body, raw)
        except LLMNBError:
            raise
        except Exception as error:  # a shape that nobody has met yet: what was paid for is kept
            fault = f"has a form that cannot be read ({type(error).__name__})"
            raise bad_reply(raw, fault) from error
        return reply if readable is raw else dataclasses.replace(reply, raw=readable)

    def unstreamed(self, raw: bytes) -> bytes:
        """Return the body that a stream adds up to; other bytes are returned as they are."""
        return self.assembler().whole(raw) if is_stream(raw) else raw

    def reply(self, body: dict[str, Any], raw: bytes) -> Reply:
        """Read a reply's object, which speaks of no error; see `parse`."""
        raise NotImplementedError


def _unreadable_reply(raw: bytes, fault: str) -> BadReply:
    if not raw.strip():
        fault = "is empty"
    elif raw.lstrip()[:1] == b"<":
        page = safe_text(problem_of(raw).message.encode())[:200]
        fault = f"is {page}: is the address right, or does a login stand before it"
    return bad_reply(raw, fault)


def bad_reply(raw: bytes, fault: str) -> BadReply:
    """Return the error for a reply that lacks what an answer needs."""
    return BadReply(
        f"A reply came ({len(raw):,} bytes) that {fault}. It may have been billed. Its "
        "bytes are kept with the error, and it is not asked again in this run.",
        status=200,
        raw=raw,
        body=safe_text(raw),
    )


# ----------------------------------------------------------------- which there are

_CLASSES = {
    "openai.chat": ("openai_chat", "OpenAIChat"),
    "openai.text": ("openai_chat", "OpenAIText"),
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
    asked = count_in(body, "n") or count_in(dict_in(body, "generationConfig"), "candidateCount")
    return asked or 1


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
    return tier(body.get("service_tier") or body.get("serviceTier"))


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
