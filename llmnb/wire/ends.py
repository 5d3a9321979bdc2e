"""Why an answer ended: each dialect's words, and what each of them is worth.

A word that is in no table is "unknown": its answer was paid for, so it is kept and not bought
again, and is an answer as soon as the caller says so (``good_finish=["word"]``).

Source: the API references of OpenAI, Anthropic, Google and Mistral; DeepSeek
(``insufficient_system_resource``), Zhipu (``sensitive``, ``network_error``,
``model_context_window_exceeded``), vLLM and SGLang (``abort``), Together (``eos``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmnb.records import Quality, Usage
from llmnb.wire import json_bytes

_WORTH: Mapping[Quality, str] = {
    "good": (
        "stop eos eos_token stop_token stop_sequence end_turn complete completed "
        "tool_calls tool_call tool_use function_call"
    ),
    "truncated": "length max_tokens max_length max_output_tokens max_completion_tokens",
    "broken": (
        "abort aborted cancelled canceled error failed incomplete timeout network_error "
        "insufficient_system_resource model_length model_context_window_exceeded "
        "context_length_exceeded pause_turn malformed_function_call"
    ),
    "filtered": "sensitive blocklist spii content_filtered guardrail_intervened",
    "refused": "refusal",
}

_WORTH_OF: Mapping[str, Quality] = {
    reason: worth for worth, reasons in _WORTH.items() for reason in reasons.split()
}
"""Words of all dialects, in lower case: they do not contradict each other."""

_WITHHELD = ("content_filter", "safety", "recitation", "prohibited_content")
"""Beginnings of further words of a content filter."""

_GEMINI_WITHHELD = frozenset(
    (
        *("LANGUAGE", "OTHER", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"),
        *("IMAGE_OTHER", "MODEL_ARMOR"),
    )
)
"""Words of Gemini's filters alone."""


def word(reason: Any) -> str | None:
    """Return why an answer ended as text: what is none, and is there all the same, as its JSON.

    Example:
        >>> word("stop"), word(None), word(""), word(7), word({"type": "stop"})
        ('stop', None, None, '7', '{"type":"stop"}')
    """
    if reason is None or isinstance(reason, str):
        return reason or None
    return json_bytes.write(reason, is_strict=False).decode()[:_LONGEST_WORD]


_LONGEST_WORD = 200


def worth(reason: Any, refusal: Any = None) -> Quality:
    """Return what an answer is worth that ended for a reason; absent in a whole reply, it is good.

    Example:
        >>> worth("stop"), worth("length"), worth("abort"), worth("STOP"), worth("done?")
        ('good', 'truncated', 'broken', 'good', 'unknown')
        >>> worth("stop", refusal="I cannot."), worth("MODEL_ARMOR"), worth(None)
        ('refused', 'filtered', 'good')
    """
    if refusal:
        return "refused"
    if reason == "stop" or reason is None or reason == "":
        return "good"
    if not isinstance(reason, str):
        return "unknown"
    lower = reason.lower()
    if reason in _GEMINI_WITHHELD or lower.startswith(_WITHHELD):
        return "filtered"
    return _WORTH_OF.get(lower, "unknown")


def is_cut(reason: str | None) -> bool:
    """Whether an answer ended at its longest length.

    Example:
        >>> is_cut("MAX_TOKENS"), is_cut("stop"), is_cut(None)
        (True, False, False)
    """
    return reason is not None and _WORTH_OF.get(reason.lower()) == "truncated"


def without_text(
    quality: Quality, usage: Usage | None, reasoning: str | None, *, is_null: bool = False
) -> Quality:
    """Return what a reply is worth that holds neither a text nor a call of a tool.

    An empty text with counted tokens is an answer; without them, after reasoning alone, or
    where the text is null, there is none.

    Args:
        quality: What it would be worth with a text.
        usage: Tokens it used.
        reasoning: Reasoning that it shows.
        is_null: Whether its text is not even empty.

    Example:
        >>> without_text("good", Usage(prompt=3, completion=1), None)
        'good'
        >>> without_text("good", Usage(prompt=3, completion=0), None)
        'empty'
    """
    if quality not in ("good", "unknown"):
        return quality
    if is_null or reasoning or usage is None or "completion" in usage.unknown:
        return "empty"
    # A few providers count the reasoning beside the answer and not in it.
    thought = usage.reasoning if usage.reasoning <= usage.completion else 0
    return quality if usage.completion > thought else "empty"


def counted(
    prompt: int | None,
    completion: int | None,
    total: int | None = None,
    *,
    wrote: bool,
    cache_read: int = 0,
    cache_write: int = 0,
    cache_write_hour: int = 0,
    reasoning: int = 0,
    tier: str | None = None,
    usd: float | None = None,
) -> Usage | None:
    """Return the tokens of a reply, a missing count taken from the total; None where it says none.

    What a reply says it cost is kept where it counts no tokens, too. A count of zero is no count
    where it cannot be true: no prompt has no tokens, and no answer that holds something.

    Args:
        prompt: Input tokens; None where the reply does not say.
        completion: Output tokens.
        total: Both together.
        wrote: Whether the reply holds a text, a call of a tool or reasoning.
        cache_read: Input tokens from the provider's own cache.
        cache_write: Input tokens written there.
        cache_write_hour: Those of them that are kept there for an hour.
        reasoning: Output tokens of hidden reasoning.
        tier: Service tier that the reply names.
        usd: Dollars that the reply says it cost.

    Example:
        >>> counted(9, None, 14, wrote=True).completion
        5
        >>> counted(9, 0, wrote=True).unknown
        ('completion',)
    """
    if prompt is None and completion is None and usd is None:
        return None
    if completion == 0 and wrote:
        completion = None
    prompt = prompt or None
    if total and prompt is None and completion is not None and total > completion:
        prompt = total - completion
    if total and completion is None and prompt is not None and total > prompt:
        completion = total - prompt
    return Usage(
        prompt=prompt or 0,
        completion=completion or 0,
        cache_read=cache_read,
        cache_write=cache_write,
        reasoning=reasoning,
        unknown=(("prompt",) if prompt is None else ())
        + (("completion",) if completion is None else ()),
        cache_write_hour=cache_write_hour,
        tier=tier,
        usd=usd,
    )
