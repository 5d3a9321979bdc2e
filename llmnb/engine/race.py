"""Several requests for one row: whoever sends the first token is kept, the others are dropped.

Source: J. Dean and L. A. Barroso, *The Tail at Scale*, Communications of the
ACM 56 (2013): a second request after the usual time of the first cuts the tail
for a few per cent more load. Here it goes by the first token, because the time
of a whole answer follows its length.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable

from llmnb.engine.attempt import Answered, Attempt, Backlog
from llmnb.engine.gate import Gate
from llmnb.engine.lanes import Ticket
from llmnb.engine.target import Call, OnDelta
from llmnb.errors import LLMNBError

Result = Answered | LLMNBError


class Rival(Attempt):
    """A redundant request: it takes the next free place, and may be dropped before it has one.

    Args:
        call: What to ask.
        gate: Where it is to be admitted.
        run: Whose request it is.
        backlog: Answers on their way to the disk: while they are many, places are kept.
        check: Asked when it has a place; raises what forbids to send it.
        on_sent: Told when it is sent.
        on_delta: Gets the pieces of the answer.
    """

    __slots__ = ("_check", "_on_sent", "_run")

    def __init__(
        self,
        call: Call,
        gate: Gate,
        run: object,
        backlog: Backlog,
        *,
        check: Callable[[], None],
        on_sent: Callable[[], None],
        on_delta: OnDelta | None,
    ) -> None:
        super().__init__(call, gate, Ticket(call.target.charge(call)), backlog, on_delta=on_delta)
        self.is_sent = False
        self._check = check
        self._on_sent = on_sent
        self._run = run

    async def send(self) -> Answered | LLMNBError:
        """Wait for a place before all of its run who wait for theirs, then send."""
        try:
            self.ticket = await self.gate.admit(
                self.ticket.reserved, run=self._run, is_first=True, row=self.call.key
            )
        except LLMNBError as error:
            return error
        try:
            self._check()
        except LLMNBError as error:
            self.gate.release(self.ticket, used=0.0, was_sent=False)
            return error
        self.is_sent = True
        self.began = self.gate.clock()
        self._on_sent()
        return await super().send()


class Race:
    """One row's requests while more than one may be on their way.

    Args:
        first: The request that was to be sent anyway.
        due: Returns the seconds until further requests should go, None for never.
        launch: Returns further requests; perhaps none.
        dropped: Told of every request that was cancelled for another's sake.
    """

    def __init__(
        self,
        first: Attempt,
        *,
        due: Callable[[], float | None],
        launch: Callable[[], list[Attempt]],
        dropped: Callable[[Attempt], None],
    ) -> None:
        self._due = due
        self._launch = launch
        self._dropped = dropped
        self._stirred = asyncio.Event()
        self._leader: Attempt | None = None
        self._running: dict[asyncio.Task[Result], Attempt] = {}
        self._errors: list[LLMNBError] = []
        self._enter(first)

    async def result(self) -> Result:
        """Return the kept request's result, or the first error when all have failed."""
        try:
            while True:
                self._collect()
                if (task := self._kept()) is not None:
                    await self._drop_all_but(task)
                    return await task
                if not self._running:
                    return self._errors[0]
                await self._stir()
        except asyncio.CancelledError:
            await self._drop_all_but(None)
            raise

    def first_token_at(self, now: float) -> float:
        """Return when the first token came, by the gates' clock; now where none was seen."""
        leader = self._leader
        if leader is None or leader.first_token is None:
            return now
        return leader.began + leader.first_token

    def _enter(self, attempt: Attempt) -> None:
        attempt.on_first = functools.partial(self._lead, attempt)
        task = asyncio.get_running_loop().create_task(attempt.send())
        task.add_done_callback(lambda _: self._stirred.set())
        self._running[task] = attempt

    def _lead(self, attempt: Attempt) -> bool:
        """Take the lead if nobody has it; whether it is this one's."""
        if self._leader is None:
            self._leader = attempt
            self._stirred.set()
        return self._leader is attempt

    def _collect(self) -> None:
        """Set those aside that have failed without ever leading."""
        for task, attempt in list(self._running.items()):
            if task.done() and attempt is not self._leader:
                result = task.result()
                if isinstance(result, LLMNBError):
                    self._errors.append(result)
                    del self._running[task]

    def _kept(self) -> asyncio.Task[Result] | None:
        for task, attempt in self._running.items():
            if attempt is self._leader or (self._leader is None and task.done()):
                return task
        return None

    async def _stir(self) -> None:
        """Wait for a token, an end, or the time to send further requests."""
        self._stirred.clear()
        try:
            async with asyncio.timeout(self._due()):
                await self._stirred.wait()
        except TimeoutError:
            for attempt in self._launch():
                self._enter(attempt)

    async def _drop_all_but(self, kept: asyncio.Task[Result] | None) -> None:
        """Cancel and await the others, so that their places are settled."""
        others = [task for task in self._running if task is not kept]
        for task in others:
            if not task.done():
                task.cancel()
                if self._running[task].is_sent:
                    self._dropped(self._running[task])
        if others:
            await asyncio.gather(*others, return_exceptions=True)
        for task in others:
            del self._running[task]
