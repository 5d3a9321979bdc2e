"""Make the simulated provider's answers: the same text to the same prompt, cut as asked.

`WholeAnswer` knows nothing of any API's shape; the endpoints write it down.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from llmnb.errors import ConfigurationError
from llmnb.testing.documents import asked_schema, document
from llmnb.testing.faults import Bend
from llmnb.testing.request import (
    CHARACTERS_PER_TOKEN,
    SimulatedRequest,
    count_tokens,
    mix,
    tokens_of,
    uniform,
)

Message = str | Mapping[str, Any]
"""An answer's text, or the fields of the assistant's message: `content`,
`tool_calls`, `refusal`, `reasoning_content`, and `finish_reason`."""

Replier = Callable[[SimulatedRequest, str], Message]
"""Makes the answer to one prompt of a request."""

_VOCABULARY = (
    "amber", "basin", "cedar", "delta", "ember", "field", "glass", "harbor", "island", "jasper",
    "kettle", "lantern", "meadow", "needle", "orchard", "paper", "quartz", "river", "signal",
    "timber", "umber", "valley", "willow", "yellow", "anchor", "bridge", "candle", "dune",
    "engine", "feather", "garden", "hollow", "iron", "journey", "kernel", "ladder", "marble",
    "nest", "ocean", "pebble", "quiet", "ribbon", "silver", "thread", "unity", "velvet",
    "window", "zephyr", "autumn", "beacon", "copper", "distant", "early", "forest", "gentle",
    "humble", "inner", "jolly", "keen", "little", "mellow", "narrow", "open", "plain",
)  # fmt: skip
_LOGPROB = 4
"""Purpose of the draws that make log-probabilities."""


@dataclass(frozen=True, slots=True)
class AnswerPart:
    """A part of an answer: what the model thought, said, refused or called."""

    kind: Literal["thought", "text", "refusal", "call"]
    text: str
    """The words; of a call its arguments, as JSON."""

    call_id: str = ""
    name: str = ""
    """The function that is called."""


@dataclass(slots=True)
class AnswerChoice:
    """One answer to one prompt."""

    text: str | None
    """None: the content is null."""

    finish_reason: str
    extra: Mapping[str, Any]
    """Further fields of the message, such as `tool_calls`."""

    stopped_at: str | None = None
    """The stop word that it was cut at."""

    @property
    def tokens(self) -> int:
        """Output tokens of this answer."""
        return count_tokens(self.text or "") + sum(
            count_tokens(str(value)) for value in self.extra.values()
        )

    @property
    def token_texts(self) -> list[str]:
        """The text, token by token."""
        return tokens_of(self.text or "")

    @property
    def parts(self) -> list[AnswerPart]:
        """The parts of the answer, in the order in which a model makes them."""
        calls = self.extra.get("tool_calls") or ()
        parts = []
        if thought := self.extra.get("reasoning_content"):
            parts.append(AnswerPart("thought", thought))
        if self.text or (self.text is not None and not calls):
            parts.append(AnswerPart("text", self.text))
        if refusal := self.extra.get("refusal"):
            parts.append(AnswerPart("refusal", refusal))
        for call in calls:
            function = call["function"]
            parts.append(
                AnswerPart("call", function["arguments"] or "{}", call["id"], function["name"])
            )
        return parts


@dataclass(slots=True)
class WholeAnswer:
    """The contents of a reply, whatever its API."""

    choices: list[AnswerChoice]
    prompt_tokens: int
    completion_tokens: int
    has_usage: bool = True
    """False: the usage is left out."""

    has_choices: bool = True
    """False: what was answered is left out."""


def default_reply(request: SimulatedRequest, prompt: str) -> str:
    """Return a short sentence that depends on the seed and the prompt only.

    To a request with a JSON schema it is a document that fits, in OpenAI's chat completions.

    Example:
        >>> request = SimulatedRequest(
        ...     endpoint="text", body={}, model="sim", prompt="Hi", identity="Hi"
        ... )
        >>> default_reply(request, "Hi") == default_reply(request, "Hi")
        True
    """
    return _own_answer(request, 0, 0)


def _own_answer(request: SimulatedRequest, position: int, sample: int) -> str:
    """Return a sentence, or a document that fits the schema that the request has."""
    bits = mix(request.digest + position ^ mix(request.seed ^ (sample << 32)))
    if (schema := asked_schema(request.body)) is None:
        return _sentence(bits)
    return orjson.dumps(document(schema, bits, _sentence)).decode()


def _sentence(bits: int) -> str:
    # Six bits choose one of 64 words.
    sentence = [_VOCABULARY[bits >> shift & 63] for shift in (0, 6, 12, 18, 24)]
    length = 5 if bits >> 30 & 1 else 3
    return f"{' '.join(sentence[:length]).capitalize()}."


def as_replier(reply: object) -> Replier | None:
    """Return what `SimulatedProvider(reply=...)` was given as a function.

    Args:
        reply: None for sentences of its own; a text for everybody; a mapping
            from prompts to texts; or a function of the prompt, or of the
            prompt and the `SimulatedRequest`.

    Raises:
        ConfigurationError: If it is none of these.

    Example:
        >>> request = SimulatedRequest(
        ...     endpoint="text", body={}, model="sim", prompt="Hi", identity="Hi"
        ... )
        >>> as_replier(str.upper)(request, "Hi")
        'HI'
    """
    if reply is None:
        return None
    if isinstance(reply, str):
        return lambda request, prompt: reply
    if isinstance(reply, Mapping):
        return lambda request, prompt: reply.get(prompt, default_reply(request, prompt))
    if not callable(reply):
        raise ConfigurationError(
            f"reply is a text, a mapping from prompts to texts, or a function, got {reply!r}"
        )
    if _takes_two(reply):
        return lambda request, prompt: reply(prompt, request)
    return lambda request, prompt: reply(prompt)


def _takes_two(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some built-ins tell no signature: str.upper does, str doesn't
        return False
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [each for each in parameters if each.kind in kinds and each.default is each.empty]
    return len(needed) >= 2


def make_answer(
    request: SimulatedRequest, replier: Replier | None, bend: Bend | None = None
) -> WholeAnswer:
    """Return the answer to a request.

    Args:
        request: What was asked.
        replier: Makes the texts; None makes sentences.
        bend: A scripted way in which the answer is not as it should be.
    """
    choices = []
    prompts = request.parts or (request.prompt,)
    each = request.samples // len(prompts)
    for position, prompt in enumerate(prompts):
        for sample in range(each):
            if replier is None:
                message: Message = _own_answer(request, position, sample)
            else:
                message = replier(request, prompt)
            choices.append(_choice(request, message))
    answer = WholeAnswer(choices, request.prompt_tokens, 0)
    if bend is not None:
        _bend(answer, bend)
    answer.completion_tokens = sum(choice.tokens for choice in answer.choices)
    return answer


def _choice(request: SimulatedRequest, message: Message) -> AnswerChoice:
    extra = dict(message) if isinstance(message, Mapping) else {"content": message}
    content = extra.pop("content", None)
    if not isinstance(content, str) and (content is not None or not isinstance(message, Mapping)):
        raise ConfigurationError(
            f"reply returns a text, or the fields of a message, and not {message!r}"
        )
    reason = extra.pop("finish_reason", None)
    text, cut_reason, stop = _cut(request, content or "")
    if reason is None:
        reason = "tool_calls" if extra.get("tool_calls") else cut_reason
    return AnswerChoice(None if content is None else text, reason, extra, stopped_at=stop)


def _cut(request: SimulatedRequest, text: str) -> tuple[str, str, str | None]:
    """Cut a text at its stop words and at the token limit, whichever comes first."""
    stopped_at = None
    for stop in request.stop:
        position = text.find(stop) if stop else -1
        if position >= 0:
            text, stopped_at = text[:position], stop
    if request.max_tokens is not None:
        room = request.max_tokens * CHARACTERS_PER_TOKEN
        if len(text) > room:
            return text[:room], "length", None
    return text, "stop", stopped_at


def _bend(answer: WholeAnswer, bend: Bend) -> None:
    answer.has_usage = bend.has_usage
    answer.has_choices = bend.has_choices
    if not bend.has_choices:
        answer.choices = []
    for choice in answer.choices:
        if bend.finish_reason is not None:
            choice.finish_reason = bend.finish_reason
        if bend.refusal is not None:
            choice.extra = {**choice.extra, "refusal": bend.refusal}
        if not bend.has_content:
            choice.text = None


def logprob(request: SimulatedRequest, position: int, rank: int = 0) -> float:
    """Return the log-probability of a token, or of its rank-th alternative."""
    draw = uniform(request.seed, request.digest + position, _LOGPROB)
    return round(-2.0 * draw - 1.5 * rank, 6)


def token_logprobs(
    request: SimulatedRequest, token_texts: Iterable[str], first: int = 0
) -> list[dict[str, Any]]:
    """Return the log-probabilities of tokens with their alternatives, in OpenAI's shape.

    Args:
        request: What was asked, with the number of alternatives.
        token_texts: The tokens.
        first: Number of the first among those of the answer.
    """

    def shown(text: str, number: int, rank: int) -> dict[str, Any]:
        value = logprob(request, number, rank)
        return {"token": text, "logprob": value, "bytes": list(text.encode("utf-8", "replace"))}

    return [
        {
            **shown(token, number, 0),
            "top_logprobs": [
                shown(f"{token}~{rank}" if rank else token, number, rank)
                for rank in range(request.top_logprobs or 0)
            ],
        }
        for number, token in enumerate(token_texts, first)
    ]
