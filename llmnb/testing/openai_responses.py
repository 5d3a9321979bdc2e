"""OpenAI's Responses API as the simulated provider speaks it.

Source:
    OpenAI API reference, "Responses": the response object and its streaming events.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from llmnb.testing.answers import AnswerChoice, AnswerPart, WholeAnswer, token_logprobs
from llmnb.testing.api import FRAME, TOKEN, Api, Events
from llmnb.testing.body import Body, Rejected, text_of
from llmnb.testing.plan import event
from llmnb.testing.request import CREATED, SimulatedRequest, tokens_of

_LOGPROBS = "message.output_text.logprobs"
_LEAST_LENGTH = 16

_Parts = Iterator[tuple[bool, str, Mapping[str, Any]]]
"""Whether each event carries a token, its type, and its other fields."""


class Responses(Api):
    """Responses."""

    name = "responses"
    path_end = "/responses"

    @cached_property
    def stream_error(self) -> bytes:
        """An event of a type of its own."""
        message = "The server had an error while processing your request."
        fields = {"code": "server_error", "message": message, "param": None}
        return event({"type": "error", **fields})

    def read(self, body: Body) -> SimulatedRequest:
        """Return what the body of a request for a response asks for."""
        items = _items(body)
        turns = [(item.get("role"), _text(item, position)) for position, item in enumerate(items)]
        return self.of_turns(
            body,
            turns,
            items,
            system=str(body.get("instructions") or ""),
            max_tokens=body.whole_number("max_output_tokens", least=_LEAST_LENGTH),
            top_logprobs=_top_logprobs(body),
        )

    def reply(self, request: SimulatedRequest, answer: WholeAnswer) -> dict[str, Any]:
        """Return the body of a response."""
        reason = _incomplete_reason(answer)
        body = _head(request) | {
            "status": "incomplete" if reason else "completed",
            "incomplete_details": {"reason": reason} if reason else None,
            "output": [item for choice in answer.choices for item in _output(request, choice)],
        }
        if answer.has_usage:
            body["usage"] = {
                "input_tokens": answer.prompt_tokens,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": answer.completion_tokens,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": answer.prompt_tokens + answer.completion_tokens,
            }
        return body

    def events(self, request: SimulatedRequest, answer: WholeAnswer) -> Events:
        """Yield a response as numbered events: its head, its items, the whole at the end."""
        parts = _response_events(request, self.reply(request, answer))
        for number, (is_token, kind, fields) in enumerate(parts):
            yield is_token, {"type": kind, "sequence_number": number, **fields}


def _items(body: Body) -> list[dict[str, Any]]:
    if isinstance(body.get("input"), str):
        return [{"role": "user", "content": body["input"]}]
    items = body.filled_list("input", "Missing required parameter: 'input'.")
    for position, item in enumerate(items):
        if not isinstance(item, dict) or not ("role" in item or "type" in item):
            raise Rejected(f"Invalid value: 'input[{position}]'.", f"input[{position}]")
    return items


def _text(item: Mapping[str, Any], position: int) -> str:
    content = item.get("content", item.get("output", item.get("arguments", "")))
    name = f"input[{position}].content"
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and part.get("type") in ("text", "image_url"):
            raise Rejected(f"Invalid value: '{part['type']}' in '{name}'.", name)
    return text_of(content, name, "Invalid type for '{}'.")


def _top_logprobs(body: Body) -> int | None:
    if _LOGPROBS not in (body.get("include") or ()):
        return None
    return min(body.whole_number("top_logprobs", least=0) or 0, 20)


def _head(request: SimulatedRequest) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "instructions": None,
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
    }
    return {
        "id": f"resp-sim-{request.number:08x}",
        "object": "response",
        "created_at": CREATED,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "max_output_tokens": request.max_tokens,
        "metadata": {},
        "model": request.model,
        "output": [],
        "parallel_tool_calls": True,
        "usage": None,
        **{name: request.body.get(name, value) for name, value in usual.items()},
    }


def _incomplete_reason(answer: WholeAnswer) -> str | None:
    reasons = {choice.finish_reason for choice in answer.choices}
    if "content_filter" in reasons:
        return "content_filter"
    return "max_output_tokens" if "length" in reasons else None


def _output(request: SimulatedRequest, choice: AnswerChoice) -> list[dict[str, Any]]:
    """Return the items of an answer; what was said and what was refused stand in one message."""
    name = f"sim-{request.number:08x}"
    items: list[dict[str, Any]] = []
    contents: list[dict[str, Any]] = []
    calls = 0
    for part in choice.parts:
        if part.kind == "thought":
            summary = [{"type": "summary_text", "text": part.text}]
            items.append({"type": "reasoning", "id": f"rs-{name}", "summary": summary})
        elif part.kind == "call":
            ids = {"id": f"fc-{name}-{calls}", "call_id": part.call_id, "status": "completed"}
            called = {"name": part.name, "arguments": part.text}
            items.append({"type": "function_call", **ids, **called})
            calls += 1
        else:
            if not contents:
                status = "completed" if choice.finish_reason != "length" else "incomplete"
                fields = {"status": status, "role": "assistant", "content": contents}
                items.append({"type": "message", "id": f"msg-{name}", **fields})
            contents.append(_content(request, part))
    return items


def _content(request: SimulatedRequest, part: AnswerPart) -> dict[str, Any]:
    if part.kind == "refusal":
        return {"type": "refusal", "refusal": part.text}
    asked = request.top_logprobs is not None
    logprobs = token_logprobs(request, tokens_of(part.text)) if asked else []
    return {"type": "output_text", "text": part.text, "annotations": [], "logprobs": logprobs}


# --------------------------------------------------------------------------------- streams


def _response_events(request: SimulatedRequest, body: dict[str, Any]) -> _Parts:
    yield FRAME, "response.created", {"response": _head(request)}
    yield FRAME, "response.in_progress", {"response": _head(request)}
    for index, item in enumerate(body["output"]):
        yield from _item_events(index, item)
    yield FRAME, f"response.{body['status']}", {"response": body}


def _item_events(index: int, item: dict[str, Any]) -> _Parts:
    """Yield an item: empty, token by token, whole."""
    name = {"message": "content", "reasoning": "summary"}.get(item["type"])
    blank = {**item, name: []} if name else {**item, "arguments": ""}
    if "status" in item:
        blank["status"] = "in_progress"
    yield FRAME, "response.output_item.added", {"output_index": index, "item": blank}
    where = {"item_id": item["id"], "output_index": index}
    if name is None:
        done = {"name": item["name"], "arguments": item["arguments"]}
        kind = "response.function_call_arguments"
        yield from _token_events(kind, where, item["arguments"], done)
    else:
        for position, part in enumerate(item[name]):
            yield from _part_events({**where, f"{name}_index": position}, part)
    yield FRAME, "response.output_item.done", {"output_index": index, "item": item}


def _part_events(where: Mapping[str, Any], part: dict[str, Any]) -> _Parts:
    """Yield a part of an item: empty, token by token, whole."""
    frame, kind, field = {
        "summary_text": ("reasoning_summary_part", "reasoning_summary_text", "text"),
        "output_text": ("content_part", "output_text", "text"),
        "refusal": ("content_part", "refusal", "refusal"),
    }[part["type"]]
    done = {field: part[field]}
    blank = {**part, field: ""}
    if "logprobs" in part:
        blank["logprobs"], done["logprobs"] = [], part["logprobs"]
    yield FRAME, f"response.{frame}.added", {**where, "part": blank}
    yield from _token_events(f"response.{kind}", where, part[field], done)
    yield FRAME, f"response.{frame}.done", {**where, "part": part}


def _token_events(
    kind: str, where: Mapping[str, Any], text: str, done: Mapping[str, Any]
) -> _Parts:
    """Yield a text token by token, then what tells that it is whole."""
    for position, token in enumerate(tokens_of(text)):
        fields = {**where, "delta": token}
        if "logprobs" in done:
            fields["logprobs"] = done["logprobs"][position : position + 1]
        yield TOKEN, f"{kind}.delta", fields
    yield FRAME, f"{kind}.done", {**where, **done}
