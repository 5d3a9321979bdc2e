"""The bodies of errors in the shapes that providers send them."""

from __future__ import annotations

from collections.abc import Mapping

import orjson


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


OPENAI: Mapping[int, tuple[str, str, str | None]] = {
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
"""Message, type and code of each status in OpenAI's words."""

ANTHROPIC: Mapping[int, tuple[str, str]] = {
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
"""Type and message of each status in Anthropic's words."""

GOOGLE: Mapping[int, tuple[str, str]] = {
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
"""Name and message of each status in Google's words."""

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
    return openai_status(status), "application/json"


def openai_status(
    status: int,
    message: str | None = None,
    *,
    kind: str | None = None,
    code: str | None = None,
    param: str | None = None,
) -> bytes:
    """Return the error that goes with a status in OpenAI's words, or with others given."""
    usual, usual_kind, usual_code = OPENAI.get(status, (f"Status {status}.", "error", None))
    said = usual if message is None else message
    return openai_error(said, kind or usual_kind, code=code or usual_code, param=param)


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
