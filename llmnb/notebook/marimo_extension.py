"""`llmnb.load_marimo_extension()`: runs, plans and the cache manager as live cards in marimo.

marimo has no magics and no IPython display; it asks an object for what to show
by its method ``_display_``. What a cell shows is not saved with the notebook, so
a card stays a card at the end of its run.
"""

from __future__ import annotations

import sys
from typing import Any

from llmnb import progress
from llmnb.engine.handle import AnyRun, RunHandle
from llmnb.engine.status import StatusSnapshot
from llmnb.errors import ConfigurationError
from llmnb.notebook.dashboard import RunDashboard
from llmnb.notebook.failed_banner import FailedBanner


def load_marimo_extension() -> None:
    """Give a marimo notebook the dashboard, the plan card, and ``df.llm``; silent, idempotent.

    What `%load_ext llmnb` is elsewhere. Afterwards a run or a plan that ends a cell is
    its card, and a cell that waits shows the dashboard meanwhile.

    Raises:
        ConfigurationError: If this is no marimo notebook.
    """
    marimo = sys.modules.get("marimo")
    if marimo is None or not marimo.running_in_notebook():
        raise ConfigurationError("This is no marimo notebook: in Jupyter, %load_ext llmnb.")
    from llmnb.frames.registration import attach
    from llmnb.running.planning import Plan

    attach()
    progress.use_display(_Waiting, lambda run: marimo.output.append(_run(run)))
    shown: dict[type[Any], Any] = {RunHandle: _run, Plan: _plan}
    for kind, display in shown.items():
        kind._display_ = display


def _run(run: AnyRun) -> Any:
    """Return a run's card, with the banner of its failed rows under it once it is over."""
    if run.is_batch:
        return _marimo().Html(run._repr_html_())
    both = _Card()
    both.follow(run)
    return both.view()


def _plan(plan: Any) -> Any:
    """Return a plan's card, under which the run that its buttons begin will stand."""
    from llmnb.notebook.plan_card import PlanCard

    if plan.begin is None:
        return _marimo().plain_text(plan.text())
    both = _Card()

    def begin(rows: int | None) -> Any:
        begun = plan.start(rows)
        both.follow(begun)
        return begun

    return both.view(PlanCard(plan, begin))


class _Card:
    """A run's card, and under it the banner of its failed rows; both are made in the cell."""

    def __init__(self) -> None:
        self.dashboard = RunDashboard(None)
        self._banner = FailedBanner()

    def view(self, *above: Any) -> Any:
        """Return what a cell shows."""
        return _marimo().vstack([*above, self.dashboard, self._banner], gap=0.5)

    def follow(self, run: AnyRun) -> None:
        """Show a run from now to its end."""
        self.dashboard.follow(run, lambda status: self.close(run, status))

    def close(self, run: AnyRun, status: StatusSnapshot) -> None:
        """Show the banner where rows failed."""
        # After a stop the next step is to run the cell again; the card says so.
        failed = run.can_retry and status.counts.num_tasks_failed
        if failed and status.state == "finished":
            self._banner.appear(run, status)
            if self.dashboard.retries:
                self._banner.ask_again(self.dashboard.retries)


class _Waiting:
    """The dashboard of a run that a cell waits for; the cell draws it.

    Args:
        run: The run.
        total: Rows in all, where the run itself reads them lazily.
    """

    def __init__(self, run: AnyRun, total: int | None = None) -> None:
        self._run = run
        self._card = _Card()
        self._card.dashboard = RunDashboard(run, total=total, holds_kernel=True, ticks=False)
        _marimo().output.append(self._card.view())

    def draw(self, status: StatusSnapshot, total: int | None) -> None:
        """Show how far the run is."""
        self._card.dashboard.draw(status)

    def close(self, status: StatusSnapshot, total: int | None) -> None:
        """Show how it ended."""
        self._card.dashboard.draw_last(status)
        self._card.close(self._run, status)


def _marimo() -> Any:
    return sys.modules["marimo"]
