"""Anthropic's Messages API as the simulated provider speaks it.

Source:
    Anthropic API reference, "Messages" and "Streaming messages".
"""

from __future__ import annotations

from typing import Any

import orjson

from llmnb.testing.answers import AnswerPart, WholeAnswer
from llmnb.testing.api import FRAME, TOKEN, Api, Events
from llmnb.testing.body import Body, Rejected, text_of
from llmnb.testing.provider_profiles import ANTHROPIC
from llmnb.testing.request import SimulatedRequest, tokens_of

_STOP_REASONS = {"length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


class Messages(Api):
    """Messages."""

    name = "messages"
    path_end = "/messages"
    profile = ANTHROPIC

    def read(self, body: Body) -> SimulatedRequest:
        """Return what the body of a request for a message asks for."""
        messages = body.filled_list("messages", "Field required")
        max_tokens = body.whole_number("max_tokens")
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
        return self.of_turns(
            body,
            turns,
            messages,
            identity=[*before, *messages],
            system=_text(system or "", "system"),
            max_tokens=max_tokens,
            stop=body.stop_texts("stop_sequences"),
        )

    def reply(self, request: SimulatedRequest, answer: WholeAnswer) -> dict[str, Any]:
        """Return the body of a message."""
        body = _head(request) | {"content": _blocks(answer)} | _closing(answer)
        if answer.has_usage:
            body["usage"] = _usage(answer, answer.completion_tokens)
        return body

    def events(self, request: SimulatedRequest, answer: WholeAnswer) -> Events:
        """Yield a message's head, its blocks piece by piece, why it ended, and its end."""
        head = _head(request)
        closing: dict[str, Any] = {"delta": _closing(answer)}
        if answer.has_usage:
            head["usage"] = _usage(answer, 1)
            closing["usage"] = {"output_tokens": answer.completion_tokens}
        yield FRAME, {"type": "message_start", "message": head}
        for index, block in enumerate(_blocks(answer)):
            yield from _block_events(index, block)
        yield FRAME, {"type": "message_delta", **closing}
        yield FRAME, {"type": "message_stop"}


def _text(content: object, name: str) -> str:
    return text_of(content, name, "Input should be a valid string or list")


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


def _block_events(index: int, block: dict[str, Any]) -> Events:
    """Yield a block: empty, token by token, its end."""
    kind = block["type"]
    if kind == "tool_use":
        blank, text = {**block, "input": {}}, orjson.dumps(block["input"]).decode()
        delta, field = "input_json_delta", "partial_json"
    else:
        field = kind  # the text of a block is called as the block is
        blank, text, delta = {**block, field: ""}, block[field], f"{kind}_delta"
        if kind == "thinking":
            blank["signature"] = ""
    deltas = {"type": "content_block_delta", "index": index}
    yield FRAME, {"type": "content_block_start", "index": index, "content_block": blank}
    if index == 0:
        yield FRAME, {"type": "ping"}
    for token in tokens_of(text):
        yield TOKEN, {**deltas, "delta": {"type": delta, field: token}}
    if kind == "thinking":
        signature = {"type": "signature_delta", "signature": block["signature"]}
        yield FRAME, {**deltas, "delta": signature}
    yield FRAME, {"type": "content_block_stop", "index": index}
