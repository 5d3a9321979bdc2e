"""The typed error that a failed reply means.

The status decides first, and the body corrects it where providers are known to
use a status for something else: an empty account as 400, 403 or 429, a prompt
that is too long as 403, a flagged prompt as 403, a wrong key as 400.

Each provider has a shape of body of its own: an ``error`` object, a list around it, an
``error`` that is text beside a ``code``, ``message`` at the top, ``detail`` as
text or as a list, a web page of the proxy in front. Words are taken from the
places meant for them only: a body often repeats the prompt, and a prompt that
speaks of quotas must not stop a run.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from llmnb import errors
from llmnb.display import durations
from llmnb.display.escape import visible, visible_lines
from llmnb.display.texts import cut
from llmnb.errors import LLMNBError
from llmnb.user_code import has_magic, key_offer
from llmnb.wire import json_bytes
from llmnb.wire.api_keys import mask
from llmnb.wire.catalog import load_catalog
from llmnb.wire.limits import delay_in_body, plain_retry_after, request_id, retry_after
from llmnb.wire.untrusted import text_in

KEPT_CHARACTERS = 2000
"""How much of a reply's text an error keeps."""

_SAID_CHARACTERS = 300
_READ_CHARACTERS = 20_000

# Words are looked for at the start of a message only: what stands later may be the prompt.
_START = r"\A.{0,160}?"

_NO_CREDIT = (
    *("insufficient_quota", "insufficient_balance", "insufficient_credits", "billing_error"),
    *("billing_hard_limit_reached", "billing_not_active", "enforced_spend_limit_reached"),
    *("openrouter_credits", "openrouter_key_limit"),
)
_NO_CREDIT_PHRASES = (
    r"(?:exceeded your current quota|insufficient (?:credits?|balance|funds|quota)\b"
    r"|(?:spend|spending) (?:cap|limit)s?\b|out of credits|billing hard limit"
    r"|used all available credits|credit balance is too low|(?:have|has) (?:any|no) credits\b"
    r"|reached your specified (?:workspace )?api usage limits)"
)
_SAYS_NO_CREDIT = re.compile(_START + _NO_CREDIT_PHRASES, re.IGNORECASE | re.DOTALL)
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
    *("content_filter", "content_policy_violation", "responsibleaipolicyviolation"),
    *("moderation_blocked", "invalid_prompt"),
)
_SAYS_FLAGGED = re.compile(
    _START + r"(?:content violates usage guidelines|flagged as potentially violating"
    r"|requires moderation|was flagged|triggering .{0,40}content management policy)",
    re.IGNORECASE | re.DOTALL,
)
_TOO_LONG = (
    *("context_length_exceeded", "exceed_context_size_error", "token_limit_exceeded"),
    "model_max_prompt_tokens_exceeded",
)
_SAYS_TOO_LONG = re.compile(
    _START + r"(?:maximum context length|context window|context length|context size|context limit"
    r"|prompt is too long|input is too long|too many (?:input )?tokens"
    r"|input token count.{0,40}exceeds|reduce the length of the (?:messages|prompt|input)"
    r"|tokens.{0,6} \+ .{0,3}max_new_tokens)",
    re.IGNORECASE | re.DOTALL,
)
_BAD_KEY = ("api_key_invalid", "invalid_api_key", "authentication_error")
_SAYS_BAD_KEY = re.compile(
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
    wait = plain_retry_after(headers, now=now)
    kind, verdict = _kind(status, problem, wait, provider)
    if kind is errors.RateLimited:
        wait = retry_after(headers, body, now=now)
    details: dict[str, Any] = {
        "status": status,
        "request_id": request_id(headers),
        "body": safe_text(body, secret),
        "provider": provider,
        "model": model,
        "retry_after": wait,
        "maybe_billed": issubclass(kind, (errors.MaybeBilled, errors.BadReply)),
    }
    if kind is errors.BadReply:
        details["raw"] = body.replace(secret.encode("utf-8", "replace"), b"***") if secret else body
    sentence = _sentence(problem, secret)
    text = f"{provider} {verdict} (HTTP {status})"
    return kind(f"{text}: {sentence}" if sentence else f"{text}.", **details)


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
    details: dict[str, Any] = {"status": 200, "body": safe_text(raw), "maybe_billed": True}
    statuses = (status for code, status in STATUS_OF_CODE.items() if code in problem.codes)
    status = problem.status or next(statuses, None)
    sentence = _sentence(problem, None)
    if status is None:
        return errors.BadReply(
            f"The reply is an error {where}: {sentence or 'it does not say which'}. It may have "
            "been billed. Its bytes are kept with the error.",
            raw=raw,
            **details,
        )
    kind, verdict = _kind(status, problem, None, "")
    if kind is errors.RateLimited:
        details["retry_after"] = delay_in_body(raw)
    details["maybe_billed"] = issubclass(kind, (errors.MaybeBilled, errors.BadReply))
    return kind(f"The provider {verdict} ({status} {where}): {sentence}", **details)


def safe_text(body: bytes, secret: str | None = None) -> str:
    r"""Return the beginning of a reply as printable text: keys masked, control characters escaped.

    Example:
        >>> safe_text(b"key abcd1234\x1b[31m", "abcd1234")
        'key ***\\x1b[31m'
    """
    text = body[: 4 * _READ_CHARACTERS].decode("utf-8", "replace")
    return visible_lines(_mask_start(text, secret))[:KEPT_CHARACTERS]


def _mask_start(text: str, secret: str | None) -> str:
    """Cut a text and mask keys in it, also one that the cut would leave half of."""
    masked = mask(text[:_READ_CHARACTERS], secret)
    if len(text) >= _READ_CHARACTERS:
        masked = masked[: -max(256, 3 * len(secret or ""))]
    return masked


def _sentence(problem: Problem, secret: str | None) -> str:
    """Return the provider's sentence on one line."""
    return cut(visible(" ".join(_mask_start(problem.message, secret).split())), _SAID_CHARACTERS)


def _kind(
    status: int, problem: Problem, wait: float | None, provider: str
) -> tuple[type[LLMNBError], str]:
    """Return the error's type for a status and body, and the words for its message."""
    if 300 <= status < 400:
        return errors.RedirectRefused, "answered with a redirect, which is not followed"
    if status < 400:
        return errors.BadReply, "answered with a status that no answer has; its bytes are kept"
    if 400 <= status < 500 and (verdict := _kind_by_body(status, problem, wait, provider)):
        return verdict
    if status in (401, 403):
        return errors.AuthenticationError, _bad_key(provider)
    if status in (429, 498):  # 498 is Groq's "no capacity left at this tier"
        return errors.RateLimited, "rate-limited this request"
    if status in (503, 529) and wait is not None:
        seconds = durations.span(math.ceil(wait))
        return errors.Overloaded, f"is overloaded and asks to wait {seconds}"
    if status in (408, 504, 524):
        return errors.MaybeBilled, "gave up waiting; it may have been billed"
    if status >= 500:
        return errors.ProviderError, "failed; nothing was bought"
    if status == 404:
        lists = "%llm_models" if has_magic("llm_models") else "`llmnb models`"
        return errors.RequestRejected, (
            f"has no such model or address: check its name, {lists} lists what there is"
        )
    return errors.RequestRejected, "rejected this request; the other rows go on"


def _kind_by_body(
    status: int, problem: Problem, wait: float | None, provider: str
) -> tuple[type[LLMNBError], str] | None:
    """Return type and words where the body corrects a status from 400 to 499; else None."""
    if status == 402 and wait is not None and problem.has("openrouter_in_flight_budget"):
        return errors.RateLimited, "still holds the credit for earlier requests"
    if _is_out_of_credit(status, problem):
        return errors.QuotaExhausted, (
            "says the account has no credit left or has reached its cap. Nothing more is sent "
            "there, finished rows are kept: add credit or raise the cap, then run again"
        )
    if status in (400, 403, 413, 422):
        if problem.has(*_TOO_LONG) or _SAYS_TOO_LONG.match(problem.message):
            return errors.ContextOverflow, "says the prompt is longer than the model's context"
        if problem.has(*_FLAGGED) or _SAYS_FLAGGED.match(problem.message):
            return errors.Filtered, "did not let the prompt through its content filter"
    if status == 400 and (problem.has(*_BAD_KEY) or _SAYS_BAD_KEY.match(problem.message)):
        return errors.AuthenticationError, _bad_key(provider)
    return None


def _is_out_of_credit(status: int, problem: Problem) -> bool:
    if status == 402 or problem.has(*_NO_CREDIT):
        return True
    if problem.has("resource_exhausted"):
        # Google words every limit as a quota; only the one of a whole day, or money, ends the run.
        is_of_the_day = any("perday" in code for code in problem.codes)
        return is_of_the_day or _GOOGLE_NO_CREDIT.search(problem.message) is not None
    if problem.has("credit_limit"):  # Together's name for an ordinary limit of pace
        return False
    pattern = _NO_CREDIT_OF_ACCOUNT if status in _QUOTING else _SAYS_NO_CREDIT
    return pattern.match(problem.message) is not None


def _bad_key(provider: str) -> str:
    row = load_catalog().get(provider)
    where = f"{row.key_env[0]}, " if row is not None and row.key_env else ""
    return (
        "does not accept the key, or the key may not use this model. Nothing more is sent there, "
        f"finished rows are kept: give another key ({where}{key_offer(provider)} or "
        "llmnb.LLM(model=…, api_key=…) as the model)"
    )


_CODES = (
    (429, "rate_limit_exceeded", "rate_limit_error", "rate_limited", "resource_exhausted"),
    (429, "insufficient_quota"),
    (402, "insufficient_balance"),
    (401, "invalid_api_key", "authentication_error"),
    (400, "context_length_exceeded", "content_filter", "invalid_prompt", "invalid_request_error"),
    (500, "server_error", "internal_error", "internal_server_error", "api_error"),
    (529, "overloaded_error"),
    (503, "service_unavailable", "unavailable"),
    (504, "timeout", "timeout_error", "deadline_exceeded"),
    (402, "billing_error"),
    (403, "permission_error", "permission_denied"),
    (404, "not_found_error"),
    (413, "request_too_large"),
)
STATUS_OF_CODE = {str(code): int(status) for status, *codes in _CODES for code in codes}
"""The HTTP status that belongs to a code; of several codes that of the first in the table."""


# ---------------------------------------------------------------------- what a provider says

_READ_BYTES = 262_144
"""Bodies of more bytes than this are not searched for an error."""

_DEEPEST = 6
_CODE_FIELDS = ("code", "type", "status", "error_type", "reason", "limit_source", "quotaId")
_INNER = ("error", "message", "innererror", "metadata", "details", "violations", "errors", "detail")
_TITLE = re.compile(r"<title[^>]*>\s*(.*?)\s*</title", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Problem:
    """One statement of what went wrong."""

    message: str
    """The provider's own sentence; empty when it says nothing readable."""

    codes: frozenset[str]
    """Every code, type, status and reason it gives, in lower case."""

    status: int | None
    """The status that the body itself names, where it names one."""

    def has(self, *codes: str) -> bool:
        """Whether one of these codes is given."""
        return not self.codes.isdisjoint(codes)


def problem_of(body: bytes) -> Problem:
    """Return what a body says went wrong; never raises.

    Example:
        >>> problem = problem_of(b'{"error": {"message": "No.", "code": "model_not_found"}}')
        >>> problem.message, problem.has("model_not_found")
        ('No.', True)
        >>> problem_of(b"<html><title>502 Bad Gateway</title></html>").message
        'a web page: 502 Bad Gateway'
    """
    if len(body) > _READ_BYTES:
        body = b""
    try:
        value = json_bytes.read(body)
    except json_bytes.NotJSON:
        return Problem(_text_that_is_no_json(body), frozenset(), None)
    return problem_in(value)


def problem_in(value: Any) -> Problem:
    """Return what a parsed body says went wrong.

    Example:
        >>> problem_in([{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}]).status
        429
    """
    parts = list(_objects_in(value))
    codes: set[str] = set()
    status = None
    for part in parts:
        for name in _CODE_FIELDS:
            code = part.get(name)
            if isinstance(code, str):
                codes.add(code.lower())
            status = status or _status(code)
    return Problem(_message(value, parts), frozenset(codes), status)


def _objects_in(value: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Yield the objects that may hold codes, the outermost first; none that quote the prompt."""
    if depth > _DEEPEST:
        return
    if isinstance(value, list):
        for entry in value[:20]:
            yield from _objects_in(entry, depth + 1)
    elif isinstance(value, dict):
        yield value
        for name in _INNER:
            inner = value.get(name)
            if isinstance(inner, str):
                inner = _error_in_text(inner)
            if isinstance(inner, (dict, list)):
                yield from _objects_in(inner, depth + 1)


def _error_in_text(text: str) -> dict[str, Any] | None:
    """Return the error that stands as JSON in a text, as Google's servers pass on each other's."""
    if not text.lstrip().startswith("{") or '"error"' not in text:
        return None
    try:
        value = json_bytes.read(text.encode("utf-8", "replace"))
    except json_bytes.NotJSON:
        return None
    return value if isinstance(value, dict) and isinstance(value.get("error"), dict) else None


def _status(code: Any) -> int | None:
    if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) == 3:
        code = int(code)
    return code if type(code) is int and 400 <= code <= 599 else None


def _message(value: Any, parts: list[Mapping[str, Any]]) -> str:
    """Return the provider's message, followed by that of the server behind it."""
    sentences: list[str] = []
    for part in parts:
        if len(sentences) == _MOST_SENTENCES:
            break
        for name in ("message", "error", "detail", "msg", "raw"):
            sentence = (text_in(part, name) or "").strip()
            if sentence and sentence not in sentences:
                if _error_in_text(sentence) is None:  # its own words come with the parts
                    sentences.append(sentence)
                break
    if not sentences and isinstance(value, str):
        return value
    return " · ".join(sentences)


_MOST_SENTENCES = 3


def _text_that_is_no_json(body: bytes) -> str:
    """Return the message of a body that is not JSON: its text, or the title of a web page."""
    text = body[:4000].decode("utf-8", "replace").strip()
    if not text.startswith("<"):
        return text
    title = _TITLE.search(text)
    return f"a web page: {title[1]}" if title else "a web page without a title"
