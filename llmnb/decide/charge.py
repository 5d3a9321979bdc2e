"""What a provider's token limit counts for a request, where it counts otherwise than we think.

Our own count is an estimate of the prompt, and what the answer may have. A provider may take the
larger of the two, their sum, or characters; and it may count before the answer is known or as it
turns out. One factor brings our count to its own:

- *Announced*: what is left falls by what the first requests cost. Of some that went together the
  order of arrival is not known, but the highest and the lowest figure lie as far apart as all but
  one of them cost.
- *In a refusal*: "Requested 1234" says it at once.
- *Nowhere*: a limit that refuses has let through what it allows, so between two refusals

      factor = rate x seconds / what we have counted for those that passed,

  1.5 after the first refusal, and a little more where that is larger than what was counted.

Once a refusal has shown that the provider counts more, nothing is given back for answers that
turn out shorter than they might have been: it counts before it knows.
"""

from __future__ import annotations

import math

from llmnb.decide.standing import REACH

FIRST_FACTOR = 1.5
STEP = 1.03
LEAST_FACTOR, LARGEST_FACTOR = 0.5, 16.0

_ENOUGH = 4
"""Requests that went together, from which their cost is told."""


class TokenCharge:
    """The factor between our count of tokens and a provider's.

    Example:
        >>> charge = TokenCharge()
        >>> charge.on_refusal(tokens=20.0, rate=100.0, now=0.0)
        >>> charge.of(20.0)
        30.0
        >>> charge.on_refusal(tokens=30.0, rate=100.0, now=0.1, requested=120.0)
        >>> charge.of(20.0)
        120.0
    """

    __slots__ = ("_accepted", "_counted_from", "_group", "_refused_at", "factor", "is_before")

    def __init__(self) -> None:
        self.factor = 1.0
        self.is_before = False
        """Whether what was charged stays charged, however short the answer turns out."""

        self._accepted = 0.0
        """What the requests that passed count by our own count, since the last refusal."""

        self._counted_from = -math.inf
        self._refused_at = -math.inf
        self._group: list[tuple[float, float, float]] | None = []
        """When the first requests were sent, what they cost, and what was left then."""

    def of(self, tokens: float) -> float:
        """Return what a request is charged with."""
        return tokens * self.factor

    def on_passed(self, tokens: float) -> None:
        """Note that a request was let through.

        Args:
            tokens: What it was charged with.
        """
        self._accepted += tokens / self.factor

    def on_left(self, tokens: float, sent: float, left: float) -> None:
        """Note what was left of an announced token limit beside one of the first requests.

        Args:
            tokens: What we count for it.
            sent: When it went.
            left: What was left.
        """
        if self._group is None or tokens <= 0:
            return
        self._group.append((sent, tokens, left))
        together = [one for one in self._group if abs(one[0] - sent) < REACH / 4]
        if len(together) < _ENOUGH:
            if len(self._group) > 4 * _ENOUGH:
                self._group = None
            return
        lefts = [one[2] for one in together]
        cost = sum(one[1] for one in together) * (1 - 1 / len(together))
        counted = (max(lefts) - min(lefts)) / cost
        if counted >= 1 or (counted >= LEAST_FACTOR and len(together) >= 2 * _ENOUGH):
            self._set(counted)
            self.is_before = True
        if len(together) >= 2 * _ENOUGH:
            self._group = None

    def on_refusal(
        self, tokens: float, rate: float, now: float, requested: float | None = None
    ) -> None:
        """Note a refusal that may be for tokens.

        Args:
            tokens: What the request was charged with.
            rate: Tokens a second that the limit allows.
            now: The time.
            requested: What the server says that it counts for the request.
        """
        self.is_before = True
        if requested is not None and tokens > 0:
            self._set(max(self.factor, requested * self.factor / tokens))
        elif self._refused_at == -math.inf:
            self._set(max(self.factor, FIRST_FACTOR))
        elif now - self._refused_at >= REACH:
            counted = 0.0
            if self._accepted > 0:
                counted = rate * (now - self._counted_from) / self._accepted
            self._set(counted if counted > self.factor else self.factor * STEP)
        else:
            return  # of the same wave
        self._refused_at = self._counted_from = now
        self._accepted = 0.0

    def _set(self, factor: float) -> None:
        self.factor = min(max(factor, LEAST_FACTOR), LARGEST_FACTOR)
