"""The live strip under a receipt: the rows that failed, and a button that asks them again."""

from __future__ import annotations

import threading
from typing import Any

from llmnb.engine.run import Run
from llmnb.engine.status import FailureCause, StatusSnapshot
from llmnb.notebook import words
from llmnb.notebook.card import CAUSES_SHOWN, cause_line
from llmnb.notebook.surface import Bundle, Place, Surface, watch
from llmnb.notebook.tally import tally


class FailedStrip(Surface):
    """The failed rows of a finished run: *Show* their causes, *Retry these*.

    A retry runs in the background; the strip follows it. When every row has an
    answer the strip becomes a plain sentence, so that a saved notebook keeps it.

    Args:
        run: The run whose rows failed.
        status: Its end.
    """

    def __init__(self, run: Run, status: StatusSnapshot) -> None:
        self._run = run
        self._retry: Run | None = None
        self._lock = threading.Lock()
        self._place: Place | None = None
        super().__init__(snapshot=failed_card(status))
        self.on_msg(self._on_message)

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
            case {"do": "retry"}:
                self.ask_again()
            case {"do": "stop"} if self._retry is not None:
                self._retry.stop()

    def ask_again(self) -> None:
        """Ask the failed rows again in the background, and follow that."""
        with self._lock:
            if self._retry is not None and not self._retry.is_done:
                return  # a second click
            retry = self._retry = self._run.retry_failed()
        self._draw(retry.status())
        watch(retry, self._draw, self._close)

    def _draw(self, status: StatusSnapshot) -> None:
        with self._lock:
            self.snapshot = retrying_card(status)

    def _close(self, status: StatusSnapshot) -> None:
        """Say how the retry ended: rows that fail again stay on the strip."""
        rows = tally(status)
        if rows.failed or rows.not_sent:
            with self._lock:
                self.snapshot = failed_card(status, again=True)
            return
        if self._place is not None:
            self._place.put(answered_bundle(status))
        self.take_down()


def show_strip(run: Run, status: StatusSnapshot, place: Place | None = None) -> FailedStrip:
    """Show the strip of a run whose rows failed."""
    strip = FailedStrip(run, status)
    strip.display(place)
    return strip


def failed_card(status: StatusSnapshot, *, again: bool = False) -> dict[str, Any]:
    """Return what the strip shows of rows that failed, and fail again after a retry."""
    rows = tally(status)
    number = rows.failed + (rows.not_sent if again else 0)
    verb = ("still fails" if number == 1 else "still fail") if again else "failed"
    return {
        "kind": "strip",
        "glyph": "alert",
        "headline": f"{words.counted(number, 'row')} {verb}.",
        "rest": " · ".join(_short(one) for one in status.causes[:CAUSES_SHOWN]),
        "fails": [cause_line(one) for one in status.causes[:CAUSES_SHOWN]],
        "action": "retry",
        "label": f"Retry these {number:,}" if number != 1 else "Retry this row",
    }


def retrying_card(status: StatusSnapshot) -> dict[str, Any]:
    """Return what the strip shows while the rows are asked again."""
    rows = tally(status)
    done = f"{rows.good:,} answered"
    if rows.failed:
        done += f", {rows.failed:,} failed again"
    because = words.visible(status.waiting_on, longest=200)
    return {
        "kind": "strip",
        "glyph": "running",
        "headline": f"Asking {words.counted(rows.total or 0, 'row')} again.",
        "rest": f"{done} · {because}" if because else done,
        "fails": [],
        "action": "" if status.state == "stopping" else "stop",
        "label": "Stop",
    }


def failed_text(shown: dict[str, Any]) -> str:
    """Return the strip as text; it names what the button does."""
    return f"{shown['headline']} {shown['rest']}\nRetry the failed rows: run.retry_failed()"


def answered_bundle(status: StatusSnapshot) -> Bundle:
    """Return the sentence that takes the strip's place when every row has an answer."""
    rows = tally(status)
    spent = words.usd(status.counts.usd if not status.counts.num_unpriced else None)
    if rows.good == 1:
        told = "The row that failed is answered now"
    else:
        told = f"All {rows.good:,} rows that failed are answered now"
    text = f"{told}, in {words.span(status.seconds)} for {spent}: run.result() has them all."
    style = "font:12px/1.5 var(--jp-ui-font-family,system-ui,sans-serif);margin:0;opacity:.8"
    return {"text/plain": text, "text/html": f'<p style="{style}">{words.escaped(text)}</p>'}


def _short(one: FailureCause) -> str:
    return f"{one.rows:,} {words.inside(words.visible(one.words, longest=60))}"
