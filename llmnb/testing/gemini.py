"""Gemini's generateContent as the simulated provider speaks it.

Source:
    Gemini API reference, "Generating content": request and response bodies.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import orjson

from llmnb.testing.answers import AnswerChoice, AnswerPart, WholeAnswer
from llmnb.testing.api import FRAME, TOKEN, Api, Events
from llmnb.testing.body import Body, Rejected, text_of
from llmnb.testing.provider_profiles import GEMINI
from llmnb.testing.request import SimulatedRequest, tokens_of

_PATH = re.compile(r"/models/([^/]+):(generateContent|streamGenerateContent)\Z")
_MOST_SAMPLES = 8
_FINISH_REASONS = {"length": "MAX_TOKENS", "content_filter": "SAFETY"}


@dataclass(frozen=True, kw_only=True)
class Generate(Api):
    """One model's generateContent; the path says which, and whether the answer is streamed."""

    name = "generate"
    profile = GEMINI

    model: str = ""
    is_streamed: bool = False

    def at(self, path: str) -> Api | None:
        """Return the API of the model that stands in a path."""
        if (match := _PATH.search(path)) is None:
            return None
        is_streamed = match[2] == "streamGenerateContent"
        return Generate(model=unquote(match[1]), is_streamed=is_streamed)

    def read(self, body: Body) -> SimulatedRequest:
        """Return what a body asks for."""
        contents = body.filled_list("contents", "contents is not specified")
        turns = []
        for position, content in enumerate(contents):
            text = _text(content, f"contents[{position}]")
            role = content.get("role") or "user"
            if role not in ("user", "model", "function"):
                name = f"contents[{position}].role"
                raise Rejected("Please use a valid role: user, model.", name)
            turns.append((role, text))
        system = body.get("systemInstruction") or body.get("system_instruction")
        system_text = _text(system, "systemInstruction") if system else ""
        all_turns = [("system", system_text), *turns] if system_text else turns
        settings = Body(body.get("generationConfig") or {})
        return self.of_turns(
            body,
            turns,
            contents,
            identity=[{"role": role, "content": text} for role, text in all_turns],
            system=system_text,
            model=self.model,
            max_tokens=settings.whole_number("maxOutputTokens"),
            samples=min(settings.whole_number("candidateCount") or 1, _MOST_SAMPLES),
            stop=settings.stop_texts("stopSequences"),
            is_streamed=self.is_streamed,
        )

    def reply(self, request: SimulatedRequest, answer: WholeAnswer) -> dict[str, Any]:
        """Return the body of a whole answer."""
        candidates = [
            _candidate(index, [_part(part, part.text) for part in _parts(choice)], _reason(choice))
            for index, choice in enumerate(answer.choices)
        ]
        return _response(request, candidates, answer)

    def events(self, request: SimulatedRequest, answer: WholeAnswer) -> Events:
        """Yield an answer in chunks, each a body of its own; the last says why it ended."""
        for index, choice in enumerate(answer.choices):
            for part in _parts(choice):
                # A call comes whole, everything else token by token.
                for text in [part.text] if part.kind == "call" else tokens_of(part.text):
                    candidate = _candidate(index, [_part(part, text)], None)
                    yield TOKEN, _response(request, [candidate], None)
        last = [
            _candidate(index, [], _reason(choice)) for index, choice in enumerate(answer.choices)
        ]
        yield FRAME, _response(request, last, answer)


def _text(content: object, name: str) -> str:
    parts = content.get("parts") if isinstance(content, dict) else None
    parts = [parts] if isinstance(parts, dict) else parts
    is_list = isinstance(parts, list)
    return text_of(parts if is_list else None, f"{name}.parts", f"Invalid value at '{name}'")


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
