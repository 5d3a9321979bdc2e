"""Anthropic's Messages API, asked in OpenAI's words and answering in its own.

A stream is whole when it says why the answer ended and that the message is
over (``message_stop``).

Source: Anthropic API reference, "Messages", "Handling stop reasons", "Extended thinking".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmnb.display.texts import mended
from llmnb.records import Delta, Reply, ToolCall, Usage
from llmnb.wire import anthropic_requests, ends, json_bytes
from llmnb.wire.anthropic_requests import ANSWER_TOOL
from llmnb.wire.dialect import Dialect, bad_reply
from llmnb.wire.event_stream import EventAssembler, extend_list, grow, join, update_known
from llmnb.wire.untrusted import count_in, dict_in, join_texts, list_in, text_in
from llmnb.wire.usage import with_counts


class AnthropicMessages(Dialect):
    """Dialect ``anthropic.messages``."""

    name = "anthropic.messages"
    body = staticmethod(anthropic_requests.body)

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
    return {anthropic_requests.THOUGHTS: thoughts} if thoughts else None


def _tool_calls(content: list[dict[str, Any]]) -> tuple[ToolCall, ...]:
    calls = []
    for block in content:
        if block.get("type") != "tool_use" or not isinstance(block.get("name"), str):
            continue
        arguments = block.get("input")
        if not isinstance(arguments, str):  # it is text where a stream was cut off within it
            arguments = json_bytes.write(arguments or {}, is_strict=False).decode()
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
        self._blocks: dict[int, dict[str, Any]] = {}
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
            self._blocks = {index: block for index, block in blocks if isinstance(block, dict)}
        elif kind == "message_delta":
            fields = dict_in(event, "delta")
            self._message |= {name: value for name, value in fields.items() if value is not None}
            update_known(self._message, "usage", event.get("usage"))
        elif kind == "message_stop":
            self._is_over = True
        # Pings, the stops of blocks and whatever comes tomorrow say nothing of the answer.
        return [] if delta is None else [delta]

    def assembled(self) -> dict[str, Any]:
        blocks = [self._blocks[index] for index in sorted(self._blocks)]
        for block in blocks:
            self._finish_block(block)
        self._message["content"] = blocks
        return self._message

    def has_begun(self) -> bool:
        """Return whether any part of an answer came; a message that has only begun has none."""
        return bool(self._blocks) or self._message.get("stop_reason") is not None

    def is_whole(self) -> bool:
        return self._is_over and ends.reason_text(self._message.get("stop_reason")) is not None

    def has_ended(self) -> bool:
        return self._is_over

    def _start(self, event: Mapping[str, Any]) -> Delta | None:
        block, index = event.get("content_block"), event.get("index")
        if not isinstance(block, dict) or type(index) is not int or index >= _MOST_BLOCKS:
            self._unreadable += 1
            return None
        self._blocks[index] = block
        if block.get("text") or block.get("thinking"):
            return _delta(block.get("text"), block.get("thinking"))
        # An empty text says nothing yet; a tool that is called, or hidden thinking, does.
        return None if block.get("type") in ("text", "thinking") else Delta()

    def _grow(self, event: Mapping[str, Any]) -> Delta | None:
        index, delta = event.get("index"), event.get("delta")
        block = self._blocks.get(index) if type(index) is int else None
        if block is None or not isinstance(delta, dict):
            self._unreadable += 1
            return None
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
