"""An embedding counted in texts, so that bars and cards say what a person asked for."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

from llmnb.embeddings.batches import Text
from llmnb.engine.run import Run
from llmnb.engine.stats import Stats
from llmnb.engine.status import Clock, State, StatusSnapshot, StatusTracker, frozen
from llmnb.engine.target import Target
from llmnb.errors import LLMNBError, Stopped
from llmnb.records import Outcome
from llmnb.store.entry import Entry

_OF_REQUESTS = (
    "num_rate_limit_errors",
    "num_api_errors",
    "num_other_errors",
    "num_requests",
    "num_retried",
    "num_hedged",
    "num_unsaved",
    "prompt_tokens",
    "completion_tokens",
    "usd",
    "num_unpriced",
    "hedge_usd",
    "time_of_last_rate_limit_error",
)
"""Counters that are the engine's own, added up over its runs."""


class Tally:
    """What became of texts; written on the loop thread.

    Args:
        texts: How many there are.
    """

    def __init__(self, texts: int) -> None:
        self.total = texts
        self.counts = StatusTracker()
        self.failures: Counter[str] = Counter()
        self.models: Counter[str] = Counter()
        self.simulated = False
        self.started = Clock.monotonic()
        self.started_at = Clock.wall()
        self.ended: float | None = None
        self.ended_at: float | None = None
        self._causes = Stats(self.started)

    def found(self, text: Text, entry: Entry, target: Target, *, is_merged: bool) -> None:
        """Count a text whose vector was kept."""
        counts, times = self.counts, len(text.positions)
        saved = entry.usd or 0.0
        if is_merged:
            counts.num_merged += 1
        elif entry.reused_from is not None:
            counts.num_reused += 1
        else:
            counts.num_cached += 1
        counts.saved_usd += saved * times
        if not is_merged:
            counts.saved_reused_usd += saved
        self.simulated = self.simulated or entry.simulated
        self._done(text, f"{target.provider}/{target.model}")

    def answered(self, text: Text, outcome: Outcome) -> None:
        """Count a text whose vector was sent."""
        self.counts.num_tasks_started += 1
        self.counts.num_tasks_succeeded += 1
        self.simulated = self.simulated or outcome.simulated
        self._done(text, f"{outcome.provider}/{outcome.model}")

    def _done(self, text: Text, model: str) -> None:
        times = len(text.positions)
        self.counts.num_rows_done += times
        self.counts.num_merged += max(0, times - 1)
        self.models[model] += times

    def empty(self, texts: int) -> None:
        """Count texts in which nothing stands: nobody was asked for them."""
        self.counts.num_rows_done += texts

    def failed(self, position: int, error: LLMNBError) -> None:
        """Count a text that has an error."""
        self.counts.num_rows_done += 1
        if isinstance(error, Stopped):
            self.counts.num_stopped += 1
            return
        self.counts.num_tasks_failed += 1
        self.failures[type(error).__name__] += 1
        self._causes.on_failed_row(position, error)

    def mended(self, before: LLMNBError) -> None:
        """Take a failed text back: a later attempt has answered it."""
        if isinstance(before, Stopped):
            self.counts.num_stopped -= 1
            return
        self.counts.num_tasks_failed -= 1
        self.failures[type(before).__name__] -= 1
        self.failures += Counter()  # drops what is 0
        self._causes.on_mended_row(before)

    def snapshot(self, runs: Sequence[Run], *, is_stopping: bool, batch: int) -> StatusSnapshot:
        """Return a frozen picture.

        Args:
            runs: The engine's runs so far, at least one.
            is_stopping: Whether the person stopped it.
            batch: Texts of a full request.
        """
        pictures = [run.status() for run in runs]
        latest = pictures[-1]
        state = self._state(latest.state, is_stopping=is_stopping)
        seconds = (self.ended or Clock.monotonic()) - self.started
        whole = StatusSnapshot.merge(pictures, state=state, seconds=seconds).counts
        counts = dataclasses.replace(
            self.counts, **{name: getattr(whole, name) for name in _OF_REQUESTS}
        )
        counts.num_rows = self.total
        flying = min(latest.in_flight * batch, self.total - counts.num_rows_done)
        counts.num_tasks_in_progress = flying
        return dataclasses.replace(
            latest,
            state=state,
            total=self.total,
            launched=counts.num_rows_done + flying,
            completed=counts.num_rows_done,
            counts=counts,
            failures=frozen(self.failures),
            seconds=seconds,
            models=frozen(self.models),
            simulated=self.simulated,
            started_at=self.started_at,
            ended_at=self.ended_at,
            causes=self._causes.causes(),
            waited_seconds=sum(one.waited_seconds for one in pictures),
        )

    def _state(self, latest: State, *, is_stopping: bool) -> State:
        if self.ended is not None:
            return "stopped" if self.counts.num_stopped else "finished"
        if is_stopping:
            return "stopping"
        return "paused" if latest == "paused" else "running"

    def end(self) -> None:
        """Stop the clock."""
        self.ended, self.ended_at = Clock.monotonic(), Clock.wall()
