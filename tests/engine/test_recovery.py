"""A server that serves fewer than are asked for comes back from an outage; time is faked."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random

import pytest
from hand_clock import HandClock

import llmnb.decide.breaker
from llmnb.engine.gate import Gate
from llmnb.errors import ProviderError
from llmnb.records import Limits

ROWS, SLOTS, PLACES, ATTEMPTS = 100, 40, 20, 3

SENT = SLOTS + 4
"""Requests that are sent before the breaker opens at the fifth failure: each of the first four
gives its slot to one more."""


class Simulation:
    """Rows asked through a gate of a server that fails whatever is more than its places.

    At first all slots are taken. Nearly a place's worth of the requests is being served, slowly;
    what was sent next has failed; only the last one is answered soon.

    Args:
        seed: Of how long everything takes.
    """

    def __init__(self, *, seed: int) -> None:
        self.clock = HandClock()
        self.gate = Gate(Limits(), clock=self.clock, rand=lambda: 0.5)
        self.sent = [0] * ROWS
        self.answered = [False] * ROWS
        self._dice = random.Random(seed)
        self._events: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._numbers = itertools.count()
        self._serving = 0

    async def _pass(self, seconds: float) -> None:
        """Wait on the faked clock."""
        due: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._events, (self.clock.now + seconds, next(self._order), due))
        await due

    async def _serve(self) -> bool:
        """Return whether the server answers, after as long as it takes."""
        number = next(self._numbers)
        await self._pass(self._dice.uniform(0.001, 0.002))
        if PLACES - 1 <= number < SENT - 1:
            await self._pass(0.01)
            return False
        self._serving += 1
        is_good = self._serving <= PLACES
        await self._pass(0.06 if number < PLACES - 1 else 0.03)
        self._serving -= 1  # as its last bytes leave
        await self._pass(self._dice.uniform(0.001, 0.002))
        return is_good

    async def _ask(self, row: int) -> None:
        await self._pass(row * 0.00001)
        while self.sent[row] < ATTEMPTS:
            ticket = await self.gate.admit(0, run=self, row=row, failures=self.sent[row])
            self.sent[row] += 1
            self.answered[row] = await self._serve()
            if self.answered[row]:
                self.gate.on_success(ticket, 0.03)
            else:
                self.gate.on_failure(ticket, ProviderError("failed", status=500))
            self.gate.release(ticket, used=0.0, was_sent=True)
            if self.answered[row]:
                return
            if not self.gate.health.breaker.is_open:
                await self._pass(self._dice.uniform(0.0, 0.02))

    async def run(self) -> None:
        """Ask all rows until each is answered or given up."""
        self.gate.claim(self, Limits(concurrency=SLOTS))
        first = await self.gate.admit(0, run=self)  # else a handful goes first
        self.gate.account.on_reply((), first, self.clock(), None)
        self.gate.release(first, used=0.0, was_sent=True)
        tasks = [asyncio.create_task(self._ask(row)) for row in range(ROWS)]
        while True:
            for _ in range(6):
                await asyncio.sleep(0)
            if all(task.done() for task in tasks):
                break
            probe = self.clock.now + self.gate.blocked_seconds()
            if self.gate.health.breaker.is_open and not (
                self._events and self._events[0][0] <= probe
            ):
                self.clock.now = probe
                self.gate.advance()
            else:
                self.clock.now, _, due = heapq.heappop(self._events)
                due.set_result(None)
        await asyncio.gather(*tasks)


@pytest.mark.parametrize("back_off", [0.02, 0.05])
async def test_a_failure_beside_requests_sent_before_an_outage_costs_no_row_later(
    monkeypatch, back_off
):
    """
    What was in flight as it was sent is the level, though few of them were sent since.
    """
    monkeypatch.setattr(llmnb.decide.breaker, "FIRST_BACK_OFF", 0.0)
    monkeypatch.setattr(llmnb.decide.breaker, "SHORTEST_BACK_OFF", back_off)
    lost = {}
    for seed in range(20):
        simulation = Simulation(seed=seed)
        await simulation.run()
        if not all(simulation.answered):
            lost[seed] = simulation.answered.count(False)

    assert lost == {}


async def test_a_slow_start_is_not_over_before_all_slots_have_been_tried():
    """
    Slots that three answers have made for four: the first failure among the four halves them.
    """
    clock = HandClock()
    gate = Gate(Limits(), clock=clock)
    gate.claim("run", Limits(concurrency=4))

    async def begun(row):
        clock.now += 0.01
        return await gate.admit(0, run="run", row=row)

    def end(ticket, *, is_good):
        clock.now += 0.01
        if is_good:
            gate.on_success(ticket, 0.01)
        else:
            gate.on_failure(ticket, ProviderError("failed", status=500))
        gate.release(ticket, used=0.0, was_sent=True)

    for row in range(5):
        end(await begun(row), is_good=False)
    clock.now += 100.0
    for row in range(5, 8):
        end(await begun(row), is_good=True)
    assert gate.slots == 4
    tickets = [await begun(row) for row in range(8, 12)]
    end(tickets[-1], is_good=False)

    assert gate.slots == 2


async def slowly_started(*runs):
    """Return a gate in front of a target that has just come back, and its clock."""
    clock = HandClock()
    gate = Gate(Limits(), clock=clock)
    for run in runs:
        gate.claim(run, Limits(concurrency=8))
    for row in range(6):
        clock.now += 100.0
        ticket = await gate.admit(0, run=runs[0], row=row)
        clock.now += 0.01
        if row < 5:
            gate.on_failure(ticket, ProviderError("failed", status=500))
        else:
            gate.on_success(ticket, 0.01)
        gate.release(ticket, used=0.0, was_sent=True)
    return gate, clock


async def test_of_the_rows_that_have_failed_those_go_first_that_failed_least():
    """
    A row with one attempt left is sent when others have shown that it may be answered.
    """
    gate, clock = await slowly_started("run")
    clock.now += 1.0
    scout = await gate.admit(0, run="run", row=0, failures=1)
    waiting = [
        asyncio.ensure_future(gate.admit(0, run="run", row=row, failures=failures))
        for row, failures in ((1, 2), (2, 1))
    ]
    await asyncio.sleep(0)
    gate.release(scout, used=0.0, was_sent=True)
    await asyncio.sleep(0)

    assert [task.done() for task in waiting] == [False, True]
    waiting[0].cancel()


async def test_rows_that_wait_for_a_slow_start_hold_up_no_other_run():
    """
    Where all rows of a run have failed, they go one by one; another run has its turn meanwhile.
    """
    gate, clock = await slowly_started("run", "another")
    for _ in range(4):  # room for several
        clock.now += 1.0
        ticket = await gate.admit(0, run="another", row="answered")
        clock.now += 0.01
        gate.on_success(ticket, 0.01)
        gate.release(ticket, used=0.0, was_sent=True)
    await gate.admit(0, run="run", row=0, failures=1)
    again = asyncio.ensure_future(gate.admit(0, run="run", row=1, failures=1))
    await asyncio.sleep(0)
    other = asyncio.ensure_future(gate.admit(0, run="another", row="new"))
    await asyncio.sleep(0)

    assert not again.done()
    assert other.done()
    again.cancel()
