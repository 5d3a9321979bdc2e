"""One limit that a server announces: what may be sent of it without being refused.

A reply tells what was left when its request had been counted, somewhere on the way. From that
follows a bound which the server's own figure is never below:

    what was left + what has flowed in since - ours that it may not have counted yet.

*Ours that it may not have counted.* Requests overtake each other on the way, by `REACH` seconds
at most. So k, the newest request whose reply told what is left, and those sent up to `REACH`
before it are a *cluster* whose order of arrival nobody knows; whatever was sent earlier had
arrived before k. The one that arrived last of those told has counted all the others told, so the
lowest of their figures is a bound, and uncounted is the rest: the cluster's untold ones and all
sent after k.

*What has flowed in.* From a request's latest moment of arrival on, and only where the limit is
seen to be a bucket that fills steadily: then what is left plus what flows in until the reset stays
the same. Where the moment of the reset stays the same instead, it is a window: nothing flows in
before its end, and everything at it.

*A full bucket runs over.* Nothing flows in while it is full, so the sum above is too high for a
client whose replies are slow. Each request counts as arriving at its latest moment, and right
before it the bucket holds its capacity at most. The lowest of these bounds holds; a request
that has been counted needs none of its own.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from dataclasses import dataclass
from typing import Literal

from llmnb.decide.bucket import BURST_SECONDS, Bucket
from llmnb.decide.charge import REACH, Estimate, TokenCharge
from llmnb.records import KindOfLimit, LimitReport

LONGEST_MINUTE = 61.0
"""Seconds until a limit per minute is whole again, at most; one for the rounding of headers."""

HALF_LIFE = 3.0
"""Seconds in which half of what we and others have sent is forgotten."""

_FIRST = 8.0
"""What we are taken to have sent, and each other process of ours, before anything is known."""

_LEAST_SHARE = 0.1
_ROUNDED = 1.0
"""Units by which a figure that is told in whole numbers may be out."""

_MOVED = 0.5
_TIMES = 3.0
"""A shape is known once one of its two signs has moved by so many seconds, so many times as far
as the other."""

_PROOF = 4.0
"""Units that must show before it is believed, or not, that our requests are what is counted."""

_TOGETHER = 0.1
"""Seconds within which requests go together."""

_UNCLEAR_SECONDS = 3.0
"""After so long it should have shown how a limit flows back."""

_SPACED = 0.98
"""Part of a limit that is used where it is kept evenly."""

_REMEMBERED = 4096
_HISTORY_STEP, _HISTORY_LENGTH = 0.1, 100

_EPSILON = 1e-9

Shape = Literal["", "bucket", "window"]


@dataclass(slots=True, eq=False)
class Sent:
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


class _Item:
    """What one limit knows of one request."""

    __slots__ = ("before", "cost", "is_told", "is_uncounted", "latest", "left", "sent")

    def __init__(self, sent: float, cost: float, before: float) -> None:
        self.sent = sent
        self.cost = cost
        self.before = before
        """What had been sent in all before it."""

        self.is_uncounted = True
        self.is_told = False
        self.left = 0.0
        self.latest = sent + REACH
        """When it has arrived at the latest."""


class Standing:
    """What is known of one announced limit, and what we have sent of it.

    Args:
        kind: What it counts.
        period: Seconds that its figures are for.
        now: The time.
    """

    def __init__(self, kind: KindOfLimit, period: float, now: float) -> None:
        self.kind = kind
        self.period = period
        self.charge = TokenCharge() if kind in ("input", "output") else None
        """How its tokens are counted; None where they are counted for all alike."""

        self.limit: float | None = None
        self.left: float | None = None
        """What the newest reply told."""

        self.rate = 0.0
        """Units a second that flow in."""

        self.capacity = math.inf
        self.shape: Shape = ""
        self.ends = math.inf
        """When the limit is whole again, or its window over, if nothing else were sent."""

        self.is_longer = period > LONGEST_MINUTE
        """Whether it is a limit of a day or the like: what is left bounds, nothing else does."""

        self.has_reset = False
        self._rounded = _ROUNDED
        """Units by which a figure may be out, told in whole numbers or in larger steps."""

        self.is_shown = False
        """Whether what is told was seen to fall by what we send."""

        self.smooth: Bucket | None = None
        self._burst_seconds = BURST_SECONDS
        self.uncounted = 0.0
        self._sum = 0.0
        """What we have sent in all."""

        self._items: deque[_Item] = deque()
        self._first = 0
        """Number of the first of `_items`: the oldest of the cluster."""

        self._newest = -1
        """Number of k."""

        self._told: list[tuple[float, int]] = []
        """Heap of what the cluster's replies told, less what had flowed in by then."""

        self._arrived = 0
        """Number of the first request that may still be on its way to the server."""

        self._arrived_sum = 0.0
        """Of those that have surely arrived, what is uncounted."""

        self._full: deque[tuple[float, int]] = deque()
        """Bounds from a bucket that was full right before a request arrived, lowest first."""

        self._base: float | None = None
        """Set where a window has ended and nothing was told since."""

        # Others who draw on the same limit.
        self._own = _FIRST
        self._others = 0.0
        self._processes = 1
        self._peers = 0.0
        """What other processes of ours may have sent that k's reply has not counted."""

        self._began = now
        self._decayed_at = now
        self._mark: tuple[float, float, float] | None = None
        """When the last step began, what was left, and what we had sent in all."""

        self._far: tuple[float, float] | None = None
        """The same for the longer step in which it is judged whose requests are counted."""

        self._refused_since = 0.0
        self._history: deque[tuple[float, float]] = deque()
        """What had been sent in all at some moments, a tenth of a second or more apart."""

        self._latency = REACH

        # Signs of the shape.
        self._fulls = (math.inf, -math.inf)
        self._moments = (math.inf, -math.inf)
        self._slow: tuple[float, float] | None = None
        self._shown_from: tuple[tuple[float, float], tuple[float, float]] | None = None
        self._limits: list[float] = []
        self._turns: list[float] = []
        self._rises: list[float] = []
        self._oddities: list[float] = []
        self._last = (0.0, 0.0)

    # ------------------------------------------------------------------------- ours

    def cost(self, request: Sent) -> float:
        """Return what a request takes of this limit."""
        if self.kind == "requests":
            return 1.0
        return request.tokens if self.charge is None else self.charge.of(self.part(request))

    def part(self, request: Sent) -> float:
        """Return what we count of a request, of the tokens that this limit is about."""
        estimate = request.estimate
        if self.kind == "tokens" or not isinstance(estimate, Estimate):
            return estimate
        return estimate.prompt if self.kind == "input" else estimate.answer

    def begin(self, log: deque[Sent], now: float) -> None:
        """Take in what was sent before the limit was heard of."""
        self._first = self._arrived = log[0].number if log else 0
        self._newest = self._first - 1
        for request in log:
            self.on_sent(request, self.cost(request), take=False)
            if request.is_refused:
                self.on_refused(request.number)

    def on_sent(self, request: Sent, cost: float, *, take: bool = True) -> None:
        """Note a request at the moment it goes."""
        if not self._items:
            self._first = request.number
            self._arrived = max(self._arrived, request.number)
        self._items.append(_Item(request.sent, cost, self._sum))
        if len(self._items) > _REMEMBERED:  # nobody tells what is left
            self._count(self._first, self._items.popleft())
            self._first += 1
            self._arrived = max(self._arrived, self._first)
        history = self._history
        if not history or request.sent - history[-1][0] >= _HISTORY_STEP:
            history.append((request.sent, self._sum))
            if len(history) > _HISTORY_LENGTH:
                history.popleft()
        self._sum += cost
        self.uncounted += cost
        if take and self.smooth is not None:
            self.smooth.take(cost, request.sent)

    def _item(self, number: int) -> _Item | None:
        place = number - self._first
        return self._items[place] if 0 <= place < len(self._items) else None

    def _count(self, number: int, item: _Item) -> None:
        """Take a request out of what is uncounted."""
        if item.is_uncounted:
            item.is_uncounted = False
            self.uncounted -= item.cost
            if number < self._arrived:
                self._arrived_sum -= item.cost

    def space_out(self, now: float) -> None:
        """Let nothing more pass at once from now on: a smaller window is hidden somewhere."""
        if self.smooth is not None:
            self._burst_seconds = 0.0
            self._set_rate(now)

    def _set_rate(self, now: float) -> None:
        assert self.smooth is not None
        part = 1.0 if self._burst_seconds else _SPACED
        self.smooth.change_rate(60.0 * self.rate * part, burst_seconds=self._burst_seconds, now=now)

    def give_back(self, amount: float) -> None:
        """Correct the smooth bucket by what was taken too much."""
        if self.smooth is not None and amount:
            self.smooth.give_back(amount)

    def on_refused(self, number: int) -> None:
        """Note that a request was refused: it has cost nothing."""
        item = self._item(number)
        if item is not None and item.is_uncounted:
            self._count(number, item)
            self._refused_since += item.cost
            self._far = None

    # ------------------------------------------------------------------------- told

    def on_told(self, told: LimitReport, number: int, sent: float, now: float) -> str:
        """Take what a reply told; return in a few words why it cannot be so, "" if it can."""
        if told.limit is not None and told.limit != self.limit:
            self._change(told.limit, now)
        doubt = self._turned(now)
        if told.left is None:
            return doubt
        latest = min(now, sent + REACH)
        self._rounded = max(_ROUNDED, told.grain)
        left = told.left - (told.grain / 2 if told.grain > 1 else 0.0)
        item = self._item(number)
        if item is not None:
            item.is_told, item.left, item.latest = True, left, latest
        if number > self._newest:
            doubt = self._advance(told, number, sent, latest, left, now) or doubt
        elif item is not None and self._base is None:  # of the cluster
            self._count(number, item)
            heapq.heappush(self._told, (self._key(item), number))
            self._show(left, sent)
        return doubt

    def _change(self, limit: float, now: float) -> None:
        self.limit = limit
        self.rate = limit / self.period
        self._limits.append(limit)
        if len(self._limits) > 2 and self._limits[-1] == self._limits[-3]:
            self._turns.append(now)
        del self._limits[:-3]
        self._reshape("")
        self._full.clear()
        for place in range(self._arrived - self._first):
            if self._items[place].is_uncounted:
                self._note_arrival(self._first + place, self._items[place])
        if self.smooth is None:
            self.smooth = Bucket(60.0 * self.rate, now=self._items[0].sent if self._items else now)
            for item in self._items:
                if item.is_uncounted:
                    self.smooth.take(item.cost, item.sent)
        else:
            self._set_rate(now)

    def _turned(self, now: float) -> str:
        self._turns = [moment for moment in self._turns if now - moment <= 30.0]
        return "its limit changes to and fro" if len(self._turns) >= 2 else ""

    def _key(self, item: _Item) -> float:
        return item.left - self.rate * item.latest if self.shape == "bucket" else item.left

    def _advance(
        self, told: LimitReport, number: int, sent: float, latest: float, left: float, now: float
    ) -> str:
        """Take a reply to a newer request than any that has told yet."""
        self.left = left
        self.has_reset = told.reset is not None
        self._latency += 0.2 * (max(0.0, now - sent) - self._latency)
        self._look_at_shape(told, left, sent)
        if told.reset is not None:
            self._take_reset(told.reset, told.out_by, left, now)
        first, newest = self._first, self._newest
        self._newest = number
        self._base = None
        for place in range(max(0, newest + 1 - first), min(len(self._items), number + 1 - first)):
            item = self._items[place]
            if item.is_told:
                self._count(first + place, item)
                heapq.heappush(self._told, (self._key(item), first + place))
        newest_item = self._item(number)
        sum_of_ours = self._sum
        if newest_item is not None:
            sum_of_ours = newest_item.before + newest_item.cost
        self._drop(sent - REACH)
        doubt = self._judge(sent, latest, left)
        if len(self._oddities) >= 2:
            doubt = "its reset is neither that of a bucket nor that of a window"
        self._look_for_others(sent, left, sum_of_ours)
        if self._processes > 1:
            self._look_at_peers(sent, sum_of_ours)
        self._show(left, sent)
        if self.smooth is not None and not self.is_longer:
            self._lower(left, latest, now)
        return doubt

    def _drop(self, before: float) -> None:
        """Forget those that had surely been counted when k was."""
        items = self._items
        while items and items[0].sent <= before and self._first < self._newest:
            self._count(self._first, items.popleft())
            self._first += 1
        self._arrived = max(self._arrived, self._first)
        told, full = self._told, self._full
        while told and told[0][1] < self._first:
            heapq.heappop(told)
        while full and full[0][1] < self._first:
            full.popleft()

    def _lower(self, left: float, latest: float, now: float) -> None:
        """Lower the smooth bucket to what is left, where it believes that there is more."""
        assert self.smooth is not None
        self.smooth.wait(0.0, now)  # brings its level up to date
        since = self.rate * (now - latest) if self.shape != "window" else 0.0
        believed = left + since - self.uncounted
        if self.smooth.level > believed:
            self.smooth.level = max(believed, -self.smooth.capacity)

    # -------------------------------------------------------------------------- shape

    def _look_at_shape(self, told: LimitReport, left: float, sent: float) -> None:
        """See whether the sum or the moment of the reset stays the same."""
        if told.reset is None or self.limit is None:
            return
        if told.reset > LONGEST_MINUTE + told.out_by and self.period <= LONGEST_MINUTE:
            self.is_longer = True
        used = self.limit - left
        if told.reset >= 1.0 and used >= 2.0:
            # What it takes to flow back tells the rate where the bucket holds the whole limit.
            # In a window it is another one whenever much more has been used.
            slow = used / told.reset
            if self._slow is None or used < self._slow[0]:
                self._slow = used, slow
            elif used >= max(_PROOF, 2 * self._slow[0]):
                is_same = abs(slow - self._slow[1]) < 0.1 * slow
                if is_same and self.limit / slow > LONGEST_MINUTE + told.out_by:
                    self.is_longer = True
                self._slow = used, slow
        full = left + self.rate * told.reset
        moment = sent + told.reset
        self._fulls = min(self._fulls[0], full), max(self._fulls[1], full)
        self._moments = min(self._moments[0], moment), max(self._moments[1], moment)
        if self.shape:
            self._compare(full, moment, told.out_by, sent)
            return
        self._last = full, moment
        of_full = (
            max(0.0, self._fulls[1] - self._fulls[0] - self._rounded) / self.rate - told.out_by
        )
        of_moment = self._moments[1] - self._moments[0] - REACH - told.out_by
        if of_moment > _MOVED and of_moment > _TIMES * max(0.0, of_full):
            self._reshape("bucket")
        elif of_full > _MOVED and of_full > _TIMES * max(0.0, of_moment):
            self._reshape("window")
        elif min(of_full, of_moment) > 2 * self.period:
            self._reshape("")  # neither stays: begin anew

    def _compare(self, full: float, moment: float, out_by: float, sent: float) -> None:
        """Note where neither sign of the shape stays as it was."""
        before, then = self._last
        self._last = full, moment
        if self.shape == "bucket":
            slack = 2 * self._rounded + self.rate * (out_by + 0.1) + 0.05 * self.capacity
            is_odd = abs(full - before) > slack
        else:
            is_odd = REACH + out_by + _MOVED < abs(moment - then) < self.period / 2
        if is_odd:
            self._oddities = [one for one in self._oddities if sent - one <= 30.0] + [sent]

    def is_clear(self, now: float) -> bool:
        """Whether it is known how the limit flows back, or cannot be known yet."""
        return bool(self.shape) or now - self._began <= _UNCLEAR_SECONDS

    def _reshape(self, shape: Shape) -> None:
        self.shape = shape
        if not shape:
            self._fulls = self._moments = (math.inf, -math.inf)
        self._told = [
            (self._key(item), self._first + place)
            for place, item in enumerate(self._items)
            if item.is_told and self._first + place <= self._newest
        ]
        heapq.heapify(self._told)

    def _take_reset(self, reset: float, out_by: float, left: float, now: float) -> None:
        """Follow capacity and end of the newest reply."""
        whole = self.limit if self.limit is not None else math.inf
        ends = now + reset + out_by
        if self.shape == "window" and now < self.ends and abs(ends - self.ends) < self.period / 2:
            ends = min(ends, self.ends)  # the lower one: its reply was quicker
        self.ends = ends
        if self.shape == "window":
            self.capacity = whole
        else:
            self.capacity = min(whole, left + self.rate * max(0.0, reset - out_by))

    # ------------------------------------------------------------------------- others

    def _decay(self, now: float) -> None:
        if now > self._decayed_at:
            part = 0.5 ** ((now - self._decayed_at) / HALF_LIFE)
            self._own *= part
            self._others *= part
            self._decayed_at = now

    def know_of(self, processes: int) -> None:
        """Note how many processes of ours draw on the limit, this one included."""
        self._processes = processes

    def on_found_empty(self) -> None:
        """Note a refusal with nothing left: somebody else has taken what we counted on."""
        self._others += 2.0

    def _look_for_others(self, sent: float, left: float, ours: float) -> None:
        if self._mark is None:
            self._mark = sent, left, ours
            self._refused_since = 0.0
            return
        then, there_was, we_had = self._mark
        seconds = sent - then
        if seconds < REACH:
            return
        used = ours - we_had - self._refused_since
        flowed = self.rate * seconds if self.shape == "bucket" else 0.0
        self._decay(sent)
        self._own += max(0.0, used)
        is_over = self.shape != "bucket" and left > there_was
        if not is_over and there_was + flowed < self.capacity - self._rounded:
            fell = there_was + flowed - left
            self._others = max(0.0, self._others + fell - used)
            if self.charge is not None and self.shape == "bucket":
                self.charge.on_fall(fell, used)
        self._mark = sent, left, ours
        self._refused_since = 0.0

    def _look_at_peers(self, sent: float, ours: float) -> None:
        """Expect of each process of ours what we have sent in the round before k.

        They hear of the same remainder up to a round trip later, so theirs may be missing in it
        where all of ours is counted.
        """
        before = sent - self._latency
        first = self._history[0][1] if self._history else 0.0
        early = next((total for then, total in reversed(self._history) if then <= before), first)
        self._peers = (self._processes - 1) * (ours - early)

    def share(self, now: float) -> float:
        """Return the part of the limit that we count on."""
        others = max(self._others, _FIRST * (self._processes - 1))
        share = (1 + self._own) / (1 + self._own + others)
        if now - self._began < HALF_LIFE:  # nothing is known of what the others do
            share = min(share, 1 / self._processes)
        return max(_LEAST_SHARE, share)

    @property
    def reserve(self) -> float:
        """What is left for those who may come while our requests are on their way."""
        a_second = self._others * math.log(2) / HALF_LIFE
        meanwhile = a_second * min(self._latency, 2 * HALF_LIFE)
        return max(self._peers, meanwhile + 2 * math.sqrt(meanwhile))

    # ----------------------------------------------------------------------- distrust

    def _show(self, left: float, sent: float) -> None:
        """See what is left fall by what we send; of those that go together the order is open."""
        if self.is_shown:
            return
        lowest, highest = self._shown_from or ((left, sent), (left, sent))
        if left <= lowest[0]:
            lowest = left, sent
        if left >= highest[0]:
            highest = left, sent
        self._shown_from = lowest, highest
        is_fall = highest[1] <= lowest[1] + _TOGETHER
        self.is_shown = is_fall and highest[0] - lowest[0] >= _PROOF * self._unit()

    def _unit(self) -> float:
        """Return what one request takes, as far as is known."""
        if self.kind == "requests" or not self._items:
            return 1.0
        return max(1.0, self._items[-1].cost / 2)

    def _judge(self, sent: float, latest: float, left: float) -> str:
        """Return why what is left cannot be the figure that our requests count in."""
        if self._far is None:
            self._far = sent, left
            return ""
        then, there_was = self._far
        if sent - then < 3 * REACH:
            return ""
        self._far = sent, left
        is_new_window = self.shape != "bucket" and left > there_was
        most = there_was + self.rate * (latest - then) + 2 * self._rounded
        surely = 0.0 if self.charge is not None else self._between(then + REACH, sent - REACH)
        if left > most - surely and not is_new_window and left > there_was:
            self._rises = [one for one in self._rises if sent - one <= 30.0] + [sent]
            if len(self._rises) >= 2:
                return "more is told to be left than can have flowed in"
        is_full = there_was + self.rate * (latest - then) >= self.capacity
        is_proof = surely >= max(_PROOF * self._unit(), 2 * _PROOF * (self._rounded - 1))
        if is_proof and not is_new_window and not is_full:
            fell = most - left
            if fell < surely / 2:
                return "what is told to be left does not fall by what is sent"
        return ""

    def _between(self, first: float, last: float) -> float:
        """Return what was surely sent between two moments, as far as it is remembered."""
        marks = [total for moment, total in self._history if first <= moment <= last]
        return marks[-1] - marks[0] if len(marks) > 1 else 0.0

    # ---------------------------------------------------------------------- allowance

    def _settle(self, now: float) -> None:
        """Let time pass: requests arrive, a window ends."""
        items, first = self._items, self._first
        while (place := self._arrived - first) < len(items):
            item = items[place]
            arrived = item.sent + REACH
            if arrived > now:
                break
            if item.is_uncounted:
                self._arrived_sum += item.cost
                self._note_arrival(self._arrived, item)
            self._arrived += 1
        if now >= self.ends and self.shape != "bucket" and self.limit is not None:
            self._roll(now)

    def _note_arrival(self, number: int, item: _Item) -> None:
        """Note how full the bucket can have been right before a request arrived."""
        bound, full = item.before - self.rate * (item.sent + REACH), self._full
        while full and full[-1][0] >= bound:
            full.pop()
        full.append((bound, number))

    def _roll(self, now: float) -> None:
        """Begin another window, or a whole bucket where it is not known which of the two it is."""
        assert self.limit is not None
        if self.shape == "window":
            while self._items and self._items[0].sent <= self.ends - REACH:
                self._count(self._first, self._items.popleft())
                self._first += 1
            self._newest = self._first - 1
            self._arrived = max(self._arrived, self._first)
            self._base = self.limit
        else:
            # Those that have overtaken k on the way are not in what it was told.
            told = sum(item.cost for item in self._items if not item.is_uncounted)
            self._base = min(self.limit, self.capacity) - told
        self._told.clear()
        self.ends = math.inf

    def is_over(self, now: float) -> bool:
        """Return whether the moment has passed at which the limit was to be whole again."""
        self._settle(now)
        return self.is_longer or self._base is not None or now >= self.ends

    def base(self, now: float) -> float:
        """Return what is left, before anything that is not counted yet is taken off."""
        if self._base is not None:
            return self._base
        if not self._told:
            return math.inf if self.left is None else self.left
        lowest = self._told[0][0]
        return lowest + self.rate * now if self.shape == "bucket" else lowest

    def allowance(self, now: float) -> float:
        """Return how many units may be sent now without one of them being refused."""
        self._settle(now)
        return min(self._bounds(now, 1.0, 0.0))

    def _bounds(self, now: float, share: float, reserve: float) -> tuple[float, float, float]:
        """Return three bounds: what was told, a bucket that is full now, and one that was full."""
        base = self.base(now)
        told = share * (base - reserve) - self.uncounted
        if base <= self.capacity and not self._full:
            return told, math.inf, math.inf
        under_way = self.uncounted - self._arrived_sum
        full = share * (self.capacity - reserve) - under_way
        if not self._full:
            return told, full, math.inf
        was_full = self.capacity + self.rate * now - self._sum + self._full[0][0]
        return told, full, was_full - reserve

    def wait(self, cost: float, now: float) -> float:
        """Return the seconds until the allowance covers a request, as far as can be told."""
        self._settle(now)
        self._decay(now)
        share = self.share(now)
        reserve = self.reserve + (1.0 if self.kind == "requests" else cost)
        need = min(cost, self.capacity)
        told, full, was_full = self._bounds(now, share, reserve)
        if min(told, full, was_full) >= need - _EPSILON:
            return 0.0
        if self.uncounted <= _EPSILON:
            # Nobody starves: where nothing is under way a nearly full bucket is enough.
            enough = max(need, 0.75 * self.capacity) - min(self.base(now), self.capacity)
            if enough <= _EPSILON or self._base is not None:
                return 0.0
        else:
            enough = math.inf
        if self.shape != "bucket":
            return max(_SOON, min(self.ends - now, LONGEST_MINUTE))
        longest = max((need - told) / (self.rate * share), (need - was_full) / self.rate)
        if full < need:
            item = self._item(self._arrived)
            longest = max(longest, math.inf if item is None else item.sent + REACH - now)
        return min(max(_SOON, min(longest, enough / self.rate)), LONGEST_MINUTE)


_SOON = 0.005
"""Least seconds until it is worth looking again."""
