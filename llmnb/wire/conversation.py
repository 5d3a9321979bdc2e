"""Requests in OpenAI's form, taken apart for dialects that have another form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmnb.errors import InputError
from llmnb.wire import json_bytes
from llmnb.wire.untrusted import dict_in, text_in

_ANSWERLESS = ("store", "safety_identifier", "prompt_cache_key", "prompt_cache_retention")
"""Fields that change no answer, and that only OpenAI knows."""

MISSING: Mapping[str, str] = {
    **dict.fromkeys(("best_of", "logit_bias", "echo", "suffix", "prediction"), ""),
    "functions": "Give them as tools.",
    "function_call": "Give it as tool_choice.",
}
"""Fields that only OpenAI's older protocols have, each with a hint what to do instead."""

_NEUTRAL: Mapping[str, Any] = {"n": 1, "best_of": 1, "modalities": ["text"]}
"""Values, besides empty ones, with which a field asks for the default."""

THOUGHTS = frozenset(
    ("reasoning", "reasoning_content", "reasoning_details", "thinking_blocks", "output_items")
)
"""Fields of an assistant's turn in which providers keep a model's thoughts: its own business."""

LENGTHS = ("max_completion_tokens", "max_output_tokens", "max_tokens")
"""Names under which callers say how long an answer may be; the first one counts."""


def input_error(fault: str) -> InputError:
    """Return the error for a request that cannot be put into a provider's words."""
    return InputError(f"{fault} Nothing was sent for it.")


# ------------------------------------------------------------------------- what is asked


_TRAVEL = frozenset(("stream", "stream_options"))
"""Fields that say how the answer travels; that is decided when it is sent, see `stream_body`."""

QUESTIONS = ("messages", "prompt", "input")
"""Fields that hold what is asked."""


def merge_fields(
    request: Mapping[str, Any], params: Mapping[str, Any], model: str
) -> dict[str, Any]:
    """Return a new body of parameters and request; the request wins, the names are OpenAI's.

    Example:
        >>> merge_fields({"prompt": "Hi", "top_p": None}, {"stop_tokens": ["."], "top_p": 1}, "m")
        {'stop': ['.'], 'prompt': 'Hi', 'model': 'm'}
    """
    if "stop_tokens" in params:
        params = _renamed(params)
    if "stop_tokens" in request:
        request = _renamed(request)
    body = {**params, **request, "model": model}
    for name, value in body.items():  # most bodies are whole as they are, and every row passes here
        if value is None or name in _TRAVEL:
            return {
                name: value
                for name, value in body.items()
                if value is not None and name not in _TRAVEL
            }
    return body


def _renamed(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return fields with ``stop_tokens``, the name in `LLMParams`, renamed to OpenAI's ``stop``."""
    rest = {name: value for name, value in fields.items() if name != "stop_tokens"}
    return {"stop": fields["stop_tokens"], **rest}


def question_in(body: Mapping[str, Any]) -> str:
    """Return the name of the field that holds what is asked.

    Raises:
        InputError: If there is none, or more than one.

    Example:
        >>> question_in({"prompt": "Hi", "model": "m"})
        'prompt'
    """
    names = [name for name in QUESTIONS if name in body]
    if len(names) == 1:
        return names[0]
    if names:
        raise input_error(f"The request has {' and '.join(names)}; give one of them.")
    there = ", ".join(str(name) for name in body if name != "model") or "nothing else"
    raise input_error(
        f"The request asks nothing: it needs one of {', '.join(QUESTIONS)}; it has {there[:200]}."
    )


def asked_in(
    fields: dict[str, Any], *, roles: type = str, may_hold_items: bool = False
) -> Sequence[Any]:
    """Take the question out of the fields and return it as messages.

    Args:
        fields: Of the request; changed.
        roles: Type of a message's role.
        may_hold_items: Whether an item with a ``type`` of its own may stand among the messages.

    Raises:
        InputError: If nothing is asked, or not in messages that can be read.

    Example:
        >>> asked_in({"prompt": "Hi", "model": "m"})
        [{'role': 'user', 'content': 'Hi'}]
    """
    # Most rows are of this kind, and every row passes here.
    is_plain = "messages" in fields and "prompt" not in fields and "input" not in fields
    name = "messages" if is_plain else question_in(fields)
    question = fields.pop(name)
    if name != "messages":
        if not isinstance(question, str):
            raise input_error(
                f"{name} is {type(question).__name__}, not text. For a conversation give "
                "messages=[{'role': …, 'content': …}, …]."
            )
        return [{"role": "user", "content": question}]
    if not isinstance(question, (list, tuple)) or not question:
        raise input_error(
            "messages must be a list with at least one message, such as "
            "[{'role': 'user', 'content': 'Hello'}]."
        )
    for position, message in enumerate(question):
        is_mapping = type(message) is dict or isinstance(message, Mapping)
        if is_mapping and "role" in message and isinstance(message["role"], roles):
            continue
        if not (is_mapping and may_hold_items and isinstance(message.get("type"), str)):
            raise input_error(
                f"messages[{position}] is {type(message).__name__}"
                f"{' without a role' if is_mapping else ', not a dict'}: it must "
                "look like {'role': 'user', 'content': 'Hello'}."
            )
    return question


def fields_of(
    request: Mapping[str, Any], params: Mapping[str, Any], model: str
) -> tuple[dict[str, Any], Sequence[Mapping[str, Any]]]:
    """Return the fields of a request without its question, and the question as messages.

    Raises:
        InputError: If it asks nothing, or not in messages that can be read.

    Example:
        >>> fields_of({"prompt": "Hi"}, {"temperature": 0}, "m")
        ({'temperature': 0, 'model': 'm'}, [{'role': 'user', 'content': 'Hi'}])
    """
    fields = merge_fields(request, params, model)
    messages = asked_in(fields)
    for name in _ANSWERLESS:
        fields.pop(name, None)
    return fields, messages


def known_fields(
    *everywhere: str, assistant: str = "", tool: str = ""
) -> dict[str, frozenset[str]]:
    """Return the fields that a message may have, by its role.

    Args:
        everywhere: Fields that a provider knows beside OpenAI's, but in a tool's result.
        assistant: A further one of what the model said.
        tool: A further one of a tool's result.
    """
    turn = frozenset(("role", "content", *everywhere))
    return {
        **dict.fromkeys(("system", "developer", "user"), turn),
        "assistant": turn | THOUGHTS | {"tool_calls", "refusal", "annotations", assistant},
        "tool": frozenset(("role", "content", "tool_call_id", "name", tool)),
    }


def only(message: Mapping[str, Any], position: int, known: frozenset[str], provider: str) -> None:
    """Refuse a message with a field that a provider does not know.

    Raises:
        InputError: With the field that has no place there.
    """
    for name, value in message.items():
        if name not in known and value not in (None, [], {}):
            raise input_error(
                f"messages[{position}] has a field {str(name)[:40]!r}, which {provider} has no "
                "place for: take it out, or say it in the text."
            )


Content = str | list[Mapping[str, Any]]
"""What a message says: text, or parts in a provider's own form."""


def turns_of(
    messages: Sequence[Mapping[str, Any]],
    read: Callable[[Mapping[str, Any], int], Content],
    known: Mapping[str, frozenset[str]],
    *,
    provider: str,
    field: str,
    model: str = "assistant",
) -> tuple[list[Mapping[str, Any]], list[dict[str, Any]]]:
    """Return the system's instructions as parts, and the alternating turns of user and model.

    Args:
        messages: Messages in OpenAI's form.
        read: Returns the content of a message in the provider's form.
        known: Fields that a message may have, by its role.
        provider: Its name, for errors.
        field: Name of a turn's content.
        model: Name of the model's role.

    Raises:
        InputError: If the provider cannot be told one of the messages, or there is no turn.
    """
    system: list[Mapping[str, Any]] = []
    turns: list[dict[str, Any]] = []
    for position, message in enumerate(messages):
        role = message["role"]
        if role not in known:
            raise input_error(
                f"messages[{position}] has the role {role[:40]!r}; {provider} knows system, user, "
                "assistant and tool."
            )
        only(message, position, known[role], provider)
        content = read(message, position)
        if role in ("system", "developer"):
            system += as_parts(content)
            continue
        role = "user" if role in ("user", "tool") else model
        if turns and turns[-1]["role"] == role:
            turns[-1][field] = [*as_parts(turns[-1][field]), *as_parts(content)]
        else:
            turns.append({"role": role, field: content})
    if not turns:
        raise input_error(
            f"The messages only instruct the system; {provider} wants at least one of the user."
        )
    return system, turns


def as_parts(content: Content) -> list[Mapping[str, Any]]:
    """Return a content as parts; empty text is no part."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return list(content)


def refuse(fields: dict[str, Any], names: Mapping[str, str], provider: str) -> None:
    """Remove fields that a provider lacks where they ask for the default; refuse them otherwise.

    Args:
        fields: Of the request; changed.
        names: Fields that the provider lacks, each with a word on what to do instead.
        provider: Its name, for the text.

    Raises:
        InputError: With the first of them that is set.

    Example:
        >>> fields = {"n": 1, "logprobs": False}
        >>> refuse(fields, {"n": "", "logprobs": ""}, "Anthropic")
        >>> fields
        {}
    """
    for name in [name for name in names if name in fields]:
        value = fields.pop(name)
        if value and value != _NEUTRAL.get(name):
            raise input_error(f"{provider} has no {name}. {names[name]}".rstrip())


def length_in(fields: dict[str, Any]) -> Any:
    """Take the longest answer out of the fields and return it; None where none is set."""
    lengths = [fields.pop(name) for name in LENGTHS if name in fields]
    return lengths[0] if lengths else None


def stops_in(fields: dict[str, Any]) -> list[Any] | None:
    """Take the stop texts out of the fields and return them as a list; None where none is set.

    Raises:
        InputError: If they are no text and no list.

    Example:
        >>> stops_in({"stop": "END"})
        ['END']
    """
    stop = fields.pop("stop", None)
    if stop is None:
        return None
    if not isinstance(stop, str | list | tuple):
        raise input_error(f"stop is a text or a list of texts, not {type(stop).__name__}.")
    return [stop] if isinstance(stop, str) else list(stop)


# ------------------------------------------------------------------------------- content


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """An image, a document or a sound that stands in a message."""

    kind: str = ""
    """Media type, such as ``"image/png"``; empty where it is not known."""

    data: str = ""
    """In base64; empty where it lies elsewhere."""

    url: str = ""
    """Where it lies; empty where it is here."""


_MEDIA_PARTS = ("image_url", "file", "input_audio")


def media_of(part: Mapping[str, Any], position: int) -> Media | None:
    """Return the image, document or sound in one of OpenAI's parts; None for any other part.

    Raises:
        InputError: If it names a file that lies with OpenAI, or cannot be read.

    Example:
        >>> media_of({"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}, 0)
        Media(kind='image/png', data='aGk=', url='')
    """
    name = part.get("type")
    if name not in _MEDIA_PARTS:
        return None
    inner = part.get(name)
    if name == "image_url":
        return _at(inner.get("url") if isinstance(inner, Mapping) else inner, position)
    if not isinstance(inner, Mapping):
        raise input_error(f"messages[{position}] has a part {name!r} that cannot be read.")
    if name == "input_audio":
        sound = {"mp3": "mpeg"}.get(str(inner.get("format")), inner.get("format") or "wav")
        return Media(kind=f"audio/{sound}", data=str(inner.get("data") or ""))
    if not inner.get("file_data"):
        raise input_error(
            f"messages[{position}] names a file that lies with OpenAI; give its bytes as file_data."
        )
    return _at(inner["file_data"], position)


def names_a_picture(request: Mapping[str, Any]) -> bool:
    """Whether a conversation holds a picture by its address on the web.

    Example:
        >>> part = {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}
        >>> names_a_picture({"messages": [{"role": "user", "content": [part]}]})
        True
    """
    for message in request.get("messages") or ():
        content = message.get("content") if isinstance(message, Mapping) else None
        for part in content if isinstance(content, list) else ():
            image = part.get("image_url") if isinstance(part, Mapping) else None
            url = image.get("url") if isinstance(image, Mapping) else image
            if isinstance(url, str) and url[:8].lower().startswith(("http://", "https://")):
                return True
    return False


def _at(url: Any, position: int) -> Media:
    if not isinstance(url, str) or not url:
        raise input_error(f"messages[{position}] has a part without an address.")
    if not url.startswith("data:"):
        return Media(kind=_KINDS.get(url.partition("?")[0].rpartition(".")[2].lower(), ""), url=url)
    head, _, data = url.partition(",")
    kind, *marks = head.removeprefix("data:").split(";")
    if not kind or not data or "base64" not in marks:
        raise input_error(
            f"messages[{position}] has a data: address that is not of the form "
            "data:image/png;base64,…."
        )
    return Media(kind=kind, data=data)


_KINDS = {
    **{suffix: f"image/{suffix}" for suffix in ("png", "jpeg", "gif", "webp")},
    **{"jpg": "image/jpeg", "pdf": "application/pdf"},
}
"""Media types by the ending of a file's name."""


def parts_of(message: Mapping[str, Any], position: int) -> list[Mapping[str, Any]]:
    """Return a message's content as parts; empty text is no part.

    Raises:
        InputError: If the content is neither text nor a list of parts.

    Example:
        >>> parts_of({"role": "user", "content": "Hi"}, 0)
        [{'type': 'text', 'text': 'Hi'}]
    """
    content = message.get("content")
    if content is None:
        content = message.get("refusal") or ""
    if isinstance(content, str):
        return as_parts(content)
    if not isinstance(content, (list, tuple)):
        raise input_error(
            f"The content of messages[{position}] is {type(content).__name__}, neither text nor a "
            "list of parts."
        )
    for part in content:
        if not isinstance(part, Mapping):
            raise input_error(
                f"messages[{position}] has a part that is {type(part).__name__}, not a dict."
            )
    return list(content)


# --------------------------------------------------------------------------------- tools


def inner_of(outer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the object in a field, or the outer one where it has none: chat nests, Responses not.

    Example:
        >>> inner_of({"function": {"name": "now"}}, "function"), inner_of({"name": "a"}, "function")
        ({'name': 'now'}, {'name': 'a'})
    """
    inner = outer.get(name)
    return inner if isinstance(inner, Mapping) else outer


def function_of(tool: Any, position: int) -> Mapping[str, Any] | None:
    """Return the function in a tool of OpenAI's form; None for a tool in the provider's own form.

    Raises:
        InputError: If it is no tool.

    Example:
        >>> function_of({"type": "function", "function": {"name": "now"}}, 0)["name"]
        'now'
        >>> function_of({"type": "web_search_20260318", "name": "web_search"}, 0) is None
        True
    """
    if not isinstance(tool, Mapping):
        raise input_error(f"tools[{position}] is {type(tool).__name__}, not a dict.")
    if tool.get("type") != "function":
        return None
    fields = inner_of(tool, "function")
    if not isinstance(fields.get("name"), str) or not fields["name"]:
        raise input_error(f"tools[{position}] is a function without a name.")
    if not isinstance(fields.get("parameters") or {}, Mapping):
        raise input_error(f"tools[{position}] has parameters that are no JSON schema.")
    return fields


def tools_in(fields: dict[str, Any]) -> list[Any]:
    """Take the tools out of the fields and return them as a list.

    Raises:
        InputError: If they are in no list.

    Example:
        >>> tools_in({"tools": ({"type": "web_search"},)}), tools_in({})
        ([{'type': 'web_search'}], [])
    """
    tools = fields.pop("tools", None)
    if tools is not None and not isinstance(tools, (list, tuple)):
        raise input_error(f"tools is {type(tools).__name__}, not a list.")
    return list(tools or ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """A call of a function in a conversation."""

    id: str
    name: str
    arguments: Mapping[str, Any]
    call: Mapping[str, Any]
    """The call as it stands in the message."""


def calls_of(message: Mapping[str, Any], position: int) -> list[Called]:
    """Return the calls of functions that an assistant's message holds.

    Raises:
        InputError: If one has no name, or arguments that are no JSON object.
    """
    calls = []
    for call in tool_calls_in(message):
        if isinstance(call, Mapping) and isinstance(custom := call.get("custom"), Mapping):
            raise input_error(
                f"messages[{position}] calls the custom tool {str(custom.get('name'))[:60]!r}, "
                "which only OpenAI has."
            )
        function = call.get("function") if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise input_error(f"messages[{position}] has a tool call without a function's name.")
        name, arguments = function["name"], function.get("arguments") or {}
        if isinstance(arguments, str):
            try:
                arguments = json_bytes.read(arguments.encode()) if arguments.strip() else {}
            except (json_bytes.NotJSON, UnicodeEncodeError):
                arguments = None
        if not isinstance(arguments, Mapping):
            raise input_error(
                f"messages[{position}] calls {name[:60]!r} with arguments that are no JSON object."
            )
        id_of_call = str(call.get("id") or "")
        calls.append(Called(id=id_of_call, name=name, arguments=arguments, call=call))
    return calls


def signature_of(call: Mapping[str, Any]) -> str | None:
    """Return Gemini's sealed thoughts before a call, as Google's own OpenAI interface has them."""
    google = dict_in(dict_in(call, "extra_content"), "google")
    return text_in(google, "thought_signature")


def call_answered(message: Mapping[str, Any], position: int) -> str:
    """Return the id of the call that a tool's message answers.

    Raises:
        InputError: If it does not say which.
    """
    name = message.get("tool_call_id")
    if not isinstance(name, str) or not name:
        raise input_error(f"messages[{position}] is a tool's result without a tool_call_id.")
    return name


def tool_calls_in(message: Mapping[str, Any]) -> Sequence[Any]:
    """Return a message's tool calls unchanged; empty where they are not in a list."""
    calls = message.get("tool_calls")
    return calls if isinstance(calls, (list, tuple)) else ()


def wanted_function(choice: Any) -> str | None:
    """Return the name of the function that a ``tool_choice`` of OpenAI's form demands; else None.

    Example:
        >>> wanted_function({"type": "function", "function": {"name": "now"}})
        'now'
    """
    if not isinstance(choice, Mapping) or choice.get("type") != "function":
        return None
    name = inner_of(choice, "function").get("name")
    if not isinstance(name, str) or not name:
        raise input_error("tool_choice demands a function and does not name it.")
    return name


def tool_choice_in(fields: dict[str, Any], *, has_tools: bool) -> tuple[str, str] | None:
    """Take ``tool_choice`` out of the fields and return whether tools may or must be used.

    Returns:
        ``"auto"``, ``"none"``, ``"any"`` or ``"tool"`` with the name of the one that must be
        called; None where it goes without saying.

    Raises:
        InputError: If it demands a tool where there is none, or has no known form.

    Example:
        >>> tool_choice_in({"tool_choice": "required"}, has_tools=True)
        ('any', '')
    """
    choice = fields.pop("tool_choice", None)
    if choice is None or (choice in ("auto", "none") and not has_tools):
        return None
    if not has_tools:
        raise input_error("tool_choice demands a tool and the request has no tools.")
    kinds = {"auto": "auto", "none": "none", "required": "any", "any": "any"}
    if isinstance(choice, str) and choice in kinds:
        return kinds[choice], ""
    if (name := wanted_function(choice)) is not None:
        return "tool", name
    raise input_error(
        "tool_choice must be 'auto', 'none', 'required', or "
        "{'type': 'function', 'function': {'name': …}}."
    )


# ----------------------------------------------------------------------- structured output


def wanted_schema(fields: dict[str, Any]) -> Mapping[str, Any] | None:
    """Take ``response_format`` out of the fields and return the JSON that the answer must be.

    Returns:
        A schema; ``{}`` for any JSON object; None where text is asked for.

    Raises:
        InputError: If it is of an unknown kind.

    Example:
        >>> wanted_schema({"response_format": {"type": "json_object"}})
        {}
    """
    wanted = fields.pop("response_format", None)
    if wanted is None:
        return None
    kind = wanted.get("type") if isinstance(wanted, Mapping) else wanted
    if kind == "text":
        return None
    if kind == "json_object":
        return {}
    if kind == "json_schema" and isinstance(wanted, Mapping):
        schema = inner_of(wanted, "json_schema").get("schema")
        if isinstance(schema, Mapping) and schema:
            return schema
    raise input_error(
        "response_format must be {'type': 'json_schema', 'json_schema': {'schema': …}}, "
        "{'type': 'json_object'} or {'type': 'text'}."
    )
