"""What a reply that is not an answer means, as a typed error.

The status decides first, and the body corrects it where providers are known to
use a status for something else: an empty account as 400, 403 or 429, a prompt
that is too long as 403, a flagged prompt as 403, a wrong key as 400.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from llmnb.display import durations
from llmnb.display.escape import visible, visible_lines
from llmnb.display.texts import cut
from llmnb.errors import (
    AuthenticationError,
    BadReply,
    ContextOverflow,
    Filtered,
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
from llmnb.wire.catalog import load_catalog
from llmnb.wire.keys import mask
from llmnb.wire.problem import Problem, problem_in, problem_of

KEPT_CHARACTERS = 2000
"""How much of a reply's text an error keeps."""

_SAID_CHARACTERS = 300
_READ_CHARACTERS = 20_000

# Words are looked for at the start of a message only: what stands later may be the prompt.
_START = r"\A.{0,160}?"

_NO_CREDIT = (
    "insufficient_quota",
    "insufficient_balance",
    "insufficient_credits",
    "billing_hard_limit_reached",
    "billing_not_active",
    "billing_error",
    "enforced_spend_limit_reached",
    "openrouter_credits",
    "openrouter_key_limit",
)
_NO_CREDIT_PHRASES = (
    r"(?:exceeded your current quota|insufficient (?:credits?|balance|funds|quota)\b"
    r"|(?:spend|spending) (?:cap|limit)s?\b|out of credits|billing hard limit"
    r"|used all available credits|credit balance is too low|(?:have|has) (?:any|no) credits\b"
    r"|reached your specified (?:workspace )?api usage limits)"
)
_NO_CREDIT_WORDS = re.compile(_START + _NO_CREDIT_PHRASES, re.IGNORECASE | re.DOTALL)
_NO_CREDIT_OF_ACCOUNT = re.compile(
    # Only where the sentence is about the account from its first word, and quotes nothing.
    r"\A(?:(?:you|your|the|this)\b|account\b|team\b|organi[sz]ation\b)[^\"'`:]{0,120}?"
    + _NO_CREDIT_PHRASES
    + r"|\A"
    + _NO_CREDIT_PHRASES,
    re.IGNORECASE,
)
_QUOTING = (400, 403, 404, 413, 422)
"""Statuses whose message may quote the prompt."""

_GOOGLE_NO_CREDIT = re.compile(
    # "limit: 0" is what Google writes of a model that the account may not use at all.
    r"prepayment credits? (?:is|are) depleted|spending cap|\blimit: 0\b",
    re.IGNORECASE,
)
_FLAGGED = (
    "content_filter",
    "content_policy_violation",
    "responsibleaipolicyviolation",
    "moderation_blocked",
    "invalid_prompt",
)
_FLAGGED_WORDS = re.compile(
    _START + r"(?:content violates usage guidelines|flagged as potentially violating"
    r"|requires moderation|was flagged|triggering .{0,40}content management policy)",
    re.IGNORECASE | re.DOTALL,
)
_TOO_LONG = (
    "context_length_exceeded",
    "exceed_context_size_error",
    "model_max_prompt_tokens_exceeded",
    "token_limit_exceeded",
)
_TOO_LONG_WORDS = re.compile(
    _START + r"(?:maximum context length|context window|context length|context size|context limit"
    r"|prompt is too long|input is too long|too many (?:input )?tokens"
    r"|input token count.{0,40}exceeds|reduce the length of the (?:messages|prompt|input)"
    r"|tokens.{0,6} \+ .{0,3}max_new_tokens)",
    re.IGNORECASE | re.DOTALL,
)
_BAD_KEY = ("api_key_invalid", "invalid_api_key", "authentication_error")
_BAD_KEY_WORDS = re.compile(
    r"\A(?:incorrect api key|api key not valid|invalid api key|api key expired"
    # What a whole account is told with a 400: by Anthropic, and by Google.
    r"|this organization has been disabled|user location is not supported)",
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
    """Return the error that a reply with a status other than 200 means; never raises.

    Args:
        status: HTTP status.
        headers: Names in lower case.
        body: The reply.
        provider: Catalog name of who answered.
        model: Who was asked, as the provider spells it.
        now: Seconds since the epoch, for dates in headers.
        secret: The key that was sent; it is masked wherever it comes back.

    Example:
        >>> error = classify(429, {"retry-after": "2"}, b"{}", provider="openai", model="m",
        ...                  now=0.0, secret=None)
        >>> type(error).__name__, error.retry_after
        ('RateLimited', 2.0)
    """
    problem = problem_of(body)
    wait = reply_headers.plain_retry_after(headers, now=now)
    kind, words = _kind(status, problem, wait, provider)
    if kind is RateLimited:
        wait = reply_headers.retry_after(headers, body, now=now)
    details: dict[str, Any] = {
        "status": status,
        "request_id": reply_headers.request_id(headers),
        "body": shown(body, secret),
        "provider": provider,
        "model": model,
        "retry_after": wait,
        "maybe_billed": issubclass(kind, (MaybeBilled, BadReply)),
    }
    if kind is BadReply:
        details["raw"] = body.replace(secret.encode("utf-8", "replace"), b"***") if secret else body
    said = _said(problem, secret)
    text = f"{provider} {words} (HTTP {status})"
    return kind(f"{text}: {said}" if said else f"{text}.", **details)


def error_inside(value: Any, raw: bytes, *, where: str = "inside a 200") -> LLMNBError:
    """Return the error that an ``error`` object in a good status, or in a stream, means.

    What names a known status means what that status would have meant; anything
    else is a reply that cannot be used. The parser knows neither provider nor
    key, so only what looks like a key is masked.

    Args:
        value: The parsed body, or the part of it that holds the error.
        raw: The bytes to keep.
        where: Where it came, for the text.

    Example:
        >>> error = error_inside({"error": {"code": 502, "message": "Bad gateway"}}, b"")
        >>> type(error).__name__
        'ProviderError'
    """
    problem = problem_in(value)
    details: dict[str, Any] = {"status": 200, "body": shown(raw), "maybe_billed": True}
    status = problem.status or _status_of_codes(problem)
    said = _said(problem, None)
    if status is None:
        return BadReply(
            f"The reply is an error {where}: {said or 'it does not say which'}. It may have been "
            "billed; its bytes are kept with the error.",
            raw=raw,
            **details,
        )
    kind, words = _kind(status, problem, None, "")
    if kind is RateLimited:
        details["retry_after"] = reply_headers.delay_in_body(raw)
    details["maybe_billed"] = issubclass(kind, (MaybeBilled, BadReply))
    return kind(f"The provider {words} ({status} {where}): {said}", **details)


def shown(body: bytes, secret: str | None = None) -> str:
    r"""Return the beginning of a reply as text that can be looked at: no key, controls visible.

    Example:
        >>> shown(b"key abcd1234\x1b[31m", "abcd1234")
        'key ***\\x1b[31m'
    """
    text = body[: 4 * _READ_CHARACTERS].decode("utf-8", "replace")
    return visible_lines(_hidden(text, secret))[:KEPT_CHARACTERS]


def _hidden(text: str, secret: str | None) -> str:
    """Mask the beginning of a text; no part of a key is left where it is cut."""
    masked = mask(text[:_READ_CHARACTERS], secret)
    if len(text) >= _READ_CHARACTERS:
        masked = masked[: -max(256, 3 * len(secret or ""))]
    return masked


def _said(problem: Problem, secret: str | None) -> str:
    """Return the provider's sentence on one line."""
    return cut(visible(" ".join(_hidden(problem.message, secret).split())), _SAID_CHARACTERS)


def _kind(
    status: int, problem: Problem, wait: float | None, provider: str
) -> tuple[type[LLMNBError], str]:
    """Return the type for a status and what the body says, and the words for it."""
    if 300 <= status < 400:
        return RedirectRefused, "answered with a redirect, which is not followed"
    if status < 400:
        return BadReply, "answered with a status that no answer has; its bytes are kept"
    if 400 <= status < 500 and (found := _corrected(status, problem, wait, provider)):
        return found
    if status in (401, 403):
        return AuthenticationError, _bad_key(provider)
    if status in (429, 498):  # 498 is Groq's "no capacity left at this tier"
        return RateLimited, "refused for pace"
    if status in (503, 529) and wait is not None:
        return Overloaded, f"is overloaded and asks to wait {durations.span(math.ceil(wait))}"
    if status in (408, 504, 524):
        return MaybeBilled, "gave up waiting; the request may have been billed"
    if status >= 500:
        return ProviderError, "failed; nothing was bought"
    if status == 404:
        return RequestRejected, (
            "has no such model or address: check its name, `llmnb models` lists what there is"
        )
    return RequestRejected, "rejected this request; the other rows go on"


def _corrected(
    status: int, problem: Problem, wait: float | None, provider: str
) -> tuple[type[LLMNBError], str] | None:
    """Return what the body makes of a status from 400 to 499, None where it leaves it alone."""
    if status == 402 and wait is not None and problem.has("openrouter_in_flight_budget"):
        return RateLimited, "still holds the credit for earlier requests"
    if _is_out_of_credit(status, problem):
        return QuotaExhausted, (
            "says the account has no credit left or has reached its cap. Nothing more is sent "
            "there, finished rows are kept: add credit or raise the cap, then run again"
        )
    if status in (400, 403, 413, 422):
        words = problem.message
        if problem.has(*_TOO_LONG) or _TOO_LONG_WORDS.match(words):
            return ContextOverflow, "says the prompt is longer than the model's context"
        if problem.has(*_FLAGGED) or _FLAGGED_WORDS.match(words):
            return Filtered, "did not let the prompt through its content filter"
    if status == 400 and (problem.has(*_BAD_KEY) or _BAD_KEY_WORDS.match(problem.message)):
        return AuthenticationError, _bad_key(provider)
    return None


def _is_out_of_credit(status: int, problem: Problem) -> bool:
    if status == 402:
        return True
    if problem.has(*_NO_CREDIT):
        return True
    if problem.has("resource_exhausted"):
        # Google words every limit as a quota; only the one of a whole day, or money, ends the run.
        is_of_the_day = any("perday" in code for code in problem.codes)
        return is_of_the_day or _GOOGLE_NO_CREDIT.search(problem.message) is not None
    if problem.has("credit_limit"):  # Together's name for an ordinary limit of pace
        return False
    words = _NO_CREDIT_OF_ACCOUNT if status in _QUOTING else _NO_CREDIT_WORDS
    return words.match(problem.message) is not None


def _bad_key(provider: str) -> str:
    row = load_catalog().get(provider)
    where = f"{row.key_env[0]}, " if row is not None and row.key_env else ""
    return (
        "does not accept the key, or the key may not use this model. Nothing more is sent there, "
        f"finished rows are kept: give another key ({where}llmnb.set_key or "
        "LLM(model=…, api_key=…))"
    )


_STATUS_OF_CODE = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "rate_limited": 429,
    "resource_exhausted": 429,
    "insufficient_quota": 429,
    "insufficient_balance": 402,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "context_length_exceeded": 400,
    "content_filter": 400,
    "invalid_prompt": 400,
    "invalid_request_error": 400,
    "server_error": 500,
    "internal_error": 500,
    "internal_server_error": 500,
    "api_error": 500,
    "overloaded_error": 529,
    "service_unavailable": 503,
    "unavailable": 503,
    "timeout": 504,
    "timeout_error": 504,
    "deadline_exceeded": 504,
    "billing_error": 402,
    "permission_error": 403,
    "permission_denied": 403,
    "not_found_error": 404,
    "request_too_large": 413,
}


def _status_of_codes(problem: Problem) -> int | None:
    found = [status for code, status in _STATUS_OF_CODE.items() if code in problem.codes]
    return found[0] if found else None
