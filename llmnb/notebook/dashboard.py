"""The run dashboard: one widget for a run, driven by a thread or by a waiting cell.

The engine does not know that notebooks exist: `install` registers the dashboard
where runs are waited for, and teaches IPython to show a run. At the end the
widget stays where it is and becomes the receipt.
"""

from __future__ import annotations

import functools
import math
import threading
import weakref
from collections import deque
from typing import Any

import traitlets

from llmnb import progress, user_code
from llmnb.engine.handle import AnyRun, RunHandle
from llmnb.engine.status import Clock, StatusSnapshot
from llmnb.notebook import cell_runs, receipt
from llmnb.notebook.cell_runs import CellRuns, entry_of, receipt_bundle
from llmnb.notebook.facts import row_counts
from llmnb.notebook.run_part import RunPart
from llmnb.notebook.surface import Bundle, CardOutput, OutputSlot, Surface, capturing, joined, watch

STATIC_SECONDS = 2.0
"""What a saved notebook shows of a run is put anew no more often than this."""

STATES = ("planned", "running", "paused", "stopping", "stopped", "finished", "cancelled")
"""Of a run, with what comes before it, and instead of it."""

MAIN, FIRST = "", "first"
"""The parts of a card: its run, and the first rows of what was planned."""


class RunDashboard(Surface):
    """A run's card: how far, how much, what went wrong, and why it is not faster.

    It stays where it stands. When the run is over it becomes the receipt, and where rows failed
    a banner under that asks them again. Its buttons may be used from any page that shows it.

    It stands wherever ipywidgets do, and its traits (`state`, `done`, `total`, `failed`, `usd`,
    `run`) can be observed and linked from. They are read-only, change five times a second at most,
    and `state` changes last: when it becomes ``"finished"`` the other figures are the final ones
    and the run's result is there. Observers are called on a thread of llmnb's own. An error of
    theirs is logged, and the widget goes on.

    Args:
        run: The run, as `start` returns it; None: nothing is seen before `follow`.
        total: Rows in all, where the run itself reads them lazily.
        holds_kernel: Whether a cell waits for the run, so that the kernel may not
            receive the buttons' messages. The card says so until one has arrived.
        ticks: Whether a thread keeps the card up to date until the run is done.
        runs: The runs with which it shares a receipt; None: none.

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

    scripts = ("parts.js", "plan_card.js", "run_dashboard.js", "card.js")
    styles = ("tokens.css", "plan_card.css", "run_dashboard.css")

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

    def __init__(
        self,
        run: AnyRun | None = None,
        *,
        total: int | None = None,
        holds_kernel: bool = False,
        ticks: bool = True,
        runs: CellRuns | None = None,
    ) -> None:
        self._lock = threading.RLock()
        self._parts: dict[str, RunPart] = {}
        self._runs: dict[str, CellRuns] = {}
        self._outputs: list[CardOutput] = []
        self._renewed = -math.inf
        if run is not None:
            self._add(MAIN, run, runs, total=total, holds_kernel=holds_kernel)
        super().__init__(snapshot=self._composed())
        self.on_msg(self._on_message)
        if run is not None:
            self._publish(run.status(), run)
            if run.is_done:
                self.end(run.status())
            elif ticks:
                watch(run, self.draw, self.end)

    def _add(self, name: str, run: AnyRun, runs: CellRuns | None, **options: Any) -> None:
        on_receipt = functools.partial(self._on_receipt, name)
        self._parts[name] = RunPart(run, self._on_failed_rows, on_receipt, **options)
        self._runs[name] = runs or CellRuns()

    def follow(self, run: AnyRun) -> None:
        """Show this run from now on, whatever was shown before."""
        self._follow(MAIN, run)

    def _follow(self, name: str, run: AnyRun, runs: CellRuns | None = None) -> None:
        with self._lock:
            self._add(name, run, runs)
            part = self._parts[name]
        self._show()
        self._renew_outputs()
        if name == MAIN:
            self._publish(run.status(), run)
        if run.is_done:
            self.end(run.status(), name)
            return

        def draw(status: StatusSnapshot) -> None:
            if self._parts.get(name) is part:
                self.draw(status, name)

        def end(status: StatusSnapshot) -> None:
            if self._parts.get(name) is part:
                self.end(status, name)

        watch(run, draw, end)

    def draw(self, status: StatusSnapshot, name: str = MAIN) -> None:
        """Show the run as it is; call it as often as you like."""
        if self._parts[name].is_due():
            self.draw_last(status, name)

    def draw_last(self, status: StatusSnapshot, name: str = MAIN) -> None:
        """Show the run as it is, however short ago it was shown."""
        with self._lock:
            part = self._parts[name]
            view = part.shown.get("view")
            part.draw(status)
            is_news = part.shown.get("view") != view
            self._show()
        # The end is told once the receipt stands there, and the failed rows can be asked again.
        if name == MAIN and status.state not in ("finished", "stopped"):
            self._publish(status)
        if is_news or Clock.monotonic() - self._renewed >= STATIC_SECONDS:
            self._renew_outputs()

    def end(self, status: StatusSnapshot, name: str = MAIN) -> None:
        """Show how the run ended: its receipt, and the banner of what failed."""
        part, runs = self._parts[name], self._runs[name]
        with self._lock:
            if part.is_over:
                return
            run = part.end(status)
        if run is not None:
            run.about.is_reported = True
            # A card that is a part of somebody's page stands beside what is made of its result.
            gives_code = runs.gives_code and bool(self._outputs)
            entry = entry_of(run, status, gives_code=gives_code)
            runs.add(entry, part)
            part.offer(status, is_single=runs.is_single)
        self._show()
        self._renew_outputs()
        if name == MAIN:
            self._publish(status)

    def _on_receipt(self, name: str) -> None:
        self._show()
        self._send_receipt(name)
        self._renew_outputs()

    def _on_failed_rows(self) -> None:
        with self._lock:
            self._show()
            is_over = not any(part.has_buttons for part in self._parts.values())
        if is_over:
            self._renew_outputs()
            if self.run is not None:  # what a retry has answered has failed no more
                self._publish(self.run.status())

    def _composed(self) -> dict[str, Any]:
        """Return the whole of what the page shows."""
        shown = self._first_shown()
        if (main := self._parts.get(MAIN)) is not None:
            shown = {"kind": "run", **main.shown}
        if (first := self._parts.get(FIRST)) is not None:
            region = first.shown["region"].replace("Run of", "First rows of", 1)
            shown = {**shown, "first": {**first.shown, "region": region}}
        return shown

    def _first_shown(self) -> dict[str, Any]:
        """Return what is shown before there is a run."""
        return {}

    def _show(self) -> None:
        with self._lock:
            self.snapshot = self._composed()

    def _publish(self, status: StatusSnapshot, run: AnyRun | None = None) -> None:
        """Set the traits to how the run is."""
        run = self.run if run is None else run
        if run is None:
            return
        rows = row_counts(status)
        self.set_traits_safely(
            run=run,
            done=rows.completed,
            total=self._parts[MAIN].total if rows.total is None else rows.total,
            failed=rows.failed,
            usd=status.counts.shown().usd,
            state=status.state,
        )

    # --------------------------------------------------------------------- the page

    def _on_message(self, _widget: Any, content: Any, _buffers: Any) -> None:
        match content:
            case {"do": "hello"}:
                for name, part in list(self._parts.items()):
                    part.holds_kernel = False  # whatever runs, messages arrive
                    self._send_receipt(name)
            case {"do": str(), "at": str(name)} if name in self._parts:
                self._act(name, content)
            case {"do": str()} if "at" not in content and MAIN in self._parts:
                self._act(MAIN, content)

    def _act(self, name: str, content: Any) -> None:
        message = self._parts[name].act(content)
        self._show()
        if message is not None:
            self.send({**message, "at": name})

    def _send_receipt(self, name: str) -> None:
        """Give the page the receipt: as a message, so that no state of a widget holds it."""
        if (bundle := self._parts[name].receipt) is not None:
            self.send({"kind": "receipt", "at": name, "html": bundle["text/html"]})

    # ---------------------------------------------------------------------- displays

    @property
    def is_final(self) -> bool:
        """Whether nothing else will stand here any more, but for the answers of failed rows."""
        main = self._parts.get(MAIN)
        return main is not None and main.is_over

    def static(self) -> Bundle:
        """Return what a saved notebook shows of the card, as HTML and as text."""
        return joined(self._parts[name].static for name in (MAIN, FIRST) if name in self._parts)

    def _ipython_display_(self) -> None:
        output = CardOutput(self.bundle, self.static())
        with self._lock:
            self._outputs.append(output)
        if self.is_final:
            self._renew_outputs()

    def _renew_outputs(self) -> None:
        self._renewed = Clock.monotonic()
        with self._lock:
            static, is_final = self.static(), self.is_final
            is_live = any(part.has_buttons for part in self._parts.values())
            outputs = list(self._outputs)
        for output in outputs:
            if is_final:
                output.finish(static, is_live=is_live)
            else:
                output.renew(static)

    def let_go(self) -> None:
        """Hold the run no longer, and keep no more than the receipt."""
        self.set_traits_safely(run=None)


# ------------------------------------------------------------------------- on show


CARDS_KEPT = 64
"""Cards of finished runs that stay open: whoever opens the notebook again sees them."""


class Shown:
    """A run on show: its dashboard, and the outputs it stands in.

    Args:
        run: The run.
        holds_kernel: Whether the cell waits for the run and drives the dashboard.
    """

    def __init__(self, run: AnyRun, *, holds_kernel: bool = False) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._is_closed = False
        self._dashboard = RunDashboard(
            run, holds_kernel=holds_kernel, ticks=False, runs=cell_runs.present()
        )
        self.display()
        _shown[run] = self
        if not holds_kernel:
            watch(run, self.draw, self.close)

    def display(self) -> bool:
        """Display the dashboard here as well; False where the run is already over."""
        with self._lock:
            if not self._is_closed:
                self._dashboard._ipython_display_()
            return not self._is_closed

    def draw(self, status: StatusSnapshot) -> None:
        """Show how far the run is."""
        self._dashboard.draw(status)

    def close(self, status: StatusSnapshot) -> None:
        """Let the dashboard become the receipt."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        self._dashboard.end(status)
        self._dashboard.let_go()
        _shown.pop(self._run, None)
        _over.append(self._dashboard)
        while len(_over) > CARDS_KEPT:
            _over.popleft().close()


class ShownBatch:
    """A batch run's card in an output, static HTML that is put anew when something has changed.

    There is nothing to pause or to speed up in a batch that takes hours, so it has no
    widget: what a saved notebook shows is what stood there last. In an `Output`, which cannot
    put an output anew, a `RunDashboard` shows the same.

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

    def draw(self, status: StatusSnapshot) -> None:
        """Show how far the run is, where that is news."""
        if (worth := self._worth(status)) != self._seen:
            self._seen = worth
            self._slot.put(self._bundle())

    def close(self, status: StatusSnapshot) -> None:
        """Show how it ended."""
        self._slot.put(self._bundle())

    def _worth(self, status: StatusSnapshot) -> tuple[object, ...]:
        """Return what the card is put anew for; not for the clock."""
        return status.state, status.completed, status.waiting_on, status.cost_text

    def _bundle(self) -> Bundle:
        return {"text/html": self._run._repr_html_(), "text/plain": repr(self._run)}


_shown: dict[AnyRun, Shown] = {}
"""Runs on show until they are done; not longer, or their outcomes would never be freed."""

_over: deque[RunDashboard] = deque()
"""Cards of runs that are over."""


def can_show() -> bool:
    """Whether a kernel's front end may show widgets."""
    return hasattr(user_code.shell(), "kernel")


def display_for(run: AnyRun) -> Shown | ShownBatch | None:
    """Show the dashboard of a run that a cell waits for; the factory for `progress.use_display`.

    A batch run has a card of its own.

    Returns:
        What draws the run, or None where no widget can be shown.
    """
    if not can_show():
        return None
    if run.is_batch and not capturing():
        return ShownBatch(run, holds_kernel=True)
    return Shown(run, holds_kernel=True)


def show(run: AnyRun) -> None:
    """Show a run where this is called: its dashboard, or its receipt when it is done."""
    if run.is_batch and not capturing():
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
    progress.use_display(display_for, show_begun)
    formatter = ipython.display_formatter.ipython_display_formatter
    formatter.for_type(RunHandle, show_value)
    ipython.events.register("post_run_cell", cell_runs.end_cell)


def uninstall(ipython: Any) -> None:
    """Undo `install`."""
    progress.use_display(None)
    formatter = ipython.display_formatter.ipython_display_formatter
    formatter.type_printers.pop(RunHandle, None)
    if cell_runs.end_cell in ipython.events.callbacks["post_run_cell"]:
        ipython.events.unregister("post_run_cell", cell_runs.end_cell)
