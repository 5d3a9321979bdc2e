"""A request as the simulated provider reads it: its fields, tokens and random draws."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

CHARACTERS_PER_TOKEN = 4
"""The simulated tokenizer cuts a text after every four characters: crude, exact and quick."""

CREATED = 1_700_000_000
"""All replies are made at the same moment, so that equal questions get equal bytes."""

_MASK = (1 << 64) - 1


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


def text_of_tokens(numbers: Iterable[object]) -> str:
    """Return a text for a list of token numbers, which counts as that many tokens.

    Example:
        >>> count_tokens(text_of_tokens([1, 20_000, 3]))
        3
    """
    size = CHARACTERS_PER_TOKEN
    return "".join(f"{number!s:>{size}}"[-size:] for number in numbers)


# ------------------------------------------------------------------------- fields of a body


def joined_texts(parts: Iterable[object]) -> str:
    """Return the texts of a message's parts, joined; other parts have none.

    Example:
        >>> joined_texts([{"text": "a"}, {"type": "image"}, {"text": "b"}])
        'ab'
    """
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return "".join(text for text in texts if isinstance(text, str))


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


def of_turns(
    endpoint: str,
    body: Mapping[str, Any],
    turns: Iterable[tuple[object, str]],
    messages: Sequence[Mapping[str, Any]],
    *,
    identity: Sequence[Any] | None = None,
    more_tokens: int = 0,
    **fields: Any,
) -> SimulatedRequest:
    """Return a request that holds a conversation; each of its turns has three tokens of its own.

    Args:
        endpoint: What is asked for.
        body: The whole body.
        turns: Role and text of each turn. The last text of a user is the prompt; where no user
            speaks, the first text is.
        messages: The turns as the body has them.
        identity: What tells the prompt from others; None: the messages.
        more_tokens: Tokens beside those of the turns.
        **fields: Further fields of the request.

    Example:
        >>> turns = [("user", "Hi"), ("assistant", "Hello")]
        >>> request = of_turns("chat", {}, turns, [])
        >>> request.prompt, request.prompt_tokens
        ('Hi', 9)
    """
    prompt, tokens = "", more_tokens
    for role, text in turns:
        tokens += 3 + count_tokens(text)
        if role == "user" or not prompt:
            prompt = text
    return SimulatedRequest(
        endpoint=endpoint,
        body=body,
        prompt=prompt,
        identity=prompt_text(messages if identity is None else identity),
        messages=messages,
        prompt_tokens=tokens,
        **{"model": body.get("model") or "", **fields},
    )


def whole_number(body: Mapping[str, Any], name: str, *, least: int = 1) -> int | None:
    """Return a whole number from a body, None where the body has none.

    Raises:
        Rejected: If it is something else or too small.
    """
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise Rejected(f"Invalid value for '{name}': a whole number from {least} is wanted.", name)
    return value


def stop_texts(body: Mapping[str, Any], name: str = "stop") -> tuple[str, ...]:
    """Return the texts at which an answer is to stop; OpenAI's ``stop`` may be one text, too.

    Raises:
        Rejected: If they are no such list, or more than four in OpenAI's.
    """
    value, is_openai = body.get(name), name == "stop"
    if value is None:
        return ()
    if is_openai and isinstance(value, str):
        return (value,)
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise Rejected(f"Invalid value for '{name}': a list of texts is wanted.", name)
    if is_openai and len(value) > 4:
        raise Rejected("Invalid value for 'stop': at most four texts are.", name)
    return tuple(value)


def of_prompts(
    endpoint: str, body: Mapping[str, Any], prompts: Sequence[str], **fields: Any
) -> SimulatedRequest:
    """Return a request that holds several prompts, each of which gets answers of its own."""
    return SimulatedRequest(
        endpoint=endpoint,
        body=body,
        model=body.get("model") or "",
        prompt=prompts[-1],
        identity=prompts[0] if len(prompts) == 1 else orjson.dumps(prompts).decode(),
        parts=tuple(prompts),
        prompt_tokens=sum(count_tokens(prompt) for prompt in prompts),
        **fields,
    )


def prompts_in(body: Mapping[str, Any], name: str) -> list[str]:
    """Return a body's prompts as texts: one or several, each a text or a list of token numbers.

    Raises:
        Rejected: If there are none, or they are something else.
    """
    value = body.get(name)
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value:
        if all(isinstance(number, int) for number in value):
            return [text_of_tokens(value)]
        texts = [text_of_tokens(item) if isinstance(item, list) else item for item in value]
        if all(isinstance(text, str) for text in texts):
            return texts
    raise Rejected(f"'{name}' is a text, or a list of texts or tokens.", name)


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
