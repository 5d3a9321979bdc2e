"""Gemini's manners: Google's errors, which tell in the body when to come back.

Source:
    Google Cloud API design guide, "Errors" (``google.rpc.Status``, ``RetryInfo``,
    ``QuotaFailure``, ``ErrorInfo``); Gemini API, "Troubleshooting".
"""

from __future__ import annotations

from typing import Any

import orjson

from llmnb.testing.events import event
from llmnb.testing.faults import Instead
from llmnb.testing.house import StatusAndBody
from llmnb.testing.limits import EnforcedLimits, Refusal

_JSON = "application/json"
_TYPE = "type.googleapis.com/google.rpc."

_STATUSES: dict[int, tuple[str, str]] = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: ("UNAUTHENTICATED", "Request had invalid authentication credentials."),
    403: ("PERMISSION_DENIED", "The caller does not have permission."),
    404: ("NOT_FOUND", "Requested entity was not found."),
    429: ("RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    499: ("CANCELLED", "The operation was cancelled."),
    500: ("INTERNAL", "An internal error has occurred. Please retry."),
    503: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
    504: ("DEADLINE_EXCEEDED", "The service is unable to finish processing within the deadline."),
}


def _error(status: int, message: str | None = None, *details: dict[str, Any]) -> bytes:
    name, usual = _STATUSES[status]
    said = usual if message is None else message
    error: dict[str, Any] = {"code": status, "message": said, "status": name}
    if details:
        error["details"] = details
    return orjson.dumps({"error": error})


def _retry_info(seconds: float) -> dict[str, Any]:
    return {"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{seconds:.9f}".rstrip("0") + "s"}


def _quota_failure(quota: str, limit: float, model: str) -> dict[str, Any]:
    violation = {
        "quotaMetric": "generativelanguage.googleapis.com/generate_content_requests",
        "quotaId": quota,
        "quotaDimensions": {"location": "global", "model": model},
        "quotaValue": f"{limit:.0f}",
    }
    return {"@type": f"{_TYPE}QuotaFailure", "violations": [violation]}


STREAM_ERROR = event(orjson.loads(_error(503)))
"""How its streams end where an error strikes."""

_QUOTA_TEXT = "You exceeded your current quota, please check your plan and billing details."


class Gemini:
    """Google's Gemini."""

    request_id_header = "x-request-id"

    def malformed(self, message: str, param: str | None) -> StatusAndBody:
        """Return a 400."""
        return 400, _error(400, f"{message} ({param})" if param else message)

    def wrong_key(self) -> StatusAndBody:
        """Return a 400: here a wrong key is an invalid argument."""
        info = {
            "@type": f"{_TYPE}ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": {"service": "generativelanguage.googleapis.com"},
        }
        return 400, _error(400, "API key not valid. Please pass a valid API key.", info)

    def unknown_model(self, model: str) -> StatusAndBody:
        """Return a 404."""
        text = (
            f"models/{model} is not found for API version v1beta, or is not supported for "
            "generateContent. Call ListModels to see the list of available models."
        )
        return 404, _error(404, text)

    def failed(self, message: str) -> StatusAndBody:
        """Return a 500."""
        return 500, _error(500, message)

    def echo_of(self, key: str) -> bytes:
        """Return an error that repeats the key."""
        return _error(400, f"API key not valid: {key}")

    def refusal(self, refusal: Refusal, *, model: str, tells_wait: bool) -> bytes:
        """Return the body of a 429; when to come back stands in it and nowhere else."""
        what = "InputTokens" if refusal.kind == "tokens" else "Requests"
        quota = f"GenerateContent{what}PerMinutePerProjectPerModel"
        details = [_quota_failure(quota, refusal.limit, model)]
        if tells_wait:
            details.append(_retry_info(refusal.wait))
        return _error(429, _QUOTA_TEXT, *details)

    def limit_headers(self, limits: EnforcedLimits, now: float) -> dict[str, str]:
        """Return nothing: Google tells nobody how the limits stand."""
        return {}

    def retry_headers(self, limits: EnforcedLimits, wait: float) -> dict[str, str]:
        """Return nothing: it is told in the body."""
        return {}

    def worded(self, fault: Instead) -> Instead:
        """Return a fault in these words; a wait in seconds moves into the body."""
        if fault.meaning == "error in 200":
            return fault.but(body=_error(500))
        if fault.meaning == "quota":
            quota = "GenerateRequestsPerDayPerProjectPerModel"
            return fault.but(body=_error(429, _QUOTA_TEXT, _quota_failure(quota, 200, "simulated")))
        if fault.meaning == "context":
            limit, asked = fault.figures
            text = (
                f"The input token count ({asked}) exceeds the maximum number of tokens "
                f"allowed ({limit})."
            )
            return fault.but(body=_error(400, text))
        if fault.meaning == "status" and fault.status in _STATUSES:
            return self._status(fault)
        return fault

    def _status(self, fault: Instead) -> Instead:
        headers, details = dict(fault.headers), []
        try:
            details.append(_retry_info(float(headers["retry-after"])))
            del headers["retry-after"]
        except (KeyError, ValueError):
            pass  # none is told, or in a form that a test wants exactly as it is
        return fault.but(
            body=_error(fault.status, None, *details),
            content_type=_JSON,
            headers=tuple(headers.items()),
        )


GEMINI = Gemini()
