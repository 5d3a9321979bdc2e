"""When it is safe to spend at once what a server says is left of its limits.

The promises: nobody is refused who waits, and nobody waits who would not be refused. Where
nothing is announced, or what is announced contradicts itself, a limit is kept smoothly.

- *Nothing told yet*: at most `HANDFUL` are in flight until the first reply, another handful
  after each two seconds of silence: a refusal comes at once, an answer takes its time.
- A request goes when every announced limit covers it (`decide.standing`), and either the smooth
  bucket of 0.9 s holds it or the *burst is open*: limit, remainder and reset of the requests are
  told, were seen to fall by what we send, and are believed. The number in flight starts at
  `HANDFUL` there and grows by one with each good reply, later by two: it triples each round.
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

from llmnb.decide.announced_limit import LONGEST_MINUTE, Sent, Standing
from llmnb.decide.charge import TokenCharge
from llmnb.records import Burst, KindOfLimit, LimitReport, Limits

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
"""Requests that are remembered for limits that are not heard of yet."""

_MISJUDGED = 4.0
"""A request may cost so many times the tokens that we think."""

Held = Literal["", "start", "requests", "tokens"]
"""What holds a request back; ``start``: how the first replies, or those after a pause, turn out."""


class AnnouncedLimits:
    """The limits that one target's replies announce, and what we have sent of them.

    Example:
        >>> limits = AnnouncedLimits()
        >>> sent = [limits.on_sent(now=0.0) for _ in range(8)]
        >>> limits.wait(now=0.0), limits.held
        (2.0, 'start')
        >>> for place, one in enumerate(sent):
        ...     told = (LimitReport("requests", 500.0, 499.0 - place, 0.12 * (place + 1)),)
        ...     limits.on_reply(one, told, now=0.5)
        >>> limits.wait(now=0.5), limits.limits().requests_per_minute
        (0.0, 500.0)
    """

    __slots__ = (
        "_last_reply",
        "_log",
        "_number",
        "_processes",
        "_reopening",
        "_since_pause",
        "_standings",
        "burst",
        "charge",
        "distrust",
        "held",
        "in_flight",
        "is_paced",
        "open",
    )

    def __init__(self, burst: Burst = "announced") -> None:
        self.burst: Burst = burst
        self.distrust = ""
        """In a few words why what is announced is not believed; empty where it is."""

        self.is_paced = False
        """Whether somebody has given a limit: it keeps the pace while nothing is announced."""

        self.charge = TokenCharge()
        self.held: Held = ""
        self.in_flight = 0
        self.open = HANDFUL
        """Requests that may be in flight while more than a smooth rate is spent."""

        self._standings: dict[tuple[KindOfLimit, float], Standing] = {}
        self._log: deque[Sent] = deque()
        self._number = 0
        self._last_reply = -math.inf
        self._reopening = -1
        """The number of the first request after a pause, while fewer go than would like to."""

        self._since_pause = 0
        self._processes = 1

    # ------------------------------------------------------------------ what happens

    def on_sent(self, now: float, tokens: float = 0.0, estimate: float = 0.0) -> Sent:
        """Note a request at the moment it goes.

        Args:
            now: The time.
            tokens: Tokens that it is charged with.
            estimate: What we count for it, an `Estimate` where its parts are known.
        """
        one = Sent(self._number, now, tokens, estimate)
        self.charge.on_sent(tokens, now)
        self._number += 1
        self.in_flight += 1
        if self._reopening >= 0:
            self._since_pause += 1
        for standing in self._standings.values():
            standing.on_sent(one, standing.cost(one))
        log = self._log
        log.append(one)
        while log[0].is_answered or len(log) > _REMEMBERED:
            log.popleft()
        return one

    def on_reply(
        self,
        one: Sent,
        told: Sequence[LimitReport],
        now: float,
        *,
        is_refused: bool = False,
        is_good: bool | None = None,
    ) -> None:
        """Take a reply, good or bad.

        Args:
            one: The request.
            told: How the limits stand, as the reply tells it.
            now: The time.
            is_refused: Whether it says that we ask too fast.
            is_good: Whether it answers; None: it does unless it refuses.
        """
        if one.is_answered:
            return
        one.is_answered, one.is_refused = True, is_refused
        is_first = self._last_reply == -math.inf
        if now - self._last_reply > SILENCE_SECONDS:
            self.open = self.handful
        self._last_reply = max(now, self._last_reply)
        if is_refused:
            self.open = self.handful
            for standing in self._standings.values():
                standing.on_refused(one.number)
        elif is_good is not False:
            self.open += 1 if self._reopening >= 0 or self.open < SURE else GROWTH
            if self.open >= OPENED:
                self._reopening = -1
        for figure in told:
            self._take(figure, one, now)
        if is_refused and told:
            self._on_refused(one, told, now, is_first=is_first or one.number < HANDFUL)

    def _take(self, figure: LimitReport, one: Sent, now: float) -> None:
        key = figure.kind, figure.period
        standing = self._standings.get(key)
        if standing is None:
            if figure.limit is None:
                return
            standing = Standing(figure.kind, figure.period, now)
            standing.know_of(self._processes)
            standing.begin(self._log, now)
            self._standings[key] = standing
        if figure.kind != "requests" and figure.left is not None and not one.is_refused:
            charge = self.charge if standing.charge is None else standing.charge
            charge.on_left(
                *(standing.part(one), one.number, one.sent, figure.left),
                rate=standing.rate,
                grain=figure.grain,
            )
        doubt = standing.on_told(figure, one.number, one.sent, now)
        if doubt and not self.distrust and standing.has_reset:
            self.distrust = doubt

    def _on_refused(
        self, one: Sent, told: Sequence[LimitReport], now: float, *, is_first: bool
    ) -> None:
        """Judge a refusal by what its own reply says is left."""
        is_covered = bool(told)
        for figure in told:
            standing = self._standings.get((figure.kind, figure.period))
            if standing is None or figure.left is None:
                continue
            cost = standing.cost(one)
            if figure.left < (cost if figure.kind == "requests" else _MISJUDGED * cost):
                is_covered = False
                if not is_first:
                    standing.on_found_empty()
        if is_covered and not self.distrust:
            self.distrust = "a request was refused though enough was told to be left"
            for standing in self._standings.values():
                standing.space_out(now)

    def on_end(self, one: Sent, *, used: float | None = None, was_sent: bool = True) -> None:
        """Note that a request is over, however it ended.

        Args:
            one: The request.
            used: Tokens that it turned out to use; None: what it was charged with.
            was_sent: Whether it left this machine.
        """
        self.in_flight -= 1
        if self._reopening >= 0 and one.number >= self._reopening:
            self._since_pause -= 1
        for standing in self._standings.values():
            if not was_sent or one.is_refused:
                standing.give_back(standing.cost(one))
                if not was_sent:
                    standing.on_refused(one.number)
            elif used is not None and standing.kind == "tokens":
                standing.give_back(one.tokens - used)

    def on_pause(self) -> None:
        """Note that nothing is sent for a while: afterwards a handful goes first."""
        self.open = self.handful
        self._reopening = self._number
        self._since_pause = 0

    def know_of(self, processes: int) -> None:
        """Note how many processes of ours draw on these limits, this one included."""
        if processes > self._processes:
            for standing in self._standings.values():
                standing.know_of(processes)
        self._processes = processes
        if self._last_reply == -math.inf:
            self.open = self.handful

    @property
    def handful(self) -> int:
        """Requests that go at once where nothing is known; all processes of ours share them."""
        return max(1, HANDFUL // self._processes)

    # ------------------------------------------------------------------ what may go

    def wait(self, now: float, tokens: float = 0.0, estimate: float = 0.0) -> float:
        """Return the seconds until such a request may go; infinity is "when a reply has come"."""
        self.held = ""
        if self._reopening >= 0 and self._since_pause >= self.open:
            self.held = "start"
            return math.inf
        if not self._standings:
            is_known = self.is_paced or self._last_reply > -math.inf
            return 0.0 if is_known else self._until_more(now)
        if self.in_flight == 0 and (
            now - self._last_reply > LONGEST_MINUTE
            or all(standing.is_over(now) for standing in self._standings.values())
        ):
            return 0.0  # every limit a minute is whole again, and only another reply tells more
        return self._wait(Sent(-1, now, tokens, estimate), now)

    def _until_more(self, now: float) -> float:
        """Return the seconds until one more may go while there is no reply yet."""
        if self.in_flight < self.handful:
            return 0.0
        begun = self._log[0].sent if self._log else now
        more = max(0, math.floor((now - begun) / SILENT_SECONDS))
        if self.in_flight < self.handful * (1 + more):
            return 0.0
        self.held = "start"
        return max(0.01, begun + (more + 1) * SILENT_SECONDS - now)

    def _wait(self, one: Sent, now: float) -> float:
        longest, is_open = 0.0, self.is_open(now)
        for standing in self._standings.values():
            cost = standing.cost(one)
            if standing.is_longer:
                left = math.inf if standing.left is None else standing.left
                under_way = standing.uncounted
                delay = math.inf if under_way > 0 and under_way + cost > left else 0.0
            else:
                delay = standing.wait(cost, now) if self._binds(standing) else 0.0
                if delay <= 0 and not is_open and standing.smooth is not None:
                    delay = standing.smooth.wait(cost, now)
            if delay > longest:
                longest = delay
                self.held = "requests" if standing.kind == "requests" else "tokens"
        return longest

    def _binds(self, standing: Standing) -> bool:
        return standing.has_reset and not self.distrust and standing.left is not None

    def is_open(self, now: float) -> bool:
        """Whether more than a smooth rate may be spent now."""
        return self.in_flight < self.open and self.may_open(now)

    def may_open(self, now: float) -> bool:
        """Whether what is told of the requests is enough to spend it at once."""
        if self.distrust or self.burst == "smooth":
            return False
        is_told = False
        for standing in self._standings.values():
            if standing.kind == "requests" and not standing.is_longer:
                is_told = True
                is_known = standing.has_reset and standing.is_shown and standing.is_clear(now)
                if not (is_known and standing.capacity > HANDFUL):
                    return False
        return is_told

    # -------------------------------------------------------------- what is known

    def limits(self) -> Limits:
        """Return the limits per minute that were announced; None where nothing was."""
        return Limits(
            requests_per_minute=self._per_minute("requests"),
            tokens_per_minute=self._per_minute("tokens"),
        )

    def _per_minute(self, kind: KindOfLimit) -> float | None:
        rates = [
            one.limit * (60.0 / one.period)
            for one in self._standings.values()
            if one.kind == kind and not one.is_longer and one.limit is not None
        ]
        return min(rates, default=None)

    def left(self, kind: KindOfLimit, now: float) -> float | None:
        """Return what is left of a limit now, as far as is known."""
        known = [
            min(one.base(now), one.capacity) - one.uncounted
            for one in self._standings.values()
            if one.kind == kind and not one.is_longer and one.left is not None
        ]
        return max(0.0, min(known)) if known else None
