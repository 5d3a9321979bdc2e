"""OpenAI's Responses API: items go in, items come out.

The event that ends a stream (``response.completed``, ``response.incomplete``,
``response.failed``) carries the whole response. What came before it is put
together all the same: a stream that breaks off is kept as far as it came, and
some servers leave the output out of their last event.

Source: OpenAI API reference, "Create a model response", "The response object", "Streaming
events"; the guides "Migrate to the Responses API", "Reasoning models" (how an answer ends early)
and "Structured outputs" (refusals).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llmnb.display.texts import mended
from llmnb.records import Delta, Quality, Reply, ToolCall, Usage
from llmnb.wire import conversation, ends, json_bytes
from llmnb.wire.classify import error_inside
from llmnb.wire.conversation import input_error
from llmnb.wire.dialect import Dialect, bad_reply
from llmnb.wire.event_stream import BadEvent, EventAssembler, extend_list, grow, join
from llmnb.wire.untrusted import count_in, dict_in, dicts_in, join_texts, list_in, text_in
from llmnb.wire.usage import dollars, tier, with_counts

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


def body_of(request: Mapping[str, Any], *, model: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return a new request body; its answer is not kept by OpenAI unless the caller says so.

    Fields in this API's own spelling stay as they are, and so do items of its
    own kinds among the messages.

    Raises:
        InputError: If the request asks nothing, or what this API cannot be asked.

    Example:
        >>> body_of({"prompt": "Hi"}, model="m", params={"max_tokens": 50})["max_output_tokens"]
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
    name = conversation.call_answered(message, position)
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


# ------------------------------------------------------------------------------- replies

COMMENTARY = "commentary"
"""Phase of a message in which a model says what it is doing, before it answers."""

CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
"""Types of items that call a tool, each with the name of its field for the arguments."""


class OpenAIResponses(Dialect):
    """Dialect ``openai.responses``."""

    name = "openai.responses"
    body = staticmethod(body_of)

    def assembler(self, *, samples: int = 1) -> EventAssembler:
        """Return an assembler for one streamed reply; it has one answer, whatever `samples` is."""
        return _ResponseAssembler()

    def reply(self, body: dict[str, Any], raw: bytes) -> Reply:
        """Read a reply's object."""
        output, status = body.get("output"), body.get("status")
        if not isinstance(output, list) or not all(isinstance(item, dict) for item in output):
            if body.get("object") == "error" or body.get("type") == "error":
                raise error_inside(body, raw)
            raise bad_reply(raw, "has no output that could be read")
        if status not in ("completed", "incomplete", None):
            raise bad_reply(raw, f"has the status {str(status)[:40]!r} and no answer")
        if not output and status != "incomplete":
            raise bad_reply(raw, "has nothing in its output")
        parts, commentary = _parts(output)
        refusal = join_texts(parts, "refusal")
        # Why it ended early, else its status.
        reason = text_in(dict_in(body, "incomplete_details"), "reason") or text_in(body, "status")
        text = join_texts(parts, "text") or refusal
        thoughts = "\n\n".join(_thoughts(output)) or None
        calls = tuple(_tool_calls(output))
        used = usage(body, wrote=bool(text or thoughts) or _has_other_items(output))
        quality: Quality = "good"
        if refusal:
            quality = "refused"
        elif status == "incomplete":
            quality = ends.worth(reason)
            quality = quality if quality in ("truncated", "filtered") else "broken"
        if not text and not _has_other_items(output):
            quality = ends.worth_without_text(quality, used, thoughts, is_null=not parts)
        is_stored = body.get("store") is True
        return Reply(
            text=text,
            finish_reason=reason,
            quality=quality,
            model=text_in(body, "model"),
            response_id=text_in(body, "id"),
            usage=used,
            tool_calls=calls,
            handed_back=_handed_back(output, is_stored=is_stored) if calls else None,
            reasoning=thoughts,
            commentary=join_texts(commentary, "text") or None,
            logprobs=[logprob for part in parts for logprob in list_in(part, "logprobs")] or None,
            raw=raw,
        )


_Parts = list[dict[str, Any]]


def _parts(output: list[dict[str, Any]]) -> tuple[_Parts, _Parts]:
    """Return the parts of the answer, and of what the model says while it still works.

    Where there is nothing else, no call either, the commentary is the answer.
    """
    answers: _Parts = []
    commentary: _Parts = []
    is_only_commentary = True
    for item in output:
        if item.get("type") == "message":
            is_commentary = item.get("phase") == COMMENTARY
            (commentary if is_commentary else answers).extend(dicts_in(item, "content"))
            is_only_commentary &= is_commentary
        elif str(item.get("type")) in CALLS:
            is_only_commentary = False
    return (commentary, []) if is_only_commentary else (answers, commentary)


def _has_other_items(output: list[dict[str, Any]]) -> bool:
    """Return whether the output has items beside messages and reasoning, such as tool calls."""
    return any(item.get("type") not in ("message", "reasoning") for item in output)


def _thoughts(output: list[dict[str, Any]]) -> list[str]:
    """Return the reasoning that is shown: a model's own, else summaries of it."""
    items = [item for item in output if item.get("type") == "reasoning"]
    return [
        text for item in items for text in _texts_in(item, "content") or _texts_in(item, "summary")
    ]


def _texts_in(item: Mapping[str, Any], name: str) -> list[str]:
    return [text for part in dicts_in(item, name) if (text := text_in(part, "text"))]


def _tool_calls(output: list[dict[str, Any]]) -> Iterator[ToolCall]:
    for position, item in enumerate(output):
        kind = str(item.get("type"))
        if kind not in CALLS or not isinstance(item.get("name"), str):
            continue
        yield ToolCall(
            id=str(item.get("call_id") or item.get("id") or f"call_{position}"),
            name=item["name"],
            arguments=text_in(item, CALLS[kind]) or "",
            kind="custom" if kind == "custom_tool_call" else "function",
        )


def _handed_back(output: list[dict[str, Any]], *, is_stored: bool) -> Mapping[str, Any] | None:
    """Return the items to send back with the next turn; None if text and tool calls say it all.

    All items go back, in order. Reasoning without content is left out if the turn was not stored:
    the server could not find it by its id, and would refuse the next request.

    Source: OpenAI's guide "Reasoning models" (without storage, reasoning comes encrypted without
    being asked for), xAI's "Troubleshooting Reasoning"; gpt-oss servers return it as plain text.
    """
    kept = [item for item in output if is_stored or not _lacks_content(item)]
    has_more = any(item.get("type") == "reasoning" or item.get("phase") for item in kept)
    return {ITEMS: kept} if has_more else None


def _lacks_content(item: Mapping[str, Any]) -> bool:
    """Return whether an item is reasoning without its content, encrypted or as text."""
    return item.get("type") == "reasoning" and not (
        item.get("encrypted_content") or _texts_in(item, "content")
    )


def usage(body: Mapping[str, Any], *, wrote: bool = True) -> Usage | None:
    """Return the tokens a reply says it used; None when it does not say.

    Example:
        >>> usage({"usage": {"input_tokens": 3, "output_tokens": 1}}).total
        4
    """
    used = dict_in(body, "usage")
    details = dict_in(used, "input_tokens_details")
    usage = Usage(
        cache_read=count_in(details, "cached_tokens") or 0,
        cache_write=count_in(details, "cache_write_tokens") or 0,
        reasoning=count_in(dict_in(used, "output_tokens_details"), "reasoning_tokens") or 0,
        tier=tier(body.get("service_tier")),
        usd=dollars(used),
    )
    prompt, completion = count_in(used, "input_tokens"), count_in(used, "output_tokens")
    return with_counts(usage, prompt, completion, count_in(used, "total_tokens"), wrote=wrote)


# -------------------------------------------------------------------------------- streamed

_ENDS = ("response.completed", "response.incomplete", "response.failed")
"""Events that end a stream."""

_MOST_ITEMS = 4096
"""Positions of items from here on count as unreadable, and so do more parts of all items."""

_PART_FIELDS = {
    "response.output_text.delta": ("content", "output_text", "text"),
    "response.refusal.delta": ("content", "refusal", "refusal"),
    "response.reasoning_text.delta": ("content", "reasoning_text", "text"),
    "response.reasoning_summary_text.delta": ("summary", "summary_text", "text"),
}
"""For each event with a piece of text: the item's list it belongs to, the type of the part in that
list, and the part's field to which it is appended."""

_ARGUMENT_FIELDS = {
    "response.function_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "input",
}
"""For each event with a piece of a tool call: the item's field to which it is appended."""


class _ResponseAssembler(EventAssembler):
    """Puts the events of one streamed reply together to the body of the unstreamed one."""

    def __init__(self) -> None:
        super().__init__()
        self._response: dict[str, Any] = {}
        """The latest response object; the one that ends a stream is complete."""

        self._parts_made = 0
        """Parts of items that were made for their pieces, empty ones before them included."""

        self._has_ended = False
        """Whether the latest response object came with an event that ends the stream."""

        self._thought: tuple[Any, ...] = ()
        """Item, list and position of the part of reasoning that came last."""

        self._commentary: list[str] = []
        """Pieces of commentary so far."""

    def take(self, event: dict[str, Any]) -> list[Delta]:
        kind = str(event.get("type"))
        delta = None
        if kind in _PART_FIELDS:
            delta = self._grow_part(event, *_PART_FIELDS[kind])
        elif kind in _ARGUMENT_FIELDS:
            delta = self._grow_item(event, _ARGUMENT_FIELDS[kind])
        elif kind in ("response.output_item.added", "response.output_item.done"):
            delta = self._set_item(event)
        elif kind in ("response.created", "response.in_progress", "response.queued", *_ENDS):
            self._set_response(event, has_ended=kind in _ENDS)
            if self._has_ended and self._commentary and not self._has_answer():
                # Nothing came but commentary, so it is the answer (as in `_parts`).
                delta = Delta(text="".join(self._commentary))
        elif kind == "error":
            self._error = event
            # The stored body must say why the stream broke off, and how long to wait.
            self._response["error"] = event.get("error") or event
        # Other events (ends of parts, annotations, kinds not known yet) add nothing.
        return [] if delta is None else [delta]

    def assembled(self) -> dict[str, Any]:
        for item in self._items.values():
            for fields in (item, *dicts_in(item, "content"), *dicts_in(item, "summary")):
                join(fields)
        if not self._response.get("output"):
            self._response["output"] = self._in_order()
        return self._response

    def has_begun(self) -> bool:
        """Return whether any of the answer came; a response that was only created has none."""
        return bool(self._items) or (self._has_ended and self._response.get("status") != "failed")

    def has_ended(self) -> bool:
        """Return whether the last event came, which carries the whole response."""
        return self._has_ended

    is_whole = has_ended

    # ------------------------------------------------------------------------- events

    def _set_response(self, event: Mapping[str, Any], *, has_ended: bool) -> None:
        """Replace the response by the event's; if that ends the stream, take its error too.

        An event without a response object counts as unreadable and changes nothing else.

        Args:
            event: The event.
            has_ended: Whether it is the last one of the stream.
        """
        response = event.get("response")
        if not isinstance(response, dict):
            raise BadEvent
        self._response = response
        self._has_ended = has_ended
        if has_ended and (response.get("error") or response.get("status") == "failed"):
            without_reason = {"message": "The response failed, and does not say why."}
            self._error = {"error": response.get("error") or without_reason}

    def _set_item(self, event: Mapping[str, Any]) -> Delta | None:
        item, index = event.get("item"), _index(event, "output_index")
        if not isinstance(item, dict) or index is None:
            raise BadEvent
        is_new = index not in self._items
        self._items[index] = item
        # A call of a tool has begun with its item; a message or reasoning begins with its text.
        return Delta() if is_new and item.get("type") not in ("message", "reasoning") else None

    def _grow_part(
        self, event: Mapping[str, Any], name: str, kind: str, field: str
    ) -> Delta | None:
        item, piece = self._item(event), event.get("delta")
        position = _index(event, "summary_index" if name == "summary" else "content_index")
        if item is None or position is None or not isinstance(piece, str):
            raise BadEvent
        parts = item.get(name)
        if not isinstance(parts, list):
            parts = item[name] = []
        missing = range(len(parts), position + 1)
        self._parts_made += len(missing)
        if self._parts_made > _MOST_ITEMS:
            raise BadEvent
        parts.extend({"type": kind} for _ in missing)
        part = parts[position]
        if not isinstance(part, dict):
            raise BadEvent
        grow(part, field, piece)
        if logprobs := list_in(event, "logprobs"):
            extend_list(part, "logprobs", logprobs)
        if not piece:
            return None
        if kind == "output_text" and item.get("phase") == COMMENTARY:
            self._commentary.append(mended(piece))
            return Delta(commentary=self._commentary[-1])
        if kind == "output_text":
            return Delta(text=mended(piece))
        if kind == "refusal":
            return Delta()
        return Delta(reasoning=self._gap(event, name, position) + mended(piece))

    def _grow_item(self, event: Mapping[str, Any], field: str) -> Delta | None:
        item, piece = self._item(event), event.get("delta")
        if item is None or not isinstance(piece, str):
            raise BadEvent
        grow(item, field, piece)
        return Delta()

    def _item(self, event: Mapping[str, Any]) -> dict[str, Any] | None:
        index = _index(event, "output_index")
        return None if index is None else self._items.get(index)

    def _has_answer(self) -> bool:
        """Return whether anything but commentary came: an answer, or a call of a tool."""
        return any(
            str(item.get("type")) in CALLS
            or (item.get("type") == "message" and item.get("phase") != COMMENTARY)
            for item in self._items.values()
        )

    def _gap(self, event: Mapping[str, Any], name: str, position: int) -> str:
        """Return a blank line if this piece begins a new part of the reasoning, else nothing."""
        thought = (event.get("output_index"), name, position)
        before, self._thought = self._thought, thought
        return "\n\n" if before and before != thought else ""


def _index(event: Mapping[str, Any], name: str) -> int | None:
    """Return the position in a field: 0 if the field is missing, None if its value is not valid."""
    index = event.get(name, 0)
    return index if type(index) is int and 0 <= index < _MOST_ITEMS else None
