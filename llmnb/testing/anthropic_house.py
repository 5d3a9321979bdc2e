"""Anthropic's manners: its errors, and its limits as dates.

Source:
    Anthropic API reference, "Errors" and "Rate limits".
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime

import orjson

from llmnb.testing import error_bodies
from llmnb.testing.events import named_event
from llmnb.testing.faults import Instead
from llmnb.testing.house import StatusAndBody
from llmnb.testing.limits import EnforcedLimits, Refusal

_JSON = "application/json"

_TYPES: dict[int, tuple[str, str]] = {
    400: ("invalid_request_error", "The request could not be understood."),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "There is a problem with the account's billing."),
    403: ("permission_error", "The key may not use this resource."),
    404: ("not_found_error", "No such address."),
    413: ("request_too_large", "The request is larger than is allowed."),
    429: ("rate_limit_error", "This request would exceed the account's rate limit."),
    500: ("api_error", "Internal server error"),
    503: ("api_error", "Service unavailable"),
    504: ("timeout_error", "The request timed out."),
    529: ("overloaded_error", "Overloaded"),
}

STREAM_ERROR = named_event(orjson.loads(error_bodies.anthropic_error("Overloaded", _TYPES[529][0])))
"""How its streams end where an error strikes."""


class Anthropic:
    """Anthropic.

    Args:
        clock: Seconds since the epoch, for the dates in headers.
    """

    request_id_header = "request-id"

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock

    def malformed(self, message: str, param: str | None) -> StatusAndBody:
        """Return a 400 that begins with the parameter's name."""
        return 400, _error(400, f"{param}: {message}" if param else message)

    def wrong_key(self) -> StatusAndBody:
        """Return a 401."""
        return 401, _error(401)

    def unknown_model(self, model: str) -> StatusAndBody:
        """Return a 404."""
        return 404, _error(404, f"model: {model}")

    def failed(self, message: str) -> StatusAndBody:
        """Return a 500."""
        return 500, _error(500, message)

    def echo_of(self, key: str) -> bytes:
        """Return an error that repeats the key; Anthropic itself has never been seen to."""
        return _error(401, f"invalid x-api-key: {key}")

    def refusal(self, refusal: Refusal, *, model: str, tells_wait: bool) -> bytes:
        """Return the body of a 429, which tells no wait."""
        if refusal.kind == "concurrency":
            return _error(429, "Number of concurrent connections has exceeded your rate limit.")
        what = "requests" if refusal.kind == "requests" else "input tokens"
        return _error(
            429,
            "This request would exceed your organization's rate limit of "
            f"{refusal.limit:,.0f} {what} per minute (model: {model}).",
        )

    def limit_headers(self, limits: EnforcedLimits, now: float) -> dict[str, str]:
        """Return the ``anthropic-ratelimit-*`` headers; input and output share one limit here."""
        found: dict[str, str] = {}
        for one in limits.standings(now):
            names = [one.kind] if one.kind == "requests" else [one.kind, "input-tokens"]
            for name in names:
                begin = f"anthropic-ratelimit-{name}"
                found[f"{begin}-limit"] = str(math.floor(one.per_minute))
                found[f"{begin}-remaining"] = str(one.left)
                found[f"{begin}-reset"] = _date(self._clock() + one.reset)
        return found

    def retry_headers(self, limits: EnforcedLimits, wait: float) -> dict[str, str]:
        """Return ``retry-after`` in whole seconds, which is all there is."""
        return {"retry-after": str(math.ceil(wait))}

    def worded(self, fault: Instead) -> Instead:
        """Return a fault in these words."""
        if fault.meaning == "error in 200":
            return fault.but(body=_error(500))
        if fault.meaning == "quota":
            text = (
                "Your credit balance is too low to access the Anthropic API. Please go to "
                "Plans & Billing to upgrade or purchase credits."
            )
            return fault.but(status=400, body=_error(400, text))
        if fault.meaning == "context":
            limit, asked = fault.figures
            text = f"prompt is too long: {asked} tokens > {limit} maximum"
            return fault.but(body=_error(400, text))
        if fault.meaning == "status" and fault.status in _TYPES:
            return fault.but(body=_error(fault.status), content_type=_JSON)
        return fault


def _error(status: int, message: str | None = None) -> bytes:
    kind, usual = _TYPES[status]
    return error_bodies.anthropic_error(usual if message is None else message, kind)


def _date(moment: float) -> str:
    """Return a moment as the headers have it, never too early.

    Example:
        >>> _date(0.5)
        '1970-01-01T00:00:01Z'
    """
    return datetime.fromtimestamp(math.ceil(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


ANTHROPIC = Anthropic()
