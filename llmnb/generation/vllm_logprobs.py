"""Log-probabilities of tokens, as numbers that know their token."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


class TokenLogprob(float):
    """The natural logarithm of a token's probability, given all before it.

    It is a number: sums, means and numpy take it as one.

    Args:
        value: The log-probability.
        token: The token's text.
        id: The token's number.
        top: Likeliest tokens in its place, where they were asked for: texts and numbers.

    Example:
        >>> one = TokenLogprob(-0.5, "the", 4)
        >>> one.token, one + one
        ('the', -1.0)
        >>> one
        TokenLogprob(-0.5, 'the')
    """

    __slots__ = ("id", "token", "top")

    token: str
    id: int
    top: tuple[tuple[str, float], ...]

    def __new__(
        cls, value: float, token: str, id: int, top: tuple[tuple[str, float], ...] = ()
    ) -> TokenLogprob:
        """Make a number with a token."""
        made = super().__new__(cls, value)
        made.token = token
        made.id = id
        made.top = top
        return made

    def __getnewargs__(self) -> tuple[Any, ...]:
        """Return what a copy or a pickle is made from."""
        return float(self), self.token, self.id, self.top

    def __repr__(self) -> str:
        return f"TokenLogprob({float(self)!r}, {self.token!r})"


def told(
    ids: Iterable[int], positions: Iterable[Mapping[int, Any] | None], alternatives: int
) -> list[TokenLogprob | None]:
    """Return what vLLM tells of each token, None where it cannot: before the first is nothing.

    Args:
        ids: The tokens.
        positions: For each, vLLM's candidates by their number.
        alternatives: How many of the likeliest were asked for.
    """
    return [
        None if candidates is None else _one(token, candidates, alternatives)
        for token, candidates in zip(ids, positions, strict=True)
    ]


def _one(token: int, candidates: Mapping[int, Any], alternatives: int) -> TokenLogprob:
    chosen = candidates[token]
    top = _likeliest(candidates, alternatives) if alternatives else ()
    return TokenLogprob(chosen.logprob, chosen.decoded_token or "", token, top)


def _likeliest(candidates: Mapping[int, Any], alternatives: int) -> tuple[tuple[str, float], ...]:
    ranked = sorted(candidates.values(), key=lambda one: -float(one.logprob))
    return tuple((one.decoded_token or "", float(one.logprob)) for one in ranked[:alternatives])


def total(logprobs: Sequence[TokenLogprob | None]) -> float:
    """Return the log-probability of a whole text: the sum, without the first token's.

    Example:
        >>> total([None, TokenLogprob(-1.0, "a", 1), TokenLogprob(-2.0, "b", 2)])
        -3.0
    """
    return sum(one for one in logprobs if one is not None)
