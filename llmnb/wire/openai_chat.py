"""OpenAI's chat completions: the protocol that most providers speak.

Source: OpenAI API reference, "Chat completions"; DeepSeek, vLLM and OpenRouter
for the two names of the reasoning; Mistral for content in parts.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

from llmnb.errors import InputError
from llmnb.records import Quality, Reply, ToolCall, Usage
from llmnb.wire import ends, json_bytes, openai_replies, openai_requests
from llmnb.wire.openai_chat_stream import ChatPieces
from llmnb.wire.openai_content import REASONING, reasoning_of, text_of
from llmnb.wire.openai_stream import StreamAssembler
from llmnb.wire.sse import is_stream

_NEW_LENGTH_NAME = re.compile(r"(?:.*/)?(?:o\d|gpt-(?:[5-9]|[1-9]\d))(?:[-.:@]|$)")
"""Models of OpenAI that refuse ``max_tokens`` and want ``max_completion_tokens``.

Most who speak the protocol know the old name only, so it is changed for these alone.
"""


class OpenAIChat:
    """Dialect ``openai.chat``."""

    name = "openai.chat"

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
        body = openai_requests.merged(request, params, model)
        name = openai_requests.question_in(body)
        if name == "messages":
            _check(body["messages"])
        else:
            question = body.pop(name)
            if not isinstance(question, str):
                raise InputError(
                    f"{name} is {type(question).__name__}, not text. For a conversation give "
                    "messages=[{'role': …, 'content': …}, …]. Nothing was sent for it."
                )
            body["messages"] = [{"role": "user", "content": question}]
        if "max_tokens" in body and _wants_new_name(model):
            body.setdefault("max_completion_tokens", body.pop("max_tokens"))
        return body

    def stream_body(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the same body, asking for a stream that ends with the usage."""
        return openai_requests.stream_body(body)

    def parse(self, raw: bytes) -> Reply:
        """Read a reply; one that was streamed against our wish is put together first.

        Raises:
            BadReply: If it cannot be read; its bytes are kept.
            LLMNBError: Of another type, if it says what went wrong.
        """
        if raw[:1] != b"{" and is_stream(raw):
            raw = self.assembler().whole(raw)
        body, readable = openai_replies.load(raw)
        choices = body["choices"]
        for choice in choices:
            if type(choice.get("message")) is not dict:
                raise openai_replies.unusable(raw, "has a choice without a message")
        choice = choices[0]
        message = choice["message"]
        content, calls = message.get("content"), message.get("tool_calls")
        reason, model, name = choice.get("finish_reason"), body.get("model"), body.get("id")
        text = content if type(content) is str and content else _text(message)
        is_plain = type(content) is str and _THOUGHTS.isdisjoint(message)
        thoughts = None if is_plain else reasoning_of(message)
        quality = ends.openai(reason, message.get("refusal"))
        usage = openai_replies.usage(body, wrote=bool(text or calls or thoughts))
        if not text and not any(message.get(name) for name in _FURTHER):
            quality = ends.without_text(quality, usage, thoughts, is_null=content is None)
        several: tuple[tuple[str | None, Quality], ...] = ()
        if len(choices) > 1:
            several = (_end(choice, quality), *(_judged(other, usage) for other in choices[1:]))
            reason, quality = several[openai_replies.worst([worth for _, worth in several])]
        return Reply(
            text=text,
            finish_reason=reason if type(reason) is str else ends.word(reason),
            quality=quality,
            model=model if type(model) is str else None,
            response_id=name if type(name) is str else None,
            usage=usage,
            texts=tuple(map(_choice_text, choices)) if several else (),
            ends=several,
            tool_calls=_tool_calls(calls) if calls else (),
            handed_back=_handed_back(message) if calls else None,
            reasoning=thoughts,
            logprobs=choice.get("logprobs"),
            raw=readable,
        )

    def assembler(self, *, samples: int = 1) -> StreamAssembler:
        """Return what reads one streamed reply."""
        return StreamAssembler("chat.completion", ChatPieces(), samples=samples)


@functools.lru_cache(maxsize=256)
def _wants_new_name(model: str) -> bool:
    return _NEW_LENGTH_NAME.match(model) is not None


def _check(messages: Any) -> None:
    if not isinstance(messages, (list, tuple)) or not messages:
        raise InputError(
            "messages must be a list with at least one message, such as "
            "[{'role': 'user', 'content': 'Hello'}]. Nothing was sent for it."
        )
    for place, message in enumerate(messages):
        if type(message) is dict and "role" in message:
            continue
        is_mapping = isinstance(message, Mapping)
        if not is_mapping or "role" not in message:
            raise InputError(
                f"messages[{place}] is {type(message).__name__}"
                f"{' without a role' if is_mapping else ', not a dict'}: it must "
                "look like {'role': 'user', 'content': 'Hello'}. Nothing was sent for it."
            )


def _text(message: Mapping[str, Any]) -> str:
    """Return the text; a model that only refuses speaks in a field of its own."""
    text = text_of(message.get("content"))
    if not text and isinstance(refusal := message.get("refusal"), str):
        return refusal
    return text


def _choice_text(choice: Mapping[str, Any]) -> str:
    return _text(choice["message"])


def _end(choice: Mapping[str, Any], quality: Quality) -> tuple[str | None, Quality]:
    return ends.word(choice.get("finish_reason")), quality


def _judged(choice: Mapping[str, Any], usage: Usage | None) -> tuple[str | None, Quality]:
    """Return why a further choice ended, and what it is worth."""
    message = choice["message"]
    quality = ends.openai(choice.get("finish_reason"), message.get("refusal"))
    if not _text(message) and not any(message.get(name) for name in _FURTHER):
        is_null = message.get("content") is None
        quality = ends.without_text(quality, usage, reasoning_of(message), is_null=is_null)
    return _end(choice, quality)


_FURTHER = ("tool_calls", "function_call", "audio", "images")
"""What an answer may hold in place of a text."""


_THOUGHTS = frozenset(REASONING)
"""Names of the reasoning beside a text."""

_HANDED_BACK = ("reasoning_content", "reasoning_details", "thinking_blocks")
"""What thinking models want back with a turn that calls tools.

The first at DeepSeek, Z.ai, xAI and Kimi, the second at OpenRouter, the third through LiteLLM.
"""


def _handed_back(message: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return {name: message[name] for name in _HANDED_BACK if message.get(name)} or None


def _tool_calls(calls: Any) -> tuple[ToolCall, ...]:
    found: list[ToolCall] = []
    for call in calls if isinstance(calls, list) else ():
        if not isinstance(call, dict):
            continue
        # A server that gives its calls no ids: results are matched by them.
        name = str(call.get("id") or f"call_{len(found)}")
        function, custom = call.get("function"), call.get("custom")
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            arguments = function.get("arguments")
            if not isinstance(arguments, str):
                # Some servers send the arguments parsed; the record's promise is text.
                arguments = json_bytes.write(arguments or {}, is_strict=False).decode()
            found.append(ToolCall(id=name, name=function["name"], arguments=arguments))
        elif isinstance(custom, dict) and isinstance(custom.get("name"), str):
            words = openai_replies.text_or_none(custom.get("input")) or ""
            found.append(ToolCall(id=name, name=custom["name"], arguments=words, kind="custom"))
    return tuple(found)
