"""What OpenAI's chat and text replies have in common: reading them without trusting them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from llmnb.errors import BadReply, InputError, LLMNBError, ProviderError, RateLimited
from llmnb.records import Quality, Usage

_OWN_NAMES = {"stop_tokens": "stop"}
"""Names of `LLMParams` that OpenAI spells otherwise."""


def load(raw: bytes) -> dict[str, Any]:
    """Return a reply's JSON object.

    Raises:
        BadReply: If it is no object, or has no choices.
        ProviderError: If the object says that the provider failed.
        RateLimited: If it says that the pace was too high.
    """
    try:
        body = orjson.loads(raw)
    except (orjson.JSONDecodeError, RecursionError):
        raise BadReply(_words(raw, "is not JSON"), status=200, raw=raw, body=shown(raw)) from None
    if not isinstance(body, dict):
        raise BadReply(
            _words(raw, f"is a JSON {type(body).__name__}, not an object"),
            status=200,
            raw=raw,
            body=shown(raw),
        )
    if body.get("error"):
        raise _error_in(body["error"], raw)
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise BadReply(_words(raw, "has no choices"), status=200, raw=raw, body=shown(raw))
    return body


def _error_in(error: Any, raw: bytes) -> LLMNBError:
    """Return the error that a 200 with an `error` object means."""
    details = error if isinstance(error, dict) else {"message": error}
    code = details.get("code") or details.get("status")
    words = str(details.get("message") or details)[:300]
    kept = {"status": 200, "body": shown(raw)}
    if code in (429, "429", "rate_limit_exceeded"):
        return RateLimited(f"The provider refused for pace, inside a 200: {words}", **kept)
    if code in (500, 502, 503, 529, "500", "502", "503", "529"):
        return ProviderError(f"The provider failed, inside a 200: {words}", **kept)
    return BadReply(
        f"The reply is an error inside a 200: {words}. Its bytes are kept with the error.",
        raw=raw,
        **kept,
    )


def _words(raw: bytes, fault: str) -> str:
    if not raw.strip():
        fault = "is empty"
    elif raw.lstrip()[:1] == b"<":
        fault = "is a web page, not an answer: is the address right, or a login page in between?"
    return (
        f"A reply came (HTTP 200, {len(raw):,} bytes) and {fault}. It may have been billed; "
        "its bytes are kept with the error, and it is not asked again in this run."
    )


def shown(raw: bytes) -> str:
    """Return the beginning of a reply as text."""
    return raw[:2000].decode("utf-8", "replace")


def usage(body: Mapping[str, Any]) -> Usage | None:
    """Return the tokens a reply says it used; None when it does not say."""
    found = body.get("usage")
    if not isinstance(found, dict):
        return None
    prompt, completion = _count(found, "prompt_tokens"), _count(found, "completion_tokens")
    if prompt is None and completion is None:
        return None
    read = written = reasoning = 0
    if isinstance(details := found.get("prompt_tokens_details"), dict):
        read = _count(details, "cached_tokens") or 0
        written = _count(details, "cache_write_tokens") or 0
    elif "prompt_cache_hit_tokens" in found:
        read = _count(found, "prompt_cache_hit_tokens") or 0
    if isinstance(details := found.get("completion_tokens_details"), dict):
        reasoning = _count(details, "reasoning_tokens") or 0
    return Usage(
        prompt=prompt or 0,
        completion=completion or 0,
        cache_read=read,
        cache_write=written,
        reasoning=reasoning,
    )


def _count(found: Mapping[str, Any], name: str) -> int | None:
    value = found.get(name)
    return value if type(value) is int and 0 <= value < 2**53 else None


def quality(finish_reason: Any, refusal: Any = None) -> Quality:
    """Return what an answer is worth by its finish reason."""
    if refusal:
        return "refused"
    if finish_reason == "length":
        return "truncated"
    if finish_reason == "content_filter":
        return "filtered"
    return "good"


def text_or_none(value: Any) -> str | None:
    """Return a value if it is text."""
    return value if isinstance(value, str) else None


def merged(
    params: Mapping[str, Any], request: Mapping[str, Any], model: str
) -> dict[str, Any]:
    """Return a body of parameters and request fields; the request wins, names are OpenAI's."""
    body: dict[str, Any] = {"model": model}
    for source in (params, request):
        for name, value in source.items():
            if value is not None:
                body[_OWN_NAMES.get(name, name)] = value
    body["model"] = model
    return body


def nothing_to_ask(request: Mapping[str, Any]) -> InputError:
    """Return the error for a request without a question."""
    there = ", ".join(map(str, request)) or "nothing"
    return InputError(
        f"The request asks nothing: it needs one of messages, prompt, input; it has {there[:200]}."
    )
