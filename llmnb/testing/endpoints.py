"""Which addresses the simulated provider answers at, and what an endpoint must be able to do.

A new API (embeddings, Responses, another provider's messages, batches) is one
more module with one more `Endpoint` and one more line in `ENDPOINTS`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Protocol

from llmnb.testing import openai_chat, openai_text
from llmnb.testing.answers import Answer
from llmnb.testing.events import Stream
from llmnb.testing.request import SimulatedRequest


class Endpoint(Protocol):
    """How one API reads its requests and writes its answers down."""

    def read(self, body: Mapping[str, Any]) -> SimulatedRequest:
        """Understand a body. Raises `Rejected`."""

    def write(self, request: SimulatedRequest, answer: Answer) -> bytes:
        """Return the body of the whole answer."""

    def stream(self, request: SimulatedRequest, answer: Answer) -> Stream:
        """Return the answer as events."""


ENDPOINTS: tuple[tuple[str, Endpoint], ...] = (
    ("/chat/completions", openai_chat),
    ("/completions", openai_text),
)
"""Endpoints by the end of their path; what stands before it differs from provider to provider."""


@functools.lru_cache(maxsize=256)
def endpoint_of(path: str) -> Endpoint | None:
    """Return the endpoint that answers at a path (its query is ignored), None where none does.

    Example:
        >>> endpoint_of("/openai/v1/chat/completions").__name__
        'llmnb.testing.openai_chat'
    """
    path = path.partition("?")[0]
    for ending, endpoint in ENDPOINTS:
        if path.endswith(ending):
            return endpoint
    return None
