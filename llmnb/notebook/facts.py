"""The facts of a run in words and figures, from one frozen snapshot.

Three writers draw them: `card` on a page, `receipt` as static HTML and as text.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from llmnb.display import durations, moments, money, numbers
from llmnb.display.escape import visible
from llmnb.display.texts import counted, inside, single_line
from llmnb.engine.status import FailureCause, ModelShare, StatusSnapshot, StatusTracker

EXAMPLE_LENGTH = 600

COUNTERS = (
    *("started", "in progress", "succeeded", "failed"),
    *("rate limit errors", "API errors", "other errors", "last rate limit error"),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RowCounts:
    """The rows of a run by what became of them; the parts always sum to the whole."""

    total: int | None
    """None while nobody knows."""

    launched: int
    """Rows that are reused, merged or have been sent."""

    completed: int
    """Rows with an answer or an error; those not sent because of a stop are not among them."""

    answered: int
    """Rows for which an answer was bought."""

    reused: int
    """Rows answered by what was stored, in this project or another."""

    merged: int
    """Rows answered by an identical one."""

    failed: int
    not_sent: int
    """Rows that the stop of a run left unasked; 0 while it goes on."""

    @property
    def good(self) -> int:
        """Rows with an answer, wherever it came from."""
        return self.answered + self.reused + self.merged

    @property
    def whole(self) -> int:
        """Rows in all, or those completed while nobody knows how many there are."""
        return self.completed if self.total is None else self.total

    @property
    def parts(self) -> dict[str, int]:
        """The parts that make up the rows."""
        return {
            "answered": self.answered,
            "reused": self.reused,
            "merged": self.merged,
            "failed": self.failed,
            "not sent": self.not_sent,
        }


def row_counts(status: StatusSnapshot) -> RowCounts:
    """Return how a run's rows divide.

    The counters of a snapshot are read one after the other while the run goes
    on. So the parts are cut to fit, and the merged rows are what is left.

    Example:
        >>> from llmnb.engine.status import StatusSnapshot, StatusTracker
        >>> counts = StatusTracker(num_tasks_succeeded=5, num_cached=2, num_tasks_failed=1)
        >>> rows = row_counts(StatusSnapshot(
        ...     state="running", total=20, launched=12, completed=9, counts=counts,
        ...     waiting_on="", in_flight=3, seconds=1.0, project="p", models={}, simulated=False,
        ... ))
        >>> rows.answered, rows.reused, rows.merged, rows.failed, rows.completed
        (5, 2, 1, 1, 9)
    """
    counts = status.counts
    completed = max(0, status.completed - counts.num_stopped)
    failed = min(counts.num_tasks_failed, completed)
    reused = min(counts.num_cached + counts.num_reused, completed - failed)
    answered = min(counts.num_tasks_succeeded, completed - failed - reused)
    is_over = status.state in ("stopped", "finished")
    total = status.completed if is_over and status.total is None else status.total
    launched = max(completed, status.launched - counts.num_stopped)
    return RowCounts(
        total=total,
        launched=launched if total is None else min(launched, total),
        completed=completed,
        answered=answered,
        reused=reused,
        merged=completed - failed - reused - answered,
        failed=failed,
        not_sent=max(0, (total or 0) - completed) if status.state == "stopped" else 0,
    )


# --------------------------------------------------------------------- what came of it


def headline(status: StatusSnapshot, rows: RowCounts) -> str:
    """Return how many rows were answered."""
    if rows.total == 0:
        return "Nothing to send"
    if rows.good == rows.total:
        noun = counted(rows.good, "row")
        return f"All {noun} answered" if rows.good != 1 else f"{noun} answered"
    text = f"{rows.good:,} of {counted(rows.whole, 'row')} answered"
    return f"Stopped: {text}" if status.state == "stopped" else text


def cost(counts: StatusTracker) -> str:
    """Return what runs cost: a price nobody knows is never free, simulated dollars are none."""
    usd, unpriced, play = counts.usd, counts.num_unpriced, counts.simulated_usd
    if not (usd or unpriced):
        return money.usd(play)
    text = money.usd(usd)
    if unpriced:
        text = f"{text} + {unpriced:,} of unknown price" if usd else "an unknown price"
    return f"{text} + {money.usd(play)} simulated" if play else text


def counters(status: StatusSnapshot) -> list[str]:
    """Return the figures of `COUNTERS`: seven of requests, and the last rate limit error's time."""
    counts = status.counts
    last = counts.time_of_last_rate_limit_error
    figures = (
        counts.num_tasks_started,
        counts.num_tasks_in_progress,
        counts.num_tasks_succeeded,
        counts.num_tasks_failed,
        counts.num_rate_limit_errors,
        counts.num_api_errors,
        counts.num_other_errors,
    )
    return [*map(numbers.count, figures), moments.clock(last) if last else "none"]


# ---------------------------------------------------------------------- what it took


def figures(status: StatusSnapshot) -> dict[str, str]:
    """Return tokens, pace and what was out of the ordinary, by name; empty where there is none."""
    counts = status.counts
    tokens = ""
    if counts.prompt_tokens or counts.completion_tokens:
        tokens = numbers.tokens_in_out(counts.prompt_tokens, counts.completion_tokens)
    cut = f"{counted(counts.num_cut, 'answer')}: allow more with max_tokens"
    waited = f"{durations.span(round(status.waited_seconds))} on Retry-After"
    return {
        "tokens": tokens,
        "speed": _speed(status),
        "repeated": ", ".join(repeated(status)),
        "cut off": cut if counts.num_cut else "",
        "waited": waited if status.waited_seconds >= 1 else "",
    }


def _speed(status: StatusSnapshot) -> str:
    """Return the average pace, with the median and the 95th percentile of the replies."""
    if not status.counts.num_requests or status.seconds <= 0:
        return ""
    pace = f"{numbers.short(status.counts.num_requests / status.seconds * 60)} requests/min"
    quantiles = (("p50", status.p50), ("p95", status.p95))
    return ", ".join(
        [pace, *(f"{name} {durations.latency(s)}" for name, s in quantiles if s is not None)]
    )


def repeated(status: StatusSnapshot) -> list[str]:
    """Return what was sent more than once or could not be saved, such as ``["3 retried"]``.

    What hedging may have cost at most stands behind the number of hedges.
    """
    counts = status.counts
    parts = []
    if counts.num_retried:
        parts.append(f"{counts.num_retried:,} retried")
    if counts.num_hedged:
        bound = f" (≤ {money.usd(counts.hedge_usd)})" if counts.hedge_usd else ""
        parts.append(f"{counts.num_hedged:,} hedged{bound}")
    if counts.num_unsaved:
        parts.append(f"{counted(counts.num_unsaved, 'answer')} not saved, kept in memory")
    return parts


def limits(status: StatusSnapshot) -> list[str]:
    """Return one line a model on the limits that held: how much, whose, and what is distrusted."""
    lines = []
    for pool in status.pools:
        parts = []
        for per_minute, kind, source in (
            (pool.requests_per_minute, "requests", pool.requests_from),
            (pool.tokens_per_minute, "tokens", pool.tokens_from),
        ):
            if per_minute is not None and source:
                whose = "found by trying" if source == "found" else source
                parts.append(f"{numbers.limit(per_minute)} {kind}/min ({whose})")
        if parts:
            lines.append(f"{visible(pool.model, longest=40)}: {', '.join(parts)}")
        if pool.distrust:
            lines.append(f"kept evenly: {pool.distrust}")
    return lines


def shares(status: StatusSnapshot, most: int) -> list[ModelShare]:
    """Return the models that answered, at most so many: the smallest are added up."""
    if len(status.shares) <= most:
        return list(status.shares)
    shown, rest = status.shares[: most - 1], status.shares[most - 1 :]
    own = [model for model in rest if not model.simulated] or rest
    prices = [model.usd for model in own if model.usd is not None]
    others = ModelShare(
        name=counted(len(rest), "other"),
        rows=sum(model.rows for model in rest),
        share=sum(model.share for model in rest),
        p50=None,
        usd=sum(prices) if len(prices) == len(own) else None,
    )
    return [*shown, others]


def model_cells(model: ModelShare) -> list[str]:
    """Return name, rows, share, median and cost of a model."""
    return [
        visible(model.name, longest=120),
        numbers.count(model.rows),
        numbers.share(model.share),
        durations.latency(model.p50),
        money.usd(model.usd),
    ]


def cause_cells(cause: FailureCause, longest: int = EXAMPLE_LENGTH, run: str = "") -> list[str]:
    """Return count, words and example of a kind of failure, the words as inside a sentence."""
    example = visible(single_line(cause.example, longest))
    where = f"{run}, row" if run else "row"
    return [
        numbers.count(cause.rows),
        inside(visible(cause.words, longest=60)),
        f"{where} {cause.first_row:,}: {example}",
    ]


def causes(
    causes: Sequence[FailureCause],
    most: int,
    longest: int = EXAMPLE_LENGTH,
    runs: Mapping[str, str] = MappingProxyType({}),
) -> list[list[str]]:
    """Return the cells of at most so many kinds of failure, and one line for all others.

    Args:
        causes: The kinds.
        most: How many are shown.
        longest: Characters of an example.
        runs: Names of the runs that the examples are of, by kind, where there are several.
    """
    rows = [cause_cells(cause, longest, runs.get(cause.kind, "")) for cause in causes[:most]]
    if rest := causes[most:]:
        number = numbers.count(sum(cause.rows for cause in rest))
        rows.append([number, counted(len(rest), "other cause"), ""])
    return rows
