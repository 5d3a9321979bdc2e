"""Whole runs of the engine in simulated time: hours pass in milliseconds, each seed its own run.

Everything is the engine's own but the clock, the store and the server: a `RunLoop` on an event
loop that never waits, since it sets its clock to the next timer instead.
"""

from __future__ import annotations

import asyncio
import functools
import random
import selectors
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from unittest import mock

import llmnb.decide.retry
import llmnb.engine.run_context
import llmnb.engine.run_loop
import llmnb.engine.shared
from llmnb.engine.run_context import RunOptions
from llmnb.engine.run_loop import RunLoop
from llmnb.engine.shared import Engine
from llmnb.engine.status import Clock
from llmnb.engine.target import Call, Row
from llmnb.errors import ProviderError
from llmnb.records import Limits, Outcome, RawReply, Reply

Fails = Callable[[int, int, float, int], bool]
"""Whether a server fails a request: by its number from 0, its row, the time, and how many the
server has at that moment, this one included."""


class _Selector(selectors.SelectSelector):
    """Never waits for a timer: it moves the loop's clock to it."""

    now = 0.0

    def select(self, timeout=None):
        if timeout is not None and timeout > 0:
            self.now += timeout
            timeout = 0.0
        return super().select(timeout)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes as fast as its timers can be called."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


class ForgetfulStore:
    """A project's store that keeps nothing."""

    enough = 1
    name = "simulated"
    claims = None

    async def aput(self, entry) -> None:
        pass


@dataclass
class Server:
    """A server, as the target of a run's calls.

    Args:
        dice: How long everything takes.
        fails: Which requests it fails.
        seconds: How long an answer takes, more or less.
        lag: Seconds, at most, until it notices that a reply was read.
    """

    dice: random.Random
    fails: Fails
    seconds: float = 0.03
    lag: float = 0.0
    provider: str = "simulated"
    model: str = "m"
    pool: str = "simulated"
    dialect_name: str = "openai.chat"
    endpoint: str = "http://127.0.0.1"
    limits: Limits = field(default_factory=Limits)
    is_free: bool = False
    sent: Counter[int] = field(default_factory=Counter)
    """Requests that were sent for each row."""

    _serving: int = 0

    async def send(self, call, *, on_delta):
        loop, number = asyncio.get_running_loop(), self.sent.total()
        self.sent[call.body["row"]] += 1
        await asyncio.sleep(self.dice.uniform(0.001, 0.002))
        self._serving += 1
        is_failing = self.fails(number, call.body["row"], loop.time(), self._serving)
        await asyncio.sleep(0.005 if is_failing else self.seconds * self.dice.uniform(0.9, 1.1))
        loop.call_later(self.dice.uniform(0.0, self.lag), self._end)
        await asyncio.sleep(self.dice.uniform(0.001, 0.002))
        if is_failing:
            raise ProviderError("HTTP 500", status=500)
        return RawReply(status=200, headers={}, body=b"{}", seconds=self.seconds)

    def _end(self) -> None:
        self._serving -= 1

    def judge(self, raw):
        return None

    def read(self, raw):
        return Reply(text="yes", finish_reason="stop")

    def announced(self, raw):
        return ()

    def charge(self, call):
        return 0.0

    def used(self, reserved, usage):
        return 0.0

    def price(self, usage, model):
        return 0.0


@contextmanager
def simulated_time(seed: int) -> Iterator[asyncio.AbstractEventLoop]:
    """Let an engine of its own live on a loop of simulated time, with known dice."""
    loop = SimulatedLoop()
    engines: list[Engine] = []

    def engine() -> Engine:
        if not engines:
            engines.append(Engine())
        return engines[0]

    llmnb.decide.retry._own.seed(seed)
    with ExitStack() as stack:
        stack.callback(loop.close)
        stack.callback(llmnb.decide.retry._own.seed)
        patched = functools.partial(mock.patch.object, new=engine)
        for module in (llmnb.engine.run_loop, llmnb.engine.run_context, llmnb.engine.shared):
            stack.enter_context(patched(module, "engine"))
        stack.enter_context(mock.patch.object(Clock, "monotonic", staticmethod(loop.time)))
        yield loop


def outcomes(rows: int, server: Server, options: RunOptions, *, seed: int) -> list[Outcome]:
    """Ask so many rows of a server and return their outcomes."""

    def prepare(item, number):
        return Row(Call(server, {"row": number}, b"", b"", f"row {number}"))

    async def ended(run):
        async with asyncio.timeout(24 * 3600):
            await asyncio.wrap_future(run.done)

    with simulated_time(seed) as loop:
        run = RunLoop(list(range(rows)), prepare, ForgetfulStore(), options, loop, None)
        loop.call_soon(run.begin)
        loop.run_until_complete(ended(run))
        return run.kept
