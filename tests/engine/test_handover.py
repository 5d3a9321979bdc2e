"""Promises of what a run's outcomes are handed over by."""

from __future__ import annotations

import asyncio
import concurrent.futures

import pytest

from llmnb.engine.handover import OutcomeStream
from llmnb.records import Outcome


class EndsBetweenLooks(concurrent.futures.Future):
    """A run whose last outcome and end come just before the reader asks for the n-th time."""

    def __init__(self, handover: OutcomeStream, look: int) -> None:
        super().__init__()
        self._handover = handover
        self._looks_left = look

    def done(self) -> bool:
        self._looks_left -= 1
        if self._looks_left == 0:
            # As on the loop's thread, which needs no lock that this thread holds meanwhile.
            self._handover._due.append(Outcome(row=0))
            self.set_result(None)
        return super().done()


@pytest.mark.parametrize("look", [1, 2, 3])
@pytest.mark.parametrize("is_awaited", [False, True])
def test_an_outcome_that_comes_with_the_end_is_read(look, is_awaited):
    """
    Whenever the run ends between the reader's looks, its last row is not lost.
    """
    handover = OutcomeStream()
    done = EndsBetweenLooks(handover, look)

    async def read_all() -> list[int]:
        waker = asyncio.create_task(wake_until(done, handover))
        rows = [outcome.row async for outcome in handover.aread(done, lambda taken: None)]
        waker.cancel()
        return rows

    if is_awaited:
        rows = asyncio.run(read_all())
    else:
        outcomes = handover.read(done, lambda taken: None, slice_seconds=0.01, on_wait=None)
        rows = [outcome.row for outcome in outcomes]

    assert rows == [0]


async def wake_until(done: concurrent.futures.Future, handover: OutcomeStream) -> None:
    """Wake the reader again and again, as a run does at each outcome."""
    while not concurrent.futures.Future.done(done):
        handover.wake()
        await asyncio.sleep(0)
    handover.wake()
