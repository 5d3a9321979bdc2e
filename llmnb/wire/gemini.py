"""Google's Gemini, asked in OpenAI's words and answering in its own.

Each event of a stream is a small reply of its own. A stream is whole when every
candidate has a finish reason, or when it says that the prompt was blocked; no
event marks its end.

Source: Gemini API reference, "generateContent", "GenerateContentResponse", "FinishReason",
"Thinking", "Structured outputs", "Thought signatures".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from llmnb.records import Delta, Reply, ToolCall, Usage
from llmnb.wire import conversation, ends, json_bytes
from llmnb.wire.conversation import input_error
from llmnb.wire.dialect import Dialect, bad_reply
from llmnb.wire.event_stream import Growing, SamplesAssembler, grow, join
from llmnb.wire.untrusted import count_in, dict_in, dicts_in, index_of, join_texts, text_in
from llmnb.wire.usage import tier, with_counts

_PROVIDER = "Gemini"

_MISSING = {
    **conversation.MISSING,
    "modalities": "Give responseModalities, its own field.",
    "audio": "Give speechConfig, its own field.",
    "verbosity": "Say it in the prompt.",
    "web_search_options": "Give its own tool, {'googleSearch': {}}.",
}

_SETTINGS = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "n": "candidateCount",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
"""OpenAI's names of settings, and Gemini's."""

_OWN_SETTINGS = frozenset(
    (
        *("candidateCount", "maxOutputTokens", "stopSequences", "topP", "topK", "responseLogprobs"),
        *("presencePenalty", "frequencyPenalty", "responseMimeType", "responseSchema"),
        *("responseJsonSchema", "responseModalities", "mediaResolution", "speechConfig"),
        *("thinkingConfig", "imageConfig", "audioTimestamp", "enableEnhancedCivicAnswers"),
        *("stop_sequences", "candidate_count", "response_logprobs", "response_mime_type"),
        *("response_schema", "response_json_schema", "response_modalities", "media_resolution"),
        *("speech_config", "thinking_config", "image_config"),
    )
)
"""Settings in Gemini's own two spellings; given beside the prompt they go where they belong."""

_NEW_THINKING = re.compile(r"(?:.*/)?gemini-(?:[3-9]|[1-9]\d)")
"""Models that are told how hard to think by a level and not by a number of tokens."""

_BUDGETS: Mapping[str, int | str] = {
    "none": 0,
    "minimal": 1_024,
    "low": 1_024,
    "medium": 8_192,
    "high": 24_576,
}
"""Thinking tokens for each of OpenAI's efforts, as Google's own translation has them."""

_LEVELS = {level: level for level in ("minimal", "low", "medium", "high")}

_UNSIGNED = "skip_thought_signature_validator"
"""Google's placeholder for the signature of a call that Gemini 3 did not make itself."""

_KNOWN = conversation.known_fields("parts")
_KNOWN["model"] = _KNOWN["assistant"]

_Part = Mapping[str, Any]


def body_of(request: Mapping[str, Any], *, model: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return a new request body; the model stands in the address, not in it.

    Fields in Gemini's own spelling stay as they are; settings among them go
    into ``generationConfig``, and win there.

    Raises:
        InputError: If the request asks nothing, or what Gemini cannot be asked.

    Example:
        >>> body_of({"prompt": "Hi"}, model="m", params={"top_k": 3})["generationConfig"]
        {'topK': 3}
    """
    fields, contents, system = _asked(request, params, model)
    conversation.refuse(fields, _MISSING, _PROVIDER)
    for name in ("model", "user"):  # Gemini keeps no accounts of its callers' users
        fields.pop(name, None)
    if system:
        fields["systemInstruction"] = {"parts": system}
    _add_tools(fields)
    settings = _settings(fields, model)
    if settings:
        fields["generationConfig"] = settings
    return {"contents": contents, **fields}


def _asked(
    request: Mapping[str, Any], params: Mapping[str, Any], model: str
) -> tuple[dict[str, Any], list[Any], list[_Part]]:
    """Return the fields without the question, the turns, and the system's instructions."""
    if request.get("contents") is not None:
        fields = conversation.merge_fields(request, params, model)
        if any(name in fields for name in conversation.QUESTIONS):
            raise input_error(
                "The request has contents and a question in OpenAI's words; give one."
            )
        return fields, fields.pop("contents"), []
    fields, messages = conversation.fields_of(request, params, model)
    read = _reader(is_signed=_NEW_THINKING.match(model) is not None)
    system, turns = conversation.turns_of(
        messages, read, _KNOWN, provider=_PROVIDER, field="parts", model="model"
    )
    # An instruction in Gemini's own form stands before those among the messages.
    instruction = fields.pop("systemInstruction", None) or fields.pop("system_instruction", None)
    if instruction is None:
        return fields, turns, system
    if isinstance(instruction, str):
        instruction = {"parts": [{"text": instruction}]}
    parts = instruction.get("parts") if isinstance(instruction, Mapping) else None
    if not isinstance(parts, (list, tuple)):
        raise input_error("systemInstruction must be a text or {'parts': [{'text': …}]}.")
    return fields, turns, [*parts, *system]


# -------------------------------------------------------------------------- conversation


def _reader(*, is_signed: bool) -> Callable[[Mapping[str, Any], int], list[_Part]]:
    """Return what reads messages in order: a tool's result names the function of its call."""
    names: dict[str, str] = {}

    def read(message: Mapping[str, Any], position: int) -> list[_Part]:
        if message["role"] == "tool":
            return [_tool_result(message, position, names)]
        if message["role"] not in ("assistant", "model"):
            return _said(message, position)
        calls = conversation.calls_of(message, position)
        names.update((call.id, call.name) for call in calls)
        return [*_said(message, position), *_calls(calls, is_signed=is_signed)]

    return read


def _tool_result(message: Mapping[str, Any], position: int, names: Mapping[str, str]) -> _Part:
    call = str(message.get("tool_call_id") or "")
    name = message.get("name") or names.get(call)
    if not isinstance(name, str):
        raise input_error(
            f"messages[{position}] is the result of a call that no message before it makes; "
            f"{_PROVIDER} wants the function's name."
        )
    texts: list[Any] = [part.get("text") for part in conversation.parts_of(message, position)]
    if not all(isinstance(text, str) for text in texts):
        raise input_error(
            f"messages[{position}] has a part that is not text where only text can stand."
        )
    response: dict[str, Any] = {"name": name, "response": {"result": "\n\n".join(texts)}}
    return {"functionResponse": {**response, "id": call} if call else response}


def _said(message: Mapping[str, Any], position: int) -> list[_Part]:
    """Return a message's parts in Gemini's form."""
    if isinstance(own := message.get("parts"), (list, tuple)):
        return list(own)
    if message.get("content") == "":
        # A turn without parts is refused, one without words is not.
        return [] if message.get("tool_calls") else [{"text": ""}]
    return [_part(part, position) for part in conversation.parts_of(message, position)]


def _part(part: _Part, position: int) -> _Part:
    kind = part.get("type")
    if kind is None:
        return part
    if kind in ("text", "input_text"):
        return {"text": part.get("text")}
    if kind == "refusal":
        return {"text": part.get("refusal")}
    media = conversation.media_of(part, position)
    if media is None:
        raise input_error(
            f"messages[{position}] has a part of the kind {str(kind)[:40]!r}, which {_PROVIDER} "
            "does not know."
        )
    if not media.url:
        return {"inlineData": {"mimeType": media.kind, "data": media.data}}
    there = {"fileUri": media.url}
    return {"fileData": {"mimeType": media.kind, **there} if media.kind else there}


def _calls(calls: list[conversation.Called], *, is_signed: bool) -> list[_Part]:
    """Return calls of functions; the first of a turn bears the signature of its thoughts."""
    parts: list[dict[str, Any]] = []
    for call in calls:
        made: dict[str, Any] = {"name": call.name, "args": dict(call.arguments)}
        if call.id:
            made["id"] = call.id
        parts.append({"functionCall": made})
        if (signature := conversation.signature_of(call.call)) is not None:
            parts[-1]["thoughtSignature"] = signature
    if parts and is_signed:
        parts[0].setdefault("thoughtSignature", _UNSIGNED)
    return list(parts)


# --------------------------------------------------------------------------------- tools


def _add_tools(fields: dict[str, Any]) -> None:
    tools = conversation.tools_in(fields)
    functions, own = [], []
    for position, tool in enumerate(tools):
        function = conversation.function_of(tool, position)
        if function is None:
            own.append(tool)
            continue
        made: dict[str, Any] = {"name": function["name"]}
        if function.get("description"):
            made["description"] = function["description"]
        if function.get("parameters"):
            made["parametersJsonSchema"] = function["parameters"]
        functions.append(made)
    if functions or own:
        mine = [{"functionDeclarations": functions}] if functions else []
        fields["tools"] = [*mine, *own]
    if not fields.pop("parallel_tool_calls", True) and functions:
        raise input_error(f"{_PROVIDER} cannot be kept from calling several tools at once.")
    choice = conversation.tool_choice_in(fields, has_tools=bool(tools))
    if choice is not None:
        kind, name = choice
        config = {"mode": _MODES[kind], **({"allowedFunctionNames": [name]} if name else {})}
        fields.setdefault("toolConfig", {"functionCallingConfig": config})


_MODES = {"auto": "AUTO", "none": "NONE", "any": "ANY", "tool": "ANY"}


# ------------------------------------------------------------------------------ settings


def _settings(fields: dict[str, Any], model: str) -> dict[str, Any]:
    """Take the settings out of the fields and return them under Gemini's names."""
    made = {own: fields.pop(name) for name, own in _SETTINGS.items() if name in fields}
    if made.get("candidateCount") == 1:
        del made["candidateCount"]  # the same question as without it, and the same key
    if (length := conversation.length_in(fields)) is not None:
        made["maxOutputTokens"] = length
    if (stops := conversation.stops_in(fields)) is not None:
        made["stopSequences"] = stops
    _add_logprobs(fields, made)
    schema = conversation.wanted_schema(fields)
    if schema is not None:
        made["responseMimeType"] = "application/json"
        if schema:
            made["responseJsonSchema"] = schema
    if (effort := fields.pop("reasoning_effort", None)) is not None:
        made["thinkingConfig"] = _thinking(effort, model)
    made |= {name: fields.pop(name) for name in sorted(_OWN_SETTINGS & fields.keys())}
    own = fields.pop("generationConfig", None) or fields.pop("generation_config", None)
    return {**made, **own} if isinstance(own, Mapping) else made


def _add_logprobs(fields: dict[str, Any], made: dict[str, Any]) -> None:
    wanted, most = fields.pop("logprobs", None), fields.pop("top_logprobs", None)
    if wanted is None or wanted is False:
        return
    made["responseLogprobs"] = True
    most = most if wanted is True else wanted  # a number says how many, as in text completions
    if most:
        made["logprobs"] = most


def _thinking(effort: Any, model: str) -> dict[str, Any]:
    is_new = _NEW_THINKING.match(model) is not None
    values: Mapping[str, int | str] = _LEVELS if is_new else _BUDGETS
    if not isinstance(effort, str) or effort not in values:
        raise input_error(
            f"reasoning_effort is {str(effort)[:40]!r}; {model} has {', '.join(values)}."
        )
    return {"thinkingLevel" if is_new else "thinkingBudget": values[effort]}


# ------------------------------------------------------------------------------- replies

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
    body = staticmethod(body_of)
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
        arguments = json_bytes.arguments_text(call.get("args"))
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
        return bool(self._items) or self._is_blocked()

    def is_whole(self) -> bool:
        return super().is_whole() if self._items else self._is_blocked()

    def has_ended(self) -> bool:
        """Return whether the answer came to its end; no event marks that of the stream."""
        return self.is_whole()

    def _is_blocked(self) -> bool:
        return bool(dict_in(self._body, "promptFeedback").get("blockReason"))

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
