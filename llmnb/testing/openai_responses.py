"""OpenAI's Responses API as the simulated provider speaks it.

Source:
    OpenAI API reference, "Responses": the response object and its streaming events.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from llmnb.testing.answers import AnswerChoice, AnswerPart, WholeAnswer, token_logprobs
from llmnb.testing.plan import Stream, StreamWriter, named_event
from llmnb.testing.provider_profiles import OPENAI
from llmnb.testing.request import (
    CREATED,
    Rejected,
    SimulatedRequest,
    count_tokens,
    joined_texts,
    of_turns,
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

_LOGPROBS = "message.output_text.logprobs"
_LEAST_LENGTH = 16


def read(body: Mapping[str, Any]) -> SimulatedRequest:
    """Understand the body of a request for a response."""
    items = _items(body.get("input"))
    turns = [(item.get("role"), _text(item, position)) for position, item in enumerate(items)]
    return of_turns(
        NAME,
        body,
        turns,
        items,
        more_tokens=count_tokens(str(body.get("instructions") or "")),
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


def write(request: SimulatedRequest, answer: WholeAnswer) -> bytes:
    """Return the body of a response."""
    return orjson.dumps(_response(request, answer))


def _response(request: SimulatedRequest, answer: WholeAnswer) -> dict[str, Any]:
    reason = _incomplete_reason(answer)
    body = _head(request) | {
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "output": [item for choice in answer.choices for item in _items_of(request, choice)],
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


def _items_of(request: SimulatedRequest, choice: AnswerChoice) -> list[dict[str, Any]]:
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
    logprobs = _logprobs(request, tokens_of(part.text))
    return {"type": "output_text", "text": part.text, "annotations": [], "logprobs": logprobs}


def _logprobs(
    request: SimulatedRequest, token_texts: list[str], first: int = 0
) -> list[dict[str, Any]]:
    return [] if request.top_logprobs is None else token_logprobs(request, token_texts, first)


# --------------------------------------------------------------------------------- streams


def stream(request: SimulatedRequest, answer: WholeAnswer) -> Stream:
    """Return a response as events: what it is, its items token by token, the whole at the end."""
    body = _response(request, answer)
    events = _Events(request)
    events.add("response.created", response=_head(request))
    events.add("response.in_progress", response=_head(request))
    for index, item in enumerate(body["output"]):
        events.add_item(index, item)
    events.add(f"response.{body['status']}", response=body)
    return events.writer.finish(error=STREAM_ERROR)


class _Events:
    """Numbers the events of a response."""

    def __init__(self, request: SimulatedRequest) -> None:
        self.writer = StreamWriter()
        self._request = request
        self._number = 0

    def _event(self, kind: str, fields: Mapping[str, Any]) -> bytes:
        self._number += 1
        return named_event({"type": kind, "sequence_number": self._number - 1, **fields})

    def add(self, kind: str, **fields: Any) -> None:
        """Add what is no token."""
        self.writer.add(self._event(kind, fields))

    def add_item(self, index: int, item: dict[str, Any]) -> None:
        """Add an item: empty, token by token, whole."""
        name = {"message": "content", "reasoning": "summary"}.get(item["type"])
        blank = {**item, name: []} if name else {**item, "arguments": ""}
        if "status" in item:
            blank["status"] = "in_progress"
        self.add("response.output_item.added", output_index=index, item=blank)
        where = {"item_id": item["id"], "output_index": index}
        if name is None:
            kind = "response.function_call_arguments"
            done = {"name": item["name"], "arguments": item["arguments"]}
            self._add_tokens(kind, where, item["arguments"], done)
        else:
            for position, part in enumerate(item[name]):
                self._add_part({**where, f"{name}_index": position}, part)
        self.add("response.output_item.done", output_index=index, item=item)

    def _add_part(self, where: Mapping[str, Any], part: dict[str, Any]) -> None:
        frame, kind, field = {
            "summary_text": ("reasoning_summary_part", "reasoning_summary_text", "text"),
            "output_text": ("content_part", "output_text", "text"),
            "refusal": ("content_part", "refusal", "refusal"),
        }[part["type"]]
        done = {field: part[field]}
        blank = {**part, field: ""}
        if "logprobs" in part:
            blank["logprobs"], done["logprobs"] = [], part["logprobs"]
        self.add(f"response.{frame}.added", **where, part=blank)
        self._add_tokens(f"response.{kind}", where, part[field], done)
        self.add(f"response.{frame}.done", **where, part=part)

    def _add_tokens(
        self, kind: str, where: Mapping[str, Any], text: str, done: Mapping[str, Any]
    ) -> None:
        """Add a text token by token, then what tells that it is whole."""
        for position, token in enumerate(tokens_of(text)):
            fields = {**where, "delta": token}
            if "logprobs" in done:
                fields["logprobs"] = _logprobs(self._request, [token], position)
            self.writer.token(self._event(f"{kind}.delta", fields))
        self.add(f"{kind}.done", **where, **done)
