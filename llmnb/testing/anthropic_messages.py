"""Anthropic's Messages API as the simulated provider speaks it.

Source:
    Anthropic API reference, "Messages" and "Streaming messages".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from llmnb.testing.answers import AnswerPart, WholeAnswer
from llmnb.testing.plan import Stream, StreamWriter, named_event
from llmnb.testing.provider_profiles import ANTHROPIC
from llmnb.testing.request import (
    Rejected,
    SimulatedRequest,
    count_tokens,
    joined_texts,
    of_turns,
    stop_texts,
    tokens_of,
    whole_number,
)

NAME = "messages"
PROFILE = ANTHROPIC

_STOP_REASONS = {"length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


def read(body: Mapping[str, Any]) -> SimulatedRequest:
    """Understand the body of a request for a message."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Rejected("Field required", "messages")
    max_tokens = whole_number(body, "max_tokens")
    if max_tokens is None:
        raise Rejected("Field required", "max_tokens")
    turns = []
    for position, message in enumerate(messages):
        role = message.get("role") if isinstance(message, dict) else None
        if role not in ("user", "assistant"):
            raise Rejected("Input should be 'user' or 'assistant'", f"messages.{position}.role")
        turns.append((role, _text(message.get("content"), f"messages.{position}.content")))
    system = body.get("system")
    before = [{"role": "system", "content": system}] if system else []
    return of_turns(
        NAME,
        body,
        turns,
        messages,
        identity=[*before, *messages],
        more_tokens=count_tokens(_text(system or "", "system")),
        max_tokens=max_tokens,
        stop=stop_texts(body, "stop_sequences"),
        is_streamed=body.get("stream") is True,
        wants_usage=True,
    )


def _text(content: object, name: str) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise Rejected("Input should be a valid string or list", name)
    return joined_texts(content)


def write(request: SimulatedRequest, answer: WholeAnswer) -> bytes:
    """Return the body of a message."""
    body = _head(request) | {"content": _blocks(answer)} | _closing(answer)
    if answer.has_usage:
        body["usage"] = _usage(answer, answer.completion_tokens)
    return orjson.dumps(body)


def _head(request: SimulatedRequest) -> dict[str, Any]:
    return {
        "id": f"msg_sim_{request.number:08x}",
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _closing(answer: WholeAnswer) -> dict[str, Any]:
    if not answer.choices:
        return {"stop_reason": "end_turn", "stop_sequence": None}
    choice = answer.choices[0]
    reason = _STOP_REASONS.get(choice.finish_reason, "end_turn")
    if choice.extra.get("refusal"):
        reason = "refusal"
    elif choice.finish_reason == "stop" and choice.stopped_at is not None:
        reason = "stop_sequence"
    return {"stop_reason": reason, "stop_sequence": choice.stopped_at}


def _blocks(answer: WholeAnswer) -> list[dict[str, Any]]:
    return [_block(part) for choice in answer.choices for part in choice.parts if part.text]


def _block(part: AnswerPart) -> dict[str, Any]:
    if part.kind == "thought":
        return {"type": "thinking", "thinking": part.text, "signature": "simulated"}
    if part.kind == "call":
        arguments = orjson.loads(part.text)
        return {"type": "tool_use", "id": part.call_id, "name": part.name, "input": arguments}
    return {"type": "text", "text": part.text}


def _usage(answer: WholeAnswer, output: int) -> dict[str, Any]:
    return {
        "input_tokens": answer.prompt_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output,
        "service_tier": "standard",
    }


def stream(request: SimulatedRequest, answer: WholeAnswer) -> Stream:
    """Return a message as events: its head, its blocks piece by piece, why it ended, its end."""
    writer = StreamWriter()
    head = _head(request)
    closing: dict[str, Any] = {"delta": _closing(answer)}
    if answer.has_usage:
        head["usage"] = _usage(answer, 1)
        closing["usage"] = {"output_tokens": answer.completion_tokens}
    _add(writer, "message_start", message=head)
    for index, block in enumerate(_blocks(answer)):
        _stream_block(writer, index, block)
    _add(writer, "message_delta", **closing)
    _add(writer, "message_stop")
    return writer.finish(error=ANTHROPIC.stream_error)


def _add(writer: StreamWriter, kind: str, **fields: Any) -> None:
    writer.add(named_event({"type": kind, **fields}))


def _stream_block(writer: StreamWriter, index: int, block: dict[str, Any]) -> None:
    kind = block["type"]
    if kind == "tool_use":
        blank, text = {**block, "input": {}}, orjson.dumps(block["input"]).decode()
        delta, field = "input_json_delta", "partial_json"
    else:
        field = kind  # the text of a block is called as the block is
        blank, text, delta = {**block, field: ""}, block[field], f"{kind}_delta"
        if kind == "thinking":
            blank["signature"] = ""
    _add(writer, "content_block_start", index=index, content_block=blank)
    if index == 0:
        _add(writer, "ping")
    for token in tokens_of(text):
        content = {"type": delta, field: token}
        writer.token(named_event({"type": "content_block_delta", "index": index, "delta": content}))
    if kind == "thinking":
        signature = {"type": "signature_delta", "signature": block["signature"]}
        _add(writer, "content_block_delta", index=index, delta=signature)
    _add(writer, "content_block_stop", index=index)
