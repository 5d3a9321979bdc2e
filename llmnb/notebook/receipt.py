"""The receipt of a run: what stays in a notebook when the dashboard is gone.

As text here, for terminals and logs; as HTML in `receipt_html`. Whatever a
model, a provider or a person wrote is escaped, and what would hide in it is
made visible.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from llmnb.display import moments, money, numbers
from llmnb.display.aligned import columns, leader
from llmnb.display.escape import visible
from llmnb.display.texts import cut
from llmnb.engine.status import StatusSnapshot
from llmnb.notebook import receipt_words as told
from llmnb.notebook.card import again, counters
from llmnb.notebook.receipt_html import html
from llmnb.notebook.tally import Tally, tally

__all__ = ["html", "line", "text"]

WIDEST = 90
"""Columns of the text at most."""


def line(status: StatusSnapshot) -> str:
    """Return a run in one line: for a terminal, and until the page shows more."""
    rows = tally(status)
    project = visible(status.project, longest=60)
    if status.state in ("finished", "stopped"):
        end = f"{told.headline(status, rows)} in {told.span(status)} for {told.spent(status)}"
        return f"llmnb run · {project} · {end}"
    of = "" if rows.total is None else f" of {rows.total:,}"
    because = visible(status.waiting_on, longest=200)
    far = f"{rows.completed:,}{of} rows, {told.spent(status)}"
    return f"llmnb run · {project} · {far}. {because}".rstrip()


def text(status: StatusSnapshot, *, ended: float, prices_of: str = "") -> str:
    """Return the receipt as text, at most 90 columns wide.

    Args:
        status: The run at its end.
        ended: When that was, in seconds since the epoch.
        prices_of: Day of the price table; empty leaves it out.
    """
    rows = tally(status)
    project = visible(status.project, longest=40)
    simulated = " · simulated" if status.simulated else ""
    lines = [f"llmnb receipt · {project} · {moments.moment(ended)}{simulated}", ""]
    if rows.total == 0:
        return "\n".join([*lines, "Nothing to send: there were no rows."])
    lines.append(f"{told.headline(status, rows)} in {told.span(status)} for {told.spent(status)}")
    lines += _section(_row_lines(status, rows))
    lines += _section(_request_lines(status))
    lines += _section(_figure_lines(status))
    if status.shares:
        lines += _section(
            columns(
                [("model", "rows", "share", "p50", "cost"), *told.models(status)],
                right=range(1, 5),
                width=WIDEST - 2,
                gap=3,
            )
        )
    if limits := told.limits(status):
        lines += _section(["limits", *(f"  {one}" for one in limits)])
    if causes := told.causes(status):
        lines += _section(["failed rows"])
        first, second = (max(len(one[place]) for one in causes) for place in (0, 1))
        lines += [f"    {one[0]:>{first}}  {one[1]:<{second}}   {one[2]}" for one in causes]
    lines += ["", *_steps(status, rows, prices_of)]
    return "\n".join(cut(one, WIDEST) for one in lines)


def _section(lines: Sequence[str]) -> list[str]:
    return ["", *(f"  {one}" for one in lines)] if lines else []


_leader = functools.partial(leader, names=20, values=5)


def _row_lines(status: StatusSnapshot, rows: Tally) -> list[str]:
    reused = status.counts.saved_reused_usd
    merged = status.counts.saved_usd - reused
    lines = [_leader("rows", numbers.count(rows.total or rows.completed))]
    for name, number, saved in (
        ("answered", rows.answered, 0.0),
        ("reused", rows.reused, reused),
        ("merged", rows.merged, merged),
        ("failed", rows.failed, 0.0),
        ("not sent", rows.not_sent, 0.0),
    ):
        if number or name in ("answered", "failed"):
            note = f"saved {money.usd(saved)}" if saved > 1e-9 else ""
            lines.append(_leader(f"  {name}", numbers.count(number), note))
    return lines


def _request_lines(status: StatusSnapshot) -> list[str]:
    started, in_progress, succeeded, failed, limits, api, other, last = counters(status)
    note = f"in progress {in_progress}, succeeded {succeeded}, failed {failed}"
    return [
        _leader("requests started", started, note),
        _leader("rate limit errors", limits, f"last at {last}" if last != "none" else ""),
        _leader("API errors", api),
        _leader("other errors", other),
    ]


def _figure_lines(status: StatusSnapshot) -> list[str]:
    pairs = (
        ("tokens", told.tokens(status)),
        ("latency", told.quantiles(status)),
        ("repeated", told.repeated(status)),
        ("waited", told.waited(status)),
    )
    return [_leader(name, value) for name, value in pairs if value]


def _steps(status: StatusSnapshot, rows: Tally, prices_of: str) -> list[str]:
    lines = []
    if status.state == "stopped":
        lines.append(again(rows))
    elif rows.failed:
        lines.append("Retry the failed rows: run.retry_failed()")
    if prices_of:
        lines.append(f"Prices of {visible(prices_of, longest=40)}.")
    return lines
