"""OpenAI's Responses API as the simulated provider speaks it.

Source:
    OpenAI API reference, "Responses": the response object and its streaming events.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from llmnb.testing.answers import Answer, Choice, token_logprobs
from llmnb.testing.events import Stream, StreamWriter, named_event
from llmnb.testing.ledger import prompt_text
from llmnb.testing.provider_profiles import OPENAI
from llmnb.testing.request import (
    CREATED,
    Rejected,
    SimulatedRequest,
    count_tokens,
    joined_texts,
    tokens_of,
    whole_number,
)

NAME = "responses"
PROFILE = OPENAI

STREAM_ERROR = named_event(
    {
        "type": "error",
        "code": "server_error",
        "message": "The server had an error while processing your request.",
        "param": None,
    }
)
"""How its streams end where an error strikes."""

_TOKENS_PER_ITEM = 3
_LOGPROBS = "message.output_text.logprobs"
_LEAST_LENGTH = 16


def read(body: Mapping[str, Any]) -> SimulatedRequest:
    """Understand the body of a request for a response."""
    items = _items(body.get("input"))
    prompt, prompt_tokens = "", count_tokens(str(body.get("instructions") or ""))
    for position, item in enumerate(items):
        text = _text(item, position)
        prompt_tokens += _TOKENS_PER_ITEM + count_tokens(text)
        if item.get("role") == "user" or not prompt:
            prompt = text
    return SimulatedRequest(
        endpoint=NAME,
        body=body,
        model=body.get("model") or "",
        prompt=prompt,
        identity=prompt_text(items),
        messages=items,
        prompt_tokens=prompt_tokens,
        max_tokens=whole_number(body, "max_output_tokens", least=_LEAST_LENGTH),
        is_streamed=body.get("stream") is True,
        wants_usage=True,
        top_logprobs=_top_logprobs(body),
    )


def _items(value: object) -> list[dict[str, Any]]:
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    if not isinstance(value, list) or not value:
        raise Rejected("Missing required parameter: 'input'.", "input")
    for position, item in enumerate(value):
        if not isinstance(item, dict) or not ("role" in item or "type" in item):
            raise Rejected(f"Invalid value: 'input[{position}]'.", f"input[{position}]")
    return value


def _text(item: Mapping[str, Any], position: int) -> str:
    content = item.get("content", item.get("output", item.get("arguments", "")))
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise Rejected(
            f"Invalid type for 'input[{position}].content'.", f"input[{position}].content"
        )
    for part in content:
        if isinstance(part, dict) and part.get("type") in ("text", "image_url"):
            name = f"input[{position}].content"
            raise Rejected(f"Invalid value: '{part['type']}' in '{name}'.", name)
    return joined_texts(content)


def _top_logprobs(body: Mapping[str, Any]) -> int | None:
    if _LOGPROBS not in (body.get("include") or ()):
        return None
    return min(whole_number(body, "top_logprobs", least=0) or 0, 20)


def write(request: SimulatedRequest, answer: Answer) -> bytes:
    """Return the body of a response."""
    return orjson.dumps(_response(request, answer))


def _response(request: SimulatedRequest, answer: Answer) -> dict[str, Any]:
    reason = _incomplete_reason(answer)
    body = _head(request)
    body["status"] = "incomplete" if reason else "completed"
    body["incomplete_details"] = {"reason": reason} if reason else None
    body["output"] = [item for choice in answer.choices for item in _output(request, choice)]
    if answer.has_usage:
        body["usage"] = {
            "input_tokens": answer.prompt_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": answer.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": answer.prompt_tokens + answer.completion_tokens,
        }
    return body


def _head(request: SimulatedRequest) -> dict[str, Any]:
    return {
        "id": f"resp-sim-{request.number:08x}",
        "object": "response",
        "created_at": CREATED,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": request.body.get("instructions"),
        "max_output_tokens": request.max_tokens,
        "metadata": {},
        "model": request.model,
        "output": [],
        "parallel_tool_calls": True,
        "store": request.body.get("store", True),
        "temperature": request.body.get("temperature", 1.0),
        "text": request.body.get("text", {"format": {"type": "text"}}),
        "tool_choice": request.body.get("tool_choice", "auto"),
        "tools": request.body.get("tools", []),
        "top_p": request.body.get("top_p", 1.0),
        "usage": None,
    }


def _incomplete_reason(answer: Answer) -> str | None:
    reasons = {choice.finish_reason for choice in answer.choices}
    if "content_filter" in reasons:
        return "content_filter"
    return "max_output_tokens" if "length" in reasons else None


def _output(request: SimulatedRequest, choice: Choice) -> list[dict[str, Any]]:
    """Return the items of an answer: what was thought, said and called."""
    name = f"sim-{request.number:08x}"
    items: list[dict[str, Any]] = []
    if thought := choice.extra.get("reasoning_content"):
        summary = [{"type": "summary_text", "text": thought}]
        items.append({"type": "reasoning", "id": f"rs-{name}", "summary": summary})
    parts: list[dict[str, Any]] = []
    if choice.has_content and (choice.text or not choice.extra.get("tool_calls")):
        parts.append(
            {
                "type": "output_text",
                "text": choice.text,
                "annotations": [],
                "logprobs": _logprobs(request, choice.token_texts),
            }
        )
    if refusal := choice.extra.get("refusal"):
        parts.append({"type": "refusal", "refusal": refusal})
    if parts:
        status = "completed" if choice.finish_reason != "length" else "incomplete"
        fields = {"id": f"msg-{name}", "status": status, "role": "assistant", "content": parts}
        items.append({"type": "message", **fields})
    for position, call in enumerate(choice.extra.get("tool_calls") or ()):
        fields = {"id": f"fc-{name}-{position}", "call_id": call["id"], "status": "completed"}
        items.append({"type": "function_call", **fields, **call["function"]})
    return items


def _logprobs(
    request: SimulatedRequest, token_texts: list[str], first: int = 0
) -> list[dict[str, Any]]:
    return [] if request.top_logprobs is None else token_logprobs(request, token_texts, first)


# --------------------------------------------------------------------------------- streams


def stream(request: SimulatedRequest, answer: Answer) -> Stream:
    """Return a response as events: what it is, its items piece by piece, the whole at the end."""
    body = _response(request, answer)
    events = _Events()
    events.add("response.created", response=_head(request))
    events.add("response.in_progress", response=_head(request))
    for index, item in enumerate(body["output"]):
        _stream_item(events, request, index, item)
    events.add(f"response.{body['status']}", response=body)
    return events.writer.finish(error=STREAM_ERROR)


class _Events:
    """Numbers events."""

    def __init__(self) -> None:
        self.writer = StreamWriter()
        self._number = 0

    def add(self, kind: str, **fields: Any) -> None:
        self.writer.add(self._event(kind, fields))

    def token(self, kind: str, **fields: Any) -> None:
        self.writer.token(self._event(kind, fields))

    def _event(self, kind: str, fields: Mapping[str, Any]) -> bytes:
        self._number += 1
        return named_event({"type": kind, "sequence_number": self._number - 1, **fields})


def _stream_item(
    events: _Events, request: SimulatedRequest, index: int, item: dict[str, Any]
) -> None:
    where = {"item_id": item["id"], "output_index": index}
    blank = {"status": "in_progress"} if "status" in item else {}
    empty: dict[str, Any] = {"message": {"content": []}, "reasoning": {"summary": []}}.get(
        item["type"], {"arguments": ""}
    )
    events.add("response.output_item.added", output_index=index, item={**item, **blank, **empty})
    if item["type"] == "function_call":
        for piece in tokens_of(item["arguments"]):
            events.token("response.function_call_arguments.delta", **where, delta=piece)
        done = {"name": item["name"], "arguments": item["arguments"]}
        events.add("response.function_call_arguments.done", **where, **done)
    elif item["type"] == "reasoning":
        _stream_thought(events, where, item["summary"])
    else:
        for position, part in enumerate(item["content"]):
            _stream_part(events, request, {**where, "content_index": position}, part)
    events.add("response.output_item.done", output_index=index, item=item)


def _stream_thought(events: _Events, where: dict[str, Any], summary: list[dict[str, Any]]) -> None:
    for position, part in enumerate(summary):
        here = {**where, "summary_index": position}
        blank = {**part, "text": ""}
        events.add("response.reasoning_summary_part.added", **here, part=blank)
        for piece in tokens_of(part["text"]):
            events.token("response.reasoning_summary_text.delta", **here, delta=piece)
        events.add("response.reasoning_summary_text.done", **here, text=part["text"])
        events.add("response.reasoning_summary_part.done", **here, part=part)


def _stream_part(
    events: _Events, request: SimulatedRequest, here: dict[str, Any], part: dict[str, Any]
) -> None:
    field = "refusal" if part["type"] == "refusal" else "text"
    name = "response.refusal" if field == "refusal" else "response.output_text"
    blank = {**part, field: ""} | ({"logprobs": []} if field == "text" else {})
    events.add("response.content_part.added", **here, part=blank)
    for position, piece in enumerate(tokens_of(part[field])):
        more = {"logprobs": _logprobs(request, [piece], position)} if field == "text" else {}
        events.token(f"{name}.delta", **here, delta=piece, **more)
    more = {"logprobs": part["logprobs"]} if field == "text" else {}
    events.add(f"{name}.done", **here, **{field: part[field]}, **more)
    events.add("response.content_part.done", **here, part=part)
