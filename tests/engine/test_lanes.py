"""Promises between runs at one gate: whose turn it is, and whose limits bind whom."""

from __future__ import annotations

import asyncio

import pytest
from hand_clock import HandClock

from llmnb.engine.gate import Gate
from llmnb.records import Limits


@pytest.fixture
def clock():
    return HandClock()


async def settle():
    """Let every task that can run do so."""
    for _ in range(5):
        await asyncio.sleep(0)


class Asking:
    """Requests of several runs at one gate, and the order in which they were admitted."""

    def __init__(self, gate):
        self.gate = gate
        self.tickets = []
        self.order = []
        self.tasks = []

    def ask(self, run, requests=1, tokens=0):
        for _ in range(requests):
            self.tasks.append(asyncio.create_task(self._admit(run, tokens)))

    async def _admit(self, run, tokens):
        ticket = await self.gate.admit(tokens, run=run)
        self.tickets.append(ticket)
        self.order.append(run)

    async def answer(self, count=1):
        """End so many requests, one after the other."""
        for _ in range(count):
            self.gate.release(self.tickets.pop(0), used=0, was_sent=True)
            await settle()

    async def end(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def test_runs_take_turns_where_the_accounts_places_bind(clock):
    """
    A question beside a long run goes at most two places later, whoever came first.
    """
    asking = Asking(Gate(Limits(concurrency=1), clock=clock))
    asking.ask("long", 50)
    await settle()
    asking.ask("question")
    await settle()
    await asking.answer(2)

    assert "question" in asking.order[:3]
    await asking.end()


async def test_runs_take_turns_where_slots_are_learned_by_trying(clock):
    """
    Three runs that name no places get one each in turn.
    """
    asking = Asking(gate := Gate(Limits(), clock=clock))
    first = gate.account.finding.limit
    for run in ("a", "b", "c"):
        gate.claim(run, Limits())
    asking.ask("a", 30)
    await settle()
    asking.ask("b", 30)
    asking.ask("c", 30)
    await settle()
    await asking.answer(6)

    later = asking.order[first : first + 6]
    assert sorted(later) == ["a", "a", "b", "b", "c", "c"]
    await asking.end()


async def test_a_run_whose_own_rate_binds_holds_nobody_else_up(clock):
    """
    What one run may send a minute does not bind the question beside it.
    """
    asking = Asking(gate := Gate(Limits(), clock=clock))
    gate.claim("slow", Limits(requests_per_minute=60))
    asking.ask("slow", 10)
    await settle()
    asking.ask("question", 3)
    await settle()

    assert asking.order == ["slow", "question", "question", "question"]
    clock.now = 1.0
    gate.advance()
    await settle()
    assert asking.order[4:] == ["slow"]
    await asking.end()


async def test_a_clock_that_is_set_back_holds_no_run_up(clock):
    """
    A run that waits for its own rate goes on at that rate, not when the old time is reached.
    """
    clock.now = 4000.0
    asking = Asking(gate := Gate(Limits(), clock=clock))
    gate.claim("slow", Limits(requests_per_minute=60))
    asking.ask("slow", 3)
    await settle()
    assert asking.order == ["slow"]
    clock.now = 400.0
    gate.advance()
    clock.now = 401.1
    gate.advance()
    await settle()

    assert asking.order == ["slow", "slow"]
    await asking.end()


async def test_a_run_whose_own_places_bind_holds_nobody_else_up(clock):
    """
    A run of one request at a time leaves room for a run that may send three.
    """
    asking = Asking(gate := Gate(Limits(), clock=clock))
    gate.claim("one", Limits(concurrency=1))
    gate.claim("three", Limits(concurrency=3))
    asking.ask("one", 5)
    await settle()
    asking.ask("three", 5)
    await settle()

    assert asking.order == ["one", "three", "three", "three"]
    await asking.answer()
    assert asking.order[4:] == ["one"]
    await asking.end()


async def test_what_a_run_says_of_the_account_binds_every_run(clock):
    """
    A configured limit holds for a run that came without it, too.
    """
    asking = Asking(gate := Gate(Limits(), clock=clock))
    gate.claim("configured", Limits(), Limits(requests_per_minute=60))
    asking.ask("configured")
    await settle()
    asking.ask("other")
    await settle()

    assert asking.order == ["configured"]
    await asking.end()


async def test_a_large_request_is_not_starved_by_another_runs_small_ones(clock):
    """
    While it is its turn and the account's tokens hold it, smaller ones of others wait too.
    """
    asking = Asking(gate := Gate(Limits(tokens_per_minute=600), clock=clock))
    asking.ask("large", tokens=9)
    await settle()
    asking.ask("large", tokens=9)
    await settle()
    asking.ask("small", 5, tokens=1)
    await settle()
    clock.now = 0.9
    gate.advance()
    await settle()

    assert asking.order == ["large", "large"]
    await asking.end()


async def test_a_paused_run_takes_nothing(clock):
    """
    Its requests keep their places in the queue, and the rate is left for others.
    """
    asking = Asking(gate := Gate(Limits(requests_per_minute=60), clock=clock))
    asking.ask("paused", 30)
    await settle()
    gate.pause_run("paused")
    asking.ask("question", 2)
    for _ in range(3):
        clock.now += 1.0
        gate.advance()
        await settle()
    assert asking.order == ["paused", "question", "question"]

    gate.resume_run("paused")
    await settle()
    assert asking.order == ["paused", "question", "question", "paused"]
    await asking.end()


async def test_a_run_that_was_paused_and_left_leaves_the_whole_burst(clock):
    """
    Thirty requests that waited and went away have used nothing of the limit.
    """
    asking = Asking(gate := Gate(Limits(requests_per_minute=600), clock=clock))
    asking.ask("paused", 30)
    await settle()
    gate.pause_run("paused")
    clock.now = 60.0
    gate.advance()
    await settle()
    await asking.end()
    gate.resume_run("paused")

    later = Asking(gate)
    later.ask("next", 30)
    await settle()
    assert len(later.order) == 9
    await later.end()


async def test_a_runs_own_rate_outlives_it(clock):
    """
    The same question asked again and again gets no burst each time.
    """
    gate = Gate(Limits(), clock=clock)
    gate.claim("first", Limits(requests_per_minute=60))
    gate.release(await gate.admit(0, run="first"), used=0, was_sent=True)
    gate.release_claim("first")
    gate.claim("second", Limits(requests_per_minute=60))
    asking = Asking(gate)
    asking.ask("second")
    await settle()

    assert asking.order == []
    await asking.end()


async def test_the_cost_of_admission_does_not_grow_with_the_runs_that_wait(clock):
    """
    A place that is given back goes to the next of two thousand runs without looking at the rest.
    """
    asking = Asking(gate := Gate(Limits(), clock=clock))
    for run in range(2000):
        gate.claim(run, Limits())
        asking.ask(run)
    await settle()
    looked = []
    own = gate._own_delay
    gate._own_delay = lambda *arguments: looked.append(1) or own(*arguments)
    await asking.answer(20)

    assert len(looked) <= 3 * 20
    await asking.end()


async def test_a_run_says_behind_which_it_stands(clock):
    """
    Only where what both share holds it back; never for its own limits.
    """
    asking = Asking(gate := Gate(Limits(concurrency=1), clock=clock))
    asking.ask("long", 5)
    asking.ask("question")
    await settle()
    assert gate.ahead_of("question") == "long"
    await asking.end()

    asking = Asking(gate := Gate(Limits(), clock=clock))
    gate.claim("slow", Limits(requests_per_minute=60))
    asking.ask("other", 3)
    asking.ask("slow", 3)
    await settle()
    assert gate.reason("slow") == "requests"
    assert gate.ahead_of("slow") is None
    await asking.end()
