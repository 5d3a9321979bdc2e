"""The two bars of a run, launched over completed, and how a person interrupts the wait for it.

Bars are drawn from frozen snapshots, at most ten times a second: a row costs
them nothing. While the main thread waits, an interrupt does not break into
whatever line happens to run: it is counted and tells the run to stop, so no
interrupt, however many come, can lose a row or leave half a bar behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from types import FrameType
from typing import Any, Literal, Protocol, Self, TypeVar

import tqdm
import tqdm.auto

from llmnb import bridge
from llmnb.adapters import weights
from llmnb.display import numbers
from llmnb.engine.handle import AnyRun
from llmnb.engine.status import Clock, StatusSnapshot
from llmnb.user_code import shell, warn

T = TypeVar("T")

Bars = bool | Literal["auto"]
"""True, False, or ``"auto"``: on a terminal and in a notebook."""

DRAW_SECONDS = 0.2
"""A run is drawn no more often than this: the eye sees no more, and it costs half."""

LINE_SECONDS = 10.0
"""Where no bar can be drawn, a line is printed this often."""

PATIENCE_SECONDS = 2.0
"""A third interrupt this long after the second breaks the wait, whatever the run does."""


# ------------------------------------------------------------------------------ bars


class TwoBars:
    """Launched over completed, with rate, tokens and dollars; a context manager.

    On a terminal and in a notebook two bars; where neither is and bars are asked
    for, a plain line now and then. The last thing shown is the run's true state.

    Args:
        run: The run to watch.
        shown: Whether to draw anything.
    """

    def __init__(self, run: AnyRun, shown: Bars = "auto") -> None:
        self._run = run
        self._display = _display(shown, run)
        self._drawn = float("-inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._display is not None:
            self._display.end(self._run.status())

    def draw(self) -> None:
        """Show the run as it is now; call it as often as you like."""
        now = Clock.monotonic()
        if self._display is None or now - self._drawn < DRAW_SECONDS:
            return
        self._drawn = now
        self._display.draw(self._run.status())


class Display(Protocol):
    """What draws a run."""

    def draw(self, status: StatusSnapshot) -> None:
        """Show how far it is."""

    def end(self, status: StatusSnapshot) -> None:
        """Show how it ended."""


def _display(shown: Bars, run: AnyRun) -> Display | None:
    if not shown or sys.stderr is None:
        return None
    can_draw = _is_interactive()
    if shown == "auto" and not can_draw:
        return None
    if _display_factory is not None and (display := _display_factory(run)) is not None:
        return display
    return _TqdmBars() if can_draw else _Lines()


def _bar(**options: Any) -> Any:
    """Return a bar of tqdm, of the kind that a notebook or a terminal shows."""
    kind: Any = tqdm.auto.tqdm if _in_notebook() else tqdm.tqdm
    return kind(file=sys.stderr, **options)


class _TqdmBars:
    """Two bars of tqdm, which knows terminals and notebooks alike."""

    def __init__(self) -> None:
        self._bars: list[Any] = []

    def draw(self, status: StatusSnapshot) -> None:
        if not self._bars:
            self._bars = self._open(status.total)
        launched, completed = self._bars
        for bar, count in ((launched, status.launched), (completed, status.completed)):
            bar.total = status.total
            bar.n = count
        launched.set_postfix_str(status.waiting_on, refresh=False)
        completed.set_postfix_str(figures(status), refresh=False)
        for bar in self._bars:
            bar.refresh()

    def end(self, status: StatusSnapshot) -> None:
        if not self._bars and status.completed == 0:
            return  # it ended before anything could be seen
        self.draw(status)
        # The upper one first: tqdm writes a bar that ends on the line of the uppermost.
        for bar in self._bars:
            bar.close()
        self._bars = []

    def _open(self, total: int | None) -> list[Any]:
        # The numbers stand before the words, so that a narrow terminal cuts the words.
        bar = "{bar}" if _in_notebook() else "{bar:16}"
        shape = "{desc} {percentage:3.0f}% " + bar + " {n:,}/{total:,}{postfix}"
        return [
            _bar(
                total=total,
                desc=name,
                position=position,
                leave=True,
                dynamic_ncols=True,
                miniters=0,
                bar_format=shape if total is not None else "{desc} {n:,}{postfix}",
            )
            for position, name in enumerate(("launched ", "completed"))
        ]


class _Lines:
    """A plain line now and then: for a log, or where output is piped away."""

    def __init__(self) -> None:
        self._printed = Clock.monotonic()

    def draw(self, status: StatusSnapshot) -> None:
        now = Clock.monotonic()
        if now - self._printed >= LINE_SECONDS:
            self._printed = now
            self.end(status)

    def end(self, status: StatusSnapshot) -> None:
        of = f" of {status.total:,}" if status.total is not None else ""
        line = f"launched {status.launched:,}{of}, completed {status.completed:,}{of}, "
        because = f". {status.waiting_on}" if status.waiting_on else ""
        print(line + figures(status) + because, file=sys.stderr, flush=True)


def figures(status: StatusSnapshot) -> str:
    """Return rate, tokens, dollars and failures on one line."""
    counts = status.counts
    parts = [f"{status.rows_per_second:,.1f} rows/s"]
    if tokens := counts.prompt_tokens + counts.completion_tokens:
        parts.append(f"{numbers.tokens(tokens)} tokens")
    parts.append(status.cost_text)
    if reused := counts.num_cached + counts.num_reused:
        parts.append(f"{reused:,} from the cache")
    if counts.num_tasks_failed:
        parts.append(f"{counts.num_tasks_failed:,} failed")
    if status.simulated:
        parts.append("simulated")
    return ", ".join(parts)


_display_factory: Callable[[AnyRun], Display | None] | None = None
_show_background: Callable[[AnyRun], object] | None = None


def use_display(
    factory: Callable[[AnyRun], Display | None] | None,
    show_background: Callable[[AnyRun], object] | None = None,
) -> None:
    """Draw runs by another display than the bars, such as a notebook's dashboard.

    Args:
        factory: Takes a run and returns what draws it, or None to leave it to the bars; None
            goes back to the bars for all runs.
        show_background: Shows a run that was started in the background, for which nobody waits.
    """
    global _display_factory, _show_background
    _display_factory, _show_background = factory, show_background


def show_in_background(run: AnyRun, shown: Bars) -> None:
    """Show a run that was started in the background, where `use_display` named a way.

    Args:
        run: The run.
        shown: False shows nothing.
    """
    if shown and _show_background is not None:
        _show_background(run)


def print_line(line: str) -> None:
    """Print a line to where the bars are drawn, above them."""
    if sys.stderr is not None:
        tqdm.tqdm.write(line, file=sys.stderr)


@contextlib.contextmanager
def byte_bar(total: int) -> Iterator[Callable[[int, int], None]]:
    """Show a bar of bytes; yields what to call with the bytes that have come and those expected."""
    is_hidden = not _is_interactive()
    with _bar(total=total, unit="B", unit_scale=True, leave=False, disable=is_hidden) as bar:

        def progress(come: int, expected: int) -> None:
            bar.total = expected
            bar.n = come
            bar.refresh()

        yield progress


# Weights are also fetched below this floor, at a model's first use: this is their bar.
weights.show_with(byte_bar)


# ------------------------------------------------------------------------- interrupts


class Interrupts:
    """Turns interrupts into words to a run, for as long as the block lasts.

    The first stops the run: nothing new is sent, and answers in flight go to the
    store. The second drops what is in flight. On the main thread Python's own
    handler of SIGINT is replaced meanwhile; somebody else's handler is left alone.

    Args:
        run: The run.
    """

    def __init__(self, run: AnyRun) -> None:
        self._run = run
        self._second = 0.0
        self.count = 0
        """Interrupts so far."""

    def __enter__(self) -> Self:
        on_main_thread = threading.current_thread() is threading.main_thread()
        if on_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        if signal.getsignal(signal.SIGINT) == self._handle:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self.press()

    def wait(self, draw: Callable[[], None], every: float = bridge.SLICE_SECONDS) -> None:
        """Block until the run is done, and draw it every so many seconds."""
        while True:
            try:
                while not self._run.wait(every):
                    draw()
                return
            except KeyboardInterrupt:  # where the handler is not ours
                self.press()

    def press(self) -> None:
        """Take one interrupt.

        Raises:
            KeyboardInterrupt: If two were not enough and seconds have passed.
        """
        self.count += 1
        if self.count == 1:
            self._run.stop()
        elif self.count == 2:
            self._second = Clock.monotonic()
            self._run.cancel()
        elif Clock.monotonic() - self._second > PATIENCE_SECONDS:
            raise KeyboardInterrupt


def attend(run: AnyRun, *, bars: Bars = "auto") -> None:
    """Block until a run is done, showing its bars; see `attended`."""
    with attended(run, bars=bars):
        pass


@contextlib.contextmanager
def attended(run: AnyRun, *, bars: Bars = "auto") -> Iterator[None]:
    """Block until a run is done, showing its bars; then the block takes the result.

    A first interrupt stops the run: nothing new is sent, the partial result
    is there within a second, answers in flight go to the store. A second one
    drops what is in flight. One that comes while the block takes the result is
    too late to change anything, and is not raised.

    Args:
        run: The run.
        bars: Whether to show bars.

    Raises:
        KeyboardInterrupt: In scripts, after an interrupt; `llmnb.last_run()` has the partial.
    """
    with Interrupts(run) as interrupts:
        with TwoBars(run, bars) as shown:
            interrupts.wait(shown.draw)
        if interrupts.count:
            if _in_script():
                raise KeyboardInterrupt
            _warn_of_stop(run)
        yield


async def aattend(
    run: AnyRun,
    take: Callable[[], T] = lambda: None,  # type: ignore[assignment, return-value]
    *,
    bars: Bars = "auto",
) -> T:
    """Await a run on the caller's loop, showing its bars, and what its result is taken by.

    A cancelled task, which is what an interrupted cell is, stops and keeps; see `attended`.

    Args:
        run: The run.
        take: Called on a thread once the run is done.
        bars: Whether to show bars.

    Raises:
        CancelledError: In scripts, after an interrupt; `llmnb.last_run()` has the partial.
    """
    interrupts = Interrupts(run)
    with TwoBars(run, bars) as shown:
        await _outlast(run.ended(), interrupts, shown.draw)
    if interrupts.count:
        if _in_script():
            raise asyncio.CancelledError
        _warn_of_stop(run)
    try:
        return await _outlast(asyncio.to_thread(take), interrupts)
    finally:
        task = asyncio.current_task()
        for _ in range(interrupts.count if task is not None else 0):
            task.uncancel()  # type: ignore[union-attr]


async def _outlast(
    awaited: Coroutine[Any, Any, T],
    interrupts: Interrupts,
    draw: Callable[[], None] = lambda: None,
) -> T:
    """Await it, however often the task is cancelled meanwhile; each is an interrupt of the run."""
    done = asyncio.ensure_future(awaited)
    while not done.done():
        draw()
        try:
            # A short sleep wakes the loop, so that an interrupt of the cell is noticed.
            await asyncio.wait({done}, timeout=bridge.SLICE_SECONDS)
        except asyncio.CancelledError:
            interrupts.press()
    return done.result()


def _warn_of_stop(run: AnyRun) -> None:
    status = run.status()
    if not status.counts.num_stopped or run.about.is_reported:
        return  # it was done before it could be stopped, or a display says all of this
    warn(
        f"Stopped: {status.completed - status.counts.num_stopped:,} of {status.completed:,} rows "
        f"have their outcome and are kept. Run the cell {status.again}: only what is missing is "
        "asked."
    )


# ------------------------------------------------------------------------ where we are


def _in_script() -> bool:
    """Whether an interrupt ends what runs, and not a cell."""
    return shell() is None and not in_marimo()


def _in_notebook() -> bool:
    """Whether a kernel, not a terminal, shows what is printed."""
    return hasattr(shell(), "kernel") or in_marimo()


def in_marimo() -> bool:
    """Whether this is a notebook of marimo."""
    marimo = sys.modules.get("marimo")
    return marimo is not None and bool(marimo.running_in_notebook())


def _is_interactive() -> bool:
    return _in_notebook() or (sys.stderr is not None and sys.stderr.isatty())
