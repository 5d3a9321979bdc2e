"""Values that all rooms share: slotted, and never changed once they are made.

Those that are made for every row are not frozen, though they are as unchanging: a frozen one
takes three times as long to make, and three of them a row were a tenth of a cached row's cost.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Self, TypeVar, cast

import orjson

from llmnb.errors import LLMNBError
from llmnb.rates import Burst

Quality = Literal["good", "truncated", "broken", "refused", "filtered", "empty", "unknown"]
"""What an answer is worth; only "good" ones are served from the store without a word.

``truncated`` at a longest length, ``broken`` off for another cause, ``empty`` of any answer,
``unknown`` where it ended for a reason that is in no table of `llmnb.wire.ends`.
"""

Source = Literal["sent", "cached", "reused", "merged"]
"""Where an answer came from: a request, the own project, another one, a twin in flight."""


SIMULATED = "x-llmnb-simulated"
"""Header that marks the replies of the simulated provider."""

REQUEST_SECONDS = 600.0
"""How long a whole request may take, from its first byte to the last one of its reply."""

T = TypeVar("T")


class _Uncopied:
    """A value whose copies are itself."""

    __slots__ = ()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self


class Secret(_Uncopied, str):
    """A key, or a header with one: text that is not shown and does not travel.

    It is sent and compared as the text it is. Its repr is masked, so that neither `vars` nor a
    traceback with its variables shows it, and in a pickle None stands in its place: who loads
    that looks for a key of their own.

    Example:
        >>> import pickle
        >>> key = Secret("sk-abc")
        >>> key, key == "sk-abc", pickle.loads(pickle.dumps([key]))
        (***, True, [None])
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "***"

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        return _no_secret, ()


class SecretBytes(bytes):
    """The bytes of a request's head, in which a key stands; not shown."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "b'***'"


class SecretURL(_Uncopied, str):
    """An address with a key, a user or a password in it: these are not shown and do not travel.

    It is asked and compared as the address it is. Its repr shows "***" in their place, and a
    pickle is without them.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(shown_url(self))

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        return str, (shown_url(self, hidden=""),)


def secret_url(url: T) -> T:
    """Return an address whose repr hides what is secret in it; any other as it is.

    Example:
        >>> secret_url("https://host/v1?key=abc")
        'https://host/v1?key=***'
        >>> type(secret_url("https://host/v1")).__name__
        'str'
    """
    if not isinstance(url, str) or isinstance(url, SecretURL) or not ("?" in url or "@" in url):
        return url
    return url if shown_url(url) == url else cast(T, SecretURL(url))


def shown_url(url: str, *, hidden: str = "***") -> str:
    """Return an address without its user, password and what its query says.

    Args:
        url: The address.
        hidden: What stands in their place; empty leaves out what looks like a secret by its name,
            and what has none.

    Example:
        >>> shown_url("https://me:pw@host/v1?api-version=2024-10-21&key=abc")
        'https://***@host/v1?api-version=2024-10-21&key=***'
        >>> shown_url("https://me:pw@host/v1?key=abc", hidden="")
        'https://host/v1'
    """
    front, mark, query = url.partition("?")
    scheme, slashes, rest = front.rpartition("://")
    host, slash, path = rest.partition("/")
    _, at, host = host.rpartition("@")
    if at and hidden:
        host = f"{hidden}@{host}"
    front = f"{scheme}{slashes}{host}{slash}{path}"
    if not mark:
        return front
    parts = []
    for part in query.split("&"):
        name, has_value, _ = part.partition("=")
        if has_value and name.lower() in _SHOWN_IN_A_QUERY:
            parts.append(part)
        elif hidden:
            parts.append(f"{name}={hidden}" if has_value else hidden)
        elif has_value and not _NAMES_A_SECRET.search(name):
            parts.append(part)
    return f"{front}?{'&'.join(parts)}" if parts else front


_SHOWN_IN_A_QUERY = ("api-version", "alt", "beta")
_NAMES_A_SECRET = re.compile(r"(?i)key|token|secret|sig|auth|pass|pw|code|cred|login|user")


def secret(text: str | None) -> Secret | None:
    """Return a text whose repr hides it; None stays None.

    Example:
        >>> secret("k"), secret(None)
        (***, None)
    """
    if not isinstance(text, str) or isinstance(text, Secret):
        return text
    return Secret(text)


def _no_secret() -> None:
    """Return None, which replaces a secret in a pickle."""


class UnchosenLength(int):
    """A longest answer that llmnb filled in because the protocol demands one.

    It travels like any number and says that the caller did not choose it: an
    answer that ends there is cut off, not what was asked for.

    Example:
        >>> UnchosenLength(4096) + 0
        4096
    """

    __slots__ = ()


@dataclass(slots=True, kw_only=True)
class Usage:
    """Tokens one call consumed, as the provider billed them."""

    prompt: int = 0
    """Input tokens; cached ones are counted here too."""

    completion: int = 0
    """Output tokens; hidden reasoning is counted here too."""

    cache_read: int = 0
    """Input tokens that the provider served from its own prompt cache."""

    cache_write: int = 0
    """Input tokens that the provider wrote to its own prompt cache."""

    reasoning: int = 0
    """Output tokens of hidden reasoning."""

    unknown: tuple[str, ...] = field(default=(), repr=False)
    """Which of ``prompt`` and ``completion`` the reply does not tell; they stand here as 0."""

    cache_write_hour: int = field(default=0, repr=False)
    """Those of `cache_write` that are kept for an hour, which costs more."""

    tier: str | None = field(default=None, repr=False)
    """Service tier that the reply names, such as ``"flex"``; None where it names none."""

    usd: float | None = field(default=None, repr=False)
    """Dollars that the reply itself says it cost; None where it says nothing."""

    @property
    def total(self) -> int:
        """Input and output tokens together, as far as they are known."""
        return self.prompt + self.completion

    @property
    def known_prompt(self) -> int | None:
        """Input tokens; None where the reply does not tell them."""
        return None if "prompt" in self.unknown else self.prompt

    @property
    def known_completion(self) -> int | None:
        """Output tokens; None where the reply does not tell them."""
        return None if "completion" in self.unknown else self.completion


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One function the model wants called, its arguments still text."""

    id: str
    name: str
    arguments: str
    signature: str | None = field(default=None, repr=False)
    """Gemini's sealed thoughts before the call, to be handed back with it; else None."""

    kind: Literal["function", "custom"] = field(default="function", repr=False)
    """What is called: a function, with JSON, or a custom tool of OpenAI's, with any text."""


class AssistantTurn(dict[str, Any]):
    """A turn of a conversation with fields that only who gave them understands.

    They are sent to the provider that gave them, and left out elsewhere.

    Example:
        >>> turn = AssistantTurn({"role": "assistant", "reasoning_content": "…"})
        >>> turn.handed_back, turn.provider = ("reasoning_content",), "deepseek"
        >>> turn.without_thoughts()
        {'role': 'assistant'}
    """

    __slots__ = ("handed_back", "provider")

    handed_back: tuple[str, ...]
    """Names of those fields."""

    provider: str | None
    """Catalog name of who gave them."""

    def without_thoughts(self) -> dict[str, Any]:
        """Return the turn without those fields; its calls without what their provider sealed."""
        turn = {name: value for name, value in self.items() if name not in self.handed_back}
        if calls := turn.get("tool_calls"):
            turn["tool_calls"] = [
                {name: value for name, value in call.items() if name != "extra_content"}
                for call in calls
            ]
        return turn


@dataclass(slots=True, kw_only=True)
class Reply:
    """What one dialect read out of one raw reply."""

    text: str
    """The answer; empty when the model only called tools."""

    finish_reason: str | None = None
    """Why it ended, in the provider's word."""

    quality: Quality = "good"
    """What the answer is worth, judged from `finish_reason` and refusal fields."""

    model: str | None = None
    """Model the provider says has answered."""

    response_id: str | None = None
    """The provider's name for the reply."""

    usage: Usage | None = None
    """None when the reply does not say."""

    texts: tuple[str, ...] = ()
    """All answers where `n` asked for several; else empty."""

    ends: tuple[tuple[str | None, Quality], ...] = ()
    """Why each of them ended, and what it is worth; `quality` is that of the worst."""

    tool_calls: tuple[ToolCall, ...] = ()
    handed_back: Mapping[str, Any] | None = None
    """Where tools are called, what the provider wants back with the turn: its thoughts, signed."""

    reasoning: str | None = None
    commentary: str | None = None
    """What the model says of its work on the way to the answer, where it marks that as such."""

    logprobs: Any = None
    """Log-probabilities in the provider's own shape; None when not asked for."""

    vectors: tuple[bytes, ...] = field(default=(), repr=False)
    """One vector for each text that was embedded: little-endian numbers of 32 bits.

    Empty where the reply has none for a text, or one that is not made of finite numbers.

    That is a sixth of what a list of floats takes. `numpy.frombuffer(vector, "<f4")`
    reads one without copying it; `llmnb.wire.openai_embeddings.numbers` without numpy.
    """

    raw: bytes = field(default=b"", repr=False)
    """The reply as it came."""

    @property
    def body(self) -> dict[str, Any]:
        """The whole reply, parsed anew each time.

        A hundred thousand rows hold bytes instead of a million small objects,
        and nobody's change reaches another row or the cache.
        """
        parsed: dict[str, Any] = orjson.loads(self.raw)
        return parsed


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """One piece of a streamed answer."""

    text: str = ""
    reasoning: str = ""
    commentary: str = ""
    """What the model says of its work; no part of the answer."""

    attempt: int = 1
    """Which of the row's requests it belongs to: a new number begins the answer anew."""


@dataclass(slots=True, kw_only=True)
class RawReply:
    """One HTTP reply, read whole."""

    status: int
    headers: Mapping[str, str]
    """To be looked up by names in lower case."""

    body: bytes
    """Decoded body; for a stream, the body that the same request unstreamed would have had."""

    first_token_seconds: float | None = None
    """Seconds from sending to the first token; None when not streamed."""

    seconds: float = 0.0
    """Seconds from sending to the last byte."""


KindOfLimit = Literal["requests", "tokens", "input", "output"]
"""What a limit counts; `input` and `output` are tokens that are counted apart."""


class LimitReport(NamedTuple):
    """How one limit stands, as a reply's headers tell it; None where they are silent."""

    kind: KindOfLimit

    limit: float | None
    """Most in a period."""

    left: float | None
    """What remained of it when the request had been counted."""

    reset: float | None
    """Seconds until it is whole again, or until its window ends."""

    period: float = 60.0
    """Seconds."""

    grain: float = 1.0
    """The steps in which `left` is reported."""

    out_by: float = 0.0
    """Seconds by which `reset` may be too long or too short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits on the requests to one target; None means that a limit is not known."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    concurrency: int | None = None
    """Most requests in flight at once."""

    even: bool = False
    """Whether requests are evenly spaced, never two at once (`max_rps=True`)."""

    burst: Burst = "announced"
    """How fast the remainder that a server announces is spent."""

    @property
    def has_rate(self) -> bool:
        """Whether requests or tokens per minute are limited."""
        return self.requests_per_minute is not None or self.tokens_per_minute is not None

    def intersect(self, other: Limits) -> Limits:
        """Return the limits that keep to both: of each pair the stricter one.

        A limit that only one of the two knows applies as it is.

        Example:
            >>> slow = Limits(requests_per_minute=6, concurrency=2)
            >>> both = Limits(requests_per_minute=60).intersect(slow)
            >>> both.requests_per_minute, both.concurrency, both.tokens_per_minute
            (6, 2, None)
        """
        return Limits(
            requests_per_minute=_least(self.requests_per_minute, other.requests_per_minute),
            tokens_per_minute=_least(self.tokens_per_minute, other.tokens_per_minute),
            concurrency=_least(self.concurrency, other.concurrency),
            even=self.even or other.even,
            burst="smooth" if "smooth" in (self.burst, other.burst) else "announced",
        )


Number = TypeVar("Number", int, float)


def _least(first: Number | None, second: Number | None) -> Number | None:
    """Return the smaller number; None counts as no limit."""
    if first is None or second is None:
        return second if first is None else first
    return min(first, second)


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What became of one input: an answer or a typed error, never neither."""

    row: int
    """Position of the input, from 0."""

    reply: Reply | None = None
    error: LLMNBError | None = None
    key: str | None = None
    """Key of the answer in the store; None when the input never became a request."""

    provider: str | None = None
    model: str | None = None
    """Model that answered, as it was asked for."""

    source: Source = "sent"
    simulated: bool = False
    """Whether `llmnb.testing` answered."""

    usd: float | None = None
    """What this row cost now: 0 when cached or merged; None when the price is unknown."""

    saved_usd: float | None = None
    """What a cached or merged row would have cost; None when unknown or sent."""

    seconds: float | None = None
    """From the row's first dispatch to its last byte; None when nothing was sent."""

    first_token_seconds: float | None = None
    attempts: int = 0
    """Requests sent for this row."""

    hedged: bool = False
    """Whether redundant requests were sent for it."""

    value: Any = None
    """What a structured answer holds; None where no structure was asked for."""

    metadata: Any = None
    """Handed through untouched from the input."""

    tag: Any = None
    """The door's own mark on the input, handed through untouched."""

    @property
    def text(self) -> str | None:
        """The answer, or None where the row failed."""
        return None if self.reply is None or self.error is not None else self.reply.text

    @property
    def is_answer(self) -> bool:
        """Whether the row has an answer and no error."""
        return self.reply is not None and self.error is None

    @property
    def is_cached(self) -> bool:
        """Whether nothing was sent for this row."""
        return self.source != "sent"
