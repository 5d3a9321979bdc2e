"""Google's Gemini, asked in OpenAI's words and answering in its own.

Each event of a stream is a small reply of its own. A stream is whole when every
candidate has a finish reason, or when it says that the prompt was blocked; no
event marks its end.

Source: Gemini API reference, "GenerateContentResponse", "FinishReason", "Thinking".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from llmnb.records import Delta, Reply, ToolCall, Usage
from llmnb.wire import ends, gemini_requests, json_bytes
from llmnb.wire.dialect import Dialect, bad_reply
from llmnb.wire.event_stream import Growing, SamplesAssembler, grow, join
from llmnb.wire.untrusted import count_in, dict_in, dicts_in, index_of, join_texts, text_in
from llmnb.wire.usage import tier, with_counts

_SPOILT = frozenset(
    (
        *("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"),
        *("MALFORMED_RESPONSE", "MISSING_THOUGHT_SIGNATURE", "NO_IMAGE"),
    )
)
"""Finish reasons of replies that hold nothing usable."""

_NO_REASON = "FINISH_REASON_UNSPECIFIED"


class GeminiGenerate(Dialect):
    """Dialect ``gemini.generate``."""

    name = "gemini.generate"
    body = staticmethod(gemini_requests.body)
    stream_fields: ClassVar[Mapping[str, Any]] = {}  # streams have an address, `catalog.stream_url`

    def assembler(self, *, samples: int = 1) -> _CandidateAssembler:
        """Return what reads one streamed reply."""
        return _CandidateAssembler(samples=samples)

    def unstreamed(self, raw: bytes) -> bytes:
        """Return the one body of a stream, also of one that came as a list, without ``alt=sse``."""
        if raw.lstrip()[:1] != b"[":
            return super().unstreamed(raw)
        try:
            events = json_bytes.read(raw)
        except json_bytes.NotJSON:
            return raw
        if not events or not all(isinstance(event, dict) for event in events):
            return raw
        stream = (b"data: %b\n\n" % json_bytes.write(event, is_strict=False) for event in events)
        return self.assembler().whole(b"".join(stream))

    def reply(self, body: dict[str, Any], raw: bytes) -> Reply:
        """Read a reply's object."""
        candidates = body.get("candidates")
        if not isinstance(candidates, list) or not candidates:
            return _blocked(body, raw)
        for candidate in candidates:
            if (fault := _fault(candidate)) is not None:
                raise bad_reply(raw, fault)
        candidates = sorted(candidates, key=index_of)
        texts = [_text(_parts(candidate)) for candidate in candidates]
        reasons = map(_reason, candidates)
        answers = ends.of_answers(texts, [(reason, ends.worth(reason)) for reason in reasons])
        first = _parts(candidates[0])
        calls, thoughts = _tool_calls(first), _text(first, thoughts=True) or None
        used = usage(body, wrote=bool(any(texts) or calls))
        if not any(texts) and all("text" in part for part in first):
            answers["quality"] = ends.worth_without_text(answers["quality"], used, thoughts)
        return Reply(
            **answers,
            model=text_in(body, "modelVersion"),
            response_id=text_in(body, "responseId"),
            usage=used,
            tool_calls=calls,
            reasoning=thoughts,
            logprobs=candidates[0].get("logprobsResult"),
            raw=raw,
        )


def _blocked(body: Mapping[str, Any], raw: bytes) -> Reply:
    """Return the reply to a prompt that was not let through."""
    feedback = dict_in(body, "promptFeedback")
    if (reason := text_in(feedback, "blockReason")) is None:
        raise bad_reply(raw, "has no candidates")
    return Reply(
        text=text_in(feedback, "blockReasonMessage") or "",
        finish_reason=reason,
        quality="filtered",
        model=text_in(body, "modelVersion"),
        response_id=text_in(body, "responseId"),
        usage=usage(body),
        raw=raw,
    )


def _fault(candidate: Any) -> str | None:
    """Return why a candidate is no answer at all; None where it is one, good or bad."""
    if not isinstance(candidate, dict):
        return "has a candidate that is no object"
    reason = _reason(candidate)
    if reason in _SPOILT:
        message = " ".join((text_in(candidate, "finishMessage") or "").split())[:200]
        return f"is no answer: {reason}" + (f" ({message})" if message else "")
    if ends.worth(reason) == "good" and not isinstance(candidate.get("content"), dict):
        return "has a candidate without content"
    return None


def _reason(candidate: Mapping[str, Any]) -> str | None:
    reason = ends.reason_text(candidate.get("finishReason"))
    return None if reason == _NO_REASON else reason


def _parts(candidate: Mapping[str, Any]) -> list[dict[str, Any]]:
    return dicts_in(dict_in(candidate, "content"), "parts")


def _text(parts: list[dict[str, Any]], *, thoughts: bool = False) -> str:
    """Return the text of an answer, or of the thoughts before it."""
    return join_texts((part for part in parts if bool(part.get("thought")) is thoughts), "text")


def _tool_calls(parts: list[dict[str, Any]]) -> tuple[ToolCall, ...]:
    calls: list[ToolCall] = []
    for part in parts:
        call = dict_in(part, "functionCall")
        if not isinstance(call.get("name"), str):
            continue
        # Models before Gemini 3 give their calls no ids; results are matched by them.
        name = text_in(call, "id") or f"call_{len(calls)}"
        arguments = json_bytes.write(call.get("args") or {}, is_strict=False).decode()
        signature = text_in(part, "thoughtSignature")
        calls.append(ToolCall(id=name, name=call["name"], arguments=arguments, signature=signature))
    return tuple(calls)


def usage(body: Mapping[str, Any], *, wrote: bool = True) -> Usage | None:
    """Return the tokens a reply says it used; None when it does not say.

    Gemini counts thoughts apart from the answer, and what tools put into the
    prompt apart from the prompt; both are billed with the other.

    Example:
        >>> usage({"usageMetadata": {"promptTokenCount": 9, "thoughtsTokenCount": 5,
        ...                          "candidatesTokenCount": 2}})
        Usage(prompt=9, completion=7, cache_read=0, cache_write=0, reasoning=5)
    """
    used = dict_in(body, "usageMetadata")
    prompt, answer = count_in(used, "promptTokenCount"), count_in(used, "candidatesTokenCount")
    thoughts = count_in(used, "thoughtsTokenCount")
    if prompt is not None:
        prompt += count_in(used, "toolUsePromptTokenCount") or 0
    # Thoughts alone do not tell how long the answer is, unless there is none.
    if thoughts is not None and (answer is not None or not wrote):
        answer = (answer or 0) + thoughts
    usage = Usage(
        cache_read=count_in(used, "cachedContentTokenCount") or 0,
        reasoning=thoughts or 0,
        tier=tier(used.get("serviceTier")),
    )
    return with_counts(usage, prompt, answer, count_in(used, "totalTokenCount"), wrote=wrote)


# -------------------------------------------------------------------------------- streamed

_PLAIN = frozenset(("text", "thought"))
"""A part with no other fields is appended to the part before it."""


class _CandidateAssembler(SamplesAssembler):
    ANSWERS, USAGE = "candidates", "usageMetadata"
    END, NO_END = "finishReason", _NO_REASON
    EXTENDED = frozenset(("logprobsResult", "citationMetadata"))
    READ = ("content",)

    def has_begun(self) -> bool:
        """Return whether a candidate came, or the message that there will be none."""
        return bool(self._answers) or self._is_blocked()

    def is_whole(self) -> bool:
        return super().is_whole() if self._answers else self._is_blocked()

    def has_ended(self) -> bool:
        """Return whether the answer came to its end; no event marks that of the stream."""
        return self.is_whole()

    def _is_blocked(self) -> bool:
        return bool(dict_in(self._body, "promptFeedback").get("blockReason"))

    def blank(self, index: int) -> dict[str, Any]:
        return {"index": index}

    def grow_answer(self, answer: dict[str, Any], piece: Mapping[str, Any]) -> Delta | None:
        """Add a piece's parts to its candidate's; return what they bring of the answer."""
        content = piece.get("content")
        if not isinstance(content, dict):
            return None
        whole = answer.setdefault("content", {"parts": []})
        if isinstance(role := content.get("role"), str):
            whole["role"] = role
        parts = dicts_in(content, "parts")
        text, reasoning = _text(parts), _text(parts, thoughts=True)
        is_progress = any(not isinstance(part.get("text"), str) for part in parts)
        for part in parts:
            _add_part(whole["parts"], part)
        return Delta(text=text, reasoning=reasoning) if text or reasoning or is_progress else None

    def finish_answer(self, answer: dict[str, Any]) -> None:
        for part in _parts(answer):
            join(part)


def _add_part(parts: list[dict[str, Any]], part: dict[str, Any]) -> None:
    text = text_in(part, "text")
    last = parts[-1] if parts else {}
    if text is None:
        parts.append(part)
    elif (
        isinstance(last.get("text"), Growing)
        and _PLAIN.issuperset(last)
        and _PLAIN.issuperset(part)
        and bool(last.get("thought")) is bool(part.get("thought"))
    ):
        grow(last, "text", text)
    else:
        parts.append({**part, "text": Growing([text])})
