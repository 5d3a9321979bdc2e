"""How many requests to keep in flight where nobody says, and at what pace where that is needed.

The limit is found as a congestion window is found in TCP, with a better
memory. It begins small and doubles with every *round* (a window of
completions) as long as all slots are used and nobody complains. A refusal
ends that: the limit is cut once for the whole *congestion event*, which is everything
that had been sent before the cut. From then on there is a *ceiling*, the lowest
level that was refused. The limit comes quickly back to just below it, stays,
and probes the ceiling rarely: after 8 rounds, then 16, then 32. Each failed
probe costs a request or two, and none of the throughput.

How far to fall is known better than in TCP: a server that takes so many at
once has refused exactly those that were too many, so what was in flight less
what was refused is what it takes. A refusal at a level that had been safe says
that the server takes less than before (or counts by time instead), and the cut
is multiplicative.

A server may also slow down instead of refusing; `Crowding` watches for that, and the
limit does not grow, or falls, when it finds so.

Source:
    Slow start and one cut an event: V. Jacobson, *Congestion Avoidance and
    Control*, SIGCOMM 1988, and RFC 6582. Remembering the level of the last
    loss: S. Ha, I. Rhee and L. Xu, *CUBIC*, 2008.
"""

from __future__ import annotations

import math
import statistics

START = 8
MOST = 1000

LEAST_ROUND = 8
"""Completions that make a round, at least."""

CUT = 0.8
"""What remains of a level that had been safe and was refused."""

CUT_AGAIN = 0.5
"""The same, where not one calm round has passed since the last cut."""

FIRST_PATIENCE = 8
LONGEST_PATIENCE = 64
"""Rounds at a safe level before the next probe of the ceiling."""

STEP = 0.02
"""Smallest step of growth, as a part of the level; at least one slot."""

BOLD, CAUTIOUS = 2, 8
"""A step where nobody has been is the level divided by this, at most."""


SLOW = math.log(1.5)
CROWDED = math.log(2.0)
EASY = math.log(1.3)
"""How much longer answers may take at the level that is gone to when it was crowded."""

TRIAL = 0.5
"""Part of the level that a trial leaves."""

RELIEF = math.log(0.8)
"""Change of latency in a trial that shows it was ours."""

SURE = 3.0
"""Standard deviations that chance does not reach."""

FULL_RELIEF = math.log(0.55)
"""The same, where the level that was left must still be crowded."""

LEAST_SAMPLES = 48
MOST_SAMPLES = 400
DOUBT = 0.06
"""How well the mean must be known to end a trial."""

FOLLOWING = 0.1
"""How much of a small change the usual follows at once."""

LONG_SLOW = 8
"""Slow judgements in a row after which a trial finds out whether it is our doing."""

SELDOM = 128
"""Further slow judgements before the next such trial, where it was."""

PACED_SLOTS = 64
"""Slots to begin with where the pace is what keeps the limit."""

RELAPSES = 2
"""Refusals at a level that was just taken, after which a server counts by time."""

LEAST_SECONDS = 1.0
LEAST_ACCEPTED = 5
"""What must lie between two refusals to tell a rate."""

PACE_MARGIN = 0.98
"""Part of the counted rate that is used: the counting is a request or two out."""

PACE_STEP = 0.02
LARGEST_PACE_STEP = 0.16
"""How far above the pace to probe; doubled after each probe that was not refused."""

PACE_CUT = 0.97
"""What remains of a pace that is refused where the rate cannot be counted."""

FIRST_PACE_PATIENCE = 20.0
LONGEST_PACE_PATIENCE = 640.0
"""Seconds at a pace before the next probe."""

CHANCE_COUNT = 8
"""Refusals from which their share is told."""

LEAST_GAP = 3
"""Answers for each refusal, at least, where refusals may be chance."""

CHANCE_CUT = 0.75
"""A server that counts by time refuses nothing at this part of what it takes, or below."""

MOST_CHANCE = 0.2
"""Largest share of refusals that is put down to chance."""

MOST_CHANCE_GROWTH = 0.1
"""By how much that share may grow unheeded; it may double where it is small."""

QUICK_PATIENCE = 2.0
"""The same where pauses, in which the server's bucket was full, have made the count too low."""


class Crowding:
    """Tells whether answers take longer because of us.

    A server that never refuses slows down instead: with more requests than it can work on, each
    waits in proportion. So latency is compared with what is usual when the server is quick. Half
    as long again is *slow*: the limit no longer grows. More than twice as long is *crowded*, and
    the limit falls to half for a *trial*. If latency falls with it, the crowding was ours, and how
    much it fell tells where the server would just be full. If it does not, the answers have
    become longer (other prompts, another hour), and that is usual from now on.

    Logarithms are averaged, so that one straggler among many counts for little, and the more
    answers differ among themselves the more of them are asked for.

    Source:
        Latency as a signal: L. Brakmo and L. Peterson, *TCP Vegas*, 1995; the proportion is
        Little's law.

    Example:
        >>> crowding = Crowding()
        >>> for level, seconds in ((16, 1.0), (48, 3.0)):
        ...     for _ in range(48):
        ...         crowding.add(seconds)
        ...     print(crowding.judge(level))
        16
        24
        >>> for _ in range(48):  # half as many, half as long: it was ours
        ...     crowding.add(1.5)
        >>> crowding.judge(24)
        24
    """

    def __init__(self) -> None:
        self.is_slow = False
        """Whether the last judgement found answers slower than usual."""

        self.is_fresh = False
        """Whether there was a judgement at the present level."""

        self.usual: float | None = None
        """Logarithm of the seconds that an answer takes when the server is not crowded."""

        self.is_ours = False
        """Whether the last trial found that the crowding was ours."""

        self._is_suspect = False
        """Whether the usual is being looked for, further and further down."""

        self._sum = 0.0
        self._squares = 0.0
        self._count = 0
        self._slow = 0
        self._early: tuple[float, int] = 0.0, 0
        self._tried: tuple[int, float] | None = None

    def add(self, seconds: float) -> None:
        """Note how long an answer took."""
        logarithm = math.log(max(seconds, 1e-6))
        self._sum += logarithm
        self._squares += logarithm * logarithm
        self._count += 1

    def forget_samples(self) -> None:
        """Begin anew: the limit has changed."""
        self._sum, self._squares, self._count, self.is_fresh = 0.0, 0.0, 0, False

    def end_trial(self) -> None:
        """Break off a trial: a refusal has said more than latency can."""
        self._tried, self._is_suspect = None, False

    def judge_early(self, level: int) -> int:
        """Return the level to go to while the limit doubles; the same where nothing is slow.

        Each level is judged by its first round alone. Of that the quickest answers have come
        first, so these rounds are only compared with each other.
        """
        total, count = self._early
        excess = self._sum / self._count - total / count if count else 0.0
        doubt = SURE * math.sqrt(self._variance() * (1 / self._count + 1 / max(1, count)))
        if count + self._count >= LEAST_SAMPLES and excess > max(SLOW, doubt):
            self._is_suspect = True
            return _eased(level, excess)
        self._early = total + self._sum, count + self._count
        return level

    def judge(self, level: int) -> int:
        """Return the level to go to; the same where nothing is crowded, or nothing is known."""
        enough = LEAST_SAMPLES
        if self._tried is not None and self._count >= enough:
            enough = min(MOST_SAMPLES, math.ceil(self._variance() / DOUBT**2))
        if self._count < enough:
            return level
        mean = self._sum / self._count
        self.forget_samples()
        self.is_fresh = True
        if self._tried is not None:
            return self._after_trial(*self._tried, mean, level)
        if self.usual is None:
            self.usual = mean
        excess = mean - self.usual
        self.is_slow = excess > SLOW
        self._slow = self._slow + 1 if self.is_slow else min(self._slow, 0)
        if excess < SLOW / 2:
            self.usual += excess * FOLLOWING
        if level > 1 and (self._is_suspect or excess > CROWDED or self._slow > LONG_SLOW):
            self._tried = level, mean
            return int(level * TRIAL)
        return level

    def _after_trial(self, tried: int, before: float, mean: float, level: int) -> int:
        self._tried = None
        self.is_ours = mean - before < RELIEF
        self.is_slow = False
        if not self.is_ours:
            self.usual, self._slow, self._is_suspect = mean, 0, False
            return tried
        self.usual = mean if self.usual is None else min(self.usual, mean)
        self._slow = LONG_SLOW - SELDOM
        if self._is_suspect and mean - before < FULL_RELIEF and level > 1:
            self._tried = level, mean  # as crowded as before; on with it
            return int(level * TRIAL)
        self._is_suspect = False
        excess = before - self.usual
        self.is_slow = EASY < excess <= CROWDED
        return tried if excess <= CROWDED else max(level, _eased(tried, excess))

    def _variance(self) -> float:
        mean = self._sum / self._count
        return max(0.0, self._squares / self._count - mean * mean)


def _eased(level: int, excess: float) -> int:
    """Return the level where answers would take a little longer than usual."""
    return max(1, int(level * math.exp(EASY - excess)))


class Adaptive:
    """The number of slots of one target, found by trying.

    Args:
        start: Slots to begin with.
        most: Most slots.

    Example:
        >>> adaptive = Adaptive(start=8)
        >>> def answer(slots):
        ...     sent = [adaptive.on_start() for _ in range(slots)]
        ...     for sequence in sent:
        ...         adaptive.on_success(sequence, 1.0, slots)
        >>> answer(8)
        >>> adaptive.limit
        16
        >>> for sequence in [adaptive.on_start() for _ in range(16)][12:]:
        ...     adaptive.on_refusal(sequence)  # it takes twelve at once
        >>> for slots in (8, 8, 10, 11):
        ...     answer(slots)
        >>> adaptive.limit
        12
    """

    def __init__(self, *, start: int = START, most: int = MOST) -> None:
        self.limit = start
        """Requests that may be in flight now."""

        self.crowding = Crowding()
        self._most = most
        self._next = 0
        self._round_began = 0
        self._completions = 0
        self._was_full = False
        self._is_settled = False
        self._is_doubling = True
        # The last event: what was sent up to `_cut_at`, `_peak` at once, `_refused` of it.
        self._cut_at = 0
        self._peak = start
        self._refused = 0
        # What is known of the server: a level that held, and the lowest that did not.
        self._safe = 1
        self._ceiling = math.inf
        self._beyond = math.inf  # the ceiling that was last probed
        self._patience = FIRST_PATIENCE
        self._quiet = 0
        self._stride = 1
        self._boldness = BOLD

    # ------------------------------------------------------------------------ news

    def on_start(self) -> int:
        """Note a request that is sent; return its number, for the calls below."""
        self._next += 1
        return self._next

    def on_success(self, sequence: int, seconds: float, in_flight: int) -> None:
        """Note an answer.

        Args:
            sequence: The request's number.
            seconds: How long it took.
            in_flight: Requests in flight, this one included.
        """
        if sequence < self._round_began:
            return  # it was sent under another limit
        self._completions += 1
        self.crowding.add(seconds)
        if in_flight >= self.limit:
            self._was_full = True
        if self._completions >= max(self.limit, LEAST_ROUND):
            self._end_round()

    def on_refusal(self, sequence: int) -> None:
        """Note a rate-limited request; one that was sent before the last cut does not cut again."""
        if sequence > self._cut_at:
            self._begin_event()
        else:
            self._refused += 1
        # What was in flight less what was refused is what the server takes.
        self._ceiling = max(self._safe, self._peak - self._refused) + 1

    def _begin_event(self) -> None:
        self.crowding.end_trial()
        self._cut_at = self._next
        self._peak, self._refused = self.limit, 1
        if self._is_doubling:
            self._is_doubling = False
            self._safe = max(1, self.limit // 2)
            # It may count by time and have nothing left for a while: half as much again less.
            self._move(self._safe // 2)
        else:
            if self.limit > self._safe:
                self._patience = min(LONGEST_PATIENCE, 2 * self._patience)
            else:
                self._safe = max(1, int(self.limit * (CUT if self._quiet else CUT_AGAIN)))
            self._move(self._safe)
        self._quiet = 0

    # ---------------------------------------------------------------------- rounds

    def _end_round(self) -> None:
        was_full, level = self._was_full, self.limit
        self._completions = 0
        self._was_full = False
        if self._is_doubling:
            level = self.crowding.judge_early(level)
        elif self._is_settled:
            level = self.crowding.judge(level)
        else:
            # Of what was sent since the limit changed the quickest have come first: too quick.
            self._is_settled = True
            self.crowding.forget_samples()
        if level != self.limit:
            self._is_doubling = False
            self._stride = 1
            self._boldness = CAUTIOUS if self.crowding.is_ours else BOLD
            self._move(level)
        elif self.crowding.is_slow:
            self._is_doubling = False
            self._stride = 1
        elif was_full and level < self._most:
            self._grow()

    def _grow(self) -> None:
        """Go up after a round in which all slots were used and nothing was refused."""
        level, ceiling = self.limit, self._ceiling
        self._quiet += 1
        if self._is_doubling:
            self._move(level * 2)
        elif level + 1 < ceiling and ceiling < math.inf:
            self._safe = level
            self._move(level + (int(ceiling) - level) // 2)
        elif level < ceiling < math.inf:
            self._safe = level
            if self._quiet >= self._patience:
                self._probe(max(1, int(level * STEP)))
        elif self._quiet >= max(1, self._patience // 8) and self.crowding.is_fresh:
            self._safe = level
            if level >= 2 * self._beyond:
                self._patience = FIRST_PATIENCE  # nothing here is as it was
            self._ceiling = math.inf
            self._probe(min(2 * self._stride, max(1, level // self._boldness)))

    def _probe(self, stride: int) -> None:
        """Go where it was refused before, or nobody has been."""
        if self._ceiling < math.inf:
            self._beyond = self._ceiling
        self._stride = stride
        self._quiet = 0
        self._move(self.limit + stride)

    def _move(self, level: int) -> None:
        """Set the limit; the round begins anew with what is sent from now on."""
        level = max(1, min(self._most, level))
        if level != self.limit:
            self.crowding.forget_samples()
            self._is_settled = False
        self.limit = level
        self._round_began = self._next + 1
        self._completions = 0
        self._was_full = False


class Chance:
    """Tells refusals that come by chance: they are as many however slowly one goes.

    A provider that is short of machines refuses one request in fifty, whoever sends how many. To go
    slower after each would end in hardly going at all. So where a pace is cut again and again, the
    share of refusals at its beginning tells the rate that a server takes which counts by time, and
    below that it would refuse nothing. If it does, the refusals are chance, and such a share of
    them says nothing from then on.

    Example:
        >>> chance = Chance()
        >>> def refused_among_fifty(per_minute):
        ...     chance.accepted += 49
        ...     return chance.on_refusal() or chance.proven(per_minute)
        >>> paces = range(600, 380, -10)  # slower and slower
        >>> next(pace for pace in map(refused_among_fifty, paces) if pace)
        600
        >>> chance.on_refusal()  # from now on it says nothing
        True
    """

    def __init__(self) -> None:
        self._share = 0.0
        """Refusals by chance among all replies; 0 where none is known to be."""

        self.accepted = 0
        """Answers since the last refusal; counted by `Pace`."""

        self._gaps: list[int] = []
        """Answers before each refusal, since they were last looked at."""

        self._before: float | None = None
        """The pace before the cuts that are looked at; None while nothing is cut."""

        self._taken: float | None = None
        """What a server that counts by time would take, by the refusals of the first of them."""

    @property
    def is_known(self) -> bool:
        """Whether some refusals are known to come by chance."""
        return self._share > 0

    def on_refusal(self) -> bool:
        """Note a refusal; return whether it says nothing."""
        gap, self.accepted = self.accepted, 0
        if not self.is_known and self._before is None:
            return False
        self._gaps.append(gap)
        if self._before is not None:
            return False
        if len(self._gaps) < CHANCE_COUNT:
            return True
        share = self._take_share()
        is_usual = share <= self._share + min(self._share, MOST_CHANCE_GROWTH)
        self._share = min(self._share, (self._share + share) / 2)
        return is_usual

    def on_calm(self) -> None:
        """Note that a pace has held for long."""
        self._before = self._taken = None

    def proven(self, per_minute: float) -> float | None:
        """Return the pace before the cuts where it is now so slow that refusals must be chance.

        Args:
            per_minute: The pace, which is to be cut.
        """
        if self._before is None:
            self._before, self._gaps = per_minute, []
        if self._taken is None:
            if len(self._gaps) >= CHANCE_COUNT:
                # Gaps between refusals by chance are exponential: their mean is the median over
                # log 2. The mean as such may be of a time when nothing was refused.
                usual = statistics.median(self._gaps) / math.log(2)
                self._gaps = []
                if usual >= LEAST_GAP:
                    middle = math.sqrt(self._before * per_minute)
                    self._taken = middle * usual / (1 + usual)
                else:
                    self._before = per_minute
        elif per_minute <= CHANCE_CUT * self._taken and self._gaps:
            before = self._before
            self._share = min(MOST_CHANCE, self._take_share())
            self.on_calm()
            return before
        return None

    def _take_share(self) -> float:
        """Return the share of refusals; they are counted anew."""
        share = len(self._gaps) / (sum(self._gaps) + len(self._gaps))
        self._gaps = []
        return share


class Pace:
    """Requests a minute of a server that says nothing; None until it shows that it counts them.

    Slots alone cannot say "ten a second" where an answer takes a twentieth of a
    second: one slot is too many. Such a server shows itself by refusing at a level that it
    has just taken, which slots never cause; `Finding` then adds a pace to the slots.

    How fast it goes is counted, not guessed. A bucket that refuses is empty. What it
    let pass between two refusals is what flowed into it between them:

        rate = accepted between two refusals / seconds between them

    which is exact as long as the bucket was not full in between, and too low
    otherwise; never too high. From there the pace probes as the slots do: a little
    above, rarely, and back at the first refusal. Where refusals turn out to come by `Chance`
    it is taken back to where it was, and rises quickly.

    Args:
        patience: Seconds at a pace before the first probe.
    """

    def __init__(self, patience: float = FIRST_PACE_PATIENCE) -> None:
        self.per_minute: float | None = None
        self.chance = Chance()
        self._first_patience = patience
        self._accepted = 0
        self._begun: tuple[float, int] | None = None
        """When the first refusal to count from was, and how many had been accepted."""

        self._since = -math.inf
        """When the pace was set; what was sent before says nothing about it."""

        self._safe = 0.0
        """A pace that held before the last probe."""

        self._patience = patience
        self._stride = PACE_STEP

    def on_success(self, now: float) -> None:
        """Note an answer; after a long calm the pace rises a little."""
        self._accepted += 1
        self.chance.accepted += 1
        if self.per_minute is not None and now - self._since > self._patience:
            self.chance.on_calm()
            if self.per_minute > self._safe:  # the last probe met nobody
                self._patience = self._first_patience
                self._stride = min(LARGEST_PACE_STEP, 2 * self._stride)
            self._safe = self.per_minute
            if self.chance.is_known:  # no refusal of before tells what flows now
                self._begun = now, self._accepted
            self._set(self.per_minute * (1 + self._stride), now)

    def on_refusal(self, sent_at: float, now: float, *, may_begin: bool = True) -> None:
        """Note a refusal that says something: keep to a pace, or go slower where it was sent at it.

        Args:
            sent_at: When its request was sent.
            now: The time.
            may_begin: Whether to keep to a pace from now on where none is known yet.
        """
        if self._begun is None:
            self._begun = now, self._accepted
        seconds, accepted = now - self._begun[0], self._accepted - self._begun[1]
        counted = math.inf  # not known yet
        if seconds >= LEAST_SECONDS and accepted >= LEAST_ACCEPTED:
            counted = PACE_MARGIN * 60.0 * accepted / seconds
        if self.per_minute is None:
            if may_begin and counted < math.inf:
                self._safe = counted
                self._set(counted, now)
        elif sent_at > self._since:
            before = self.chance.proven(self.per_minute)
            if before is not None:
                self._first_patience = self._patience = QUICK_PATIENCE
                self._safe, self._begun = before, (now, self._accepted)
                self._set(before, now)
                return
            if self.per_minute > self._safe:
                longest = FIRST_PACE_PATIENCE if self.chance.is_known else LONGEST_PACE_PATIENCE
                self._patience = min(longest, 2 * self._patience)
            else:
                self._safe = PACE_CUT * self.per_minute
            self._safe = min(self._safe, counted)
            self._stride = PACE_STEP
            self._set(self._safe, now)
            self._begun = now, self._accepted  # its bucket is empty now

    def _set(self, per_minute: float, now: float) -> None:
        self.per_minute = per_minute
        self._since = now


class Finding:
    """Slots and, where the server turns out to count by time, a pace; both found by trying.

    Args:
        start: Slots to begin with.
        most: Most slots.

    Example:
        >>> finding = Finding()
        >>> finding.limit, finding.per_minute
        (8, None)
    """

    def __init__(self, *, start: int = START, most: int = MOST) -> None:
        self._most = most
        self._slots = Adaptive(start=start, most=most)
        self._pace = Pace()
        self._carried = 0
        """Most in flight that the server is seen to take since the last refusal."""

        self._refused_at = -math.inf
        self._relapses = 0

    @property
    def limit(self) -> int:
        """Requests that may be in flight now."""
        return self._slots.limit

    @property
    def per_minute(self) -> float | None:
        """Requests that may be sent a minute; None: nothing is known of a pace."""
        return self._pace.per_minute

    @property
    def usual_seconds(self) -> float | None:
        """What an answer takes when the server is quick; None at first."""
        usual = self._slots.crowding.usual
        return None if usual is None else math.exp(usual)

    def on_start(self) -> int:
        """Note a request that is sent; return its number, for the calls below."""
        return self._slots.on_start()

    def on_success(
        self, sequence: int, level: int, seconds: float, in_flight: int, now: float
    ) -> None:
        """Note an answer.

        Args:
            sequence: The request's number.
            level: Requests in flight as it was sent, itself included.
            seconds: How long it took.
            in_flight: Requests in flight, this one included.
            now: The time.
        """
        if level > self._carried and now - seconds > self._refused_at:
            self._carried = level
        self._slots.on_success(sequence, seconds, in_flight)
        self._pace.on_success(now)

    def on_refusal(self, sequence: int, level: int, sent_at: float, now: float) -> None:
        """Note that a request was rate limited.

        Args:
            sequence: The request's number.
            level: Requests in flight as it was sent, itself included.
            sent_at: When it was sent.
            now: The time.
        """
        if self._pace.chance.on_refusal():
            return
        self._refused_at = now
        had_pace = self._pace.per_minute is not None
        if not had_pace:
            self._relapses += level <= self._carried
            self._carried = 0
            self._slots.on_refusal(sequence)
        self._pace.on_refusal(sent_at, now, may_begin=self._relapses >= RELAPSES)
        if not had_pace and self._pace.per_minute is not None:
            self._slots = Adaptive(start=min(PACED_SLOTS, self._most), most=self._most)
