"""OpenAI's chat completions: the protocol that most providers speak.

Source: OpenAI API reference, "Chat completions"; DeepSeek, vLLM and OpenRouter
for the two names of the reasoning; Mistral for content in parts.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

from llmnb.records import Reply, ToolCall, Usage
from llmnb.wire import conversation, ends, json_bytes
from llmnb.wire.dialect import Dialect, bad_reply
from llmnb.wire.openai_choices import (
    REASONING,
    STREAM_FIELDS,
    ChatAssembler,
    choices_of,
    reasoning_of,
    text_of,
)
from llmnb.wire.untrusted import dict_in, text_in
from llmnb.wire.usage import openai_usage

_NEW_LENGTH_NAME = re.compile(r"(?:.*/)?(?:o\d|gpt-(?:[5-9]|[1-9]\d))(?:[-.:@]|$)")
"""Models of OpenAI that refuse ``max_tokens`` and want ``max_completion_tokens``.

Most who speak the protocol know the old name only, so it is changed for these alone.
"""

_THOUGHTS = frozenset(REASONING)
_FURTHER = ("tool_calls", "function_call", "audio", "images")
"""What an answer may hold in place of a text."""


class OpenAIChat(Dialect):
    """Dialect ``openai.chat``."""

    name = "openai.chat"
    stream_fields = STREAM_FIELDS

    def body(
        self, request: Mapping[str, Any], *, model: str, params: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return a new request body; ``prompt`` and ``input`` become one user message.

        Raises:
            InputError: If the request asks nothing, or asks it in a form chat does not have.

        Example:
            >>> OpenAIChat().body({"prompt": "Hi"}, model="m", params={"temperature": 0})
            {'temperature': 0, 'model': 'm', 'messages': [{'role': 'user', 'content': 'Hi'}]}
        """
        body = conversation.merge_fields(request, params, model)
        body["messages"] = conversation.asked_in(body, roles=object)
        if "max_tokens" in body and _wants_new_name(model):
            body.setdefault("max_completion_tokens", body.pop("max_tokens"))
        return body

    def assembler(self, *, samples: int = 1) -> ChatAssembler:
        """Return what reads one streamed reply."""
        return ChatAssembler(samples=samples)

    def reply(self, body: dict[str, Any], raw: bytes) -> Reply:
        """Read a reply's object."""
        choices = choices_of(body, raw)
        for choice in choices:
            if type(choice.get("message")) is not dict:
                raise bad_reply(raw, "has a choice without a message")
        message = choices[0]["message"]
        text, calls = _text(message), message.get("tool_calls")
        is_plain = type(message.get("content")) is str and _THOUGHTS.isdisjoint(message)
        thoughts = None if is_plain else reasoning_of(message)
        usage = openai_usage(body, wrote=bool(text or calls or thoughts))
        # Checked in place, not by `text_in`: every cached row is read here.
        model, response_id = body.get("model"), body.get("id")
        several: list[ends.End] = []
        reason, quality = _end(choices[0], text, usage)
        if len(choices) > 1:
            several = [_end(choice, _text(choice["message"]), usage) for choice in choices]
            reason, quality = ends.worst(several)
        return Reply(
            text=text,
            finish_reason=reason,
            quality=quality,
            model=model if type(model) is str else None,
            response_id=response_id if type(response_id) is str else None,
            usage=usage,
            texts=tuple(_text(choice["message"]) for choice in choices) if several else (),
            ends=tuple(several),
            tool_calls=_tool_calls(calls) if calls else (),
            handed_back=_handed_back(message) if calls else None,
            reasoning=thoughts,
            logprobs=choices[0].get("logprobs"),
            raw=raw,
        )


@functools.lru_cache(maxsize=256)
def _wants_new_name(model: str) -> bool:
    return _NEW_LENGTH_NAME.match(model) is not None


def _text(message: Mapping[str, Any]) -> str:
    """Return the text; a model that only refuses speaks in a field of its own."""
    content = message.get("content")
    if type(content) is str and content:
        return content
    return text_of(content) or text_in(message, "refusal") or ""


def _end(choice: Mapping[str, Any], text: str, usage: Usage | None) -> ends.End:
    """Return why a choice with such a text ended, and what it is worth."""
    message, reason = choice["message"], choice.get("finish_reason")
    quality = ends.worth(reason, message.get("refusal"))
    if not text and not any(map(message.get, _FURTHER)):
        is_null = message.get("content") is None
        quality = ends.worth_without_text(quality, usage, reasoning_of(message), is_null=is_null)
    return reason if reason == "stop" else ends.reason_text(reason), quality


_HANDED_BACK = ("reasoning_content", "reasoning_details", "thinking_blocks")
"""What thinking models want back with a turn that calls tools.

The first at DeepSeek, Z.ai, xAI and Kimi, the second at OpenRouter, the third through LiteLLM.
"""


def _handed_back(message: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return {name: message[name] for name in _HANDED_BACK if message.get(name)} or None


def _tool_calls(calls: Any) -> tuple[ToolCall, ...]:
    read: list[ToolCall] = []
    for call in calls if isinstance(calls, list) else ():
        if not isinstance(call, dict):
            continue
        # A server that gives its calls no ids: results are matched by them.
        name = str(call.get("id") or f"call_{len(read)}")
        function, custom = dict_in(call, "function"), dict_in(call, "custom")
        if isinstance(function.get("name"), str):
            arguments = function.get("arguments")
            if not isinstance(arguments, str):
                # Some servers send the arguments parsed; the record's promise is text.
                arguments = json_bytes.write(arguments or {}, is_strict=False).decode()
            read.append(ToolCall(id=name, name=function["name"], arguments=arguments))
        elif isinstance(custom.get("name"), str):
            text = text_in(custom, "input") or ""
            read.append(ToolCall(id=name, name=custom["name"], arguments=text, kind="custom"))
    return tuple(read)
