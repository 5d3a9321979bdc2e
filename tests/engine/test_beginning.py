"""Promises about a run's beginning: an error in it is the run's end, for whoever waits."""

from __future__ import annotations

import asyncio

import pytest
from asking import ask, questions

from llmnb import progress
from llmnb.engine import run_loop


@pytest.fixture
def broken(monkeypatch):
    """An engine that cannot be had when a run begins."""

    def engine():
        raise RuntimeError("no engine")

    monkeypatch.setattr(run_loop, "engine", engine)


def test_who_waits_for_a_run_that_could_not_begin_gets_its_error(broken, provider):
    """
    The error is raised to the waiting thread, and the run is over.
    """
    run = ask(provider, questions(3))

    with pytest.raises(RuntimeError, match="no engine"):
        run.result(20)
    assert run.is_done


def test_who_reads_its_outcomes_gets_the_error_too(broken, provider):
    """
    A run whose outcomes are read one by one ends for its reader.
    """
    run = ask(provider, questions(3), streams=True)

    with pytest.raises(RuntimeError, match="no engine"):
        list(run.outcomes())


async def test_who_awaits_it_gets_the_error_too(broken, provider):
    """
    So does a task on a loop of the caller's own.
    """
    with pytest.raises(RuntimeError, match="no engine"):
        await asyncio.wait_for(ask(provider, questions(3)), 20)


def test_a_run_that_could_not_begin_can_be_stopped(broken, provider):
    """
    Bars and ■ find a run that is over, and the gc is as it was before.
    """
    import gc

    before = gc.get_threshold()
    run = ask(provider, questions(3))

    with pytest.raises(RuntimeError, match="no engine"):
        progress.attend(run, bars=False)
    run.stop()
    run.cancel()

    assert run.status().state == "finished"
    assert gc.get_threshold() == before
