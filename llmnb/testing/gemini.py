"""Gemini's generateContent as the simulated provider speaks it.

Source:
    Gemini API reference, "Generating content": request and response bodies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from llmnb.testing.answers import Answer, Choice
from llmnb.testing.events import EVENTS, Stream, StreamWriter, event
from llmnb.testing.ledger import prompt_text
from llmnb.testing.provider_profiles import GEMINI, ProviderProfile
from llmnb.testing.request import (
    Rejected,
    SimulatedRequest,
    count_tokens,
    joined_texts,
    tokens_of,
    whole_number,
)

_TOKENS_PER_TURN = 3
_MOST_SAMPLES = 8
_FINISH_REASONS = {"length": "MAX_TOKENS", "content_filter": "SAFETY"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GeminiGenerate:
    """One model's endpoint; the path says which, and whether the answer is streamed."""

    NAME: ClassVar[str] = "generate"
    PROFILE: ClassVar[ProviderProfile] = GEMINI

    model: str
    is_streamed: bool = False
    has_events: bool = True
    """False: a stream comes as the pieces of one long list, as it does without ``alt=sse``."""

    def read(self, body: Mapping[str, Any]) -> SimulatedRequest:
        """Understand a body."""
        contents = body.get("contents")
        if not isinstance(contents, list) or not contents:
            raise Rejected("contents is not specified", "contents")
        system = body.get("systemInstruction") or body.get("system_instruction")
        system_text = _text(system, "systemInstruction") if system else ""
        prompt, prompt_tokens = "", count_tokens(system_text)
        turns: list[dict[str, Any]] = []
        for position, content in enumerate(contents):
            text = _text(content, f"contents[{position}]")
            role = content.get("role") or "user"
            if role not in ("user", "model", "function"):
                raise Rejected(
                    "Please use a valid role: user, model.", f"contents[{position}].role"
                )
            prompt_tokens += _TOKENS_PER_TURN + count_tokens(text)
            turns.append({"role": role, "content": text})
            if role == "user":
                prompt = text
        settings = body.get("generationConfig") or {}
        before = [{"role": "system", "content": system_text}] if system_text else []
        return SimulatedRequest(
            endpoint=self.NAME,
            body=body,
            model=self.model,
            prompt=prompt,
            identity=prompt_text([*before, *turns]),
            messages=contents,
            prompt_tokens=prompt_tokens,
            max_tokens=whole_number(settings, "maxOutputTokens"),
            samples=min(whole_number(settings, "candidateCount") or 1, _MOST_SAMPLES),
            stop=tuple(settings.get("stopSequences") or ()),
            is_streamed=self.is_streamed,
            wants_usage=True,
        )

    def write(self, request: SimulatedRequest, answer: Answer) -> bytes:
        """Return the body of a whole answer."""
        candidates = [
            _candidate(index, _parts(choice), _reason(choice))
            for index, choice in enumerate(answer.choices)
        ]
        return orjson.dumps(_response(request, candidates, _usage(answer)))

    def stream(self, request: SimulatedRequest, answer: Answer) -> Stream:
        """Return an answer in pieces, each a body of its own; the last says why it ended."""
        writer = StreamWriter()
        written = 0

        def chunk(candidates: list[dict[str, Any]], usage: dict[str, Any] | None) -> bytes:
            nonlocal written
            written += 1
            body = _response(request, candidates, usage)
            if self.has_events:
                return event(body)
            return (b"[" if written == 1 else b",\r\n") + orjson.dumps(body)

        for index, choice in enumerate(answer.choices):
            for part in _parts(choice):
                for piece in _token_parts(part):
                    writer.token(chunk([_candidate(index, [piece], None)], None))
        last = [_candidate(index, [], _reason(each)) for index, each in enumerate(answer.choices)]
        writer.add(chunk(last, _usage(answer)))
        if self.has_events:
            return writer.finish(error=GEMINI.stream_error, content_type=EVENTS)
        writer.add(b"]")
        error = b",\r\n" + GEMINI.stream_error.removeprefix(b"data: ").strip() + b"]"
        return writer.finish(error=error, content_type="application/json")


def _text(content: object, name: str) -> str:
    parts = content.get("parts") if isinstance(content, dict) else None
    if isinstance(parts, dict):
        parts = [parts]
    if not isinstance(parts, list):
        raise Rejected(f"Invalid value at '{name}'", f"{name}.parts")
    return joined_texts(parts)


def _parts(choice: Choice) -> list[dict[str, Any]]:
    """Return the parts of an answer: what was thought, said and called."""
    parts: list[dict[str, Any]] = []
    if thought := choice.extra.get("reasoning_content"):
        parts.append({"text": thought, "thought": True})
    said = choice.text if choice.has_content else choice.extra.get("refusal", "")
    if said:
        parts.append({"text": said})
    for call in choice.extra.get("tool_calls") or ():
        arguments = orjson.loads(call["function"]["arguments"] or "{}")
        called = {"id": call["id"], "name": call["function"]["name"], "args": arguments}
        parts.append({"functionCall": called})
    return parts


def _token_parts(part: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a part token by token; a call comes whole."""
    if "text" not in part:
        return [part]
    return [{**part, "text": piece} for piece in tokens_of(part["text"])]


def _reason(choice: Choice) -> str:
    if choice.extra.get("refusal"):
        return "PROHIBITED_CONTENT"
    return _FINISH_REASONS.get(choice.finish_reason, "STOP")


def _candidate(index: int, parts: list[dict[str, Any]], reason: str | None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": index}
    if not parts:
        candidate["content"] = {"role": "model"}
    if reason is not None:
        candidate["finishReason"] = reason
    return candidate


def _response(
    request: SimulatedRequest, candidates: list[dict[str, Any]], usage: dict[str, Any] | None
) -> dict[str, Any]:
    body: dict[str, Any] = {"candidates": candidates} if candidates else {}
    if usage is not None:
        body["usageMetadata"] = usage
    body["modelVersion"] = request.model
    body["responseId"] = f"sim-{request.number:08x}"
    return body


def _usage(answer: Answer) -> dict[str, Any] | None:
    if not answer.has_usage:
        return None
    return {
        "promptTokenCount": answer.prompt_tokens,
        "candidatesTokenCount": answer.completion_tokens,
        "totalTokenCount": answer.prompt_tokens + answer.completion_tokens,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": answer.prompt_tokens}],
    }
