"""What became of a run's rows, counted in one place for every kind of run."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable

from llmnb.engine.stats import Stats
from llmnb.engine.status import Clock, State, StatusSnapshot, StatusTracker, frozen
from llmnb.errors import Stopped
from llmnb.records import Outcome, Usage


class Counters:
    """Counts of one run; written on the loop thread, read from any.

    A row counts as cached, reused or merged only where that gave it an answer, so that answered,
    failed and stopped rows sum to those with an outcome.

    Args:
        rows: Rows that are known to come.

    Example:
        >>> counters = Counters()
        >>> counters.enter(Outcome(row=0, provider="p", model="m", source="cached", saved_usd=0.5))
        >>> counters.tracker.num_cached, counters.tracker.saved_usd, dict(counters.models)
        (1, 0.5, {'p/m': 1})
    """

    def __init__(self, rows: int = 0) -> None:
        self.tracker = StatusTracker(num_rows=rows)
        self.failures: Counter[str] = Counter()
        """Failed rows by the kind of their error."""

        self.models: Counter[str] = Counter()
        """Answered rows by ``provider/model``."""

        self.simulated = False
        """Whether any answer came from the simulated provider."""

        self.started = Clock.monotonic()
        self.started_at = Clock.wall()
        self.ended: float | None = None
        self.ended_at: float | None = None
        self.stats = Stats(self.started)

    def enter(self, outcome: Outcome) -> None:
        """Count what became of a row."""
        tracker, error = self.tracker, outcome.error
        tracker.num_rows_done += 1
        if outcome.simulated:
            self.simulated = True
        if error is None:
            self.models[f"{outcome.provider}/{outcome.model}"] += 1
            source = outcome.source
            if source == "sent":
                tracker.num_tasks_succeeded += 1
                return
            saved = outcome.saved_usd or 0.0
            tracker.saved_usd += saved
            if source == "merged":
                tracker.num_merged += 1
                return
            tracker.saved_reused_usd += saved
            if source == "cached":
                tracker.num_cached += 1
            else:
                tracker.num_reused += 1
        elif isinstance(error, Stopped):
            tracker.num_stopped += 1
        else:
            tracker.num_tasks_failed += 1
            self.failures[type(error).__name__] += 1
            self.stats.on_failed_row(outcome.row, error)

    def mend(self, failed: Outcome, outcome: Outcome) -> None:
        """Count a later outcome in place of a failed row's."""
        self._take_back(failed)
        self.enter(outcome)

    def _take_back(self, failed: Outcome) -> None:
        tracker, error = self.tracker, failed.error
        if error is None:
            raise ValueError(f"Row {failed.row} has not failed.")
        tracker.num_rows_done -= 1
        if isinstance(error, Stopped):
            tracker.num_stopped -= 1
        else:
            tracker.num_tasks_failed -= 1
            self.failures[type(error).__name__] -= 1
            self.failures += Counter()  # kinds without a row left are gone
            self.stats.on_mended_row(error)

    def enter_reply(self, usage: Usage | None, usd: float | None) -> None:
        """Count the tokens and the price of a reply that was bought."""
        tracker = self.tracker
        if usage is not None:
            tracker.prompt_tokens += usage.prompt
            tracker.completion_tokens += usage.completion
        if usd is None:
            tracker.num_unpriced += 1
        else:
            tracker.usd += usd

    def end(self) -> None:
        """Stop the clock."""
        self.ended, self.ended_at = Clock.monotonic(), Clock.wall()

    @property
    def end_state(self) -> State:
        """What a run is once every row has its outcome."""
        return "stopped" if self.tracker.num_stopped else "finished"

    @property
    def seconds(self) -> float:
        """Seconds since the start, until now or the end."""
        return (Clock.monotonic() if self.ended is None else self.ended) - self.started

    def snapshot(
        self,
        counts: StatusTracker,
        *,
        state: State,
        project: str,
        total: int | None,
        launched: int,
        in_flight: int,
        waiting_on: str,
        row_of: Callable[[int], int] = int,
    ) -> StatusSnapshot:
        """Return a frozen picture of what is counted here.

        Args:
            counts: A copy of the tracker.
            state: What the run is doing.
            project: Name of the project that keeps the answers.
            total: Rows in all; None where nobody knows.
            launched: Rows that are answered or have been sent.
            in_flight: Requests on their way.
            waiting_on: Why the run is not faster; empty when it is done.
            row_of: Which row of its owner's table an outcome belongs to.
        """
        return StatusSnapshot(
            state=state,
            total=total,
            launched=launched,
            completed=counts.num_rows_done,
            counts=counts,
            failures=frozen(self.failures),
            waiting_on=waiting_on,
            in_flight=in_flight,
            seconds=self.seconds,
            project=project,
            models=frozen(self.models),
            simulated=self.simulated,
            started_at=self.started_at,
            ended_at=self.ended_at,
            causes=self.stats.causes(row_of),
        )

    def copy(self) -> StatusTracker:
        """Return a copy of the tracker, for a snapshot."""
        return dataclasses.replace(self.tracker)
