"""One request for an answer as the simulated provider understands it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

CHARACTERS_PER_TOKEN = 4
"""The simulated tokenizer cuts a text after every four characters: crude, exact and quick."""


CREATED = 1_700_000_000
"""All replies are made at the same moment, so that equal questions get equal bytes."""


class Rejected(Exception):
    """A body asks for something that cannot be given; becomes an HTTP 400.

    Args:
        message: What is wrong.
        param: Name of the parameter that is wrong.
    """

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


@dataclass(slots=True, eq=False, kw_only=True)
class SimulatedRequest:
    """What rules of faults and replies may look at; nobody changes it."""

    endpoint: str
    """What is asked for: ``"chat"``, ``"text"``, ``"responses"``, ``"embedding"``,
    ``"messages"`` (Anthropic), ``"generate"`` (Gemini)."""

    body: Mapping[str, Any]
    """The whole body."""

    model: str
    prompt: str
    """Text of the last user message, or the prompt: what one would label."""

    identity: str
    """Text by which the ledger knows the prompt: with all messages where there are several."""

    messages: Sequence[Mapping[str, Any]] = ()
    prompt_tokens: int = 0
    max_tokens: int | None = None
    samples: int = 1
    """Answers asked for (`n`), for all prompts together."""

    stop: tuple[str, ...] = ()
    is_streamed: bool = False
    wants_usage: bool = False
    """Whether the stream is to end with the usage."""

    top_logprobs: int | None = None
    """Alternatives to give with each token's log-probability; None asks for none."""

    parts: tuple[str, ...] = ()
    """The prompts, where one request holds several; each gets its own answers."""

    number: int = 0
    """Order of arrival, from 0."""

    time: float = 0.0
    """Seconds since the first request that the provider received."""

    attempt: int = 0
    """Requests with the same prompt before this one."""

    seed: int = 0
    """Seed of the simulation."""

    digest: int = field(default=0, repr=False)
    """The prompt as a number, for draws."""

    @property
    def charged_tokens(self) -> int:
        """Tokens that a limit charges before the answer is known.

        Source:
            OpenAI API guide on rate limits: the larger of `max_tokens` and an
            estimate from the characters of the request.
        """
        return max(self.prompt_tokens, (self.max_tokens or 0) * self.samples)


def count_tokens(text: str) -> int:
    """Return how many tokens a text has here.

    Example:
        >>> count_tokens(""), count_tokens("four"), count_tokens("fours")
        (0, 1, 2)
    """
    return (len(text) + CHARACTERS_PER_TOKEN - 1) // CHARACTERS_PER_TOKEN


def tokens_of(text: str) -> list[str]:
    """Cut a text into its tokens.

    Example:
        >>> tokens_of("Hello there")
        ['Hell', 'o th', 'ere']
    """
    size = CHARACTERS_PER_TOKEN
    return [text[position : position + size] for position in range(0, len(text), size)]


def text_of_tokens(numbers: Iterable[object]) -> str:
    """Return a text for a list of token numbers, which counts as that many tokens.

    Example:
        >>> count_tokens(text_of_tokens([1, 20_000, 3]))
        3
    """
    size = CHARACTERS_PER_TOKEN
    return "".join(f"{number!s:>{size}}"[-size:] for number in numbers)


def joined_texts(parts: Iterable[object]) -> str:
    """Return the texts of a message's parts as one; other parts have none.

    Example:
        >>> joined_texts([{"text": "a"}, {"type": "image"}, {"text": "b"}])
        'ab'
    """
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return "".join(text for text in texts if isinstance(text, str))


def whole_number(body: Mapping[str, Any], name: str, *, least: int = 1) -> int | None:
    """Return a whole number from a body, None where it is not given.

    Raises:
        Rejected: If it is something else or too small.
    """
    if name not in body or (value := body[name]) is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise Rejected(f"Invalid value for '{name}': a whole number from {least} is wanted.", name)
    return value


def stop_texts(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the texts at which an answer is to stop.

    Raises:
        Rejected: If they are neither a text nor a list of at most four.
    """
    value = body.get("stop")
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and len(value) <= 4 and all(isinstance(each, str) for each in value):
        return tuple(value)
    raise Rejected("Invalid value for 'stop': a text or a list of up to four is wanted.", "stop")


def stream_options(body: Mapping[str, Any]) -> tuple[bool, bool]:
    """Return whether a stream is asked for, and whether it is to tell the usage.

    Raises:
        Rejected: If options for a stream come without one.
    """
    is_streamed = body.get("stream") is True
    if "stream_options" not in body or (options := body["stream_options"]) is None:
        return is_streamed, False
    if not is_streamed:
        raise Rejected(
            "'stream_options' is only allowed when 'stream' is enabled.", "stream_options"
        )
    return True, isinstance(options, dict) and options.get("include_usage") is True
