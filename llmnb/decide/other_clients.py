"""What other clients draw from an announced limit, and whether ours draw from it at all.

Both show in how what is left falls between two replies, compared with what we have sent between.
"""

from __future__ import annotations

import math
from collections import deque

from llmnb.decide.charge import TokenCharge
from llmnb.decide.refill import PROOF, REACH, Refill, Repeated

HALF_LIFE = 3.0
"""Seconds in which half of what we and others have sent is forgotten."""

_FIRST = 8.0
"""What we are taken to have sent, and each other process of ours, before anything is known."""

_LEAST_SHARE = 0.1

_TOGETHER = 0.1
"""Seconds within which requests go together."""

_HISTORY_STEP, _HISTORY_LENGTH = 0.1, 100


class OtherClients:
    """Who else draws on one limit.

    Args:
        refill: How the limit fills again.
        charge: Learns from what falls, where only single kinds of tokens count; None elsewhere.
        now: The time.
    """

    def __init__(self, refill: Refill, charge: TokenCharge | None, now: float) -> None:
        self.processes = 1
        """Processes of ours that draw on the limit, this one included."""

        self.is_shown = False
        """Whether what is left was seen to fall by what we send."""

        self._refill = refill
        self._charge = charge
        self._own = _FIRST
        self._others = 0.0
        self._peers = 0.0
        """What other processes of ours may have sent that the newest reply has not counted."""

        self._latency = REACH
        self._began = self._decayed_at = now
        self._step: tuple[float, float, float] | None = None
        """When the last step began, what was left, and what we had sent in all."""

        self._long_step: tuple[float, float] | None = None
        """The same for the longer step in which it is judged whose requests are counted."""

        self._refused = 0.0
        """What was refused since the last step began."""

        self._history: deque[tuple[float, float]] = deque()
        """What had been sent in all at some moments, a tenth of a second or more apart."""

        self._rises = Repeated()
        self._lowest = (math.inf, 0.0)
        self._highest = (-math.inf, 0.0)
        """The least and the most that was left, each with when its request was sent."""

    def on_sent(self, moment: float, total: float) -> None:
        """Note a request, and what we had sent in all before it."""
        history = self._history
        if not history or moment - history[-1][0] >= _HISTORY_STEP:
            history.append((moment, total))
            if len(history) > _HISTORY_LENGTH:
                history.popleft()

    def on_refused(self, cost: float) -> None:
        """Note that a request was refused: it has taken nothing."""
        self._refused += cost
        self._long_step = None

    def on_empty(self) -> None:
        """Note a refusal with nothing left: somebody else has taken what we counted on."""
        self._others += 2.0

    def on_left(
        self, left: float, total: float, unit: float, *, sent: float, latest: float, now: float
    ) -> str:
        """Learn from what is left; return why that cannot be, "" if it can.

        Args:
            left: What the newest reply reports.
            total: What we had sent in all up to its request.
            unit: What one request takes.
            sent: When its request went.
            latest: When that has arrived, at the latest.
            now: The time.
        """
        self._latency += 0.2 * (max(0.0, now - sent) - self._latency)
        doubt = self._judge(left, unit, sent, latest)
        self._compare(left, total, sent)
        if self.processes > 1:
            # They read of the same remainder up to a round trip later, so what they have sent may
            # be missing in it where all of ours is counted. Each is taken to have sent what we
            # have sent in the round before.
            before, history = sent - self._latency, self._history
            oldest = history[0][1] if history else 0.0
            early = next((total for then, total in reversed(history) if then <= before), oldest)
            self._peers = (self.processes - 1) * (total - early)
        self.show(left, unit, sent)
        return doubt

    def _judge(self, left: float, unit: float, sent: float, latest: float) -> str:
        """Return why what is left cannot be the figure that our requests count in."""
        if self._long_step is None:
            self._long_step = sent, left
            return ""
        then, before = self._long_step
        if sent - then < 3 * REACH:
            return ""
        self._long_step = sent, left
        refill = self._refill
        if refill.is_new_window(left, before):
            return ""
        most = before + refill.rate * (latest - then) + 2 * refill.rounding
        surely = 0.0
        if self._charge is None:  # else it is not known what single requests count
            marks = [
                total for moment, total in self._history if then + REACH <= moment <= sent - REACH
            ]
            surely = marks[-1] - marks[0] if marks else 0.0
        if left > max(most - surely, before) and self._rises.note(sent):
            return "more is told to be left than can have flowed in"
        is_full = before + refill.rate * (latest - then) >= refill.capacity
        is_proof = surely >= max(PROOF * unit, 2 * PROOF * (refill.rounding - 1))
        if is_proof and not is_full and most - left < surely / 2:
            return "what is told to be left does not fall by what is sent"
        return ""

    def _compare(self, left: float, total: float, sent: float) -> None:
        """Compare what is missing since the last step with what we have sent since."""
        if self._step is not None:
            then, before, we_had = self._step
            if sent - then < REACH:
                return
            refill = self._refill
            used = total - we_had - self._refused
            self._decay(sent)
            self._own += max(0.0, used)
            could_hold = before + refill.inflow(sent - then)
            is_new_window = refill.is_new_window(left, before)
            if not is_new_window and could_hold < refill.capacity - refill.rounding:
                fell = could_hold - left
                self._others = max(0.0, self._others + fell - used)
                if self._charge is not None and refill.shape == "bucket":
                    self._charge.on_fall(fell, used)
        self._step = sent, left, total
        self._refused = 0.0

    def show(self, left: float, unit: float, sent: float) -> None:
        """See what is left fall by what we send; of those that go together the order is open."""
        if self.is_shown:
            return
        if left <= self._lowest[0]:
            self._lowest = left, sent
        if left >= self._highest[0]:
            self._highest = left, sent
        is_fall = self._highest[1] <= self._lowest[1] + _TOGETHER
        self.is_shown = is_fall and self._highest[0] - self._lowest[0] >= PROOF * unit

    def _decay(self, now: float) -> None:
        if now > self._decayed_at:
            part = 0.5 ** ((now - self._decayed_at) / HALF_LIFE)
            self._own *= part
            self._others *= part
            self._decayed_at = now

    def share(self, now: float) -> float:
        """Return the part of the limit that we count on."""
        self._decay(now)
        others = max(self._others, _FIRST * (self.processes - 1))
        share = (1 + self._own) / (1 + self._own + others)
        if now - self._began < HALF_LIFE:  # nothing is known of what the others do
            share = min(share, 1 / self.processes)
        return max(_LEAST_SHARE, share)

    @property
    def reserve(self) -> float:
        """What is left for those who may come while our requests are on their way."""
        a_second = self._others * math.log(2) / HALF_LIFE
        meanwhile = a_second * min(self._latency, 2 * HALF_LIFE)
        return max(self._peers, meanwhile + 2 * math.sqrt(meanwhile))
