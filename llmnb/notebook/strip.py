"""The live strip under a receipt: the rows that failed, and a button that asks them again."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from llmnb.display import durations, money
from llmnb.display.escape import html_text, visible
from llmnb.display.html_pieces import INERT
from llmnb.display.texts import counted, inside
from llmnb.engine.handle import AnyRun
from llmnb.engine.status import FailureCause, StatusSnapshot
from llmnb.notebook.card import CAUSES_SHOWN, cause_line
from llmnb.notebook.surface import Bundle, Place, Surface, line_of_code, watch
from llmnb.notebook.tally import tally


class FailedStrip(Surface):
    """The failed rows of a finished run: *Show* their causes, *Retry these*, all or one cause's.

    A retry runs in the background; the strip follows it. When every row has an
    answer the strip becomes a plain sentence, so that a saved notebook keeps it.

    Args:
        run: The run whose rows failed; None: nothing is seen before `appear`.
        status: Its end.
    """

    def __init__(self, run: AnyRun | None = None, status: StatusSnapshot | None = None) -> None:
        self._run = run
        self._retry: AnyRun | None = None
        self._lock = threading.Lock()
        self._place: Place | None = None
        self._failed = 0
        self._seconds = 0.0
        self._usd: float | None = 0.0
        super().__init__(snapshot={"kind": "strip"})
        if run is not None and status is not None:
            self.appear(run, status)
        self.on_msg(self._on_message)

    def appear(self, run: AnyRun, status: StatusSnapshot) -> None:
        """Show the failed rows of a run that is over."""
        self._run = run
        self._failed = tally(status).failed
        self._show(failed_card(status), run, "retry_failed")

    def _show(self, card: dict[str, Any], run: AnyRun | None, call: str) -> None:
        code = line_of_code(run, call) if run is not None else ""
        self.snapshot = {**card, "code": code}

    def display(self, place: Place | None = None) -> None:
        """Show the strip here, or in the place that was kept for it."""
        bundle = self.bundle(failed_text(self.snapshot))
        if place is None:
            self._place = Place(bundle)
        else:
            self._place = place
            place.put(bundle)

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
                causes = [one for one in causes if one in self._run.status().failures]
                if not causes:
                    return
            retry = self._retry = self._run.retry_failed(causes)
        self._draw(retry.status())
        watch(retry, self._draw, self._close)

    def _draw(self, status: StatusSnapshot) -> None:
        with self._lock:
            self._show(retrying_card(status), self._retry, "stop")

    def _close(self, status: StatusSnapshot) -> None:
        """Say how the retry ended: rows without an answer stay on the strip."""
        counts = status.counts
        self._seconds += status.seconds
        self._usd = None if self._usd is None or counts.num_unpriced else self._usd + counts.usd
        whole = status if self._run is None else self._run.status()
        if tally(whole).failed:
            with self._lock:
                self._show(failed_card(whole, again=True), self._retry, "retry_failed")
            return
        if self._place is None:  # it stands in somebody else's output, and stays there
            with self._lock:
                self.snapshot = answered_card(self._failed, self._seconds, self._usd)
            return
        self._place.put(answered_bundle(self._failed, self._seconds, self._usd))
        self.take_down()


def show_strip(run: AnyRun, status: StatusSnapshot, place: Place | None = None) -> FailedStrip:
    """Show the strip of a run whose rows failed."""
    strip = FailedStrip(run, status)
    strip.display(place)
    return strip


def failed_card(status: StatusSnapshot, *, again: bool = False) -> dict[str, Any]:
    """Return what the strip shows of rows that failed, and fail again after a retry."""
    number = tally(status).failed
    verb = ("still fails" if number == 1 else "still fail") if again else "failed"
    causes = status.causes[:CAUSES_SHOWN]
    # Where all rows failed for one cause, the strip's own button is its button.
    has_buttons = len(status.causes) > 1
    return {
        "kind": "strip",
        "glyph": "alert",
        "headline": f"{counted(number, 'row')} {verb}.",
        "rest": " · ".join(_short(one) for one in causes),
        "fails": [cause_line(one, _label(one.rows) if has_buttons else "") for one in causes],
        "can_retry": 1,
        "action": "retry",
        "label": _label(number, f" {number:,}"),
    }


def _label(rows: int, number: str = "") -> str:
    return f"Retry these{number}" if rows != 1 else "Retry this row"


def retrying_card(status: StatusSnapshot) -> dict[str, Any]:
    """Return what the strip shows while the rows are asked again."""
    rows = tally(status)
    done = f"{rows.good:,} answered"
    if rows.failed:
        done += f", {rows.failed:,} failed again"
    because = visible(status.waiting_on, longest=200)
    return {
        "kind": "strip",
        "glyph": "running",
        "headline": f"Asking {counted(rows.total or 0, 'row')} again.",
        "rest": f"{done} · {because}" if because else done,
        "fails": [],
        "can_retry": 0,
        "action": "" if status.state == "stopping" else "stop",
        "label": "Stop",
    }


def failed_text(shown: dict[str, Any]) -> str:
    """Return the strip as text; it names what the button does."""
    ways = shown.get("code") or "run this cell again"
    return f"{shown['headline']} {shown['rest']}\nRetry the failed rows: {ways}"


def answered_card(rows: int, seconds: float, usd: float | None) -> dict[str, Any]:
    """Return what the strip shows when every row has an answer."""
    headline, rest = _answered(rows, seconds, usd)
    return {
        "kind": "strip",
        "glyph": "check",
        "headline": f"{headline}.",
        "rest": rest,
        "fails": [],
        "can_retry": 0,
        "action": "",
        "label": "",
    }


def answered_bundle(rows: int, seconds: float, usd: float | None) -> Bundle:
    """Return the sentence that takes the strip's place when every row has an answer.

    Args:
        rows: Rows that had failed.
        seconds: How long it took to ask them again.
        usd: What that cost; None where the price is not known.
    """
    headline, rest = _answered(rows, seconds, usd)
    text = f"{headline}, {rest}"
    style = "font:12px/1.5 var(--jp-ui-font-family,system-ui,sans-serif);margin:0;opacity:.8"
    html = f'<p class="{INERT}" style="{style}">{html_text(text)}</p>'
    return {"text/plain": text, "text/html": html}


def _answered(rows: int, seconds: float, usd: float | None) -> tuple[str, str]:
    told = "The row that failed is" if rows == 1 else f"All {rows:,} rows that failed are"
    rest = (
        f"in {durations.span(seconds)} for {money.usd(usd)}: run the cell again, it has them all."
    )
    return f"{told} answered now", rest


def _short(one: FailureCause) -> str:
    return f"{one.rows:,} {inside(visible(one.words, longest=60))}"
