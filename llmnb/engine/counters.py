"""What became of a run's rows, and what it has seen on the way, for every kind of run."""

from __future__ import annotations

import dataclasses
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from operator import attrgetter, itemgetter
from typing import Any

from llmnb.decide.retry import roll
from llmnb.display.texts import single_line
from llmnb.engine.status import (
    LATENCIES_SHOWN,
    Clock,
    FailureCause,
    ModelShare,
    Pace,
    Sample,
    State,
    StatusSnapshot,
    StatusTracker,
    frozen,
)
from llmnb.errors import LLMNBError, Stopped
from llmnb.records import Outcome, Usage
from llmnb.wire.ends import is_cut

MOST_SAMPLES = 120
_KEPT = 500
"""Latencies kept for each quantile: enough for a p95, little enough to sort at every look."""

DESCRIPTIONS = {
    "AuthenticationError": "key not accepted",
    "BadReply": "unreadable reply",
    "BudgetExceeded": "beyond the budget",
    "ContextOverflow": "longer than the context",
    "Filtered": "withheld by the provider's filter",
    "IncompleteReply": "reply cut off",
    "InputError": "nothing that can be asked",
    "MaybeBilled": "reply lost",
    "Overloaded": "provider overloaded",
    "ProviderError": "server error",
    "QuotaExhausted": "account without credit",
    "RateLimited": "rate limited",
    "Refused": "refused by the model",
    "ReplyTooLarge": "reply too large",
    "RequestRejected": "rejected by the provider",
    "SchemaMismatch": "does not fit the schema",
    "StoreError": "cannot be saved",
    "TimedOut": "no answer in time",
    "Truncated": "cut off before its end",
    "Unsent": "could not be sent",
}
"""Causes as a person says them, by the error's class."""

_MINUTE = 60.0
_FIRST_SLICE = 1.0


class Quantiles:
    """A uniform sample of all values, from which quantiles are read.

    `quantiles` reads several samples together, each value with the weight of those that it stands
    for.

    Source: J. S. Vitter, *Random Sampling with a Reservoir*, ACM TOMS 11 (1985),
    algorithm R.
    """

    __slots__ = ("kept", "seen")

    def __init__(self) -> None:
        self.kept: list[float] = []
        self.seen = 0

    def add(self, value: float) -> None:
        """Take a value."""
        self.seen += 1
        if len(self.kept) < _KEPT:
            self.kept.append(value)
        elif (index := int(roll() * self.seen)) < _KEPT:
            self.kept[index] = value


def quantiles(samples: Iterable[Quantiles], *parts: float) -> list[float | None]:
    """Return quantiles of all samples together, None where there is no value yet.

    Example:
        >>> first, second = Quantiles(), Quantiles()
        >>> for value in range(10):
        ...     first.add(value), second.add(100 + value)  # doctest: +ELLIPSIS
        (None, None)...
        >>> quantiles([first, second], 0.25, 0.75)
        [5, 105]
    """
    weighted = []
    for sample in samples:
        values = list(sample.kept)
        weighted += [(value, sample.seen / len(values)) for value in values]
    if not weighted:
        return [None] * len(parts)
    weighted.sort()
    ends = list(accumulate(map(itemgetter(1), weighted)))
    last = len(weighted) - 1
    return [weighted[min(last, bisect_right(ends, part * ends[-1]))][0] for part in parts]


@dataclass(slots=True)
class _Model:
    rows: int = 0
    """Rows whose answer is its; a row may have taken several replies, of several models."""

    replies: int = 0
    usd: float = 0.0
    unpriced: int = 0
    seconds: Quantiles = field(default_factory=Quantiles)


class Counters:
    """Counts of one run; changed on the loop thread only, read from any thread.

    A row counts as cached, reused or merged only if its answer came that way. So the numbers of
    answered, failed and stopped rows add up to the number of rows with an outcome.

    Args:
        rows: Rows known at the start; more may follow.

    Example:
        >>> counters = Counters()
        >>> counters.enter(Outcome(row=0, provider="p", model="m", source="cached", saved_usd=0.5))
        >>> counters.tracker.num_cached, counters.tracker.saved_usd, dict(counters.models)
        (1, 0.5, {'p/m': 1})
    """

    def __init__(self, rows: int = 0) -> None:
        self.tracker = StatusTracker(num_rows=rows)
        self.models: Counter[str] = Counter()
        """Answered rows by ``provider/model``."""

        self.simulated = False
        """Whether any answer came from the simulated provider."""

        self.started = Clock.monotonic()
        self.started_at = Clock.wall()
        self.ended: float | None = None
        self.ended_at: float | None = None
        self._pace = Pace()
        self._paced = (self.started, 0.0, 0.0)
        """When the pace began anew, and the requests and tokens before that."""

        self._models: dict[tuple[str, bool], _Model] = {}
        """By name, and whether the simulated provider answered."""

        self._causes: dict[str, FailureCause] = {}
        self.latest: deque[float] = deque(maxlen=LATENCIES_SHOWN)
        """The last latencies, oldest first."""

        self._slice = _FIRST_SLICE
        self._slices: list[list[float]] = [[0.0, 0.0, 0.0]]
        """Requests, tokens and refusals of each slice since the start."""

        self._slice_ends = self.started + _FIRST_SLICE
        """When the latest slice ends."""

        self._sent_at = self.started
        """When the latest request was sent."""

    def restart_pace(self) -> None:
        """Let rates and the time left be those from now on: the run goes on otherwise than before.

        Called from any thread when it is paused, resumed, or held to other limits.
        """
        tracker = self.tracker
        kept = tracker.num_cached + tracker.num_reused
        self._pace = Pace(seconds=self.seconds, completed=tracker.num_rows_done, kept=kept)
        requests, tokens, _ = map(sum, zip(*self._slices, strict=True))
        self._paced = (Clock.monotonic(), requests, tokens)

    def enter(self, outcome: Outcome) -> None:
        """Count a row's outcome."""
        tracker, error = self.tracker, outcome.error
        tracker.num_rows_done += 1
        if simulated := outcome.simulated:
            self.simulated = True
        if error is None:
            source = outcome.source
            model = f"{outcome.provider}/{outcome.model}"
            self.models[model] += 1
            reply = outcome.reply
            if reply is not None and reply.finish_reason != "stop":
                tracker.num_cut += is_cut(reply.finish_reason)
            if source == "sent":
                tracker.num_tasks_succeeded += 1
                if (known := self._models.get((model, simulated))) is not None:
                    known.rows += 1
                return
            if source == "cached":
                tracker.num_cached += 1
            elif source == "reused":
                tracker.num_reused += 1
            else:
                tracker.num_merged += 1
            if simulated:
                tracker.simulated_saved_usd += outcome.saved_usd or 0.0
            else:
                tracker.saved_usd += outcome.saved_usd or 0.0
        elif isinstance(error, Stopped):
            tracker.num_stopped += 1
        else:
            tracker.num_tasks_failed += 1
            self._on_failed_row(outcome.row, error)

    def replace(self, failed: Outcome, outcome: Outcome) -> None:
        """Count a failed row's later outcome, from a retry, in place of its first.

        Raises:
            ValueError: If the row had not failed.
        """
        tracker, error = self.tracker, failed.error
        if error is None:
            raise ValueError(f"Row {failed.row} has not failed.")
        tracker.num_rows_done -= 1
        if isinstance(error, Stopped):
            tracker.num_stopped -= 1
        else:
            tracker.num_tasks_failed -= 1
            self._on_retried_row(error)
        self.enter(outcome)

    def enter_reply(self, usage: Usage | None, usd: float | None, simulated: bool) -> None:
        """Count the tokens and the price of a reply; None is "not known"."""
        tracker = self.tracker
        if usage is not None:
            tracker.prompt_tokens += usage.prompt
            tracker.completion_tokens += usage.completion
        if usd is None:
            tracker.num_unpriced += 1
        else:
            self.enter_price(usd, simulated)

    def enter_price(self, usd: float, simulated: bool) -> None:
        """Count dollars: spent ones, or those of the simulated provider, which are none."""
        if simulated:
            self.tracker.simulated_usd += usd
        else:
            self.tracker.usd += usd

    def end(self) -> None:
        """Stop the clock."""
        self.ended, self.ended_at = Clock.monotonic(), Clock.wall()

    @property
    def end_state(self) -> State:
        """The run's state once every row has an outcome."""
        return "stopped" if self.tracker.num_stopped else "finished"

    @property
    def seconds(self) -> float:
        """Seconds since the start, until now or the end."""
        return (Clock.monotonic() if self.ended is None else self.ended) - self.started

    @property
    def idle_seconds(self) -> float:
        """Seconds since the latest request was sent, or since the start."""
        return self.started + self.seconds - self._sent_at

    def snapshot(
        self,
        counts: StatusTracker,
        *,
        row_of: Callable[[int], int] = int,
        **known_to_the_run: Any,
    ) -> StatusSnapshot:
        """Return a frozen picture of the run.

        Args:
            counts: The counts to show: a `tracker_copy`, in which the caller may have changed some.
            row_of: Maps an outcome's `row` to the row number of the caller's table, for
                `FailureCause.first_row`; the default leaves it unchanged.
            **known_to_the_run: Fields of `StatusSnapshot` that are not counted here: its `state`
                and `project`, and others.
        """
        return StatusSnapshot(
            completed=counts.num_rows_done,
            counts=counts,
            seconds=self.seconds,
            models=frozen(self.models),
            simulated=self.simulated,
            started_at=self.started_at,
            ended_at=self.ended_at,
            causes=self.causes(row_of),
            pace=self._pace,
            **known_to_the_run,
        )

    def tracker_copy(self) -> StatusTracker:
        """Return a copy of the tracker, which further counting does not change."""
        return dataclasses.replace(self.tracker)

    # ------------------------------------------------------------------- counting

    def count(self, requests: int = 0, tokens: int = 0, refusals: int = 0) -> None:
        """Count what is sent, what replies have used, and "rate limited", in the present slice."""
        now = Clock.monotonic()
        if now >= self._slice_ends:
            self._begin_slice(now)
        if requests:
            self._sent_at = now
        present = self._slices[-1]
        present[0] += requests
        present[1] += tokens
        present[2] += refusals

    def on_answer(
        self, model: str, seconds: float, tokens: int, usd: float | None, simulated: bool
    ) -> None:
        """Count a reply with an answer in it."""
        self.count(tokens=tokens)
        self.latest.append(seconds)
        known = self._models.get((model, simulated))
        if known is None:
            known = self._models[model, simulated] = _Model()
        known.replies += 1
        known.seconds.add(seconds)
        if usd is None:
            known.unpriced += 1
        else:
            known.usd += usd

    def _on_failed_row(self, row: int, error: LLMNBError) -> None:
        """Count a failed row by its cause."""
        kind = type(error).__name__
        known = self._causes.get(kind)
        if known is None or row < known.first_row:
            documented = (type(error).__doc__ or kind).partition("\n")[0].rstrip(".")
            known = FailureCause(
                kind=kind,
                words=DESCRIPTIONS.get(kind, documented),
                rows=0 if known is None else known.rows,
                first_row=row,
                example=single_line(error.message),
            )
        self._causes[kind] = dataclasses.replace(known, rows=known.rows + 1)

    def _on_retried_row(self, error: LLMNBError) -> None:
        """Uncount a failed row, which a retry has answered."""
        known = self._causes.get(type(error).__name__)
        if known is None:
            return  # what came later is counted all the same
        if known.rows > 1:
            self._causes[known.kind] = dataclasses.replace(known, rows=known.rows - 1)
        else:
            del self._causes[known.kind]

    def _begin_slice(self, now: float) -> None:
        """Begin the slice that this moment lies in."""
        while (index := int((now - self.started) / self._slice)) >= MOST_SAMPLES:
            # Merge neighbouring slices until there is room for another.
            old = self._slices
            pairs = [old[first : first + 2] for first in range(0, len(old), 2)]
            self._slices = [list(map(sum, zip(*pair, strict=True))) for pair in pairs]
            self._slice *= 2
        while len(self._slices) <= index:
            self._slices.append([0.0, 0.0, 0.0])
        self._slice_ends = self.started + len(self._slices) * self._slice

    # -------------------------------------------------------------------- reading

    def quantiles(self) -> list[float | None]:
        """Return the median and the 95th percentile of the replies' latencies, in seconds."""
        return quantiles([model.seconds for model in list(self._models.values())], 0.5, 0.95)

    def shares(self) -> tuple[ModelShare, ...]:
        """Return what each model has done, the largest share first."""
        models = list(self._models.items())
        rows = sum(model.rows for _, model in models) or 1
        shares = [
            ModelShare(
                name=name,
                rows=model.rows,
                share=model.rows / rows,
                p50=quantiles([model.seconds], 0.5)[0],
                usd=None if model.unpriced == model.replies else model.usd,
                simulated=simulated,
            )
            for (name, simulated), model in models
        ]
        return tuple(sorted(shares, key=attrgetter("rows"), reverse=True))

    def causes(self, row_of: Callable[[int], int] = int) -> tuple[FailureCause, ...]:
        """Return why rows failed, the most frequent first.

        Args:
            row_of: Maps an outcome's `row` to the row number of the caller's table; the default
                leaves it unchanged.
        """
        causes = [
            dataclasses.replace(cause, first_row=row_of(cause.first_row))
            for cause in list(self._causes.values())
        ]
        return tuple(sorted(causes, key=attrgetter("rows"), reverse=True))

    def samples(self, now: float) -> tuple[Sample, ...]:
        """Return the pace in each slice of time, oldest first; the last slice ends now."""
        slices, size = list(self._slices), self._slice
        samples = []
        for index, (requests, tokens, refusals) in enumerate(slices):
            end = min((index + 1) * size, max(now - self.started, 1e-3))
            length = max(end - index * size, 1e-3)
            if index == len(slices) - 1 and length < size / 4 and index:
                break  # too short to say anything about the pace
            samples.append(
                Sample(
                    seconds=end,
                    requests_per_minute=requests * _MINUTE / length,
                    tokens_per_minute=tokens * _MINUTE / length,
                    refusals=int(refusals),
                )
            )
        return tuple(samples)

    def pace(self, now: float) -> tuple[float, float]:
        """Return requests and tokens per minute, over the last minute or since it began anew."""
        count = max(1, int(_MINUTE / self._slice))
        first = self.started + max(0, len(self._slices) - count) * self._slice
        since, *before = self._paced
        if since < first:
            since, before = first, [0.0, 0.0]
        else:
            count = len(self._slices)
        length = max(1.0, now - since)
        requests, tokens, _ = map(sum, zip(*self._slices[-count:], strict=True))
        return (requests - before[0]) * _MINUTE / length, (tokens - before[1]) * _MINUTE / length
