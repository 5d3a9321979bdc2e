"""Waiting for the end of what goes on beside its owner: blocking in slices, or awaited."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Generator
from typing import Any

from llmnb import bridge
from llmnb.display import durations
from llmnb.engine.status import Clock

Done = concurrent.futures.Future[Any]
"""The end of something; its exception is raised to whoever waits."""


def is_over(done: Done, timeout: float | None) -> bool:
    """Block until the end; False if `timeout` seconds were not enough."""
    try:
        done.result(timeout)
    except TimeoutError:
        if not done.done():
            return False
        raise
    return True


def block(done: Done, timeout: float | None, what: str) -> None:
    """Block until the end, in slices, so that an interrupt is noticed.

    Args:
        done: The end.
        timeout: Seconds to wait; None waits as long as it takes.
        what: What is waited for, such as ``"The run"``.

    Raises:
        TimeoutError: If it takes longer; it goes on.
    """
    began = Clock.monotonic()
    while not is_over(done, bridge.SLICE_SECONDS):
        if timeout is not None and Clock.monotonic() >= began + timeout:
            raise TimeoutError(f"{what} is not done after {durations.given(timeout)}; it goes on.")


def until(done: Done) -> Generator[Any, None, None]:
    """Await the end, inside an `__await__`."""
    # Shielded: an awaiting task that is cancelled must not cancel the end itself.
    yield from asyncio.shield(asyncio.wrap_future(done)).__await__()
