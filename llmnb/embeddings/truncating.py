"""Texts that are longer than a model reads, cut to what it does read."""

from __future__ import annotations

from llmnb.adapters import tokens

_TRIES = 12
_NEAR = 0.98
"""A cut that keeps this part of what is allowed is good enough."""

_ESTIMATED = 0.9
"""Where tokens are only estimated, so much of what is allowed is used."""


def cut(
    text: str, most_tokens: int, *, model: str | None = None, encoding: str = "cl100k_base"
) -> tuple[str, int] | None:
    """Return the beginning of a text that is too long, and how many tokens the whole has.

    Args:
        text: The text.
        most_tokens: Tokens that the model reads.
        model: Whose tokens are meant.
        encoding: How they are counted where that is not known of the model.

    Returns:
        None where the text is short enough. The same text gives the same cut.

    Example:
        >>> cut("a short one", 100) is None
        True
        >>> beginning, tokens = cut("word " * 100, 10)
        >>> 5 <= len(beginning.split()) <= 10, tokens > 90
        (True, True)
    """
    if len(text) * 4 <= most_tokens or len(text.encode("utf-8", "replace")) <= most_tokens:
        return None  # a token has at least one byte
    counted = tokens.count_tokens(text, encoding, model)
    most = most_tokens if not counted.is_estimate else max(1, int(most_tokens * _ESTIMATED))
    if counted.tokens <= most:
        return None
    return _beginning(text, counted.tokens, most, model, encoding), counted.tokens


def _beginning(text: str, total: int, most: int, model: str | None, encoding: str) -> str:
    """Return nearly as much of the beginning as fits, searched for between two bounds."""
    short, short_tokens = 0, 0
    long, long_tokens = len(text), total
    for turn in range(_TRIES):
        if short_tokens >= most * _NEAR or long - short <= 1:
            break
        part = (most - short_tokens) / max(1, long_tokens - short_tokens)
        if turn % 3 == 2:
            part = 0.5  # where words get denser a guess by proportion creeps
        length = min(max(short + int((long - short) * part), short + 1), long - 1)
        found = tokens.count_tokens(text[:length], encoding, model).tokens
        if found <= most:
            short, short_tokens = length, found
        else:
            long, long_tokens = length, found
    return text[: max(1, short)]
