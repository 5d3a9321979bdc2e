"""The runs of one execution of a cell, which share one receipt.

The receipt of all of them stands where the latest run was shown; the place of the one before is
emptied. So a loop leaves one line, also where it clears its output on the way.
"""

from __future__ import annotations

import functools
import numbers
import threading
from collections.abc import Sequence
from typing import Any

from llmnb import settings, user_code
from llmnb.adapters import prices
from llmnb.engine.handle import AnyRun, RunHandle
from llmnb.engine.status import StatusSnapshot
from llmnb.notebook import receipt
from llmnb.notebook.receipt import Entry
from llmnb.notebook.run_part import RunPart
from llmnb.notebook.surface import BLANK, Bundle, capturing, line_of_code, message_header


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
        again=run.again,
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


@functools.cache
def _prices_date() -> str:
    return prices.prices_date()


class CellRuns:
    """The runs of one execution that are over, and where their receipt stands.

    Args:
        shows_result: Whether the cell itself shows what they give; None until its end.
    """

    def __init__(self, *, shows_result: bool | None = None) -> None:
        self._lock = threading.Lock()
        self._entries: list[Entry] = []
        self._place: RunPart | None = None
        self._shows_result = shows_result
        self.gives_code = shows_result is False
        """Whether no cell holds what a run results in: a button began it."""

    @property
    def is_single(self) -> bool:
        """Whether no second run has ended here."""
        return len(self._entries) < 2

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
            self._entries.append(entry)
            self._entries.sort(key=lambda entry: entry.status.started_at)
            self._entries = receipt.condensed(self._entries)
            self._put()
            if earlier is not None:
                earlier.withdraw()
                earlier.put(BLANK)

    def end_cell(self, *, shows_result: bool) -> None:
        """Unfold the answers of a single run that nothing else shows."""
        with self._lock:
            self._shows_result = shows_result
            if self._entries and self._is_open:
                self._put()

    @property
    def _is_open(self) -> bool:
        return self._shows_result is False and self.is_single

    def _put(self) -> None:
        if self._place is not None:
            self._place.put(receipt_bundle(self._entries, is_open=self._is_open))


# ------------------------------------------------------------------- the present cell

_present: tuple[object, CellRuns] | None = None
"""What the latest execution is known by, and its runs."""


def present() -> CellRuns:
    """Return the runs of the execution that goes on."""
    global _present
    name = execution()
    if _present is None or _present[0] != name:
        _present = name, CellRuns()
    return _present[1]


def execution() -> object:
    """Return what tells this execution of a cell, or of a click's callback, from any other."""
    shell = user_code.shell()
    if shell is None:
        return object()
    return *_message(), shell.execution_count, capturing()


def _message() -> tuple[object, object]:
    header = message_header()
    # A second client of the same kernel may count its messages from the first again.
    return header.get("msg_id"), header.get("date")


def end_cell(result: Any) -> None:
    """Look at what a cell shows itself; registered with IPython for the end of each.

    Args:
        result: IPython's own account of the cell.
    """
    if _present is not None and _is_of_this_cell(_present[0]):
        shell = user_code.shell()
        is_quiet = shell is None or shell.displayhook.quiet()
        _present[1].end_cell(shows_result=not is_quiet and _has_answers(result.result))


def _is_of_this_cell(name: object) -> bool:
    """Whether runs began in the cell that ends now, and not in an earlier one."""
    return isinstance(name, tuple) and name[:2] == _message()


def _has_answers(value: Any) -> bool:
    """Whether a cell's value may show answers: anything but a number, or the run itself."""
    return value is not None and not isinstance(value, numbers.Number | RunHandle)
