"""What a run has done so far: the counters it keeps and the frozen picture it hands out."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import add, attrgetter
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from llmnb.display import durations, html_fragments, moments, money
from llmnb.display.escape import summary
from llmnb.display.palette import FAINT
from llmnb.errors import FlowControl, LLMNBError

T = TypeVar("T")

LATENCIES_SHOWN = 150
"""Latencies that a snapshot has at most."""

State = Literal["running", "paused", "stopping", "stopped", "finished"]


@dataclasses.dataclass
class StatusTracker:
    """Counts of one run, kept on the loop thread; read `Run.status()` for a frozen copy.

    Example:
        >>> StatusTracker().num_tasks_started
        0
    """

    num_tasks_started: int = 0
    """Rows for which a request was sent; cached and merged rows are not among them."""

    num_tasks_in_progress: int = 0
    """Started rows without an outcome."""

    num_tasks_succeeded: int = 0
    """Started rows with an answer."""

    num_tasks_failed: int = 0
    """Rows that ended with an error."""

    num_rate_limit_errors: int = 0
    """Refusals for the rate limit (HTTP 429, or overload with a delay)."""

    num_api_errors: int = 0
    """Other answers of the provider that were errors."""

    num_other_errors: int = 0
    """Everything else: network, unreadable replies, bad input."""

    time_of_last_rate_limit_error: float = 0
    """Seconds since the epoch; 0 when there was none."""

    num_rows: int = 0
    """Rows pulled so far."""

    num_rows_done: int = 0
    """Rows with an outcome."""

    num_cached: int = 0
    """Rows answered by the own project's store."""

    num_reused: int = 0
    """Rows answered by another project's store."""

    num_merged: int = 0
    """Rows answered by an identical one of the same run or in flight."""

    num_requests: int = 0
    """Requests sent, repeats included."""

    num_retried: int = 0
    """Requests that repeated an earlier one."""

    num_hedged: int = 0
    """Redundant requests."""

    num_fallbacks: int = 0
    """Times that a row went on to another model."""

    num_repaired: int = 0
    """Structured answers that did not fit and were asked to be mended."""

    num_stopped: int = 0
    """Rows not asked because the run was stopped."""

    num_cut: int = 0
    """Rows with an answer that was cut off at its longest length."""

    num_unsaved: int = 0
    """Answers that could not be saved and are kept in memory."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    usd: float = 0.0
    """Spent on finished replies of known price; nothing simulated is in it."""

    saved_usd: float = 0.0
    """What cached and merged rows would have cost; nothing simulated is in it."""

    num_unpriced: int = 0
    """Replies whose price is unknown; not part of `usd`."""

    hedge_usd: float = 0.0
    """Upper bound of what dropped redundant requests may have cost; not part of `usd`."""

    simulated_usd: float = 0.0
    """What replies of the simulated provider would have cost, which nobody paid."""

    simulated_saved_usd: float = 0.0
    """The like of `saved_usd` for its answers."""

    @classmethod
    def sum(cls, trackers: Sequence[StatusTracker]) -> StatusTracker:
        """Return the counts of several runs together."""
        names = [field.name for field in dataclasses.fields(cls)]
        total = cls(**{n: sum(getattr(tracker, n) for tracker in trackers) for n in names})
        total.time_of_last_rate_limit_error = max(
            (tracker.time_of_last_rate_limit_error for tracker in trackers), default=0
        )
        return total

    def shown(self) -> StatusTracker:
        """Return the counts as displays show them.

        Where nothing was spent or saved but simulated dollars, those stand in the places of real
        ones, and the display says that they are simulated. The two are never added.

        Example:
            >>> StatusTracker(simulated_usd=0.5).shown().usd
            0.5
            >>> StatusTracker(usd=0.25, simulated_usd=0.5).shown().usd
            0.25
        """
        if self.usd or self.saved_usd or not (self.simulated_usd or self.simulated_saved_usd):
            return self
        return dataclasses.replace(self, usd=self.simulated_usd, saved_usd=self.simulated_saved_usd)

    def count_failed_request(self, error: LLMNBError) -> None:
        """Count a request that came to nothing by the kind of its error."""
        if isinstance(error, FlowControl):
            self.num_rate_limit_errors += 1
            self.time_of_last_rate_limit_error = Clock.wall()
        elif error.details.status is not None:
            self.num_api_errors += 1
        else:
            self.num_other_errors += 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PoolStatus:
    """One target's limits and how much of them is used."""

    provider: str
    model: str
    in_flight: int
    """Requests on their way to it, those of other runs included."""

    places: int
    """Requests that may be in flight at once."""

    is_adaptive: bool = False
    """Whether `places` is found by trying, because nobody named a limit."""

    requests_per_minute: float | None = None
    """Limit in force; None where none is known."""

    tokens_per_minute: float | None = None
    requests_from: str = ""
    """Where the limit of requests comes from: "given", "announced", "found" by trying, or ""."""

    tokens_from: str = ""
    requests_left: float | None = None
    """What is left of an announced limit; None where nothing tells it."""

    tokens_left: float | None = None
    distrust: str = ""
    """In a few words why an announcement is not believed; empty where it is."""

    paused_seconds: float = 0.0
    """Seconds until it may be asked again (`Retry-After`)."""

    is_open: bool = False
    """Whether its breaker is open: it failed too often and only a probe is sent now and then."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ModelShare:
    """What one model has done in a run."""

    name: str
    """``provider/model``."""

    rows: int
    """Rows whose answer is its; a row may have taken more than one reply."""

    share: float
    """Part of all rows that an answer was bought for, from 0 to 1."""

    p50: float | None
    """Median seconds of its replies."""

    usd: float | None
    """None where its price is unknown."""

    simulated: bool = False
    """Whether the simulated provider answered: its dollars are in no sum of others'."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FailureCause:
    """Failed rows of one kind, with one example."""

    kind: str
    """Name of the error's class."""

    words: str
    """The cause in words, such as ``"refused by the model"``."""

    rows: int
    first_row: int
    example: str
    """First line of the first row's message; text, never markup."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Throughput in one slice of a run, for small charts."""

    seconds: float
    """End of the slice, in seconds since the run's start."""

    requests_per_minute: float
    tokens_per_minute: float
    refusals: int
    """Refusals for the rate limit in the slice."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Where a run stood when its rates began anew: at its start, or at the last change."""

    seconds: float = 0.0
    """Since the start."""

    completed: int = 0
    """Rows that had their outcome."""

    kept: int = 0
    """Those of them that the store answered."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class StatusSnapshot:
    """One frozen picture of a run; every surface reads this and nothing else."""

    state: State
    project: str
    total: int | None = None
    """Rows in all; None when the input is read lazily and its length is not known."""

    launched: int = 0
    """Rows that are cached, merged or have been sent."""

    completed: int = 0
    """Rows with an outcome."""

    counts: StatusTracker = dataclasses.field(default_factory=StatusTracker)
    """A copy of the counters."""

    waiting_on: str = ""
    """Why the run is not faster, in words; empty when it is done."""

    in_flight: int = 0
    """Requests on their way at this moment."""

    seconds: float = 0.0
    """Since the start, until now or the end."""

    idle_seconds: float = 0.0
    """Since the latest request was sent, or since the start."""

    models: Mapping[str, int] = dataclasses.field(default_factory=lambda: frozen({}))
    """Rows answered by each model."""

    simulated: bool = False
    """Whether any answer came from the simulated provider."""

    started_at: float = 0.0
    """Seconds since the epoch."""

    ended_at: float | None = None
    """Seconds since the epoch; None while it goes on."""

    pools: tuple[PoolStatus, ...] = ()
    """Targets in use."""

    shares: tuple[ModelShare, ...] = ()
    """Models that answered requests, the largest share first."""

    causes: tuple[FailureCause, ...] = ()
    """Why rows failed, the most frequent first."""

    samples: tuple[Sample, ...] = ()
    """At most 120 slices, oldest first."""

    latencies: tuple[float, ...] = ()
    """Seconds of the last 150 replies, oldest first."""

    p50: float | None = None
    p95: float | None = None
    """Quantiles of the replies' seconds; None before the first."""

    requests_per_minute: float = 0.0
    """Requests sent in the last minute, or since the start if that is shorter."""

    tokens_per_minute: float = 0.0
    budget_usd: float | None = None
    waited_seconds: float = 0.0
    """Seconds in which a provider's `Retry-After` held the run back."""

    pace: Pace = Pace()
    """Since when it goes on as it does now: it was paused, resumed, or held to other limits."""

    uses_cache: bool = True
    """Whether answers that are kept are read; else the same call again would ask every row."""

    def line(self, unit: str = "rows") -> str:
        """Return how far the run is, and what it waits for, in one line.

        Args:
            unit: What is counted.
        """
        parts = [f"{self._progress(unit)} {self.state}"]
        if self.state == "stopped":
            parts = [f"stopped after {self._progress(unit)}"]
        if failed := self.counts.num_tasks_failed:
            parts.append(f"{failed:,} failed")
        parts.append(self.cost_text)
        if self.simulated:
            parts.append("simulated")
        if self.waiting_on:
            parts.append(self.waiting_on.rstrip("."))
        return ", ".join(parts)

    def _progress(self, unit: str) -> str:
        """Return how many rows have their outcome, those that a stop left out not counted."""
        of = "" if self.total is None else f" of {self.total:,}"
        return f"{self.completed - self.counts.num_stopped:,}{of} {unit}"

    def page(
        self,
        *,
        unit: str = "rows",
        asked: str = "",
        facts: Mapping[str, str] | None = None,
        foot: str = "",
    ) -> str:
        """Return how it stands as a small piece of HTML, in which every name is text.

        Args:
            unit: What is counted.
            asked: The models in words.
            facts: Further names and values; empty values are left out.
            foot: A last line.
        """
        counts = self.counts
        kept = counts.num_cached + counts.num_reused
        left = self.eta_seconds
        models = ", ".join(f"{name} ({rows:,})" for name, rows in self.models.items())
        failed = [f"{counts.num_tasks_failed:,}"]
        failed += [f"{rows:,} {kind}" for kind, rows in self.failures.items()]
        pairs = (
            ("reused", f"{kept:,}" if kept else ""),
            ("merged", f"{counts.num_merged:,}" if counts.num_merged else ""),
            ("failed", ", ".join(failed) if counts.num_tasks_failed else ""),
            ("cost", self.cost_text + (" (simulated)" if self.simulated else "")),
            ("time", durations.span(self.seconds)),
            ("left", "" if left is None else durations.remaining(left)),
            ("now", self.waiting_on),
            ("models", models or asked),
            ("project", self.project),
            *(facts or {}).items(),
        )
        state = f"{self.state}, as of {moments.clock(Clock.wall())}"
        return html_fragments.box(
            html_fragments.headline(self._progress(unit), state),
            html_fragments.facts(pairs),
            html_fragments.line(foot, f"margin-top:4px;{FAINT}") if foot else "",
        )

    def _repr_html_(self) -> str:
        return self.page()

    def __repr__(self) -> str:
        return summary("StatusSnapshot", self.line())

    @classmethod
    def merge(
        cls, snapshots: Sequence[StatusSnapshot], *, state: State, seconds: float
    ) -> StatusSnapshot:
        """Return one picture of several: counts add up, and so do failures and models.

        Args:
            snapshots: At least one.
            state: What they are together.
            seconds: Since the first began.

        Returns:
            The whole; its `total` is None and it has no `samples`, which do not add up.

        Example:
            >>> runs = [
            ...     StatusSnapshot(state="running", project="p", counts=StatusTracker(usd=usd))
            ...     for usd in (0.5, 0.25)
            ... ]
            >>> StatusSnapshot.merge(runs, state="running", seconds=2.0).counts.usd
            0.75
        """
        latencies = tuple(value for snapshot in snapshots for value in snapshot.latencies)
        latencies = latencies[-LATENCIES_SHOWN:]
        ended = state in ("finished", "stopped")
        shares = [
            share for share in _joined(snapshots, "shares", "name", "simulated") if share.rows
        ]
        rows = sum(share.rows for share in shares)
        shares = [dataclasses.replace(share, share=share.rows / rows) for share in shares]
        return cls(
            state=state,
            **{name: sum(getattr(status, name) for status in snapshots) for name in _ADDED},
            counts=StatusTracker.sum([snapshot.counts for snapshot in snapshots]),
            waiting_on="" if ended else next(filter(None, (s.waiting_on for s in snapshots)), ""),
            seconds=seconds,
            idle_seconds=min((s.idle_seconds for s in snapshots if s.waiting_on), default=0.0),
            project=snapshots[0].project,
            models=_added(snapshot.models for snapshot in snapshots),
            simulated=any(snapshot.simulated for snapshot in snapshots),
            started_at=min(snapshot.started_at for snapshot in snapshots),
            ended_at=max(snapshot.ended_at or 0.0 for snapshot in snapshots) if ended else None,
            pools=_joined(snapshots, "pools", "provider", "model"),
            shares=_by_rows(shares),
            causes=_by_rows(_joined(snapshots, "causes", "kind")),
            latencies=latencies,
            p50=_quantile(latencies, 0.5),
            p95=_quantile(latencies, 0.95),
            budget_usd=snapshots[0].budget_usd,
            waited_seconds=max(snapshot.waited_seconds for snapshot in snapshots),
            uses_cache=all(snapshot.uses_cache for snapshot in snapshots),
        )

    @property
    def again(self) -> str:
        """How to say "again" of a call that shall ask only the rest."""
        return "again" if self.uses_cache else "again without use_cache=False"

    @property
    def failures(self) -> dict[str, int]:
        """Rows failed, by the kind of error."""
        return {cause.kind: cause.rows for cause in self.causes}

    @property
    def paced_seconds(self) -> float:
        """Seconds since its rates began anew."""
        return max(0.0, self.seconds - self.pace.seconds)

    @property
    def eta_seconds(self) -> float | None:
        """Seconds until it is done at its present pace; None while nobody can know."""
        if self.total is None or self.state != "running" or self.paced_seconds < 10:
            return None
        kept = self.counts.num_cached + self.counts.num_reused - self.pace.kept
        done = self.completed - self.pace.completed - kept
        left = self.total - self.completed
        return left * self.paced_seconds / done if done > 0 else None

    @property
    def projected_usd(self) -> float | None:
        """Dollars in the end at the cost so far; None while nobody can know."""
        sent = self.counts.num_tasks_succeeded
        if self.total is None or sent == 0 or self.counts.num_unpriced:
            return None
        # Rows still to come are taken to need a request as often as those so far did.
        return self.counts.shown().usd * self.total / max(1, self.completed)

    @property
    def rows_per_second(self) -> float:
        """Completed rows per second at its present pace; of one that is over, since its start."""
        pace = Pace() if self.state in ("finished", "stopped") else self.pace
        seconds = self.seconds - pace.seconds
        return (self.completed - pace.completed) / seconds if seconds > 0 else 0.0

    @property
    def cost_text(self) -> str:
        """Dollars spent as a person reads them: `$0`, `$0.0123`, `$3.21`, `unknown`."""
        counts = self.counts.shown()
        text = money.usd(counts.usd, more_unknown=counts.num_unpriced > 0)
        if counts is self.counts and counts.simulated_usd:
            text += f" + {money.usd(counts.simulated_usd)} simulated"
        return text


class Clock:
    """The two clocks of a run, so that tests can hold them."""

    monotonic = staticmethod(time.monotonic)
    wall = staticmethod(time.time)


def frozen(counts: Mapping[str, int]) -> Mapping[str, int]:
    """Return a read-only copy."""
    return MappingProxyType(dict(counts))


def _added(several: Iterable[Mapping[str, int]]) -> Mapping[str, int]:
    total: Counter[str] = Counter()
    for counts in several:
        total.update(counts)
    return frozen(total)


def _quantile(values: Sequence[float], part: float) -> float | None:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else None


def _dollars(known: float | None, more: float | None) -> float | None:
    """Return the sum of dollars, unknown only where neither is known."""
    return known if more is None else more + (known or 0.0)


_ADDED = ("launched", "completed", "in_flight", "requests_per_minute", "tokens_per_minute")
"""Figures of several snapshots that add up."""

_JOINS: Mapping[str, Callable[[Any, Any], Any]] = {
    **dict.fromkeys(("rows", "in_flight", "places"), add),
    **dict.fromkeys(("paused_seconds", "is_open"), max),
    "usd": _dollars,
    "p50": lambda _, latest: latest,
}
"""How fields of several snapshots' parts are made one; what else there is stays as in the first."""


def _joined(snapshots: Sequence[StatusSnapshot], field: str, *keys: str) -> tuple[Any, ...]:
    """Return the parts of several snapshots, those that agree in some fields joined."""
    key_of, joined = attrgetter(*keys), dict[Any, Any]()
    for part in (part for snapshot in snapshots for part in getattr(snapshot, field)):
        if (known := joined.get(key_of(part))) is not None:
            changes = {
                name: join(getattr(known, name), getattr(part, name))
                for name, join in _JOINS.items()
                if hasattr(part, name)
            }
            part = dataclasses.replace(known, **changes)
        joined[key_of(part)] = part
    return tuple(joined.values())


def _by_rows(parts: Iterable[T]) -> tuple[T, ...]:
    return tuple(sorted(parts, key=attrgetter("rows"), reverse=True))


# ------------------------------------------------------- as it is written down at a run's end

_LISTS = {"pools": PoolStatus, "shares": ModelShare, "causes": FailureCause, "samples": Sample}
_LEFT_OUT = ("latencies", "waiting_on")
"""What only says how a run goes on."""


def as_json(status: StatusSnapshot) -> dict[str, Any]:
    """Return a status in values that orjson writes."""
    values = {
        field.name: getattr(status, field.name)
        for field in dataclasses.fields(status)
        if field.name not in _LEFT_OUT
    }
    return values | {"models": dict(status.models)}


def from_json(values: Mapping[str, Any]) -> StatusSnapshot:
    """Return a status that was written down, by this release or another.

    Raises:
        TypeError: If it is none.

    Example:
        >>> status = StatusSnapshot(state="finished", project="Maths", completed=3)
        >>> import orjson
        >>> from_json(orjson.loads(orjson.dumps(as_json(status)))).completed
        3
    """
    known = dict(values)
    known["models"] = frozen(known.get("models") or {})
    for name, kind in _LISTS.items():
        known[name] = tuple(_made(kind, item) for item in known.get(name) or ())
    known["counts"] = _made(StatusTracker, known.get("counts") or {})
    known["pace"] = _made(Pace, known.get("pace") or {})
    return _made(StatusSnapshot, known)


def _made(kind: type[T], values: Mapping[str, Any]) -> T:
    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in values.items() if name in names})
