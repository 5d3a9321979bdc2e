"""What OpenAI's chat and text replies have in common: choices, contents, tokens, prices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmnb.records import Usage
from llmnb.wire import ends, json_bytes
from llmnb.wire.classify import error_inside
from llmnb.wire.dialect_base import unusable
from llmnb.wire.untrusted import count_in, dict_in, dicts_in, index_of, joined


def choices_of(body: Mapping[str, Any], raw: bytes) -> list[dict[str, Any]]:
    """Return a reply's choices, in order; there is at least one.

    Raises:
        BadReply: If there are none that could be read.
        LLMNBError: Of another type, if one of them says what went wrong.
    """
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        if body.get("object") == "error":
            raise error_inside(body, raw)
        raise unusable(raw, "has no choices")
    for choice in choices:
        if type(choice) is not dict:
            raise unusable(raw, "has a choice that is no object")
        if choice.get("finish_reason") == "error" or choice.get("error"):
            raise error_inside(choice, raw)
    return sorted(choices, key=index_of) if len(choices) > 1 else choices


# ------------------------------------------------------------------------------- content

REASONING = ("reasoning_content", "reasoning")
"""Names under which a message shows its reasoning."""


def text_of(content: Any) -> str:
    """Return a content as text; parts that are not text are left out, a value is its JSON.

    Example:
        >>> text_of([{"type": "text", "text": "Hi"}, {"type": "thinking", "thinking": []}])
        'Hi'
        >>> text_of({"stars": 4})
        '{"stars":4}'
        >>> text_of([1, 2])
        '[1,2]'
    """
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if is_in_parts(content):
        return joined((part for part in content if isinstance(part, dict)), "text")
    # Cloudflare gives what was asked for as JSON already read.
    return json_bytes.write(content, is_strict=False).decode()


def is_in_parts(content: Any) -> bool:
    """Return whether a content is a list of parts; one of anything else is a value.

    Example:
        >>> is_in_parts([{"type": "text", "text": "Hi"}]), is_in_parts([1, 2])
        (True, False)
    """
    if not isinstance(content, list):
        return False
    return not content or any(
        isinstance(part, dict) and ("type" in part or "text" in part) for part in content
    )


def thinking_of(content: Any) -> str:
    """Return the reasoning that Mistral puts among the parts of a content."""
    thoughts = (part.get("thinking") for part in dicts_in({"content": content}, "content"))
    return "".join(text_of(thought) for thought in thoughts if isinstance(thought, (str, list)))


def reasoning_of(message: Mapping[str, Any]) -> str | None:
    """Return the reasoning that a message shows, under whichever name; None where it shows none.

    Example:
        >>> reasoning_of({"content": "4", "reasoning_content": "2 + 2"})
        '2 + 2'
    """
    first, second = REASONING
    reasoning = message.get(first) or message.get(second)
    if reasoning and isinstance(reasoning, str):
        return reasoning
    return thinking_of(message.get("content")) or None


# ------------------------------------------------------------------- tokens and prices


def usage(body: Mapping[str, Any], *, wrote: bool = True) -> Usage | None:
    """Return the tokens a reply says it used; None when it does not say.

    Args:
        body: The reply.
        wrote: Whether it holds an answer, so that its tokens cannot be zero.

    Example:
        >>> usage({"usage": {"prompt_tokens": 3, "completion_tokens": 1}}).total
        4
    """
    used = body.get("usage")
    if type(used) is not dict or not used:
        if not (used := _usage_of_choice(body)):
            return None
    prompt, completion = count_in(used, "prompt_tokens"), count_in(used, "completion_tokens")
    cached = written = reasoning = 0
    # Most replies have 0 of these: a call for each would cost more than all that is read here.
    if type(details := used.get("prompt_tokens_details")) is dict:
        cached = (details.get("cached_tokens") and count_in(details, "cached_tokens")) or 0
        written = (
            details.get("cache_write_tokens") and count_in(details, "cache_write_tokens")
        ) or 0
    if type(details := used.get("completion_tokens_details")) is dict:
        reasoning = (details.get("reasoning_tokens") and count_in(details, "reasoning_tokens")) or 0
    usd = None
    if not _RARE.isdisjoint(used):
        usd = dollars(used)
        cached = cached or next((count_in(used, name) for name in _CACHED if name in used), 0) or 0
    total = None
    if reasoning or not (prompt and completion):
        total = count_in(used, "total_tokens")
        if prompt and completion is not None and total == prompt + completion + reasoning:
            completion += reasoning  # xAI counts it beside the answer, as the total shows
    return ends.counted(
        prompt,
        completion,
        total,
        wrote=wrote,
        cache_read=cached,
        cache_write=written,
        reasoning=reasoning,
        tier=tier(served) if (served := body.get("service_tier")) else None,
        usd=usd,
    )


def _usage_of_choice(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the usage that Moonshot's streams put into the last piece of their one choice."""
    choices = dicts_in(body, "choices")
    return dict_in(choices[0], "usage") if len(choices) == 1 else {}


_CACHED = ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens")
"""Names for tokens from the cache: DeepSeek's, Moonshot's, Mistral's."""

_RARE = frozenset((*_CACHED, "cost", "cost_in_usd_ticks", "estimated_cost"))
"""Those, and the names for what a reply has cost; the usage of most replies has none of them."""


def tier(value: Any) -> str | None:
    """Return the service tier that a field of OpenAI's or Gemini's names; None where it has none.

    Example:
        >>> tier("Flex"), tier(None)
        ('flex', None)
    """
    if not isinstance(value, str) or not value:
        return None
    return value.lower().removeprefix("service_tier_")  # as Gemini spells it now and then


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
    if (dollars := _amount(cost)) is not None:
        upstream = dict_in(usage, "cost_details").get("upstream_inference_cost")
        return dollars + ((_amount(upstream) or 0.0) if usage.get("is_byok") else 0.0)
    if (ticks := _amount(usage.get("cost_in_usd_ticks"), _MOST_DOLLARS * _TICKS)) is not None:
        return ticks / _TICKS
    return _amount(usage.get("estimated_cost"))


def _amount(value: Any, most: float = _MOST_DOLLARS) -> float | None:
    if type(value) not in (int, float) or not 0 <= value <= most:
        return None
    return float(value)
