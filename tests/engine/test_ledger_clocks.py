"""Clocks that are set, machines that sleep (fault 36): no burst, no hang, by the ledger."""

from __future__ import annotations

import asyncio
import email.utils
import time

import pytest
from asking import ask, kinds, questions
from laboratory.ledger_queries import is_within

from llmnb.decide.admission import Admission
from llmnb.decide.breaker import Breaker
from llmnb.engine.gate import Gate
from llmnb.engine.status import Clock
from llmnb.records import Limits
from llmnb.testing import SimulatedProvider, faults

HOUR = 3600.0
PER_MINUTE = 1200


class Shifted:
    """The machine's clocks, set forward or back by hand."""

    def __init__(self, monkeypatch):
        self.steady = self.wall = 0.0
        monotonic, now = time.monotonic, time.time
        monkeypatch.setattr(Clock, "monotonic", lambda: monotonic() + self.steady)
        monkeypatch.setattr(Clock, "wall", lambda: now() + self.wall)
        monkeypatch.setattr("llmnb.targets.target.time.time", lambda: now() + self.wall)


@pytest.fixture
def clocks(monkeypatch):
    return Shifted(monkeypatch)


@pytest.mark.parametrize("hours", [1, -1], ids=["forward", "back"])
@pytest.mark.parametrize("which", ["steady", "wall"])
def test_a_clock_that_jumps_an_hour_brings_no_burst_and_no_hang(clocks, which, hours):
    """
    In the midst of a run with a limit: the ledger sees the limit kept, and every row answered.
    """
    with SimulatedProvider() as sim:
        run = ask(sim, questions(60), max_requests_per_minute=PER_MINUTE)
        sim.wait_received(25)
        setattr(clocks, which, hours * HOUR)

        assert kinds(run) == [""] * 60
        # One more burst than without the jump at most, as after any pause.
        assert is_within(sim.ledger, PER_MINUTE, burst=2.0)


def test_an_hour_asleep_during_a_pause_is_no_refusal_for_an_hour(clocks):
    """
    Refused, then asleep: the row is asked again and answered, not given up for `max_wait`.
    """
    with SimulatedProvider(faults=[faults.rate_limited(retry_after=0.2)] * 2) as sim:
        run = ask(sim, questions(3), max_concurrent_requests=1, max_wait=600)
        while not run.status().counts.num_rate_limit_errors:
            run.wait(0.01)
        clocks.steady = HOUR

        assert kinds(run) == [""] * 3
        assert run.status().counts.num_rate_limit_errors == 2


@pytest.mark.parametrize("hours", [24, -24])
def test_a_wrong_date_makes_no_wait_of_hours(clocks, hours):
    """
    A date in `Retry-After` that our clock puts into tomorrow: said so; into yesterday: no wait.
    """
    soon = email.utils.formatdate(time.time(), usegmt=True)
    clocks.wall = hours * HOUR
    with SimulatedProvider(faults=[faults.rate_limited(retry_after=soon)]) as sim:
        (outcome,) = ask(sim, questions(1)).result(60)

    if hours > 0:
        assert outcome.error is None
    else:
        assert type(outcome.error).__name__ == "RateLimited"
        assert "come back in" in outcome.error.message


def test_a_breaker_asleep_for_an_hour_sends_a_single_probe():
    """
    Not all that waited, though its time is long past.
    """
    breaker = Breaker(rand=lambda: 1.0)
    for row in range(5):
        breaker.on_failure(0.0, row, sent_at=0.0)

    assert [breaker.try_send(HOUR) for _ in range(3)] == [True, False, False]


def test_an_hour_asleep_fills_a_limit_once():
    """
    Admission after the sleep is admission after any pause: one burst, then the pace.
    """
    admission = Admission(Limits(requests_per_minute=600, tokens_per_minute=60_000), now=0.0)
    passed = 0
    while admission.wait(tokens=10, now=HOUR) <= 0:
        admission.admit(tokens=10, now=HOUR)
        passed += 1
        assert passed < 20

    assert passed == 9


async def test_a_timer_of_an_hour_is_looked_at_every_second(monkeypatch):
    """
    Whatever the clock did meanwhile, whoever waits is let in within a second of being due.
    """
    delays = []
    loop = asyncio.get_running_loop()
    later = loop.call_later

    def call_later(delay, *arguments, **options):
        delays.append(delay)
        return later(0, *arguments, **options)

    now = [0.0]
    gate = Gate(Limits(requests_per_minute=1), clock=lambda: now[0])
    await gate.admit(0)
    waiter = asyncio.create_task(gate.admit(0))
    await asyncio.sleep(0)
    monkeypatch.setattr(loop, "call_later", call_later)
    gate.advance()
    now[0] = HOUR
    await waiter

    assert delays
    assert max(delays) <= 1.0
