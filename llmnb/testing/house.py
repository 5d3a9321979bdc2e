"""Whose manners an endpoint has: how a provider words its errors and tells of its limits.

`OpenAI` is the pattern; the others stand in files of their own.
"""

from __future__ import annotations

from typing import Protocol

import orjson

from llmnb.testing import error_bodies
from llmnb.testing.events import event
from llmnb.testing.faults import Instead
from llmnb.testing.limits import EnforcedLimits, Refusal

STREAM_ERROR = event(orjson.loads(error_bodies.error_reply(500)[0]))
"""How OpenAI's chat streams end where an error strikes."""

StatusAndBody = tuple[int, bytes]


class House(Protocol):
    """The manners of one provider."""

    @property
    def request_id_header(self) -> str:
        """Name of the header with the provider's own name for a request."""

    def malformed(self, message: str, param: str | None) -> StatusAndBody:
        """Return the error for a body, or a part of one, that is not understood."""

    def wrong_key(self) -> StatusAndBody:
        """Return the error for a key that is not accepted, or for none."""

    def unknown_model(self, model: str) -> StatusAndBody:
        """Return the error for a model that does not exist."""

    def failed(self, message: str) -> StatusAndBody:
        """Return the error for a fault of the server's own."""

    def echo_of(self, key: str) -> bytes:
        """Return the body of an error that repeats the key."""

    def refusal(self, refusal: Refusal, *, model: str, tells_wait: bool) -> bytes:
        """Return the body of a 429 for a limit that refuses."""

    def limit_headers(self, limits: EnforcedLimits, now: float) -> dict[str, str]:
        """Return the headers that tell how the limits stand."""

    def retry_headers(self, limits: EnforcedLimits, wait: float) -> dict[str, str]:
        """Return the headers that tell when to come back."""

    def worded(self, fault: Instead) -> Instead:
        """Return a fault that was written in OpenAI's words in this provider's."""


class OpenAI:
    """OpenAI, and most who speak its protocol."""

    request_id_header = "x-request-id"

    def malformed(self, message: str, param: str | None) -> StatusAndBody:
        """Return a 400 that names the parameter."""
        return 400, error_bodies.parameter_error(message, param)

    def wrong_key(self) -> StatusAndBody:
        """Return a 401."""
        return 401, error_bodies.error_reply(401)[0]

    def unknown_model(self, model: str) -> StatusAndBody:
        """Return a 404."""
        return 404, error_bodies.model_error(model)

    def failed(self, message: str) -> StatusAndBody:
        """Return a 500."""
        return 500, error_bodies.openai_error(message, "server_error")

    def echo_of(self, key: str) -> bytes:
        """Return the words in which OpenAI shows parts of a key."""
        text = f"Incorrect API key provided: {key}."
        return error_bodies.openai_error(text, "invalid_request_error", code="invalid_api_key")

    def refusal(self, refusal: Refusal, *, model: str, tells_wait: bool) -> bytes:
        """Return the body of a 429."""
        return error_bodies.refusal_error(refusal, model=model, tells_wait=tells_wait)

    def limit_headers(self, limits: EnforcedLimits, now: float) -> dict[str, str]:
        """Return the ``x-ratelimit-*`` headers."""
        return limits.headers(now)

    def retry_headers(self, limits: EnforcedLimits, wait: float) -> dict[str, str]:
        """Return ``retry-after`` and ``retry-after-ms``, as they were asked for."""
        return limits.retry_headers(wait)

    def worded(self, fault: Instead) -> Instead:
        """Return the fault: its words are these."""
        return fault


OPENAI = OpenAI()
