"""Requests of OpenAI's form translated for Gemini's generateContent.

Source: Gemini API reference, "generateContent"; "Structured outputs"; "Thought signatures".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llmnb.wire import conversation
from llmnb.wire.conversation import input_error
from llmnb.wire.untrusted import dict_in, text_in

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


def body(request: Mapping[str, Any], *, model: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return a new request body; the model stands in the address, not in it.

    Fields in Gemini's own spelling stay as they are; settings among them go
    into ``generationConfig``, and win there.

    Raises:
        InputError: If the request asks nothing, or what Gemini cannot be asked.

    Example:
        >>> body({"prompt": "Hi"}, model="m", params={"top_k": 3})["generationConfig"]
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
    read = _Reader(is_signed=_NEW_THINKING.match(model) is not None)
    system, turns = conversation.turns_of(
        messages, read, _KNOWN, provider=_PROVIDER, field="parts", model="model"
    )
    # An instruction in Gemini's own form stands before those among the messages.
    instruction = fields.pop("systemInstruction", None) or fields.pop("system_instruction", None)
    if isinstance(instruction, str):
        instruction = {"parts": [{"text": instruction}]}
    if isinstance(instruction, Mapping):
        system = [*(instruction.get("parts") or ()), *system]
    return fields, turns, system


# -------------------------------------------------------------------------- conversation


class _Reader:
    """Reads messages in their order: a tool's result names the function that was called before."""

    def __init__(self, *, is_signed: bool) -> None:
        self._is_signed = is_signed
        self._names: dict[str, str] = {}

    def __call__(self, message: Mapping[str, Any], position: int) -> list[_Part]:
        role = message["role"]
        if role == "tool":
            return [self._tool_result(message, position)]
        if role not in ("assistant", "model"):
            return _parts(message, position)
        calls = conversation.calls_of(message, position)
        self._names.update((call.id, call.name) for call in calls)
        return [*_parts(message, position), *_calls(calls, is_signed=self._is_signed)]

    def _tool_result(self, message: Mapping[str, Any], position: int) -> _Part:
        call = str(message.get("tool_call_id") or "")
        name = message.get("name") or self._names.get(call)
        if not isinstance(name, str):
            raise input_error(
                f"messages[{position}] is the result of a call that no message before it makes; "
                f"{_PROVIDER} wants the function's name."
            )
        result = conversation.text_alone(conversation.parts_of(message, position), position)
        response: dict[str, Any] = {"name": name, "response": {"result": result}}
        return {"functionResponse": {**response, "id": call} if call else response}


def _parts(message: Mapping[str, Any], position: int) -> list[_Part]:
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
        # As Google's own OpenAI interface carries it.
        google = dict_in(dict_in(call.call, "extra_content"), "google")
        if (signature := text_in(google, "thought_signature")) is not None:
            parts[-1]["thoughtSignature"] = signature
    if parts and is_signed:
        parts[0].setdefault("thoughtSignature", _UNSIGNED)
    return list(parts)


# --------------------------------------------------------------------------------- tools


def _add_tools(fields: dict[str, Any]) -> None:
    tools = fields.pop("tools", None)
    functions, own = [], []
    for position, tool in enumerate(tools or ()):
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
