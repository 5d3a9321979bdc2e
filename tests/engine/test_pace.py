"""Promises about the figures of a run that goes on otherwise than before: they start anew."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest
from asking import ask, questions
from snapshots import snapshot

from llmnb import bridge, progress
from llmnb.engine import counters as counting
from llmnb.engine.counters import Counters
from llmnb.engine.status import Clock
from llmnb.notebook.card import card
from llmnb.records import Outcome, Usage


@pytest.fixture
def clock(monkeypatch):
    """Hold the clock; yields a list whose one number is the time."""
    now = [1000.0]
    monkeypatch.setattr(Clock, "monotonic", lambda: now[0])
    monkeypatch.setattr(counting.Clock, "monotonic", lambda: now[0])
    return now


def answer(counters, rows, seconds, clock):
    """Answer rows one after the other in so many seconds."""
    for row in range(rows):
        clock[0] += seconds / rows
        counters.count(requests=1)
        counters.on_answer("p/m", 1.0, 10, 0.0, False)
        counters.enter_reply(Usage(prompt=5, completion=5), 0.0, False)
        counters.enter(Outcome(row=row, provider="p", model="m"))


def status(counters, total=1000):
    """Return the run's snapshot, with the pace of its requests."""
    requests, tokens = counters.pace(Clock.monotonic())
    return counters.snapshot(
        counters.tracker_copy(),
        state="running",
        project="p",
        total=total,
        requests_per_minute=requests,
        tokens_per_minute=tokens,
    )


def test_rates_and_the_time_left_are_those_since_the_change(clock):
    """
    A run that did a row a second for a minute and then a row in four seconds says so at once.
    """
    counters = Counters()
    answer(counters, 60, 60, clock)
    before = status(counters)
    counters.restart_pace()
    answer(counters, 5, 20, clock)
    after = status(counters)

    assert before.eta_seconds == pytest.approx(940)
    assert before.rows_per_second == pytest.approx(1.0)
    assert after.eta_seconds == pytest.approx(935 * 4)
    assert after.rows_per_second == pytest.approx(0.25)
    assert after.requests_per_minute == pytest.approx(15, rel=0.1)
    assert after.tokens_per_minute == pytest.approx(150, rel=0.1)
    assert "0.2 rows/s" in progress.figures(after)


def test_nothing_is_foretold_right_after_a_change(clock):
    """
    Ten seconds have to pass, as at the start: until then the card estimates.
    """
    counters = Counters()
    answer(counters, 60, 60, clock)
    counters.restart_pace()
    answer(counters, 5, 5, clock)
    shown = status(counters)

    assert shown.eta_seconds is None
    assert card(dataclasses.replace(snapshot(), **pace(shown)), 0.0)["hero"]["left"] == [
        "estimating time left"
    ]


def pace(shown):
    """Return what a snapshot says of the pace."""
    return {"seconds": shown.seconds, "pace": shown.pace}


def test_the_end_tells_the_mean(clock):
    """
    Of a run that is over the rate is that since its start.
    """
    counters = Counters()
    answer(counters, 60, 60, clock)
    counters.restart_pace()
    answer(counters, 10, 40, clock)
    over = dataclasses.replace(status(counters), state="finished")

    assert over.rows_per_second == pytest.approx(0.7)


def test_each_change_starts_the_figures_anew(provider):
    """
    Pause, resume and other limits: each is where the rates begin from then on.
    """
    run = ask(provider, questions(2_000), max_concurrent_requests=1)
    seen = [run.status().pace.seconds]
    for change in (run.pause, run.resume, lambda: run.set_limits(max_concurrent_requests=2)):
        change()
        bridge.call(asyncio.sleep(0))  # the loop has taken it
        seen.append(run.status().pace.seconds)
    run.cancel()

    assert seen == sorted(set(seen))
