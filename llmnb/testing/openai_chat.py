"""OpenAI's chat completions as the simulated provider speaks them.

Source:
    OpenAI API reference, "Chat Completions": the completion object and the
    chunk object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from llmnb.testing.answers import Answer, Choice, logprob
from llmnb.testing.events import DONE, Stream, event
from llmnb.testing.ledger import prompt_text
from llmnb.testing.provider_profiles import OPENAI
from llmnb.testing.request import (
    Rejected,
    SimulatedRequest,
    count_tokens,
    stop_texts,
    stream_wishes,
    tokens_of,
    whole_number,
)

NAME = "chat"
PROFILE = OPENAI
CREATED = 1_700_000_000
"""All replies are made at the same moment, so that equal questions get equal bytes."""

_TOKENS_PER_MESSAGE = 3
_TOKENS_PER_CONVERSATION = 3
_MOST_SAMPLES = 128
_PROMPT_DETAILS = {"cached_tokens": 0, "audio_tokens": 0}
_COMPLETION_DETAILS = {"reasoning_tokens": 0, "audio_tokens": 0}


def read(body: Mapping[str, Any]) -> SimulatedRequest:
    """Understand the body of a chat completion."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Rejected("Missing required parameter: 'messages'.", "messages")
    prompt, prompt_tokens = "", _TOKENS_PER_CONVERSATION
    for place, message in enumerate(messages):
        text = _text(message, place)
        prompt_tokens += _TOKENS_PER_MESSAGE + count_tokens(text)
        if message["role"] == "user" or not prompt:
            prompt = text
    is_streamed, wants_usage = stream_wishes(body)
    name = "max_completion_tokens" if "max_completion_tokens" in body else "max_tokens"
    return SimulatedRequest(
        endpoint=NAME,
        body=body,
        model=body.get("model") or "",
        prompt=prompt,
        identity=prompt_text(messages),
        messages=messages,
        prompt_tokens=prompt_tokens,
        max_tokens=whole_number(body, name),
        samples=min(whole_number(body, "n") or 1, _MOST_SAMPLES),
        stop=stop_texts(body) if "stop" in body else (),
        is_streamed=is_streamed,
        wants_usage=wants_usage,
        top_logprobs=_top_logprobs(body),
    )


def _text(message: object, place: int) -> str:
    if isinstance(message, dict) and isinstance(message.get("role"), str):
        content = message.get("content")
        if isinstance(content, str):
            return content
        if isinstance(content, list):
            texts = [part.get("text") for part in content if isinstance(part, dict)]
            return "".join(text for text in texts if isinstance(text, str))
        if content is None and message["role"] == "assistant":
            return ""  # it only called tools
        name = f"messages[{place}].content"
        raise Rejected(f"Invalid value for '{name}'.", name)
    raise Rejected(f"Invalid value: 'messages[{place}]' has no role.", f"messages[{place}]")


def _top_logprobs(body: Mapping[str, Any]) -> int | None:
    if "top_logprobs" not in body and "logprobs" not in body:
        return None
    top = whole_number(body, "top_logprobs", least=0)
    if body.get("logprobs") is not True:
        if top is not None:
            raise Rejected("'top_logprobs' needs 'logprobs' to be true.", "top_logprobs")
        return None
    return min(top or 0, 20)


def write(request: SimulatedRequest, answer: Answer) -> bytes:
    """Return the body of a chat completion."""
    body: dict[str, Any] = {
        "id": _reply_id(request),
        "object": "chat.completion",
        "created": CREATED,
        "model": request.model,
        "choices": [
            {
                "index": index,
                "message": {
                    "role": "assistant",
                    "content": choice.text if choice.has_content else None,
                    "refusal": None,
                    **choice.extra,
                },
                "logprobs": None
                if request.top_logprobs is None
                else _logprobs(request, choice.pieces),
                "finish_reason": choice.finish_reason,
            }
            for index, choice in enumerate(answer.choices)
        ],
    }
    if answer.has_usage:
        body["usage"] = _usage(answer)
    body["service_tier"] = "default"
    body["system_fingerprint"] = "fp_simulated"
    return orjson.dumps(body)


def stream(request: SimulatedRequest, answer: Answer) -> Stream:
    """Return a chat completion as events: roles, tokens, finish reasons, usage, marker."""
    chunk = {
        "id": _reply_id(request),
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": request.model,
        "service_tier": "default",
        "system_fingerprint": "fp_simulated",
    }
    if request.wants_usage:
        chunk["usage"] = None

    def chunk_of(
        index: int, delta: Mapping[str, Any], reason: str | None = None, *, place: int = 0
    ) -> bytes:
        text = delta.get("content")
        logprobs = _logprobs(request, [text], place) if text else None
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        return event({**chunk, "choices": [choice]})

    opening, pieces, ending = [], [], []
    for index, choice in enumerate(answer.choices):
        opening.append(chunk_of(index, {"role": "assistant", "content": "", "refusal": None}))
        pieces += [
            chunk_of(index, {"content": piece}, place=place)
            for place, piece in enumerate(choice.pieces)
        ]
        pieces += [chunk_of(index, delta) for delta in _extra_deltas(choice)]
        ending.append(chunk_of(index, {}, choice.finish_reason))
    if request.wants_usage and answer.has_usage:
        ending.append(event({**chunk, "choices": [], "usage": _usage(answer)}))
    ending.append(DONE)
    return Stream(b"".join(opening), tuple(pieces), b"".join(ending), OPENAI.stream_error)


def _extra_deltas(choice: Choice) -> list[dict[str, Any]]:
    deltas: list[dict[str, Any]] = []
    for name, value in choice.extra.items():
        if name == "tool_calls":
            deltas += [
                {"tool_calls": [{"index": place, **call}]} for place, call in enumerate(value)
            ]
        elif isinstance(value, str):
            deltas += [{name: piece} for piece in tokens_of(value)]
        else:
            deltas.append({name: value})
    return deltas


def _reply_id(request: SimulatedRequest) -> str:
    return f"chatcmpl-sim-{request.number:08x}"


def _usage(answer: Answer) -> dict[str, Any]:
    return {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "total_tokens": answer.prompt_tokens + answer.completion_tokens,
        "prompt_tokens_details": _PROMPT_DETAILS,
        "completion_tokens_details": _COMPLETION_DETAILS,
    }


def _logprobs(
    request: SimulatedRequest, pieces: Sequence[str], first: int = 0
) -> dict[str, Any] | None:
    if request.top_logprobs is None:
        return None
    return {
        "content": [
            {
                **_token(request, piece, place, 0),
                "top_logprobs": [
                    _token(request, piece if rank == 0 else f"{piece}~{rank}", place, rank)
                    for rank in range(request.top_logprobs)
                ],
            }
            for place, piece in enumerate(pieces, first)
        ],
        "refusal": None,
    }


def _token(request: SimulatedRequest, text: str, place: int, rank: int) -> dict[str, Any]:
    return {
        "token": text,
        "logprob": logprob(request, place, rank),
        "bytes": list(text.encode("utf-8", "replace")),
    }
