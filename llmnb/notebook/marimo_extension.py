"""`llmnb.load_marimo_extension()`: runs, plans and the cache manager as live cards in marimo.

marimo has no magics and no IPython display; it asks an object for what to show
by its method ``_display_``.
"""

from __future__ import annotations

import sys
from typing import Any

from llmnb import progress
from llmnb.engine.handle import AnyRun, RunHandle
from llmnb.errors import ConfigurationError
from llmnb.notebook.dashboard import RunDashboard


def load_marimo_extension() -> None:
    """Give a marimo notebook the dashboard, the plan card, and ``df.llm``; silent, idempotent.

    What `%load_ext llmnb` is elsewhere. Afterwards a run or a plan that ends a cell is
    its card, and a cell that waits shows the dashboard meanwhile.

    Raises:
        ConfigurationError: If this is no marimo notebook.

    Example:
        >>> load_marimo_extension()  # in Jupyter
        Traceback (most recent call last):
        llmnb.errors.ConfigurationError: This is no marimo notebook: in Jupyter, %load_ext llmnb.
    """
    if not progress.in_marimo():
        raise ConfigurationError("This is no marimo notebook: in Jupyter, %load_ext llmnb.")
    from llmnb.frames.registration import attach
    from llmnb.running.planning import Plan

    attach()
    progress.use_display(_waited_for, lambda run: sys.modules["marimo"].output.append(_card(run)))
    shown: dict[type[Any], Any] = {RunHandle: _card, Plan: _plan}
    for kind, display in shown.items():
        kind._display_ = display


def _card(run: AnyRun) -> Any:
    """Return a run's card."""
    return sys.modules["marimo"].as_html(RunDashboard(run))


def _plan(plan: Any) -> Any:
    """Return a plan's card, which becomes that of the run its buttons begin."""
    from llmnb.notebook.plan_card import PlanCard

    marimo = sys.modules["marimo"]
    return marimo.plain_text(plan.text()) if plan.begin is None else marimo.as_html(PlanCard(plan))


def _waited_for(run: AnyRun) -> RunDashboard:
    """Show the card of a run that a cell waits for and draws."""
    card = RunDashboard(run, holds_kernel=True, ticks=False)
    sys.modules["marimo"].output.append(card)
    return card
