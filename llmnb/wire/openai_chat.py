"""OpenAI's chat completions: the protocol that most providers speak.

Source: OpenAI API reference, "Chat completions".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from llmnb.errors import BadReply, InputError
from llmnb.records import Delta, Reply, ToolCall
from llmnb.wire import openai_replies
from llmnb.wire.openai_stream import StreamAssembler


class OpenAIChat:
    """Dialect ``openai.chat``."""

    name = "openai.chat"

    def body(
        self, request: Mapping[str, Any], *, model: str, params: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return a new request body; ``prompt`` and ``input`` become one user message."""
        body = openai_replies.merged(params, request, model)
        messages = body.get("messages")
        if messages is None:
            question = body.pop("prompt", None)
            if question is None:
                question = body.pop("input", None)
            if question is None:
                raise openai_replies.nothing_to_ask(request)
            if not isinstance(question, str):
                raise InputError(
                    f"prompt is {type(question).__name__}, not text. For a conversation give "
                    "messages=[{'role': …, 'content': …}, …]."
                )
            body["messages"] = [{"role": "user", "content": question}]
        elif not isinstance(messages, (list, tuple)) or not messages:
            raise InputError("messages must be a list with at least one message.")
        return body

    def stream_body(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the same body, asking for a stream that ends with the usage."""
        return {**body, "stream": True, "stream_options": {"include_usage": True}}

    def parse(self, raw: bytes) -> Reply:
        """Read a reply."""
        body = openai_replies.load(raw)
        choices = body["choices"]
        choice = choices[0]
        message = choice.get("message")
        if not isinstance(message, dict):
            raise BadReply(
                "A reply came (HTTP 200) whose first choice has no message. It may have been "
                "billed; its bytes are kept with the error.",
                status=200,
                raw=raw,
            )
        finish_reason = choice.get("finish_reason")
        calls = message.get("tool_calls")
        refusal = message.get("refusal")
        text = content_text(message.get("content"))
        if refusal and not text:
            text = str(refusal)
        return Reply(
            text=text,
            finish_reason=openai_replies.text_or_none(finish_reason),
            quality=openai_replies.quality(finish_reason, refusal),
            model=openai_replies.text_or_none(body.get("model")),
            response_id=openai_replies.text_or_none(body.get("id")),
            usage=openai_replies.usage(body),
            texts=_texts(choices) if len(choices) > 1 else (),
            tool_calls=_tool_calls(calls) if calls else (),
            reasoning=openai_replies.text_or_none(
                message.get("reasoning_content") or message.get("reasoning")
            ),
            logprobs=choice.get("logprobs"),
            raw=raw,
        )

    def assembler(self) -> StreamAssembler:
        """Return what reads one streamed reply."""
        return StreamAssembler("chat.completion", add_piece, blank_choice)


def content_text(content: Any) -> str:
    """Return a message's content as text; parts that are not text are left out."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(
            part["text"]
            for part in content
            if isinstance(part, dict) and isinstance(part.get("text"), str)
        )
    return ""


def _texts(choices: list[Any]) -> tuple[str, ...]:
    ordered = sorted(
        (choice for choice in choices if isinstance(choice, dict)), key=lambda one: _index(one)
    )
    return tuple(content_text((one.get("message") or {}).get("content")) for one in ordered)


def _index(choice: Mapping[str, Any]) -> int:
    index = choice.get("index")
    return index if isinstance(index, int) else 0


def _tool_calls(calls: Any) -> tuple[ToolCall, ...]:
    found = []
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            arguments = function.get("arguments")
            found.append(
                ToolCall(
                    id=str(call.get("id") or ""),
                    name=function["name"],
                    arguments=arguments
                    if isinstance(arguments, str)
                    else orjson.dumps(arguments).decode(),
                )
            )
    return tuple(found)


def blank_choice(index: int) -> dict[str, Any]:
    """Return a choice before its first piece."""
    return {"index": index, "message": {"role": "assistant", "content": ""}, "finish_reason": None}


def add_piece(choice: dict[str, Any], piece: Mapping[str, Any]) -> Delta | None:
    """Add one streamed piece to its choice; returns the text in it."""
    delta = piece.get("delta")
    if not isinstance(delta, dict):
        return None
    message = choice["message"]
    if isinstance(role := delta.get("role"), str):
        message["role"] = role
    text = delta["content"] if isinstance(delta.get("content"), str) else ""
    if text:
        message["content"] += text
    reasoning = ""
    for name in ("reasoning_content", "reasoning"):
        if isinstance(more := delta.get(name), str) and more:
            message[name] = message.get(name, "") + more
            reasoning = reasoning or more
    if isinstance(refusal := delta.get("refusal"), str) and refusal:
        message["refusal"] = (message.get("refusal") or "") + refusal
    if isinstance(calls := delta.get("tool_calls"), list):
        _add_calls(message.setdefault("tool_calls", []), calls)
    return Delta(text=text, reasoning=reasoning) if text or reasoning else None


def _add_calls(known: list[dict[str, Any]], pieces: list[Any]) -> None:
    for piece in pieces:
        if not isinstance(piece, dict):
            continue
        index = piece.get("index")
        place = index if isinstance(index, int) and 0 <= index < 1024 else len(known)
        while len(known) <= place:
            known.append({"id": "", "type": "function", "function": {"name": "", "arguments": ""}})
        call, function = known[place], piece.get("function")
        if isinstance(piece.get("id"), str):
            call["id"] = piece["id"]
        if isinstance(function, dict):
            for name in ("name", "arguments"):
                if isinstance(more := function.get(name), str):
                    call["function"][name] += more
