"""How the rows of a run divide, so that what is shown always sums to the whole."""

from __future__ import annotations

import dataclasses

from llmnb.engine.status import StatusSnapshot


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The rows of a run by what became of them."""

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
    def is_whole(self) -> bool:
        """Whether every row has an answer."""
        return self.total is not None and self.good == self.total


def tally(status: StatusSnapshot) -> Tally:
    """Return how a run's rows divide.

    The counters of a snapshot are read one after the other while the run goes
    on. So the parts are cut to fit, and the merged rows are what is left.

    Example:
        >>> from llmnb.engine.status import StatusSnapshot, StatusTracker
        >>> counts = StatusTracker(num_tasks_succeeded=5, num_cached=2, num_tasks_failed=1)
        >>> one = tally(StatusSnapshot(
        ...     state="running", total=20, launched=12, completed=9, counts=counts, failures={},
        ...     waiting_on="", in_flight=3, seconds=1.0, project="p", models={}, simulated=False,
        ... ))
        >>> one.answered, one.reused, one.merged, one.failed, one.completed
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
    return Tally(
        total=total,
        launched=launched if total is None else min(launched, total),
        completed=completed,
        answered=answered,
        reused=reused,
        merged=completed - failed - reused - answered,
        failed=failed,
        not_sent=max(0, (total or 0) - completed) if status.state == "stopped" else 0,
    )
