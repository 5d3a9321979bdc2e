"""Prompts that are longer than a model reads: what is cut, and the words for it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Side = Literal["left", "right"]
"""Which end of a prompt is cut. vLLM's own habit is the left: the end stands next to the answer."""

SPARE_TOKENS = 8
"""Tokens that a tokenizer may add to a text by itself."""

MOST_NAMED = 5
"""Prompts that a warning names one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What one prompt lost."""

    prompt: int
    """Position of the prompt, from 0."""

    tokens: int
    """Tokens it had."""

    kept: int
    """Tokens that the model read."""

    side: Side

    @property
    def lost(self) -> int:
        """Tokens that were cut."""
        return self.tokens - self.kept


def kept(ids: Sequence[int], room: int, side: Side, *, first: int | None = None) -> list[int]:
    """Return as many tokens of a prompt as there is room.

    Args:
        ids: The prompt.
        room: Tokens it may have, at least 1.
        side: Which end is cut.
        first: Token that begins every text of this model, and stays; None: there is none.

    Example:
        >>> kept([1, 5, 6, 7, 8], 3, "left", first=1)
        [1, 7, 8]
        >>> kept([5, 6, 7, 8], 3, "right")
        [5, 6, 7]
    """
    if len(ids) <= room:
        return list(ids)
    if side == "right":
        return list(ids[:room])
    if first is not None and room > 1 and ids[0] == first:
        return [first, *ids[len(ids) - room + 1 :]]
    return list(ids[len(ids) - room :])


def words(cuts: Sequence[Cut], prompts: int, max_len: int) -> str:
    """Return the warning that says what was cut.

    Example:
        >>> print(words([Cut(prompt=3, tokens=90, kept=60, side="left")], 200, 64))
        1 of 200 prompts was too long beside its answer for the model's 64 tokens, and lost its \
beginning: prompt 3 lost 30 of 90 tokens.
    """
    side = "beginning" if cuts[0].side == "left" else "end"
    named = [
        f"prompt {cut.prompt} lost {cut.lost} of {cut.tokens} tokens" for cut in cuts[:MOST_NAMED]
    ]
    if len(cuts) > MOST_NAMED:
        named.append(f"and {len(cuts) - MOST_NAMED} more")
    were, its = ("was", "its") if len(cuts) == 1 else ("were", "their")
    return (
        f"{len(cuts)} of {prompts} prompts {were} too long beside {its} answer for the model's "
        f"{max_len} tokens, and lost {its} {side}: {', '.join(named)}."
    )
