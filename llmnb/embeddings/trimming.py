"""What of a text is sent: all of it, or as much as the model reads."""

from __future__ import annotations

from llmnb.adapters import prices, tokens
from llmnb.embeddings import known
from llmnb.embeddings.batches import Text
from llmnb.embeddings.order import Order
from llmnb.embeddings.truncating import cut
from llmnb.targets.target import HTTPTarget

_SHORT = 256
"""Characters below which no model's limit is worth being looked for."""


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
