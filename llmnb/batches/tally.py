"""What a batch run has done so far, in the counters that every surface reads."""

from __future__ import annotations

from collections import Counter

from llmnb.engine.stats import Stats
from llmnb.engine.status import StatusTracker
from llmnb.errors import Stopped
from llmnb.records import Outcome


class Tally:
    """Counts of one run; kept on the loop thread, read from any.

    Args:
        rows: Rows of the run.
        now: Its start, on the monotonic clock.
    """

    def __init__(self, rows: int, now: float) -> None:
        self.counts = StatusTracker(num_rows=rows)
        self.failures: Counter[str] = Counter()
        """Failed rows by the kind of their error."""

        self.stats = Stats(now)
        self.is_simulated = False

    def enter(self, outcome: Outcome) -> None:
        """Count what became of a row."""
        counts = self.counts
        counts.num_rows_done += 1
        self.is_simulated = self.is_simulated or outcome.simulated
        if outcome.source == "sent" and outcome.key is not None:
            counts.num_tasks_started += 1
        if outcome.source == "sent" and outcome.reply is not None:
            self._enter_bought(outcome)
        if isinstance(outcome.error, Stopped):
            counts.num_stopped += 1
        elif outcome.error is not None:
            counts.num_tasks_failed += 1
            self.failures[type(outcome.error).__name__] += 1
            self.stats.on_failed_row(outcome.row, outcome.error)
        else:
            self._enter_good(outcome)

    def take_back(self, failed: Outcome) -> None:
        """Uncount a failed row: a retry has its outcome."""
        counts = self.counts
        counts.num_rows_done -= 1
        if isinstance(failed.error, Stopped):
            counts.num_stopped -= 1
        elif failed.error is not None:
            counts.num_tasks_failed -= 1
            self.failures[type(failed.error).__name__] -= 1
            self.failures += Counter()  # kinds without a row left are gone
            self.stats.on_mended_row(failed.error)

    def _enter_bought(self, outcome: Outcome) -> None:
        counts = self.counts
        usage = None if outcome.reply is None else outcome.reply.usage
        counts.num_requests += 1
        if usage is not None:
            counts.prompt_tokens += usage.prompt
            counts.completion_tokens += usage.completion
        if outcome.usd is None:
            counts.num_unpriced += 1
        else:
            counts.usd += outcome.usd

    def _enter_good(self, outcome: Outcome) -> None:
        counts, saved = self.counts, outcome.saved_usd or 0.0
        counts.saved_usd += saved
        if outcome.source == "sent":
            counts.num_tasks_succeeded += 1
        elif outcome.source == "merged":
            counts.num_merged += 1
        else:
            counts.saved_reused_usd += saved
            if outcome.source == "cached":
                counts.num_cached += 1
            else:
                counts.num_reused += 1
