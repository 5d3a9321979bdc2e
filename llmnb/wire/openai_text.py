"""OpenAI's older text completions: a prompt, not a conversation.

Source: OpenAI API reference, "Completions (legacy)".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmnb.errors import InputError
from llmnb.records import Delta, Reply
from llmnb.wire import ends, openai_replies, openai_requests
from llmnb.wire.openai_content import text_of
from llmnb.wire.openai_stream import Growing, StreamAssembler
from llmnb.wire.sse import is_stream


class OpenAIText:
    """Dialect ``openai.text``."""

    name = "openai.text"

    def body(
        self, request: Mapping[str, Any], *, model: str, params: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return a new request body with a ``prompt``: text, or what else the endpoint takes.

        One message of the user that is text alone is such a prompt.

        Raises:
            InputError: If the request asks nothing, or holds a conversation.

        Example:
            >>> OpenAIText().body({"input": "Once"}, model="m", params={"max_tokens": 5})
            {'max_tokens': 5, 'model': 'm', 'prompt': 'Once'}
        """
        body = openai_requests.merged(request, params, model)
        name = openai_requests.question_in(body)
        prompt = body.pop(name)
        if name == "messages" and (text := _only_text(prompt)) is not None:
            prompt = text
        elif name == "messages":
            raise InputError(
                "A text completion takes a prompt, not a conversation: give prompt=…, or ask with "
                "gen_type='chat'. Nothing was sent for it."
            )
        if not isinstance(prompt, str) and not (isinstance(prompt, (list, tuple)) and prompt):
            raise InputError(
                f"{name} is {type(prompt).__name__}; a text completion takes text, or a list of "
                "texts or tokens. Nothing was sent for it."
            )
        body["prompt"] = prompt
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
        if is_stream(raw):
            raw = self.assembler().whole(raw)
        body, readable = openai_replies.load(raw)
        choices = body["choices"]
        said = [choice.get("text") for choice in choices]
        if None in said:
            raise openai_replies.unusable(raw, "has a choice without a text")
        texts = list(map(text_of, said))
        text_or_none = openai_replies.text_or_none
        reasons = [ends.word(choice.get("finish_reason")) for choice in choices]
        qualities = [ends.openai(reason) for reason in reasons]
        worst = openai_replies.worst(qualities)
        usage, quality = openai_replies.usage(body, wrote=any(texts)), qualities[worst]
        if not any(texts):
            quality = ends.without_text(quality, usage, None)
        return Reply(
            text=texts[0],
            finish_reason=reasons[worst],
            quality=quality,
            model=text_or_none(body.get("model")),
            response_id=text_or_none(body.get("id")),
            usage=usage,
            texts=tuple(texts) if len(texts) > 1 else (),
            ends=tuple(zip(reasons, qualities, strict=True)) if len(texts) > 1 else (),
            logprobs=choices[0].get("logprobs"),
            raw=readable,
        )

    def assembler(self, *, samples: int = 1) -> StreamAssembler:
        """Return what reads one streamed reply."""
        return StreamAssembler("text_completion", _TextPieces(), samples=samples)


def _only_text(messages: Any) -> str | None:
    """Return what a person says where that is the whole conversation, and nothing but text."""
    if not isinstance(messages, (list, tuple)) or len(messages) != 1:
        return None
    (message,) = messages
    if not isinstance(message, Mapping) or message.keys() != {"role", "content"}:
        return None
    text = message["content"]
    return text if message["role"] == "user" and isinstance(text, str) else None


class _TextPieces:
    """Adds texts to texts."""

    __slots__ = ()

    def blank(self, index: int) -> dict[str, Any]:
        """Return a choice before its first piece."""
        return {"index": index, "text": Growing(), "logprobs": None, "finish_reason": None}

    def add(self, choice: dict[str, Any], piece: Mapping[str, Any]) -> Delta | None:
        """Add one piece; returns its text."""
        text = text_of(piece.get("text"))
        if not text:
            return None
        choice["text"].append(text)
        return Delta(text=text)

    def finish(self, choice: dict[str, Any]) -> None:
        """Join the text."""
        choice["text"] = choice["text"].joined()
