"""What a provider's token limit counts for a request, where it counts otherwise than we think.

Our own count is an estimate of the prompt, and what the answer may have. A provider may take the
larger of the two or their sum, or weigh them otherwise; and it may count before the answer is
known or as it turns out. Where something tells what single requests cost,

    cost = a x prompt + b x answer,    or of the larger one alone,

is fitted to it by recursive least squares, in both forms; the one that errs less is believed.

- *Announced*: of `BLOCK` requests that went together the order of arrival is not known, but
  sorted by what was left after each, neighbours lie as far apart as the later one of them cost.
- *In a refusal*: "Requested 1234" says it at once.

What neither explains, and everything where nothing is reported, one factor corrects. A limit that
refuses has let through what it allows, so between two refusals

    factor = rate x seconds / what we have counted for those that passed,

and a little more than before where that is not more. Before the first refusal it has let through
a second's worth besides, at least: so much is taken to be there at the beginning.

Once a refusal has shown that the provider counts more, nothing is given back for answers that
turn out shorter than they might have been: it counts before it knows.

Source:
    Recursive least squares with a random walk of the weights: L. Ljung, *System Identification*,
    2nd ed., 1999, section 11.2.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

from llmnb.decide.refill import REACH

STEP = 1.03
FIRST_SECONDS = 1.0
"""Seconds' worth that may pass at once at the beginning, as far as is known."""

LEAST_FACTOR, LARGEST_FACTOR = 0.5, 16.0

LEAST_OF_PROMPT, MOST_OF_PROMPT = 0.5, 4.0
LEAST_OF_ANSWER, MOST_OF_ANSWER = 0.0, 2.0
"""Bounds of the two weights."""

BLOCK = 8
"""Requests, numbered one after the other, of which it is seen together what they cost."""

FALL_GRAINS = 4
"""Thousands of tokens over which a fall is compared with what was charged."""

LEAST_FALL = 0.05
"""Least part of `max_tokens` that answers are taken to have."""

_DRIFT = 1e-4
"""By how much the variance of a weight grows with each cost that is reported."""

_OUT_BY = 0.02
"""Part of a cost by which a reported one may be out."""

_SLACK = 1.05
"""A factor this near to 1 is none."""


class Estimate(float):
    """Tokens that we count for a request, and what they are made of.

    Args:
        tokens: What a limit counts, as far as is known beforehand.
        prompt: Tokens of the prompt.
        answer: Tokens that the answer may have.

    Example:
        >>> estimate = Estimate(100.0, 20.0, 100.0)
        >>> estimate + 1, estimate.prompt, estimate.answer
        (101.0, 20.0, 100.0)
    """

    __slots__ = ("answer", "prompt")

    prompt: float
    answer: float

    def __new__(cls, tokens: float, prompt: float, answer: float) -> Estimate:
        """Return a number that knows its parts."""
        estimate = super().__new__(cls, tokens)
        estimate.prompt, estimate.answer = prompt, answer
        return estimate


def _by_parts(tokens: float) -> Estimate:
    """Return an estimate; what is not known by its parts is all prompt."""
    return tokens if isinstance(tokens, Estimate) else Estimate(tokens, tokens, 0.0)


class _Weights:
    """Two weights, fitted to what is reported of costs.

    Args:
        takes_larger: Whether only the larger part of a request counts.
    """

    def __init__(self, *, takes_larger: bool) -> None:
        self.takes_larger = takes_larger
        self.prompt = self.answer = 1.0
        self.error = 0.0
        """By how much costs were misjudged lately: the mean square of the part of each."""

        # The covariance of the weights.
        self._pp = self._aa = 1.0
        self._pa = 0.0

    def counted(self, estimate: Estimate) -> tuple[float, float]:
        """Return the tokens of prompt and answer that count, where both weigh 1."""
        prompt, answer = estimate.prompt, estimate.answer
        if not self.takes_larger:
            return prompt, answer
        return (prompt, 0.0) if prompt >= answer else (0.0, answer)

    def of(self, estimate: Estimate) -> float:
        """Return what a request costs."""
        prompt, answer = self.counted(estimate)
        return self.prompt * prompt + self.answer * answer

    def learn(self, estimate: Estimate, cost: float, out_by: float) -> None:
        """Learn what one request cost, known to so many tokens."""
        prompt, answer = self.counted(estimate)
        missed = cost - self.prompt * prompt - self.answer * answer
        self.error += 0.2 * ((missed / max(1.0, cost)) ** 2 - self.error)
        of_prompt = self._pp * prompt + self._pa * answer
        of_answer = self._pa * prompt + self._aa * answer
        variance = out_by * out_by + of_prompt * prompt + of_answer * answer
        self.prompt += of_prompt / variance * missed
        self.answer += of_answer / variance * missed
        self._pp = min(1.0, self._pp - of_prompt * of_prompt / variance + _DRIFT)
        self._aa = min(1.0, self._aa - of_answer * of_answer / variance + _DRIFT)
        self._pa -= of_prompt * of_answer / variance
        # A weight goes back to its bound, and the other one to where it is likeliest then.
        bounded = min(max(self.prompt, LEAST_OF_PROMPT), MOST_OF_PROMPT)
        if bounded != self.prompt:
            self.answer += self._pa / self._pp * (bounded - self.prompt)
            self.prompt = bounded
        least = LEAST_OF_PROMPT if self.takes_larger else LEAST_OF_ANSWER  # nothing is free
        bounded = min(max(self.answer, least), MOST_OF_ANSWER)
        if bounded != self.answer:
            self.prompt += self._pa / self._aa * (bounded - self.answer)
            self.answer = bounded
        self.prompt = min(max(self.prompt, LEAST_OF_PROMPT), MOST_OF_PROMPT)


class _Left(NamedTuple):
    """What was left of a limit after one request."""

    left: float
    sent: float
    estimate: Estimate


class TokenCharge:
    """How a provider counts tokens.

    Example:
        >>> charge = TokenCharge()
        >>> estimate = Estimate(100.0, 20.0, 100.0)
        >>> charge.of(estimate)
        100.0
        >>> charge.on_refusal(estimate, 100.0, rate=100.0, now=0.0, requested=120.0)
        >>> round(charge.of(estimate))
        120
    """

    def __init__(self) -> None:
        self.factor = 1.0
        self.is_before = False
        """Whether what was charged stays charged, however short the answer turns out."""

        self._weights: _Weights | None = None
        """The form that errs less; None before any cost was reported."""

        self._candidates: tuple[_Weights, ...] = ()
        self._accepted = 0.0
        """What the requests count but for the factor that went since the last refusal; of those
        that are refused it is taken off."""

        self._counted_from = -math.inf
        self._refused_at = -math.inf
        self._block: list[_Left] = []
        """What was left after requests of one block."""

        self._block_number = 0
        self._fell = self._charged = 0.0

    @property
    def weights(self) -> tuple[float, float]:
        """What a token of a prompt counts, and one that an answer may have; 1 where unknown."""
        weights = self._weights
        return (1.0, 1.0) if weights is None else (weights.prompt, weights.answer)

    def of(self, tokens: float) -> float:
        """Return what a request is charged with; an `Estimate` by its parts."""
        if self._weights is None:
            return tokens * self.factor
        return self._weights.of(_by_parts(tokens)) * self.factor

    def on_sent(self, charged: float, now: float) -> None:
        """Note a request at the moment it goes.

        Args:
            charged: What it is charged with.
            now: The time.
        """
        if self._counted_from == -math.inf:
            self._counted_from = now
        self._accepted += charged / self.factor

    def on_left(
        self, estimate: float, number: int, sent: float, left: float, *, rate: float, grain: float
    ) -> None:
        """Note what was left of an announced token limit beside a reply.

        Args:
            estimate: What we count for its request.
            number: Of the request.
            sent: When it went.
            left: What was left.
            rate: Tokens a second that flow in.
            grain: Steps in which it is reported what is left.
        """
        block = number // BLOCK
        if block < self._block_number:
            return
        if block > self._block_number:
            self._block_number, self._block = block, []
        self._block.append(_Left(left, sent, _by_parts(estimate)))
        if len(self._block) < BLOCK:
            return
        ordered = sorted(self._block, key=lambda request: -request.left)
        self._block = []
        moments = [request.sent for request in ordered]
        seconds = max(moments) - min(moments)
        fell = ordered[0].left - ordered[-1].left
        if seconds >= REACH / 4 or fell <= 4 * max(grain, rate * seconds):
            return
        costs = [
            (after.estimate, before.left - after.left)
            for before, after in itertools.pairwise(ordered)
        ]
        weights = self._learn(costs, out_by=max(grain, rate * seconds / BLOCK))
        self.factor = _rest(fell, sum(weights.of(request) for request, _ in costs))
        if fell >= sum(sum(self._candidates[0].counted(request)) for request, _ in costs):
            self.is_before = True

    def _learn(self, costs: Sequence[tuple[Estimate, float]], out_by: float) -> _Weights:
        """Learn what requests cost; return the form that errs less, the likelier if both are good.

        Args:
            costs: What we count for each request, the larger part or both, and what it cost.
            out_by: Tokens by which a cost may be out.
        """
        if not self._candidates:
            larger, both = _Weights(takes_larger=True), _Weights(takes_larger=False)
            like = costs[-1][0]
            takes_larger = like < like.prompt + like.answer
            self._candidates = (larger, both) if takes_larger else (both, larger)
        for estimate, cost in costs:
            for weights in self._candidates:
                weights.learn(estimate, cost, max(1.0, out_by, _OUT_BY * cost))
        first, second = self._candidates
        self._weights = second if second.error < 0.5 * first.error else first
        return self._weights

    def on_fall(self, fell: float, charged: float) -> None:
        """Note by how much a limit has fallen while we have sent so much, as we charge it.

        For limits reported in steps so coarse that single requests do not show, and for answers
        that are counted as they come.

        Args:
            fell: By how much, what flowed in added.
            charged: What the requests were charged with.
        """
        self._fell += fell
        self._charged += charged
        if self._charged >= FALL_GRAINS * 1000.0:
            part = min(max(self._fell / self._charged, 0.5), 2.0)
            self.factor = min(max(self.factor * part, LEAST_FALL), LARGEST_FACTOR)
            self._fell = self._charged = 0.0

    def on_refusal(
        self,
        estimate: float,
        charged: float,
        rate: float,
        now: float,
        requested: float | None = None,
    ) -> None:
        """Note a refusal that may be for tokens.

        Args:
            estimate: What we count for the request.
            charged: What it was charged with.
            rate: Tokens a second that the limit allows.
            now: The time.
            requested: What the server says that it counts for the request.
        """
        self.is_before = True
        self._accepted = max(0.0, self._accepted - charged / self.factor)
        if requested:
            request = _by_parts(estimate)
            if requested >= self.of(request) or min(request.prompt, request.answer) > 0:
                weights = self._learn([(request, requested)], out_by=1.0)
                self.factor = max(1.0, _rest(requested, weights.of(request)))
            # else it may speak of one request that is smaller than others
        elif now - self._refused_at >= REACH:
            is_first = self._refused_at == -math.inf
            seconds = now - self._counted_from + (FIRST_SECONDS if is_first else 0.0)
            counted = rate * seconds / self._accepted if self._accepted > 0 else 0.0
            self.factor = _bounded(counted if counted > self.factor else self.factor * STEP)
        else:
            return  # of the same wave
        self._refused_at = self._counted_from = now
        self._accepted = 0.0


def _rest(cost: float, fitted: float) -> float:
    """Return the factor for what no weights within their bounds explain."""
    factor = cost / fitted if fitted > 0 else 1.0
    return 1.0 if 1 / _SLACK <= factor <= _SLACK else _bounded(factor)


def _bounded(factor: float) -> float:
    return min(max(factor, LEAST_FACTOR), LARGEST_FACTOR)
