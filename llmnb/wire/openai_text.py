"""OpenAI's older text completions: a prompt, not a conversation.

Source: OpenAI API reference, "Completions (legacy)".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmnb.records import Reply
from llmnb.wire import conversation, ends
from llmnb.wire.conversation import input_error
from llmnb.wire.dialect import Dialect, bad_reply
from llmnb.wire.openai_choices import STREAM_FIELDS, TextAssembler, choices_of, text_of
from llmnb.wire.untrusted import text_in
from llmnb.wire.usage import openai_usage


class OpenAIText(Dialect):
    """Dialect ``openai.text``."""

    name = "openai.text"
    stream_fields = STREAM_FIELDS

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
        body = conversation.merge_fields(request, params, model)
        name = conversation.question_in(body)
        prompt = body.pop(name)
        if name == "messages":
            prompt = _only_text(prompt)
            if prompt is None:
                raise input_error(
                    "A text completion takes a prompt, not a conversation: give prompt=…, or ask "
                    "with gen_type='chat'."
                )
        if not isinstance(prompt, str) and not (isinstance(prompt, (list, tuple)) and prompt):
            raise input_error(
                f"{name} is {type(prompt).__name__}; a text completion takes text, or a list of "
                "texts or tokens."
            )
        body["prompt"] = prompt
        return body

    def assembler(self, *, samples: int = 1) -> TextAssembler:
        """Return what reads one streamed reply."""
        return TextAssembler(samples=samples)

    def reply(self, body: dict[str, Any], raw: bytes) -> Reply:
        """Read a reply's object."""
        choices = choices_of(body, raw)
        if any(choice.get("text") is None for choice in choices):
            raise bad_reply(raw, "has a choice without a text")
        texts = [text_of(choice["text"]) for choice in choices]
        reasons = [ends.reason_text(choice.get("finish_reason")) for choice in choices]
        answers = ends.of_answers(texts, [(reason, ends.worth(reason)) for reason in reasons])
        usage = openai_usage(body, wrote=any(texts))
        if not any(texts):
            answers["quality"] = ends.worth_without_text(answers["quality"], usage, None)
        return Reply(
            **answers,
            model=text_in(body, "model"),
            response_id=text_in(body, "id"),
            usage=usage,
            logprobs=choices[0].get("logprobs"),
            raw=raw,
        )


def _only_text(messages: Any) -> str | None:
    """Return what a person says where that is the whole conversation, and nothing but text."""
    if not isinstance(messages, (list, tuple)) or len(messages) != 1:
        return None
    (message,) = messages
    if not isinstance(message, Mapping) or message.keys() != {"role", "content"}:
        return None
    return text_in(message, "content") if message["role"] == "user" else None
