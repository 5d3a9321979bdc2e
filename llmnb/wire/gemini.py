"""Google's Gemini, asked in OpenAI's words and answering in its own.

Source: Gemini API reference, "GenerateContentResponse", "FinishReason", "Thinking".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmnb.errors import BadReply
from llmnb.records import Reply, ToolCall, Usage
from llmnb.wire import ends, gemini_requests, json_bytes, openai_replies
from llmnb.wire.gemini_stream import CandidateAssembler
from llmnb.wire.sse import is_stream

_SPOILT = frozenset(
    (
        *("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"),
        *("MALFORMED_RESPONSE", "MISSING_THOUGHT_SIGNATURE", "NO_IMAGE"),
    )
)
"""Reasons to end with which there is nothing that could be used."""

_UNSAID = "FINISH_REASON_UNSPECIFIED"


class GeminiGenerate:
    """Dialect ``gemini.generate``."""

    name = "gemini.generate"

    def body(
        self, request: Mapping[str, Any], *, model: str, params: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return a new request body; see `llmnb.wire.gemini_requests`.

        Raises:
            InputError: If the request asks nothing, or what Gemini cannot be asked.

        Example:
            >>> GeminiGenerate().body({"prompt": "Hi"}, model="m", params={})
            {'contents': [{'role': 'user', 'parts': [{'text': 'Hi'}]}]}
        """
        return gemini_requests.body(request, model=model, params=params)

    def stream_body(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the same body: Gemini streams from another address, see `catalog.streamed`."""
        return dict(body)

    def parse(self, raw: bytes) -> Reply:
        """Read a reply; one that was streamed against our wish is put together first.

        Raises:
            BadReply: If it cannot be read; its bytes are kept.
            LLMNBError: Of another type, if it says what went wrong.
        """
        if is_stream(raw):
            raw = self.assembler().whole(raw)
        elif raw.lstrip()[:1] == b"[":
            raw = _joined(raw, self.assembler())
        body, readable = openai_replies.load_object(raw)
        candidates = body.get("candidates")
        if not isinstance(candidates, list) or not candidates:
            return _blocked(body, raw, readable)
        for candidate in candidates:
            if (fault := _fault(candidate)) is not None:
                raise openai_replies.unusable(raw, fault)
        candidates = sorted(candidates, key=openai_replies.index_of)
        texts = [_text(_parts(candidate)) for candidate in candidates]
        reasons = list(map(_reason, candidates))
        qualities = [ends.worth(ends.GEMINI, reason) for reason in reasons]
        worst = openai_replies.worst(qualities)
        first, quality = _parts(candidates[0]), qualities[worst]
        calls, thoughts = _tool_calls(first), _text(first, thoughts=True) or None
        used = usage(body, wrote=bool(any(texts) or calls))
        if not any(texts) and all("text" in part for part in first):
            quality = ends.without_text(quality, used, thoughts)
        return Reply(
            text=texts[0],
            finish_reason=reasons[worst],
            quality=quality,
            model=openai_replies.text_or_none(body.get("modelVersion")),
            response_id=openai_replies.text_or_none(body.get("responseId")),
            usage=used,
            texts=tuple(texts) if len(texts) > 1 else (),
            ends=tuple(zip(reasons, qualities, strict=True)) if len(texts) > 1 else (),
            tool_calls=calls,
            reasoning=thoughts,
            logprobs=candidates[0].get("logprobsResult"),
            raw=readable,
        )

    def assembler(self, *, samples: int = 1) -> CandidateAssembler:
        """Return what reads one streamed reply."""
        return CandidateAssembler(samples=samples)


def _joined(raw: bytes, assembler: CandidateAssembler) -> bytes:
    """Return the body of a stream that came as one list, as it does without ``alt=sse``."""
    try:
        chunks = json_bytes.read(raw)
    except json_bytes.NotJSON:
        return raw
    if not chunks or not all(isinstance(chunk, dict) for chunk in chunks):
        return raw
    for chunk in chunks:
        assembler.take_whole(chunk)
    return assembler.finish()


def _blocked(body: Mapping[str, Any], raw: bytes, readable: bytes) -> Reply:
    """Return the reply to a prompt that was not let through."""
    feedback = body.get("promptFeedback")
    reason = feedback.get("blockReason") if isinstance(feedback, dict) else None
    if not isinstance(reason, str) or not isinstance(feedback, dict):
        raise _without_candidates(raw)
    return Reply(
        text=openai_replies.text_or_none(feedback.get("blockReasonMessage")) or "",
        finish_reason=reason,
        quality="filtered",
        model=openai_replies.text_or_none(body.get("modelVersion")),
        response_id=openai_replies.text_or_none(body.get("responseId")),
        usage=usage(body),
        raw=readable,
    )


def _without_candidates(raw: bytes) -> BadReply:
    return openai_replies.unusable(raw, "has no candidates")


def _fault(candidate: Any) -> str | None:
    """Return what keeps a candidate from being an answer, good or bad."""
    if not isinstance(candidate, dict):
        return "has a candidate that is no object"
    reason = _reason(candidate)
    if reason in _SPOILT:
        said = openai_replies.text_or_none(candidate.get("finishMessage"))
        return f"is no answer: {reason}" + (f" ({' '.join(said.split())[:200]})" if said else "")
    if ends.worth(ends.GEMINI, reason) == "good" and not isinstance(candidate.get("content"), dict):
        return "has a candidate without content"
    return None


def _reason(candidate: Mapping[str, Any]) -> str | None:
    reason = ends.word(candidate.get("finishReason"))
    return None if reason == _UNSAID else reason


def _parts(candidate: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    if not isinstance(parts, list):
        return []
    return [part for part in parts if isinstance(part, dict)]


def _text(parts: list[dict[str, Any]], *, thoughts: bool = False) -> str:
    """Return the words of an answer, or those of the thoughts before it."""
    texts = (part.get("text") for part in parts if bool(part.get("thought")) is thoughts)
    return "".join(text for text in texts if isinstance(text, str))


def _tool_calls(parts: list[dict[str, Any]]) -> tuple[ToolCall, ...]:
    found: list[ToolCall] = []
    for part in parts:
        call = part.get("functionCall")
        if not isinstance(call, dict) or not isinstance(call.get("name"), str):
            continue
        # Models before Gemini 3 give their calls no ids; results are matched by them.
        name = openai_replies.text_or_none(call.get("id")) or f"call_{len(found)}"
        arguments = json_bytes.write(call.get("args") or {}, is_strict=False).decode()
        signature = openai_replies.text_or_none(part.get("thoughtSignature"))
        found.append(ToolCall(id=name, name=call["name"], arguments=arguments, signature=signature))
    return tuple(found)


def usage(body: Mapping[str, Any], *, wrote: bool = True) -> Usage | None:
    """Return the tokens a reply says it used; None when it does not say.

    Gemini counts thoughts apart from the answer, and what tools put into the
    prompt apart from the prompt; both are billed with the other.

    Example:
        >>> usage({"usageMetadata": {"promptTokenCount": 9, "thoughtsTokenCount": 5,
        ...                          "candidatesTokenCount": 2}})
        Usage(prompt=9, completion=7, cache_read=0, cache_write=0, reasoning=5)
    """
    found = body.get("usageMetadata")
    if not isinstance(found, dict):
        return None
    count = openai_replies.count
    prompt, answer = count(found.get("promptTokenCount")), count(found.get("candidatesTokenCount"))
    thoughts = count(found.get("thoughtsTokenCount"))
    # Thoughts alone do not tell how long the answer is, unless there is none.
    said = answer if thoughts is None else (answer or 0) + thoughts
    if answer is None and wrote and thoughts is not None:
        said = None
    return ends.counted(
        None if prompt is None else prompt + (count(found.get("toolUsePromptTokenCount")) or 0),
        said,
        count(found.get("totalTokenCount")),
        wrote=wrote,
        cache_read=count(found.get("cachedContentTokenCount")) or 0,
        reasoning=thoughts or 0,
        tier=openai_replies.tier({"service_tier": found.get("serviceTier")}),
    )
