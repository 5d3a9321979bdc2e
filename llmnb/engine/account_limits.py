"""The limits that bind all runs of one account at one target.

They are the target's own, what each run says of the account, what replies announce, what
`GLOBAL_LIMITER` shares, and what is found by trying where nobody names a number. Of several
the smallest holds.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from llmnb.decide.admission import DEFAULT_CONCURRENCY, Admission
from llmnb.decide.announced_limits import AnnouncedLimits
from llmnb.decide.concurrency import PACED_SLOTS, QUICK_PATIENCE, Finding, Pace
from llmnb.engine.lanes import Lanes, Ticket
from llmnb.errors import LLMNBError, RateLimited
from llmnb.records import LimitReport, Limits
from llmnb.wire.limits import limit_in_refusal

LimitSource = Literal["", "given", "announced", "found"]
"""Where a limit comes from; empty where there is none."""


class AccountLimits:
    """What binds all runs of one account at one target; its methods take the time as an argument.

    Args:
        own: Limits that belong to the target itself.
        lanes: The runs that share the account.
        now: The time.
    """

    def __init__(self, own: Limits, lanes: Lanes, *, now: float) -> None:
        self.own = own
        self.admission = Admission(own, now=now)
        self.announced = AnnouncedLimits()
        self.finding: Finding | None = None
        """Finds the number of slots where nobody names one, and perhaps a pace."""

        self.pace: Pace | None = None
        """Finds a pace where the slots are named, and nobody knows a rate."""

        self.learned_pace: float | None = None
        """The requests a minute that were found by trying; None where nothing was."""

        self.sharing = 0
        """Requests in flight of runs that name no number of slots."""

        self.claims: dict[object, Limits] = {}
        """What each run that has not ended says of the account."""

        self._lanes = lanes
        self.apply(now)

    # ------------------------------------------------------------------- changes

    def claim(self, run: object, limits: Limits, now: float) -> None:
        """Hold all runs to what one of them says of the account."""
        self.claims[run] = limits
        self.apply(now)

    def release_claim(self, run: object, now: float) -> bool:
        """Forget what an ended run said; return whether the limits may have changed."""
        if self.claims.pop(run, None) is None or not self.claims:
            # With no claim left the last limits stay, so that the next run of the same
            # account does not start with a fresh burst; a new claim replaces them.
            return False
        self.apply(now)
        return True

    def apply(self, now: float) -> None:
        """Hold the account to what is known by now."""
        own = self.own
        claimed = functools.reduce(Limits.intersect, self.claims.values(), Limits())
        lanes = self._lanes.by_run.values()
        of_lanes = functools.reduce(Limits.intersect, (lane.limits for lane in lanes), Limits())
        bound = own.intersect(claimed)
        self.announced.burst = bound.burst
        slots = own.concurrency if claimed.concurrency is None else claimed.concurrency
        is_sharing = not lanes or any(lane.is_sharing for lane in lanes)
        is_named = slots is not None or not is_sharing
        if is_named:
            self.finding = None
        if not is_named or bound.intersect(of_lanes).has_rate:
            self.pace = None
        elif self.pace is None:
            self.pace = Pace(QUICK_PATIENCE)
        finder = self.finding or self.pace
        self.learned_pace = None if finder is None else finder.per_minute
        paced = Limits(requests_per_minute=self.learned_pace)
        self.admission.change(replace(bound.intersect(paced), concurrency=slots), now=now)
        if slots is None:
            self.admission.concurrency = math.inf
        known = self.admission.limits.intersect(of_lanes)
        self.announced.is_paced = known.has_rate
        if self.finding is None and not is_named:
            # A pace that is known keeps the limit; slots need not be found from below.
            has_pace = known.intersect(self.announced.limits()).requests_per_minute is not None
            self.finding = Finding(start=PACED_SLOTS) if has_pace else Finding()

    # ----------------------------------------------------------------- questions

    def limits(self, run: object = None) -> Limits:
        """Return the limits that a run is held to: its own and the account's."""
        lane = self._lanes.by_run.get(run)
        limits = self.admission.limits.intersect(self.announced.limits())
        return limits if lane is None else limits.intersect(lane.limits)

    def source(self, kind: Literal["requests", "tokens"], limit: float | None) -> LimitSource:
        """Return where a limit comes from: given by a person, announced, or found by trying."""
        if limit is None:
            return ""
        announced = self.announced.limits()
        if limit == getattr(announced, f"{kind}_per_minute"):
            return "announced"
        return "found" if kind == "requests" and limit == self.learned_pace else "given"

    def slots_of(self, run: object = None) -> int:
        """Return how many requests of a run may be in flight at once."""
        named = self.limits(run).concurrency
        if named is not None:
            return named
        return DEFAULT_CONCURRENCY if self.finding is None else self.finding.limit

    def all_slots(self) -> float:
        """Return the requests that may be in flight while the target is well, of all runs."""
        lanes = self._lanes.by_run.values()
        slots: float = sum(lane.limits.concurrency or 0 for lane in lanes)
        if self.finding is not None and any(lane.is_sharing for lane in lanes):
            slots += self.finding.limit
        return min(self.admission.concurrency, slots or DEFAULT_CONCURRENCY)

    # ---------------------------------------------------------------------- news

    def wait(self, tokens: float, now: float) -> float:
        """Return the seconds until all limits let such a request go; infinity is "later"."""
        charged = self.announced.charge.of(tokens)
        delay = self.admission.wait(charged, now)
        if delay <= 0 and (delay := self.announced.wait(now, charged, tokens)) > 0:
            self.admission.reason = self.announced.reason
        return delay

    def release(self, ticket: Ticket, *, used: float, was_sent: bool) -> float:
        """Take back a request that has ended; return the tokens that it used of a limit."""
        if used > 0 and self.announced.charge.is_before:
            used = max(used, ticket.reserved)  # the provider has counted what was reserved
        self.admission.release(reserved=ticket.reserved, used=used, was_sent=was_sent)
        self.announced.on_end(ticket.sent, used=used, was_sent=was_sent)
        return used

    def pause(self, until: float, now: float) -> float:
        """Send nothing before a moment; return the seconds by which the pause is longer now."""
        admission = self.admission
        before = max(now, admission.paused_until)
        if admission.paused_until <= now:
            self.announced.on_pause()
        admission.pause(until)
        return max(0.0, admission.paused_until - before)

    def on_reply(
        self, reports: Sequence[LimitReport], ticket: Ticket, now: float, error: LLMNBError | None
    ) -> None:
        """Take what a reply reports of the limits.

        Args:
            reports: How they stand.
            ticket: The request.
            now: The time.
            error: What the reply means; None for a good one.
        """
        is_refused = isinstance(error, RateLimited)
        self.announced.on_reply(
            *(ticket.sent, reports, now), is_refused=is_refused, is_good=error is None
        )
        if isinstance(error, RateLimited):
            self._learn_charge(error, ticket, now)

    def _learn_charge(self, error: RateLimited, ticket: Ticket, now: float) -> None:
        """Learn from a refusal what the provider counts, where a limit of tokens is known."""
        per_minute = self.limits(ticket.lane.run).tokens_per_minute
        kind, requested = limit_in_refusal(error.details.body or "")
        if per_minute is None or ticket.reserved <= 0 or kind == "requests":
            return
        if requested is None and self.announced.limits().tokens_per_minute is not None:
            return  # what is left is known; somebody else may have taken it
        self.announced.charge.on_refusal(
            *(ticket.sent.estimate, ticket.reserved, per_minute / 60.0, now, requested)
        )
        for admission in (self.admission, ticket.lane.admission):
            if admission is not None and admission.tokens is not None:
                admission.tokens.drain(now, ticket.reserved)

    def on_success(self, ticket: Ticket, seconds: float, now: float) -> bool:
        """Learn from an answer; return whether the limits changed.

        Args:
            ticket: The request.
            seconds: How long its answer took.
            now: The time.
        """
        if ticket.finding is not None:
            ticket.finding.on_success(ticket.sequence, ticket.level, seconds, self.sharing, now)
        elif self.pace is not None:
            self.pace.on_success(now)
        return self._has_changed(ticket.finding or self.pace, now)

    def on_refusal(self, ticket: Ticket, now: float) -> bool:
        """Learn from a refusal; return whether the limits changed."""
        if ticket.finding is not None:
            ticket.finding.on_refusal(ticket.sequence, ticket.level, ticket.began, now)
        elif (
            self.pace is not None
            and not self.announced.limits().has_rate
            and not self.pace.chance.on_refusal()
        ):
            self.pace.on_refusal(ticket.began, now)
        return self._has_changed(ticket.finding or self.pace, now)

    def _has_changed(self, finder: Finding | Pace | None, now: float) -> bool:
        """Keep to a pace that was found; return whether it is another one."""
        if finder is None or finder not in (self.finding, self.pace):
            return False
        if finder.per_minute == self.learned_pace:
            return False
        self.apply(now)
        return True
