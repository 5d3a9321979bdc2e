"""The run dashboard: one widget for a run, driven by a thread or by a waiting cell.

The engine does not know that notebooks exist: `install` registers the dashboard
where runs are waited for, and teaches IPython to show a run. At the end the
widget stays where it is and becomes the receipt.
"""

from __future__ import annotations

import functools
import math
import numbers
import threading
import weakref
from collections import deque
from collections.abc import Mapping
from typing import Any

import traitlets

from llmnb import progress, user_code
from llmnb.engine.handle import AnyRun, RunHandle
from llmnb.engine.status import Clock, StatusSnapshot
from llmnb.notebook.facts import row_counts
from llmnb.notebook.run_part import CellRuns, RunPart, entry_of, receipt_bundle
from llmnb.notebook.surface import (
    Bundle,
    OutputSlot,
    Surface,
    capturing,
    joined,
    message_header,
    page_of,
    watch,
)

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

    _planned: Mapping[str, Any] = {}
    """What is shown before there is a run."""

    def __init__(
        self,
        run: AnyRun | None = None,
        *,
        holds_kernel: bool = False,
        ticks: bool = True,
        runs: CellRuns | None = None,
    ) -> None:
        self._lock = threading.RLock()
        self._parts: dict[str, RunPart] = {}
        self._renewed = -math.inf
        super().__init__(snapshot=self._composed())
        self.on_msg(self._on_message)
        if run is not None:
            self.follow(run, runs=runs, holds_kernel=holds_kernel, ticks=ticks)

    def follow(
        self,
        run: AnyRun,
        name: str = MAIN,
        runs: CellRuns | None = None,
        *,
        holds_kernel: bool = False,
        ticks: bool = True,
    ) -> None:
        """Show this run from now on, whatever was shown before.

        Args:
            run: The run.
            name: The part of the card that shows it.
            runs: The runs with which it shares a receipt; None: none.
            holds_kernel: Whether a cell waits for the run.
            ticks: Whether a thread keeps the card up to date until the run is done.
        """
        with self._lock:
            part = self._parts[name] = RunPart(
                run, runs or CellRuns(), self._show, self._renew, holds_kernel=holds_kernel
            )
        self._renew(part)
        self._publish(part, run.status(), run)
        if run.is_done:
            self._end(part, run.status())
        elif ticks:
            watch(run, functools.partial(self._draw, part), functools.partial(self._end, part))

    def draw(self, status: StatusSnapshot) -> None:
        """Show the run as it is."""
        self._draw(self._parts[MAIN], status)

    def end(self, status: StatusSnapshot) -> None:
        """Show how the run ended: its receipt, and the banner of what failed."""
        self._end(self._parts[MAIN], status)

    def _draw(self, part: RunPart, status: StatusSnapshot) -> None:
        with self._lock:
            if part not in self._parts.values():
                return  # another run is followed by now
            view = part.shown.get("view")
            part.draw(status)
            is_news = part.shown.get("view") != view
            self._show()
        # The end is told once the receipt stands there, and the failed rows can be asked again.
        if status.state not in ("finished", "stopped"):
            self._publish(part, status)
        if is_news or Clock.monotonic() - self._renewed >= STATIC_SECONDS:
            self.renew()

    def _end(self, part: RunPart, status: StatusSnapshot) -> None:
        with self._lock:
            if part not in self._parts.values() or (run := part.run) is None:
                return
            # A card that is a part of somebody's page stands beside what is made of its result.
            part.end(status, has_output=bool(self._outputs))
        if _shown.get(run) is self:
            del _shown[run]
            self.set_traits_safely(run=None)
            _over.append(self)
            while len(_over) > CARDS_KEPT:
                _over.popleft().close()

    def _composed(self) -> dict[str, Any]:
        """Return the whole of what the page shows."""
        shown = dict(self._planned)
        if (main := self._parts.get(MAIN)) is not None:
            shown = {"kind": "run", **main.shown}
        if (first := self._parts.get(FIRST)) is not None:
            region = first.shown["region"].replace("Run of", "First rows of", 1)
            shown["first"] = {**first.shown, "region": region}
        return shown

    def _show(self) -> None:
        with self._lock:
            self.snapshot = self._composed()

    def _renew(self, part: RunPart) -> None:
        """Show a part that has another receipt, on the page and in a saved notebook."""
        self._show()
        self._send_receipts()
        self.renew()
        if part.is_over and self.run is not None:
            self._publish(part, self.run.status())

    def _publish(self, part: RunPart, status: StatusSnapshot, run: AnyRun | None = None) -> None:
        """Set the traits to how the run is."""
        run = self.run if run is None else run
        if run is None or part is not self._parts.get(MAIN):
            return
        rows = row_counts(status)
        self.set_traits_safely(
            run=run,
            done=rows.completed,
            total=rows.total,
            failed=rows.failed,
            usd=status.counts.shown().usd,
            state=status.state,
        )

    # --------------------------------------------------------------------- the page

    def _on_message(self, _widget: Any, content: Any, _buffers: Any) -> None:
        match content:
            case {"do": "hello"}:
                for part in list(self._parts.values()):
                    part.holds_kernel = False  # whatever runs, messages arrive
                self._send_receipts()
            case {"do": str()}:
                name = str(content.get("at", MAIN))
                if (acting := self._parts.get(name)) is not None:
                    message = acting.act(content)
                    self._show()
                    if message is not None:
                        self.send({**message, "at": name})

    def _send_receipts(self) -> None:
        """Give the page the receipts: as messages, so that no state of a widget holds them."""
        for name, part in list(self._parts.items()):
            if (bundle := part.receipt) is not None:
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
        super()._ipython_display_()
        if self.is_final:
            self.renew()

    def renew(self) -> None:
        """Put the static form anew; once all is over it stays for good."""
        self._renewed = Clock.monotonic()
        if not self.is_final:
            super().renew()
            return
        with self._lock:
            static = self.static()
            is_live = any(part.has_buttons for part in self._parts.values())
        for output in list(self._outputs):
            output.finish(static, is_live=is_live)


# ------------------------------------------------------------------------- on show


CARDS_KEPT = 64
"""Cards of finished runs that stay open: whoever opens the notebook again sees them."""

_shown: dict[AnyRun, RunDashboard] = {}
"""Cards that cells show, until their runs are done; not longer, or no outcome would be freed."""

_over: deque[RunDashboard] = deque()
"""Those whose runs are over."""


def can_show() -> bool:
    """Whether a kernel's front end may show widgets."""
    return hasattr(user_code.shell(), "kernel")


def show_card(run: AnyRun, *, holds_kernel: bool = False) -> RunDashboard:
    """Show the card of a run in the cell that goes on.

    Args:
        run: The run.
        holds_kernel: Whether the cell waits for the run and drives the card.
    """
    card = _shown[run] = RunDashboard()
    runs = present()
    card.follow(run, runs=runs, holds_kernel=holds_kernel, ticks=not holds_kernel)
    card._ipython_display_()
    return card


def display_for(run: AnyRun) -> RunDashboard | None:
    """Show the card of a run that a cell waits for; the factory for `progress.use_display`.

    Returns:
        What draws the run, or None where no widget can be shown.
    """
    return show_card(run, holds_kernel=True) if can_show() else None


def show(run: AnyRun) -> None:
    """Show a run where this is called: its card, or its receipt when it is done."""
    if run.is_done:
        entries = [entry_of(run, run.status())]
        OutputSlot(page_of(run) if run.is_batch else receipt_bundle(entries))
    elif not can_show():
        print(repr(run))
    elif (card := _shown.get(run)) is None:
        show_card(run)
    else:
        card._ipython_display_()


# ------------------------------------------------------------------- the present cell

_present: tuple[tuple[object, ...], CellRuns] | None = None
"""What the latest execution is known by, and its runs."""


def present() -> CellRuns:
    """Return the runs of the execution that goes on."""
    global _present
    name = execution()
    if _present is None or _present[0] != name:
        _present = name, CellRuns()
    return _present[1]


def execution() -> tuple[object, ...]:
    """Return what tells this execution of a cell, or of a click's callback, from any other."""
    shell, header = user_code.shell(), message_header()
    if shell is None:
        return (object(),)
    # A second client of the same kernel may count its messages from the first again.
    return header.get("msg_id"), header.get("date"), shell.execution_count, capturing()


_begun_in: weakref.WeakKeyDictionary[AnyRun, object] = weakref.WeakKeyDictionary()
"""Cells that have shown a run when they started it."""


def show_begun(run: AnyRun) -> None:
    """Show a run in the cell that has just started it."""
    if can_show():
        _begun_in[run] = execution()
        show(run)


def show_value(run: AnyRun) -> None:
    """Show a run that is a cell's value, unless this cell shows it already."""
    if not can_show() or _begun_in.get(run) != execution():
        show(run)


def end_cell(result: Any) -> None:
    """Look at what a cell shows itself; registered with IPython for the end of each.

    Args:
        result: IPython's own account of the cell.
    """
    if _present is not None and _present[0][:2] == execution()[:2]:
        shell, value = user_code.shell(), result.result
        is_quiet = shell is None or shell.displayhook.quiet()
        # Anything may show answers but a number, or the run itself.
        has_answers = value is not None and not isinstance(value, numbers.Number | RunHandle)
        _present[1].end_cell(shows_result=has_answers and not is_quiet)


def install(ipython: Any) -> None:
    """Let cells that wait for a run, start one or end with one show it."""
    progress.use_display(display_for, show_begun)
    formatter = ipython.display_formatter.ipython_display_formatter
    formatter.for_type(RunHandle, show_value)
    ipython.events.register("post_run_cell", end_cell)


def uninstall(ipython: Any) -> None:
    """Undo `install`."""
    progress.use_display(None)
    formatter = ipython.display_formatter.ipython_display_formatter
    formatter.type_printers.pop(RunHandle, None)
    if end_cell in ipython.events.callbacks["post_run_cell"]:
        ipython.events.unregister("post_run_cell", end_cell)
