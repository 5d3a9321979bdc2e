"""Which addresses the simulated provider answers at, and what an endpoint must be able to do.

A new API is one more `Endpoint`, a module or an object, and one more line in
`ENDPOINTS`; Gemini's has the model in its path.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import unquote

from llmnb.testing import (
    anthropic_messages,
    openai_embeddings,
    openai_responses,
)
from llmnb.testing.answers import Answer
from llmnb.testing.events import Stream
from llmnb.testing.gemini import GeminiGenerate
from llmnb.testing.openai_completions import CHAT, TEXT
from llmnb.testing.provider_profiles import ProviderProfile
from llmnb.testing.request import SimulatedRequest


class Endpoint(Protocol):
    """How one API reads its requests and writes its answers down."""

    @property
    def NAME(self) -> str:
        """What a request for it calls its endpoint."""

    @property
    def PROFILE(self) -> ProviderProfile:
        """Whose errors and limits it has."""

    def read(self, body: Mapping[str, Any]) -> SimulatedRequest:
        """Understand a body. Raises `Rejected`."""

    def write(self, request: SimulatedRequest, answer: Answer) -> bytes:
        """Return the body of the whole answer."""

    def stream(self, request: SimulatedRequest, answer: Answer) -> Stream:
        """Return the answer as events."""


ENDPOINTS: tuple[tuple[str, Endpoint], ...] = (
    ("/chat/completions", CHAT),
    ("/completions", TEXT),
    ("/responses", openai_responses),
    ("/embeddings", openai_embeddings),
    ("/messages", anthropic_messages),
)
"""Endpoints by the end of their path; what stands before it differs from provider to provider."""

_GEMINI = re.compile(r"/models/([^/]+):(generateContent|streamGenerateContent)\Z")


@functools.lru_cache(maxsize=256)
def endpoint_of(path: str) -> Endpoint | None:
    """Return the endpoint that answers at a path, None where none does.

    Example:
        >>> endpoint_of("/openai/v1/chat/completions").NAME
        'chat'
        >>> endpoint_of("/v1beta/models/gemini-x:generateContent").model
        'gemini-x'
    """
    path, _, query = path.partition("?")
    for path_end, endpoint in ENDPOINTS:
        if path.endswith(path_end):
            return endpoint
    if (match := _GEMINI.search(path)) is None:
        return None
    return GeminiGenerate(
        model=unquote(match[1]),
        is_streamed=match[2] == "streamGenerateContent",
        has_events="alt=sse" in query.split("&"),
    )
