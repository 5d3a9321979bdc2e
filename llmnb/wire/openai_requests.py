"""What OpenAI's chat and text requests have in common: parameters and request in one body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmnb.errors import InputError

_TRAVEL = frozenset(("stream", "stream_options"))
"""Fields that say how the answer travels; that is decided when it is sent, see `stream_body`."""

QUESTIONS = ("messages", "prompt", "input")
"""Fields that hold what is asked."""


def merged(request: Mapping[str, Any], params: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Return a new body of parameters and request; the request wins, the names are OpenAI's.

    Example:
        >>> merged({"prompt": "Hi", "top_p": None}, {"stop_tokens": ["."], "top_p": 1}, "m")
        {'stop': ['.'], 'prompt': 'Hi', 'model': 'm'}
    """
    if "stop_tokens" in params:
        params = _renamed(params)
    if "stop_tokens" in request:
        request = _renamed(request)
    body = {**params, **request, "model": model}
    if not _TRAVEL.isdisjoint(body):
        for name in _TRAVEL:
            body.pop(name, None)
    for value in body.values():
        if value is None:
            return {name: value for name, value in body.items() if value is not None}
    return body


def _renamed(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return fields under OpenAI's names; one of `LLMParams` is spelled otherwise there."""
    rest = {name: value for name, value in fields.items() if name != "stop_tokens"}
    return {"stop": fields["stop_tokens"], **rest}


def question_in(body: Mapping[str, Any]) -> str:
    """Return the name of the field that holds what is asked.

    Raises:
        InputError: If there is none, or more than one.

    Example:
        >>> question_in({"prompt": "Hi", "model": "m"})
        'prompt'
    """
    if "messages" in body and "prompt" not in body and "input" not in body:
        return "messages"  # nearly always
    asked = [name for name in QUESTIONS if name in body]
    if len(asked) == 1:
        return asked[0]
    if asked:
        raise InputError(
            f"The request has {' and '.join(asked)}; give one of them. Nothing was sent for it."
        )
    there = ", ".join(str(name) for name in body if name != "model") or "nothing else"
    raise InputError(
        f"The request asks nothing: it needs one of {', '.join(QUESTIONS)}; it has "
        f"{there[:200]}. Nothing was sent for it."
    )


def stream_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same body, asking for a stream that ends with the usage."""
    return {**body, "stream": True, "stream_options": {"include_usage": True}}
