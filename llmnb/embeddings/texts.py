"""Texts to be embedded: cut to the length that a model reads, and packed into batches."""

from __future__ import annotations

import dataclasses

from llmnb.adapters import tokens
from llmnb.engine.target import Call
from llmnb.errors import LLMNBError

_TRIES = 12
_NEAR = 0.98
"""A cut text that keeps this part of the allowed tokens is long enough."""

_ESTIMATED = 0.9
"""The part of the allowed tokens that is used if tokens are estimated."""


@dataclasses.dataclass(slots=True, eq=False)
class Text:
    """A distinct text that is to get a vector."""

    sent: str
    """The text as it is sent: perhaps with a prefix, perhaps cut."""

    positions: list[int]
    """Its positions among the caller's texts."""

    call: Call | None = None
    """The call that asks for it alone; its vector is stored under that key."""

    refusal: LLMNBError | None = None
    """Why it cannot be embedded."""

    tokens: int = 0
    """Its tokens, estimated."""

    @property
    def key(self) -> str:
        """Key under which its vector is kept, whatever batch it travels in."""
        assert self.call is not None
        return self.call.key

    @property
    def request(self) -> bytes:
        """The request that asks for it alone."""
        assert self.call is not None
        return self.call.canonical


Batch = list[Text]
"""Texts of one request."""


class Packer:
    """Packs texts into batches, in their order.

    A text that alone is larger than the bound travels alone.

    Args:
        most_texts: Texts of one request.
        most_tokens: Tokens of one request.

    Example:
        >>> packer = Packer(2, 100)
        >>> texts = [Text(sent, [0], tokens=size) for sent, size in zip("abc", (1, 1, 99))]
        >>> [[text.sent for text in batch] for text in texts if (batch := packer.add(text))]
        [['a', 'b']]
        >>> [text.sent for text in packer.rest()]
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
        """Return the texts that are in no batch yet."""
        batch, self._open, self._tokens = self._open, [], 0
        return batch


def cut(text: str, most_tokens: int, *, model: str | None = None) -> tuple[str, int] | None:
    """Return the beginning of a text that is too long, and how many tokens the whole has.

    Args:
        text: The text.
        most_tokens: Tokens that the model reads.
        model: Whose tokens are meant.

    Returns:
        None where the text is short enough. The same text gives the same cut.

    Example:
        >>> cut("a short one", 100) is None
        True
        >>> beginning, length = cut("word " * 100, 10)
        >>> 5 <= len(beginning.split()) <= 10, length > 90
        (True, True)
    """
    if not tokens.may_exceed(text, most_tokens):
        return None
    counted = tokens.count_tokens(text, model=model)
    most = most_tokens if not counted.is_estimate else max(1, int(most_tokens * _ESTIMATED))
    if counted.tokens <= most:
        return None
    characters = tokens.longest_fitting(
        len(text),
        counted.tokens,
        most,
        lambda some: tokens.count_tokens(text[:some], model=model).tokens,
        enough=_NEAR,
        tries=_TRIES,
    )
    return text[: max(1, characters)], counted.tokens
