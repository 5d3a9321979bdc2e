"""Texts put together into requests: by their number, and by the tokens they have together."""

from __future__ import annotations

import dataclasses

from llmnb.engine.target import Call
from llmnb.errors import LLMNBError


@dataclasses.dataclass(slots=True, eq=False)
class Text:
    """One distinct text on its way to a vector."""

    sent: str
    """The text as it is sent: perhaps with a prefix, perhaps cut."""

    positions: list[int]
    """Where it stands among the caller's texts."""

    alone: Call | None = None
    """What asking for it alone would be: its key is the one its vector is kept under."""

    refusal: LLMNBError | None = None
    """Why it cannot be asked for."""

    tokens: int = 0
    """About how many it has."""

    @property
    def key(self) -> str:
        """Key under which its vector is kept, whatever batch it travels in."""
        assert self.alone is not None
        return self.alone.key


Batch = list[Text]
"""Texts of one request."""


class Packer:
    """Puts texts together in their order.

    A text that alone is larger than the bound travels alone.

    Args:
        most_texts: Texts of one request.
        most_tokens: Tokens of one request.

    Example:
        >>> packer = Packer(2, 100)
        >>> texts = [Text(one, [0], tokens=size) for one, size in (("a", 1), ("b", 1), ("c", 99))]
        >>> [[one.sent for one in batch] for text in texts if (batch := packer.add(text))]
        [['a', 'b']]
        >>> [one.sent for one in packer.rest()]
        ['c']
    """

    def __init__(self, most_texts: int, most_tokens: int) -> None:
        self._most_texts = most_texts
        self._most_tokens = most_tokens
        self._open: Batch = []
        self._tokens = 0

    def add(self, text: Text) -> Batch | None:
        """Take a text; return a batch once one is full."""
        full: Batch | None = None
        if self._open and self._tokens + text.tokens > self._most_tokens:
            full = self.rest()
        self._open.append(text)
        self._tokens += text.tokens
        if full is None and len(self._open) >= self._most_texts:
            full = self.rest()
        return full

    def rest(self) -> Batch:
        """Return what is not in a batch yet."""
        batch, self._open, self._tokens = self._open, [], 0
        return batch


def halves(batch: Batch) -> list[Batch]:
    """Return a batch in two, to find out which of its texts is refused.

    Example:
        >>> [len(half) for half in halves([Text("a", [0]), Text("b", [1]), Text("c", [2])])]
        [1, 2]
    """
    middle = len(batch) // 2
    return [batch[:middle], batch[middle:]]
