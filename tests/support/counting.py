"""A server that counts tokens in its own way, and one client's account: a queue of events.

The server shares no code with `llmnb.decide`; it counts as requests arrive, or as answers are
done. Every run with the same seed is the same run.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from llmnb.decide.charge import Estimate
from llmnb.engine.account_limits import AccountLimits
from llmnb.engine.lanes import Lane, Lanes, Ticket
from llmnb.errors import RateLimited
from llmnb.records import KindOfLimit, LimitReport, Limits


@dataclass(frozen=True)
class Row:
    """What one request is made of, in tokens as the server knows them."""

    prompt: int
    most: int
    """What the answer may have."""

    answer: int
    """What it has in the end."""


Count = Callable[[Row], float]


@dataclass
class TokenLimit:
    """One limit of tokens that fills steadily, and how it counts."""

    per_minute: float
    capacity: float
    count: Count
    kind: KindOfLimit = "tokens"
    counts_answers: bool = False
    """Whether it counts when an answer is done, and lets anything pass until it is empty."""

    grain: float = 1.0
    level: float = field(init=False)
    updated: float = 0.0
    passed: float = 0.0
    lost: float = 0.0
    """What ran over, full as it was."""

    def __post_init__(self) -> None:
        self.level = self.capacity

    def flow(self, now: float) -> None:
        level = self.level + (now - self.updated) * self.per_minute / 60
        self.level, self.updated = min(self.capacity, level), now
        self.lost += level - self.level

    def need(self, row: Row) -> float:
        return 1.0 if self.counts_answers else min(self.count(row), self.capacity)

    def take(self, amount: float) -> None:
        self.level -= amount
        self.passed += amount

    def report(self) -> LimitReport:
        reset = (self.capacity - self.level) * 60 / self.per_minute
        left = math.floor(max(0.0, self.level) / self.grain) * self.grain
        return LimitReport(
            self.kind, self.per_minute, left, round(reset, 3), 60.0, self.grain, 0.001
        )


@dataclass
class Counted:
    """What became of a run."""

    sent: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    could: dict[str, float] = field(default_factory=dict)
    """What each limit would have let pass from the first second to the last request."""

    passed: dict[str, float] = field(default_factory=dict)

    @property
    def refused_later(self) -> float:
        """The part that was refused after the first second."""
        later = sum(moment > 1.0 for moment in self.sent)
        return sum(moment > 1.0 for moment in self.refused) / max(1, later)

    @property
    def used(self) -> float:
        """The part of the tightest limit that was used after the first second."""
        return max(self.passed[name] / self.could[name] for name in self.could)


def ask(
    limits: Sequence[TokenLimit],
    rows: Sequence[Row],
    *,
    estimate: Callable[[Row], Estimate],
    per_minute: float | None = None,
    is_announced: bool = True,
    tells_requested: bool = False,
    requests: float = 6000.0,
    at_once: int = 64,
    hint: Callable[[float], float] = lambda wait: wait,
    latency: Callable[[random.Random], float] = lambda dice: 0.5,
    seed: int = 0,
) -> Counted:
    """Ask all rows and return what became of them.

    Args:
        limits: What the server keeps to.
        rows: What is asked.
        estimate: What we count for a row.
        per_minute: A limit of tokens that the person gives.
        is_announced: Whether replies tell how the limits stand.
        tells_requested: Whether refusals say what they count for their request.
        requests: Requests a minute that are announced, all of them left.
        at_once: Requests in flight at most.
        hint: What a refusal says for so many seconds that it takes.
        latency: Draws how long an answer takes.
        seed: Of the dice.
    """
    dice, events, order, counted = random.Random(seed), [], itertools.count(), Counted()
    lanes = Lanes()
    account = AccountLimits(Limits(), lanes, now=0.0)
    account.claim("run", Limits(tokens_per_minute=per_minute, concurrency=at_once), 0.0)
    waiting, answered, now, due = list(range(len(rows))), 0, 0.0, -1.0
    of_requests = TokenLimit(requests, requests, lambda row: 1.0, "requests")
    marked: dict[str, tuple[float, float, float]] = {}

    def push(when: float, *what: object) -> None:
        heapq.heappush(events, (when, next(order), *what))

    def mark() -> None:
        """Remember how the limits stand after the first second."""
        if not marked and now >= 1.0:
            for limit in limits:
                limit.flow(now)
                marked[limit.kind] = limit.level, limit.passed, now

    def reports() -> tuple[LimitReport, ...]:
        if not is_announced:
            return ()
        for limit in (of_requests, *limits):
            limit.flow(now)
        return tuple(limit.report() for limit in (of_requests, *limits))

    def fill() -> None:
        nonlocal due
        while waiting:
            number = waiting[0]
            row = rows[number]
            guess = estimate(row)
            delay = account.wait(guess, now)
            if delay > 0:
                if delay != math.inf and not now < due <= now + delay:
                    due = now + min(delay, 1.0)
                    push(due, "look", None, None)
                return
            del waiting[0]
            tokens = account.announced.charge.of(guess)
            account.admission.admit(tokens, now)
            sent = account.announced.on_sent(now, tokens, guess)
            ticket = Ticket(tokens, Lane(None), sent, now)
            arrive(number, row, ticket)

    def arrive(number: int, row: Row, ticket: Ticket) -> None:
        mark()
        counted.sent.append(now)
        for limit in limits:
            limit.flow(now)
        short = [figure for figure in limits if figure.level < figure.need(row) - 1e-9]
        if short:
            wait = max(
                (figure.need(row) - figure.level) * 60 / figure.per_minute for figure in short
            )
            push(now + 0.01, "refused", number, (ticket, wait, reports(), short[0].count(row)))
            counted.refused.append(now)
            return
        of_requests.flow(now)
        of_requests.take(1.0)
        for limit in limits:
            if not limit.counts_answers:
                limit.take(limit.count(row))
        push(now + latency(dice), "answer", number, (ticket, reports()))

    fill()
    while answered < len(rows):
        now, _, what, number, reply = heapq.heappop(events)
        assert now < 10_000.0, f"{answered} of {len(rows)} rows are answered"
        mark()
        if what == "answer":
            ticket, figures = reply
            row = rows[number]
            for limit in limits:
                limit.flow(now)
                if limit.counts_answers:
                    limit.take(limit.count(row))
            late = {limit.kind for limit in limits if limit.counts_answers}
            figures = [figure for figure in figures if figure.kind not in late]
            figures += [figure for figure in reports() if figure.kind in late]
            account.on_reply(figures, ticket, now, None)
            account.on_success(ticket, now - ticket.began, now)
            used = float(row.prompt + row.answer)
            if estimate(row) < row.prompt + row.most:
                used = max(used, ticket.reserved)
            account.release(ticket, used=used, was_sent=True)
            answered += 1
        elif what == "refused":
            ticket, wait, figures, cost = reply
            body = "Rate limit reached on tokens per min (TPM)."
            body += f" Requested {cost:.0f}." if tells_requested else ""
            error = RateLimited(body, body=body, retry_after=wait)
            account.on_reply(figures, ticket, now, error)
            account.on_refusal(ticket, now)
            account.release(ticket, used=0.0, was_sent=True)
            waiting.insert(0, number)
            wait = hint(wait)
            account.pause(now + wait, now)
            push(now + wait, "look", None, None)
        fill()
    last = counted.sent[-1]
    for limit in limits:
        level, passed, then = marked[limit.kind]
        counted.could[limit.kind] = level + limit.per_minute / 60 * (last - then)
        counted.passed[limit.kind] = limit.passed - passed
    return counted
