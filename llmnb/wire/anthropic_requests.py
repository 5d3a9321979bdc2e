"""Requests in OpenAI's words as Anthropic's Messages API wants them.

Source: Anthropic API reference, "Messages"; "Structured outputs"; "Tool use".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llmnb.errors import InputError
from llmnb.records import UnchosenLength
from llmnb.wire import conversation
from llmnb.wire.anthropic_schemas import fitted
from llmnb.wire.conversation import refused

ANSWER_TOOL = "llmnb_answer"
"""Tool that a model is made to call where it cannot be held to a schema otherwise."""

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
    "n": "Ask the same prompt several times, with duplicates='sample'.",
    "best_of": "",
    "logprobs": "No model of theirs tells log-probabilities.",
    "top_logprobs": "No model of theirs tells log-probabilities.",
    "logit_bias": "",
    "seed": "Leave it out: their answers cannot be repeated.",
    "frequency_penalty": "",
    "presence_penalty": "",
    "echo": "",
    "suffix": "",
    "modalities": "Their models answer in text.",
    "audio": "Their models answer in text.",
    "prediction": "",
    "verbosity": "Say it in the prompt.",
    "functions": "Give them as tools.",
    "function_call": "Give it as tool_choice.",
    "web_search_options": "Give their own tool, web_search.",
}

_IN_USER = frozenset(("role", "content"))
THOUGHTS = "thinking_blocks"
"""Field of an assistant's turn in which its signed thoughts stand, to be handed back."""

_IN_ASSISTANT = (
    frozenset(("role", "content", "tool_calls", "refusal", "annotations")) | conversation.THOUGHTS
)
_IN_TOOL = frozenset(("role", "content", "tool_call_id", "name", "is_error"))

_Blocks = str | list[Mapping[str, Any]]


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
    system, turns = _turns(messages)
    fields["messages"] = turns
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
        raise refused(f"temperature is {temperature}; {_PROVIDER} allows 0 to 1.")
    return fields


def _add_length(fields: dict[str, Any], model: str) -> None:
    length = conversation.length_in(fields)
    if length is None:
        found = (most for pattern, most in _SHORTER if pattern.match(model))
        length = next(found, DEFAULT_LENGTH)
        thinking = fields.get("thinking")
        budget = thinking.get("budget_tokens") if isinstance(thinking, Mapping) else None
        # The thoughts count as answer; without this there would be no room left for the words.
        length = UnchosenLength(length + (budget if type(budget) is int and budget > 0 else 0))
    fields["max_tokens"] = length


# ------------------------------------------------------------------------- conversation


def _turns(
    messages: list[Mapping[str, Any]],
) -> tuple[list[Mapping[str, Any]], list[dict[str, Any]]]:
    """Return what the system is told, as blocks, and turns of user and assistant by turns."""
    system: list[Mapping[str, Any]] = []
    turns: list[dict[str, Any]] = []
    for place, message in enumerate(messages):
        role = message["role"]
        if role in ("system", "developer"):
            conversation.only(message, place, _IN_USER, _PROVIDER)
            system += conversation.parts_of(message, place)
            continue
        role, content = _turn(message, role, place)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] = [*_blocks(turns[-1]["content"]), *_blocks(content)]
        else:
            turns.append({"role": role, "content": content})
    if not turns:
        raise refused(
            f"The messages only instruct the system; {_PROVIDER} wants at least one of the user."
        )
    return system, turns


def _turn(message: Mapping[str, Any], role: str, place: int) -> tuple[str, _Blocks]:
    if role == "user":
        conversation.only(message, place, _IN_USER, _PROVIDER)
        return "user", _content(message, place)
    if role == "assistant":
        conversation.only(message, place, _IN_ASSISTANT, _PROVIDER)
        calls = [
            {"type": "tool_use", "id": one.id, "name": one.name, "input": dict(one.arguments)}
            for one in conversation.calls_of(message, place)
        ]
        content = _content(message, place)
        thoughts = message.get(THOUGHTS)
        thoughts = list(thoughts) if isinstance(thoughts, (list, tuple)) else []
        if not calls and not thoughts:
            return "assistant", content
        return "assistant", [*thoughts, *_blocks(content), *calls]
    if role == "tool":
        conversation.only(message, place, _IN_TOOL, _PROVIDER)
        return "user", [_tool_result(message, place)]
    raise refused(
        f"messages[{place}] has the role {role[:40]!r}; {_PROVIDER} knows system, user, assistant "
        "and tool."
    )


def _tool_result(message: Mapping[str, Any], place: int) -> Mapping[str, Any]:
    name = message.get("tool_call_id")
    if not isinstance(name, str) or not name:
        raise refused(f"messages[{place}] is a tool's result without a tool_call_id.")
    result: dict[str, Any] = {
        "type": "tool_result",
        "tool_use_id": name,
        "content": _content(message, place),
    }
    if message.get("is_error"):
        result["is_error"] = True
    return result


def _content(message: Mapping[str, Any], place: int) -> _Blocks:
    """Return a content; text that is all there is stays text."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    return [_block(part, place) for part in conversation.parts_of(message, place)]


def _blocks(content: Any) -> list[Mapping[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return list(content)


def _block(part: Mapping[str, Any], place: int) -> Mapping[str, Any]:
    """Return a part in Anthropic's words; one that has them already is left alone."""
    kind = part.get("type")
    if kind == "refusal":
        return {"type": "text", "text": part.get("refusal")}
    media = conversation.media_of(part, place)
    if media is None:
        return part
    if media.kind.startswith("audio/"):
        raise refused(f"messages[{place}] holds sound; {_PROVIDER} takes text, images and PDF.")
    if media.url and not media.url.lower().startswith("https://"):
        raise refused(
            f"messages[{place}] holds an address that {_PROVIDER} does not take: it fetches https "
            "only. For pictures in a table, fetch_files=True has them fetched here."
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


def _system(own: Any, said: list[Mapping[str, Any]]) -> _Blocks:
    """Return the instruction: text, or blocks where there is more to them than their text."""
    blocks = [*_blocks(own or ""), *said]
    if any(block.keys() != {"type", "text"} for block in blocks):
        return blocks
    return "\n\n".join(block["text"] for block in blocks)


# --------------------------------------------------------------------------------- tools


def _add_tools(fields: dict[str, Any]) -> None:
    tools = fields.pop("tools", None)
    if tools:
        fields["tools"] = [_tool(tool, place) for place, tool in enumerate(tools)]
    choice = _choice(fields.pop("tool_choice", None), has_tools=bool(tools))
    is_parallel = fields.pop("parallel_tool_calls", True)
    if not is_parallel and tools and (choice or {}).get("type") != "none":
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    if choice is not None:
        fields["tool_choice"] = choice


def _tool(tool: Any, place: int) -> Mapping[str, Any]:
    function = conversation.function_of(tool, place)
    if function is None:
        found: Mapping[str, Any] = tool
        return found
    made: dict[str, Any] = {"name": function.name}
    if function.description:
        made["description"] = function.description
    made["input_schema"] = function.parameters or {"type": "object", "properties": {}}
    if function.is_strict:
        made["strict"] = True
        made["input_schema"] = fitted(made["input_schema"])
    if "cache_control" in tool:
        made["cache_control"] = tool["cache_control"]
    return made


def _choice(choice: Any, *, has_tools: bool) -> dict[str, Any] | None:
    """Return whether tools may or must be used; None where it goes without saying."""
    if choice is None or (choice in ("auto", "none") and not has_tools):
        return None
    if not has_tools:
        raise refused("tool_choice demands a tool and the request has no tools.")
    if isinstance(choice, str):
        kinds = {"auto": "auto", "none": "none", "required": "any", "any": "any"}
        if choice in kinds:
            return {"type": kinds[choice]}
    elif (name := conversation.wanted_function(choice)) is not None:
        return {"type": "tool", "name": name}
    elif isinstance(choice, Mapping) and choice.get("type") in ("auto", "any", "tool", "none"):
        return dict(choice)
    raise refused(
        "tool_choice must be 'auto', 'none', 'required', or "
        "{'type': 'function', 'function': {'name': …}}."
    )


# ---------------------------------------------------------------- structured output, effort


def _add_effort(fields: dict[str, Any]) -> None:
    """Say how hard to think."""
    effort = fields.pop("reasoning_effort", None)
    if effort is None:
        return
    if effort == "none":
        fields.setdefault("thinking", {"type": "disabled"})
        return
    own = fields.get("output_config") or {}
    fields["output_config"] = {"effort": "low" if effort == "minimal" else effort, **own}


def _add_schema(fields: dict[str, Any], model: str) -> None:
    """Hold the answer to a schema, by the API's own means or by a tool that must be called."""
    schema = conversation.wanted_schema(fields)
    if schema is None:
        return
    if schema and not _WITHOUT_SCHEMAS.match(model):
        own = fields.get("output_config") or {}
        wanted = {"type": "json_schema", "schema": fitted(schema)}
        fields["output_config"] = {"format": wanted, **own}
        return
    if (fault := _fault_of_forcing(fields)) is not None:
        raise fault
    fields["tools"] = [
        {
            "name": ANSWER_TOOL,
            "description": "Gives the answer. Call it once, with the whole answer.",
            "input_schema": schema or {"type": "object"},
        }
    ]
    fields["tool_choice"] = {"type": "tool", "name": ANSWER_TOOL}


def _fault_of_forcing(fields: Mapping[str, Any]) -> InputError | None:
    thinking = fields.get("thinking")
    if isinstance(thinking, Mapping) and thinking.get("type") not in (None, "disabled"):
        rival = "thinking"
    elif fields.get("tools"):
        rival = "tools of your own"
    else:
        return None
    return refused(
        f"{_PROVIDER} gives JSON without a schema, and with one on models older than Claude 4.5, "
        f"by a tool that must be called, and that does not go with {rival}. Give a json_schema "
        "to a newer model."
    )
