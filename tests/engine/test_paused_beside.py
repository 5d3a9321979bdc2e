"""Promises to a run beside one that is paused and wants the same answers."""

from __future__ import annotations

import asyncio

import pytest
from asking import ask, kinds, questions, texts
from laboratory import Laboratory

from llmnb import bridge
from llmnb.testing import faults


def paused(run):
    """Pause a run; return once its loop knows it."""
    run.pause()
    bridge.call(asyncio.sleep(0))


@pytest.fixture
def sim():
    """Run a provider that answers with the question."""
    with Laboratory(reply=lambda prompt: prompt) as simulated:
        yield simulated


def asked_once(sim, rows):
    """Whether each question was sent once."""
    return [sim.ledger.count(f"question {row}") for row in range(rows)] == [1] * rows


@pytest.mark.parametrize("is_first", [True, False])
def test_a_run_does_not_wait_for_another_that_is_paused(sim, is_first):
    """
    It asks what the paused one has not sent, whichever began first; each row is bought once.
    """
    sim.hold()
    paused_run = ask(sim, questions(20), max_concurrent_requests=2)
    sim.wait_received(2)
    if not is_first:
        paused(paused_run)
    other = ask(sim, questions(21), max_concurrent_requests=4)
    sim.wait_received(3)  # one that is its own: the others have been looked at
    if is_first:
        paused(paused_run)
    sim.release()

    assert texts(other) == [f"question {row}" for row in range(21)]
    assert not paused_run.is_done
    paused_run.resume()
    assert texts(paused_run) == [f"question {row}" for row in range(20)]
    assert asked_once(sim, 21)


def test_two_runs_that_are_paused_in_turn_wait_for_neither(sim):
    """
    Whoever goes on asks; the other finds the answers when it is resumed.
    """
    sim.hold()
    paused_run = ask(sim, questions(20), max_concurrent_requests=2)
    sim.wait_received(2)
    paused(paused_run)
    other = ask(sim, questions(20), max_concurrent_requests=2)
    sim.wait_received(4)
    paused_run.resume()
    paused(other)
    sim.release()

    assert texts(paused_run) == [f"question {row}" for row in range(20)]
    assert not other.is_done
    other.resume()
    assert kinds(other) == [""] * 20
    assert asked_once(sim, 20)


def test_a_row_that_another_run_asks_is_said_to_wait_for_a_run(sim):
    """
    It is no other process that is waited for.
    """
    sim.hold()
    paused_run = ask(sim, questions(2), max_concurrent_requests=1)
    sim.wait_received(1)
    paused(paused_run)
    other = ask(sim, questions(2)[1:])
    sim.wait_received(2)
    paused_run.set_limits(max_concurrent_requests=3)
    paused_run.resume()
    while not paused_run._run_loop.context.waiting_rows["run"]:
        assert not paused_run.wait(0.005)

    assert paused_run._run_loop.context.waiting_rows["process"] == 0
    assert paused_run.status().waiting_on == (
        "Waiting on replies, and on another run, which asks 1 row of this run."
    )
    sim.release()
    assert texts(paused_run) == ["question 0", "question 1"]
    assert texts(other) == ["question 1"]
    assert asked_once(sim, 2)


def test_a_row_that_failed_while_its_run_was_paused_is_asked_by_the_other(sim):
    """
    Its next attempt is not waited for.
    """
    sim.set_faults([faults.status(500)])
    sim.hold()
    paused_run = ask(sim, questions(1))
    sim.wait_received(1)
    other = ask(sim, questions(2))
    sim.wait_received(2)
    paused(paused_run)
    sim.release()

    assert texts(other) == ["question 0", "question 1"]
    assert not paused_run.is_done
    paused_run.stop()
    assert kinds(paused_run) == ["Stopped"]


def test_a_paused_run_can_be_stopped_while_another_asks_its_rows(sim):
    """
    It is over at once, and the other goes on.
    """
    sim.hold()
    paused_run = ask(sim, questions(10), max_concurrent_requests=1)
    sim.wait_received(1)
    paused(paused_run)
    other = ask(sim, questions(10), max_concurrent_requests=2)
    sim.wait_received(3)
    paused_run.stop()
    assert kinds(paused_run).count("Stopped") >= 9
    sim.release()

    assert kinds(other) == [""] * 10
    assert asked_once(sim, 10)
