"""What the plan card shows, as text and numbers: made from a `Plan`, without a page."""

from __future__ import annotations

from typing import Any, Literal

from llmnb.display import durations, html_pieces, money, numbers
from llmnb.display.escape import visible
from llmnb.display.palette import PATTERNS
from llmnb.display.texts import counted
from llmnb.running.planning import Plan

FIRST_FEW = 10
"""Rows of the smaller button."""

View = Literal["ready", "over", "nothing", "unpriced"]


def view_of(plan: Plan) -> View:
    """Return which of the card's states a plan is in."""
    if not plan.to_ask:
        return "nothing"
    if plan.budget_usd is not None and plan.usd_high is None:
        return "unpriced"
    return "over" if plan.is_over_budget else "ready"


def figures(plan: Plan) -> dict[str, Any]:
    """Return what the card shows of a plan."""
    view = view_of(plan)
    project = visible(plan.project, longest=80)
    return {
        "view": view,
        "title": "Plan",
        "region": f"Plan for project {project}",
        "subject": f"{project} · {visible(plan.model, longest=160)}",
        "hero": {**_count(plan, view), **_time(plan), **_money(plan, view)},
        "rail": _rail(plan),
        "ledger": _ledger(plan),
        "why": _why(plan, view),
        "buttons": _buttons(plan, view),
    }


def _count(plan: Plan, view: View) -> dict[str, Any]:
    note = "nothing sent yet"
    if view == "nothing":
        note = "all answered before" if plan.kept else "nothing to ask"
    return {
        "count": numbers.count(plan.to_ask),
        "of": f"of {counted(plan.rows, 'row')}",
        "note": note,
    }


def _time(plan: Plan) -> dict[str, Any]:
    if plan.minutes is None or not plan.to_ask:
        return {"time": [], "pace": ["", ""]}
    number, _, unit = plan.bound_by.partition(" ")
    time, _, size = durations.rough(60 * plan.minutes).rpartition(" ")
    return {"time": [time, size], "pace": [f"at {number}", unit]}


def _money(plan: Plan, view: View) -> dict[str, Any]:
    budget = f"budget {money.usd(plan.budget_usd)}" if plan.budget_usd is not None else ""
    is_over = view == "over"
    if view == "nothing":
        saved = f"saves about {money.usd(plan.saved_usd)}" if plan.saved_usd else ""
        return {
            "money": "$0",
            "budget": budget or saved,
            "fits": saved if budget else "",
            "over": 0,
        }
    if plan.usd_high is None:
        fits = "budget cannot be kept" if budget else "name one with a price to know"
        return {"money": "unknown", "budget": "no price for this model", "fits": fits, "over": 0}
    fits = visible(plan.prices_date)
    if is_over:
        over = plan.usd_high - (plan.budget_usd or 0.0)
        fits = f"up to {money.usd(over)} over"
    elif budget:
        fits = "fits"
    if not budget:
        budget = "prices of" if fits else "at most"
    return {"money": plan.cost_text, "budget": budget, "fits": fits, "over": int(is_over)}


def _paid(plan: Plan) -> tuple[int, int]:
    """Return for how many rows the budget is enough, if answers are long and if they are short."""
    if plan.budget_usd is None or plan.usd_low is None or plan.usd_high is None:
        return plan.to_ask, plan.to_ask
    least = int(plan.to_ask * plan.budget_usd / plan.usd_high)
    if plan.usd_low <= plan.budget_usd:
        return least, plan.to_ask
    return least, int(plan.to_ask * plan.budget_usd / plan.usd_low)


def _parts(plan: Plan) -> list[tuple[str, int]]:
    sent = _paid(plan)[0] if plan.is_over_budget else plan.to_ask
    return [
        ("reused", plan.kept),
        ("merged", plan.merged),
        ("send", sent),
        ("beyond", plan.to_ask - sent),
        ("failed", plan.wrong),
        ("skip", plan.empty),
    ]


_SAID = {
    "send": "to send",
    "beyond": "beyond the budget",
    "failed": "that cannot be asked",
    "skip": "empty",
}


def _rail(plan: Plan) -> dict[str, Any]:
    parts = _parts(plan)
    whole = sum(number for _, number in parts) or 1
    said = ", ".join(f"{number:,} {_SAID.get(name, name)}" for name, number in parts if number)
    return {
        "parts": [[name, round(number / whole, 4)] for name, number in parts],
        "says": f"{said or 'nothing'} of {counted(plan.rows, 'row')}",
    }


def _ledger(plan: Plan) -> list[list[str]]:
    """Return name, pattern and figure of eight counters."""
    left_out = ["empty", "skip", numbers.count(plan.empty)]
    if plan.wrong:
        left_out = ["not asked", "failed", numbers.count(plan.wrong + plan.empty)]
    is_priced = plan.usd_high is not None
    each = (plan.usd_high or 0.0) / plan.to_ask if plan.to_ask else 0.0
    sent = plan.to_ask > 0
    return [
        ["rows", "", numbers.count(plan.rows)],
        ["reused", "reused", numbers.count(plan.kept)],
        ["merged", "merged", numbers.count(plan.merged)],
        ["to send", "send", numbers.count(plan.to_ask)],
        left_out,
        ["tokens in", "", f"≈ {numbers.short(plan.prompt_tokens)}" if sent else "0"],
        ["tokens out", "", f"≤ {numbers.short(plan.answer_tokens_bound)}" if sent else "0"],
        ["price per row", "", _each(each, is_priced, sent)],
    ]


def _each(usd: float, is_priced: bool, sent: bool) -> str:
    if not sent:
        return "$0"
    if not is_priced:
        return "unknown"
    return f"≤ {money.usd(usd)}" if usd >= 0.0001 else money.usd(usd)


def _why(plan: Plan, view: View) -> dict[str, Any]:
    if view == "nothing":
        return _why_nothing(plan)
    if view == "unpriced":
        rest = " Name one, or run without budget_usd."
        return {"glyph": "alert", "tone": "bad", "parts": ["", "A budget needs a price.", rest]}
    if view == "over":
        least, most = _paid(plan)
        rows = f"at least {least:,}" if most >= plan.to_ask else f"{least:,} to {most:,}"
        rows = f"{least:,}" if least == most else rows
        noun = "row" if rows == "1" else "rows"
        said = ["", f"{money.usd(plan.budget_usd)} pays for {rows} {noun}."]
        said.append(" The run stops there and keeps them.")
        return {"glyph": "alert", "tone": "bad", "parts": said}
    if plan.wrong:
        said = ["", f"{counted(plan.wrong, 'row')} cannot be asked"]
        said.append(" and will end as failed rows; nothing is sent for them.")
        return {"glyph": "alert", "tone": "", "parts": said}
    return {"glyph": "arrow", "tone": "", "parts": [_bound(plan)]}


def _why_nothing(plan: Plan) -> dict[str, Any]:
    if plan.kept:
        said = "Nothing to send: running fills the column from the cache."
    elif plan.rows:
        said = "Nothing to send: no row asks anything."
    else:
        said = "There are no rows to ask about."
    return {"glyph": "check" if plan.kept else "arrow", "tone": "", "parts": [said]}


def _bound(plan: Plan) -> str:
    places = plan.max_concurrent_requests
    if plan.bound_by:
        return f"Bound by the limit of {plan.bound_by}; the time is the shortest possible."
    if places:
        return (
            f"Bound by the {counted(places, 'request')} in flight, by no limit per minute."
            if places > 1
            else "Bound by the one request in flight, by no limit per minute."
        )
    return "No limit per minute is known: the run finds its own pace."


def _buttons(plan: Plan, view: View) -> dict[str, Any]:
    run = f"Run {plan.to_ask:,}"
    if view == "over":
        run = f"Run until {money.usd(plan.budget_usd)}"
    elif view == "nothing":
        run = "Fill from cache" if plan.kept else ""
    few = f"Run {FIRST_FEW}" if plan.to_ask > FIRST_FEW else ""
    return {"run": run, "few": few, "acts": int(view != "unpriced"), "cancel": "Cancel"}


# ----------------------------------------------------------------------- without script


def html(plan: Plan) -> str:
    """Return the plan as HTML without script, style sheet or address."""
    shown = figures(plan)
    hero, ledger = shown["hero"], shown["ledger"]
    cost = " ".join(filter(None, (hero["money"], f"({hero['budget']})" if hero["budget"] else "")))
    rail = [(name if name in PATTERNS else "rest", part) for name, part in _shares(plan)]
    return html_pieces.box(
        html_pieces.headline("Plan", shown["subject"]),
        html_pieces.line(
            f"{hero['count']} to send {hero['of']}, {hero['note']}"
            + (f"; {' '.join(hero['time'])} {' '.join(hero['pace'])}" if hero["time"] else "")
            + f"; {cost}"
        ),
        html_pieces.bar(rail, shown["rail"]["says"]),
        html_pieces.figure_table([one[0] for one in ledger], [[one[2] for one in ledger]]),
        html_pieces.line("".join(shown["why"]["parts"]), "margin-top:6px"),
    )


def _shares(plan: Plan) -> list[tuple[str, float]]:
    return [(name, part) for name, part in _rail(plan)["parts"]]
