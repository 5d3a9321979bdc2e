"""OpenAI's older text completions: a prompt, not a conversation.

Source: OpenAI API reference, "Completions (legacy)".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmnb.errors import BadReply, InputError
from llmnb.records import Delta, Reply
from llmnb.wire import openai_replies
from llmnb.wire.openai_stream import StreamAssembler


class OpenAIText:
    """Dialect ``openai.text``."""

    name = "openai.text"

    def body(
        self, request: Mapping[str, Any], *, model: str, params: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return a new request body with a ``prompt``."""
        body = openai_replies.merged(params, request, model)
        if "messages" in body:
            raise InputError(
                "A text completion takes a prompt, not messages: give prompt=…, "
                "or ask with gen_type='chat'."
            )
        if "prompt" not in body:
            if "input" not in body:
                raise openai_replies.nothing_to_ask(request)
            body["prompt"] = body.pop("input")
        return body

    def stream_body(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the same body, asking for a stream that ends with the usage."""
        return {**body, "stream": True, "stream_options": {"include_usage": True}}

    def parse(self, raw: bytes) -> Reply:
        """Read a reply."""
        body = openai_replies.load(raw)
        choices = body["choices"]
        choice = choices[0]
        text = choice.get("text")
        if not isinstance(text, str):
            raise BadReply(
                "A reply came (HTTP 200) whose first choice has no text. It may have been "
                "billed; its bytes are kept with the error.",
                status=200,
                raw=raw,
            )
        finish_reason = choice.get("finish_reason")
        return Reply(
            text=text,
            finish_reason=openai_replies.text_or_none(finish_reason),
            quality=openai_replies.quality(finish_reason),
            model=openai_replies.text_or_none(body.get("model")),
            response_id=openai_replies.text_or_none(body.get("id")),
            usage=openai_replies.usage(body),
            texts=tuple(str(one.get("text", "")) for one in choices if isinstance(one, dict))
            if len(choices) > 1
            else (),
            logprobs=choice.get("logprobs"),
            raw=raw,
        )

    def assembler(self) -> StreamAssembler:
        """Return what reads one streamed reply."""
        return StreamAssembler("text_completion", add_piece, blank_choice)


def blank_choice(index: int) -> dict[str, Any]:
    """Return a choice before its first piece."""
    return {"index": index, "text": "", "finish_reason": None}


def add_piece(choice: dict[str, Any], piece: Mapping[str, Any]) -> Delta | None:
    """Add one streamed piece to its choice; returns the text in it."""
    text = piece.get("text")
    if not isinstance(text, str) or not text:
        return None
    choice["text"] += text
    return Delta(text=text)
