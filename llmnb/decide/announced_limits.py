"""When it is safe to spend at once what a server says is left of its limits.

The promises: nobody is refused who waits, and nobody waits who would not be refused. Where
nothing is announced, or what is announced contradicts itself, a limit is kept smoothly.

- *Nothing announced yet*: at most `HANDFUL` are in flight until the first reply, another handful
  after each two seconds of silence: a refusal comes at once, an answer takes its time.
- A request goes when every announced limit covers it (`decide.announced_limit`), and either the
  smooth bucket of 0.9 s holds it or the *burst is open*: limit, remainder and reset of the
  requests are reported, were seen to fall by what we send, and are believed. The number in flight
  starts at `HANDFUL` there and grows by one with each good reply, later by two: it triples each
  round.
- *Distrust*, for good: a request was refused though enough was left (a smaller window is hidden
  there); what is left does not fall by what we send (another server's, another model's figure);
  more is left than can have flowed in; the limit changes to and fro. Then the limit is kept
  smoothly, and what is left lowers the smooth bucket.
- *After a pause* a handful goes, and one more for each good reply; never all who wait.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Literal

from llmnb.decide.announced_limit import AnnouncedLimit, SentRequest
from llmnb.decide.charge import TokenCharge
from llmnb.decide.refill import LONGEST_MINUTE
from llmnb.rates import Burst
from llmnb.records import KindOfLimit, LimitReport, Limits

HANDFUL = 8
"""Requests that go at once where nothing is known, or something has gone wrong."""

SURE, GROWTH = 2 * HANDFUL, 2
"""From so many in flight on two more go for each good reply: their number triples each round."""

OPENED = 64
"""Requests in flight with which it is no longer felt for whether a pause was long enough."""

SILENT_SECONDS = 2.0
"""After so long without any reply another handful goes: a refusal would have come."""

SILENCE_SECONDS = 60.0
"""After so long without a reply the burst begins anew."""

_REMEMBERED = 4096
"""Requests that are remembered for limits that no reply has reported yet."""

_MISJUDGED = 4.0
"""A request may cost so many times the tokens that we think."""

Holding = Literal["", "start", "requests", "tokens"]
"""What holds a request back; ``start``: how the first replies, or those after a pause, turn out."""


class AnnouncedLimits:
    """The limits that one target's replies announce, and what we have sent of them.

    Example:
        >>> limits = AnnouncedLimits()
        >>> requests = [limits.on_sent(now=0.0) for _ in range(8)]
        >>> limits.wait(now=0.0), limits.reason
        (2.0, 'start')
        >>> for sent, request in enumerate(requests, start=1):
        ...     report = LimitReport("requests", limit=500.0, left=500.0 - sent, reset=0.12 * sent)
        ...     limits.on_reply(request, [report], now=0.5)
        >>> limits.wait(now=0.5), limits.limits().requests_per_minute
        (0.0, 500.0)
    """

    def __init__(self, burst: Burst = "announced") -> None:
        self.burst: Burst = burst
        self.distrust = ""
        """In a few words why what is announced is not believed; empty where it is."""

        self.is_paced = False
        """Whether somebody has named a limit: it keeps the pace while nothing is announced."""

        self.charge = TokenCharge()
        self.reason: Holding = ""
        """What held back the request that was last asked about."""

        self.by_kind: dict[tuple[KindOfLimit, float], AnnouncedLimit] = {}
        """Each limit, by what it counts and the seconds of its period."""

        self.in_flight = 0
        self._burst_slots = HANDFUL
        """Requests that may be in flight while more than a smooth rate is spent."""

        self._log: deque[SentRequest] = deque()
        self._number = 0
        self._last_reply = -math.inf
        self._first_since_pause: int | None = None
        """Number of the first request after a pause, until enough of them were answered."""

        self._sent_since_pause = 0
        self._processes = 1
        self._handful = HANDFUL
        """Requests that go at once where nothing is known; all processes of ours share them."""

    # ------------------------------------------------------------------ what happens

    def on_sent(self, now: float, tokens: float = 0.0, estimate: float = 0.0) -> SentRequest:
        """Note a request at the moment it goes.

        Args:
            now: The time.
            tokens: Tokens that it is charged with.
            estimate: What we count for it, an `Estimate` where its parts are known.
        """
        request = SentRequest(self._number, now, tokens, estimate)
        self.charge.on_sent(tokens, now)
        self._number += 1
        self.in_flight += 1
        if self._first_since_pause is not None:
            self._sent_since_pause += 1
        for limit in self.by_kind.values():
            limit.on_sent(request, limit.cost(tokens, estimate))
        log = self._log
        log.append(request)
        while log[0].is_answered or len(log) > _REMEMBERED:
            log.popleft()
        return request

    def on_reply(
        self,
        request: SentRequest,
        reports: Sequence[LimitReport],
        now: float,
        *,
        is_refused: bool = False,
        is_good: bool | None = None,
    ) -> None:
        """Take a reply, good or bad.

        Args:
            request: The request.
            reports: How the limits stand, as the reply says.
            now: The time.
            is_refused: Whether it says that we ask too fast.
            is_good: Whether it answers; None: it does unless it refuses.
        """
        if request.is_answered:
            return
        request.is_answered, request.is_refused = True, is_refused
        is_first = self._last_reply == -math.inf or request.number < HANDFUL
        if is_refused or now - self._last_reply > SILENCE_SECONDS:
            self._burst_slots = self._handful
        self._last_reply = max(now, self._last_reply)
        if is_refused:
            for limit in self.by_kind.values():
                limit.on_refused(request.number)
        elif is_good is not False:
            is_sure = self._first_since_pause is None and self._burst_slots >= SURE
            self._burst_slots += GROWTH if is_sure else 1
            if self._burst_slots >= OPENED:
                self._first_since_pause = None
        for report in reports:
            self._take(report, request, now)
        if is_refused and reports:
            self._judge_refusal(request, reports, now, is_first=is_first)

    def _take(self, report: LimitReport, request: SentRequest, now: float) -> None:
        key = report.kind, report.period
        limit = self.by_kind.get(key)
        if limit is None:
            if report.limit is None:
                return
            limit = self.by_kind[key] = AnnouncedLimit(*key, now, self._log)
            limit.others.processes = self._processes
        if report.kind != "requests" and report.left is not None and not request.is_refused:
            charge = self.charge if limit.charge is None else limit.charge
            charge.on_left(
                *(limit.part(request.estimate), request.number, request.sent, report.left),
                rate=limit.refill.rate,
                grain=report.grain,
            )
        doubt = limit.on_report(report, request.number, request.sent, now)
        if limit.has_reset and not self.distrust:
            self.distrust = doubt

    def _judge_refusal(
        self, request: SentRequest, reports: Sequence[LimitReport], now: float, *, is_first: bool
    ) -> None:
        """Judge a refusal by what its own reply says is left."""
        is_covered = True
        for report in reports:
            limit = self.by_kind.get((report.kind, report.period))
            if limit is None or report.left is None:
                continue
            cost = limit.cost(request.tokens, request.estimate)
            if report.left < (cost if report.kind == "requests" else _MISJUDGED * cost):
                is_covered = False
                if not is_first:
                    limit.others.on_empty()
        if is_covered and not self.distrust:
            self.distrust = "a request was refused though enough was told to be left"
            for limit in self.by_kind.values():
                limit.space_out(now)

    def on_end(
        self, request: SentRequest, *, used: float | None = None, was_sent: bool = True
    ) -> None:
        """Note that a request is over, however it ended.

        Args:
            request: The request.
            used: Tokens that it turned out to use; None: what it was charged with.
            was_sent: Whether it left this machine.
        """
        self.in_flight -= 1
        if self._first_since_pause is not None and request.number >= self._first_since_pause:
            self._sent_since_pause -= 1
        for limit in self.by_kind.values():
            if not was_sent or request.is_refused:
                limit.give_back(limit.cost(request.tokens, request.estimate))
                if not was_sent:
                    limit.on_refused(request.number)
            elif used is not None and limit.kind == "tokens":
                limit.give_back(request.tokens - used)

    def on_pause(self) -> None:
        """Note that nothing is sent for a while: afterwards a handful goes first."""
        self._burst_slots = self._handful
        self._first_since_pause = self._number
        self._sent_since_pause = 0

    def on_processes(self, count: int) -> None:
        """Note how many processes of ours draw on these limits, this one included."""
        if count > self._processes:  # those that leave show in what replies report
            for limit in self.by_kind.values():
                limit.others.processes = count
        self._processes = count
        self._handful = max(1, HANDFUL // count)
        if self._last_reply == -math.inf:  # nothing is known yet: the beginning is shared as well
            self._burst_slots = self._handful

    # ------------------------------------------------------------------ what may go

    def wait(self, now: float, tokens: float = 0.0, estimate: float = 0.0) -> float:
        """Return the seconds until such a request may go; infinity is "when a reply has come".

        `reason` says afterwards what holds it.
        """
        self.reason = ""
        is_after_pause = self._first_since_pause is not None
        if is_after_pause and self._sent_since_pause >= self._burst_slots:
            self.reason = "start"
            return math.inf
        if not self.by_kind:
            is_known = self.is_paced or self._last_reply > -math.inf
            return 0.0 if is_known else self._until_first_reply(now)
        if self.in_flight == 0 and (
            now - self._last_reply > LONGEST_MINUTE
            or all(limit.is_over(now) for limit in self.by_kind.values())
        ):
            return 0.0  # every limit a minute is whole again, and only another reply tells more
        longest, is_open = 0.0, self._is_open(now)
        for limit in self.by_kind.values():
            cost, delay = limit.cost(tokens, estimate), 0.0
            if limit.refill.is_longer:
                left = math.inf if limit.left is None else limit.left
                if limit.uncounted > 0 and limit.uncounted + cost > left:
                    delay = math.inf
            else:
                if limit.has_reset and not self.distrust:
                    delay = limit.wait(cost, now)
                if delay <= 0 and not is_open and limit.smooth is not None:
                    delay = limit.smooth.wait(cost, now)
            if delay > longest:
                longest = delay
                self.reason = "requests" if limit.kind == "requests" else "tokens"
        return longest

    def _until_first_reply(self, now: float) -> float:
        """Return the seconds until one more may go while there is no reply yet."""
        begun = self._log[0].sent if self._log else now
        handfuls = 1 + max(0, math.floor((now - begun) / SILENT_SECONDS))
        if self.in_flight < self._handful * handfuls:
            return 0.0
        self.reason = "start"
        return max(0.01, begun + handfuls * SILENT_SECONDS - now)

    def _is_open(self, now: float) -> bool:
        """Return whether what is left of the requests may be spent at once now."""
        if self.distrust or self.burst == "smooth" or self.in_flight >= self._burst_slots:
            return False
        is_reported = False
        for limit in self.by_kind.values():
            if limit.kind == "requests" and not limit.refill.is_longer:
                is_reported = True
                is_known = limit.has_reset and limit.others.is_shown and limit.refill.is_clear(now)
                if not is_known or limit.refill.capacity <= HANDFUL:
                    return False
        return is_reported

    # -------------------------------------------------------------- what is known

    def limits(self) -> Limits:
        """Return the announced limits a minute, None where there are none; a day's are left out."""
        rates: dict[KindOfLimit, float] = {}
        for limit in self.by_kind.values():
            if limit.limit is not None and not limit.refill.is_longer:
                rate = limit.limit * (60.0 / limit.period)
                rates[limit.kind] = min(rate, rates.get(limit.kind, rate))
        return Limits(
            requests_per_minute=rates.get("requests"), tokens_per_minute=rates.get("tokens")
        )

    def left(self, kind: KindOfLimit, now: float) -> float | None:
        """Return what is left of a limit now, as far as is known."""
        least: float | None = None
        for limit in self.by_kind.values():
            if limit.kind == kind and limit.left is not None and not limit.refill.is_longer:
                left = min(limit.base(now), limit.refill.capacity) - limit.uncounted
                least = max(0.0, left if least is None else min(left, least))
        return least
