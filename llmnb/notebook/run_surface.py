"""What can be observed of a widget that shows a run: the run, and how far it is."""

from __future__ import annotations

import traitlets

from llmnb.engine.handle import AnyRun
from llmnb.engine.status import StatusSnapshot
from llmnb.notebook.facts import row_counts
from llmnb.notebook.surface import Surface

STATES = ("planned", "running", "paused", "stopping", "stopped", "finished", "cancelled")
"""Of a run, with what comes before it, and instead of it."""


class RunSurface(Surface):
    """A widget about a run, with traits to observe and to link from.

    They are read-only, change five times a second at most, and `state` changes last: when it
    becomes ``"finished"`` the other figures are the final ones and the run's result is there.
    Observers are called on a thread of llmnb's own. An error of theirs is logged, and the widget
    goes on.
    """

    run = traitlets.Any(None, read_only=True)
    """The run that is shown; None before there is one. ``card.run.result()`` is its result."""

    state = traitlets.Enum(STATES, "planned", read_only=True)
    """``"planned"``, ``"running"``, ``"paused"``, ``"stopping"``, ``"stopped"``, ``"finished"``,
    or ``"cancelled"`` for a plan that was given up."""

    done = traitlets.Int(0, read_only=True)
    """Rows with an answer or an error."""

    total = traitlets.Int(None, allow_none=True, read_only=True)
    """Rows in all; None while nobody knows."""

    failed = traitlets.Int(0, read_only=True)
    """Rows that ended with an error."""

    usd = traitlets.Float(0.0, read_only=True)
    """Dollars spent so far, as far as prices are known; where there are none, simulated ones."""

    def publish(self, run: AnyRun, status: StatusSnapshot, total: int | None = None) -> None:
        """Set the traits.

        Args:
            run: The run.
            status: How it is.
            total: Rows in all, where the run itself reads them lazily.
        """
        rows = row_counts(status)
        self.set_traits_safely(
            run=run,
            done=rows.completed,
            total=total if rows.total is None else rows.total,
            failed=rows.failed,
            usd=status.counts.shown().usd,
            state=status.state,
        )
