"""One run on a card: how far it is, then its receipt, and what becomes of its failed rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from llmnb.display.escape import visible
from llmnb.engine.handle import AnyRun
from llmnb.engine.status import Clock, StatusSnapshot
from llmnb.errors import ConfigurationError
from llmnb.notebook import receipt
from llmnb.notebook.card import card, over_card, view_of, waiting_bundle
from llmnb.notebook.charts import charts
from llmnb.notebook.failed_banner import FailedRows, can_ask_again
from llmnb.notebook.surface import TICK_SECONDS, Bundle, joined, line_of_code

CHART_SECONDS = 1.0
"""Charts are drawn anew no more often than this, and when the state changes."""


class RunPart:
    """A run on a card, from its first row to the last answer of its failed rows.

    What the page asks for only calls the run's own methods, which may be called from any thread.

    Args:
        run: The run.
        changed: Called when its failed rows have something else to show, on any thread.
        received: Called when it has another receipt to show, on any thread.
        total: Rows in all, where the run itself reads them lazily.
        holds_kernel: Whether a cell waits for the run, so that the kernel may not receive what the
            page sends. The card says so until something has arrived.
    """

    def __init__(
        self,
        run: AnyRun,
        changed: Callable[[], None],
        received: Callable[[], None],
        *,
        total: int | None = None,
        holds_kernel: bool = False,
    ) -> None:
        self.total = total
        self.holds_kernel = holds_kernel
        self.retries: set[str] = set()
        """Causes whose rows shall be asked again when the run is done."""

        self.failed: FailedRows | None = None
        """Its failed rows, once it is over."""

        self.receipt: Bundle | None = None
        """What came of it, once that is known."""

        self.waiting: Bundle = {}
        """What a saved notebook shows of it before that."""

        self.is_over = False
        self._asks_again = True
        self._run: AnyRun | None = run
        self._changed = changed
        self._received = received
        self._shown: dict[str, Any] = {}
        self._drawn = -math.inf
        self._charts: dict[str, Any] = {}
        self._charts_at = -math.inf
        self._view = ""
        self._since = 0.0
        self.draw(run.status())

    @property
    def has_buttons(self) -> bool:
        """Whether anything can still be done about it."""
        is_failed = self.failed is not None and not self.failed.answered
        return not self.is_over or self._run is not None or is_failed

    @property
    def shown(self) -> dict[str, Any]:
        """What the page shows of it."""
        return self._shown if self.failed is None else {**self._shown, "banner": self.failed.shown}

    @property
    def static(self) -> Bundle:
        """What a saved notebook shows of it."""
        if self.receipt is None:
            return self.waiting
        if self.failed is None or not self.failed.answered:
            return self.receipt
        return joined([self.receipt, self.failed.answered])

    def is_due(self) -> bool:
        """Whether it was drawn so long ago that it may be drawn again."""
        return not self.is_over and Clock.monotonic() - self._drawn >= TICK_SECONDS

    def draw(self, status: StatusSnapshot) -> None:
        """Take how far the run is."""
        if (run := self._run) is None or self.is_over:
            return
        self._drawn, now = Clock.monotonic(), Clock.wall()
        if run.is_batch:  # in hours there is nothing to pause or to speed up
            self._shown = self._batch_shown(run, status)
            return
        self.waiting = waiting_bundle(status, now)
        if status.state in ("finished", "stopped"):  # a moment before its end is told
            self._shown = over_card(status, receipt.line(status))
            return
        if (view := view_of(status)) != self._view:
            self._view, self._since, self._charts_at = view, now, -math.inf
        if now - self._charts_at >= CHART_SECONDS:
            self._charts, self._charts_at = charts(status), now
        shown = card(
            status,
            now,
            total=self.total,
            asked=run.asked,
            since=self._since,
            holds_kernel=self.holds_kernel,
            retries=frozenset(self.retries),
            drawn=self._charts,
        )
        self._shown = {**shown, "code": line_of_code(run, "stop")}

    def end(self, status: StatusSnapshot) -> AnyRun | None:
        """Take how the run ended; return it for its receipt, None where it has none of ours."""
        if (run := self._run) is None or self.is_over:
            return None
        self.is_over = True
        if run.is_batch:
            self._shown = self._batch_shown(run, status)
            self.receipt, self._run = self.waiting, None
            return None
        self._shown, self._charts = over_card(status, receipt.line(status)), {}
        return run

    def put(self, bundle: Bundle) -> None:
        """Show this as its receipt from now on."""
        self.receipt = bundle
        self._received()

    def offer(self, status: StatusSnapshot, *, is_single: bool) -> None:
        """Offer to ask failed rows again; ask at once what was to be asked again at the end.

        Args:
            status: How the run ended.
            is_single: Whether no other run shares its receipt: else the next step is to run the
                cell again.
        """
        run, self._run = self._run, None  # its outcomes are not held longer than its owner does
        wanted = self._asks_again and (is_single or self.retries)
        if run is not None and wanted and can_ask_again(run, status):
            self.failed = FailedRows(run, status, self._changed)
            if self.retries:
                self.failed.ask_again(self.retries)

    def withdraw(self) -> None:
        """Offer no more to ask its failed rows again, unless that was asked for."""
        self._asks_again = False
        if self.failed is not None and not self.failed.is_asked:
            self.failed = None

    def _batch_shown(self, run: AnyRun, status: StatusSnapshot) -> dict[str, Any]:
        self.waiting = {"text/html": run._repr_html_(), "text/plain": repr(run)}
        return {**over_card(status, repr(run)), "html": self.waiting["text/html"]}

    def act(self, content: Any) -> dict[str, Any] | None:
        """Do what the page asks for; return a message for it, None where there is none."""
        if (failed := self.failed) is not None:
            match content:
                case {"do": "retry", "cause": str(cause)}:
                    failed.ask_again([cause])
                case {"do": "retry"}:
                    failed.ask_again()
                case {"do": "stop"}:
                    failed.stop()
        elif (run := self._run) is not None:
            match content:
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
                        self.draw(status)
                case {"do": "limit", "name": str(name), "amount": amount} if name in _LIMITS:
                    wrong = _set_limit(run, name, amount)
                    self.draw(run.status())
                    return {"kind": "limit", "name": name, "wrong": wrong}
        return None


_LIMITS = {
    "requests per minute": "max_requests_per_minute",
    "tokens per minute": "max_tokens_per_minute",
    "requests in flight": "max_concurrent_requests",
}
"""Options of the card's fields."""


def _set_limit(run: AnyRun, name: str, amount: Any) -> str:
    """Set a limit that was typed; return what is wrong with it, empty where nothing is."""
    option = _LIMITS[name]
    is_rate = option != "max_concurrent_requests"
    try:
        match amount:
            case None:
                pass
            case str() if is_rate and len(amount) <= 100:
                pass
            case bool() | str():
                raise ConfigurationError("no number")
            case int() | float() if math.isfinite(amount) and amount > 0:
                amount = amount if is_rate else max(1, int(amount))
            case _:
                raise ConfigurationError("no number")
        run.set_limits(**{option: amount})
    except ConfigurationError:
        typed = visible(str(amount), longest=40)
        if not is_rate:
            return f"“{typed}” is no number of requests. Write one such as 64, or none at all."
        return f"“{typed}” is no rate. Write 500, 500k or 5 per second, or nothing at all."
    return ""
