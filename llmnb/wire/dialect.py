"""What a dialect can do, and which there are."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Protocol

from llmnb.errors import ConfigurationError
from llmnb.records import Delta, Reply


class Assembler(Protocol):
    """Puts the pieces of one streamed reply together."""

    def feed(self, data: bytes) -> list[Delta]:
        """Take bytes as they come; returns the pieces of text in them."""

    def finish(self) -> bytes:
        """Return the body the same request would have had unstreamed.

        Raises:
            IncompleteReply: If the stream ended without its finish marker.
        """


class Dialect(Protocol):
    """One way of asking and answering."""

    @property
    def name(self) -> str:
        """Name in the catalog, such as ``"openai.chat"``."""

    def body(
        self, request: Mapping[str, Any], *, model: str, params: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return a new request body; fields of the request win over `params`.

        Raises:
            InputError: If the request asks nothing.
        """

    def stream_body(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the same body, asking for a stream that ends with the usage."""

    def parse(self, raw: bytes) -> Reply:
        """Read a reply.

        Raises:
            BadReply: If it cannot be read; its bytes are kept.
        """

    def assembler(self) -> Assembler:
        """Return what reads one streamed reply."""


@functools.cache
def dialect(name: str) -> Dialect:
    """Return a dialect by its name in the catalog.

    Raises:
        ConfigurationError: If llmnb does not speak it.
    """
    if name == "openai.chat":
        from llmnb.wire.openai_chat import OpenAIChat

        return OpenAIChat()
    if name == "openai.text":
        from llmnb.wire.openai_text import OpenAIText

        return OpenAIText()
    raise ConfigurationError(
        f"llmnb does not speak {name!r} yet. Providers that speak OpenAI's protocol work; "
        "many others can be reached through one of them, such as openrouter/…"
    )
