"""A run's walk on the loop thread: pull rows, look them up, launch registry, take outcomes, stop.

The window bounds memory: a row is pulled only when fewer than `window` rows
stand between being pulled and being released. Only those rows have a task.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import functools
from collections.abc import AsyncIterable, Callable, Iterable
from typing import Any

from llmnb import bridge
from llmnb.decide.admission import DEFAULT_CONCURRENCY
from llmnb.decide.hedge import Hedger
from llmnb.display import moments
from llmnb.engine import collector, request_log
from llmnb.engine.attempt import Answered
from llmnb.engine.backlog import Backlog
from llmnb.engine.checking import value_of
from llmnb.engine.coalesce import TaskResult
from llmnb.engine.counters import Counters
from llmnb.engine.gate import Gate
from llmnb.engine.handover import Handover, Kept, Streamed
from llmnb.engine.options import RunOptions, Store
from llmnb.engine.persistence import stored_answer
from llmnb.engine.request_task import NEVER, NOT_ASKED, RequestTask
from llmnb.engine.run_context import RunContext, copied
from llmnb.engine.shared import DRAIN_SECONDS, engine
from llmnb.engine.source import CHUNK_ROWS, InputSource, get_ready, open_source
from llmnb.engine.status import State
from llmnb.engine.target import Call, Prepare, Row, Target
from llmnb.errors import (
    AccountError,
    BudgetExceeded,
    LLMNBError,
    SchemaMismatch,
    Stopped,
    StoreError,
)
from llmnb.records import Limits, Outcome, Reply, Source
from llmnb.store.entry import Entry

READ_WHAT_CAME_SECONDS = 0.05
"""A cancelled run still reads for so long what has come already."""

LISTENING_SECONDS = 1.0
"""How long a run's end waits, at most, until those who listen to costs have heard of its last."""

STOP_ANSWER_SECONDS = 0.8
"""A stopped run hands its partial result over after this, at the latest."""


UNREAD = object()
"""Stands for the value of a structured answer that is still to be read."""


class RunLoop:
    """One run's state and steps; everything but reading plain counters happens on the loop.

    Args:
        inputs: Any iterable or async iterable; read lazily, never changed.
        prepare: Turns an input into a row.
        store: The project's store.
        options: How the run behaves.
        loop: llmnb's own loop.
    """

    def __init__(
        self,
        inputs: Iterable[Any] | AsyncIterable[Any] | InputSource,
        prepare: Prepare,
        store: Store,
        options: RunOptions,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.source, self.total = open_source(inputs)
        self.store = store
        self.counters = Counters()
        self.counts = self.counters.tracker
        self.state: State = "running"
        self.kept = Kept()
        self.streamed = Streamed(in_order=options.in_order) if options.streams else None
        self.gates: dict[str, tuple[Target, Gate]] = {}
        """Targets in use, by pool."""
        self.first_error: LLMNBError | None = None
        self.leading: dict[int, tuple[RequestTask, asyncio.Task[TaskResult]]] = {}
        self.on_outcome: Callable[[Outcome], None] | None = None
        """Told of every outcome, on the loop thread."""

        self.done: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._prepare = prepare
        self.options = options
        self._loop = loop
        self._handover: Handover = self.streamed or self.kept
        self._items: dict[int, Any] = {}
        """Inputs whose outcome is not there yet."""

        self._seen = 0
        """How the store stood, as the project's claims see it, before the latest look-up."""

        self._released = 0
        self._later: list[tuple[int, Row, Call, Answered | None]] = []
        """Rows to launch once the run goes on."""

        self._waited: dict[str, tuple[float, Gate]] = {}
        self._answered: set[str] = set()
        self._window = options.window or _window(options.limits.within(options.account).concurrency)
        # Chunks are worth waiting for: one look-up answers them all.
        self._enough_room = max(1, min(CHUNK_ROWS, self._window // 4))

    def __str__(self) -> str:
        """Return how another run's card names this one."""
        begun = moments.clock(self.counters.started_at)
        return f"run “{self.store.name}” of {begun}"

    @property
    def elsewhere(self) -> int:
        """Rows that wait for the answer of another process."""
        return self._context.waiting_rows["process"] if self.leading else 0

    @property
    def beside(self) -> int:
        """Rows that wait for the answer of another run of this process."""
        return self._context.waiting_rows["run"] if self.leading else 0

    # -------------------------------------------------------------------- the walk

    def begin(self) -> None:
        """Start walking; an error in it is the run's end, and not only the loop's concern."""
        try:
            self._begin()
        except Exception as error:
            self._end(error)

    def _begin(self) -> None:
        options = self.options
        collector.calm()
        self._engine = engine()
        self._room = asyncio.Event()
        self._idle = asyncio.Event()
        self._context = RunContext(
            run=self,
            store=self.store,
            policy=options.policy,
            counters=self.counters,
            gate_of=self._gate_of,
            backlog=Backlog(0),
            time_limit=options.time_limit,
            hedger=None if options.hedge_after is None else Hedger(options.hedge_after),
            budget=options.budget,
            on_delta=options.on_delta,
            prepare=options.prepare,
            use_cache=options.use_cache,
            claims=self.store.claims if options.use_cache else None,
            good_finish=options.good_finish,
            on_disabled=self._on_disabled,
        )
        self._context.resumed.set()
        self._share_commits()
        self._pulling = self._loop.create_task(self._pull())
        self._driving = self._loop.create_task(self._drive())

    async def _drive(self) -> None:
        try:
            # A stop does not wait for a slow source: it cancels the pulling.
            with contextlib.closing(self._context), self._context.using_claims():
                with contextlib.suppress(asyncio.CancelledError):
                    await self._pulling
                await self._skip_the_rest()
                await self._settled()
                await bridge.LISTENERS.rest(LISTENING_SECONDS)
        except BaseException as error:
            self._end(error)
            if not isinstance(error, Exception):
                raise
        else:
            self._end(None)

    def _gate_of(self, call: Call) -> Gate:
        known = self.gates.get(call.target.pool)
        if known is not None:
            return known[1]
        gate = self._engine.gate_of(call)
        self.gates[call.target.pool] = (call.target, gate)
        self._waited[call.target.pool] = (gate.waited, gate)
        self._claim(call.target.pool, gate)
        return gate

    def _claim(self, pool: str, gate: Gate) -> None:
        """Hold a pool to the run's limits and to those of the model that was named."""
        options = self.options
        further, account = options.pool_limits.get(pool), options.account
        gate.claim(self, options.limits, account if further is None else account.within(further))
        if self.state == "paused":
            gate.pause_run(self)

    def set_limits(self, limits: Limits, account: Limits) -> None:
        """Hold every target to other limits from now on: this run's, and the account's."""
        self.options = dataclasses.replace(self.options, limits=limits, account=account)
        for pool, (_, gate) in self.gates.items():
            self._claim(pool, gate)
        self._window = max(self._window, _window(limits.within(account).concurrency))
        self._room.set()
        self._share_commits()

    def _share_commits(self) -> None:
        """Let what a killed process loses stay in proportion to what is in flight."""
        named = [one.concurrency or 0 for one in self.options.pool_limits.values()]
        limits = self.options.limits.within(self.options.account)
        places = limits.concurrency or max(named, default=0) or DEFAULT_CONCURRENCY
        self.store.enough = places if places >= 32 else max(1, places // 2)
        self._context.backlog.most = places

    async def _pull(self) -> None:
        """Take rows as long as there are any and there is room."""
        counts = self.counts
        while self._is_going and self._context.end is None:
            room = self._room_left()
            if room < self._enough_room or self.state == "paused":
                self._room.clear()
                await self._room.wait()
                continue
            items = await self.source.take(room)
            if not items:
                self.total = counts.num_rows
                return
            first = counts.num_rows
            counts.num_rows += len(items)
            self._handover.open(len(items))
            self._items.update(enumerate(items, first))
            await self._take(first, items)

    def _room_left(self) -> int:
        return self._window - (self.counts.num_rows - self._released)

    async def _take(self, first: int, items: list[Any]) -> None:
        """Prepare a chunk, look it up, and launch what is not answered yet."""
        await get_ready(items)
        with self._engine.registry.lookup():
            rows = [self._prepare(item, number) for number, item in enumerate(items, first)]
            if self._context.claims is not None:
                self._seen = self._context.claims.look()
            found = await self._look_up(rows)
            for number, row in enumerate(rows, first):
                call = row.call
                if call is None:
                    self._fail(number, row, row.error or Stopped("Not asked."))
                elif not found or not self._answer(number, row, call, found):
                    self._launch(number, row, call)

    async def _look_up(self, rows: list[Row]) -> dict[str, Entry]:
        keys = [row.call.key for row in rows if row.call is not None]
        keys += [call.key for row in rows for call in row.further]
        if not self.options.use_cache:
            keys = [key for key in keys if key in self._answered]
        if not keys:
            return {}
        return await self._loop.run_in_executor(None, self.store.lookup, keys)

    def _answer(self, number: int, row: Row, call: Call, found: dict[str, Entry]) -> bool:
        """Answer a row from the store if any of its targets has answered it there."""
        calls = (call, *row.further) if row.further else (call,)
        kept = stored_answer(calls, found, self.options.good_finish)
        if kept is None:
            return False
        self._serve(number, row, *kept)
        return True

    def _serve(
        self,
        number: int,
        row: Row,
        call: Call,
        entry: Entry,
        reply: Reply,
        error: LLMNBError | None,
        value: Any = UNREAD,
    ) -> None:
        """Give a row what the store keeps of it."""
        if error is not None:
            value = None
            error.with_details(row=number, provider=call.target.provider, model=call.target.model)
        elif call.check is None:
            value = None
        elif value is UNREAD:
            if call.checks_apart:
                serving = self._serve_checked(number, row, call, entry, reply)
                self._engine.look_after(self._loop.create_task(serving))
                return
            try:
                value = call.check(reply)
            except SchemaMismatch:
                # What was bought is mended, not bought anew.
                self._launch(number, row, call, Answered.before(call, entry, reply))
                return
        self._finish(
            Outcome(
                row=number,
                reply=reply,
                error=error,
                value=value,
                key=call.key,
                provider=call.target.provider,
                model=call.target.model,
                source="cached" if entry.reused_from is None else "reused",
                simulated=entry.simulated,
                usd=0.0,
                saved_usd=entry.usd,
                metadata=row.metadata,
                tag=row.tag,
            )
        )

    async def _serve_checked(
        self, number: int, row: Row, call: Call, entry: Entry, reply: Reply
    ) -> None:
        """Give a row what the store keeps of it, once foreign code has read it."""
        try:
            value = await value_of(call, reply)
        except Exception:  # its request_task comes upon the same, and tells it
            if self._handover.is_open(number):
                self._launch(number, row, call, Answered.before(call, entry, reply))
        else:
            if self._handover.is_open(number):
                self._serve(number, row, call, entry, reply, None, value)

    # --------------------------------------------------------------------- registry

    def _launch(
        self,
        number: int,
        row: Row,
        call: Call,
        known: Answered | None = None,
        seen: int | None = None,
    ) -> None:
        """Carry a row by a request task of its own, or let it join an identical one."""
        if not self._is_going:
            self._fail(number, row, _not_asked())
            return
        if self.state == "paused":
            self._later.append((number, row, call, known))
            return
        registry = self._engine.registry
        merged = functools.partial(self._on_result, number, row, call, True)
        if registry.join(call.key, merged, self):
            return
        if seen is None:
            seen = self._seen
        alone = functools.partial(self._on_result, number, row, call, False)
        shared = registry.open(call.key, alone, self)
        request_task = RequestTask(
            (call, *row.further), self._context, number, shared, known=known, seen=seen
        )
        shared.make_way = request_task.make_way
        task = self._loop.create_task(request_task.run())
        self.leading[number] = (request_task, task)
        self._engine.tasks.add(task)
        task.add_done_callback(functools.partial(self._on_task_done, request_task))

    def _on_task_done(self, request_task: RequestTask, task: asyncio.Task[TaskResult]) -> None:
        # A task cancelled before its first step has run nothing of the request_task.
        self._engine.tasks.discard(task)
        result = request_task.stopped() if task.cancelled() else task.result()
        request_task.give_up_claim()
        self._engine.registry.resolve(request_task.key, request_task.shared, result)

    def _on_result(
        self, number: int, row: Row, call: Call, is_merged: bool, result: TaskResult
    ) -> None:
        """Turn a result into the row's outcome."""
        leading = self.leading.pop(number, None)
        if not self._handover.is_open(number):
            return
        if is_merged:
            self._on_shared_result(number, row, call, result)
            return
        if leading is not None and leading[0].started is not None:
            self.counts.num_tasks_in_progress -= 1
        if result.found is not None:
            self._serve(number, row, *result.found)
            return
        if result.error is None and not self.options.use_cache:
            self._answered.add(call.key)
        self._finish(_outcome(number, row, call, result, "sent"))

    def _on_shared_result(self, number: int, row: Row, call: Call, result: TaskResult) -> None:
        """Take over the answer of an identical row, perhaps of another run or project."""
        is_in_their_store = result.found is not None and result.store is not self.store
        if self._is_going and (isinstance(result.error, _ANOTHER_RUNS) or is_in_their_store):
            # Its run ended, or its account or budget; ours may well go on.
            # Another process may have asked it since it was looked up.
            self._launch(number, row, call, seen=NEVER)
            return
        if result.found is not None:
            self._serve(number, row, *result.found)
            return
        outcome = _outcome(number, row, call, result, "merged")
        if result.entry is None or result.store is self.store:
            self._finish(outcome)
        else:
            self._engine.look_after(self._loop.create_task(self._adopt(result.entry, outcome)))

    async def _adopt(self, entry: Entry, outcome: Outcome) -> None:
        """Save another project's answer in ours before it is shown."""
        try:
            await self.store.aput(entry)
        except StoreError as error:
            self.counts.num_unsaved += 1
            self._context.disable("", error)
        if self._handover.is_open(outcome.row):
            self._finish(outcome)

    @property
    def _is_going(self) -> bool:
        return self.state in ("running", "paused")

    # -------------------------------------------------------------------- outcomes

    def _fail(self, number: int, row: Row, error: LLMNBError) -> None:
        if not isinstance(error, Stopped):
            self.counts.num_other_errors += 1
        self._finish(
            Outcome(
                row=number,
                error=error.with_details(row=number),
                key=row.call.key if row.call is not None else None,
                metadata=row.metadata,
                tag=row.tag,
            )
        )

    def _finish(self, outcome: Outcome) -> None:
        """Give a row its outcome."""
        counts = self.counts
        self._items.pop(outcome.row, None)
        self.counters.enter(outcome)
        if request_log.requests_log.level != request_log.SILENT:
            request_log.log_end(outcome)
        if self.on_outcome is not None:
            self.on_outcome(outcome)
        self.release(self._handover.put(outcome))
        if counts.num_rows_done >= counts.num_rows:
            self._idle.set()

    def release(self, rows: int) -> None:
        """Make room in the window."""
        self._released += rows
        if self._room_left() >= self._enough_room:
            self._room.set()

    async def _settled(self) -> None:
        """Wait until every pulled row has its outcome."""
        while self.counts.num_rows_done < self.counts.num_rows:
            self._idle.clear()
            await self._idle.wait()

    def _end(self, error: BaseException | None) -> None:
        for _, gate in self.gates.values():
            gate.release_claim(self)
        collector.as_before()
        self.counters.end()
        self.state = self.counters.end_state
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)
        if self.streamed is not None:
            self.streamed.wake()

    def mend(self, row: int, outcome: Outcome) -> None:
        """Put a later outcome in a failed row's place, and count it."""
        before = self.kept.outcomes[row]
        if before is None or before.error is None or isinstance(outcome.error, Stopped):
            return
        self.kept.outcomes[row] = mended = dataclasses.replace(outcome, row=row)
        self.counters.mend(before, mended)
        self.counts.usd += outcome.usd or 0.0

    def waited_seconds(self) -> float:
        """Return for how many seconds providers have asked this run to wait."""
        return sum(gate.waited - before for before, gate in self._waited.values())

    # ------------------------------------------------------------- stop and go (loop)

    def pause(self) -> None:
        """Send nothing new."""
        if self.state == "running":
            self.state = "paused"
            self._engine.paused.add(self.stop)
            self._context.resumed.clear()
            for _, gate in self.gates.values():
                gate.pause_run(self)
            for request_task, _ in list(self.leading.values()):
                if request_task.is_waiting or not request_task.is_sending:
                    request_task.stand_aside()

    def resume(self) -> None:
        """Go on."""
        if self.state == "paused":
            self.state = "running"
            self._let_go()
            self._room.set()

    def _let_go(self) -> None:
        self._engine.paused.discard(self.stop)
        self._context.resumed.set()
        for _, gate in self.gates.values():
            gate.resume_run(self)
        later, self._later = self._later, []
        for number, row, call, known in later:
            self._launch(number, row, call, known, NEVER)

    def stop(self) -> None:
        """Send nothing new, and soon hand over what there is."""
        if not self._is_going:
            return
        self.state = "stopping"
        self._context.is_stopped = True
        self._room.set()
        self._let_go()
        for request_task, task in list(self.leading.values()):
            if not request_task.is_sending:
                task.cancel()
        self._loop.call_later(STOP_ANSWER_SECONDS, self._close_open_rows)
        self._loop.call_later(DRAIN_SECONDS, self.cancel)

    def _close_open_rows(self) -> None:
        """Hand the partial result over; what is in flight goes on into the store."""
        if self.done.done():
            return
        self._pulling.cancel()
        self.counts.num_tasks_in_progress = 0
        for number in self._handover.open_rows():
            leading = self.leading.get(number)
            is_sending = leading is not None and leading[0].is_sending
            row = self._prepare(self._items[number], number)
            self._fail(number, row, _in_flight() if is_sending else _not_asked())

    def cancel(self) -> None:
        """Drop what is in flight at once."""
        self.stop()
        # Replies that are there already are read and kept; what is still coming is dropped.
        self._loop.call_later(READ_WHAT_CAME_SECONDS, self._drop, list(self.leading.values()))
        if not self.done.done():
            self._close_open_rows()

    def _drop(self, leading: list[tuple[RequestTask, asyncio.Task[TaskResult]]]) -> None:
        """Cancel registry, but not those that other runs wait for, too."""
        registry = self._engine.registry
        for request_task, task in leading:
            if not registry.is_shared(request_task.key, self):
                task.cancel()

    async def _skip_the_rest(self) -> None:
        """Give every row that was never pulled its outcome, where their number is known."""
        if self.total is None or self.total == self.counts.num_rows:
            return
        first, self.counts.num_rows = self.counts.num_rows, self.total
        self._handover.open(self.total - first)
        error, items = self._context.end, iter(await self.source.rest())
        for number in range(first, self.total):
            row = Row(call=None, tag=next(items, None))
            self._fail(number, row, copied(error) if error else _not_asked())

    def _on_disabled(self, pool: str, error: LLMNBError) -> None:
        """Drop what waits for a refused account, or for anything once saving fails."""
        if self.first_error is None:
            self.first_error = error
        for request_task, _ in list(self.leading.values()):
            if not request_task.is_sending and (not pool or request_task.call.target.pool == pool):
                request_task.wake(
                    self._context.why_disabled(request_task.call.target.pool) or error
                )


_ANOTHER_RUNS = (Stopped, AccountError, StoreError, BudgetExceeded)
"""Errors of a request_task that are no reason for a waiter of another run to give up."""


def _window(concurrency: int | None) -> int:
    """Return how many rows may be under way: enough to keep every place taken, not more."""
    if concurrency is None:
        return 2048  # places are found by trying, and may become many
    return min(8192, max(512, 4 * concurrency))


def _outcome(number: int, row: Row, call: Call, result: TaskResult, source: Source) -> Outcome:
    is_merged = source == "merged"
    error = result.error
    if error is not None:
        error = (copied(error) if is_merged else error).with_details(row=number)
    return Outcome(
        row=number,
        reply=result.reply,
        error=error,
        value=result.value,
        key=result.key or call.key,
        provider=result.provider,
        model=result.model,
        source=source,
        simulated=result.simulated,
        usd=0.0 if is_merged else result.usd,
        saved_usd=result.usd if is_merged else None,
        seconds=result.seconds,
        first_token_seconds=result.first_token_seconds,
        attempts=0 if is_merged else result.attempts,
        hedged=result.hedged and not is_merged,
        metadata=row.metadata,
        tag=row.tag,
    )


def _not_asked() -> Stopped:
    return Stopped(NOT_ASKED)


def _in_flight() -> Stopped:
    return Stopped(
        "In request_task when the run was stopped. Its answer goes to the store if it comes within "
        f"{DRAIN_SECONDS:.0f} s: run again to have it.",
        maybe_billed=True,
    )
