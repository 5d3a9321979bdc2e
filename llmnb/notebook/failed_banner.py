"""The live banner under a receipt: the rows that failed, and a button that asks them again."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from llmnb.display import durations, money
from llmnb.display.escape import html_text, visible
from llmnb.display.html_fragments import INERT
from llmnb.display.texts import counted
from llmnb.engine.handle import AnyRun
from llmnb.engine.status import StatusSnapshot, StatusTracker
from llmnb.notebook.card import CAUSES_SHOWN, cause_row
from llmnb.notebook.facts import cause_cells, row_counts
from llmnb.notebook.surface import BLANK, Bundle, OutputSlot, Surface, line_of_code, watch

_BLANK = {"kind": "banner", "fails": [], "can_retry": 0, "action": "", "label": ""}


class FailedBanner(Surface):
    """The failed rows of a finished run: *Show* their causes, *Retry these*, all or one cause's.

    A retry runs in the background; the banner follows it. When every row has an
    answer the banner becomes a plain sentence, so that a saved notebook keeps it.

    Args:
        run: The run whose rows failed; None: nothing is seen before `appear`.
        status: Its end.
    """

    def __init__(self, run: AnyRun | None = None, status: StatusSnapshot | None = None) -> None:
        self._run = run
        self._retry: AnyRun | None = None
        self._lock = threading.Lock()
        self._slot: OutputSlot | None = None
        self._failed = 0
        self._seconds = 0.0
        self._counts = StatusTracker()
        super().__init__(snapshot={"kind": "banner"})
        if run is not None and status is not None:
            self.appear(run, status)
        self.on_msg(self._on_message)

    def appear(self, run: AnyRun, status: StatusSnapshot) -> None:
        """Show the failed rows of a run that is over."""
        self._run = run
        self._failed = row_counts(status).failed
        self._show(failed_card(status), run, "retry_failed")

    def _show(self, card: dict[str, Any], run: AnyRun | None, call: str) -> None:
        code = line_of_code(run, call) if run is not None else ""
        self.snapshot = {**card, "code": code}

    def display(self, slot: OutputSlot | None = None) -> None:
        """Show the banner here, or in the output that was kept for it."""
        shown = self.snapshot
        todo = shown.get("code") or "run this cell again"
        text = f"{shown['headline']} {shown['rest']}\nRetry the failed rows: {todo}"
        if slot is None:
            self._slot = OutputSlot(self.bundle(text))
        else:
            self._slot = slot
            slot.put(self.bundle(text))

    def withdraw(self) -> None:
        """Take the banner away, unless a retry was asked for."""
        with self._lock:
            if self._retry is not None or self._slot is None:
                return
        self._slot.put(BLANK)
        self.take_down()

    def _on_message(self, _widget: Any, content: Any, _buffers: Any) -> None:
        match content:
            case {"do": "retry", "cause": str(cause)}:
                self.ask_again([cause])
            case {"do": "retry"}:
                self.ask_again()
            case {"do": "stop"} if self._retry is not None:
                self._retry.stop()

    def ask_again(self, causes: Iterable[str] | None = None) -> None:
        """Ask failed rows again in the background, and follow that.

        Args:
            causes: Those that failed for these; None: all.
        """
        with self._lock:
            if self._run is None or (self._retry is not None and not self._retry.is_done):
                return  # a second click
            if causes is not None:
                # Rows may have been answered meanwhile, by a cell that asked them again.
                causes = [cause for cause in causes if cause in self._run.status().failures]
                if not causes:
                    return
            retry = self._retry = self._run.retry_failed(causes)
        self._draw(retry.status())
        watch(retry, self._draw, self._close)

    def _draw(self, status: StatusSnapshot) -> None:
        with self._lock:
            self._show(retrying_card(status), self._retry, "stop")

    def _close(self, status: StatusSnapshot) -> None:
        """Say how the retry ended: rows without an answer stay on the banner."""
        self._seconds += status.seconds
        self._counts = StatusTracker.sum([self._counts, status.counts])
        whole = status if self._run is None else self._run.status()
        if row_counts(whole).failed:
            with self._lock:
                self._show(failed_card(whole, again=True), self._retry, "retry_failed")
            return
        rows = f"All {self._failed:,} rows that failed are"
        headline = f"{'The row that failed is' if self._failed == 1 else rows} answered now"
        counts = self._counts.shown()
        cost = money.usd(None if counts.num_unpriced else counts.usd)
        rest = (
            f"in {durations.span(self._seconds)} for {cost}: run the cell again, it has them all."
        )
        code = "" if self._retry is None else line_of_code(self._retry, "result")
        if self._slot is None:  # it stands in somebody else's output, and stays there
            with self._lock:
                self.snapshot = {
                    **_BLANK,
                    "glyph": "check",
                    "headline": f"{headline}.",
                    "rest": f"{rest} Or: {code}" if code else rest,
                }
            return
        self._slot.put(_sentence(f"{headline}, {rest}", code))
        self.take_down()


def _sentence(text: str, code: str) -> Bundle:
    """Return what takes the banner's place when every row has an answer, with code for them."""
    style = "font:12px/1.5 var(--jp-ui-font-family,system-ui,sans-serif);margin:0;opacity:.8"
    more = f" Or: <code>{html_text(code)}</code>" if code else ""
    html = f'<p class="{INERT}" style="{style}">{html_text(text)}{more}</p>'
    text = f"{text} Or: {code}" if code else text
    return {"text/plain": text, "text/html": html}


def show_banner(
    run: AnyRun, status: StatusSnapshot, slot: OutputSlot | None, retries: Iterable[str]
) -> FailedBanner | None:
    """Show the banner where rows of a finished run failed, and ask those of some causes again.

    After a stop there is none: the next step is to run the cell again; the receipt says so. What
    ran on a cluster can only be computed again.
    """
    if not (run.can_retry and status.counts.num_tasks_failed and status.state == "finished"):
        return None
    banner = FailedBanner(run, status)
    banner.display(slot)
    if retries:
        banner.ask_again(retries)
    return banner


def failed_card(status: StatusSnapshot, *, again: bool = False) -> dict[str, Any]:
    """Return what the banner shows of rows that failed, and fail again after a retry."""
    number = row_counts(status).failed
    verb = ("still fails" if number == 1 else "still fail") if again else "failed"
    causes = status.causes[:CAUSES_SHOWN]
    # Where all rows failed for one cause, the banner's own button is its button.
    has_buttons = len(status.causes) > 1
    # What failed at first, the receipt above has said.
    again_for = " · ".join(" ".join(cause_cells(cause)[:2]) for cause in causes)
    return {
        **_BLANK,
        "glyph": "alert",
        "headline": f"{counted(number, 'row')} {verb}.",
        "rest": again_for if again else f"A retry asks only {'this' if number == 1 else 'these'}.",
        "fails": [cause_row(cause, _label(cause.rows) if has_buttons else "") for cause in causes],
        "can_retry": 1,
        "action": "retry",
        "label": _label(number, f" {number:,}"),
    }


def _label(rows: int, number: str = "") -> str:
    return f"Retry these{number}" if rows != 1 else "Retry this row"


def retrying_card(status: StatusSnapshot) -> dict[str, Any]:
    """Return what the banner shows while the rows are asked again."""
    rows = row_counts(status)
    done = f"{rows.good:,} answered"
    if rows.failed:
        done += f", {rows.failed:,} failed again"
    because = visible(status.waiting_on, longest=200)
    return {
        **_BLANK,
        "glyph": "running",
        "headline": f"Asking {counted(rows.total or 0, 'row')} again.",
        "rest": f"{done} · {because}" if because else done,
        "action": "" if status.state == "stopping" else "stop",
        "label": "Stop",
    }
