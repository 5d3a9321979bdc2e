"""The tokens that a reply says it used, and what it says it cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmnb.records import Usage
from llmnb.wire.untrusted import count_in, dict_in, dicts_in


def with_counts(
    usage: Usage,
    prompt: int | None,
    completion: int | None,
    total: int | None = None,
    *,
    wrote: bool,
) -> Usage | None:
    """Enter a reply's tokens in its usage and return it; None where the reply states nothing.

    A missing count is derived from the total. What a reply says it cost is kept where it counts no
    tokens, too. A count of zero is no count where it cannot be true: no prompt has no tokens, and
    no answer that holds something.

    Args:
        usage: What else the reply says; changed.
        prompt: Input tokens; None where the reply does not say.
        completion: Output tokens.
        total: Both together.
        wrote: Whether the reply holds a text, a call of a tool or reasoning.

    Example:
        >>> with_counts(Usage(), 9, None, 14, wrote=True).completion
        5
        >>> with_counts(Usage(), 9, 0, None, wrote=True).unknown
        ('completion',)
    """
    if prompt is None and completion is None and usage.usd is None:
        return None
    if completion == 0 and wrote:
        completion = None
    prompt = prompt or None
    if total and prompt is None and completion is not None and total > completion:
        prompt = total - completion
    if total and completion is None and prompt is not None and total > prompt:
        completion = total - prompt
    counts = {"prompt": prompt, "completion": completion}
    usage.unknown = tuple(name for name, count in counts.items() if count is None)
    usage.prompt, usage.completion = prompt or 0, completion or 0
    return usage


def openai_usage(body: Mapping[str, Any], *, wrote: bool = True) -> Usage | None:
    """Return the tokens a reply says it used; None when it does not say.

    Args:
        body: The reply.
        wrote: Whether it holds an answer, so that its tokens cannot be zero.

    Example:
        >>> openai_usage({"usage": {"prompt_tokens": 3, "completion_tokens": 1}}).total
        4
    """
    used = body.get("usage")
    if type(used) is not dict or not used:
        # Moonshot's streams put it into the last chunk of their one choice.
        choices = dicts_in(body, "choices")
        used = dict_in(choices[0], "usage") if len(choices) == 1 else None
        if not used:
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
    usage = Usage(
        prompt=prompt or 0,
        completion=completion or 0,
        cache_read=cached,
        cache_write=written,
        reasoning=reasoning,
        tier=tier(served) if (served := body.get("service_tier")) else None,
        usd=usd,
    )
    if prompt and completion:
        return usage
    return with_counts(usage, prompt, completion, total, wrote=wrote)


_CACHED = ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens")
"""Names for tokens from the cache: DeepSeek's, Moonshot's, Mistral's."""

_RARE = frozenset((*_CACHED, "cost", "cost_in_usd_ticks", "estimated_cost"))
"""These, and the names of a reply's cost; the usage of most replies has none of them."""


def tier(value: Any) -> str | None:
    """Return the service tier that a field of OpenAI's or Gemini's names; None where it has none.

    Example:
        >>> tier("Flex"), tier(None)
        ('flex', None)
    """
    if value == "default":  # nearly always
        return "default"
    if not isinstance(value, str) or not value:
        return None
    # As Gemini spells it now and then; and what is longer than any word is none that is known.
    return value[:_LONGEST_TIER].lower().removeprefix("service_tier_")


_LONGEST_TIER = 60


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
