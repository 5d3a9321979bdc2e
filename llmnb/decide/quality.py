"""Whether an answer is good enough to be shown as one.

A refusal or a filtered answer is an error row that keeps its raw text. An
answer cut off at a length that the caller chose (`max_tokens`) is what the
caller asked for; one cut off anywhere else is an error row. None of them is
ever served from the store as a good answer: what was not accepted is asked
again on the next run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmnb.errors import Filtered, NotGood, Refused, Truncated
from llmnb.records import Reply, UnchosenLength

_LENGTH_FIELDS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "num_predict")
_GEMINI_LENGTH_FIELDS = ("maxOutputTokens", "max_output_tokens")

_CUT_OFF_ELSEWHERE = frozenset(("model_context_window_exceeded", "pause_turn"))
"""Reasons to end early that no chosen length explains."""


def has_length_limit(body: Mapping[str, Any]) -> bool:
    """Whether the caller said how long the answer may be.

    Example:
        >>> has_length_limit({"max_tokens": 5}), has_length_limit({"max_tokens": UnchosenLength(5)})
        (True, False)
    """
    return chosen_length(body) is not None


def chosen_length(body: Mapping[str, Any]) -> Any:
    """Return how long the caller says that the answer may be; None where it does not say.

    Example:
        >>> chosen_length({"generationConfig": {"maxOutputTokens": 9}})
        9
    """
    for name in _LENGTH_FIELDS:
        length = body.get(name)
        if length is not None and type(length) is not UnchosenLength:
            return length
    if isinstance(config := body.get("generationConfig"), Mapping):
        for name in _GEMINI_LENGTH_FIELDS:
            if config.get(name) is not None:
                return config[name]
    return None


def objection(reply: Reply, body: Mapping[str, Any], raw: bytes) -> NotGood | None:
    """Return the error that stands in a good answer's place, or None for a good one.

    Args:
        reply: What was read.
        body: The request that was sent.
        raw: The reply's bytes, kept on the error.

    Example:
        >>> objection(Reply(text="Once upon", quality="truncated"), {"max_tokens": 2}, b"") is None
        True
    """
    if reply.quality == "good":
        return None
    kept = {"raw": raw, "model": reply.model, "body": reply.text[:2000]}
    if reply.quality == "truncated":
        if has_length_limit(body) and reply.finish_reason not in _CUT_OFF_ELSEWHERE:
            return None
        return Truncated(
            f"The answer was cut off after {len(reply.text):,} characters "
            f"(finish reason {reply.finish_reason!r}). It was paid for and its text is kept "
            "with the error; set max_tokens to accept answers of a chosen length.",
            **kept,
        )
    if reply.quality == "refused":
        return Refused(
            "The model refused to answer. Its words are kept with the error; "
            "another prompt or model may help.",
            **kept,
        )
    return Filtered(
        "The provider's content filter withheld the answer "
        f"(finish reason {reply.finish_reason!r}). The request may have been billed.",
        **kept,
    )
