"""One run on a card: how far it is, then its receipt, and what becomes of its failed rows.

The runs of one execution of a cell share one receipt. It stands where the latest run was shown;
the place of the one before is emptied. So a loop leaves one line, also where it clears its output
on the way.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Sequence
from typing import Any

from llmnb import settings
from llmnb.adapters import prices
from llmnb.display.escape import visible
from llmnb.engine.handle import AnyRun
from llmnb.engine.status import Clock, StatusSnapshot
from llmnb.errors import ConfigurationError
from llmnb.notebook import receipt
from llmnb.notebook.card import card, is_still, over_card, view_of, waiting_bundle
from llmnb.notebook.charts import charts
from llmnb.notebook.failed_banner import FailedRows, can_ask_again
from llmnb.notebook.receipt import Entry
from llmnb.notebook.surface import BLANK, Bundle, joined, line_of_code, page_of

CHART_SECONDS = 1.0
"""Charts are drawn anew no more often than this, and when the state changes."""


class RunPart:
    """A run on a card, from its first row to the last answer of its failed rows.

    What the page asks for only calls the run's own methods, which may be called from any thread.

    Args:
        run: The run.
        runs: The runs with which it shares a receipt.
        show: Called when it has something else to show, on any thread.
        renew: Called with it when it has another receipt, on any thread.
        holds_kernel: Whether a cell waits for the run, so that the kernel may not receive what the
            page sends. The card says so until something has arrived.
    """

    def __init__(
        self,
        run: AnyRun,
        runs: CellRuns,
        show: Callable[[], None],
        renew: Callable[[RunPart], None],
        *,
        holds_kernel: bool = False,
    ) -> None:
        self.run: AnyRun | None = run
        """None once it is over: its outcomes are not held longer than its owner does."""

        self.holds_kernel = holds_kernel
        self.retries: set[str] = set()
        """Causes whose rows shall be asked again when the run is done."""

        self.failed: FailedRows | None = None
        """Its failed rows, once it is over."""

        self.receipt: Bundle | None = None
        """What came of it, once that is known."""

        self._runs = runs
        self._show = show
        self._renew = functools.partial(renew, self)
        self._asks_again = True
        self._waiting: Callable[[], Bundle]
        self._shown: dict[str, Any] = {}
        self._charts: dict[str, Any] = {}
        self._charts_at = -math.inf
        self._view: object = ""
        self._since = 0.0
        self.draw(run.status())

    @property
    def is_over(self) -> bool:
        """Whether its end is told."""
        return self.run is None

    @property
    def has_buttons(self) -> bool:
        """Whether anything can still be done about it."""
        return not self.is_over or (self.failed is not None and not self.failed.answered)

    @property
    def shown(self) -> dict[str, Any]:
        """What the page shows of it."""
        return self._shown if self.failed is None else {**self._shown, "banner": self.failed.shown}

    @property
    def static(self) -> Bundle:
        """What a saved notebook shows of it."""
        if self.receipt is None:
            return self._waiting()
        answered = None if self.failed is None else self.failed.answered
        return joined(filter(None, (self.receipt, answered)))

    def draw(self, status: StatusSnapshot) -> None:
        """Take how far the run is."""
        if (run := self.run) is None:
            return
        if run.is_batch:  # in hours there is nothing to pause or to speed up
            view = status.state, status.completed, status.waiting_on, status.cost_text
            if view != self._view:  # not for the clock
                self._view, page = view, page_of(run)
                self._waiting = lambda: page
                self._shown = {**over_card(status, repr(run)), "html": page["text/html"]}
            return
        now = Clock.wall()
        self._waiting = functools.partial(waiting_bundle, status, run.asked)
        if status.state in ("finished", "stopped"):  # a moment before its end is told
            self._shown = over_card(status, receipt.line(status))
            return
        if (view_now := view_of(status)) != self._view:
            self._view, self._since, self._charts_at = view_now, now, -math.inf
        if now - self._charts_at >= CHART_SECONDS:
            self._charts, self._charts_at = charts(status, is_still=is_still(status)), now
        shown = card(
            status,
            now,
            asked=run.asked,
            since=self._since,
            holds_kernel=self.holds_kernel,
            retries=frozenset(self.retries),
            drawn=self._charts,
        )
        self._shown = {**shown, "code": line_of_code(run, "stop")}

    def end(self, status: StatusSnapshot, *, has_output: bool) -> None:
        """Take how the run ended: show its receipt, and offer to ask its failed rows again.

        Where other runs share its receipt, the next step is to run the cell again.

        Args:
            status: Its end.
            has_output: Whether the card stands in an output of a cell.
        """
        if (run := self.run) is None:
            return
        self.draw(status)
        self.run, self._charts = None, {}
        if run.is_batch:
            self.put(self._waiting())
            return
        run.about.is_reported = True
        wanted = self._asks_again and (self.retries or not self._runs.entries)
        if wanted and can_ask_again(run, status):
            self.failed = FailedRows(run, status, self._show, self._renew)
        gives_code = self._runs.gives_code and has_output
        self._runs.add(entry_of(run, status, gives_code=gives_code), self)
        if self.failed is not None and self.retries:
            self.failed.ask_again(self.retries)

    def put(self, bundle: Bundle) -> None:
        """Show this as its receipt from now on."""
        self.receipt = bundle
        self._renew()

    def withdraw(self) -> None:
        """Offer no more to ask its failed rows again, unless that was asked for."""
        self._asks_again = False
        if self.failed is not None and self.failed.retry is None:
            self.failed = None

    def act(self, content: Any) -> dict[str, Any] | None:
        """Do what the page asks for; return a message for it, None where there is none."""
        if (failed := self.failed) is not None:
            match content:
                case {"do": "retry", "cause": str(cause)}:
                    failed.ask_again([cause])
                case {"do": "retry"}:
                    failed.ask_again()
                case {"do": "stop"} if failed.retry is not None:
                    failed.retry.stop()
        elif (run := self.run) is not None:
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
    try:
        run.set_limits(**{option: amount})
    except ConfigurationError:
        typed = visible(str(amount), longest=40)
        if option == "max_concurrent_requests":
            return f"“{typed}” is no number of requests. Write one such as 64, or none at all."
        return f"“{typed}” is no rate. Write 500, 500k or 5 per second, or nothing at all."
    return ""


# ----------------------------------------------------------------- what they leave


def entry_of(run: AnyRun, status: StatusSnapshot, *, gives_code: bool = False) -> Entry:
    """Return what a receipt tells of a run at its end.

    Args:
        run: The run.
        status: Its end.
        gives_code: Whether nothing but a line of code gives the person what it results in.
    """
    about = run.about
    shows_answers = about.shows_answers and settings.current().show_answers
    return Entry(
        status=status,
        traits=about.traits,
        empty=about.empty,
        notes=run.notes(),
        answers=run.first_answers(receipt.ANSWERS_SHOWN) if shows_answers else (),
        code=line_of_code(run, "retry_failed") if run.can_retry else "",
        how_to_repeat=run.how_to_repeat,
        read_code=line_of_code(run, "explore") if run.run_id and not run.is_batch else "",
        result_code=line_of_code(run, "result") if gives_code else "",
    )


def receipt_bundle(entries: Sequence[Entry], *, is_open: bool = False) -> Bundle:
    """Return the receipt of runs as HTML and as text."""
    # The table takes long to read; where nothing was bought it was never needed.
    prices_of = _prices_date() if any(entry.status.counts.shown().usd for entry in entries) else ""
    return {
        "text/html": receipt.html(entries, prices_of=prices_of, is_open=is_open),
        "text/plain": receipt.text(entries),
    }


_prices_date = functools.cache(prices.prices_date)


class CellRuns:
    """The runs of one execution that are over, and where their receipt stands.

    Args:
        shows_result: Whether the cell itself shows what they give; None until its end.
    """

    def __init__(self, *, shows_result: bool | None = None) -> None:
        self._lock = threading.Lock()
        self.entries: list[Entry] = []
        """Those that are over, many of them added up."""

        self._place: RunPart | None = None
        self._shows_result = shows_result
        self.gives_code = shows_result is False
        """Whether no cell holds what a run results in: a button began it."""

    def add(self, entry: Entry, place: RunPart) -> None:
        """Put the receipt of all runs where the latest was shown.

        Where there are several, running the cell again asks what failed: a banner that stands
        here, of one run's failed rows, is taken away.

        Args:
            entry: The run that is over.
            place: Where it was shown, on its card.
        """
        with self._lock:
            earlier, self._place = self._place, place
            self.entries.append(entry)
            self.entries.sort(key=lambda entry: entry.status.started_at)
            self.entries = receipt.condensed(self.entries)
            self._put()
            if earlier is not None:
                earlier.withdraw()
                earlier.put(BLANK)

    def end_cell(self, *, shows_result: bool) -> None:
        """Unfold the answers of a single run that nothing else shows."""
        with self._lock:
            self._shows_result = shows_result
            if self._is_open:
                self._put()

    @property
    def _is_open(self) -> bool:
        return self._shows_result is False and len(self.entries) == 1

    def _put(self) -> None:
        if self._place is not None:
            self._place.put(receipt_bundle(self.entries, is_open=self._is_open))
