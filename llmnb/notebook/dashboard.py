"""The run dashboard: one widget for a run, driven by a thread or by a waiting cell.

The engine does not know that notebooks exist: `install` registers the dashboard
where runs are waited for, and teaches IPython to show a run. At the end the
widget is closed, and a receipt that needs no script stands there instead.
"""

from __future__ import annotations

import math
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

from llmnb import progress
from llmnb.engine.handle import AnyRun, RunHandle
from llmnb.engine.status import Clock, StatusSnapshot
from llmnb.notebook import cell_runs, receipt
from llmnb.notebook.card import card, view_of
from llmnb.notebook.cell_runs import CellRuns, entry_of, receipt_bundle
from llmnb.notebook.charts import charts
from llmnb.notebook.failed_banner import show_banner
from llmnb.notebook.run_surface import RunSurface
from llmnb.notebook.surface import TICK_SECONDS, Bundle, OutputSlot, line_of_code, watch

CHART_SECONDS = 1.0
"""Charts are drawn anew no more often than this, and when the state changes."""


class RunDashboard(RunSurface):
    """A run's card: how far, how much, what went wrong, and why it is not faster.

    Its buttons and fields only call the run's own methods, which may be called
    from any thread: messages arrive on whichever thread the kernel chooses.

    It stands wherever ipywidgets do, and its traits (`state`, `done`, `total`, `failed`, `usd`,
    `run`) can be observed and linked from.

    Args:
        run: The run, as `start` returns it; None: nothing is seen before `follow`.
        total: Rows in all, where the run itself reads them lazily.
        holds_kernel: Whether a cell waits for the run, so that the kernel may not
            receive the buttons' messages. The card says so until one has arrived.
        ticks: Whether a thread keeps the card up to date until the run is done.

    Example:
        >>> import pandas as pd
        >>> import llmnb
        >>> df = pd.DataFrame({"text": ["one", "two"]})
        >>> run = df.llm.start("Say {text}", model="sim/any", progress=False)
        >>> run.wait()
        True
        >>> dashboard = RunDashboard(run)
        >>> dashboard.state, dashboard.done, dashboard.total, dashboard.failed
        ('finished', 2, 2, 0)
        >>> dashboard.close()
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
        if run is not None:
            self.publish(run, run.status(), total)
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
            if (run := self._run) is None:
                return
            self.snapshot = self._card(run, status)
        self.publish(run, status, self._total)

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
                self._holds_kernel = False  # whatever runs, messages arrive
            case _ if run is None:
                pass
            case {"do": "pause"}:
                run.pause()
            case {"do": "resume"}:
                run.resume()
            case {"do": "stop"}:
                run.stop()
            case {"do": "retry", "cause": str(cause)}:
                # Ask the rows of a cause again at the end, or leave them after all.
                if cause in (status := run.status()).failures:
                    self.retries ^= {cause}
                    self.draw_last(status)
            case {"do": "limit", "name": str(name), "amount": amount}:
                _set_limit(run, name, amount)


_LIMITS = {
    "requests per minute": "max_requests_per_minute",
    "tokens per minute": "max_tokens_per_minute",
    "requests in flight": "max_concurrent_requests",
}
"""Options of the card's fields."""


def _set_limit(run: AnyRun, name: str, amount: Any) -> None:
    is_number = type(amount) in (int, float) and math.isfinite(amount) and amount > 0
    option = _LIMITS.get(name)
    if option is None or not (amount is None or is_number):
        return
    if option == "max_concurrent_requests" and amount is not None:
        amount = max(1, int(amount))
    run.set_limits(**{option: amount})


# ------------------------------------------------------------------------- on show


class Shown:
    """A run on show: its dashboard, the outputs it stands in, and what is put there at its end.

    Args:
        run: The run.
        total: Rows in all, where the run itself reads them lazily.
        holds_kernel: Whether the cell waits for the run and drives the dashboard.
        slot: The output to show it in; None: one that is made here.
        banner_slot: The output for the banner of its failed rows.
        runs: The runs with which it shares a receipt; None: those of the cell.
    """

    def __init__(
        self,
        run: AnyRun,
        total: int | None = None,
        *,
        holds_kernel: bool = False,
        slot: OutputSlot | None = None,
        banner_slot: OutputSlot | None = None,
        runs: CellRuns | None = None,
    ) -> None:
        self._run = run
        self._runs = runs or cell_runs.present()
        self._holds_kernel = holds_kernel
        self._lock = threading.Lock()
        self._slots: list[OutputSlot] = []
        self._banner_slot = banner_slot
        self._is_closed = False
        self._dashboard = RunDashboard(run, total=total, holds_kernel=holds_kernel, ticks=False)
        self.display(slot)
        _shown[run] = self
        if not holds_kernel:
            watch(run, self.draw, self.close)

    def display(self, slot: OutputSlot | None = None) -> bool:
        """Display the dashboard here as well; False where the run is already over."""
        with self._lock:
            if self._is_closed:
                return False
            bundle = self._dashboard.bundle(receipt.line(self._run.status()))
            if slot is None:
                slot = OutputSlot(bundle)
                if not self._holds_kernel:
                    # By the end another cell may run: the banner's output is made now.
                    self._banner_slot = OutputSlot()
            else:
                slot.put(bundle)
            self._slots.append(slot)
            return True

    def draw(self, status: StatusSnapshot, total: int | None = None) -> None:
        """Show how far the run is."""
        self._dashboard.draw(status)

    def close(self, status: StatusSnapshot, total: int | None = None) -> None:
        """Put the receipt where the dashboard was, and the banner under it where rows failed."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        self._dashboard.draw_last(status)
        self._run.about.is_reported = True
        entry = entry_of(self._run, status, gives_code=self._runs.gives_code)
        self._runs.add(entry, self._slots)
        self._dashboard.take_down()
        _shown.pop(self._run, None)
        retries = self._dashboard.retries
        if self._runs.is_single or retries:
            self._runs.banner = show_banner(self._run, status, self._banner_slot, retries)


class ShownBatch:
    """A batch run's card in an output, static HTML that is put anew when something has changed.

    There is nothing to pause or to speed up in a batch that takes hours, so it has no
    widget: what a saved notebook shows is what stood there last.

    Args:
        run: The run.
        holds_kernel: Whether a cell waits for the run and says when to look.
    """

    def __init__(self, run: AnyRun, *, holds_kernel: bool = False) -> None:
        self._run = run
        self._seen = self._worth(run.status())
        self._slot = OutputSlot(self._bundle())
        if not holds_kernel and not run.is_done:
            watch(run, self.draw, self.close)

    def draw(self, status: StatusSnapshot, total: int | None = None) -> None:
        """Show how far the run is, where that is news."""
        if (worth := self._worth(status)) != self._seen:
            self._seen = worth
            self._slot.put(self._bundle())

    def close(self, status: StatusSnapshot, total: int | None = None) -> None:
        """Show how it ended."""
        self._slot.put(self._bundle())

    def _worth(self, status: StatusSnapshot) -> tuple[object, ...]:
        """Return what the card is put anew for; not for the clock."""
        return status.state, status.completed, status.waiting_on, status.cost_text

    def _bundle(self) -> Bundle:
        return {"text/html": self._run._repr_html_(), "text/plain": repr(self._run)}


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
        OutputSlot(receipt_bundle([entry_of(run, run.status())]))
    elif not can_show():
        print(receipt.line(run.status()))
    elif (shown := _shown.get(run)) is None:
        Shown(run)
    elif not shown.display():  # it ended just now
        OutputSlot(receipt_bundle([entry_of(run, run.status())]))


_begun_in: weakref.WeakKeyDictionary[AnyRun, object] = weakref.WeakKeyDictionary()
"""Cells that have shown a run when they started it."""


def show_begun(run: AnyRun) -> None:
    """Show a run in the cell that has just started it."""
    if can_show():
        _begun_in[run] = cell_runs.execution()
        show(run)


def show_value(run: AnyRun) -> None:
    """Show a run that is a cell's value, unless this cell shows it already."""
    if not can_show() or _begun_in.get(run) != cell_runs.execution():
        show(run)


def install(ipython: Any) -> None:
    """Let cells that wait for a run, start one or end with one show it."""
    progress.hang(display_for, show_begun)
    formatter = ipython.display_formatter.ipython_display_formatter
    formatter.for_type(RunHandle, show_value)
    ipython.events.register("post_run_cell", cell_runs.end_cell)


def uninstall(ipython: Any) -> None:
    """Undo `install`."""
    progress.hang(None)
    formatter = ipython.display_formatter.ipython_display_formatter
    formatter.type_printers.pop(RunHandle, None)
    ipython.events.unregister("post_run_cell", cell_runs.end_cell)
