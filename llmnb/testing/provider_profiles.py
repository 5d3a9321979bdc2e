"""How each provider words its errors and tells of its limits.

`ProviderProfile` is OpenAI's, and that of most who speak its protocol; the others differ
from it in what their classes say. An API that is spoken names one of the three.

Source:
    OpenAI API guides, "Error codes" and "Rate limits"; Anthropic API reference, "Errors"
    and "Rate limits"; Google Cloud API design guide, "Errors" (``google.rpc.Status``,
    ``RetryInfo``, ``QuotaFailure``, ``ErrorInfo``); Gemini API, "Troubleshooting".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import orjson

from llmnb.testing import error_bodies
from llmnb.testing.events import event, named_event
from llmnb.testing.faults import Instead
from llmnb.testing.limit_headers import duration_text, written
from llmnb.testing.limits import EnforcedLimits, Refusal

StatusAndBody = tuple[int, bytes]


class ProviderProfile:
    """OpenAI, and most who speak its protocol."""

    request_id_header: ClassVar[str] = "x-request-id"
    """Name of the header with the provider's own name for a request."""

    limit_family: ClassVar[str | None] = "openai"
    """Whose names the headers have that tell how the limits stand; None tells nobody."""

    key_echo: ClassVar[tuple[int, str]] = (401, "Incorrect API key provided: {key}.")
    """Status and text of an error that repeats the key."""

    model_text: ClassVar[str] = (
        "The model `{model}` does not exist or you do not have access to it."
    )

    def error(self, status: int, message: str | None = None, **more: Any) -> bytes:
        """Return the body of an error; without a message it is the usual one."""
        return error_bodies.openai_status(status, message, **more)

    @cached_property
    def stream_error(self) -> bytes:
        """How streams end where an error strikes."""
        return event(orjson.loads(self.error(500)))

    def malformed(self, message: str, param: str | None) -> StatusAndBody:
        """Return the error for a body, or a part of one, that is not understood."""
        return 400, self.error(400, message, param=param)

    def wrong_key(self) -> StatusAndBody:
        """Return the error for a key that is not accepted, or for none."""
        return 401, self.error(401)

    def unknown_model(self, model: str) -> StatusAndBody:
        """Return the error for a model that does not exist."""
        return 404, self.error(404, self.model_text.format(model=model), code="model_not_found")

    def failed(self, message: str) -> StatusAndBody:
        """Return the error for a fault of the server's own."""
        return 500, self.error(500, message)

    def echo_of(self, key: str) -> bytes:
        """Return the body of an error that repeats the key."""
        status, text = self.key_echo
        return self.error(status, text.format(key=key))

    def refusal(self, refusal: Refusal, *, model: str, tells_wait: bool) -> bytes:
        """Return the body of a 429 for a limit that refuses.

        The phrase "try again in …" is what clients read where headers are missing.
        """
        if refusal.kind == "concurrency":
            return self.error(
                429,
                f"Too many concurrent requests for {model}: {refusal.limit:g} at once are served.",
                kind="rate_limit_error",
                code="concurrency_limit_exceeded",
            )
        name = "requests per min (RPM)" if refusal.kind == "requests" else "tokens per min (TPM)"
        message = (
            f"Rate limit reached for {model} in organization org-simulated on {name}: Limit "
            f"{refusal.limit:.0f}, Used {refusal.used:.0f}, Requested {refusal.requested:.0f}."
        )
        if tells_wait:
            message += f" Please try again in {duration_text(refusal.wait)}."
        return self.error(429, message, kind=refusal.kind)

    def limit_headers(self, limits: EnforcedLimits, now: float) -> dict[str, str]:
        """Return the headers that tell how the limits stand."""
        family, wanted = self.limit_family, limits.settings.limit_headers
        if family == "openai" and isinstance(wanted, str):
            family = wanted
        return {} if family is None else written(family, limits.standings(now))

    def retry_headers(self, limits: EnforcedLimits, wait: float) -> dict[str, str]:
        """Return the headers that tell when to come back."""
        return limits.retry_headers(wait)

    def worded(self, fault: Instead) -> Instead:
        """Return a fault that was written in OpenAI's words in this provider's."""
        return fault


class _Translated(ProviderProfile):
    """A provider with words of its own for everything that OpenAI says."""

    statuses: ClassVar[Mapping[int, tuple[str, str]]]
    """Name and usual message of each status."""

    context_text: ClassVar[str]

    def quota(self) -> StatusAndBody:
        """Return the error that says that no credit is left."""
        raise NotImplementedError

    def worded(self, fault: Instead) -> Instead:
        """Return a fault that was written in OpenAI's words in this provider's."""
        if fault.meaning == "error in 200":
            return fault.but(body=self.error(500))
        if fault.meaning == "quota":
            status, body = self.quota()
            return fault.but(status=status, body=body)
        if fault.meaning == "context":
            limit, asked = fault.figures
            return fault.but(
                body=self.error(400, self.context_text.format(limit=limit, asked=asked))
            )
        if fault.meaning == "status" and fault.status in self.statuses:
            return self.worded_status(fault)
        return fault

    def worded_status(self, fault: Instead) -> Instead:
        """Return a plain status in this provider's words."""
        return fault.but(body=self.error(fault.status), content_type="application/json")


class Anthropic(_Translated):
    """Anthropic, which tells of limits in dates."""

    request_id_header = "request-id"
    limit_family = "anthropic"
    key_echo = (401, "invalid x-api-key: {key}")  # Anthropic itself has never been seen to
    model_text = "model: {model}"
    context_text = "prompt is too long: {asked} tokens > {limit} maximum"
    statuses = error_bodies.ANTHROPIC

    def error(self, status: int, message: str | None = None, **more: Any) -> bytes:
        """Return the body of an error; a parameter's name stands before its text."""
        kind, usual = self.statuses[status]
        said = usual if message is None else message
        return error_bodies.anthropic_error(
            f"{p}: {said}" if (p := more.get("param")) else said, kind
        )

    @cached_property
    def stream_error(self) -> bytes:
        """How streams end where an error strikes."""
        return named_event(orjson.loads(self.error(529)))

    def refusal(self, refusal: Refusal, *, model: str, tells_wait: bool) -> bytes:
        """Return the body of a 429, which tells no wait."""
        if refusal.kind == "concurrency":
            return self.error(429, "Number of concurrent connections has exceeded your rate limit.")
        what = "requests" if refusal.kind == "requests" else "input tokens"
        return self.error(
            429,
            "This request would exceed your organization's rate limit of "
            f"{refusal.limit:,.0f} {what} per minute (model: {model}).",
        )

    def retry_headers(self, limits: EnforcedLimits, wait: float) -> dict[str, str]:
        """Return ``retry-after`` in whole seconds, which is all there is."""
        return {"retry-after": str(math.ceil(wait))}

    def quota(self) -> StatusAndBody:
        """Return a 400, as Anthropic does."""
        return 400, self.error(
            400,
            "Your credit balance is too low to access the Anthropic API. Please go to "
            "Plans & Billing to upgrade or purchase credits.",
        )


_TYPE = "type.googleapis.com/google.rpc."


class Gemini(_Translated):
    """Google's Gemini, which tells in the body when to come back, and of limits nowhere."""

    limit_family = None
    key_echo = (400, "API key not valid: {key}")
    model_text = (
        "models/{model} is not found for API version v1beta, or is not supported for "
        "generateContent. Call ListModels to see the list of available models."
    )
    context_text = (
        "The input token count ({asked}) exceeds the maximum number of tokens allowed ({limit})."
    )
    statuses = error_bodies.GOOGLE

    def error(self, status: int, message: str | None = None, **more: Any) -> bytes:
        """Return the body of an error with its `details`; a parameter stands after its text."""
        name, usual = self.statuses[status]
        said = usual if message is None else message
        said = f"{said} ({p})" if (p := more.get("param")) else said
        error: dict[str, Any] = {"code": status, "message": said, "status": name}
        if details := more.get("details"):
            error["details"] = details
        return orjson.dumps({"error": error})

    @cached_property
    def stream_error(self) -> bytes:
        """How streams end where an error strikes."""
        return event(orjson.loads(self.error(503)))

    def wrong_key(self) -> StatusAndBody:
        """Return a 400: here a wrong key is an invalid argument."""
        info = {
            "@type": f"{_TYPE}ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": {"service": "generativelanguage.googleapis.com"},
        }
        text = "API key not valid. Please pass a valid API key."
        return 400, self.error(400, text, details=[info])

    def refusal(self, refusal: Refusal, *, model: str, tells_wait: bool) -> bytes:
        """Return the body of a 429; when to come back stands in it and nowhere else."""
        what = "InputTokens" if refusal.kind == "tokens" else "Requests"
        quota = f"GenerateContent{what}PerMinutePerProjectPerModel"
        wait = refusal.wait if tells_wait else None
        return self._exceeded(quota, refusal.limit, model, wait)

    def retry_headers(self, limits: EnforcedLimits, wait: float) -> dict[str, str]:
        """Return nothing: it is told in the body."""
        return {}

    def quota(self) -> StatusAndBody:
        """Return a 429 whose quota is one of a day."""
        return 429, self._exceeded("GenerateRequestsPerDayPerProjectPerModel", 200, "simulated")

    def _exceeded(self, quota: str, limit: float, model: str, wait: float | None = None) -> bytes:
        violation = {
            "quotaMetric": "generativelanguage.googleapis.com/generate_content_requests",
            "quotaId": quota,
            "quotaDimensions": {"location": "global", "model": model},
            "quotaValue": f"{limit:.0f}",
        }
        details = [{"@type": f"{_TYPE}QuotaFailure", "violations": [violation]}]
        text = "You exceeded your current quota, please check your plan and billing details."
        return self.error(429, text, details=[*details, *_retry_info(wait)])

    def worded_status(self, fault: Instead) -> Instead:
        """Return a plain status in Google's words; a wait in seconds moves into the body."""
        headers, wait = dict(fault.headers), None
        try:
            wait = float(headers["retry-after"])
            del headers["retry-after"]
        except (KeyError, ValueError):
            pass  # none is told, or in a form that a test wants exactly as it is
        return fault.but(
            body=self.error(fault.status, details=_retry_info(wait)),
            content_type="application/json",
            headers=tuple(headers.items()),
        )


def _retry_info(wait: float | None) -> list[dict[str, Any]]:
    if wait is None:
        return []
    return [{"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{wait:.9f}".rstrip("0") + "s"}]


OPENAI, ANTHROPIC, GEMINI = ProviderProfile(), Anthropic(), Gemini()
