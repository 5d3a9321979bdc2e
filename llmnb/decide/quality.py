"""Whether an answer is good enough to be shown.

A refusal or a filtered answer is an error row that keeps its raw text. An
answer cut off at a length that the caller chose (`max_tokens`) is what the
caller asked for; one cut off anywhere else is an error row. None of them is
ever served from the store as a good answer: what was not accepted is asked
again on the next run, but for an end that nobody knows, which is paid for and
kept until the caller says what it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from llmnb.errors import Filtered, NoAnswer, NotGood, Refused, Truncated, UnknownEnd
from llmnb.records import Reply, UnchosenLength

_LENGTH_FIELDS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "num_predict")
_GEMINI_LENGTH_FIELDS = ("maxOutputTokens", "max_output_tokens")


def chosen_length(body: Mapping[str, Any]) -> Any:
    """Return how long the caller says that the answer may be; None where it does not say.

    Example:
        >>> chosen_length({"generationConfig": {"maxOutputTokens": 9}})
        9
        >>> chosen_length({"max_tokens": UnchosenLength(5)}) is None
        True
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


def is_forgiven(reply: Reply, good_finish: Collection[str]) -> bool:
    """Whether the caller knows the reason for which an answer ended, and says that it is good.

    Example:
        >>> is_forgiven(Reply(text="Hi", quality="unknown", finish_reason="Fin"), ["fin"])
        True
    """
    reason = reply.finish_reason
    return reason is not None and reason.casefold() in {word.casefold() for word in good_finish}


def objection(
    reply: Reply, body: Mapping[str, Any], raw: bytes, good_finish: Collection[str] = ()
) -> NotGood | None:
    """Return the error that stands in a good answer's place, or None for a good one.

    Args:
        reply: What was read.
        body: The request that was sent.
        raw: The reply's bytes, kept on the error.
        good_finish: Further reasons to end that are good.

    Example:
        >>> objection(Reply(text="Once upon", quality="truncated"), {"max_tokens": 2}, b"") is None
        True
    """
    quality, reason = reply.quality, reply.finish_reason
    if quality == "good":
        return None
    if reply.ends and any(worth != "good" for _, worth in reply.ends):
        return _of_several(reply, body, raw, good_finish)
    kept = {"raw": raw, "model": reply.model, "body": reply.text[:2000]}
    if quality == "unknown" and is_forgiven(reply, good_finish):
        return None
    if quality in ("truncated", "empty") and _has_only_thought(reply):
        return _thought_only(reply, chosen_length(body), kept)
    if quality == "truncated" and chosen_length(body) is not None:
        return None
    kind, text = _OBJECTIONS[quality]
    return kind(text.format(reason=reason, length=len(reply.text)), **kept)


_OBJECTIONS: Mapping[str, tuple[type[NotGood], str]] = {
    "unknown": (
        UnknownEnd,
        "The answer ended for a reason that llmnb does not know ({reason!r}). It was paid "
        "for. It is kept and is not asked again. If it is a good end, say "
        "good_finish=[{reason!r}]: what is kept is read again for nothing.",
    ),
    "empty": (
        NoAnswer,
        "The reply holds no answer: it has no text (finish reason {reason!r}). It may have "
        "been billed. It is kept with the error. Run again to ask it anew.",
    ),
    "truncated": (
        Truncated,
        "The answer was cut off after {length:,} characters (finish reason {reason!r}). It was "
        "paid for. Its text is kept with the error; set max_tokens to accept answers of a chosen "
        "length.",
    ),
    "broken": (
        Truncated,
        "The answer broke off after {length:,} characters (finish reason {reason!r}). It may have "
        "been billed. Its text is kept with the error. Run again to ask it anew.",
    ),
    "refused": (
        Refused,
        "The model refused to answer. Its words are kept with the error; another prompt or model "
        "may help.",
    ),
    "filtered": (
        Filtered,
        "The provider's content filter withheld the answer (finish reason {reason!r}). It may "
        "have been billed.",
    ),
}
"""What is said of an answer, by what it is worth."""


def _of_several(
    reply: Reply, body: Mapping[str, Any], raw: bytes, good_finish: Collection[str]
) -> NotGood | None:
    """Judge each of several answers by its own end; return the worst objection."""
    errors = []
    for text, (reason, quality) in zip(reply.texts, reply.ends, strict=True):
        answer = replace(reply, text=text, finish_reason=reason, quality=quality, texts=(), ends=())
        if (error := objection(answer, body, raw, good_finish)) is not None:
            errors.append(error)
    # An end that nobody knows is not bought again; with a bad one beside it the reply is.
    return min(errors, key=lambda error: isinstance(error, UnknownEnd), default=None)


def _has_only_thought(reply: Reply) -> bool:
    """Whether a model spent its tokens on reasoning, shown or hidden, or has nothing at its cut."""
    if reply.text.strip() or reply.tool_calls:
        return False
    has_thought = bool(reply.reasoning) or (reply.usage is not None and reply.usage.reasoning > 0)
    return has_thought or (reply.quality == "truncated" and not reply.text)


def _thought_only(reply: Reply, length: Any, kept: dict[str, Any]) -> NotGood:
    kind = Truncated if reply.quality == "truncated" else NoAnswer
    spent = "" if length is None else f" ({length:,} here)" if isinstance(length, int) else ""
    return kind(
        f"The model ended before it began to answer (finish reason {reply.finish_reason!r}): its "
        f"tokens went into reasoning. It was paid for. Allow more with max_tokens{spent}, which "
        "counts the reasoning too, and run again.",
        **kept,
    )
