"""What callers who leave cost the others, by the provider's own ledger: nothing."""

from __future__ import annotations

import asyncio
import random

import pytest
from asking import ask, questions, wait_joined
from laboratory import Laboratory

PROMPTS = 100
CALLERS = 20
ROWS = 10_000


def rows_of(caller):
    """Return one caller's share of ten thousand rows of a hundred distinct prompts."""
    dice = random.Random(caller)
    asked = questions(PROMPTS)
    return [dice.choice(asked) for _ in range(ROWS // CALLERS)]


def check(run, caller):
    """Every row of a caller who stayed is answered, and rightly."""
    wanted = [request["messages"][0]["content"] for request in rows_of(caller)]
    assert [outcome.text for outcome in run.result(60)] == wanted


@pytest.mark.parametrize("leave", ["stop", "cancel"])
@pytest.mark.parametrize("seed", range(2))
def test_half_the_callers_leave_and_a_hundred_requests_are_sent(leave, seed):
    """
    10,000 rows of 100 prompts by 20 callers, ten of whom leave at random moments: exactly 100.
    """
    dice = random.Random(seed)
    with Laboratory(latency=0.01, reply=lambda prompt: prompt) as sim:
        sim.hold()
        runs = [ask(sim, rows_of(caller), max_concurrent_requests=8) for caller in range(CALLERS)]
        sim.wait_received(8)
        wait_joined(*runs)  # else what only those who leave wait for is dropped with them
        leaving = dice.sample(range(CALLERS), CALLERS // 2)
        if 0 not in leaving:
            leaving[0] = 0  # the one who leads most of the requests
        for count, caller in enumerate(leaving):
            getattr(runs[caller], leave)()
            sim.release(dice.randrange(8))
            if count == CALLERS // 4:
                sim.release()
        for caller, run in enumerate(runs):
            if caller not in leaving:
                check(run, caller)
        sim.wait_idle()

        assert len(sim.ledger.received) == PROMPTS
        assert len(sim.ledger.finished) == PROMPTS


async def test_awaiting_tasks_that_are_cancelled_cost_nothing():
    """
    Half of the tasks that await runs are cancelled: their runs go on, and a hundred are sent.
    """
    dice = random.Random(7)
    async with Laboratory(latency=0.01, reply=lambda prompt: prompt) as sim:
        runs = [ask(sim, rows_of(caller), max_concurrent_requests=8) for caller in range(CALLERS)]

        async def caller(run):
            return await run

        tasks = [asyncio.create_task(caller(run)) for run in runs]
        await sim.await_received(8)
        for task in dice.sample(tasks, CALLERS // 2):
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)

        assert sum(isinstance(result, asyncio.CancelledError) for result in results) == CALLERS // 2
        for number, result in enumerate(results):
            if isinstance(result, list):
                wanted = [row["messages"][0]["content"] for row in rows_of(number)]
                assert [outcome.text for outcome in result] == wanted
        assert len(sim.ledger.received) == PROMPTS


def test_a_caller_who_cancels_does_not_drop_what_another_waits_for():
    """
    The request goes on under way for the other, is answered once, and is stored.
    """
    with Laboratory(reply=lambda prompt: prompt) as sim:
        sim.hold()
        first = ask(sim, questions(5))
        sim.wait_received(5)
        second = ask(sim, questions(5))
        wait_joined(second)
        first.cancel()
        assert {type(outcome.error).__name__ for outcome in first.result(60)} == {"Stopped"}
        assert not second.wait(0.2)  # longer than the moment that a cancelled run still reads
        sim.release()

        assert [outcome.text for outcome in second.result(60)] == [
            f"question {row}" for row in range(5)
        ]
        assert len(sim.ledger.received) == 5
        assert sim.ledger.totals().cancelled == 0
