"""Requests in the words of OpenAI's chat as OpenAI's Responses API wants them.

Source: OpenAI API reference, "Create a model response"; the guide "Migrate to the Responses API".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llmnb.wire import conversation, json_bytes, openai_requests
from llmnb.wire.conversation import refused

_PROVIDER = "OpenAI's Responses API"

_MISSING = {
    "n": "Ask the same prompt several times, with duplicates='sample'.",
    "best_of": "",
    "stop": "Cut the answer where it comes in, or ask with gen_type='chat'.",
    "seed": "Leave it out, or ask with gen_type='chat'.",
    "frequency_penalty": "",
    "presence_penalty": "",
    "logit_bias": "",
    "echo": "",
    "suffix": "",
    "modalities": "Its models answer in text.",
    "audio": "Its models answer in text.",
    "prediction": "",
    "functions": "Give them as tools.",
    "function_call": "Give it as tool_choice.",
    "web_search_options": "Give the tool {'type': 'web_search'}.",
    "background": "An answer that is fetched later is not waited for here.",
}

_LOGPROBS = "message.output_text.logprobs"

_IN_MESSAGE = frozenset(("role", "content", "phase"))
ITEMS = "output_items"
"""Field of an assistant's turn in which the items stand that it was made of, to be handed back."""

_IN_ASSISTANT = (
    _IN_MESSAGE | {"tool_calls", "refusal", "annotations", "audio"} | conversation.THOUGHTS
)
_IN_TOOL = frozenset(("role", "content", "tool_call_id", "name"))


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
    fields = openai_requests.merged(request, params, model)
    # A stored prompt is a field of this API's own; a text under that name is the question.
    template = fields.pop("prompt") if isinstance(fields.get("prompt"), Mapping) else None
    if template is None or any(name in fields for name in openai_requests.QUESTIONS):
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
    """Take out what is asked, as items."""
    name = openai_requests.question_in(fields)
    question = fields.pop(name)
    if name == "messages":
        return list(_items(question))
    if isinstance(question, str):
        return [{"role": "user", "content": question}]
    if name == "input" and isinstance(question, (list, tuple)) and question:
        return list(question)
    raise refused(
        f"{name} is {type(question).__name__}, not text. For a conversation give "
        "messages=[{'role': …, 'content': …}, …]."
    )


def _items(messages: Any) -> Iterator[Any]:
    if not isinstance(messages, (list, tuple)) or not messages:
        raise refused(
            "messages must be a list with at least one message, such as "
            "[{'role': 'user', 'content': 'Hello'}]."
        )
    custom = _custom_calls(messages)
    for place, message in enumerate(messages):
        if isinstance(message, Mapping) and isinstance(message.get("type"), str):
            yield message  # an item in this API's own words
            continue
        role = message.get("role") if isinstance(message, Mapping) else None
        if not isinstance(role, str):
            raise refused(
                f"messages[{place}] is {type(message).__name__}"
                f"{' without a role' if isinstance(message, Mapping) else ', not a dict'}: it "
                "must look like {'role': 'user', 'content': 'Hello'}."
            )
        if role == "assistant":
            yield from _assistant(message, place)
        elif role == "tool":
            yield _result(message, place, custom)
        elif role == "function":
            raise refused(f"messages[{place}] is a function's; give role 'tool' and its call's id.")
        else:
            conversation.only(message, place, _IN_MESSAGE, _PROVIDER)
            yield {**_known(message), "content": _content(message, place)}


def _known(message: Mapping[str, Any]) -> dict[str, Any]:
    return {name: message[name] for name in ("role", "phase") if message.get(name)}


def _content(message: Mapping[str, Any], place: int) -> Any:
    """Return what a person or the system says: text as it is, parts under their names here."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    return [_part(part, place) for part in conversation.parts_of(message, place)]


def _part(part: Mapping[str, Any], place: int) -> Mapping[str, Any]:
    kind = part.get("type")
    if kind == "text":
        return {"type": "input_text", "text": part.get("text")}
    if kind == "image_url":
        return _image(part.get("image_url"), place)
    if kind == "file":
        file = part.get("file")
        if not isinstance(file, Mapping):
            raise refused(f"messages[{place}] has a file that cannot be read.")
        return {"type": "input_file", **file}
    return part  # in this API's own words already


def _image(image: Any, place: int) -> dict[str, Any]:
    if isinstance(image, str):
        image = {"url": image}
    if not isinstance(image, Mapping) or not isinstance(image.get("url"), str):
        raise refused(f"messages[{place}] has an image without an address.")
    detail = image.get("detail") or "auto"
    return {"type": "input_image", "image_url": image["url"], "detail": detail}


def _assistant(message: Mapping[str, Any], place: int) -> Iterator[Mapping[str, Any]]:
    """Yield what a model has said and called earlier; its thoughts are its own."""
    conversation.only(message, place, _IN_ASSISTANT, _PROVIDER)
    if isinstance(items := message.get(ITEMS), (list, tuple)) and items:
        yield from items
        return
    content = message.get("content")
    if isinstance(content, str) and content:
        yield {**_known(message), "content": content}
    elif parts := [_said(part) for part in _spoken(message, place)]:
        yield {**_known(message), "content": parts}
    calls = conversation.tool_calls_in(message)
    functions = [call for call in calls if _custom(call) is None]
    for call in calls:
        if (custom := _custom(call)) is not None:
            name, words = custom.get("name"), custom.get("input") or ""
            called = {"call_id": str(call.get("id") or ""), "name": name, "input": words}
            yield {"type": "custom_tool_call", **called}
    for call in conversation.calls_of({"tool_calls": functions}, place):
        arguments = call.call["function"].get("arguments")
        yield {
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": arguments
            if isinstance(arguments, str)
            else json_bytes.write(dict(call.arguments)).decode(),
        }


def _spoken(message: Mapping[str, Any], place: int) -> list[Mapping[str, Any]]:
    if not message.get("content") and message.get("refusal"):
        return [{"type": "refusal", "refusal": message["refusal"]}]
    return conversation.parts_of({"content": message.get("content")}, place)


def _said(part: Mapping[str, Any]) -> Mapping[str, Any]:
    if part.get("type") == "text":
        return {"type": "output_text", "text": part.get("text"), "annotations": []}
    return part


def _custom(call: Any) -> Mapping[str, Any] | None:
    """Return what a call of a custom tool, whose input is text, holds; None for any other."""
    found = call.get("custom") if isinstance(call, Mapping) else None
    return found if isinstance(found, Mapping) else None


def _custom_calls(messages: Any) -> frozenset[str]:
    """Return the ids of the calls of custom tools: their results have a kind of their own."""
    return frozenset(
        str(call.get("id") or "")
        for message in messages
        if isinstance(message, Mapping)
        for call in conversation.tool_calls_in(message)
        if _custom(call) is not None
    )


def _result(message: Mapping[str, Any], place: int, custom: frozenset[str]) -> dict[str, Any]:
    conversation.only(message, place, _IN_TOOL, _PROVIDER)
    name = message.get("tool_call_id")
    if not isinstance(name, str) or not name:
        raise refused(f"messages[{place}] answers a call of a tool and does not say which.")
    output = _content(message, place)
    kind = "custom_tool_call_output" if name in custom else "function_call_output"
    return {"type": kind, "call_id": name, "output": output}


# ------------------------------------------------------------------------- how it is asked


def _add_length(fields: dict[str, Any]) -> None:
    own = fields.pop("max_output_tokens", None)
    length = conversation.length_in(fields)
    if (found := length if own is None else own) is not None:
        fields["max_output_tokens"] = found


def _add_effort(fields: dict[str, Any]) -> None:
    effort = fields.pop("reasoning_effort", None)
    if effort is not None:
        fields["reasoning"] = {"effort": effort, **_mapping(fields, "reasoning")}


def _add_format(fields: dict[str, Any]) -> None:
    """Put which JSON the answer must be, and how long-winded it may be, under ``text``."""
    verbosity = fields.pop("verbosity", None)
    wanted = fields.get("response_format")
    schema = conversation.wanted_schema(fields)
    found: dict[str, Any] = {}
    if schema is not None:
        found["format"] = _format(wanted, schema)
    if verbosity is not None:
        found["verbosity"] = verbosity
    if found:
        fields["text"] = {**found, **_mapping(fields, "text")}


def _format(wanted: Any, schema: Mapping[str, Any]) -> dict[str, Any]:
    if not schema:
        return {"type": "json_object"}
    inner = wanted.get("json_schema")
    known = inner if isinstance(inner, Mapping) else wanted
    rest = {name: known[name] for name in ("description", "strict") if known.get(name) is not None}
    return {"type": "json_schema", "name": known.get("name") or "answer", "schema": schema, **rest}


def _mapping(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a field that holds further ones; what stands there wins over what is translated."""
    value = fields.get(name, {})
    if not isinstance(value, Mapping):
        raise refused(f"{name} is {type(value).__name__}, not a dict.")
    return value


def _add_tools(fields: dict[str, Any]) -> None:
    tools = fields.get("tools")
    if isinstance(tools, (list, tuple)):
        fields["tools"] = [_tool(tool, place) for place, tool in enumerate(tools)]
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


def _tool(tool: Any, place: int) -> Any:
    """Return a tool in this API's form, where a function is strict unless it says otherwise."""
    function = conversation.function_of(tool, place)
    inner = tool.get("function")
    if function is None or not isinstance(inner, Mapping):
        return _bare(tool)
    nothing = {"type": "object", "properties": {}}
    return {"type": "function", "strict": False, "parameters": nothing, **_set(inner)}


def _set(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _bare(tool: Any) -> Any:
    """Return a tool with what stands under its kind moved up, as chat has it one level down."""
    kind = tool.get("type") if isinstance(tool, Mapping) else None
    inner = tool.get(kind) if isinstance(kind, str) else None
    return {"type": kind, **inner} if isinstance(inner, Mapping) else tool


def _add_logprobs(fields: dict[str, Any]) -> None:
    """Ask for log-probabilities where chat's two fields do."""
    is_wanted = fields.pop("logprobs", None)
    top = fields.get("top_logprobs")
    if is_wanted is False or (is_wanted is None and top is None):
        if is_wanted is False:
            fields.pop("top_logprobs", None)
        return
    known = fields.get("include")
    known = list(known) if isinstance(known, (list, tuple)) else []
    fields["include"] = known if _LOGPROBS in known else [*known, _LOGPROBS]
