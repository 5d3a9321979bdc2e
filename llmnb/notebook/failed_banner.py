"""The live banner under a receipt: the rows that failed, and a button that asks them again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from llmnb.display import durations
from llmnb.display.escape import html_text, visible
from llmnb.display.html_fragments import box, note
from llmnb.display.texts import counted
from llmnb.engine.handle import AnyRun
from llmnb.engine.status import StatusSnapshot, StatusTracker
from llmnb.notebook import facts
from llmnb.notebook.card import CAUSES_SHOWN, cause_row
from llmnb.notebook.surface import Bundle, line_of_code, watch

_BLANK: dict[str, Any] = {"fails": [], "can_retry": 0, "action": "", "label": ""}


class FailedRows:
    """The failed rows of a finished run on its card: they can be asked again, all or one cause's.

    A retry runs in the background, and the card follows it, a cell's as well as a button's.

    Args:
        run: The run whose rows failed.
        status: Its end.
        show: Called when there is something else to show, on any thread.
        renew: Called when a retry is over.
    """

    def __init__(
        self,
        run: AnyRun,
        status: StatusSnapshot,
        show: Callable[[], None],
        renew: Callable[[], None],
    ) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._show = show
        self._renew = renew
        self._failed = facts.row_counts(status).failed
        self._seconds = 0.0
        self._counts = StatusTracker()
        self.retry: AnyRun | None = None
        """The run that asked them again last."""

        self.answered: Bundle | None = None
        """A sentence once every row has its answer."""

        self.shown = {**failed_card(status), "code": line_of_code(run, "retry_failed")}
        """The banner."""

        run.on_retry(self._follow)

    def ask_again(self, causes: Iterable[str] | None = None) -> None:
        """Ask failed rows again in the background, and follow that.

        Args:
            causes: Those that failed for these; None: all.
        """
        with self._lock:
            if self.retry is not None and not self.retry.is_done:
                return  # a second click
            if causes is not None:
                # Rows may have been answered meanwhile, by a cell that asked them again.
                causes = [cause for cause in causes if cause in self._run.status().failures]
            if causes != []:
                self._run.retry_failed(causes)

    def _follow(self, retry: AnyRun) -> None:
        """Follow a retry, which a button or a cell began."""

        def draw(status: StatusSnapshot) -> None:
            self.shown = {**retrying_card(status), "code": line_of_code(retry, "stop")}
            self._show()

        self.retry = retry
        draw(retry.status())
        watch(retry, draw, self._end)

    def _end(self, status: StatusSnapshot) -> None:
        """Say how the retry ended: rows without an answer stay on the banner."""
        assert self.retry is not None
        self._seconds += status.seconds
        self._counts = StatusTracker.sum([self._counts, status.counts])
        whole = self._run.status()
        if facts.row_counts(whole).failed:
            code = line_of_code(self.retry, "retry_failed")
            self.shown = {**failed_card(whole, again=True), "code": code}
        else:
            rows = f"All {self._failed:,} rows that failed are"
            headline = f"{'The row that failed is' if self._failed == 1 else rows} answered now"
            cost, code = facts.cost(self._counts), line_of_code(self.retry, "result")
            rest = f"in {durations.span(self._seconds)} for {cost}: run the cell again, it has all."
            html = html_text(f"{headline}, {rest}")
            if code:
                html += f" Or: <code>{html_text(code)}</code>"
                rest += f" Or: {code}"
            self.answered = {"text/html": box(note(html)), "text/plain": f"{headline}, {rest}"}
            self.shown = {**_BLANK, "glyph": "check", "headline": f"{headline}.", "rest": rest}
        self._renew()


def can_ask_again(run: AnyRun, status: StatusSnapshot) -> bool:
    """Whether rows of a run that is over failed, and can be asked again from here.

    After a stop the next step is to run the cell again; the receipt says so. What ran on a
    cluster can only be computed again.
    """
    return bool(run.can_retry and status.counts.num_tasks_failed and status.state == "finished")


def failed_card(status: StatusSnapshot, *, again: bool = False) -> dict[str, Any]:
    """Return what the banner shows of rows that failed, and fail again after a retry."""
    number = facts.row_counts(status).failed
    verb = ("still fails" if number == 1 else "still fail") if again else "failed"
    causes = status.causes[:CAUSES_SHOWN]
    # Where all rows failed for one cause, the banner's own button is its button.
    has_buttons = len(status.causes) > 1
    # What failed at first, the receipt above has said.
    again_for = " · ".join(" ".join(facts.cause_cells(cause)[:2]) for cause in causes)
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
    rows = facts.row_counts(status)
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
