"""Gemini's generateContent as the simulated provider speaks it.

Source:
    Gemini API reference, "Generating content": request and response bodies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from llmnb.testing.answers import AnswerChoice, AnswerPart, WholeAnswer
from llmnb.testing.plan import Stream, StreamWriter, event
from llmnb.testing.provider_profiles import GEMINI, ProviderProfile
from llmnb.testing.request import (
    Rejected,
    SimulatedRequest,
    count_tokens,
    joined_texts,
    of_turns,
    stop_texts,
    tokens_of,
    whole_number,
)

_MOST_SAMPLES = 8
_FINISH_REASONS = {"length": "MAX_TOKENS", "content_filter": "SAFETY"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GeminiEndpoint:
    """One model's endpoint; the path says which, and whether the answer is streamed."""

    NAME: ClassVar[str] = "generate"
    PROFILE: ClassVar[ProviderProfile] = GEMINI

    model: str
    is_streamed: bool = False

    def read(self, body: Mapping[str, Any]) -> SimulatedRequest:
        """Understand a body."""
        contents = body.get("contents")
        if not isinstance(contents, list) or not contents:
            raise Rejected("contents is not specified", "contents")
        turns = []
        for position, content in enumerate(contents):
            text = _text(content, f"contents[{position}]")
            role = content.get("role") or "user"
            if role not in ("user", "model", "function"):
                raise Rejected(
                    "Please use a valid role: user, model.", f"contents[{position}].role"
                )
            turns.append((role, text))
        system = body.get("systemInstruction") or body.get("system_instruction")
        system_text = _text(system, "systemInstruction") if system else ""
        all_turns = [("system", system_text), *turns] if system_text else turns
        settings = body.get("generationConfig") or {}
        return of_turns(
            self.NAME,
            body,
            turns,
            contents,
            identity=[{"role": role, "content": text} for role, text in all_turns],
            more_tokens=count_tokens(system_text),
            model=self.model,
            max_tokens=whole_number(settings, "maxOutputTokens"),
            samples=min(whole_number(settings, "candidateCount") or 1, _MOST_SAMPLES),
            stop=stop_texts(settings, "stopSequences"),
            is_streamed=self.is_streamed,
            wants_usage=True,
        )

    def write(self, request: SimulatedRequest, answer: WholeAnswer) -> bytes:
        """Return the body of a whole answer."""
        candidates = [
            _candidate(index, [_part(part, part.text) for part in _parts(choice)], _reason(choice))
            for index, choice in enumerate(answer.choices)
        ]
        return orjson.dumps(_response(request, candidates, answer))

    def stream(self, request: SimulatedRequest, answer: WholeAnswer) -> Stream:
        """Return an answer in chunks, each a body of its own; the last says why it ended."""
        writer = StreamWriter()

        def chunk(candidates: list[dict[str, Any]], whole: WholeAnswer | None = None) -> bytes:
            return event(_response(request, candidates, whole))

        for index, choice in enumerate(answer.choices):
            for part in _parts(choice):
                # A call comes whole, everything else token by token.
                for text in [part.text] if part.kind == "call" else tokens_of(part.text):
                    writer.token(chunk([_candidate(index, [_part(part, text)], None)]))
        last = [
            _candidate(index, [], _reason(choice)) for index, choice in enumerate(answer.choices)
        ]
        writer.add(chunk(last, answer))
        return writer.finish(error=GEMINI.stream_error)


def _text(content: object, name: str) -> str:
    parts = content.get("parts") if isinstance(content, dict) else None
    if isinstance(parts, dict):
        parts = [parts]
    if not isinstance(parts, list):
        raise Rejected(f"Invalid value at '{name}'", f"{name}.parts")
    return joined_texts(parts)


def _parts(choice: AnswerChoice) -> list[AnswerPart]:
    return [part for part in choice.parts if part.text]


def _part(part: AnswerPart, text: str) -> dict[str, Any]:
    """Return a part, or as much of it as a text holds."""
    if part.kind == "call":
        call = {"id": part.call_id, "name": part.name, "args": orjson.loads(text)}
        return {"functionCall": call}
    return {"text": text, "thought": True} if part.kind == "thought" else {"text": text}


def _reason(choice: AnswerChoice) -> str:
    if choice.extra.get("refusal"):
        return "PROHIBITED_CONTENT"
    return _FINISH_REASONS.get(choice.finish_reason, "STOP")


def _candidate(index: int, parts: list[dict[str, Any]], reason: str | None) -> dict[str, Any]:
    content = {"parts": parts, "role": "model"} if parts else {"role": "model"}
    candidate = {"content": content, "index": index}
    return candidate if reason is None else {**candidate, "finishReason": reason}


def _response(
    request: SimulatedRequest, candidates: list[dict[str, Any]], whole: WholeAnswer | None
) -> dict[str, Any]:
    """Return a response; the usage stands in it where the whole answer is told."""
    body: dict[str, Any] = {"candidates": candidates} if candidates else {}
    if whole is not None and whole.has_usage:
        body["usageMetadata"] = {
            "promptTokenCount": whole.prompt_tokens,
            "candidatesTokenCount": whole.completion_tokens,
            "totalTokenCount": whole.prompt_tokens + whole.completion_tokens,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": whole.prompt_tokens}],
        }
    body["modelVersion"] = request.model
    body["responseId"] = f"sim-{request.number:08x}"
    return body
