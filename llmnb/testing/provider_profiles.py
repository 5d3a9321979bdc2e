"""The errors and limit headers of each provider.

`ProviderProfile` is OpenAI's, and that of most who speak its protocol; the others differ
from it in what their classes say. An API that is spoken names one of the three. What each
says of a status, and of a mistake, stands in tables.

Source:
    OpenAI API guides, "Error codes" and "Rate limits"; Anthropic API reference, "Errors"
    and "Rate limits"; Google Cloud API design guide, "Errors" (``google.rpc.Status``,
    ``RetryInfo``, ``QuotaFailure``, ``ErrorInfo``); Gemini API, "Troubleshooting".
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, NamedTuple

import orjson

from llmnb.testing.faults import Instead
from llmnb.testing.limits import LimitBucket, Refusal, RetryHint

StatusAndBody = tuple[int, bytes]
Statuses = Mapping[int, tuple[str | None, ...]]


class Mistake(NamedTuple):
    """What a provider says of a mistake."""

    status: int
    text: str | None = None
    """None: that of the status."""

    fields: Mapping[str, Any] = {}
    """Fields of the error that are not those of the status."""


Mistakes = Mapping[str, Mistake]
"""By what they mean."""

_PROXY: Mapping[int, str] = {
    502: "Bad Gateway",
    504: "Gateway Time-out",
    520: "Web server returned an unknown error",
    522: "Connection timed out",
    524: "A timeout occurred",
}
"""What the proxies before a provider's servers call their statuses; they send pages."""


def duration_text(seconds: float) -> str:
    """Write a duration as OpenAI's reset headers do, rounded up to the millisecond.

    Example:
        >>> duration_text(0.0201), duration_text(8.64), duration_text(360)
        ('21ms', '8.64s', '6m0s')
    """
    milliseconds = math.ceil(seconds * 1000 - 1e-9)
    if milliseconds < 1000:
        return f"{max(0, milliseconds)}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    text = f"{rest / 1000:g}s"
    return f"{minutes}m{text}" if minutes else text


_NO_CREDIT = "You exceeded your current quota, please check your plan and billing details."


class ProviderProfile:
    """OpenAI, and most who speak its protocol."""

    request_id_header: ClassVar[str] = "x-request-id"
    """Name of the header with the provider's own name for a request."""

    statuses: ClassVar[Statuses] = {
        400: ("The request could not be understood.", "invalid_request_error", None),
        401: ("The API key given is not accepted.", "invalid_request_error", "invalid_api_key"),
        402: ("The account's balance is insufficient.", "billing_error", "insufficient_balance"),
        403: (
            "Your country, region or project may not use this.",
            "request_forbidden",
            "unsupported_country_region_territory",
        ),
        404: ("No such address.", "invalid_request_error", "unknown_url"),
        408: ("The request took too long and was given up.", "timeout", None),
        409: ("The resource is being changed by another request.", "conflict", None),
        413: ("The request is too large.", "invalid_request_error", "request_too_large"),
        422: ("The request is well-formed but cannot be processed.", "invalid_request_error", None),
        429: ("Rate limit reached for requests.", "requests", "rate_limit_exceeded"),
        500: ("The server had an error while processing your request.", "server_error", None),
        501: ("This is not supported.", "server_error", None),
        503: ("That model is currently overloaded with other requests.", "server_error", None),
    }
    """Message, type and code of each status that its own servers send."""

    stream_error_status: ClassVar[int] = 500
    """The status whose error ends a stream where one strikes."""

    mistakes: ClassVar[Mistakes] = {
        "wrong key": Mistake(401),
        "unknown model": Mistake(
            404,
            "The model `{model}` does not exist or you do not have access to it.",
            {"code": "model_not_found"},
        ),
        "rate": Mistake(
            429,
            "Rate limit reached for {model} in organization org-simulated on {name}: Limit "
            "{limit:.0f}, Used {used:.0f}, Requested {requested:.0f}.",
        ),
        "concurrency": Mistake(
            429,
            "Too many concurrent requests for {model}: {limit:g} at once are served.",
            {"type": "rate_limit_error", "code": "concurrency_limit_exceeded"},
        ),
        "quota": Mistake(
            429, _NO_CREDIT, {"type": "insufficient_quota", "code": "insufficient_quota"}
        ),
        "context": Mistake(
            400,
            "This model's maximum context length is {limit} tokens. "
            "However, your messages resulted in {asked} tokens.",
            {"param": "messages", "code": "context_length_exceeded"},
        ),
        "key": Mistake(401, "Incorrect API key provided: {key}."),
        "error in 200": Mistake(500),
    }
    """What it says of each mistake, and with which status."""

    limit_names: ClassVar[Mapping[str, str]] = {
        "requests": "requests per min (RPM)",
        "tokens": "tokens per min (TPM)",
    }
    wait_text: ClassVar[str] = " Please try again in {}."
    """What a refusal says of the wait; clients read it where headers are missing."""

    def error(self, status: int, message: str | None = None, **more: Any) -> bytes:
        """Return the body of an error; without a message it is the usual one.

        Args:
            status: HTTP status.
            message: What is said.
            **more: `type`, `code` and `param`, where they are not those of the status.
        """
        usual = self.statuses.get(status, (f"Status {status}.", "error", None))
        fields = dict(zip(("message", "type", "code"), usual, strict=True)) | more
        if message is not None:
            fields["message"] = message
        names = ("message", "type", "param", "code")
        return orjson.dumps({"error": {name: fields.get(name) for name in names}})

    def mistake(self, meaning: str, **figures: Any) -> StatusAndBody:
        """Return the error for a mistake; figures are what its text names."""
        status, text, fields = self.mistakes[meaning]
        return status, self.error(status, text and text.format(**figures), **fields)

    def malformed(self, message: str, param: str | None) -> StatusAndBody:
        """Return the error for a body, or a part of one, that is not understood."""
        return 400, self.error(400, message, param=param)

    def refusal(self, refusal: Refusal, *, model: str, tells_wait: bool) -> bytes:
        """Return the body of a 429 for a limit that refuses."""
        name = self.limit_names.get(refusal.kind)
        _, text, fields = self.mistakes["concurrency" if name is None else "rate"]
        message = str(text).format(model=model, name=name, **dataclasses.asdict(refusal))
        if tells_wait:
            message += self.wait_text.format(duration_text(refusal.wait))
        return self.error(429, message, **{"type": refusal.kind, **fields})

    def limit_headers(self, standings: Sequence[LimitBucket]) -> dict[str, str]:
        """Return the headers that announce how the limits stand."""
        return {
            f"x-ratelimit-{name}-{limit.kind}": str(value)
            for limit in standings
            for name, value in (
                ("limit", math.floor(limit.per_minute)),
                ("remaining", limit.left),
                ("reset", duration_text(limit.reset)),
            )
        }

    def retry_headers(self, wait: float, hint: RetryHint) -> dict[str, str]:
        """Return the headers that tell when to come back, never too early."""
        seconds = {"retry-after": str(math.ceil(wait))}
        milliseconds = {"retry-after-ms": str(math.ceil(wait * 1000))}
        return {"seconds": seconds, "milliseconds": milliseconds}.get(hint, seconds | milliseconds)

    def worded(self, fault: Instead, key: str) -> Instead:
        """Return a reply in place of an answer with this provider's body for what it means.

        Args:
            fault: The reply.
            key: The key that came with the request, for an error that repeats it.
        """
        if fault.meaning == "exact":
            return fault
        if fault.meaning == "status":
            return self.worded_status(fault)
        status, body = self.mistake(fault.meaning, key=key, **dict(fault.figures))
        return fault.but(body=body, status=status if fault.meaning == "quota" else fault.status)

    def worded_status(self, fault: Instead) -> Instead:
        """Return a plain status with the body that goes with it.

        What a provider's own servers send is JSON; what the proxies before them
        send (502, 504, 52x) is a page; 529 is Anthropic's.
        """
        if fault.status in self.statuses:
            return fault.but(body=self.error(fault.status))
        if fault.status in _PROXY:
            title = f"{fault.status} {_PROXY[fault.status]}"
            page = (
                f"<html>\r\n<head><title>{title}</title></head>\r\n"
                f"<body><center><h1>{title}</h1></center></body>\r\n</html>\r\n"
            )
            return fault.but(body=page.encode(), content_type="text/html")
        speaker = ANTHROPIC if fault.status in ANTHROPIC.statuses else OPENAI
        return fault.but(body=speaker.error(fault.status))


class Anthropic(ProviderProfile):
    """Anthropic, which tells of limits in dates, and of waits in whole seconds and no text."""

    request_id_header = "request-id"
    statuses: ClassVar[Statuses] = {
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
    """Type and message of each status."""

    stream_error_status = 529
    mistakes: ClassVar[Mistakes] = {
        **ProviderProfile.mistakes,
        "unknown model": Mistake(404, "model: {model}"),
        "rate": Mistake(
            429,
            "This request would exceed your organization's rate limit of "
            "{limit:,.0f} {name} per minute (model: {model}).",
        ),
        "concurrency": Mistake(
            429, "Number of concurrent connections has exceeded your rate limit."
        ),
        "quota": Mistake(
            400,
            "Your credit balance is too low to access the Anthropic API. Please go to "
            "Plans & Billing to upgrade or purchase credits.",
        ),
        "context": Mistake(400, "prompt is too long: {asked} tokens > {limit} maximum"),
        # Anthropic itself has never been seen to repeat a key.
        "key": Mistake(401, "invalid x-api-key: {key}"),
    }
    limit_names: ClassVar[Mapping[str, str]] = {"requests": "requests", "tokens": "input tokens"}
    wait_text = ""

    def error(self, status: int, message: str | None = None, **more: Any) -> bytes:
        """Return the body of an error; a parameter's name stands before its text."""
        kind, usual = self.statuses[status]
        text = usual if message is None else message
        if param := more.get("param"):
            text = f"{param}: {text}"
        return orjson.dumps({"type": "error", "error": {"type": kind, "message": text}})

    def limit_headers(self, standings: Sequence[LimitBucket]) -> dict[str, str]:
        """Return the headers that tell how the limits stand, for input tokens once more."""
        headers: dict[str, str] = {}
        for limit in standings:
            moment = datetime.fromtimestamp(math.ceil(time.time() + limit.reset), UTC)
            for kind in (limit.kind, *(["input-tokens"] if limit.kind == "tokens" else [])):
                name = f"anthropic-ratelimit-{kind}"
                headers[f"{name}-limit"] = str(math.floor(limit.per_minute))
                headers[f"{name}-remaining"] = str(limit.left)
                headers[f"{name}-reset"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        return headers

    def retry_headers(self, wait: float, hint: RetryHint) -> dict[str, str]:
        """Return ``retry-after`` in whole seconds, which is all there is."""
        return super().retry_headers(wait, "seconds")


_TYPE = "type.googleapis.com/google.rpc."
_INVALID_KEY = {
    "@type": f"{_TYPE}ErrorInfo",
    "reason": "API_KEY_INVALID",
    "domain": "googleapis.com",
    "metadata": {"service": "generativelanguage.googleapis.com"},
}


def _exceeded(quota: str, limit: float, model: str) -> dict[str, Any]:
    """Return the detail of an error that tells which quota is exceeded."""
    violation = {
        "quotaMetric": "generativelanguage.googleapis.com/generate_content_requests",
        "quotaId": f"Generate{quota}PerProjectPerModel",
        "quotaDimensions": {"location": "global", "model": model},
        "quotaValue": f"{limit:.0f}",
    }
    return {"@type": f"{_TYPE}QuotaFailure", "violations": [violation]}


def _retry_info(wait: float) -> dict[str, Any]:
    """Return the detail of an error that tells when to come back."""
    return {"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{wait:.9f}".rstrip("0") + "s"}


class Gemini(ProviderProfile):
    """Google's Gemini, which tells in the body when to come back, and of limits nowhere."""

    statuses: ClassVar[Statuses] = {
        400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
        401: ("UNAUTHENTICATED", "Request had invalid authentication credentials."),
        403: ("PERMISSION_DENIED", "The caller does not have permission."),
        404: ("NOT_FOUND", "Requested entity was not found."),
        429: ("RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
        499: ("CANCELLED", "The operation was cancelled."),
        500: ("INTERNAL", "An internal error has occurred. Please retry."),
        503: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
        504: (
            "DEADLINE_EXCEEDED",
            "The service is unable to finish processing within the deadline.",
        ),
    }
    """Name and message of each status."""

    stream_error_status = 503
    mistakes: ClassVar[Mistakes] = {
        **ProviderProfile.mistakes,
        "wrong key": Mistake(
            400, "API key not valid. Please pass a valid API key.", {"details": [_INVALID_KEY]}
        ),
        "unknown model": Mistake(
            404,
            "models/{model} is not found for API version v1beta, or is not supported for "
            "generateContent. Call ListModels to see the list of available models.",
        ),
        "quota": Mistake(
            429, _NO_CREDIT, {"details": [_exceeded("RequestsPerDay", 200, "simulated")]}
        ),
        "context": Mistake(
            400,
            "The input token count ({asked}) exceeds the maximum number of tokens allowed "
            "({limit}).",
        ),
        "key": Mistake(400, "API key not valid: {key}"),
    }

    def error(self, status: int, message: str | None = None, **more: Any) -> bytes:
        """Return the body of an error with its `details`; a parameter stands after its text."""
        name, usual = self.statuses[status]
        text = usual if message is None else message
        if param := more.get("param"):
            text = f"{text} ({param})"
        error: dict[str, Any] = {"code": status, "message": text, "status": name}
        if details := more.get("details"):
            error["details"] = details
        return orjson.dumps({"error": error})

    def refusal(self, refusal: Refusal, *, model: str, tells_wait: bool) -> bytes:
        """Return the body of a 429; when to come back stands in it and nowhere else."""
        quota = "InputTokens" if refusal.kind == "tokens" else "Requests"
        details = [_exceeded(f"Content{quota}PerMinute", refusal.limit, model)]
        if tells_wait:
            details.append(_retry_info(refusal.wait))
        return self.error(429, _NO_CREDIT, details=details)

    def limit_headers(self, standings: Sequence[LimitBucket]) -> dict[str, str]:
        """Return nothing: it tells of limits nowhere."""
        return {}

    def retry_headers(self, wait: float, hint: RetryHint) -> dict[str, str]:
        """Return nothing: it is told in the body."""
        return {}

    def worded_status(self, fault: Instead) -> Instead:
        """Return a plain status in Google's words; a wait in seconds moves into the body."""
        if fault.status not in self.statuses:
            return super().worded_status(fault)
        headers, details = dict(fault.headers), []
        try:
            details.append(_retry_info(float(headers["retry-after"])))
            del headers["retry-after"]
        except (KeyError, ValueError):
            pass  # there is no wait, or a text that must stay exactly as it is
        body = self.error(fault.status, details=details)
        return fault.but(body=body, headers=tuple(headers.items()))


OPENAI, ANTHROPIC, GEMINI = ProviderProfile(), Anthropic(), Gemini()
