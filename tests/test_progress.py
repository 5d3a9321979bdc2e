"""Promises about the bars: what is shown where, that the end is true, and interrupts."""

from __future__ import annotations

import asyncio
import io
import signal
import threading

import pytest
from asking import ask, questions, texts
from laboratory import Laboratory
from terminal import Terminal

from llmnb import progress
from llmnb.engine.status import StatusSnapshot


@pytest.fixture
def stream(monkeypatch):
    """Put another stream in the place of standard error."""

    def put(one):
        monkeypatch.setattr("sys.stderr", one)
        return one

    return put


def test_a_terminal_ends_with_two_whole_bars_in_their_order(stream):
    """
    Launched above completed, each on its line, both at the end, with tokens and dollars.
    """
    terminal = stream(Terminal())
    with Laboratory() as sim:
        progress.attend(ask(sim, questions(30)))

    launched, completed, *rest = terminal.screen
    assert launched.startswith("launched  100% ")
    assert "30/30" in launched
    assert completed.startswith("completed 100% ")
    assert "30/30, " in completed
    assert "tokens" in completed
    assert not any(rest)


def test_bars_that_are_piped_away_are_a_line_now_and_then(stream):
    """
    A log gets one plain line for a short run, not hundreds, and it is the last state.
    """
    log = stream(io.StringIO())
    with Laboratory() as sim:
        progress.attend(ask(sim, questions(30)), bars=True)

    (line,) = log.getvalue().splitlines()
    assert line.startswith("launched 30 of 30, completed 30 of 30, ")


def test_nothing_is_shown_where_nobody_looks(stream):
    """
    "auto" in a script whose output goes to a file writes nothing at all.
    """
    log = stream(io.StringIO())
    with Laboratory() as sim:
        progress.attend(ask(sim, questions(3)))
    assert log.getvalue() == ""


class _Recorder:
    def __init__(self) -> None:
        self.closed: list[StatusSnapshot] = []

    def draw(self, status):
        pass

    def end(self, status):
        self.closed.append(status)


def test_another_display_can_be_hung_up(stream):
    """
    It takes the bars' place and is closed once, with the final state.
    """
    terminal, shown = stream(Terminal()), _Recorder()
    progress.use_display(lambda run: shown)
    try:
        with Laboratory() as sim:
            progress.attend(ask(sim, questions(3)))
    finally:
        progress.use_display(None)

    (status,) = shown.closed
    assert (status.state, status.completed, status.total) == ("finished", 3, 3)
    assert terminal.getvalue() == ""


def test_a_display_that_declines_leaves_it_to_the_bars(stream):
    """
    A notebook without widgets still shows something.
    """
    terminal = stream(Terminal())
    progress.use_display(lambda run: None)
    try:
        with Laboratory() as sim:
            progress.attend(ask(sim, questions(3)))
    finally:
        progress.use_display(None)
    assert "3/3" in terminal.screen[1]


async def test_a_cancelled_wait_keeps_what_was_answered(stream, monkeypatch):
    """
    An interrupted `await` cell gets the partial result and one warning; the task lives on.
    """
    stream(io.StringIO())
    monkeypatch.setattr(progress, "shell", lambda: object())
    with Laboratory(reply=lambda prompt: prompt) as sim:
        run = ask(sim, questions(20), max_concurrent_requests=5)
        sim.hold(lambda request: request.number >= 5)
        waiting = asyncio.ensure_future(progress.aattend(run))
        await sim.await_received(10)
        waiting.cancel()
        with pytest.warns(UserWarning, match="of 20 rows"):
            await waiting
        sim.release()

    assert 0 < sum(text is not None for text in texts(run)) < 20
    assert run.status().state == "stopped"


async def test_a_cancelled_wait_in_a_script_is_raised_again(stream):
    """
    Outside IPython the cancellation goes on once the answers are safe.
    """
    stream(io.StringIO())
    with Laboratory() as sim:
        sim.hold()
        run = ask(sim, questions(20), max_concurrent_requests=5)
        waiting = asyncio.ensure_future(progress.aattend(run))
        await sim.await_received(5)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        sim.release()
    assert run.is_done


def test_an_interrupt_while_the_result_is_taken_comes_too_late(stream):
    """
    The run is done and its answers are there: ■ then neither raises nor loses the result.
    """
    stream(io.StringIO())
    with Laboratory(reply=lambda prompt: prompt) as sim:
        run = ask(sim, questions(3))
        with progress.attended(run):
            signal.raise_signal(signal.SIGINT)
            taken = texts(run)
    assert None not in taken


async def test_a_cancellation_while_the_result_is_taken_comes_too_late(stream):
    """
    The same for an `await` cell, whose task is not counted as cancelled afterwards.
    """
    stream(io.StringIO())
    loop, was_cancelled = asyncio.get_running_loop(), threading.Event()
    with Laboratory(reply=lambda prompt: prompt) as sim:
        run = ask(sim, questions(3))

        def cancel():
            waiting.cancel()
            was_cancelled.set()

        def take():
            loop.call_soon_threadsafe(cancel)
            assert was_cancelled.wait(60)
            return texts(run)

        waiting = asyncio.ensure_future(progress.aattend(run, take))
        taken = await waiting
    assert None not in taken
    assert not waiting.cancelling()
