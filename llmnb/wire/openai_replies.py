"""What OpenAI's chat and text replies have in common: reading them without trusting them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmnb.errors import BadReply
from llmnb.records import Quality, Usage
from llmnb.wire import ends, json_bytes
from llmnb.wire.classify import error_inside, shown
from llmnb.wire.problem import problem_of
from llmnb.wire.sse import without_done

_LARGEST_COUNT = 2**53
"""More tokens than this are a mistake, not a count."""

_WORST_FIRST: tuple[Quality, ...] = (
    *("refused", "filtered", "broken", "truncated", "empty", "unknown"),
)


def load_object(raw: bytes) -> tuple[dict[str, Any], bytes]:
    """Return a reply's JSON object, which speaks of no error, and bytes that hold it.

    Raises:
        BadReply: If it is no object.
        LLMNBError: Of another type, if it says what went wrong.
    """
    try:
        body, readable = json_bytes.read_with_bytes(raw)
    except json_bytes.NotJSON:
        body, readable = _without_done(raw)
    if not isinstance(body, dict):
        raise _unreadable(raw, f"is a JSON {_KINDS.get(type(body), 'value')}, not an object")
    if body.get("error"):
        raise error_inside(body, raw)
    return body, readable


def _without_done(raw: bytes) -> tuple[Any, bytes]:
    """Read what can be read once the mark of a stream's end behind it is gone."""
    try:
        return json_bytes.read_with_bytes(without_done(raw))
    except json_bytes.NotJSON:
        raise _unreadable(raw, "is not JSON") from None


def load(raw: bytes) -> tuple[dict[str, Any], bytes]:
    """Return a reply's JSON object, which has at least one choice, and bytes that hold it.

    Raises:
        BadReply: If it is no object, or has no choices.
        LLMNBError: Of another type, if it says what went wrong.
    """
    body, readable = load_object(raw)
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        if body.get("object") == "error":
            raise error_inside(body, raw)
        raise _unreadable(raw, "has no choices")
    for choice in choices:
        if type(choice) is not dict:
            raise _unreadable(raw, "has a choice that is no object")
        if choice.get("finish_reason") == "error" or choice.get("error"):
            raise error_inside(choice, raw)
    if len(choices) > 1:
        body["choices"] = sorted(choices, key=index_of)
    return body, readable


_KINDS: dict[type, str] = {
    type(None): "null",
    list: "list",
    str: "text",
    bool: "truth value",
    int: "number",
    float: "number",
}


def unusable(raw: bytes, fault: str) -> BadReply:
    """Return the error for a reply that lacks what an answer needs."""
    return BadReply(
        f"A reply came ({len(raw):,} bytes) that {fault}. It may have been billed; its "
        "bytes are kept with the error, and it is not asked again in this run.",
        status=200,
        raw=raw,
        body=shown(raw),
    )


def _unreadable(raw: bytes, fault: str) -> BadReply:
    if not raw.strip():
        return unusable(raw, "is empty")
    if raw.lstrip()[:1] == b"<":
        said = shown(problem_of(raw).message.encode())[:200]
        return unusable(raw, f"is {said}: is the address right, or does a login stand before it")
    return unusable(raw, fault)


def index_of(choice: Mapping[str, Any]) -> int:
    """Return a choice's place among its siblings."""
    index = choice.get("index")
    return index if type(index) is int else 0


def usage(body: Mapping[str, Any], *, wrote: bool = True) -> Usage | None:
    """Return the tokens a reply says it used; None when it does not say.

    Args:
        body: The reply.
        wrote: Whether it holds an answer, so that its tokens cannot be zero.

    Example:
        >>> usage({"usage": {"prompt_tokens": 3, "completion_tokens": 1}}).total
        4
    """
    found = body.get("usage")
    if not isinstance(found, dict) and not isinstance(found := _of_the_choice(body), dict):
        return None
    read = written = reasoning = usd = None
    # A good count is known by itself: a call for each of them costs more than reading it.
    prompt, completion = found.get("prompt_tokens"), found.get("completion_tokens")
    if type(prompt) is not int or not 0 <= prompt < _LARGEST_COUNT:
        prompt = count(prompt)
    if type(completion) is not int or not 0 <= completion < _LARGEST_COUNT:
        completion = count(completion)
    total = None
    if isinstance(details := found.get("prompt_tokens_details"), dict):
        # Most often 0 or absent: then there is nothing to check.
        read = (value := details.get("cached_tokens")) and count(value)
        written = (value := details.get("cache_write_tokens")) and count(value)
    if not _RARE.isdisjoint(found):
        read = read or next((count(found[name]) for name in _CACHED if name in found), None)
        usd = dollars(found)
    if isinstance(details := found.get("completion_tokens_details"), dict):
        reasoning = (value := details.get("reasoning_tokens")) and count(value)
    if reasoning or not (prompt and completion):  # else the total tells nothing new
        total = count(found.get("total_tokens"))
        if reasoning and prompt and completion is not None and total:
            # xAI counts the reasoning beside the answer; the total tells.
            completion += reasoning if total == prompt + completion + reasoning else 0
    served = body.get("service_tier")
    if served is not None and served != "default":
        served = tier(body)
    if prompt and completion:  # nothing is missing
        return Usage(
            prompt=prompt,
            completion=completion,
            cache_read=read or 0,
            cache_write=written or 0,
            reasoning=reasoning or 0,
            tier=served,
            usd=usd,
        )
    return ends.counted(
        prompt,
        completion,
        total,
        wrote=wrote,
        cache_read=read or 0,
        cache_write=written or 0,
        reasoning=reasoning or 0,
        tier=served,
        usd=usd,
    )


def _of_the_choice(body: Mapping[str, Any]) -> Any:
    """Return the usage that Moonshot's streams put into the last piece of their one choice."""
    choices = body.get("choices")
    if isinstance(choices, list) and len(choices) == 1 and isinstance(choices[0], dict):
        return choices[0].get("usage")
    return None


_CACHED = ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens")
"""Names for tokens from the cache: DeepSeek's, Moonshot's, Mistral's."""

_DOLLARS = ("cost", "cost_in_usd_ticks", "estimated_cost")
"""Names for what a reply has cost."""

_RARE = frozenset((*_CACHED, *_DOLLARS))
"""What the usage of most replies does not hold."""


def tier(body: Mapping[str, Any]) -> str | None:
    """Return the service tier that a reply names in OpenAI's protocols.

    Example:
        >>> tier({"service_tier": "Flex"})
        'flex'
    """
    said = body.get("service_tier")
    if not isinstance(said, str) or not said:
        return None
    return said.lower().removeprefix("service_tier_")  # as Gemini spells it now and then


_TICKS = 10_000_000_000
_MOST_DOLLARS = 1e6
"""A single request that costs more is a mistake, not a price."""


def dollars(usage: Mapping[str, Any]) -> float | None:
    """Return what a reply's usage says that it cost; None where it does not say.

    Source: OpenRouter ("Usage accounting": ``cost``, beside which an account's own key upstream
    is paid), xAI ("Cost tracking": ticks), Perplexity (an object), DeepInfra (an estimate).

    Example:
        >>> dollars({"cost": 0.0123}), dollars({"cost_in_usd_ticks": 37_756_000})
        (0.0123, 0.0037756)
        >>> dollars({"cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.5}})
        0.5
    """
    cost = usage.get("cost")
    if isinstance(cost, dict):
        return _amount(cost.get("total_cost"))
    if (told := _amount(cost)) is not None:
        details = usage.get("cost_details")
        if usage.get("is_byok") and isinstance(details, dict):
            told += _amount(details.get("upstream_inference_cost")) or 0.0
        return told
    if (ticks := _amount(usage.get("cost_in_usd_ticks"), _MOST_DOLLARS * _TICKS)) is not None:
        return ticks / _TICKS
    return _amount(usage.get("estimated_cost"))


def _amount(value: Any, most: float = _MOST_DOLLARS) -> float | None:
    if type(value) not in (int, float) or not 0 <= value <= most:
        return None
    return float(value)


def count(value: Any) -> int | None:
    """Return a number of tokens, None for what is none."""
    if type(value) is not int:
        if type(value) is not float or not value.is_integer():
            return None
        value = int(value)
    return value if 0 <= value < _LARGEST_COUNT else None


def worst(qualities: list[Quality]) -> int:
    """Return which of several answers is the worst; a reply is no better than that.

    Example:
        >>> worst(["good", "truncated", "good"])
        1
    """
    for kind in _WORST_FIRST:
        if kind in qualities:
            return qualities.index(kind)
    return 0


def text_or_none(value: Any) -> str | None:
    """Return a value if it is text."""
    return value if isinstance(value, str) else None
