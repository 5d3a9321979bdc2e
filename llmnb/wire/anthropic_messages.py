"""Anthropic's Messages API, asked in OpenAI's words and answering in its own.

Source: Anthropic API reference, "Messages", "Handling stop reasons", "Extended thinking".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmnb.records import Reply, ToolCall, Usage
from llmnb.wire import anthropic_requests, ends, json_bytes, openai_replies
from llmnb.wire.anthropic_requests import ANSWER_TOOL
from llmnb.wire.anthropic_stream import MessageAssembler
from llmnb.wire.sse import is_stream


class AnthropicMessages:
    """Dialect ``anthropic.messages``."""

    name = "anthropic.messages"

    def body(
        self, request: Mapping[str, Any], *, model: str, params: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return a new request body; see `llmnb.wire.anthropic_requests`.

        Raises:
            InputError: If the request asks nothing, or what Anthropic cannot be asked.

        Example:
            >>> AnthropicMessages().body({"prompt": "Hi", "max_tokens": 9}, model="m", params={})
            {'model': 'm', 'messages': [{'role': 'user', 'content': 'Hi'}], 'max_tokens': 9}
        """
        return anthropic_requests.body(request, model=model, params=params)

    def stream_body(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the same body, asking for a stream; its usage comes unasked."""
        return {**body, "stream": True}

    def parse(self, raw: bytes) -> Reply:
        """Read a reply; one that was streamed against our wish is put together first.

        Raises:
            BadReply: If it cannot be read; its bytes are kept.
            LLMNBError: Of another type, if it says what went wrong.
        """
        if is_stream(raw):
            raw = self.assembler().whole(raw)
        body, readable = openai_replies.load_object(raw)
        content = body.get("content")
        if not isinstance(content, list):
            raise openai_replies.unusable(raw, "has no content")
        if not all(isinstance(block, dict) for block in content):
            raise openai_replies.unusable(raw, "has a block of content that is no object")
        reason = ends.word(body.get("stop_reason"))
        calls = _tool_calls(content)
        text = _texts(content, "text")
        if any(call.name == ANSWER_TOOL for call in calls):
            # Our own means to get JSON: what it was called with is the answer.
            text = next(call.arguments for call in calls if call.name == ANSWER_TOOL)
            calls = ()
        thoughts, quality = _texts(content, "thinking") or None, ends.worth(ends.ANTHROPIC, reason)
        used = usage(body, wrote=bool(text or calls or thoughts))
        if not text and not calls:
            quality = ends.without_text(quality, used, thoughts)
        return Reply(
            text=text or _explanation(body),
            finish_reason=reason,
            quality=quality,
            model=openai_replies.text_or_none(body.get("model")),
            response_id=openai_replies.text_or_none(body.get("id")),
            usage=used,
            tool_calls=calls,
            handed_back=_handed_back(content) if calls else None,
            reasoning=thoughts,
            raw=readable,
        )

    def assembler(self, *, samples: int = 1) -> MessageAssembler:
        """Return what reads one streamed reply; there is one answer in each."""
        return MessageAssembler()


def _texts(content: list[dict[str, Any]], kind: str) -> str:
    """Return the text of all blocks of a kind, which bears the same name as its text."""
    texts = (block.get(kind) for block in content if block.get("type") == kind)
    return "".join(text for text in texts if isinstance(text, str))


def _handed_back(content: list[dict[str, Any]]) -> Mapping[str, Any] | None:
    """Return the signed thoughts before a call, without which a thinking model goes on with none.

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
    found = []
    for block in content:
        if block.get("type") != "tool_use" or not isinstance(block.get("name"), str):
            continue
        arguments = block.get("input")
        if not isinstance(arguments, str):  # it is text where a stream was cut off within it
            arguments = json_bytes.write(arguments or {}, is_strict=False).decode()
        found.append(
            ToolCall(id=str(block.get("id") or ""), name=block["name"], arguments=arguments)
        )
    return tuple(found)


def _explanation(body: Mapping[str, Any]) -> str:
    """Return why an answer was refused, where nothing else is said."""
    details = body.get("stop_details")
    said = details.get("explanation") if isinstance(details, dict) else None
    return said if isinstance(said, str) else ""


def usage(body: Mapping[str, Any], *, wrote: bool = True) -> Usage | None:
    """Return the tokens a reply says it used; None when it does not say.

    Anthropic counts what came from its cache, what went there, and the rest of
    the prompt apart; together they are the prompt.

    Example:
        >>> usage({"usage": {"input_tokens": 3, "cache_read_input_tokens": 7, "output_tokens": 1}})
        Usage(prompt=10, completion=1, cache_read=7, cache_write=0, reasoning=0)
    """
    found = body.get("usage")
    if not isinstance(found, dict):
        return None
    count = openai_replies.count
    prompt, completion = count(found.get("input_tokens")), count(found.get("output_tokens"))
    if prompt is None and completion is None:
        return None
    read = count(found.get("cache_read_input_tokens")) or 0
    written = count(found.get("cache_creation_input_tokens")) or 0
    lasting = found.get("cache_creation")
    hour = count(lasting.get("ephemeral_1h_input_tokens")) if isinstance(lasting, dict) else None
    details = found.get("output_tokens_details")
    thought = count(details.get("thinking_tokens")) if isinstance(details, dict) else None
    return ends.counted(
        (prompt or 0) + read + written,
        completion,
        wrote=wrote,
        cache_read=read,
        cache_write=written,
        cache_write_hour=min(hour or 0, written),
        reasoning=thought or 0,
        tier=_tier(found),
    )


def _tier(usage: Mapping[str, Any]) -> str | None:
    """Return what makes an answer dearer than usual: its speed, its tier, or where it was made.

    Source: Anthropic, "Fast mode", "Service tiers", "Data residency".
    """
    if usage.get("speed") == "fast":
        return "fast"
    if usage.get("service_tier") == "priority":
        return "priority"
    return "us" if usage.get("inference_geo") == "us" else None
