"""The two bars of a run, launched over completed, and how a person interrupts a blocking call.

Bars are drawn from frozen snapshots a few times a second: a row costs them
nothing. Waiting happens in slices, so that an interrupt is noticed at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Literal, Self

import tqdm
import tqdm.auto

from llmnb import bridge
from llmnb.engine.run import Run
from llmnb.engine.status import StatusSnapshot

Bars = bool | Literal["auto"]
"""True, False, or ``"auto"``: on a terminal and in a notebook."""

Interrupt = Literal["auto", "raise", "return"]
"""What an interrupt does once the answers are safe: ``"auto"`` raises in scripts only."""


class TwoBars:
    """Launched over completed, with rate, tokens and dollars; a context manager.

    Args:
        run: The run to watch.
        shown: Whether to draw anything.
    """

    def __init__(self, run: Run, shown: Bars = "auto") -> None:
        self._run = run
        self._is_shown = _is_interactive() if shown == "auto" else shown
        self._bars: list[Any] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bars:
            self.draw()
            for bar in reversed(self._bars):
                bar.close()
            self._bars = []

    def draw(self) -> None:
        """Show the run as it is now."""
        if not self._is_shown:
            return
        status = self._run.status()
        if not self._bars:
            self._bars = _open_bars(status)
        launched, completed = self._bars
        for bar, count in ((launched, status.launched), (completed, status.completed)):
            if status.total is not None:
                bar.total = status.total
            bar.n = count
        completed.set_postfix_str(figures(status), refresh=False)
        for bar in self._bars:
            bar.refresh()


def _open_bars(status: StatusSnapshot) -> list[Any]:
    kind: Any = tqdm.auto.tqdm if _in_notebook() else tqdm.tqdm
    # The numbers stand before the bar, so that a narrow terminal cuts the words, not them.
    shape = "{desc} {percentage:3.0f}% {bar:24} {n:,}/{total:,}{postfix}"
    unknown = "{desc} {n:,}{postfix}"
    return [
        kind(
            total=status.total,
            desc=name,
            position=place,
            leave=True,
            file=sys.stderr,
            dynamic_ncols=True,
            miniters=0,
            bar_format=shape if status.total is not None else unknown,
        )
        for place, name in enumerate(("launched ", "completed"))
    ]


def figures(status: StatusSnapshot) -> str:
    """Return rate, tokens, dollars and failures on one line."""
    counts = status.counts
    parts = [f"{status.rows_per_second:,.1f} rows/s"]
    if tokens := counts.prompt_tokens + counts.completion_tokens:
        parts.append(f"{short(tokens)} tokens")
    parts.append(status.cost_text)
    if reused := counts.num_cached + counts.num_reused:
        parts.append(f"{reused:,} from the cache")
    if counts.num_tasks_failed:
        parts.append(f"{counts.num_tasks_failed:,} failed")
    if status.simulated:
        parts.append("simulated")
    return ", ".join(parts)


def short(count: float) -> str:
    """Return a count as a person reads it.

    Example:
        >>> short(950), short(1_240), short(331_000), short(1_200_000)
        ('950', '1.2k', '331k', '1.2M')
    """
    if count < 1000:
        return f"{count:.0f}"
    for limit, unit, size in ((999_500, "k", 1e3), (999.5e6, "M", 1e6), (float("inf"), "B", 1e9)):
        if count < limit:
            value = count / size
            return f"{value:.1f}{unit}" if value < 10 else f"{value:.0f}{unit}"
    return f"{count:.0f}"


# ------------------------------------------------------------------------- waiting


def attend(run: Run, *, bars: Bars = "auto", interrupt: Interrupt = "auto") -> None:
    """Block until a run is done, showing its bars.

    A first interrupt stops the run: nothing new is sent, the partial result
    is there within a second, answers in flight go to the store. A second one
    drops what is in flight.

    Args:
        run: The run.
        bars: Whether to show bars.
        interrupt: What an interrupt does once the answers are safe.

    Raises:
        KeyboardInterrupt: In scripts, after an interrupt; `llmnb.last_run()` has the partial.
    """
    with TwoBars(run, bars) as shown:
        try:
            while not run.wait(bridge.SLICE_SECONDS):
                shown.draw()
            return
        except KeyboardInterrupt:
            _stop(run)
    _after_interrupt(run, interrupt)


async def aattend(run: Run, *, bars: Bars = "auto", interrupt: Interrupt = "auto") -> None:
    """Await a run on the caller's loop, showing its bars.

    A cancelled cell is an interrupt: stop and keep.

    Raises:
        CancelledError: In scripts, after an interrupt; `llmnb.last_run()` has the partial.
    """
    with TwoBars(run, bars) as shown:
        try:
            while not run.is_done:
                shown.draw()
                # Short sleeps wake the loop, so that an interrupt of the cell is noticed.
                await asyncio.sleep(0.02)
            run.wait()  # raises what ended the run
            return
        except (asyncio.CancelledError, KeyboardInterrupt):
            run.stop()
            while not run.is_done:  # noqa: ASYNC110 - the run ends on another thread
                await asyncio.sleep(0.02)
            if not _returns(interrupt):
                raise
    _after_interrupt(run, "return")


def _stop(run: Run) -> None:
    """Stop a run and wait for its partial result; a second interrupt drops what is in flight."""
    run.stop()
    try:
        while not run.wait(bridge.SLICE_SECONDS):
            pass
    except KeyboardInterrupt:
        run.cancel()
        while not run.wait(bridge.SLICE_SECONDS):
            pass


def _after_interrupt(run: Run, interrupt: Interrupt) -> None:
    if not _returns(interrupt):
        raise KeyboardInterrupt
    status = run.status()
    warnings.warn(
        f"Stopped: {status.completed - status.counts.num_stopped:,} of {status.completed:,} rows "
        "have their outcome and are kept. Run the cell again: only what is missing is asked.",
        stacklevel=4,
    )


def _returns(interrupt: Interrupt) -> bool:
    return _in_ipython() if interrupt == "auto" else interrupt == "return"


def _in_ipython() -> bool:
    ipython = sys.modules.get("IPython")
    return ipython is not None and ipython.get_ipython() is not None


def _in_notebook() -> bool:
    """Whether a kernel, not a terminal, shows what is printed."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


def _is_interactive() -> bool:
    return _in_notebook() or (sys.stderr is not None and sys.stderr.isatty())


@contextlib.contextmanager
def byte_bar(total: int) -> Iterator[Callable[[int, int], None]]:
    """Show a bar of bytes; yields what to call with the bytes that have come and those expected."""
    kind: Any = tqdm.auto.tqdm if _in_notebook() else tqdm.tqdm
    with kind(total=total, unit="B", unit_scale=True, file=sys.stderr, leave=False) as bar:

        def progress(come: int, expected: int) -> None:
            bar.total = expected
            bar.n = come
            bar.refresh()

        yield progress
