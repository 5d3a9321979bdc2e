"""A run as its owner holds it: look at it, steer it, wait for it, from any thread.

The work itself is done by a `Walk` on the loop thread. A `Run` only reads
counters, or hands a call over to the loop.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterable, Callable, Generator, Iterable, Iterator
from typing import Any

from llmnb import bridge
from llmnb.engine.options import RunOptions, Store
from llmnb.engine.status import Clock, StatusSnapshot, frozen
from llmnb.engine.target import Prepare
from llmnb.engine.waiting import waiting_on
from llmnb.engine.walk import Walk
from llmnb.errors import ConfigurationError, LLMNBError
from llmnb.records import Outcome

_last_run: Run | None = None


def last_run() -> Run | None:
    """Return the run started last in this process, finished or not; None before the first."""
    return _last_run


class Run:
    """Many inputs on their way to as many outcomes.

    Made by the doors (`AsyncLLM`, the command line, …), not by hand.

    Args:
        inputs: Any iterable or async iterable; read lazily, never changed.
        prepare: Turns an input into a row.
        store: The project's store.
        options: How the run behaves.
    """

    def __init__(
        self,
        inputs: Iterable[Any] | AsyncIterable[Any],
        prepare: Prepare,
        store: Store,
        options: RunOptions,
    ) -> None:
        global _last_run
        self._loop = bridge.loop_thread().loop
        self._walk = Walk(inputs, prepare, store, options, self._loop)
        _last_run = self
        self._loop.call_soon_threadsafe(self._walk.begin)

    # ----------------------------------------------------- from any thread: reading

    def status(self) -> StatusSnapshot:
        """Return a frozen picture of the run as it is now."""
        counts = dataclasses.replace(self._walk.counts)
        in_flight = sum(flight.is_sending for flight, _ in list(self._walk.leading.values()))
        launched = min(counts.num_rows_done + in_flight, counts.num_rows)
        end = self._walk.ended if self._walk.ended is not None else Clock.monotonic()
        return StatusSnapshot(
            state=self._walk.state,
            total=self._walk.total,
            launched=launched,
            completed=counts.num_rows_done,
            counts=counts,
            failures=frozen(self._walk.failures),
            waiting_on=self._because(in_flight),
            in_flight=in_flight,
            seconds=end - self._walk.started,
            project=self._walk.store.name,
            models=frozen(self._walk.models),
            simulated=self._walk.simulated,
        )

    def _because(self, in_flight: int) -> str:
        gates = {
            flight.call.target.pool: (flight.call.target.provider, flight.gate)
            for flight, _ in list(self._walk.leading.values())
        }
        return waiting_on(
            self._walk.state, gates.values(), in_flight=in_flight, now=Clock.monotonic()
        )

    def partial(self) -> list[Outcome | None]:
        """Return the outcomes so far in input order, None where there is none yet."""
        outcomes = self._walk.kept.outcomes
        return [*outcomes, *([None] * ((self._walk.total or 0) - len(outcomes)))]

    def failures(self) -> list[Outcome]:
        """Return the outcomes that are errors."""
        return [
            one
            for one in list(self._walk.kept.outcomes)
            if one is not None and one.error is not None
        ]

    @property
    def error(self) -> LLMNBError | None:
        """What stopped a whole target or the buying, None where all went well."""
        return self._walk.first_error

    @property
    def is_done(self) -> bool:
        """Whether every input has its outcome."""
        return self._walk.done.done()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until every input has its outcome; False if `timeout` seconds were not enough."""
        try:
            self._walk.done.result(timeout)
        except TimeoutError:
            if not self._walk.done.done():
                return False
            raise
        return True

    def result(self, timeout: float | None = None) -> list[Outcome]:
        """Block for the outcomes, one for each input, in input order.

        Args:
            timeout: Seconds to wait; None waits as long as it takes.

        Raises:
            TimeoutError: If the run takes longer; it goes on.
        """
        until = None if timeout is None else Clock.monotonic() + timeout
        while not self.wait(bridge.SLICE_SECONDS):
            if until is not None and Clock.monotonic() >= until:
                raise TimeoutError(f"The run is not done after {timeout:g} s; it goes on.")
        return [one for one in self._walk.kept.outcomes if one is not None]

    def __await__(self) -> Generator[Any, None, list[Outcome]]:
        # Shielded: an awaiting task that is cancelled must not cancel the run's end.
        yield from asyncio.shield(asyncio.wrap_future(self._walk.done)).__await__()
        return [one for one in self._walk.kept.outcomes if one is not None]

    def outcomes(self, on_wait: Callable[[], None] | None = None) -> Iterator[Outcome]:
        """Yield outcomes in input order as they are ready, and forget them.

        Only for a run with `RunOptions(streams=True)`. The run goes no further
        ahead of the reader than its window.

        Args:
            on_wait: Called about ten times a second while waiting, such as to draw bars.
        """
        if self._walk.streamed is None:
            raise ConfigurationError("This run keeps its outcomes: read them with result().")
        return self._walk.streamed.read(
            self._walk.done,
            lambda rows: self._loop.call_soon_threadsafe(self._walk.release, rows),
            slice_seconds=bridge.SLICE_SECONDS,
            on_wait=on_wait,
        )

    # ----------------------------------------------------- from any thread: acting

    def pause(self) -> None:
        """Send nothing new; what is in flight is finished and stored."""
        self._loop.call_soon_threadsafe(self._walk.pause)

    def resume(self) -> None:
        """Go on after `pause`."""
        self._loop.call_soon_threadsafe(self._walk.resume)

    def stop(self) -> None:
        """Send nothing new and hand over what there is; the next run asks only what is missing."""
        self._loop.call_soon_threadsafe(self._walk.stop)

    def cancel(self) -> None:
        """Stop, and drop what is in flight at once; it may be billed and lost."""
        self._loop.call_soon_threadsafe(self._walk.cancel)
