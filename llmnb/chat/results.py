"""`LLMResult`: the answer to one question with its figures, or a typed error."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from llmnb.chat.messages import Message
from llmnb.display.money import usd
from llmnb.display.texts import cut
from llmnb.errors import BadReply, LLMNBError
from llmnb.records import Outcome, Reply, ToolCall, Usage
from llmnb.wire.untrusted import list_in

TokenLogprobs: TypeAlias = tuple[tuple[tuple[str, float], ...], ...]
"""For each token of the answer the likeliest ones there, each with its log-probability."""

_MAX_SHOWN = 500
"""Characters of an answer in a repr."""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LLMResult:
    """One answer; ``str()`` is its text.

    Of `LLMModel.acompletion_iter` each result but the last is a piece: its text is what has
    just come. The last has no text of its own; its `messages` hold the whole answer.

    Example:
        >>> result = LLMResult(text="42", provider="openai", model="gpt-4o", prompt_count=9,
        ...                    completion_count=1, cost=0.25)
        >>> str(result), result
        ('42', <LLMResult '42', openai/gpt-4o, 9 + 1 tokens, $0.25>)
    """

    id: str = dataclasses.field(default_factory=lambda: str(uuid.uuid4()))
    """A name of its own, made here."""

    name: str | None = None
    """The caller's mark, from `LLMModel.call`."""

    config: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)
    """The settings of the model; never a key."""

    prompt: tuple[Message, ...] = dataclasses.field(default=(), repr=False)
    """The conversation that was asked."""

    text: str | None = None
    """The answer; None where there is none."""

    messages: tuple[Message, ...] = dataclasses.field(default=(), repr=False)
    """The answer as turns that can be added to the conversation."""

    prompt_count: int | None = None
    """Input tokens, as billed; None where the provider does not report them."""

    completion_count: int | None = None
    """Output tokens, as billed, hidden reasoning included."""

    model: str | None = None
    """Model that answered, as it was asked for."""

    provider: str | None = None
    """Catalog name of the provider that answered."""

    date: str = dataclasses.field(default_factory=_now)
    """When it came, in ISO 8601 and UTC."""

    cache_read_tokens: int | None = None
    """Input tokens that the provider served from its own prompt cache."""

    cache_creation_tokens: int | None = None
    """Input tokens that it wrote there."""

    cost: float | None = None
    """US dollars paid now: 0.0 from llmnb's own store, None when the price is not known."""

    seconds_to_first_token: float | None = None
    """None where the answer was not streamed."""

    seconds_to_last_token: float | None = None
    """None where nothing was sent."""

    logprob: float | None = None
    """Log-probability of the whole answer, where it was asked for."""

    top_logprobs: TokenLogprobs | None = None
    """The likeliest tokens at each place, where they were asked for."""

    reasoning_content: str | None = None
    """The reasoning that the model showed before its answer."""

    commentary: str | None = None
    """Remarks of the model on its work, where it marks them as such."""

    finish_reason: str | None = None
    """Why it ended, in the provider's word."""

    tool_calls: tuple[ToolCall, ...] = ()
    """The calls of tools that the model asks for."""

    response_id: str | None = None
    """The provider's name for the reply."""

    error: LLMNBError | None = None
    """Why there is no good answer."""

    value: Any = None
    """The value of a structured answer; None where no structure was asked for."""

    key: str | None = None
    """Key of the answer in the project's store."""

    cached: bool = False
    """Whether nothing was sent for it."""

    simulated: bool = False
    """Whether `llmnb.testing` answered."""

    restarted: bool = False
    """Of a piece: what came before it belongs to an answer that broke off, and is void."""

    def __str__(self) -> str:
        return self.text or ""

    def __repr__(self) -> str:
        parts = ["no answer" if self.text is None else repr(cut(self.text, _MAX_SHOWN))]
        if self.tool_calls:
            parts.append(f"calls {', '.join(repr(call.name)[1:-1] for call in self.tool_calls)}")
        if self.error is not None:
            parts.append(type(self.error).__name__)
        if self.model:
            parts.append(f"{self.provider}/{self.model}" if self.provider else self.model)
        if self.prompt_count is not None and self.completion_count is not None:
            parts.append(f"{self.prompt_count:,} + {self.completion_count:,} tokens")
        if self.cached:
            parts.append("from the store")
        elif self.cost is not None:
            parts.append(usd(self.cost))
        if self.simulated:
            parts.append("simulated")
        return f"<LLMResult {', '.join(parts)}>"

    @property
    def is_answer(self) -> bool:
        """Whether it has a good answer."""
        return self.error is None


def result_of(
    outcome: Outcome,
    *,
    prompt: tuple[Message, ...] = (),
    name: str | None = None,
    config: Mapping[str, Any] | None = None,
) -> LLMResult:
    """Return an outcome of a run as a result.

    Args:
        outcome: What became of the row.
        prompt: What was asked.
        name: The caller's mark.
        config: How the model is set; fields that hold keys are left out.

    Example:
        >>> from llmnb.records import Reply
        >>> result_of(Outcome(row=0, reply=Reply(text="Four.")), name="sum").name
        'sum'
    """
    reply = outcome.reply or Reply(text="")
    has_reply = outcome.reply is not None
    usage = reply.usage
    if usage is None and has_reply and outcome.is_cached:
        usage = Usage(prompt=0, completion=0)
    counts: dict[str, Any] = {}
    if usage is not None:
        counts = {
            "prompt_count": usage.known_prompt,
            "completion_count": usage.known_completion,
            "cache_read_tokens": usage.cache_read,
            "cache_creation_tokens": usage.cache_write,
        }
    answer = Message(
        content=reply.text or None,
        role="assistant",
        tool_calls=reply.tool_calls,
        handed_back=reply.handed_back or {},
        provider=outcome.provider if reply.tool_calls else None,
    )
    return LLMResult(
        name=name,
        config=without_keys(config or {}),
        prompt=prompt,
        text=reply.text if has_reply else None,
        messages=(answer,) if has_reply else (),
        model=outcome.model,
        provider=outcome.provider,
        **counts,
        cost=outcome.usd,
        seconds_to_first_token=outcome.first_token_seconds,
        seconds_to_last_token=outcome.seconds,
        logprob=total_logprob(reply.logprobs),
        top_logprobs=top_logprobs(reply.logprobs),
        reasoning_content=reply.reasoning,
        commentary=reply.commentary,
        finish_reason=reply.finish_reason,
        tool_calls=reply.tool_calls,
        response_id=reply.response_id,
        error=outcome.error,
        value=outcome.value,
        key=outcome.key,
        cached=outcome.is_cached,
        simulated=outcome.simulated,
    )


def checked_results(results: Any, model: str) -> Sequence[LLMResult]:
    """Return what a model of somebody's own class has returned, once it is found to be results.

    Args:
        results: What it returned.
        model: Name of its class.

    Raises:
        BadReply: If it is no list of results, or one of them has a value of a wrong kind.
    """
    if not isinstance(results, list | tuple) or not all(
        isinstance(result, LLMResult) for result in results
    ):
        raise BadReply(
            f"{model}.acompletion returned {type(results).__name__}, and not a list of LLMResult. "
            "Nothing was kept for this row."
        )
    for result in results:
        for name, kind in _KINDS.items():
            if (value := getattr(result, name)) is not None and not _fits(value, kind):
                raise BadReply(
                    f"{model}.acompletion returned an LLMResult whose {name} is "
                    f"{cut(repr(value), 60)}. Nothing was kept for this row."
                )
    return results


def _fits(value: Any, kind: Any) -> bool:
    if kind in (ToolCall, Message):
        return isinstance(value, list | tuple) and all(isinstance(inner, kind) for inner in value)
    return isinstance(value, kind) and not (kind in (int, int | float) and not 0 <= value < 2**53)


_KINDS: Mapping[str, Any] = {
    **dict.fromkeys(("text", "model", "reasoning_content", "finish_reason", "response_id"), str),
    **dict.fromkeys(("prompt_count", "completion_count", "cache_read_tokens"), int),
    **{"cost": int | float, "tool_calls": ToolCall, "messages": Message, "error": LLMNBError},
}
"""The kind of a field's value, or of the values in its list, where it is not None."""


_SECRETS = ("api_key", "key", "token", "password", "secret", "authorization", "headers")


def without_keys(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings without fields that may hold a key, at any depth.

    Example:
        >>> without_keys({"temperature": 0, "api_key": "k", "inner": [{"aws_secret": "s"}]})
        {'temperature': 0, 'inner': [{}]}
    """
    return {name: _clean(value) for name, value in config.items() if not names_secret(name)}


def names_secret(name: Any) -> bool:
    """Return whether a field of that name in a config may hold a key."""
    lower = str(name).lower()
    if lower in ("max_tokens", "max_token", "stop_tokens"):
        return False
    return lower.startswith("aws_") or lower.endswith(_SECRETS)


def _clean(value: Any) -> Any:
    if isinstance(value, Mapping):
        return without_keys(value)
    if isinstance(value, (list, tuple)):
        return [_clean(item) for item in value]
    return value


# --------------------------------------------------------------------------- log-probabilities


def total_logprob(logprobs: Any) -> float | None:
    """Return the log-probability of a whole answer: the sum over its tokens; None if unknown.

    Example:
        >>> total_logprob({"content": [{"logprob": -0.5}, {"logprob": -1}]})
        -1.5
    """
    chosen, _ = _by_token(logprobs)
    values = [value for _, value in _pairs(chosen)]
    return sum(values) if values else None


def top_logprobs(logprobs: Any) -> TokenLogprobs | None:
    """Return the likeliest tokens at each place of an answer; None where they are unknown.

    Example:
        >>> top_logprobs({"content": [{"token": "a", "logprob": -0.5, "top_logprobs": [
        ...     {"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -2.0}]}]})
        ((('a', -0.5), ('b', -2.0)),)
    """
    _, alternatives = _by_token(logprobs)
    pairs = tuple(_pairs(candidates) for candidates in alternatives)
    return pairs if any(pairs) else None


def _by_token(logprobs: Any) -> tuple[list[Any], list[Any]]:
    """Return the tokens of the answer and each token's alternatives, for any API."""
    chosen = logprobs if isinstance(logprobs, list) else []  # OpenAI's responses
    if isinstance(logprobs, dict):
        if values := list_in(logprobs, "token_logprobs"):  # text completions
            return [{"logprob": value} for value in values], list_in(logprobs, "top_logprobs")
        # OpenAI's chat; Gemini
        chosen = list_in(logprobs, "content") or list_in(logprobs, "chosenCandidates")
        if alternatives := list_in(logprobs, "topCandidates"):
            return chosen, alternatives
    return chosen, [token.get("top_logprobs") for token in chosen if isinstance(token, Mapping)]


def _pairs(candidates: Any) -> tuple[tuple[str, float], ...]:
    """Return candidates for a token as texts and log-probabilities."""
    pairs: list[tuple[Any, Any]] = []
    if isinstance(candidates, Mapping) and "candidates" in candidates:
        candidates = candidates["candidates"]
    if isinstance(candidates, Mapping):  # text completions: a mapping from tokens to numbers
        pairs = list(candidates.items())
    for candidate in candidates if isinstance(candidates, list) else ():
        if isinstance(candidate, Mapping):
            value = candidate.get("logprob", candidate.get("logProbability"))
            pairs.append((candidate.get("token", ""), value))
    return tuple(
        (str(token), float(value))
        for token, value in pairs
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    )
