"""Requests in OpenAI's words as Anthropic's Messages API wants them.

What only narrows a value in a JSON Schema, such as ``maximum``, is refused there: it goes
into the description, where the model can read it, and the answer is checked against the schema
that was meant.

Source: Anthropic API reference, "Messages"; "Structured outputs", section "JSON Schema
limitations"; "Tool use".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llmnb.records import UnchosenLength
from llmnb.wire import conversation
from llmnb.wire.conversation import Content, as_parts, input_error

ANSWER_TOOL = "llmnb_answer"
"""Tool that older models must call with their answer, as they take no schema for its text."""

DEFAULT_LENGTH = 16_384
"""Longest answer where the caller does not say; the protocol demands a figure.

Every model since Claude 4 can write more. Much longer answers would have to be
streamed: the API gives up on what takes ten minutes.
"""

_SHORTER = (
    (re.compile(r"(?:.*[/.])?claude-3-[57]"), 8_192),
    (re.compile(r"(?:.*[/.])?claude-(?:[123]|instant|v\d)"), 4_096),
)
"""What older models can write at most."""

_WITHOUT_SCHEMAS = re.compile(
    r"(?:.*[/.])?claude-(?:[123]\b|instant|v\d|[a-z]+-4(?:-[01])?(?:[-@]20\d{6}.*)?$)"
)
"""Models older than Claude 4.5, which know no ``output_config.format``."""

_PROVIDER = "Anthropic"

_MISSING = {
    **conversation.MISSING,
    "n": "Ask the same prompt several times, with duplicates='sample'.",
    **dict.fromkeys(("logprobs", "top_logprobs"), "No model of theirs tells log-probabilities."),
    "seed": "Leave it out: their answers cannot be repeated.",
    **dict.fromkeys(("frequency_penalty", "presence_penalty"), ""),
    **dict.fromkeys(("modalities", "audio"), "Their models answer in text."),
    "verbosity": "Say it in the prompt.",
    "web_search_options": "Give their own tool, web_search.",
}

THOUGHTS = "thinking_blocks"
"""Field of an assistant's turn in which its signed thoughts stand, to be handed back."""

_KNOWN = conversation.known_fields(tool="is_error")


def body(request: Mapping[str, Any], *, model: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return a new request body.

    What the caller does not say and the protocol demands, the longest answer,
    is an `UnchosenLength`. Fields in Anthropic's own spelling stay as they are.

    Raises:
        InputError: If the request asks nothing, or what Anthropic cannot be asked.

    Example:
        >>> body({"prompt": "Hi"}, model="claude-haiku-4-5", params={"max_tokens": 5})["messages"]
        [{'role': 'user', 'content': 'Hi'}]
    """
    fields, messages = conversation.fields_of(request, params, model)
    conversation.refuse(fields, _MISSING, _PROVIDER)
    system, fields["messages"] = conversation.turns_of(
        messages, _content, _KNOWN, provider=_PROVIDER, field="content"
    )
    if system:
        fields["system"] = _system(fields.get("system"), system)
    if (stops := conversation.stops_in(fields)) is not None:
        fields.setdefault("stop_sequences", stops)
    if (user := fields.pop("user", None)) is not None:
        fields.setdefault("metadata", {"user_id": user})
    _add_tools(fields)
    _add_effort(fields)
    _add_schema(fields, model)
    _add_length(fields, model)
    temperature = fields.get("temperature")
    if isinstance(temperature, (int, float)) and temperature > 1:
        raise input_error(f"temperature is {temperature}; {_PROVIDER} allows 0 to 1.")
    return fields


def _add_length(fields: dict[str, Any], model: str) -> None:
    length = conversation.length_in(fields)
    if length is None:
        shorter = (most for pattern, most in _SHORTER if pattern.match(model))
        length = next(shorter, DEFAULT_LENGTH)
        thinking = fields.get("thinking")
        budget = thinking.get("budget_tokens") if isinstance(thinking, Mapping) else None
        # The thoughts count as answer; without this there would be no room left for the words.
        length = UnchosenLength(length + (budget if type(budget) is int and budget > 0 else 0))
    fields["max_tokens"] = length


# ------------------------------------------------------------------------- conversation


def _content(message: Mapping[str, Any], position: int) -> Content:
    """Return a message's content: blocks, or plain text where it holds nothing else."""
    role = message["role"]
    if role in ("system", "developer"):
        return conversation.parts_of(message, position)
    said = message.get("content")
    if not isinstance(said, str):
        said = [_block(part, position) for part in conversation.parts_of(message, position)]
    if role == "tool":
        name = message.get("tool_call_id")
        if not isinstance(name, str) or not name:
            raise input_error(f"messages[{position}] is a tool's result without a tool_call_id.")
        result = {"type": "tool_result", "tool_use_id": name, "content": said}
        return [{**result, "is_error": True} if message.get("is_error") else result]
    if role != "assistant":
        return said
    calls = [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": dict(call.arguments)}
        for call in conversation.calls_of(message, position)
    ]
    thoughts = message.get(THOUGHTS)
    thoughts = list(thoughts) if isinstance(thoughts, (list, tuple)) else []
    return [*thoughts, *as_parts(said), *calls] if calls or thoughts else said


def _block(part: Mapping[str, Any], position: int) -> Mapping[str, Any]:
    """Return one of OpenAI's parts as a block of Anthropic's; a block is returned as it is."""
    kind = part.get("type")
    if kind == "refusal":
        return {"type": "text", "text": part.get("refusal")}
    media = conversation.media_of(part, position)
    if media is None:
        return part
    if media.kind.startswith("audio/"):
        raise input_error(
            f"messages[{position}] holds sound; {_PROVIDER} takes text, images and PDF."
        )
    if media.url and not media.url.lower().startswith("https://"):
        raise input_error(
            f"messages[{position}] holds an address that {_PROVIDER} does not take: it fetches "
            "https only. For pictures in a table, fetch_files=True has them fetched here."
        )
    name = "document" if media.kind == "application/pdf" or kind == "file" else "image"
    source = (
        {"type": "url", "url": media.url}
        if media.url
        else {"type": "base64", "media_type": media.kind, "data": media.data}
    )
    block: dict[str, Any] = {"type": name, "source": source}
    if "cache_control" in part:
        block["cache_control"] = part["cache_control"]
    return block


def _system(own: Any, parts: list[Mapping[str, Any]]) -> Content:
    """Return the system instruction: text, or blocks where one has more fields than its text."""
    blocks = [*as_parts(own or ""), *parts]
    if any(block.keys() != {"type", "text"} for block in blocks):
        return blocks
    return "\n\n".join(block["text"] for block in blocks)


# --------------------------------------------------------------------------------- tools


def _add_tools(fields: dict[str, Any]) -> None:
    tools = fields.pop("tools", None)
    if tools:
        fields["tools"] = [_tool(tool, position) for position, tool in enumerate(tools)]
    choice = _choice(fields, has_tools=bool(tools))
    is_parallel = fields.pop("parallel_tool_calls", True)
    if not is_parallel and tools and (choice or {}).get("type") != "none":
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    if choice is not None:
        fields["tool_choice"] = choice


def _tool(tool: Any, position: int) -> Mapping[str, Any]:
    function = conversation.function_of(tool, position)
    if function is None:
        own: Mapping[str, Any] = tool
        return own
    made: dict[str, Any] = {"name": function["name"]}
    if function.get("description"):
        made["description"] = function["description"]
    made["input_schema"] = function.get("parameters") or {"type": "object", "properties": {}}
    if function.get("strict"):
        made["strict"] = True
        made["input_schema"] = admitted_schema(made["input_schema"])
    if "cache_control" in tool:
        made["cache_control"] = tool["cache_control"]
    return made


def _choice(fields: dict[str, Any], *, has_tools: bool) -> dict[str, Any] | None:
    """Take ``tool_choice`` out of the fields and return Anthropic's; None where it says nothing."""
    own = fields.get("tool_choice")
    if has_tools and isinstance(own, Mapping) and own.get("type") in _OWN_CHOICES:
        return dict(fields.pop("tool_choice"))
    if (choice := conversation.tool_choice_in(fields, has_tools=has_tools)) is None:
        return None
    kind, name = choice
    return {"type": kind, "name": name} if name else {"type": kind}


_OWN_CHOICES = ("auto", "any", "tool", "none")


# ---------------------------------------------------------------- structured output, effort


def _add_effort(fields: dict[str, Any]) -> None:
    """Translate ``reasoning_effort``."""
    effort = fields.pop("reasoning_effort", None)
    if effort is None:
        return
    if effort == "none":
        fields.setdefault("thinking", {"type": "disabled"})
        return
    own = fields.get("output_config") or {}
    fields["output_config"] = {"effort": "low" if effort == "minimal" else effort, **own}


def _add_schema(fields: dict[str, Any], model: str) -> None:
    """Enforce the schema of the answer: by `output_config`, or by a tool that must be called."""
    schema = conversation.wanted_schema(fields)
    if schema is None:
        return
    if schema and not _WITHOUT_SCHEMAS.match(model):
        own = fields.get("output_config") or {}
        wanted = {"type": "json_schema", "schema": admitted_schema(schema)}
        fields["output_config"] = {"format": wanted, **own}
        return
    thinking = fields.get("thinking")
    is_thinking = isinstance(thinking, Mapping) and thinking.get("type") not in (None, "disabled")
    if is_thinking or fields.get("tools"):
        raise input_error(
            f"{_PROVIDER} gives JSON without a schema, and with one on models older than Claude "
            "4.5, by a tool that must be called, and that does not go with "
            f"{'thinking' if is_thinking else 'tools of your own'}. Give a json_schema to a newer "
            "model."
        )
    fields["tools"] = [
        {
            "name": ANSWER_TOOL,
            "description": "Gives the answer. Call it once, with the whole answer.",
            "input_schema": schema or {"type": "object"},
        }
    ]
    fields["tool_choice"] = {"type": "tool", "name": ANSWER_TOOL}


# -------------------------------------------------------------- schemas that Anthropic admits

_NARROWING = (
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "maxItems", "uniqueItems", "minProperties", "maxProperties"),
)
_NAMED = ("properties", "$defs", "definitions")
_LISTED = ("anyOf", "allOf", "oneOf")
_DEEPEST = 100
"""A schema deeper than this is left to the provider to refuse."""


def admitted_schema(schema: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """Return a schema as Anthropic accepts it, in the same order, as far as that is possible.

    Objects whose fields are named are closed. An object with free keys cannot
    be had; it stays as it is, and the API says so.

    Example:
        >>> admitted_schema({"type": "integer", "minimum": 1, "description": "How many"})
        {'type': 'integer', 'description': 'How many (minimum: 1)'}
    """
    made = dict(schema)
    if depth > _DEEPEST:
        return made
    for name in _NAMED:
        if isinstance(inner := made.get(name), Mapping):
            made[name] = {key: _admitted(value, depth) for key, value in inner.items()}
    for name in _LISTED:
        if isinstance(branches := made.get(name), (list, tuple)):
            made[name] = [_admitted(branch, depth) for branch in branches]
    if "items" in made:
        made["items"] = _admitted(made["items"], depth)
    if "oneOf" in made and "anyOf" not in made:
        made["anyOf"] = made.pop("oneOf")
    if isinstance(made.get("properties"), Mapping):
        made.setdefault("additionalProperties", False)
    narrowing = {name: made.pop(name) for name in _NARROWING if name in made}
    least = made.get("minItems")
    if isinstance(least, int) and least > 1:
        narrowing["minItems"] = made.pop("minItems")
    if narrowing:
        limits = ", ".join(f"{name}: {value}" for name, value in narrowing.items())
        made["description"] = f"{made.get('description') or ''} ({limits})".strip()
    return made


def _admitted(schema: Any, depth: int) -> Any:
    return admitted_schema(schema, depth + 1) if isinstance(schema, Mapping) else schema
