"""What of a text is sent: all of it, or as much as the model reads."""

from __future__ import annotations

from llmnb.adapters import prices, tokens
from llmnb.embeddings import known
from llmnb.embeddings.batches import Text
from llmnb.embeddings.order import Order
from llmnb.targets.target import HTTPTarget

_SHORT = 256
"""Characters below which no model's limit is worth being looked for."""

_TRIES = 12
_NEAR = 0.98
"""A cut that keeps this part of what is allowed is good enough."""

_ESTIMATED = 0.9
"""Where tokens are only estimated, so much of what is allowed is used."""


class Trimmer:
    """Cuts texts to what one model reads.

    Args:
        order: What the caller said.
        target: Who is asked.
    """

    def __init__(self, order: Order, target: HTTPTarget) -> None:
        self._given = order.most_tokens
        self._target = target
        self._most: int | None = None
        self._is_found = False

    def trim(self, text: Text) -> int | None:
        """Cut a text that is too long, and count what is sent roughly.

        Returns:
            The tokens it had, None where it was not cut.
        """
        had: int | None = None
        if (self._given is not None or len(text.sent) > _SHORT) and (most := self._limit()):
            found = cut(text.sent, most, model=self._target.model)
            if found is not None:
                text.sent, had = found
        text.tokens = tokens.fast_estimate(text.sent)
        return had

    def _limit(self) -> int | None:
        if not self._is_found:
            self._is_found = True
            self._most = self._given or self._known()
        return self._most

    def _known(self) -> int | None:
        found = known.of(self._target.model)
        if found is not None and found.most_tokens is not None:
            return found.most_tokens
        return prices.context_window(self._target.row.name, self._target.model)


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
    if not tokens.may_exceed(text, most_tokens):
        return None
    counted = tokens.count_tokens(text, encoding, model)
    most = most_tokens if not counted.is_estimate else max(1, int(most_tokens * _ESTIMATED))
    if counted.tokens <= most:
        return None
    characters = tokens.longest(
        len(text),
        counted.tokens,
        most,
        lambda some: tokens.count_tokens(text[:some], encoding, model).tokens,
        enough=_NEAR,
        tries=_TRIES,
    )
    return text[: max(1, characters)], counted.tokens
