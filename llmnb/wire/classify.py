"""What a reply that is not an answer means, as a typed error."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from llmnb.errors import (
    AuthenticationError,
    ContextOverflow,
    LLMNBError,
    MaybeBilled,
    Overloaded,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    RedirectRefused,
    RequestRejected,
)
from llmnb.wire import headers as reply_headers
from llmnb.wire.keys import mask

_QUOTA = re.compile(
    r"insufficient_quota|exceeded your current quota|billing_hard_limit|billing_not_active"
    r"|spend(?:ing)? (?:cap|limit)|credit balance is too low|insufficient (?:credits|balance|funds)"
    r"|out of credits",
    re.IGNORECASE,
)
_CONTEXT = re.compile(
    r"context_length_exceeded|maximum context length|context window|prompt is too long"
    r"|too many tokens|input is too long|exceed_context_size|exceeds? the (?:available )?context",
    re.IGNORECASE,
)


def classify(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    provider: str,
    model: str,
    now: float,
    secret: str | None,
) -> LLMNBError:
    """Return the error that a reply with a status other than 200 means.

    Args:
        status: HTTP status.
        headers: Names in lower case.
        body: The reply.
        provider: Who answered, for the text.
        model: Who was asked, for the text.
        now: Seconds since the epoch, for dates in headers.
        secret: The key that was sent; it is masked wherever it comes back.

    Example:
        >>> error = classify(429, {"retry-after": "2"}, b"{}", provider="openai", model="m",
        ...                  now=0.0, secret=None)
        >>> type(error).__name__, error.retry_after
        ('RateLimited', 2.0)
    """
    text = visible(mask(body[:20_000].decode("utf-8", "replace"), secret))
    said = visible(mask(_message(body), secret))[:300] or text[:300]
    wait = reply_headers.retry_after(headers, body, now=now)
    details: dict[str, Any] = {
        "status": status,
        "request_id": reply_headers.request_id(headers),
        "body": text[:2000],
        "provider": provider,
        "model": model,
        "retry_after": wait,
    }
    kind, words = _kind(status, text, wait)
    return kind(f"{provider} {words} (HTTP {status}): {said}".rstrip(": "), **details)


def _kind(status: int, text: str, wait: float | None) -> tuple[type[LLMNBError], str]:
    """Return the type for a status and its body, and the words that say so."""
    if status == 402 or (status in (400, 403, 429) and _QUOTA.search(text)):
        return QuotaExhausted, "says the account has no credit or its spend cap is reached"
    if status in (401, 403):
        return AuthenticationError, "does not accept the key, or the key may not use this model"
    if status == 429:
        return RateLimited, "refused for pace"
    if status in (503, 529) and wait is not None:
        return Overloaded, "is overloaded and asks to wait"
    if status in (408, 504, 524):
        return MaybeBilled, "gave up waiting; the request may have been billed"
    if 300 <= status < 400:
        return RedirectRefused, "answered with a redirect, which is not followed"
    if status >= 500:
        return ProviderError, "failed; nothing was bought"
    if status in (400, 413, 422) and _CONTEXT.search(text):
        return ContextOverflow, "says the prompt is longer than the model's context"
    if status == 404:
        return RequestRejected, "has no such model or address; `llmnb models` helps"
    return RequestRejected, "rejected this request"


def _message(body: bytes) -> str:
    """Return the provider's own sentence, wherever it stands in the body."""
    try:
        found = orjson.loads(body)
    except (orjson.JSONDecodeError, RecursionError):
        return ""
    if isinstance(found, list) and found:
        found = found[0]
    for name in ("error", "detail", "message"):
        if isinstance(found, dict) and name in found:
            found = found[name]
    if isinstance(found, dict):
        found = found.get("message", "")
    return found if isinstance(found, str) else ""


def visible(text: str) -> str:
    r"""Return a text whose control and direction characters can be seen.

    Example:
        >>> visible("a\x1b[31mb")
        'a\\x1b[31mb'
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character == "\n"
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
