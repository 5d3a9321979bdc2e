"""A batch run on show: its card as static HTML, put anew while the provider works.

There is nothing to pause or to speed up in a batch that takes hours, so it has no
widget: what a saved notebook shows is what stood there last.
"""

from __future__ import annotations

from llmnb.engine.handle import AnyRun
from llmnb.engine.status import StatusSnapshot
from llmnb.notebook.surface import Bundle, Place, watch


class ShownBatch:
    """A batch run's card in an output, put anew when something has changed.

    Args:
        run: The run.
        holds_kernel: Whether a cell waits for the run and says when to look.
    """

    def __init__(self, run: AnyRun, *, holds_kernel: bool = False) -> None:
        self._run = run
        self._seen = _worth(run.status())
        self._place = Place(_bundle(self._run))
        if not holds_kernel and not run.is_done:
            watch(run, self.draw, self.close)

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


def _bundle(run: AnyRun) -> Bundle:
    return {"text/html": run._repr_html_(), "text/plain": repr(run)}
