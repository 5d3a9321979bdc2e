"""The bodies of errors in the shapes that providers send them."""

from __future__ import annotations

from typing import Any

import orjson

from llmnb.testing.limits import Refusal, duration_text


def openai_error(
    message: str, kind: str, *, code: str | None = None, param: str | None = None
) -> bytes:
    """Return an error as OpenAI and most who speak its protocol shape it.

    Example:
        >>> openai_error("No.", "server_error")
        b'{"error":{"message":"No.","type":"server_error","param":null,"code":null}}'
    """
    return orjson.dumps({"error": {"message": message, "type": kind, "param": param, "code": code}})


def anthropic_error(message: str, kind: str) -> bytes:
    """Return an error as Anthropic shapes it."""
    return orjson.dumps({"type": "error", "error": {"type": kind, "message": message}})


def html_error(status: int, reason: str) -> bytes:
    """Return the page that a proxy in front of a provider sends."""
    return (
        f"<html>\r\n<head><title>{status} {reason}</title></head>\r\n"
        f"<body><center><h1>{status} {reason}</h1></center></body>\r\n</html>\r\n"
    ).encode()


def refusal_error(refusal: Refusal, *, model: str, tells_wait: bool) -> bytes:
    """Return the body of a 429 for a limit that refuses, in OpenAI's words for numbers.

    The phrase "try again in …" is what clients read where headers are missing.
    """
    if refusal.kind == "concurrency":
        return openai_error(
            f"Too many concurrent requests for {model}: {refusal.limit:g} at once are served.",
            "rate_limit_error",
            code="concurrency_limit_exceeded",
        )
    name = "requests per min (RPM)" if refusal.kind == "requests" else "tokens per min (TPM)"
    message = (
        f"Rate limit reached for {model} in organization org-simulated on {name}: "
        f"Limit {refusal.limit:.0f}, Used {refusal.used:.0f}, Requested {refusal.requested:.0f}."
    )
    if tells_wait:
        message += f" Please try again in {duration_text(refusal.wait)}."
    return openai_error(message, refusal.kind, code="rate_limit_exceeded")


_OPENAI: dict[int, tuple[str, str, str | None]] = {
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

_PROXY: dict[int, str] = {
    502: "Bad Gateway",
    504: "Gateway Time-out",
    520: "Web server returned an unknown error",
    522: "Connection timed out",
    524: "A timeout occurred",
}


def error_reply(status: int) -> tuple[bytes, str]:
    """Return the body, and its content type, that goes with a status.

    What a provider's own servers send is JSON; what the proxies before them
    send (502, 504, 52x) is a page; 529 is Anthropic's.

    Example:
        >>> error_reply(504)[1]
        'text/html'
    """
    if status == 529:
        return anthropic_error("Overloaded", "overloaded_error"), "application/json"
    if status in _PROXY:
        return html_error(status, _PROXY[status]), "text/html"
    message, kind, code = _OPENAI.get(status, (f"Status {status}.", "error", None))
    return openai_error(message, kind, code=code), "application/json"


def quota_error() -> bytes:
    """Return the body of a 429 that means "no credit left", which no waiting heals."""
    return openai_error(
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
        code="insufficient_quota",
    )


def context_error(limit: int, asked: int) -> bytes:
    """Return the body of a 400 for a prompt longer than the model's context."""
    return openai_error(
        f"This model's maximum context length is {limit} tokens. "
        f"However, your messages resulted in {asked} tokens.",
        "invalid_request_error",
        param="messages",
        code="context_length_exceeded",
    )


def model_error(model: Any) -> bytes:
    """Return the body of a 404 for a model that does not exist."""
    return openai_error(
        f"The model `{model}` does not exist or you do not have access to it.",
        "invalid_request_error",
        code="model_not_found",
    )


def parameter_error(message: str, param: str | None) -> bytes:
    """Return the body of a 400 for a parameter that is missing or wrong."""
    return openai_error(message, "invalid_request_error", param=param)
