"""OpenAI's chat and text completions as the simulated provider speaks them.

Source:
    OpenAI API reference, "Chat Completions" and "Completions": the completion objects
    and the chunk object.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import orjson

from llmnb.testing.answers import Answer, Choice, logprob, token_logprobs
from llmnb.testing.events import DONE, Stream, event
from llmnb.testing.ledger import prompt_text
from llmnb.testing.provider_profiles import OPENAI, ProviderProfile
from llmnb.testing.request import (
    CREATED,
    Rejected,
    SimulatedRequest,
    count_tokens,
    joined_texts,
    stop_texts,
    stream_options,
    text_of_tokens,
    tokens_of,
    whole_number,
)

_Delta = Mapping[str, Any]

_TOKENS_PER_MESSAGE = 3
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
    opening: ClassVar[Sequence[_Delta]] = ()
    """What a stream tells of each choice before its first token."""

    last: ClassVar[_Delta] = {}
    """What the chunk holds that tells why a choice ended."""

    def choice(self, request: SimulatedRequest, index: int, choice: Choice) -> dict[str, Any]:
        """Return one choice of a whole reply."""
        raise NotImplementedError

    def deltas(
        self, request: SimulatedRequest, index: int, choice: Choice
    ) -> Iterator[tuple[_Delta, object]]:
        """Yield what each chunk of a choice says, with its log-probabilities."""
        raise NotImplementedError

    def chunk_choice(self, index: int, delta: _Delta) -> dict[str, Any]:
        """Return the choice in a chunk, without log-probabilities and reason."""
        return {"index": index, "delta": delta}

    def write(self, request: SimulatedRequest, answer: Answer) -> bytes:
        """Return the body of a completion."""
        body = self._head(request, self.objects[0])
        body["choices"] = [
            self.choice(request, index, choice) for index, choice in enumerate(answer.choices)
        ]
        if answer.has_usage:
            body["usage"] = self._usage(answer)
        body.update(self.tail)
        return orjson.dumps(body)

    def stream(self, request: SimulatedRequest, answer: Answer) -> Stream:
        """Return a completion as events: opening, tokens, finish reasons, usage, marker."""
        chunk = {**self._head(request, self.objects[1]), **self.tail}
        if request.wants_usage:
            chunk["usage"] = None

        def chunk_of(
            index: int, delta: _Delta, logprobs: object = None, reason: str | None = None
        ) -> bytes:
            choice = self.chunk_choice(index, delta)
            choice.update(logprobs=logprobs, finish_reason=reason)
            return event({**chunk, "choices": [choice]})

        opening, tokens, closing = [], [], []
        for index, choice in enumerate(answer.choices):
            opening += [chunk_of(index, delta) for delta in self.opening]
            tokens += [chunk_of(index, *said) for said in self.deltas(request, index, choice)]
            closing.append(chunk_of(index, self.last, None, choice.finish_reason))
        if request.wants_usage and answer.has_usage:
            closing.append(event({**chunk, "choices": [], "usage": self._usage(answer)}))
        closing.append(DONE)
        return Stream(b"".join(opening), tuple(tokens), b"".join(closing), OPENAI.stream_error)

    def _head(self, request: SimulatedRequest, kind: str) -> dict[str, Any]:
        name = f"{self.id_prefix}-sim-{request.number:08x}"
        return {"id": name, "object": kind, "created": CREATED, "model": request.model}

    def _usage(self, answer: Answer) -> dict[str, Any]:
        return {
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": answer.completion_tokens,
            "total_tokens": answer.prompt_tokens + answer.completion_tokens,
            **self.usage_details,
        }


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
    opening = ({"role": "assistant", "content": "", "refusal": None},)

    def read(self, body: Mapping[str, Any]) -> SimulatedRequest:
        """Understand the body of a chat completion."""
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            raise Rejected("Missing required parameter: 'messages'.", "messages")
        prompt, prompt_tokens = "", _TOKENS_PER_CONVERSATION
        for position, message in enumerate(messages):
            text = _text(message, position)
            prompt_tokens += _TOKENS_PER_MESSAGE + count_tokens(text)
            if message["role"] == "user" or not prompt:
                prompt = text
        is_streamed, wants_usage = stream_options(body)
        name = "max_completion_tokens" if "max_completion_tokens" in body else "max_tokens"
        return SimulatedRequest(
            endpoint=self.NAME,
            body=body,
            model=body.get("model") or "",
            prompt=prompt,
            identity=prompt_text(messages),
            messages=messages,
            prompt_tokens=prompt_tokens,
            max_tokens=whole_number(body, name),
            samples=min(whole_number(body, "n") or 1, _MOST_SAMPLES),
            stop=stop_texts(body) if "stop" in body else (),
            is_streamed=is_streamed,
            wants_usage=wants_usage,
            top_logprobs=_top_logprobs(body),
        )

    def choice(self, request: SimulatedRequest, index: int, choice: Choice) -> dict[str, Any]:
        """Return a message, with what it calls or refuses."""
        said = choice.text if choice.has_content else None
        return {
            "index": index,
            "message": {"role": "assistant", "content": said, "refusal": None, **choice.extra},
            "logprobs": _chat_logprobs(request, choice.token_texts),
            "finish_reason": choice.finish_reason,
        }

    def deltas(
        self, request: SimulatedRequest, index: int, choice: Choice
    ) -> Iterator[tuple[_Delta, object]]:
        """Yield the text token by token, then the other fields of the message."""
        for number, piece in enumerate(choice.token_texts):
            yield {"content": piece}, _chat_logprobs(request, [piece], number)
        for name, value in choice.extra.items():
            if name == "tool_calls":
                for number, call in enumerate(value):
                    yield {"tool_calls": [{"index": number, **call}]}, None
            elif isinstance(value, str):
                for piece in tokens_of(value):
                    yield {name: piece}, None
            else:
                yield {name: value}, None


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
    if "top_logprobs" not in body and "logprobs" not in body:
        return None
    top = whole_number(body, "top_logprobs", least=0)
    if body.get("logprobs") is not True:
        if top is not None:
            raise Rejected("'top_logprobs' needs 'logprobs' to be true.", "top_logprobs")
        return None
    return min(top or 0, 20)


def _chat_logprobs(
    request: SimulatedRequest, token_texts: Sequence[str], first: int = 0
) -> dict[str, Any] | None:
    if request.top_logprobs is None:
        return None
    return {"content": token_logprobs(request, token_texts, first), "refusal": None}


class _Text(_Completions):
    """Text completions."""

    NAME = "text"
    id_prefix = "cmpl"
    objects = ("text_completion", "text_completion")
    last: ClassVar[_Delta] = {"text": ""}

    def read(self, body: Mapping[str, Any]) -> SimulatedRequest:
        """Understand the body of a text completion."""
        parts = _prompts(body.get("prompt"))
        is_streamed, wants_usage = stream_options(body)
        max_tokens = whole_number(body, "max_tokens", least=0)
        identity = parts[0] if len(parts) == 1 else orjson.dumps(parts).decode()
        return SimulatedRequest(
            endpoint=self.NAME,
            body=body,
            model=body.get("model") or "",
            prompt=parts[-1],
            identity=identity,
            parts=tuple(parts),
            prompt_tokens=sum(count_tokens(part) for part in parts),
            max_tokens=_DEFAULT_MAX_TOKENS if max_tokens is None else max_tokens,
            samples=(whole_number(body, "n") or 1) * len(parts),
            stop=stop_texts(body),
            is_streamed=is_streamed,
            wants_usage=wants_usage,
            top_logprobs=whole_number(body, "logprobs", least=0),
        )

    def choice(self, request: SimulatedRequest, index: int, choice: Choice) -> dict[str, Any]:
        """Return a text, after its prompt where that is to be echoed."""
        before = _echo(request, index)
        token_texts = [*tokens_of(before), *choice.token_texts]
        return {
            "text": before + (choice.text if choice.has_content else ""),
            "index": index,
            "logprobs": _text_logprobs(request, token_texts, count_tokens(before)),
            "finish_reason": choice.finish_reason,
        }

    def deltas(
        self, request: SimulatedRequest, index: int, choice: Choice
    ) -> Iterator[tuple[_Delta, object]]:
        """Yield the text token by token, after the prompt where that is to be echoed."""
        for number, piece in enumerate((*tokens_of(_echo(request, index)), *choice.token_texts)):
            yield {"text": piece}, _text_logprobs(request, [piece], 0, first=number)

    def chunk_choice(self, index: int, delta: _Delta) -> dict[str, Any]:
        """Return the choice in a chunk, without log-probabilities and reason."""
        return {**delta, "index": index}


def _prompts(prompt: object) -> list[str]:
    """Return the prompts as texts: one, several, or either as lists of token numbers."""
    if isinstance(prompt, str):
        return [prompt]
    if isinstance(prompt, list) and prompt:
        if all(isinstance(each, str) for each in prompt):
            return list(prompt)
        if all(isinstance(each, int) for each in prompt):
            return [text_of_tokens(prompt)]
        if all(isinstance(each, list) for each in prompt):
            return [text_of_tokens(each) for each in prompt]
    raise Rejected("Missing required parameter: 'prompt'.", "prompt")


def _echo(request: SimulatedRequest, index: int) -> str:
    """Return the prompt that stands before a choice: the one it answers, or nothing."""
    if request.body.get("echo") is not True:
        return ""
    return request.parts[index * len(request.parts) // request.samples]


def _text_logprobs(
    request: SimulatedRequest, token_texts: Sequence[str], echoed: int, *, first: int = 0
) -> dict[str, Any] | None:
    """Return log-probabilities in this API's shape; an echoed first token has none."""
    if request.top_logprobs is None:
        return None
    values = [logprob(request, position) for position, _ in enumerate(token_texts, first)]
    known: list[float | None] = [
        None if echoed and position == 0 else value for position, value in enumerate(values)
    ]
    offsets, offset = [], 0
    for piece in token_texts:
        offsets.append(offset)
        offset += len(piece)
    tops = [
        None if value is None else {piece: value}
        for piece, value in zip(token_texts, known, strict=True)
    ]
    return {
        "tokens": list(token_texts),
        "token_logprobs": known,
        "top_logprobs": tops if request.top_logprobs else None,
        "text_offset": offsets,
    }


CHAT, TEXT = _Chat(), _Text()
