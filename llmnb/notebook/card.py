"""The run card as text and numbers: what its page shows, made from one frozen snapshot.

The page lays out and never computes; so every word and figure of the card can
be tested without one. A sentence with stressed parts is a list: plain,
stressed, plain, and so on.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Literal

from llmnb.display import durations, moments, money, numbers
from llmnb.display.escape import visible
from llmnb.display.texts import counted
from llmnb.engine.status import FailureCause, StatusSnapshot
from llmnb.notebook import facts
from llmnb.notebook.charts import charts
from llmnb.notebook.facts import RowCounts

View = Literal["running", "waiting", "paused", "stopping", "stopped", "finished"]
"""States of a run as the card tells them apart: one that sends nothing is waiting."""

_TITLES: dict[View, str] = {
    "running": "Running",
    "waiting": "Waiting",
    "paused": "Paused",
    "stopping": "Stopping",
    "stopped": "Stopped",
    "finished": "Finished",
}

ESTIMATING_SECONDS = 10.0
"""No time left is named before this."""

PACING_SECONDS = 5.0
"""A run that keeps to a limit waits between requests; it is called waiting no earlier."""

MODELS_SHOWN = 10
CAUSES_SHOWN = 8


def card(
    status: StatusSnapshot,
    now: float,
    *,
    asked: str = "",
    since: float | None = None,
    holds_kernel: bool = False,
    retries: Collection[str] = (),
    drawn: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what the run card shows of a run that goes on.

    Args:
        status: The run.
        now: Seconds since the epoch.
        asked: Who is asked, such as ``"openai/gpt-5-mini, then 2 more"``.
        since: When the state it is in began, in seconds since the epoch.
        holds_kernel: Whether a cell keeps the kernel from hearing the card's buttons.
        retries: Causes whose rows will be asked again when the run is done.
        drawn: The charts, where they were made a moment ago: they cost most of a card.
    """
    rows = facts.row_counts(status)
    view = view_of(status)
    acts = int(view != "stopping" and not holds_kernel)
    return {
        "view": view,
        "title": _TITLES[view],
        "subject": _subject(status, asked),
        "region": _region(status),
        "simulated": int(status.simulated),
        "says": _spoken(status, rows),
        # A pulse: a page that receives nothing for long knows that the kernel is gone.
        "pulse": int(now) // 5,
        "seen": moments.clock(now - now % 5),
        "kept": _kept(rows, status.again),
        "buttons": {"first": "resume" if view == "paused" else "pause", "acts": acts},
        "hero": _hero(status, rows, view, 0.0 if since is None else now - since),
        "legend": [f"{rows.reused:,} reused", f"{rows.merged:,} merged"],
        "progress": _progress(status, rows),
        "ledger": _ledger(status, now),
        "because": _because(status, rows, view, holds_kernel),
        **(drawn or charts(status, is_still=is_still(status))),
        "models": _models(status),
        "extra": " · ".join(facts.repeated(status)),
        "fails": [
            cause_row(cause, "Retry at the end", is_chosen=cause.kind in retries)
            for cause in status.causes[:CAUSES_SHOWN]
        ],
    }


def over_card(status: StatusSnapshot, line: str) -> dict[str, Any]:
    """Return what a page is told of a run that is over: little, for the receipt says the rest.

    Args:
        status: The run.
        line: The receipt in a line, for as long as the page has no receipt.
    """
    return {"over": 1, "view": status.state, "region": _region(status), "line": line}


def _region(status: StatusSnapshot) -> str:
    return f"Run of project {visible(status.project, longest=80)}"


def waiting_bundle(status: StatusSnapshot, asked: str) -> dict[str, Any]:
    """Return what a saved notebook shows of a run whose end it has not seen."""
    kept = (
        f"What is answered is kept. Where no card follows, run the cell {status.again}: "
        "only the rest is asked."
    )
    page = status.page(asked=asked, foot=kept)
    return {"text/html": page, "text/plain": f"{status.line()}\n{kept}"}


def view_of(status: StatusSnapshot) -> View:
    """Return the state that the card shows."""
    if status.state == "running" and not status.in_flight and is_blocked(status):
        return "running" if _is_pacing(status) else "waiting"
    return status.state


def is_still(status: StatusSnapshot) -> bool:
    """Whether nothing is sent at present, whatever the last minute's mean says."""
    return view_of(status) in ("paused", "waiting") and not status.in_flight


def _kept(rows: RowCounts, again: str) -> str:
    """Return what is left of a run whose kernel is gone."""
    advice = f"un the cell {again}, and only the rest is asked."
    verb = "is" if rows.good == 1 else "are"
    return f"{counted(rows.good, 'row')} {verb} kept: r{advice}" if rows.good else f"R{advice}"


def is_blocked(status: StatusSnapshot) -> bool:
    """Whether something other than replies or the person keeps the run waiting."""
    return status.waiting_on.startswith("Waiting on") and not status.waiting_on.startswith(
        ("Waiting on replies", "Waiting on you")
    )


def _is_pacing(status: StatusSnapshot) -> bool:
    """Whether the run keeps to a limit, and its next request is due soon."""
    return "limit of" in status.waiting_on and status.idle_seconds < PACING_SECONDS


def _subject(status: StatusSnapshot, asked: str) -> str:
    asked = asked or ", ".join(status.models)
    project = visible(status.project, longest=60)
    return f"{project} · {visible(asked, longest=120)}" if asked else project


def _spoken(status: StatusSnapshot, rows: RowCounts) -> str:
    """Return the card in a breath, for a screen reader."""
    if rows.total is None:
        parts = [counted(rows.completed, "row")]
    else:
        parts = [f"{numbers.percent(rows.completed, rows.total)} %"]
    if rows.failed:
        parts.append(f"{rows.failed:,} failed")
    if (eta := status.eta_seconds) is not None:
        parts.append(durations.spoken(eta))
    return ", ".join(parts)


# ---------------------------------------------------------------------------- hero


def _hero(status: StatusSnapshot, rows: RowCounts, view: View, since: float) -> dict[str, Any]:
    if rows.total is None:
        far, unit, of = numbers.count(rows.completed), "", ["", "rows", " so far"]
    else:
        far = numbers.percent(rows.completed, rows.total)
        unit = " %"
        of = ["", numbers.count(rows.completed), f" of {counted(rows.total, 'row')}"]
    if is_still(status):
        speed = ["0", "requests/min", "0 tokens/min"]
    else:
        speed = [
            numbers.short(status.requests_per_minute),
            "requests/min",
            f"{numbers.short(status.tokens_per_minute)} tokens/min",
        ]
    return {
        "far": far,
        "unit": unit,
        "of": of,
        "left": _left(status, rows, view, since),
        "speed": speed,
        "money": _money(status),
    }


def _left(status: StatusSnapshot, rows: RowCounts, view: View, since: float) -> list[str]:
    match view:
        case "waiting":
            return ["nothing sent for ", durations.elapsed(status.idle_seconds)]
        case "paused":
            return [f"paused for {durations.elapsed(since)}"]
        case "stopping":
            return ["storing what is in flight"]
    if (eta := status.eta_seconds) is not None:
        return ["about ", durations.remaining(eta), " left"]
    if rows.total is None:
        return [f"for {durations.elapsed(status.seconds)}"]
    is_early = status.paced_seconds < ESTIMATING_SECONDS
    return ["estimating time left" if is_early else "time left unknown"]


def _money(status: StatusSnapshot) -> list[str]:
    counts = status.counts.shown()
    unpriced = counts.num_unpriced
    spent = "unknown" if unpriced and not counts.usd else money.usd(counts.usd)
    if spent == "unknown":
        first = "no price known"
    elif unpriced:
        first = f"+ {unpriced:,} unpriced"
    elif (projected := status.projected_usd) is not None:
        first = f"of about {money.usd(projected)}"
    else:
        first = "so far"
    budget = status.budget_usd
    second = "no budget set" if budget is None else f"budget {money.usd(budget)}"
    return [spent, first, second]


# --------------------------------------------------------------- progress and ledger


def _progress(status: StatusSnapshot, rows: RowCounts) -> dict[str, Any]:
    whole = max(1, rows.total if rows.total is not None else status.counts.num_rows)
    return {
        "whole": whole,
        "launched": rows.launched,
        "completed": rows.completed,
        "parts": [
            round(100 * part / whole, 2)
            for part in (rows.reused, rows.merged, rows.answered, rows.failed)
        ],
    }


def _ledger(status: StatusSnapshot, now: float) -> dict[str, Any]:
    *counts, clock = facts.counters(status)
    last = status.counts.time_of_last_rate_limit_error
    ago = durations.ago(now - last, is_live=True) if last else ""
    return {"counts": counts, "last": clock, "ago": ago}


# ------------------------------------------------------------------------- because


def _because(
    status: StatusSnapshot, rows: RowCounts, view: View, holds_kernel: bool
) -> dict[str, Any]:
    """Return why the run is not faster."""
    saved = f"saved {money.usd(usd)}" if (usd := status.counts.shown().saved_usd) else ""
    text = visible(status.waiting_on, longest=400) or "Looking up what is already answered."
    glyph, tone = "arrow", ""
    match view:
        case "paused":
            glyph = "pause"
        case "stopping":
            glyph = "stop"
        case _ if is_blocked(status):
            glyph = "clock"
            # A limit that is reached is how a run should go; being refused is not.
            tone = "" if "limit of" in text else "wait"
    if holds_kernel and view != "stopping":
        text = "Waiting on replies." if text.startswith("Waiting on replies") else text
        saved = ""
        text += (
            " This cell holds the kernel: press ■ in the toolbar to stop and keep "
            f"{counted(rows.good, 'row')}."
        )
    return {"glyph": glyph, "tone": tone, "saved": saved, "parts": _stressed(text)}


_LEFT = re.compile(r"((?:\d[\d,]* (?:s|min|h|d) )+left)")


def _stressed(sentence: str) -> list[str]:
    """Return a sentence cut into plain and stressed parts, in turn; the time left is stressed.

    Example:
        >>> _stressed("It asked for 12 s. 1 min 8 s left, then sending.")
        ['It asked for 12 s. ', '1 min 8 s left', ', then sending.']
    """
    return _LEFT.split(sentence)


# ------------------------------------------------------------------------- details


def _models(status: StatusSnapshot) -> list[list[Any]]:
    """Return name, width of the bar, share, rows, median and cost of each model."""
    shares = status.shares
    # A few models are drawn against the whole, many against the largest of them.
    widest = shares[0].share if len(shares) >= 5 and shares[0].share > 0 else 1.0
    rows: list[list[Any]] = []
    for model in facts.shares(status, MODELS_SHOWN):
        name, count, share, median, cost = facts.model_cells(model)
        width = round(min(100.0, 100 * model.share / widest), 1)
        rows.append([name, width, share, count, median, cost])
    return rows


def cause_row(cause: FailureCause, label: str, *, is_chosen: bool | None = None) -> dict[str, Any]:
    """Return one cause: its count, words and example, and the button that retries its rows.

    Args:
        cause: Why the rows failed.
        label: What the button says; empty for none.
        is_chosen: Whether a button that can be taken back was pressed; None for one that acts
            at once.
    """
    count, words, example = facts.cause_cells(cause)
    rows = f"the {count} rows" if cause.rows != 1 else "the row"
    name = visible(cause.words, longest=60)
    return {
        "texts": [count, words[:1].upper() + words[1:], example],
        "cause": visible(cause.kind, longest=80),
        "label": label,
        "says": f"{label}: {rows} failed for “{name}”" if label else "",
        "chosen": -1 if is_chosen is None else int(is_chosen),
    }
