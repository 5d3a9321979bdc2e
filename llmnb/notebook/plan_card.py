"""The plan card: what a run would send and cost, with the buttons that begin it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from llmnb.display.escape import visible
from llmnb.engine.handle import AnyRun, RunHandle
from llmnb.engine.status import StatusSnapshot
from llmnb.errors import LLMNBError
from llmnb.notebook import plan_figures, receipt
from llmnb.notebook.dashboard import RunDashboard, can_show, receipt_bundle
from llmnb.notebook.strip import show_strip
from llmnb.notebook.surface import Bundle, Place, Surface, static_text, watch
from llmnb.running.planning import Plan

logger = logging.getLogger("llmnb")

OnRun = Callable[[int | None], Any]
"""Begins what was planned: over every row (None), or over the first so many."""


class PlanCard(Surface):
    """A plan's figures with *Run*, *Run 10* and *Cancel*; nothing is sent before a click.

    It is how a notebook shows a `Plan`. Where the card was displayed, the run that a
    click began takes its place with its dashboard, and at the end with its receipt; the
    first few rows are shown under the card, which stays for the full run.

    Args:
        plan: The plan.
        on_run: Begins it; where it returns a run, that is shown. None: the plan's own `start`.
    """

    _esm = static_text("parts.js", "plan_card.js")
    _css = static_text("tokens.css", "plan_card.css")

    def __init__(self, plan: Plan, on_run: OnRun | None = None) -> None:
        self._plan = plan
        self._on_run = on_run or plan.start
        self._lock = threading.Lock()
        self._is_over = False
        self._has_few = False
        self._place: Place | None = None
        self._run_places: tuple[Place, Place] | None = None
        super().__init__(snapshot=plan_figures.figures(plan))
        self.on_msg(self._on_message)

    @property
    def plan(self) -> Plan:
        """The plan that is shown."""
        return self._plan

    # ---------------------------------------------------------------------- on display

    @property
    def text(self) -> str:
        """The plan as text."""
        return self._plan.text()

    def bundle(self, text: str | None = None) -> Bundle:
        """Return what an output holds: the widget, and what stands for it where there is none."""
        bundle = super().bundle(self.text if text is None else text)
        return {**bundle, "text/html": plan_figures.html(self._plan)}

    def _repr_mimebundle_(self, **_options: Any) -> tuple[Bundle, dict[str, Any]]:
        return self.bundle(), {}

    def _ipython_display_(self) -> None:
        self._place = Place(self.bundle())
        # A click comes when no cell runs: what it shows needs its place now.
        self._run_places = (Place(), Place())

    # ------------------------------------------------------------------- from the page

    def _on_message(self, _widget: Any, content: Any, _buffers: Any) -> None:
        match content:
            case {"do": "run"}:
                self._begin(None)
            case {"do": "few"}:
                self._begin(plan_figures.FIRST_FEW)
            case {"do": "cancel"}:
                self.cancel()

    def cancel(self) -> None:
        """Take the card down; nothing was sent, and nothing will be."""
        with self._lock:
            if self._is_over:
                return
            self._is_over = True
        said = "nothing was sent." if not self._has_few else "no more rows are sent."
        self._end("Cancelled", [f"Cancelled: {said}"], glyph="arrow")
        if self._place is not None:
            self._place.put({"text/html": plan_figures.html(self._plan), "text/plain": self.text})

    def _begin(self, rows: int | None) -> None:
        allowed = plan_figures.figures(self._plan)["buttons"]
        with self._lock:
            # A second click, or a click on a button that is not there, does nothing.
            if self._is_over or not allowed["acts"]:
                return
            if not (allowed["run"] if rows is None else allowed["few"] and not self._has_few):
                return
            self._is_over = True
        try:
            begun = self._on_run(rows)
        except Exception as error:
            self._is_over = False
            self._tell(error)
            if not isinstance(error, LLMNBError):
                logger.exception("the planned run could not begin")
            return
        if rows is None:
            self._end("Started", ["Started: the answers are kept as they come."])
            self._give_way(begun)
        else:
            self._is_over, self._has_few = False, True
            self._say([f"Started the first {rows} rows. Their answers are reused by the full run."])
            if isinstance(begun, RunHandle) and self._run_places is not None:
                show_in(begun, *self._run_places)

    def _give_way(self, begun: Any) -> None:
        """Let the run take the card's place."""
        if (
            isinstance(begun, RunHandle)
            and self._place is not None
            and self._run_places is not None
        ):
            show_in(begun, self._place, self._run_places[1])
            self.take_down()

    def _end(self, title: str, parts: list[str], *, glyph: str = "check") -> None:
        why = {"glyph": glyph, "tone": "", "parts": parts}
        hero = {**self.snapshot["hero"], "note": title.lower()}
        self.snapshot = {
            **self.snapshot,
            "title": title,
            "hero": hero,
            "why": why,
            "buttons": {},
        }

    def _say(self, parts: list[str]) -> None:
        why = {"glyph": "check", "tone": "", "parts": parts}
        buttons = {**self.snapshot["buttons"], "few": ""}
        hero = {**self.snapshot["hero"], "note": f"{plan_figures.FIRST_FEW} of them started"}
        self.snapshot = {**self.snapshot, "hero": hero, "why": why, "buttons": buttons}

    def _tell(self, error: Exception) -> None:
        first = (str(error).splitlines() or [""])[0] if isinstance(error, LLMNBError) else ""
        said = visible(first or f"It could not begin ({type(error).__name__}).", longest=300)
        why = {"glyph": "alert", "tone": "bad", "parts": ["", "Nothing was sent.", f" {said}"]}
        # The same error twice must be seen twice.
        self.snapshot = {**self.snapshot, "why": why, "tries": self.snapshot.get("tries", 0) + 1}


def show(plan: Plan) -> None:
    """Show a plan where this is called: as a card, or in words where none can be."""
    if not can_show():
        print(plan.text())
    elif plan.begin is None:
        Place({"text/html": plan_figures.html(plan), "text/plain": plan.text()})
    else:
        PlanCard(plan)._ipython_display_()


def show_in(run: AnyRun, place: Place, strip_place: Place) -> None:
    """Show a run's dashboard in an output that stands already, and its receipt at the end."""
    dashboard = RunDashboard(run, ticks=False)
    place.put(dashboard.bundle(receipt.line(run.status())))

    def close(status: StatusSnapshot) -> None:
        dashboard.draw_last(status)
        place.put(receipt_bundle(status))
        dashboard.take_down()
        if status.counts.num_tasks_failed and status.state == "finished":
            strip = show_strip(run, status, strip_place)
            if dashboard.retries:
                strip.ask_again(dashboard.retries)

    watch(run, dashboard.draw, close)
