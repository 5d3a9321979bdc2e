"""Promises of the gate: strict order, nothing lost when a waiter leaves."""

from __future__ import annotations

import asyncio

import pytest
from hand_clock import HandClock

from llmnb.engine.gate import Gate
from llmnb.engine.lanes import Ticket
from llmnb.records import Limits


@pytest.fixture
def clock():
    return HandClock()


def leave(gate):
    """End a request that reserved no tokens."""
    lane, sent = gate.lanes.of(None), gate.account.announced.on_sent(0.0)
    gate.release(Ticket(0, lane, sent), used=0, was_sent=True)


async def settle():
    """Let every task that can run do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_waiters_are_admitted_in_the_order_they_came(clock):
    """
    Strict first come, first served.
    """
    gate = Gate(Limits(concurrency=1), clock=clock)
    await gate.admit(0)
    order = []

    async def wait(name):
        await gate.admit(0)
        order.append(name)

    tasks = [asyncio.create_task(wait(name)) for name in "abc"]
    await settle()
    for _ in range(3):
        leave(gate)
        await settle()

    assert order == ["a", "b", "c"]
    await asyncio.gather(*tasks)


async def test_a_refused_request_goes_before_those_who_never_went(clock):
    """
    It was first before, so it is first again.
    """
    gate = Gate(Limits(concurrency=1), clock=clock)
    await gate.admit(0)
    order = []

    async def wait(name, is_first):
        await gate.admit(0, is_first=is_first)
        order.append(name)

    tasks = [asyncio.create_task(wait("new", False))]
    await settle()
    tasks.append(asyncio.create_task(wait("refused", True)))
    await settle()
    for _ in range(2):
        leave(gate)
        await settle()

    assert order == ["refused", "new"]
    await asyncio.gather(*tasks)


async def test_a_large_request_is_not_starved_by_small_ones(clock):
    """
    While it waits at the head, smaller ones behind it wait too.
    """
    gate = Gate(Limits(tokens_per_minute=600), clock=clock)
    await gate.admit(9)
    large = asyncio.create_task(gate.admit(9))
    await settle()
    small = asyncio.create_task(gate.admit(1))
    await settle()
    assert not small.done()

    clock.now = 0.9
    gate.advance()
    await settle()

    assert large.done()
    assert not small.done()
    small.cancel()
    await asyncio.gather(small, return_exceptions=True)


async def test_a_large_request_among_small_ones_waits_its_fair_time(clock):
    """
    Six tenths of the bucket go when those before it and itself have flowed in, and no later.
    """
    # 100 a second, 90 at once
    gate = Gate(Limits(tokens_per_minute=6000, concurrency=100), clock=clock)
    await gate.admit(90)
    before = [asyncio.create_task(gate.admit(5)) for _ in range(10)]
    large = asyncio.create_task(gate.admit(54))
    behind = [asyncio.create_task(gate.admit(5)) for _ in range(20)]
    fair = (10 * 5 + 54) / 100

    while clock.now < fair - 0.015:
        clock.now += 0.01
        gate.advance()
        await settle()
        assert not large.done()
    clock.now = fair
    gate.advance()
    await settle()

    assert large.done()
    assert all(waiting.done() for waiting in before)
    assert not any(waiting.done() for waiting in behind)
    for waiting in behind:
        waiting.cancel()
    await asyncio.gather(*behind, return_exceptions=True)


async def test_a_cancelled_waiter_leaves_no_hole(clock):
    """
    The next one takes its place, and no place is lost.
    """
    gate = Gate(Limits(concurrency=1), clock=clock)
    await gate.admit(0)
    leaving = asyncio.create_task(gate.admit(0))
    staying = asyncio.create_task(gate.admit(0))
    await settle()

    leaving.cancel()
    await settle()
    leave(gate)
    await settle()

    assert staying.done()
    assert gate.in_flight == 1


async def test_a_waiter_cancelled_in_the_moment_of_its_turn_hands_it_back(clock):
    """
    Admitted and cancelled in one step: the place is free again.
    """
    gate = Gate(Limits(concurrency=1), clock=clock)
    await gate.admit(0)
    waiter = asyncio.create_task(gate.admit(0))
    await settle()

    leave(gate)  # gives the turn to the waiter …
    waiter.cancel()  # … which is cancelled before it runs
    await asyncio.gather(waiter, return_exceptions=True)

    assert gate.in_flight == 0


async def test_the_smallest_claim_of_all_runs_holds(clock):
    """
    Two runs on one account: the stricter limit binds both.
    """
    gate = Gate(Limits(), clock=clock)
    gate.claim("a", Limits(), Limits(requests_per_minute=60))
    gate.claim("b", Limits(), Limits(requests_per_minute=600))

    assert gate.account.admission.limits.requests_per_minute == 60
    gate.release_claim("a")
    assert gate.account.admission.limits.requests_per_minute == 600


async def test_a_second_run_gets_no_fresh_burst(clock):
    """
    The bucket outlives the run that emptied it.
    """
    gate = Gate(Limits(), clock=clock)
    gate.claim("first", Limits(), Limits(requests_per_minute=60))
    await gate.admit(0)
    leave(gate)
    gate.release_claim("first")

    gate.claim("second", Limits(), Limits(requests_per_minute=60))

    assert gate.account.admission.wait(0, clock.now) == pytest.approx(1.0)


async def test_cost_of_admission_does_not_grow_with_the_queue(clock):
    """
    Admitting from a queue of ten thousand looks at its head only.
    """
    gate = Gate(Limits(concurrency=1), clock=clock)
    await gate.admit(0)
    waiters = [asyncio.create_task(gate.admit(0)) for _ in range(10_000)]
    await settle()
    clock.reads = 0

    leave(gate)

    assert clock.reads <= 2
    for waiter in waiters:
        waiter.cancel()
    await asyncio.gather(*waiters, return_exceptions=True)
