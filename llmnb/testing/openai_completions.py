"""OpenAI's chat and text completions as the simulated provider speaks them.

Source:
    OpenAI API reference, "Chat Completions" and "Completions": the completion objects
    and the chunk object.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import orjson

from llmnb.testing.answers import AnswerChoice, WholeAnswer, logprob, token_logprobs
from llmnb.testing.plan import DONE, Stream, event
from llmnb.testing.provider_profiles import OPENAI, ProviderProfile
from llmnb.testing.request import (
    CREATED,
    Rejected,
    SimulatedRequest,
    joined_texts,
    of_prompts,
    of_turns,
    prompts_in,
    stop_texts,
    tokens_of,
    whole_number,
)

_TOKENS_PER_CONVERSATION = 3
_MOST_SAMPLES = 128
_DEFAULT_MAX_TOKENS = 16
"""What the real API cuts a text completion at when it is not told."""


class _Completions:
    """What both have in common: the frame of a reply, its usage, its stream."""

    PROFILE: ClassVar[ProviderProfile] = OPENAI
    NAME: ClassVar[str]
    id_prefix: ClassVar[str]
    objects: ClassVar[tuple[str, str]]
    """What a whole reply calls itself, and what a chunk does."""

    tail: ClassVar[Mapping[str, Any]] = {}
    usage_details: ClassVar[Mapping[str, Any]] = {}
    opening: ClassVar[Sequence[Mapping[str, Any]]] = ()
    """What a stream tells of each choice before its first token."""

    last: ClassVar[Mapping[str, Any]]
    """What stands in the chunk that tells why a choice ended."""

    def choice(self, request: SimulatedRequest, index: int, choice: AnswerChoice) -> dict[str, Any]:
        """Return what stands in one choice of a whole reply, log-probabilities among it."""
        raise NotImplementedError

    def deltas(
        self, request: SimulatedRequest, index: int, choice: AnswerChoice
    ) -> Iterator[dict[str, Any]]:
        """Yield what stands in the choice of each chunk, log-probabilities among it."""
        raise NotImplementedError

    def write(self, request: SimulatedRequest, answer: WholeAnswer) -> bytes:
        """Return the body of a completion."""
        body = self._head(request, self.objects[0])
        body["choices"] = [
            self.choice(request, index, choice)
            | {"index": index, "finish_reason": choice.finish_reason}
            for index, choice in enumerate(answer.choices)
        ]
        if answer.has_usage:
            body["usage"] = self._usage(answer)
        return orjson.dumps({**body, **self.tail})

    def stream(self, request: SimulatedRequest, answer: WholeAnswer) -> Stream:
        """Return a completion as events: opening, tokens, finish reasons, usage, marker."""
        chunk = {**self._head(request, self.objects[1]), **self.tail}
        if request.wants_usage:
            chunk["usage"] = None

        def chunk_of(index: int, fields: Mapping[str, Any], reason: str | None = None) -> bytes:
            choice = {"logprobs": None, **fields, "index": index, "finish_reason": reason}
            return event({**chunk, "choices": [choice]})

        opening, tokens, closing = [], [], []
        for index, choice in enumerate(answer.choices):
            opening += [chunk_of(index, fields) for fields in self.opening]
            tokens += [chunk_of(index, fields) for fields in self.deltas(request, index, choice)]
            closing.append(chunk_of(index, self.last, choice.finish_reason))
        if request.wants_usage and answer.has_usage:
            closing.append(event({**chunk, "choices": [], "usage": self._usage(answer)}))
        closing.append(DONE)
        return Stream(b"".join(opening), tuple(tokens), b"".join(closing), OPENAI.stream_error)

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


def _stream_options(body: Mapping[str, Any]) -> tuple[bool, bool]:
    """Return whether a stream is asked for, and whether it is to tell the usage.

    Raises:
        Rejected: If options for a stream come without one.
    """
    is_streamed = body.get("stream") is True
    options = body.get("stream_options")
    if options is not None and not is_streamed:
        raise Rejected(
            "'stream_options' is only allowed when 'stream' is enabled.", "stream_options"
        )
    return is_streamed, isinstance(options, dict) and options.get("include_usage") is True


# ------------------------------------------------------------------------------------ chat


class _Chat(_Completions):
    """Chat completions."""

    NAME = "chat"
    id_prefix = "chatcmpl"
    objects = ("chat.completion", "chat.completion.chunk")
    tail: ClassVar[Mapping[str, Any]] = {
        "service_tier": "default",
        "system_fingerprint": "fp_simulated",
    }
    usage_details: ClassVar[Mapping[str, Any]] = {
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
    opening = ({"delta": {"role": "assistant", "content": "", "refusal": None}},)
    last: ClassVar[Mapping[str, Any]] = {"delta": {}}

    def read(self, body: Mapping[str, Any]) -> SimulatedRequest:
        """Return what the body of a chat completion asks for."""
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            raise Rejected("Missing required parameter: 'messages'.", "messages")
        texts = [_text(message, position) for position, message in enumerate(messages)]
        roles = [message["role"] for message in messages]
        is_streamed, wants_usage = _stream_options(body)
        name = "max_completion_tokens" if "max_completion_tokens" in body else "max_tokens"
        return of_turns(
            self.NAME,
            body,
            zip(roles, texts, strict=True),
            messages,
            more_tokens=_TOKENS_PER_CONVERSATION,
            max_tokens=whole_number(body, name),
            samples=min(whole_number(body, "n") or 1, _MOST_SAMPLES),
            stop=stop_texts(body),
            is_streamed=is_streamed,
            wants_usage=wants_usage,
            top_logprobs=_top_logprobs(body),
        )

    def choice(self, request: SimulatedRequest, index: int, choice: AnswerChoice) -> dict[str, Any]:
        """Return a message, with what it calls or refuses."""
        content = choice.text if choice.has_content else None
        return {
            "message": {"role": "assistant", "content": content, "refusal": None, **choice.extra},
            "logprobs": _chat_logprobs(request, choice.token_texts),
        }

    def deltas(
        self, request: SimulatedRequest, index: int, choice: AnswerChoice
    ) -> Iterator[dict[str, Any]]:
        """Yield the text token by token, then the other fields of the message."""
        for number, token in enumerate(choice.token_texts):
            logprobs = _chat_logprobs(request, [token], number)
            yield {"delta": {"content": token}, "logprobs": logprobs}
        for name, value in choice.extra.items():
            if name == "tool_calls":
                for number, call in enumerate(value):
                    yield {"delta": {"tool_calls": [{"index": number, **call}]}}
            else:
                for token in tokens_of(value) if isinstance(value, str) else [value]:
                    yield {"delta": {name: token}}


def _text(message: object, position: int) -> str:
    if isinstance(message, dict) and isinstance(message.get("role"), str):
        content = message.get("content")
        if isinstance(content, str):
            return content
        if isinstance(content, list):
            return joined_texts(content)
        if content is None and message["role"] == "assistant":
            return ""  # it only called tools
        name = f"messages[{position}].content"
        raise Rejected(f"Invalid value for '{name}'.", name)
    raise Rejected(f"Invalid value: 'messages[{position}]' has no role.", f"messages[{position}]")


def _top_logprobs(body: Mapping[str, Any]) -> int | None:
    top = whole_number(body, "top_logprobs", least=0)
    if body.get("logprobs") is True:
        return min(top or 0, 20)
    if top is not None:
        raise Rejected("'top_logprobs' needs 'logprobs' to be true.", "top_logprobs")
    return None


def _chat_logprobs(
    request: SimulatedRequest, token_texts: Sequence[str], first: int = 0
) -> dict[str, Any] | None:
    if request.top_logprobs is None:
        return None
    return {"content": token_logprobs(request, token_texts, first), "refusal": None}


# ------------------------------------------------------------------------------------ text


class _Text(_Completions):
    """Text completions."""

    NAME = "text"
    id_prefix = "cmpl"
    objects = ("text_completion", "text_completion")
    last: ClassVar[Mapping[str, Any]] = {"text": ""}

    def read(self, body: Mapping[str, Any]) -> SimulatedRequest:
        """Understand the body of a text completion."""
        prompts = prompts_in(body, "prompt")
        is_streamed, wants_usage = _stream_options(body)
        max_tokens = whole_number(body, "max_tokens", least=0)
        return of_prompts(
            self.NAME,
            body,
            prompts,
            max_tokens=_DEFAULT_MAX_TOKENS if max_tokens is None else max_tokens,
            samples=min(whole_number(body, "n") or 1, _MOST_SAMPLES) * len(prompts),
            stop=stop_texts(body),
            is_streamed=is_streamed,
            wants_usage=wants_usage,
            top_logprobs=whole_number(body, "logprobs", least=0),
        )

    def choice(self, request: SimulatedRequest, index: int, choice: AnswerChoice) -> dict[str, Any]:
        """Return a text."""
        return {
            "text": choice.text if choice.has_content else "",
            "logprobs": _text_logprobs(request, choice.token_texts),
        }

    def deltas(
        self, request: SimulatedRequest, index: int, choice: AnswerChoice
    ) -> Iterator[dict[str, Any]]:
        """Yield the text token by token."""
        for number, token in enumerate(choice.token_texts):
            yield {"text": token, "logprobs": _text_logprobs(request, [token], number)}


def _text_logprobs(
    request: SimulatedRequest, token_texts: Sequence[str], first: int = 0
) -> dict[str, Any] | None:
    """Return log-probabilities in this API's shape."""
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


CHAT, TEXT = _Chat(), _Text()
