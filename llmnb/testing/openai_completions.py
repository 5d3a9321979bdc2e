"""OpenAI's chat and text completions as the simulated provider speaks them.

Source:
    OpenAI API reference, "Chat Completions" and "Completions": the completion objects
    and the chunk object.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from llmnb.testing.answers import AnswerChoice, WholeAnswer, logprob, token_logprobs
from llmnb.testing.api import FRAME, TOKEN, Api, Events
from llmnb.testing.body import Body, Rejected, text_of
from llmnb.testing.request import CREATED, SimulatedRequest, tokens_of

_MOST_SAMPLES = 128
_DEFAULT_MAX_TOKENS = 16
"""What the real API cuts a text completion at when it is not told."""


class Chat(Api):
    """Chat completions."""

    name = "chat"
    path_end = "/chat/completions"
    tokens_per_conversation = 3
    end_marker = b"data: [DONE]\n\n"

    id_prefix: ClassVar[str] = "chatcmpl"
    objects: ClassVar[tuple[str, str]] = ("chat.completion", "chat.completion.chunk")
    """What a whole reply calls itself, and what a chunk does."""

    tail: ClassVar[Mapping[str, Any]] = {
        "service_tier": "default",
        "system_fingerprint": "fp_simulated",
    }
    usage_details: ClassVar[Mapping[str, Any]] = {
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
    opening: ClassVar[Mapping[str, Any] | None] = {
        "delta": {"role": "assistant", "content": "", "refusal": None}
    }
    """What a stream tells of each choice before its first token."""

    last: ClassVar[Mapping[str, Any]] = {"delta": {}}
    """What stands in the chunk that tells why a choice ended."""

    def read(self, body: Body) -> SimulatedRequest:
        """Return what a body asks for."""
        messages = body.filled_list("messages", "Missing required parameter: 'messages'.")
        name = "max_completion_tokens" if "max_completion_tokens" in body else "max_tokens"
        return self.of_turns(
            body,
            [_turn(message, position) for position, message in enumerate(messages)],
            messages,
            max_tokens=body.whole_number(name),
            samples=_samples(body),
            stop=body.stop_texts(),
            wants_usage=_wants_usage(body),
            top_logprobs=_top_logprobs(body),
        )

    def reply(self, request: SimulatedRequest, answer: WholeAnswer) -> dict[str, Any]:
        """Return the body of a completion."""
        body = self._head(request, self.objects[0])
        body["choices"] = [
            {
                **self.whole(choice),
                "logprobs": self.logprobs(request, choice.token_texts),
                "index": index,
                "finish_reason": choice.finish_reason,
            }
            for index, choice in enumerate(answer.choices)
        ]
        if answer.has_usage:
            body["usage"] = self._usage(answer)
        return {**body, **self.tail}

    def events(self, request: SimulatedRequest, answer: WholeAnswer) -> Events:
        """Yield a completion as chunks: openings, tokens, finish reasons, usage."""
        head = {**self._head(request, self.objects[1]), **self.tail}
        if request.wants_usage:
            head["usage"] = None

        def chunk(
            index: int, fields: Mapping[str, Any], logprobs: Any = None, reason: str | None = None
        ) -> dict[str, Any]:
            choice = {"logprobs": logprobs, **fields, "index": index, "finish_reason": reason}
            return {**head, "choices": [choice]}

        if self.opening is not None:
            for index in range(len(answer.choices)):
                yield FRAME, chunk(index, self.opening)
        for index, choice in enumerate(answer.choices):
            for number, token in enumerate(choice.token_texts):
                logprobs = self.logprobs(request, [token], number)
                yield TOKEN, chunk(index, self.delta(token), logprobs)
            for fields in self.later_deltas(choice):
                yield TOKEN, chunk(index, fields)
        for index, choice in enumerate(answer.choices):
            yield FRAME, chunk(index, self.last, reason=choice.finish_reason)
        if request.wants_usage and answer.has_usage:
            yield FRAME, {**head, "choices": [], "usage": self._usage(answer)}

    def _head(self, request: SimulatedRequest, kind: str) -> dict[str, Any]:
        name = f"{self.id_prefix}-sim-{request.number:08x}"
        return {"id": name, "object": kind, "created": CREATED, "model": request.model}

    def _usage(self, answer: WholeAnswer) -> dict[str, Any]:
        return {
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": answer.completion_tokens,
            "total_tokens": answer.prompt_tokens + answer.completion_tokens,
            **self.usage_details,
        }

    # ------------------------------------------------------------ what text completions change

    def whole(self, choice: AnswerChoice) -> dict[str, Any]:
        """Return what one choice of a whole reply holds: a message."""
        message = {"role": "assistant", "content": choice.text, "refusal": None}
        return {"message": {**message, **choice.extra}}

    def delta(self, token: str) -> dict[str, Any]:
        """Return what a chunk holds that carries a token of the text."""
        return {"delta": {"content": token}}

    def later_deltas(self, choice: AnswerChoice) -> Iterator[dict[str, Any]]:
        """Yield the message's other fields, calls whole and texts token by token."""
        for name, value in choice.extra.items():
            if name == "tool_calls":
                for number, call in enumerate(value):
                    yield {"delta": {"tool_calls": [{"index": number, **call}]}}
            else:
                for token in tokens_of(value) if isinstance(value, str) else [value]:
                    yield {"delta": {name: token}}

    def logprobs(
        self, request: SimulatedRequest, token_texts: Sequence[str], first: int = 0
    ) -> dict[str, Any] | None:
        """Return the log-probabilities of tokens; None where they are not asked for."""
        if request.top_logprobs is None:
            return None
        return {"content": token_logprobs(request, token_texts, first), "refusal": None}


class Text(Chat):
    """Text completions: they differ from chat in what a choice holds."""

    name = "text"
    path_end = "/completions"
    id_prefix = "cmpl"
    objects = ("text_completion", "text_completion")
    tail: ClassVar[Mapping[str, Any]] = {}
    usage_details: ClassVar[Mapping[str, Any]] = {}
    opening = None
    last: ClassVar[Mapping[str, Any]] = {"text": ""}

    def read(self, body: Body) -> SimulatedRequest:
        """Return what a body asks for."""
        prompts = body.prompts("prompt")
        max_tokens = body.whole_number("max_tokens", least=0)
        return self.of_prompts(
            body,
            prompts,
            max_tokens=_DEFAULT_MAX_TOKENS if max_tokens is None else max_tokens,
            samples=_samples(body) * len(prompts),
            stop=body.stop_texts(),
            wants_usage=_wants_usage(body),
            top_logprobs=body.whole_number("logprobs", least=0),
        )

    def whole(self, choice: AnswerChoice) -> dict[str, Any]:
        """Return a text."""
        return {"text": choice.text or ""}

    def delta(self, token: str) -> dict[str, Any]:
        """Return a piece of the text."""
        return {"text": token}

    def later_deltas(self, choice: AnswerChoice) -> Iterator[dict[str, Any]]:
        """Yield nothing: there is a text only."""
        yield from ()

    def logprobs(
        self, request: SimulatedRequest, token_texts: Sequence[str], first: int = 0
    ) -> dict[str, Any] | None:
        """Return log-probabilities as four lists, in which each token has its place."""
        if request.top_logprobs is None:
            return None
        values = [logprob(request, position) for position, _ in enumerate(token_texts, first)]
        tops = [{token: value} for token, value in zip(token_texts, values, strict=True)]
        lengths = [len(token) for token in token_texts[:-1]]
        return {
            "tokens": list(token_texts),
            "token_logprobs": values,
            "top_logprobs": tops if request.top_logprobs else None,
            "text_offset": list(itertools.accumulate(lengths, initial=0)),
        }


def _wants_usage(body: Body) -> bool:
    """Return whether a stream is to tell the usage.

    Raises:
        Rejected: If options for a stream come without one.
    """
    options = body.get("stream_options")
    if options is not None and body.get("stream") is not True:
        raise Rejected(
            "'stream_options' is only allowed when 'stream' is enabled.", "stream_options"
        )
    return isinstance(options, dict) and options.get("include_usage") is True


def _samples(body: Body) -> int:
    return min(body.whole_number("n") or 1, _MOST_SAMPLES)


def _turn(message: object, position: int) -> tuple[str, str]:
    """Return role and text of a message."""
    role = message.get("role") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(role, str):
        name = f"messages[{position}]"
        raise Rejected(f"Invalid value: '{name}' has no role.", name)
    content = message.get("content")
    if content is None and role == "assistant":
        return role, ""  # it only called tools
    return role, text_of(content, f"messages[{position}].content", "Invalid value for '{}'.")


def _top_logprobs(body: Body) -> int | None:
    top = body.whole_number("top_logprobs", least=0)
    if body.get("logprobs") is True:
        return min(top or 0, 20)
    if top is not None:
        raise Rejected("'top_logprobs' needs 'logprobs' to be true.", "top_logprobs")
    return None
