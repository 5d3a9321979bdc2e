"""Requests of OpenAI's chat form translated for OpenAI's Responses API.

Source: OpenAI API reference, "Create a model response"; the guide "Migrate to the Responses API".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llmnb.wire import conversation, json_bytes
from llmnb.wire.conversation import input_error

_PROVIDER = "OpenAI's Responses API"

_MISSING = {
    **conversation.MISSING,
    "n": "Ask the same prompt several times, with duplicates='sample'.",
    "stop": "Cut the answer where it comes in, or ask with gen_type='chat'.",
    "seed": "Leave it out, or ask with gen_type='chat'.",
    **dict.fromkeys(("frequency_penalty", "presence_penalty"), ""),
    **dict.fromkeys(("modalities", "audio"), "Its models answer in text."),
    "web_search_options": "Give the tool {'type': 'web_search'}.",
    "background": "An answer that is fetched later is not waited for here.",
}

_LOGPROBS = "message.output_text.logprobs"

ITEMS = "output_items"
"""Field of an assistant's turn in which the items stand that it was made of, to be handed back."""

_KNOWN = conversation.known_fields("phase", assistant="audio")


def body(request: Mapping[str, Any], *, model: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return a new request body; its answer is not kept by OpenAI unless the caller says so.

    Fields in this API's own spelling stay as they are, and so do items of its
    own kinds among the messages.

    Raises:
        InputError: If the request asks nothing, or what this API cannot be asked.

    Example:
        >>> body({"prompt": "Hi"}, model="m", params={"max_tokens": 50})["max_output_tokens"]
        50
    """
    fields = conversation.merge_fields(request, params, model)
    # A stored prompt is a field of this API's own; a text under that name is the question.
    template = fields.pop("prompt") if isinstance(fields.get("prompt"), Mapping) else None
    if template is None or any(name in fields for name in conversation.QUESTIONS):
        fields["input"] = _asked(fields)
    if template is not None:
        fields["prompt"] = template
    conversation.refuse(fields, _MISSING, _PROVIDER)
    _add_length(fields)
    _add_effort(fields)
    _add_format(fields)
    _add_tools(fields)
    _add_logprobs(fields)
    fields.setdefault("store", False)
    return fields


# ------------------------------------------------------------------------ what is asked


def _asked(fields: dict[str, Any]) -> list[Any]:
    """Take the question out of the fields and return it as items."""
    is_input = conversation.question_in(fields) == "input"
    if is_input and isinstance(fields["input"], (list, tuple)) and fields["input"]:
        return list(fields.pop("input"))
    messages = conversation.asked_in(fields, may_hold_items=True)
    custom = _custom_calls(messages)
    items: list[Any] = []
    for position, message in enumerate(messages):
        role = message.get("role")
        if isinstance(message.get("type"), str):
            items.append(message)  # an item in this API's own words
        elif role == "function":
            raise input_error(
                f"messages[{position}] is a function's; give role 'tool' and its call's id."
            )
        else:
            conversation.only(message, position, _KNOWN.get(role, _KNOWN["user"]), _PROVIDER)
            if role == "assistant":
                items += _assistant(message, position)
            elif role == "tool":
                items.append(_result(message, position, custom))
            else:
                items.append({**_known(message), "content": _content(message, position)})
    return items


def _known(message: Mapping[str, Any]) -> dict[str, Any]:
    return {name: message[name] for name in ("role", "phase") if message.get(name)}


def _content(message: Mapping[str, Any], position: int) -> Any:
    """Return a message's content: text unchanged, parts in this API's form."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    return [_part(part, position) for part in conversation.parts_of(message, position)]


def _part(part: Mapping[str, Any], position: int) -> Mapping[str, Any]:
    kind = part.get("type")
    if kind == "text":
        return {"type": "input_text", "text": part.get("text")}
    if kind == "image_url":
        return _image(part.get("image_url"), position)
    if kind == "file":
        file = part.get("file")
        if not isinstance(file, Mapping):
            raise input_error(f"messages[{position}] has a file that cannot be read.")
        return {"type": "input_file", **file}
    return part  # in this API's own words already


def _image(image: Any, position: int) -> dict[str, Any]:
    if isinstance(image, str):
        image = {"url": image}
    if not isinstance(image, Mapping) or not isinstance(image.get("url"), str):
        raise input_error(f"messages[{position}] has an image without an address.")
    detail = image.get("detail") or "auto"
    return {"type": "input_image", "image_url": image["url"], "detail": detail}


def _assistant(message: Mapping[str, Any], position: int) -> Iterator[Mapping[str, Any]]:
    """Yield an earlier answer of the model as items: its text and its tool calls."""
    if isinstance(items := message.get(ITEMS), (list, tuple)) and items:
        yield from items
        return
    content = message.get("content")
    if not content and message.get("refusal"):
        content = [{"type": "refusal", "refusal": message["refusal"]}]
    elif not isinstance(content, str):
        parts = conversation.parts_of({"content": content}, position)
        content = [_answer_part(part) for part in parts]
    if content:
        yield {**_known(message), "content": content}
    calls = conversation.tool_calls_in(message)
    functions = [call for call in calls if _custom(call) is None]
    for call in calls:
        if (custom := _custom(call)) is not None:
            yield {
                "type": "custom_tool_call",
                "call_id": str(call.get("id") or ""),
                "name": custom.get("name"),
                "input": custom.get("input") or "",
            }
    for call in conversation.calls_of({"tool_calls": functions}, position):
        arguments = call.call["function"].get("arguments")
        if not isinstance(arguments, str):
            arguments = json_bytes.write(dict(call.arguments)).decode()
        called = {"call_id": call.id, "name": call.name, "arguments": arguments}
        yield {"type": "function_call", **called}


def _answer_part(part: Mapping[str, Any]) -> Mapping[str, Any]:
    if part.get("type") == "text":
        return {"type": "output_text", "text": part.get("text"), "annotations": []}
    return part


def _custom(call: Any) -> Mapping[str, Any] | None:
    """Return what a call of a custom tool, whose input is text, holds; None for any other."""
    custom = call.get("custom") if isinstance(call, Mapping) else None
    return custom if isinstance(custom, Mapping) else None


def _custom_calls(messages: Any) -> frozenset[str]:
    """Return the ids of the calls of custom tools: their results have a kind of their own."""
    return frozenset(
        str(call.get("id") or "")
        for message in messages
        if isinstance(message, Mapping)
        for call in conversation.tool_calls_in(message)
        if _custom(call) is not None
    )


def _result(message: Mapping[str, Any], position: int, custom: frozenset[str]) -> dict[str, Any]:
    name = message.get("tool_call_id")
    if not isinstance(name, str) or not name:
        raise input_error(f"messages[{position}] answers a call of a tool and does not say which.")
    kind = "custom_tool_call_output" if name in custom else "function_call_output"
    return {"type": kind, "call_id": name, "output": _content(message, position)}


# ------------------------------------------------------------------------- how it is asked


def _add_length(fields: dict[str, Any]) -> None:
    own = fields.pop("max_output_tokens", None)
    length = conversation.length_in(fields)
    if own is not None or length is not None:
        fields["max_output_tokens"] = length if own is None else own


def _add_effort(fields: dict[str, Any]) -> None:
    effort = fields.pop("reasoning_effort", None)
    if effort is not None:
        fields["reasoning"] = {"effort": effort, **_mapping(fields, "reasoning")}


def _add_format(fields: dict[str, Any]) -> None:
    """Put which JSON the answer must be, and how long-winded it may be, under ``text``."""
    verbosity = fields.pop("verbosity", None)
    wanted = fields.get("response_format")
    schema = conversation.wanted_schema(fields)
    text: dict[str, Any] = {}
    if schema is not None:
        text["format"] = _format(wanted, schema)
    if verbosity is not None:
        text["verbosity"] = verbosity
    if text:
        fields["text"] = {**text, **_mapping(fields, "text")}


def _format(wanted: Any, schema: Mapping[str, Any]) -> dict[str, Any]:
    if not schema:
        return {"type": "json_object"}
    known = conversation.inner_of(wanted, "json_schema")
    rest = {name: known[name] for name in ("description", "strict") if known.get(name) is not None}
    return {"type": "json_schema", "name": known.get("name") or "answer", "schema": schema, **rest}


def _mapping(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a field that holds further fields, which win over translated ones."""
    value = fields.get(name, {})
    if not isinstance(value, Mapping):
        raise input_error(f"{name} is {type(value).__name__}, not a dict.")
    return value


def _add_tools(fields: dict[str, Any]) -> None:
    tools = fields.get("tools")
    if isinstance(tools, (list, tuple)):
        fields["tools"] = [_tool(tool, position) for position, tool in enumerate(tools)]
    choice = fields.get("tool_choice")
    if not isinstance(choice, Mapping):
        return
    if (name := conversation.wanted_function(choice)) is not None:
        fields["tool_choice"] = {"type": "function", "name": name}
    elif isinstance(inner := choice.get("allowed_tools"), Mapping):
        allowed = [_bare(tool) for tool in inner.get("tools") or ()]
        fields["tool_choice"] = {"type": "allowed_tools", **inner, "tools": allowed}
    else:
        fields["tool_choice"] = _bare(choice)


def _tool(tool: Any, position: int) -> Any:
    """Return a tool in this API's form, where a function is strict unless it says otherwise."""
    function = conversation.function_of(tool, position)
    inner = tool.get("function")
    if function is None or not isinstance(inner, Mapping):
        return _bare(tool)
    nothing = {"type": "object", "properties": {}}
    stated = {name: value for name, value in inner.items() if value is not None}
    return {"type": "function", "strict": False, "parameters": nothing, **stated}


def _bare(tool: Any) -> Any:
    """Return a tool with the fields under its type moved up: chat nests them one level deeper."""
    kind = tool.get("type") if isinstance(tool, Mapping) else None
    inner = tool.get(kind) if isinstance(kind, str) else None
    return {"type": kind, **inner} if isinstance(inner, Mapping) else tool


def _add_logprobs(fields: dict[str, Any]) -> None:
    """Ask for log-probabilities where chat's two fields do."""
    is_wanted = fields.pop("logprobs", None)
    if is_wanted is False:
        fields.pop("top_logprobs", None)
    elif is_wanted is not None or fields.get("top_logprobs") is not None:
        include = fields.get("include")
        include = list(include) if isinstance(include, (list, tuple)) else []
        fields["include"] = include if _LOGPROBS in include else [*include, _LOGPROBS]
