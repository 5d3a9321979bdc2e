"""A request as the simulated provider reads it: its fields, tokens and random draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

CHARACTERS_PER_TOKEN = 4
"""The simulated tokenizer cuts a text after every four characters: crude, exact and quick."""

CREATED = 1_700_000_000
"""All replies are made at the same moment, so that equal questions get equal bytes."""

_MASK = (1 << 64) - 1


@dataclass(slots=True, eq=False, kw_only=True)
class SimulatedRequest:
    """A request, for rules of faults and for functions that reply; read only.

    Example:
        >>> from llmnb.testing import SimulatedProvider
        >>> def reply(prompt: str, request: SimulatedRequest) -> str:
        ...     return f"{request.model} was asked for the {request.attempt + 1}. time"
        >>> with SimulatedProvider(reply=reply) as sim:
        ...     pass
    """

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


# --------------------------------------------------------------------------------- tokens


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


def prompt_text(prompt: str | Sequence[Any]) -> str:
    """Return the text by which the ledger knows a prompt.

    A conversation of one user message is the same prompt as that message's
    text; any other is known by all its messages.

    Example:
        >>> prompt_text([{"role": "user", "content": "Hello"}])
        'Hello'
    """
    if isinstance(prompt, str):
        return prompt
    if len(prompt) == 1 and isinstance(prompt[0], Mapping):
        message = prompt[0]
        if message.get("role") == "user" and isinstance(message.get("content"), str):
            return str(message["content"])
    return orjson.dumps(prompt, option=orjson.OPT_SORT_KEYS).decode()


# ---------------------------------------------------------------------------------- draws


def mix(value: int) -> int:
    """Return 64 well-stirred bits of an integer.

    Example:
        >>> mix(1) == mix(1), mix(1) == mix(2)
        (True, False)

    Source:
        The finaliser of SplitMix64: G. L. Steele, D. Lea, C. H. Flood,
        *Fast Splittable Pseudorandom Number Generators*, OOPSLA 2014.
    """
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def uniform(seed: int, number: int, purpose: int = 0) -> float:
    """Return a number in (0, 1) that depends on nothing but the arguments.

    Args:
        seed: Seed of the whole simulation.
        number: Which draw, such as the number of a request.
        purpose: Keeps draws for different things apart.

    Example:
        >>> 0.0 < uniform(0, 7) < 1.0
        True
        >>> uniform(0, 7) == uniform(0, 7, purpose=1)
        False
    """
    bits = mix(mix(mix(seed) ^ purpose) ^ number)
    # Half a step is added so that neither end is ever drawn: logarithms stay finite.
    return ((bits >> 11) + 0.5) * 2.0**-53
