"""OpenAI's text completions as the simulated provider speaks them.

Source:
    OpenAI API reference, "Completions": the completion object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from llmnb.testing.answers import Answer, Choice, logprob
from llmnb.testing.events import DONE, Stream, event
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

NAME = "text"
PROFILE = OPENAI
CREATED = 1_700_000_000
_DEFAULT_MAX_TOKENS = 16
"""What the real API cuts a completion at when it is not told."""


def read(body: Mapping[str, Any]) -> SimulatedRequest:
    """Understand the body of a text completion."""
    parts = _prompts(body.get("prompt"))
    is_streamed, wants_usage = stream_wishes(body)
    max_tokens = whole_number(body, "max_tokens", least=0)
    identity = parts[0] if len(parts) == 1 else orjson.dumps(parts).decode()
    return SimulatedRequest(
        endpoint=NAME,
        body=body,
        model=body.get("model") or "",
        prompt=parts[-1],
        identity=identity,
        parts=tuple(parts),
        prompt_tokens=sum(count_tokens(part) for part in parts),
        max_tokens=_DEFAULT_MAX_TOKENS if max_tokens is None else max_tokens,
        samples=(whole_number(body, "n") or 1) * len(parts),
        stop=stop_texts(body),
        is_streamed=is_streamed,
        wants_usage=wants_usage,
        top_logprobs=whole_number(body, "logprobs", least=0),
    )


def _prompts(prompt: object) -> list[str]:
    """Return the prompts as texts: one, several, or either as lists of token numbers."""
    if isinstance(prompt, str):
        return [prompt]
    if isinstance(prompt, list) and prompt:
        if all(isinstance(one, str) for one in prompt):
            return list(prompt)
        if all(isinstance(one, int) for one in prompt):
            return [_token_text(prompt)]
        if all(isinstance(one, list) for one in prompt):
            return [_token_text(one) for one in prompt]
    raise Rejected("Missing required parameter: 'prompt'.", "prompt")


def _token_text(numbers: Sequence[object]) -> str:
    # Four characters each, so that a list of tokens counts as that many.
    return "".join(f"{number!s:>4}"[-4:] for number in numbers)


def write(request: SimulatedRequest, answer: Answer) -> bytes:
    """Return the body of a text completion."""
    each = max(1, len(answer.choices) // len(request.parts))
    body = {
        "id": _reply_id(request),
        "object": "text_completion",
        "created": CREATED,
        "model": request.model,
        "choices": [
            _choice(request, index, choice, request.parts[index // each])
            for index, choice in enumerate(answer.choices)
        ],
    }
    if answer.has_usage:
        body["usage"] = _usage(answer)
    return orjson.dumps(body)


def stream(request: SimulatedRequest, answer: Answer) -> Stream:
    """Return a text completion as events: tokens, finish reasons, usage, marker."""
    chunk: dict[str, Any] = {
        "id": _reply_id(request),
        "object": "text_completion",
        "created": CREATED,
        "model": request.model,
    }
    if request.wants_usage:
        chunk["usage"] = None

    def chunk_of(index: int, text: str, reason: str | None = None, *, place: int = 0) -> bytes:
        logprobs = _logprobs(request, [text], 0, first=place) if text else None
        choice = {"text": text, "index": index, "logprobs": logprobs, "finish_reason": reason}
        return event({**chunk, "choices": [choice]})

    pieces, ending = [], []
    each = max(1, len(answer.choices) // len(request.parts))
    for index, choice in enumerate(answer.choices):
        before = _echo(request, request.parts[index // each])
        pieces += [
            chunk_of(index, piece, place=place)
            for place, piece in enumerate((*tokens_of(before), *choice.pieces))
        ]
        ending.append(chunk_of(index, "", choice.finish_reason))
    if request.wants_usage and answer.has_usage:
        ending.append(event({**chunk, "choices": [], "usage": _usage(answer)}))
    ending.append(DONE)
    return Stream(b"", tuple(pieces), b"".join(ending), OPENAI.stream_error)


def _choice(request: SimulatedRequest, index: int, choice: Choice, prompt: str) -> dict[str, Any]:
    before = _echo(request, prompt)
    text = choice.text if choice.has_content else ""
    pieces = [*tokens_of(before), *choice.pieces]
    return {
        "text": before + text,
        "index": index,
        "logprobs": _logprobs(request, pieces, count_tokens(before)),
        "finish_reason": choice.finish_reason,
    }


def _echo(request: SimulatedRequest, prompt: str) -> str:
    return prompt if request.body.get("echo") is True else ""


def _reply_id(request: SimulatedRequest) -> str:
    return f"cmpl-sim-{request.number:08x}"


def _usage(answer: Answer) -> dict[str, Any]:
    return {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "total_tokens": answer.prompt_tokens + answer.completion_tokens,
    }


def _logprobs(
    request: SimulatedRequest, pieces: Sequence[str], echoed: int, *, first: int = 0
) -> dict[str, Any] | None:
    """Return log-probabilities in this API's shape; an echoed first token has none."""
    if request.top_logprobs is None:
        return None
    values = [logprob(request, place) for place, _ in enumerate(pieces, first)]
    known: list[float | None] = [
        None if echoed and place == 0 else value for place, value in enumerate(values)
    ]
    offsets, offset = [], 0
    for piece in pieces:
        offsets.append(offset)
        offset += len(piece)
    tops = [
        None if value is None else {piece: value}
        for piece, value in zip(pieces, known, strict=True)
    ]
    return {
        "tokens": list(pieces),
        "token_logprobs": known,
        "top_logprobs": tops if request.top_logprobs else None,
        "text_offset": offsets,
    }
