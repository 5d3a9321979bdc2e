"""What a receipt tells, in words: the same for its HTML and its text."""

from __future__ import annotations

from llmnb.display import durations, money, numbers
from llmnb.display.escape import visible
from llmnb.display.texts import counted, inside
from llmnb.engine.status import ModelShare, StatusSnapshot
from llmnb.notebook.card import example
from llmnb.notebook.tally import Tally

MODELS_SHOWN = 12
CAUSES_SHOWN = 10

COUNTERS = (
    "started",
    "in progress",
    "succeeded",
    "failed",
    "rate limit errors",
    "API errors",
    "other errors",
    "last rate limit error",
)


def headline(status: StatusSnapshot, rows: Tally) -> str:
    """Return how many rows were answered."""
    if rows.total == 0:
        return "Nothing to send"
    if rows.is_whole:
        noun = counted(rows.good, "row")
        return f"All {noun} answered" if rows.good != 1 else f"{noun} answered"
    total = rows.completed if rows.total is None else rows.total
    text = f"{rows.good:,} of {counted(total, 'row')} answered"
    return f"Stopped: {text}" if status.state == "stopped" else text


def sum_of(rows: Tally) -> str:
    """Return the parts that make up the rows."""
    parts = [f"{rows.answered:,} answered"]
    parts += [
        f"{number:,} {name}"
        for number, name in (
            (rows.reused, "reused"),
            (rows.merged, "merged"),
            (rows.failed, "failed"),
            (rows.not_sent, "not sent"),
        )
        if number
    ]
    return f"{' + '.join(parts)} = {counted(rows.total or rows.completed, 'row')}"


def span(status: StatusSnapshot) -> str:
    """Return how long the run took."""
    return durations.span(status.seconds)


def spent(status: StatusSnapshot) -> str:
    """Return what it cost; a price nobody knows is never called free."""
    counts = status.counts
    if not counts.num_unpriced:
        return money.usd(counts.usd)
    if not counts.usd:
        return "an unknown price"
    return f"{money.usd(counts.usd)} + {counts.num_unpriced:,} of unknown price"


def saved(status: StatusSnapshot) -> str:
    """Return what was saved, and by what; empty where nothing was."""
    reused = status.counts.saved_reused_usd
    merged = status.counts.saved_usd - reused
    parts = [
        f"{money.usd(part)} by {how}"
        for part, how in ((reused, "reuse"), (merged, "merging"))
        if part > 1e-9
    ]
    return ", ".join(parts)


def tokens(status: StatusSnapshot) -> str:
    """Return the tokens in and out; empty where none were counted."""
    counts = status.counts
    if not counts.prompt_tokens and not counts.completion_tokens:
        return ""
    return numbers.tokens_in_out(counts.prompt_tokens, counts.completion_tokens)


def quantiles(status: StatusSnapshot) -> str:
    """Return the median and the 95th percentile of the replies."""
    pairs = (("p50", status.p50), ("p95", status.p95))
    return ", ".join(f"{name} {durations.latency(one)}" for name, one in pairs if one is not None)


def speed(status: StatusSnapshot) -> str:
    """Return the average pace with the quantiles; empty where nothing was sent."""
    if not status.counts.num_requests or status.seconds <= 0:
        return ""
    pace = f"{numbers.short(status.counts.num_requests / status.seconds * 60)} requests/min"
    return ", ".join(filter(None, (pace, quantiles(status))))


def repeated(status: StatusSnapshot) -> str:
    """Return what was sent more than once or could not be saved."""
    counts = status.counts
    said = []
    if counts.num_retried:
        said.append(f"{counts.num_retried:,} retried")
    if counts.num_hedged:
        bound = f" (≤ {money.usd(counts.hedge_usd)})" if counts.hedge_usd else ""
        said.append(f"{counts.num_hedged:,} hedged{bound}")
    if counts.num_unsaved:
        said.append(f"{counted(counts.num_unsaved, 'answer')} not saved, kept in memory")
    return ", ".join(said)


def waited(status: StatusSnapshot) -> str:
    """Return how long `Retry-After` held the run back."""
    if status.waited_seconds < 1:
        return ""
    return f"{durations.span(round(status.waited_seconds))} on Retry-After"


def limits(status: StatusSnapshot) -> list[str]:
    """Return one line a model on the limits that held: how much, whose, and what is distrusted."""
    found = []
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
            found.append(f"{visible(pool.model, longest=40)}: {', '.join(parts)}")
        if pool.distrust:
            found.append(f"kept evenly: {pool.distrust}")
    return found


def models(status: StatusSnapshot) -> list[tuple[str, str, str, str, str]]:
    """Return name, rows, share, median and cost of each model, the smallest added up."""
    shown = status.shares[:MODELS_SHOWN]
    rest = status.shares[MODELS_SHOWN:]
    rows = [_model(one) for one in shown]
    if rest:
        prices = [one.usd for one in rest]
        others = ModelShare(
            name=counted(len(rest), "other"),
            rows=sum(one.rows for one in rest),
            share=sum(one.share for one in rest),
            p50=None,
            usd=None if None in prices else sum(one for one in prices if one is not None),
        )
        rows.append(_model(others))
    return rows


def _model(one: ModelShare) -> tuple[str, str, str, str, str]:
    return (
        visible(one.name, longest=80),
        numbers.count(one.rows),
        numbers.share(one.share),
        durations.latency(one.p50),
        money.usd(one.usd),
    )


def causes(status: StatusSnapshot) -> list[tuple[str, str, str]]:
    """Return count, cause and example of each kind of failure."""
    rows = [
        (numbers.count(one.rows), inside(visible(one.words, longest=60)), example(one))
        for one in status.causes[:CAUSES_SHOWN]
    ]
    if rest := status.causes[CAUSES_SHOWN:]:
        number = numbers.count(sum(one.rows for one in rest))
        rows.append((number, counted(len(rest), "other cause"), "run.failures() has them all"))
    return rows
