"""Finish reasons: the words of each dialect, and how good an answer each of them means.

A word that is in no table is "unknown": its answer was paid for, so it is kept and not bought
again, and is an answer as soon as the caller says so (``good_finish=["word"]``).

Source: the API references of OpenAI, Anthropic, Google and Mistral; DeepSeek
(``insufficient_system_resource``), Zhipu (``sensitive``, ``network_error``,
``model_context_window_exceeded``), vLLM and SGLang (``abort``), Together (``eos``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def reason_text(reason: Any) -> str | None:
    """Return why an answer ended as text: what is none, and is there all the same, as its JSON.

    Example:
        >>> reason_text("stop"), reason_text(""), reason_text(7), reason_text({"type": "stop"})
        ('stop', None, '7', '{"type":"stop"}')
    """
    if isinstance(reason, str):
        return reason[:_LONGEST_WORD] or None
    if reason is None:
        return None
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
    if reason == "length":
        return "truncated"
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
    return reason == "length" or (reason is not None and worth(reason) == "truncated")


def worth_without_text(
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
        >>> worth_without_text("good", Usage(prompt=3, completion=1), None)
        'good'
        >>> worth_without_text("good", Usage(prompt=3, completion=0), None)
        'empty'
    """
    if quality not in ("good", "unknown"):
        return quality
    if is_null or reasoning or usage is None or "completion" in usage.unknown:
        return "empty"
    # A few providers count the reasoning beside the answer and not in it.
    thought = usage.reasoning if usage.reasoning <= usage.completion else 0
    return quality if usage.completion > thought else "empty"


End = tuple[str | None, Quality]
"""Why an answer ended, and what it is worth."""

_WORST_FIRST: tuple[Quality, ...] = (
    *("refused", "filtered", "broken", "truncated", "empty", "unknown", "good"),
)


def worst(ends: Sequence[End]) -> End:
    """Return the end of the worst of several answers; a reply is no better than that.

    Example:
        >>> worst([("stop", "good"), ("length", "truncated"), ("stop", "good")])
        ('length', 'truncated')
    """
    return min(ends, key=lambda end: _WORST_FIRST.index(end[1]))


def of_answers(texts: Sequence[str], ends: Sequence[End]) -> dict[str, Any]:
    """Return the fields of a reply that tell of its answers, one or several.

    Example:
        >>> of_answers(["Hi"], [("stop", "good")])["texts"]
        ()
    """
    reason, quality = worst(ends)
    has_several = len(texts) > 1
    return {
        "text": texts[0],
        "finish_reason": reason,
        "quality": quality,
        "texts": tuple(texts) if has_several else (),
        "ends": tuple(ends) if has_several else (),
    }
