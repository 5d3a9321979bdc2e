"""Permission drawn from a limit that several processes share, as stretches of the limit's own time.

A limit of 600 a minute is a clock that gives out a tenth of a second for each
request. A process that wants to send draws a stretch of that clock; stretches
never overlap. What costs c seconds may go at the end of the
first c seconds that are held, and a stretch lapses `reach` seconds after its
moment. So what all holders together send in any t seconds was given out for at
most t + reach seconds: the bound holds without the holders knowing each other.

A cost above `reach` waits for its first `reach` seconds only, goes alone, and
leaves a debt, as it does at `decide.bucket.Bucket`. One that takes nearly all
of `reach` would lapse while it waits for its end; what it lacks then, at most
`SLACK_SECONDS`, is a debt, too.
"""

from __future__ import annotations

from collections import deque

REACH_SECONDS = 0.7
"""Burst of all processes together; the rest of a second is room for their machines' jitter."""

PAST_SECONDS = 0.45
"""Stretches are given out so far into the past; the rest of the reach is for their journey."""

BLOCK_SECONDS = 0.05
"""Largest stretch drawn at once: 20 draws a second, whatever the rate."""

SLACK_SECONDS = 0.2
"""A timer that is late by less does not cost a large request its permission."""

_EPSILON = 1e-9
_MICROSECOND = 1e-6


class Lease:
    """The stretches that one process holds of one limit.

    Args:
        reach: Seconds after which a stretch that was not used lapses.

    Example:
        >>> lease = Lease(reach=0.7)
        >>> lease.add(begin=10.0, end=10.2)
        >>> round(lease.wait(0.1, now=10.0), 3), lease.wait(0.3, now=10.0)
        (0.1, None)
        >>> lease.take(0.1, now=10.1)
        >>> round(lease.available(now=10.1), 3)
        0.1
    """

    def __init__(self, reach: float = REACH_SECONDS) -> None:
        self.reach = reach
        self._stretches: deque[tuple[float, float, float]] = deque()
        self._debt = 0.0
        """Seconds used beyond what was held; the next stretch pays them."""

    def add(self, begin: float, end: float, lag: float = 0.0) -> None:
        """Take a stretch that was drawn.

        Args:
            begin: Its begin, on this process's clock.
            end: Its end.
            lag: By how much the mapping to this clock may be late; it lapses earlier by that.
        """
        paid = min(self._debt, end - begin)
        self._debt -= paid
        if end - begin > paid:
            self._stretches.append((begin + paid, end, lag))

    def available(self, now: float) -> float:
        """Return the seconds that may still be used; negative is debt."""
        self._lapse(now)
        return sum(end - begin for begin, end, _ in self._stretches) - self._debt

    def wait(self, cost: float, now: float) -> float | None:
        """Return the seconds until something of this cost may go; None: more must be drawn."""
        self._lapse(now)
        if self._debt > _EPSILON:
            return None
        reach = self.reach - max((lag for _, _, lag in self._stretches), default=0.0)
        awaited = min(cost, max(0.0, reach))
        lacking = min(cost, max(0.0, reach - SLACK_SECONDS))
        moment: float | None = None
        end = now
        for begin, end, _ in self._stretches:
            length = end - begin
            if moment is None and awaited <= length + _EPSILON:
                moment = begin + awaited
            awaited -= length
            lacking -= length
            if moment is not None and lacking <= _EPSILON:
                break
        if lacking > _EPSILON or not self._stretches:
            return None
        delay = (end + awaited if moment is None else moment) - now
        return delay if delay > _MICROSECOND else 0.0

    def take(self, cost: float, now: float) -> None:
        """Use so many seconds; what is not held becomes a debt."""
        self._lapse(now)
        stretches = self._stretches
        while stretches and cost > 0:
            begin, end, lag = stretches[0]
            used = min(cost, end - begin)
            cost -= used
            if end - begin - used <= _EPSILON:
                stretches.popleft()
            else:
                stretches[0] = (begin + used, end, lag)
        if cost > _EPSILON:
            self._debt += cost

    def give_back(self, cost: float, now: float) -> None:
        """Return what was taken too much; it lapses like everything else."""
        paid = min(cost, self._debt)
        self._debt -= paid
        cost -= paid
        if cost <= 0:
            return
        if self._stretches:
            begin, end, lag = self._stretches[0]
            self._stretches[0] = (begin - cost, end, lag)
        else:
            self._stretches.append((now - cost, now, 0.0))

    def drop_ahead(self, now: float) -> float:
        """Drop what could only be used later than now; return how much that is."""
        dropped = 0.0
        while self._stretches and self._stretches[-1][1] > now:
            begin, end, lag = self._stretches.pop()
            if begin < now:
                self._stretches.append((begin, now, lag))
                begin = now
            dropped += end - begin
            if begin == now:
                break
        return dropped

    def _lapse(self, now: float) -> None:
        stretches = self._stretches
        while stretches:
            begin, end, lag = stretches[0]
            oldest = now - max(0.0, self.reach - lag)
            if begin >= oldest:
                return
            if end > oldest:
                stretches[0] = (oldest, end, lag)
                return
            stretches.popleft()


def amount_to_draw(missing: float, used: float, block: float) -> float:
    """Return how much to draw: what is missing now, or twice what the last draw was good for.

    So the first request of a quiet process draws for itself alone, and a busy one soon
    draws whole blocks.

    Args:
        missing: What the next request lacks.
        used: What was used since the last draw.
        block: Most that is drawn ahead.

    Example:
        >>> amount_to_draw(1, used=0, block=50), amount_to_draw(1, used=8, block=50)
        (1, 16)
        >>> amount_to_draw(1, used=40, block=50), amount_to_draw(200, used=40, block=50)
        (50, 200)
    """
    return max(missing, min(2 * used, block))


SETTLED_PART = 0.95
"""What the settled processes divide among themselves."""

LATE_PART = 0.05
"""What is left for those that the others may not know of."""

HEARTBEAT_SECONDS = 3.0
"""Every process publishes at least this often, with room for a call that is timed out."""


def offline_share(*, alive: int, known_for: float | None, silent_for: float) -> float:
    """Return the part of a shared limit that this process keeps to while it cannot ask the others.

    The parts of all processes never add up to more than the whole. Each process knows how many
    were alive when it last received something. One that came so late that the others may not have
    received word of it, or received so long ago that others may have come since, takes its part
    from the twentieth that the settled ones leave.

    Args:
        alive: Processes at the limit when something was last received, this one included.
        known_for: Seconds from this process's first message to the last one that it received;
            None: it never received any.
        silent_for: Seconds from the last message that it received to the loss.

    Example:
        >>> offline_share(alive=4, known_for=60.0, silent_for=0.2)
        0.2375
        >>> offline_share(alive=4, known_for=1.0, silent_for=0.2)
        0.0125
        >>> offline_share(alive=1, known_for=None, silent_for=0.0)
        0.05
    """
    if known_for is None or silent_for > HEARTBEAT_SECONDS:
        return LATE_PART / (alive + 1 if known_for is not None else 1)
    if alive > 1 and known_for < HEARTBEAT_SECONDS:
        return LATE_PART / alive
    return SETTLED_PART / alive
