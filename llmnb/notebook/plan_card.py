"""The plan card: what a run would send and cost, with the buttons that begin it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Literal

from llmnb.display import durations, money, numbers
from llmnb.display.escape import visible
from llmnb.display.texts import counted
from llmnb.engine.handle import RunHandle
from llmnb.errors import LLMNBError
from llmnb.notebook.dashboard import FIRST, MAIN, RunDashboard, can_show
from llmnb.notebook.run_part import CellRuns
from llmnb.notebook.surface import Bundle, OutputSlot, joined, page_of
from llmnb.running.planning import Plan

logger = logging.getLogger("llmnb")

FIRST_ROWS = 10
"""Rows of the smaller button."""

View = Literal["ready", "over", "nothing", "unpriced"]

OnRun = Callable[[int | None], Any]
"""Begins what was planned: over every row (None), or over the first so many."""


class PlanCard(RunDashboard):
    """A plan's figures with *Run*, *Run 10* and *Cancel*; nothing is sent before a click.

    It is how a notebook shows a `Plan`. The card stays where it stands: the run that a click
    began takes the plan's place with its dashboard, and at the end with its receipt; the first
    rows are shown under the plan, which waits for the full run.

    It stands wherever ipywidgets do. Its traits tell of the full run once a click began it:
    `state` is ``"planned"`` before, and ``"cancelled"`` where there will be none; `total` is the
    number of rows, and `run` the run.

    Args:
        plan: The plan, as ``df.llm.plan(…)`` returns it.
        on_run: Begins it; where it returns a run, that is shown. None: the plan's own `start`.

    Example:
        >>> import pandas as pd
        >>> import llmnb
        >>> df = pd.DataFrame({"text": ["one", "two"]})
        >>> card = PlanCard(df.llm.plan("Say {text}", model="sim/any"))
        >>> card.state, card.total, card.plan.to_ask
        ('planned', 2, 2)
        >>> card.cancel()
        >>> card.state
        'cancelled'
        >>> card.close()
    """

    def __init__(self, plan: Plan, on_run: OnRun | None = None) -> None:
        self.plan = plan
        self._on_run = on_run or plan.start
        self._planned: dict[str, Any] = {"kind": "plan", **figures(plan)}
        super().__init__()
        self.set_traits_safely(total=plan.rows)

    # ---------------------------------------------------------------------- on display

    @property
    def text(self) -> str:
        """The plan as text."""
        return self.plan.text()

    @property
    def is_final(self) -> bool:
        """Whether no run will begin here any more, or the full one is over."""
        return self.state == "cancelled" or super().is_final

    def static(self) -> Bundle:
        """Return what a saved notebook shows of the card, as HTML and as text."""
        if MAIN in self._parts:
            return super().static()
        return joined([page_of(self.plan), *(part.static for part in self._parts.values())])

    # ------------------------------------------------------------------- from the page

    def _on_message(self, widget: Any, content: Any, buffers: Any) -> None:
        super()._on_message(widget, content, buffers)
        match content:
            case {"do": "run"}:
                self._begin(None)
            case {"do": "first_rows"}:
                self._begin(FIRST_ROWS)
            case {"do": "cancel"}:
                self.cancel()

    def cancel(self) -> None:
        """End the card; nothing was sent, and nothing will be."""
        with self._lock:
            if not self._planned["buttons"]:
                return
            text = "no more rows are sent." if FIRST in self._parts else "nothing was sent."
            self._tell(
                "arrow", f"Cancelled: {text}", title="Cancelled", note="cancelled", buttons={}
            )
        self.set_traits_safely(state="cancelled")
        self.renew()

    def _begin(self, rows: int | None) -> None:
        name = "run" if rows is None else "first_rows"
        with self._lock:
            planned, buttons = self._planned, self._planned["buttons"]
            # A second click, or a click on a button that is not there, does nothing.
            if not (buttons.get("acts") and buttons.get(name)):
                return
            self._planned = {**planned, "buttons": {}}
        try:
            run = self._on_run(rows)
        except Exception as error:
            self._planned = planned
            self._show_error(error)
            if not isinstance(error, LLMNBError):
                logger.exception("the planned run could not begin")
            return
        if rows is None:
            text = "Started: the answers are kept as they come."
            self._tell("check", text, title="Started", note="started", buttons={})
        else:
            text = f"Started the first {rows} rows. Their answers are reused by the full run."
            note = f"{rows} of them started"
            self._tell("check", text, note=note, buttons={**buttons, "first_rows": ""})
        if isinstance(run, RunHandle):
            if rows is None and FIRST in self._parts:
                self._parts[FIRST].withdraw()  # the full run asks them
            part = MAIN if rows is None else FIRST
            self.follow(run, part, CellRuns(shows_result=False))

    def _show_error(self, error: Exception) -> None:
        first = (str(error).splitlines() or [""])[0] if isinstance(error, LLMNBError) else ""
        text = visible(first or f"It could not begin ({type(error).__name__}).", longest=300)
        # The same error twice must be seen twice.
        tries = self._planned.get("tries", 0) + 1
        self._tell("alert", "", "Nothing was sent.", f" {text}", tone="bad", tries=tries)

    def _tell(
        self, glyph: str, *parts: str, tone: str = "", note: str | None = None, **changed: Any
    ) -> None:
        """Change the last line, what stands beside the first figure, and other parts."""
        with self._lock:
            hero = self._planned["hero"]
            changed["hero"] = hero if note is None else {**hero, "note": note}
            changed["why"] = {"glyph": glyph, "tone": tone, "parts": parts}
            self._planned = {**self._planned, **changed}
            self._show()


def show(plan: Plan) -> None:
    """Show a plan where this is called: as a card, or in words where none can be."""
    if not can_show():
        print(plan.text())
    elif plan.begin is None:
        OutputSlot(page_of(plan))
    else:
        PlanCard(plan)._ipython_display_()


# ------------------------------------------------------------------------- its figures


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
    glyph, tone, *parts = _why(plan, view)
    note = "nothing sent yet"
    if view == "nothing":
        note = "all answered before" if plan.kept else "nothing to ask"
    return {
        "view": view,
        "title": "Plan",
        "region": f"Plan for project {project}",
        "subject": f"{project} · {visible(plan.model, longest=160)}",
        "hero": {
            "count": numbers.count(plan.to_ask),
            "of": f"of {counted(plan.rows, 'row')}",
            "note": note,
            **_time(plan),
            **_money(plan, view),
        },
        "progress": _progress(plan),
        "ledger": _ledger(plan),
        "why": {"glyph": glyph, "tone": tone, "parts": parts},
        "buttons": _buttons(plan, view),
    }


def _time(plan: Plan) -> dict[str, Any]:
    if plan.minutes is None or not plan.to_ask:
        return {"time": [], "pace": ["", ""]}
    number, _, unit = plan.bound_by.partition(" ")
    time, _, size = durations.rough(60 * plan.minutes).rpartition(" ")
    return {"time": [time, size], "pace": [f"at {number}", unit]}


def _money(plan: Plan, view: View) -> dict[str, Any]:
    budget = "" if plan.budget_usd is None else f"budget {money.usd(plan.budget_usd)}"
    cost, date = plan.cost_text, visible(plan.prices_date)
    notes = ("prices of", date) if date else ("at most", "")
    if view == "nothing":
        saved = f"saves about {money.usd(plan.saved_usd)}" if plan.saved_usd else ""
        cost, notes = "$0", (budget or saved, saved if budget else "")
    elif plan.usd_high is None:
        rest = "budget cannot be kept" if budget else "name one with a price"
        cost, notes = "unknown", ("no price for this model", rest)
    elif view == "over":
        notes = budget, f"up to {money.usd(plan.usd_high - (plan.budget_usd or 0.0))} over"
    elif budget:
        notes = budget, "fits"
    return {"money": cost, "budget": notes[0], "fits": notes[1], "over": int(view == "over")}


def _paid(plan: Plan) -> tuple[int, int]:
    """Return for how many rows the budget is enough, if answers are long and if they are short."""
    if plan.budget_usd is None or plan.usd_low is None or plan.usd_high is None:
        return plan.to_ask, plan.to_ask
    least = int(plan.to_ask * plan.budget_usd / plan.usd_high)
    if plan.usd_low <= plan.budget_usd:
        return least, plan.to_ask
    return least, int(plan.to_ask * plan.budget_usd / plan.usd_low)


_PART_TEXTS = {
    "send": "to send",
    "beyond": "beyond the budget",
    "failed": "that cannot be asked",
    "skip": "empty",
}


def _progress(plan: Plan) -> dict[str, Any]:
    sent = _paid(plan)[0] if plan.is_over_budget else plan.to_ask
    parts = [
        ("reused", plan.kept),
        ("merged", plan.merged),
        ("send", sent),
        ("beyond", plan.to_ask - sent),
        ("failed", plan.wrong),
        ("skip", plan.empty),
    ]
    whole = sum(number for _, number in parts) or 1
    text = ", ".join(
        f"{number:,} {_PART_TEXTS.get(name, name)}" for name, number in parts if number
    )
    return {
        "parts": [[name, round(number / whole, 4)] for name, number in parts],
        "says": f"{text or 'nothing'} of {counted(plan.rows, 'row')}",
    }


def _ledger(plan: Plan) -> list[list[str]]:
    """Return name, pattern and figure of eight counters."""
    left_out = ["empty", "skip", numbers.count(plan.empty)]
    if plan.wrong:
        left_out = ["not asked", "failed", numbers.count(plan.wrong + plan.empty)]
    tokens_in, tokens_out, price = "0", "0", "$0"
    if plan.to_ask:
        tokens_in = f"≈ {numbers.short(plan.prompt_tokens)}"
        tokens_out = f"≤ {numbers.short(plan.answer_tokens_bound)}"
        price = money.usd(None if plan.usd_high is None else plan.usd_high / plan.to_ask)
        price = f"≤ {price}" if price.startswith("$") and plan.usd_high else price
    return [
        ["rows", "", numbers.count(plan.rows)],
        ["reused", "reused", numbers.count(plan.kept)],
        ["merged", "merged", numbers.count(plan.merged)],
        ["to send", "send", numbers.count(plan.to_ask)],
        left_out,
        ["tokens in", "", tokens_in],
        ["tokens out", "", tokens_out],
        ["price per row", "", price],
    ]


def _why(plan: Plan, view: View) -> tuple[str, ...]:
    """Return what bounds the run, or keeps it from running as planned: glyph, tone and parts."""
    if view == "nothing" and plan.kept:
        return "check", "", "Nothing to send: running fills the column from the cache."
    if view == "nothing":
        nothing = "There are no rows to ask about."
        return "arrow", "", "Nothing to send: no row asks anything." if plan.rows else nothing
    if view == "unpriced":
        rest = " Name one, or run without budget_usd."
        return "alert", "bad", "", "A budget needs a price.", rest
    if view == "over":
        least, most = _paid(plan)
        rows = f"at least {least:,}" if most >= plan.to_ask else f"{least:,} to {most:,}"
        rows = f"{least:,}" if least == most else rows
        pays = f"{money.usd(plan.budget_usd)} pays for {rows} {'row' if rows == '1' else 'rows'}."
        return "alert", "bad", "", pays, " The run stops there and keeps them."
    if plan.wrong:
        rest = " and will end as failed rows; nothing is sent for them."
        return "alert", "", "", f"{counted(plan.wrong, 'row')} cannot be asked", rest
    bound = "No limit per minute is known: the run finds its own pace."
    if plan.bound_by:
        bound = f"Bound by the limit of {plan.bound_by}; the time is the shortest possible."
    elif limit := plan.max_concurrent_requests:
        requests = "the one request" if limit == 1 else f"the {limit:,} requests"
        bound = f"Bound by {requests} in flight, by no limit per minute."
    return "arrow", "", bound


def _buttons(plan: Plan, view: View) -> dict[str, Any]:
    run = f"Run {plan.to_ask:,}"
    if view == "over":
        run = f"Run until {money.usd(plan.budget_usd)}"
    elif view == "nothing":
        run = "Fill from cache" if plan.kept else ""
    first_rows = f"Run {FIRST_ROWS}" if plan.to_ask > FIRST_ROWS else ""
    acts = int(view != "unpriced")
    return {"run": run, "first_rows": first_rows, "acts": acts, "cancel": "Cancel"}
