"""Anthropic's Messages API, asked in OpenAI's words and answering in its own.

What only narrows a value in a JSON Schema, such as ``maximum``, is refused there: it goes
into the description, where the model can read it, and the answer is checked against the schema
that was meant. A stream is whole when it says why the answer ended and that the message is
over (``message_stop``).

Source: Anthropic API reference, "Messages", "Handling stop reasons", "Extended thinking"; "Tool
use"; "Structured outputs", section "JSON Schema limitations".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llmnb.display.texts import mended
from llmnb.records import Delta, Reply, ToolCall, UnchosenLength, Usage
from llmnb.wire import conversation, ends, json_bytes
from llmnb.wire.conversation import Content, as_parts, input_error
from llmnb.wire.dialect import Dialect, bad_reply
from llmnb.wire.event_stream import BadEvent, EventAssembler, extend_list, grow, join, update_known
from llmnb.wire.untrusted import count_in, dict_in, join_texts, list_in, text_in
from llmnb.wire.usage import with_counts

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


def body_of(request: Mapping[str, Any], *, model: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return a new request body.

    What the caller does not say and the protocol demands, the longest answer,
    is an `UnchosenLength`. Fields in Anthropic's own spelling stay as they are.

    Raises:
        InputError: If the request asks nothing, or what Anthropic cannot be asked.

    Example:
        >>> body_of({"prompt": "Hi"}, model="claude-haiku-4-5", params={})["messages"]
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
        name = conversation.call_answered(message, position)
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
    if tools := conversation.tools_in(fields):
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


# ------------------------------------------------------------------------------- replies


class AnthropicMessages(Dialect):
    """Dialect ``anthropic.messages``."""

    name = "anthropic.messages"
    body = staticmethod(body_of)

    def assembler(self, *, samples: int = 1) -> EventAssembler:
        """Return an assembler for one streamed reply; each holds one answer."""
        return _MessageAssembler()

    def reply(self, body: dict[str, Any], raw: bytes) -> Reply:
        """Read a reply's object."""
        content = body.get("content")
        if not isinstance(content, list):
            raise bad_reply(raw, "has no content")
        if not all(isinstance(block, dict) for block in content):
            raise bad_reply(raw, "has a block of content that is no object")
        reason = ends.reason_text(body.get("stop_reason"))
        calls = _tool_calls(content)
        text = _text_of_kind(content, "text")
        if any(call.name == ANSWER_TOOL for call in calls):
            # Our own means to get JSON: what it was called with is the answer.
            text = next(call.arguments for call in calls if call.name == ANSWER_TOOL)
            calls = ()
        thoughts, quality = _text_of_kind(content, "thinking") or None, ends.worth(reason)
        used = usage(body, wrote=bool(text or calls or thoughts))
        if not text and not calls:
            quality = ends.worth_without_text(quality, used, thoughts)
        return Reply(
            # Why an answer was refused, where nothing else is said.
            text=text or text_in(dict_in(body, "stop_details"), "explanation") or "",
            finish_reason=reason,
            quality=quality,
            model=text_in(body, "model"),
            response_id=text_in(body, "id"),
            usage=used,
            tool_calls=calls,
            handed_back=_handed_back(content) if calls else None,
            reasoning=thoughts,
            raw=raw,
        )


def _text_of_kind(content: list[dict[str, Any]], kind: str) -> str:
    """Return the joined text of all blocks of a kind, which is also the name of their field."""
    return join_texts((block for block in content if block.get("type") == kind), kind)


def _handed_back(content: list[dict[str, Any]]) -> Mapping[str, Any] | None:
    """Return the signed thoughts before a tool call, to send back with its result; else None.

    In the name that LiteLLM gives them.
    """
    thoughts = [
        block
        for block in content
        if block.get("type") == "redacted_thinking"
        or (block.get("type") == "thinking" and block.get("signature"))
    ]
    return {THOUGHTS: thoughts} if thoughts else None


def _tool_calls(content: list[dict[str, Any]]) -> tuple[ToolCall, ...]:
    calls = []
    for block in content:
        if block.get("type") != "tool_use" or not isinstance(block.get("name"), str):
            continue
        arguments = json_bytes.arguments_text(block.get("input"))
        name = str(block.get("id") or "")
        calls.append(ToolCall(id=name, name=block["name"], arguments=arguments))
    return tuple(calls)


def usage(body: Mapping[str, Any], *, wrote: bool = True) -> Usage | None:
    """Return the tokens a reply says it used; None when it does not say.

    Anthropic counts what came from its cache, what went there, and the rest of
    the prompt apart; together they are the prompt.

    Example:
        >>> usage({"usage": {"input_tokens": 3, "cache_read_input_tokens": 7, "output_tokens": 1}})
        Usage(prompt=10, completion=1, cache_read=7, cache_write=0, reasoning=0)
    """
    used = dict_in(body, "usage")
    prompt, completion = count_in(used, "input_tokens"), count_in(used, "output_tokens")
    if prompt is None and completion is None:
        return None
    read = count_in(used, "cache_read_input_tokens") or 0
    written = count_in(used, "cache_creation_input_tokens") or 0
    hour = count_in(dict_in(used, "cache_creation"), "ephemeral_1h_input_tokens") or 0
    usage = Usage(
        cache_read=read,
        cache_write=written,
        cache_write_hour=min(hour, written),
        reasoning=count_in(dict_in(used, "output_tokens_details"), "thinking_tokens") or 0,
        tier=_tier(used),
    )
    return with_counts(usage, (prompt or 0) + read + written, completion, None, wrote=wrote)


def _tier(usage: Mapping[str, Any]) -> str | None:
    """Return what raises an answer's price above the usual: its speed, tier or region; else None.

    Source: Anthropic, "Fast mode", "Service tiers", "Data residency".
    """
    if usage.get("speed") == "fast":
        return "fast"
    if usage.get("service_tier") == "priority":
        return "priority"
    return "us" if usage.get("inference_geo") == "us" else None


# -------------------------------------------------------------------------------- streamed

_MOST_BLOCKS = 4096
"""More blocks in one message are a fault, not an answer."""

_PARTIAL = "partial_json"
"""Field under which a tool's input is collected until the stream of it ends."""


class _MessageAssembler(EventAssembler):
    def __init__(self) -> None:
        super().__init__()
        self._message: dict[str, Any] = {}
        self._is_over = False

    def take(self, event: dict[str, Any]) -> list[Delta]:
        kind = event.get("type")
        delta = None
        if kind == "content_block_delta":
            delta = self._grow(event)
        elif kind == "content_block_start":
            delta = self._start(event)
        elif kind == "message_start" and isinstance(message := event.get("message"), dict):
            self._message = message
            # Always empty, as far as anybody has seen.
            blocks = enumerate(list_in(message, "content"))
            self._items = {index: block for index, block in blocks if isinstance(block, dict)}
        elif kind == "message_delta":
            fields = dict_in(event, "delta")
            self._message |= {name: value for name, value in fields.items() if value is not None}
            update_known(self._message, "usage", event.get("usage"))
        elif kind == "message_stop":
            self._is_over = True
        # Pings, the stops of blocks and whatever comes tomorrow say nothing of the answer.
        return [] if delta is None else [delta]

    def assembled(self) -> dict[str, Any]:
        for block in self._items.values():
            self._finish_block(block)
        self._message["content"] = self._in_order()
        return self._message

    def has_begun(self) -> bool:
        """Return whether any part of an answer came; a message that has only begun has none."""
        return bool(self._items) or self._message.get("stop_reason") is not None

    def is_whole(self) -> bool:
        return self._is_over and ends.reason_text(self._message.get("stop_reason")) is not None

    def has_ended(self) -> bool:
        return self._is_over

    def _start(self, event: Mapping[str, Any]) -> Delta | None:
        block, index = event.get("content_block"), event.get("index")
        if not isinstance(block, dict) or type(index) is not int or index >= _MOST_BLOCKS:
            raise BadEvent
        self._items[index] = block
        if block.get("text") or block.get("thinking"):
            return _delta(block.get("text"), block.get("thinking"))
        # An empty text says nothing yet; a tool that is called, or hidden thinking, does.
        return None if block.get("type") in ("text", "thinking") else Delta()

    def _grow(self, event: Mapping[str, Any]) -> Delta | None:
        index, delta = event.get("index"), event.get("delta")
        block = self._items.get(index) if type(index) is int else None
        if block is None or not isinstance(delta, dict):
            raise BadEvent
        for name, value in delta.items():
            if name == "citation":
                extend_list(block, "citations", [value])
            elif name != "type" and isinstance(value, str):
                grow(block, name, value)
        if delta.get("type") == "signature_delta":
            return None
        text = delta.get(_PARTIAL if block.get("name") == ANSWER_TOOL else "text")
        return _delta(text, delta.get("thinking"))

    def _finish_block(self, block: dict[str, Any]) -> None:
        join(block)
        partial = block.pop(_PARTIAL, None)
        if not partial:
            return
        try:
            block["input"] = json_bytes.read(partial.encode("utf-8", "surrogatepass"))
        except json_bytes.NotJSON:
            # Where the answer is cut off, its last call is too, and is kept as far as it came.
            block["input"] = partial
            if self._message.get("stop_reason") == "tool_use":
                self._unreadable += 1


def _delta(text: Any, thinking: Any) -> Delta:
    return Delta(
        text=mended(text) if isinstance(text, str) else "",
        reasoning=mended(thinking) if isinstance(thinking, str) else "",
    )
