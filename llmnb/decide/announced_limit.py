"""One limit that a server announces: what may be sent of it without being refused.

A reply reports what was left when its request had been counted, somewhere on the way. From that
follows a bound which the server's own figure is never below:

    what was left + what has flowed in since - ours that it may not have counted yet.

*Ours that it may not have counted.* Requests overtake each other on the way, by `REACH` seconds
at most. So k, the newest request whose reply reported what is left, and those sent up to `REACH`
before it are a *cluster* whose order of arrival nobody knows; whatever was sent earlier had
arrived before k. The one that arrived last of those with a report has counted all the others, so
the lowest of their figures is a bound, and uncounted is the rest: those of the cluster without a
report and all sent after k.

*What has flowed in.* From a request's latest moment of arrival on, and only where the limit is
seen to be a bucket (`decide.refill`). In a window nothing flows in before its end, and everything
at it.

*A full bucket runs over.* Nothing flows in while it is full, so the sum above is too high for a
client whose replies are slow. Each request counts as arriving at its latest moment, and right
before it the bucket holds its capacity at most. The lowest of these bounds holds; a request
that has been counted needs none of its own.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from llmnb.decide.bucket import BURST_SECONDS, Bucket
from llmnb.decide.charge import Estimate, TokenCharge
from llmnb.decide.other_clients import OtherClients
from llmnb.decide.refill import LONGEST_MINUTE, REACH, Refill
from llmnb.records import KindOfLimit, LimitReport

_SPACED = 0.98
"""Part of a limit that is used where it is kept evenly."""

_REMEMBERED = 4096
_EPSILON = 1e-9

_SOON = 0.005
"""Least seconds until it is worth looking again."""


@dataclass(slots=True, eq=False)
class SentRequest:
    """One request of ours."""

    number: int
    sent: float
    """When it left."""

    tokens: float
    """What it is charged with."""

    estimate: float = 0.0
    """What we count for it, by its parts where it is an `Estimate`."""

    is_answered: bool = False
    is_refused: bool = False


@dataclass(slots=True, eq=False)
class _Request:
    """What one limit knows of one request."""

    number: int
    sent: float
    cost: float
    before: float
    """What had been sent in all before it."""

    latest: float
    """When it has arrived at the latest."""

    is_uncounted: bool = True
    has_arrived: bool = False
    """Whether it has surely arrived."""

    left: float | None = None
    """What its reply reported."""


class AnnouncedLimit:
    """What is known of one announced limit, and what we have sent of it.

    Args:
        kind: What it counts.
        period: Seconds that its figures are for.
        now: The time.
        log: The requests that were sent before the limit was known.
    """

    def __init__(
        self, kind: KindOfLimit, period: float, now: float, log: Iterable[SentRequest] = ()
    ) -> None:
        self.kind = kind
        self.period = period
        self.charge = TokenCharge() if kind in ("input", "output") else None
        """How its tokens are counted; None where they are counted for all alike."""

        self.refill = Refill(period, now)
        self.others = OtherClients(self.refill, self.charge, now)
        self.left: float | None = None
        """What the newest reply reported."""

        self.has_reset = False
        """Whether it reported a reset."""

        self.smooth: Bucket | None = None
        """Keeps the limit evenly, with a burst of less than a second."""

        self._burst_seconds = BURST_SECONDS
        self.uncounted = 0.0
        self._total = 0.0
        """What we have sent in all."""

        self._requests: dict[int, _Request] = {}
        """The cluster and what was sent after it, by number."""

        self._cluster: deque[_Request] = deque()
        self._later: deque[_Request] = deque()
        """Those sent after k."""

        self._newest = -1
        """Number of k."""

        self._lefts: list[tuple[float, int]] = []
        """Heap of what the cluster's replies reported, less what had flowed in by then."""

        self._travelling: deque[_Request] = deque()
        """Those that may still be on their way to the server."""

        self._arrived_uncounted = 0.0
        """Of those that have surely arrived, what is uncounted."""

        self._full: deque[tuple[float, int]] = deque()
        """Bounds from a bucket that was full right before a request arrived, lowest first."""

        self._base: float | None = None
        """Set where a window has ended and nothing was reported since."""

        for request in log:
            self.on_sent(request, self.cost(request.tokens, request.estimate), take=False)
            if request.is_refused:
                self.on_refused(request.number)

    @property
    def limit(self) -> float | None:
        """Most in a period; None where no reply has said it."""
        return self.refill.limit

    # ------------------------------------------------------------------------- ours

    def cost(self, tokens: float, estimate: float) -> float:
        """Return what a request takes of this limit.

        Args:
            tokens: What it is charged with.
            estimate: What we count for it.
        """
        if self.kind == "requests":
            return 1.0
        return tokens if self.charge is None else self.charge.of(self.part(estimate))

    def part(self, estimate: float) -> float:
        """Return what we count of a request, of the tokens that this limit is about."""
        if self.kind == "tokens" or not isinstance(estimate, Estimate):
            return estimate
        return estimate.prompt if self.kind == "input" else estimate.answer

    def on_sent(self, request: SentRequest, cost: float, *, take: bool = True) -> None:
        """Note a request at the moment it goes."""
        known = _Request(request.number, request.sent, cost, self._total, request.sent + REACH)
        self._requests[request.number] = known
        self._later.append(known)
        self._travelling.append(known)
        if len(self._requests) > _REMEMBERED:  # nobody reports what is left
            self._forget(self._cluster or self._later)
        self.others.on_sent(request.sent, self._total)
        self._total += cost
        self.uncounted += cost
        if take and self.smooth is not None:
            self.smooth.take(cost, request.sent)

    def on_refused(self, number: int) -> None:
        """Note that a request was refused: it has cost nothing."""
        request = self._requests.get(number)
        if request is not None and request.is_uncounted:
            self._count(request)
            self.others.on_refused(request.cost)

    def give_back(self, amount: float) -> None:
        """Correct the smooth bucket by what was taken too much."""
        if self.smooth is not None and amount:
            self.smooth.give_back(amount)

    def _count(self, request: _Request) -> None:
        """Note that the provider has counted a request: it is among the uncounted no longer."""
        if request.is_uncounted:
            request.is_uncounted = False
            self.uncounted -= request.cost
            if request.has_arrived:
                self._arrived_uncounted -= request.cost

    def _forget(self, requests: deque[_Request]) -> int:
        """Forget the oldest of some requests, which has surely been counted; return its number."""
        request = requests.popleft()
        self._count(request)
        del self._requests[request.number]
        return request.number

    # --------------------------------------------------------------------- reported

    def on_report(self, report: LimitReport, number: int, sent: float, now: float) -> str:
        """Take what a reply reports; return in a few words why it cannot be so, "" if it can.

        Args:
            report: How the limit stands.
            number: Of the request.
            sent: When it went.
            now: The time.
        """
        doubt = ""
        if report.limit is not None and report.limit != self.limit:
            doubt = self._change(report.limit, now)
        if report.left is None:
            return doubt
        latest = min(now, sent + REACH)
        self.refill.rounding = max(1.0, report.grain)
        left = report.left - (report.grain / 2 if report.grain > 1 else 0.0)
        request = self._requests.get(number)
        if request is not None:
            request.left, request.latest = left, latest
        if number > self._newest:
            return self._advance(report, number, sent, latest, left, now) or doubt
        if request is not None and self._base is None:  # of the cluster
            self._count(request)
            heapq.heappush(self._lefts, self._key(request))
            self.others.show(left, self._unit(), sent)
        return doubt

    def _change(self, limit: float, now: float) -> str:
        doubt = self.refill.change(limit, now)
        self._sort_lefts()
        self._full.clear()
        for request in self._requests.values():
            if request.has_arrived and request.is_uncounted:
                self._note_arrival(request)
        if self.smooth is not None:
            self._set_rate(now)
            return doubt
        requests = self._requests.values()
        began = next((request.sent for request in requests), now)
        self.smooth = Bucket(60.0 * self.refill.rate, now=began)
        for request in requests:
            if request.is_uncounted:
                self.smooth.take(request.cost, request.sent)
        return doubt

    def _key(self, request: _Request) -> tuple[float, int]:
        """Return what a reply reported, less what had flowed in by then, and its number."""
        assert request.left is not None
        return request.left - self.refill.inflow(request.latest), request.number

    def _sort_lefts(self) -> None:
        self._lefts = [self._key(request) for request in self._cluster if request.left is not None]
        heapq.heapify(self._lefts)

    def _unit(self) -> float:
        """Return what one request takes, as far as is known."""
        if self.kind == "requests" or not self._requests:
            return 1.0
        return max(1.0, (self._later or self._cluster)[-1].cost / 2)

    def _advance(
        self, report: LimitReport, number: int, sent: float, latest: float, left: float, now: float
    ) -> str:
        """Take a reply to a newer request than any that has reported what is left yet."""
        self.left = left
        self.has_reset = report.reset is not None
        shape = self.refill.shape
        doubt = self.refill.on_reset(report, left, sent, now)
        if self.refill.shape != shape:
            self._sort_lefts()
        self._newest = number
        self._base = None
        later, cluster = self._later, self._cluster
        while later and later[0].number <= number:
            request = later.popleft()
            cluster.append(request)
            if request.left is not None:
                self._count(request)
                heapq.heappush(self._lefts, self._key(request))
        newest = self._requests.get(number)
        total = self._total if newest is None else newest.before + newest.cost
        while cluster and cluster[0].sent <= sent - REACH and cluster[0].number < number:
            self._forget(cluster)  # it had been counted when k was
        while self._lefts and self._lefts[0][1] not in self._requests:
            heapq.heappop(self._lefts)
        while self._full and self._full[0][1] not in self._requests:
            self._full.popleft()
        others = self.others
        doubt = (
            others.on_left(left, total, self._unit(), sent=sent, latest=latest, now=now) or doubt
        )
        if self.smooth is not None and not self.refill.is_longer:
            self._lower(self.smooth, left, latest, now)
        return doubt

    # ----------------------------------------------------------------------- smooth

    def _lower(self, smooth: Bucket, left: float, latest: float, now: float) -> None:
        """Lower the smooth bucket to what is left, where it believes that there is more."""
        smooth.wait(0.0, now)  # brings its level up to date
        since = self.refill.rate * (now - latest) if self.refill.shape != "window" else 0.0
        believed = left + since - self.uncounted
        if smooth.level > believed:
            smooth.level = max(believed, -smooth.capacity)

    def space_out(self, now: float) -> None:
        """Let nothing more pass at once from now on: a smaller window is hidden somewhere."""
        self._burst_seconds = 0.0
        self._set_rate(now)

    def _set_rate(self, now: float) -> None:
        if self.smooth is not None:
            rate = 60.0 * self.refill.rate * (1.0 if self._burst_seconds else _SPACED)
            self.smooth.change_rate(rate, burst_seconds=self._burst_seconds, now=now)

    # ---------------------------------------------------------------------- allowance

    def _settle(self, now: float) -> None:
        """Let time pass: requests arrive, a window ends."""
        travelling = self._travelling
        while travelling and (
            travelling[0].sent + REACH <= now or travelling[0].number not in self._requests
        ):
            request = travelling.popleft()
            request.has_arrived = True
            if request.is_uncounted:
                self._arrived_uncounted += request.cost
                self._note_arrival(request)
        refill = self.refill
        if now < refill.ends or refill.shape == "bucket" or refill.limit is None:
            return
        if refill.shape == "window":
            while (requests := self._cluster or self._later) and (
                requests[0].sent <= refill.ends - REACH
            ):
                self._newest = self._forget(requests)
            # The others may belong to the new window, of which no reply has said anything yet.
            self._later.extendleft(reversed(self._cluster))
            self._cluster.clear()
            if self._later:
                self._newest = self._later[0].number - 1
            self._base = refill.limit
        else:
            # Another window, or a whole bucket. Those that have overtaken k on the way are not in
            # what it reported.
            counted = sum(
                request.cost for request in self._requests.values() if not request.is_uncounted
            )
            self._base = min(refill.limit, refill.capacity) - counted
        self._lefts.clear()
        refill.ends = math.inf

    def _note_arrival(self, request: _Request) -> None:
        """Note how full the bucket can have been right before a request arrived."""
        bound = request.before - self.refill.rate * (request.sent + REACH)
        full = self._full
        while full and full[-1][0] >= bound:
            full.pop()
        full.append((bound, request.number))

    def is_over(self, now: float) -> bool:
        """Return whether the moment has passed at which the limit was to be whole again."""
        self._settle(now)
        return self.refill.is_longer or self._base is not None or now >= self.refill.ends

    def base(self, now: float) -> float:
        """Return what is left, before anything that is not counted yet is taken off."""
        if self._base is not None:
            return self._base
        if not self._lefts:
            return math.inf if self.left is None else self.left
        return self._lefts[0][0] + self.refill.inflow(now)

    def allowance(self, now: float) -> float:
        """Return how many units may be sent now without one of them being refused."""
        self._settle(now)
        return min(self._bounds(now, 1.0, 0.0))

    def _bounds(self, now: float, share: float, reserve: float) -> tuple[float, float, float]:
        """Return three bounds: as reported, of a bucket that is full now, and of one that was."""
        base, refill = self.base(now), self.refill
        reported = share * (base - reserve) - self.uncounted
        if base <= refill.capacity and not self._full:
            return reported, math.inf, math.inf
        full = share * (refill.capacity - reserve) - (self.uncounted - self._arrived_uncounted)
        if not self._full:
            return reported, full, math.inf
        was_full = refill.capacity + refill.rate * now - self._total + self._full[0][0]
        return reported, full, was_full - reserve

    def wait(self, cost: float, now: float) -> float:
        """Return the seconds until the allowance covers a request, as far as can be said."""
        self._settle(now)
        refill, share = self.refill, self.others.share(now)
        reserve = self.others.reserve + (1.0 if self.kind == "requests" else cost)
        need = min(cost, refill.capacity)
        reported, full, was_full = self._bounds(now, share, reserve)
        if min(reported, full, was_full) >= need - _EPSILON:
            return 0.0
        enough = math.inf
        if self.uncounted <= _EPSILON:
            # Nobody starves: where nothing is under way a nearly full bucket is enough.
            least = max(need, 0.75 * refill.capacity)
            enough = least - min(self.base(now), refill.capacity)
            if enough <= _EPSILON or self._base is not None:
                return 0.0
        if refill.shape != "bucket":
            return max(_SOON, min(refill.ends - now, LONGEST_MINUTE))
        longest = max((need - reported) / (refill.rate * share), (need - was_full) / refill.rate)
        if full < need:
            arrives = self._travelling[0].sent + REACH - now if self._travelling else math.inf
            longest = max(longest, arrives)
        return min(max(_SOON, min(longest, enough / refill.rate)), LONGEST_MINUTE)
