"""A batch run on show: its card as static HTML, put anew while the provider works.

There is nothing to pause or to speed up in a batch that takes hours, so it has no
widget: what a saved notebook shows is what stood there last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from llmnb.engine.run import Run
from llmnb.engine.status import StatusSnapshot
from llmnb.notebook.surface import Bundle, Place, watch

if TYPE_CHECKING:
    from llmnb.batches.run import BatchRun

TYPE = "llmnb.batches.run.BatchRun"
"""By its name: what batches are made of is loaded with the first of them."""


def is_batch(run: Run | BatchRun) -> bool:
    """Whether a run is a batch run; the doors hand out both as runs."""
    return f"{type(run).__module__}.{type(run).__qualname__}" == TYPE


class ShownBatch:
    """A batch run's card in an output, put anew when something has changed.

    Args:
        run: The run.
        holds_kernel: Whether a cell waits for the run and says when to look.
    """

    def __init__(self, run: Run | BatchRun, *, holds_kernel: bool = False) -> None:
        self._run = cast("BatchRun", run)
        self._seen = _worth(run.status())
        self._place = Place(_bundle(self._run))
        if not holds_kernel and not run.is_done:
            watch(cast(Run, run), self.draw, self.close)

    def draw(self, status: StatusSnapshot, total: int | None = None) -> None:
        """Show how far the run is, where that is news."""
        if (worth := _worth(status)) != self._seen:
            self._seen = worth
            self._place.put(_bundle(self._run))

    def close(self, status: StatusSnapshot, total: int | None = None) -> None:
        """Show how it ended."""
        self._place.put(_bundle(self._run))


def _worth(status: StatusSnapshot) -> tuple[object, ...]:
    """Return what the card is put anew for; not for the clock."""
    return status.state, status.completed, status.waiting_on, status.cost_text


def _bundle(run: BatchRun) -> Bundle:
    return {"text/html": run._repr_html_(), "text/plain": repr(run)}


def show(run: Run | BatchRun) -> None:
    """Show the card where this is called."""
    ShownBatch(run)
