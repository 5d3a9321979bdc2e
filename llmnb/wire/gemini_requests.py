"""Requests in OpenAI's words as Gemini's generateContent wants them.

Source: Gemini API reference, "generateContent"; "Structured outputs"; "Thought signatures".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llmnb.wire import conversation, openai_requests
from llmnb.wire.conversation import refused

_PROVIDER = "Gemini"

_MISSING = {
    "best_of": "",
    "logit_bias": "",
    "echo": "",
    "suffix": "",
    "modalities": "Give responseModalities, its own field.",
    "audio": "Give speechConfig, its own field.",
    "prediction": "",
    "verbosity": "Say it in the prompt.",
    "functions": "Give them as tools.",
    "function_call": "Give it as tool_choice.",
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
"""OpenAI's names of settings and Gemini's."""

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

_BUDGETS = {"none": 0, "minimal": 1_024, "low": 1_024, "medium": 8_192, "high": 24_576}
"""Tokens to think, as Google itself translates OpenAI's words."""

_LEVELS = ("minimal", "low", "medium", "high")

_UNSIGNED = "skip_thought_signature_validator"
"""What Google gives to be written where a call was not made, and signed, by Gemini 3 itself."""

_IN_TURN = frozenset(("role", "content", "parts"))
_IN_ASSISTANT = (
    frozenset(("role", "content", "parts", "tool_calls", "refusal", "annotations"))
    | conversation.THOUGHTS
)
_IN_TOOL = frozenset(("role", "content", "tool_call_id", "name"))

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
    """Return the fields that are not the question, the turns, and what the system is told."""
    if request.get("contents") is not None:
        fields = openai_requests.merged(request, params, model)
        if any(name in fields for name in openai_requests.QUESTIONS):
            raise refused("The request has contents and a question in OpenAI's words; give one.")
        return fields, fields.pop("contents"), []
    fields, messages = conversation.fields_of(request, params, model)
    system, turns = _turns(messages, is_signed=_NEW_THINKING.match(model) is not None)
    own = fields.pop("systemInstruction", None) or fields.pop("system_instruction", None)
    if isinstance(own, str):
        own = {"parts": [{"text": own}]}
    if isinstance(own, Mapping):
        system = [*(own.get("parts") or ()), *system]
    return fields, turns, system


# -------------------------------------------------------------------------- conversation


def _turns(
    messages: list[Mapping[str, Any]], *, is_signed: bool
) -> tuple[list[_Part], list[dict[str, Any]]]:
    """Return what the system is told and turns of user and model by turns."""
    system: list[_Part] = []
    turns: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    for place, message in enumerate(messages):
        role = message["role"]
        if role in ("system", "developer"):
            conversation.only(message, place, _IN_TURN, _PROVIDER)
            system += _parts(message, place)
            continue
        if role == "user":
            conversation.only(message, place, _IN_TURN, _PROVIDER)
            parts = _parts(message, place)
        elif role in ("assistant", "model"):
            conversation.only(message, place, _IN_ASSISTANT, _PROVIDER)
            role = "model"
            calls = conversation.calls_of(message, place)
            names.update((call.id, call.name) for call in calls)
            parts = [*_parts(message, place), *_calls(calls, is_signed=is_signed)]
        elif role == "tool":
            conversation.only(message, place, _IN_TOOL, _PROVIDER)
            role, parts = "user", [_tool_result(message, place, names)]
        else:
            raise refused(
                f"messages[{place}] has the role {role[:40]!r}; {_PROVIDER} knows system, user, "
                "assistant and tool."
            )
        if turns and turns[-1]["role"] == role:
            turns[-1]["parts"] += parts
        else:
            turns.append({"role": role, "parts": parts})
    if not turns:
        raise refused(
            f"The messages only instruct the system; {_PROVIDER} wants at least one of the user."
        )
    return system, turns


def _parts(message: Mapping[str, Any], place: int) -> list[_Part]:
    """Return a message's parts; those in Gemini's own words are left alone."""
    if isinstance(own := message.get("parts"), (list, tuple)):
        return list(own)
    if message.get("content") == "":
        # A turn without parts is refused, one without words is not.
        return [] if message.get("tool_calls") else [{"text": ""}]
    return [_part(part, place) for part in conversation.parts_of(message, place)]


def _part(part: _Part, place: int) -> _Part:
    kind = part.get("type")
    if kind is None:
        return part
    if kind in ("text", "input_text"):
        return {"text": part.get("text")}
    if kind == "refusal":
        return {"text": part.get("refusal")}
    media = conversation.media_of(part, place)
    if media is None:
        raise refused(
            f"messages[{place}] has a part of the kind {str(kind)[:40]!r}, which {_PROVIDER} does "
            "not know."
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
        if (signature := _signature(call.call)) is not None:
            parts[-1]["thoughtSignature"] = signature
    if parts and is_signed:
        parts[0].setdefault("thoughtSignature", _UNSIGNED)
    return list(parts)


def _signature(call: Mapping[str, Any]) -> str | None:
    """Return the signature as Google's own OpenAI interface carries it."""
    extra = call.get("extra_content")
    google = extra.get("google") if isinstance(extra, Mapping) else None
    found = google.get("thought_signature") if isinstance(google, Mapping) else None
    return found if isinstance(found, str) else None


def _tool_result(message: Mapping[str, Any], place: int, names: Mapping[str, str]) -> _Part:
    call = str(message.get("tool_call_id") or "")
    name = message.get("name") or names.get(call)
    if not isinstance(name, str):
        raise refused(
            f"messages[{place}] is the result of a call that no message before it makes; "
            f"{_PROVIDER} wants the function's name."
        )
    result = conversation.said(conversation.parts_of(message, place), place)
    made: dict[str, Any] = {"name": name, "response": {"result": result}}
    if call:
        made["id"] = call
    return {"functionResponse": made}


# --------------------------------------------------------------------------------- tools


def _add_tools(fields: dict[str, Any]) -> None:
    tools = fields.pop("tools", None)
    functions, own = [], []
    for place, tool in enumerate(tools or ()):
        function = conversation.function_of(tool, place)
        if function is None:
            own.append(tool)
            continue
        made: dict[str, Any] = {"name": function.name}
        if function.description:
            made["description"] = function.description
        if function.parameters:
            made["parametersJsonSchema"] = function.parameters
        functions.append(made)
    if functions or own:
        mine = [{"functionDeclarations": functions}] if functions else []
        fields["tools"] = [*mine, *own]
    if not fields.pop("parallel_tool_calls", True) and functions:
        raise refused(f"{_PROVIDER} cannot be kept from calling several tools at once.")
    choice = _choice(fields.pop("tool_choice", None), has_tools=bool(tools))
    if choice is not None:
        fields.setdefault("toolConfig", {"functionCallingConfig": choice})


def _choice(choice: Any, *, has_tools: bool) -> dict[str, Any] | None:
    """Return whether tools may or must be used; None where it goes without saying."""
    if choice is None or (choice in ("auto", "none") and not has_tools):
        return None
    if not has_tools:
        raise refused("tool_choice demands a tool and the request has no tools.")
    modes = {"auto": "AUTO", "none": "NONE", "required": "ANY", "any": "ANY"}
    if isinstance(choice, str) and choice in modes:
        return {"mode": modes[choice]}
    if (name := conversation.wanted_function(choice)) is not None:
        return {"mode": "ANY", "allowedFunctionNames": [name]}
    raise refused(
        "tool_choice must be 'auto', 'none', 'required', or "
        "{'type': 'function', 'function': {'name': …}}."
    )


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
    if _NEW_THINKING.match(model):
        if effort in _LEVELS:
            return {"thinkingLevel": effort}
        raise refused(
            f"reasoning_effort is {str(effort)[:40]!r}; {model} has {', '.join(_LEVELS)}."
        )
    if effort in _BUDGETS:
        return {"thinkingBudget": _BUDGETS[effort]}
    raise refused(f"reasoning_effort is {str(effort)[:40]!r}; {model} has {', '.join(_BUDGETS)}.")
