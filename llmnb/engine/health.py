"""Whether a target answers: its breaker, the slow start afterwards, its congestion events."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from llmnb.decide.breaker import DIFFERENT_ROWS, Breaker, SlowStart
from llmnb.decide.retry import LONGEST_SERVER_WAIT
from llmnb.engine.lanes import Lane, Ticket, Turn
from llmnb.errors import LLMNBError, Unsent, cause_of

MOST_REPEATS = DIFFERENT_ROWS // 2
"""Rows that have failed and are in flight again beside others: too few to open the breaker."""


class Health:
    """Whether a target is well, by its last replies; its methods take the time as an argument."""

    def __init__(self) -> None:
        self.breaker = Breaker()
        self.recovery: SlowStart | None = None
        """Lets the load come back after an outage; None while nothing is to be made good."""

        self.has_answered = False
        """Whether an HTTP status has ever come from there in this process."""

        self.cause = ""
        """In a few words why the last request failed, such as "connection refused"."""

        self.congestion_events = 0
        """Congestion events since the last success; what is refused together is one."""

        self._congestion_began = -math.inf
        self._level = 0
        """Requests in flight when the breaker opened."""

        self._may_repeat = True
        """Whether a success has come since the last row went that had failed before."""

        self._repeats = 0
        """Requests in flight of rows that had failed before."""

        self._failing_seconds: float | None = None
        self._failing_seen = 0.0

    # ----------------------------------------------------------------- questions

    @property
    def is_full(self) -> bool:
        """Whether the slow start after an outage has no slot left."""
        return self.recovery is not None and self.recovery.is_full

    def seconds_without_success(self, now: float) -> float:
        """Return the seconds since the first refusal or failure that no success has followed."""
        if self._failing_seconds is None:
            return 0.0
        # A machine that was asleep between two replies has asked nothing meanwhile.
        passed = min(max(0.0, now - self._failing_seen), LONGEST_SERVER_WAIT)
        return self._failing_seconds + passed

    def queue_of(self, lane: Lane) -> deque[Turn] | None:
        """Return those of a run whose turn it is: that have failed, or that have not.

        None where all have failed, and enough others that have are on their way.
        """
        if not lane.again:
            return lane.waiting
        if not lane.waiting:
            recovery = self.recovery
            may_repeat = recovery is None or recovery.may_repeat(self._repeats)
            return lane.again if may_repeat else None
        may_repeat = self._may_repeat and self._repeats < MOST_REPEATS and self.recovery is None
        return lane.again if may_repeat else lane.waiting

    # ---------------------------------------------------------------------- news

    def on_repeat(self, ticket: Ticket, *, is_ahead: bool) -> None:
        """Note that a row goes which has failed, perhaps ahead of others that have not."""
        if is_ahead:
            self._may_repeat = False
        self._repeats += 1
        ticket.is_repeat = True

    def on_release(self, ticket: Ticket) -> None:
        """Note that a request is over, whatever came of it."""
        if ticket.is_probe and not ticket.is_reported:
            self.breaker.on_cancelled(sent_at=ticket.began)
        if ticket.recovery is not None:
            ticket.recovery.in_flight -= 1
        if ticket.is_repeat:
            self._repeats -= 1

    def on_success(self, ticket: Ticket, now: float, all_slots: Callable[[], float]) -> None:
        """Note that the target has answered.

        Args:
            ticket: The request.
            now: The time.
            all_slots: Returns how many requests may be in flight once the target is well.
        """
        self._failing_seconds = None
        self.congestion_events = 0
        self._may_repeat = True
        self.breaker.answers += 1
        if self.breaker.is_troubled:
            self.on_alive(ticket, now)
        if self.recovery is not None and not self.breaker.is_open:
            has_failed = self.breaker.has_failed(ticket.row)
            self.recovery.on_success(sent_at=ticket.began, has_failed=has_failed)
            if self.recovery.slots >= 2 * all_slots():
                self.recovery = None  # all of them were taken, and a round of answers has come

    def on_alive(self, ticket: Ticket, now: float) -> None:
        """Note that the target is there, whatever it has said of this one request."""
        ticket.is_reported = True
        was_open = self.breaker.is_open
        self.breaker.on_success(now, sent_at=ticket.began)
        if was_open and not self.breaker.is_open:
            self.recovery = SlowStart(self._level, since=self.breaker.newest_failure)

    def on_refusal(self, ticket: Ticket, now: float) -> None:
        """Note that a request was rate limited."""
        if ticket.began >= self._congestion_began:
            self.congestion_events += 1
            self._congestion_began = now
        self._note_no_success(now)

    def on_failure(self, ticket: Ticket, error: LLMNBError, now: float, in_flight: int) -> None:
        """Note that the target failed.

        Args:
            ticket: The request.
            error: What came instead of an answer.
            now: The time.
            in_flight: Requests in flight there, of all runs.
        """
        ticket.is_reported = True
        self.cause = cause_of(error)
        self.has_answered = self.has_answered or not isinstance(error, Unsent)
        was_open, has_failed = self.breaker.is_open, self.breaker.has_failed(ticket.row)
        self.breaker.on_failure(now, ticket.row, error.details.retry_after, sent_at=ticket.began)
        if ticket.recovery is not None:
            ticket.is_excused = ticket.recovery.blames_target
            ticket.recovery.on_failure(
                began=ticket.began, now=now, in_flight=ticket.in_flight, has_failed=has_failed
            )
        if self.breaker.is_open and not was_open:
            self._level = in_flight
            self.recovery = None
        self._note_no_success(now)

    def _note_no_success(self, now: float) -> None:
        self._failing_seconds = (
            0.0 if self._failing_seconds is None else self.seconds_without_success(now)
        )
        self._failing_seen = now
