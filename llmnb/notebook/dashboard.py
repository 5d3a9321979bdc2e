"""The run dashboard: one widget for a run, driven by a thread or by a waiting cell.

The engine does not know that notebooks exist: `install` hangs the dashboard up
where runs are waited for, and teaches IPython to show a run. At the end the
widget is taken down, and a receipt that needs no script stands in its place.
"""

from __future__ import annotations

import functools
import math
import sys
import threading
from collections.abc import Callable
from typing import Any

from llmnb import progress
from llmnb.adapters import prices
from llmnb.engine.handle import AnyRun, RunHandle
from llmnb.engine.status import Clock, StatusSnapshot
from llmnb.notebook import receipt
from llmnb.notebook.batch_card import ShownBatch
from llmnb.notebook.card import card, view_of
from llmnb.notebook.charts import charts
from llmnb.notebook.strip import show_strip
from llmnb.notebook.surface import (
    TICK_SECONDS,
    Bundle,
    Place,
    Surface,
    line_of_code,
    watch,
)

CHART_SECONDS = 1.0
"""Charts are drawn anew no more often than this, and when the state changes."""


class RunDashboard(Surface):
    """A run's card: how far, how much, what went wrong, and why it is not faster.

    Its buttons and fields only call the run's own methods, which may be called
    from any thread: messages arrive on whichever thread the kernel chooses.

    Args:
        run: The run; None: nothing is seen before `follow`.
        total: Rows in all, where the run itself reads them lazily.
        holds_kernel: Whether a cell waits for the run, so that the kernel may not
            hear the buttons. The card says so until it has been heard once.
        ticks: Whether a thread keeps the card up to date until the run is done.
    """

    def __init__(
        self,
        run: AnyRun | None,
        *,
        total: int | None = None,
        holds_kernel: bool = False,
        ticks: bool = True,
    ) -> None:
        self._run = run
        self._total = total
        self._holds_kernel = holds_kernel
        self._lock = threading.Lock()
        self._drawn = -math.inf
        self.retries: set[str] = set()
        """Causes whose rows shall be asked again when the run is done."""

        self._charts: dict[str, Any] = {}
        self._charts_at = -math.inf
        self._view = ""
        self._since = 0.0
        super().__init__(snapshot=self._card(run, run.status()) if run is not None else {})
        self.on_msg(self._on_message)
        if ticks and run is not None:
            watch(run, self.draw, self.draw_last)

    def follow(self, run: AnyRun, close: Callable[[StatusSnapshot], None]) -> None:
        """Show this run from now on, whatever was shown before; `close` is called at its end."""
        with self._lock:
            self._run, self._view = run, ""

        def draw(status: StatusSnapshot) -> None:
            if self._run is run:
                self.draw(status)

        def end(status: StatusSnapshot) -> None:
            if self._run is run:
                self.draw_last(status)
                close(status)

        self.draw_last(run.status())
        watch(run, draw, end)

    def draw(self, status: StatusSnapshot) -> None:
        """Show the run as it is; call it as often as you like."""
        now = Clock.monotonic()
        if now - self._drawn >= TICK_SECONDS:
            self._drawn = now
            self.draw_last(status)

    def draw_last(self, status: StatusSnapshot) -> None:
        """Show the run as it is, however short ago it was shown."""
        with self._lock:
            if self._run is not None:
                self.snapshot = self._card(self._run, status)

    def _card(self, run: AnyRun, status: StatusSnapshot) -> dict[str, Any]:
        now = Clock.wall()
        if (view := view_of(status)) != self._view:
            self._view, self._since, self._charts_at = view, now, -math.inf
        if now - self._charts_at >= CHART_SECONDS:
            self._charts, self._charts_at = charts(status), now
        shown = card(
            status,
            now,
            total=self._total,
            asked=run.asked,
            since=self._since,
            holds_kernel=self._holds_kernel,
            retries=frozenset(self.retries),
            drawn=self._charts,
        )
        return {**shown, "code": line_of_code(run, "stop")}

    # --------------------------------------------------------------------- the page

    def _on_message(self, _widget: Any, content: Any, _buffers: Any) -> None:
        run = self._run
        match content:
            case {"do": "hello"}:
                self._holds_kernel = False  # whatever runs, the kernel hears us
            case _ if run is None:
                pass
            case {"do": "pause"}:
                run.pause()
            case {"do": "resume"}:
                run.resume()
            case {"do": "stop"}:
                run.stop()
            case {"do": "retry", "cause": str(cause)}:
                self._choose(run.status(), cause)
            case {"do": "limit", "name": str(name), "amount": amount}:
                _set_limit(run, name, amount)

    def _choose(self, status: StatusSnapshot, cause: str) -> None:
        """Ask the rows of a cause again at the end, or leave them after all."""
        if cause in status.failures:
            self.retries ^= {cause}
            self.draw_last(status)


def _set_limit(run: AnyRun, name: str, amount: Any) -> None:
    is_number = type(amount) in (int, float) and math.isfinite(amount) and amount > 0
    if amount is not None and not is_number:
        return
    match name:
        case "requests per minute":
            run.set_limits(max_requests_per_minute=amount)
        case "tokens per minute":
            run.set_limits(max_tokens_per_minute=amount)
        case "requests in flight":
            places = None if amount is None else max(1, int(amount))
            run.set_limits(max_concurrent_requests=places)


# ------------------------------------------------------------------------- on show


class Shown:
    """A run on show: its dashboard, the outputs it stands in, and what takes its place.

    Args:
        run: The run.
        total: Rows in all, where the run itself reads them lazily.
        holds_kernel: Whether the cell waits for the run and drives the dashboard.
    """

    def __init__(self, run: AnyRun, total: int | None = None, *, holds_kernel: bool) -> None:
        self._run = run
        self._total = total
        self._holds_kernel = holds_kernel
        self._lock = threading.Lock()
        self._places: list[Place] = []
        self._strip_place: Place | None = None
        self._is_closed = False
        self._dashboard = RunDashboard(run, total=total, holds_kernel=holds_kernel, ticks=False)
        self.place()
        _shown[run] = self
        if not holds_kernel:
            watch(run, self.draw, self.close)

    def place(self) -> bool:
        """Display the dashboard here as well; False where the run is already over."""
        with self._lock:
            if self._is_closed:
                return False
            text = receipt.line(self._run.status())
            self._places.append(Place(self._dashboard.bundle(text)))
            if not self._holds_kernel:
                # By the end another cell may run: the strip's place is taken now.
                self._strip_place = Place()
            return True

    def draw(self, status: StatusSnapshot, total: int | None = None) -> None:
        """Show how far the run is."""
        self._dashboard.draw(status)

    def close(self, status: StatusSnapshot, total: int | None = None) -> None:
        """Put the receipt in the dashboard's place, and the strip under it where rows failed."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        self._dashboard.draw_last(status)
        for place in self._places:
            place.put(receipt_bundle(status))
        self._dashboard.take_down()
        _shown.pop(self._run, None)
        # After a stop the next step is to run the cell again; the receipt says so. What ran on a
        # cluster can only be computed again.
        if self._run.can_retry and status.counts.num_tasks_failed and status.state == "finished":
            strip = show_strip(self._run, status, self._strip_place)
            if self._dashboard.retries:
                strip.ask_again(self._dashboard.retries)


def receipt_bundle(status: StatusSnapshot) -> Bundle:
    """Return the receipt of a run as HTML and as text."""
    ended = status.ended_at if status.ended_at is not None else Clock.wall()
    prices_of = _prices_of(status)
    return {
        "text/html": receipt.html(status, ended=ended, prices_of=prices_of),
        "text/plain": receipt.text(status, ended=ended, prices_of=prices_of),
    }


def _prices_of(status: StatusSnapshot) -> str:
    # The table takes long to read; where nothing was bought it was never needed.
    return _prices_date() if status.counts.usd else ""


@functools.cache
def _prices_date() -> str:
    return prices.prices_date()


_shown: dict[AnyRun, Shown] = {}
"""Runs on show until they are done; not longer, or their outcomes would never be freed."""


def can_show() -> bool:
    """Whether a kernel's front end may show widgets."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return hasattr(shell, "kernel")


def display_for(run: AnyRun, total: int | None = None) -> Shown | ShownBatch | None:
    """Show the dashboard of a run that a cell waits for; the factory for `progress.hang`.

    A batch run has a card of its own.

    Returns:
        What draws the run, or None where no widget can be shown.
    """
    if not can_show():
        return None
    if run.is_batch:
        return ShownBatch(run, holds_kernel=True)
    return Shown(run, total, holds_kernel=True)


def show(run: AnyRun) -> None:
    """Show a run where this is called: its dashboard, or its receipt when it is done."""
    if run.is_batch:
        if can_show():
            ShownBatch(run)
        else:
            print(repr(run))
    elif run.is_done:
        Place(receipt_bundle(run.status()))
    elif not can_show():
        print(receipt.line(run.status()))
    elif (shown := _shown.get(run)) is None:
        Shown(run, holds_kernel=False)
    elif not shown.place():  # it ended just now
        Place(receipt_bundle(run.status()))


def install(ipython: Any) -> None:
    """Let cells that wait show the dashboard, and a run that ends a cell show itself."""
    progress.hang(display_for)
    formatter = ipython.display_formatter.ipython_display_formatter
    formatter.for_type(RunHandle, show)


def uninstall(ipython: Any) -> None:
    """Undo `install`."""
    progress.hang(None)
    formatter = ipython.display_formatter.ipython_display_formatter
    formatter.type_printers.pop(RunHandle, None)
