"""A run's steps on the loop thread: pull rows, look them up, ask them, take outcomes, stop.

The window bounds memory: a row is pulled only when fewer than `window` rows
stand between being pulled and being released. Only those rows have a task.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import functools
import logging
from collections.abc import AsyncIterable, Callable, Iterable
from typing import Any

from llmnb import bridge
from llmnb.decide.admission import DEFAULT_CONCURRENCY
from llmnb.display import texts
from llmnb.engine import gc_thresholds, request_log, row_errors
from llmnb.engine.handover import OutcomeStream
from llmnb.engine.persistence import stored_answer
from llmnb.engine.race import RacingTask
from llmnb.engine.request_task import RequestTask
from llmnb.engine.row_claim import NEVER
from llmnb.engine.row_errors import copy_of
from llmnb.engine.run_context import RunContext, RunOptions, Store
from llmnb.engine.shared import DRAIN_SECONDS, StoredAnswer, TaskResult, engine
from llmnb.engine.source import CHUNK_ROWS, InputSource, get_ready, open_source
from llmnb.engine.status import State
from llmnb.engine.target import Call, Prepare, Row
from llmnb.errors import (
    AccountError,
    BudgetExceeded,
    LLMNBError,
    SchemaMismatch,
    Stopped,
    StoreError,
    without_money,
)
from llmnb.records import Outcome
from llmnb.store.entry import Entry

logger = logging.getLogger("llmnb")

LISTENING_SECONDS = 1.0
"""How long a run's end waits, at most, until listeners to costs have heard of its last."""

READ_WHAT_CAME_SECONDS = 0.05
"""A cancelled run still reads for so long what has come already."""

STOP_ANSWER_SECONDS = 0.8
"""A stopped run hands its partial result over after this, at the latest."""

_ERRORS_OF_ITS_RUN = (Stopped, AccountError, StoreError, BudgetExceeded)
"""Errors of a request that are no reason for a waiting row of another run to give up."""

_UNREAD = object()
"""Stands for the value of a structured answer that is still to be read."""


class RunLoop:
    """One run's state and steps; everything but reading plain counters happens on the loop.

    Args:
        inputs: Any iterable or async iterable; read lazily, never changed.
        prepare: Turns an input into a row.
        store: The project's store.
        options: How the run behaves.
        loop: llmnb's own loop.
        on_outcome: Called with every outcome.
        at_end: Called once every row has its outcome, before anybody is told.
    """

    def __init__(
        self,
        inputs: Iterable[Any] | AsyncIterable[Any] | InputSource,
        prepare: Prepare,
        store: Store,
        options: RunOptions,
        loop: asyncio.AbstractEventLoop,
        on_outcome: Callable[[Outcome], None] | None,
        at_end: Callable[[], None] | None = None,
    ) -> None:
        self.context = RunContext(store, options, self._on_disabled)
        self.counts = self.context.counters.tracker
        self.state: State = "running"
        self.total: int | None
        """Rows in all; None while nobody knows."""

        self.kept: list[Outcome | None] = []
        """Outcomes by row, where they are not streamed."""

        self.streamed = OutcomeStream(in_order=options.in_order) if options.streams else None
        self.tasks: dict[int, RequestTask] = {}
        """Request tasks that rows of this run have opened, by row."""

        self.first_error: LLMNBError | None = None
        """What stopped a whole target or the buying."""

        self.done: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._source, self.total = open_source(inputs)
        self._prepare = prepare
        self._loop = loop
        self._on_outcome = on_outcome
        self._at_end = at_end
        self._index = options.index
        self._items: dict[int, Any] = {}
        """Inputs whose outcome is not there yet."""

        self._seen = 0
        """How the store stood, as the project's claims see it, before the latest look-up."""

        self._answered: set[str] = set()
        """Keys that this run has answered, where what is stored is not used otherwise."""

        self._postponed: list[Callable[[], None]] = []
        """Rows to ask once the run goes on."""

        self._rows_in_window = 0
        """Rows that were pulled and are not released."""

        races = (options.hedge_after, options.time_limit) != (None, None)
        self._new_task = RacingTask if races else RequestTask
        self._window = options.window or _window(
            options.limits.intersect(options.account).concurrency
        )
        # Chunks are worth waiting for: one look-up answers them all.
        self._pulls_below = self._window - max(0, min(CHUNK_ROWS, self._window // 4) - 1)
        """More rows are pulled when fewer than so many are in the window."""

        self._room = asyncio.Event()
        self._idle = asyncio.Event()

    @property
    def is_active(self) -> bool:
        """Whether nobody has stopped it."""
        return self.state in ("running", "paused")

    # ----------------------------------------------------------- from its begin to its end

    def begin(self) -> None:
        """Start; an error in it is the run's end, and not only the loop's concern."""
        gc_thresholds.raise_thresholds()
        if self.context.claims is not None:
            self.context.claims.enter()
        under_way().add(self)
        try:
            self._engine = engine()
            self._size_commits()
            self._pulling = self._loop.create_task(self._pull())
            self._driving = self._loop.create_task(self._drive())
        except Exception as error:
            self._end(error)

    async def _drive(self) -> None:
        try:
            # A stop does not wait for a slow source: it cancels the pulling.
            with contextlib.suppress(asyncio.CancelledError):
                await self._pulling
            if self.total not in (None, self.counts.num_rows):
                await self._skip_the_rest()
            while self.counts.num_rows_done < self.counts.num_rows:
                self._idle.clear()
                await self._idle.wait()
            await bridge.LISTENERS.drain(LISTENING_SECONDS)
        except BaseException as error:
            self._end(error)
            if not isinstance(error, Exception):
                raise
        else:
            self._end(None)

    def _end(self, error: BaseException | None) -> None:
        if self.context.claims is not None:
            self.context.claims.leave()
        self.context.close()
        gc_thresholds.restore_thresholds()
        under_way().discard(self)
        self.context.counters.end()
        self.state = self.context.counters.end_state
        try:
            if self._at_end is not None:
                self._at_end()
        finally:
            if error is None:
                self.done.set_result(None)
            else:
                self.done.set_exception(error)
            if self.streamed is not None:
                self.streamed.wake()

    def apply_limits(self) -> None:
        """Hold every target to the limits in the context's options, which have changed."""
        self.context.claim_limits()
        self.context.counters.restart_pace()
        options = self.context.options
        concurrency = options.limits.intersect(options.account).concurrency
        window = max(self._window, _window(concurrency))
        self._pulls_below += window - self._window
        self._window = window
        self._room.set()
        self._size_commits()

    def _size_commits(self) -> None:
        """Commit so often that a killed process loses about what it has in flight, not more."""
        options = self.context.options
        named = [limits.concurrency or 0 for limits in options.pool_limits.values()]
        limits = options.limits.intersect(options.account)
        slots = limits.concurrency or max(named, default=0) or DEFAULT_CONCURRENCY
        self.context.store.enough = slots if slots >= 32 else max(1, slots // 2)
        self.context.backlog.most = slots

    # --------------------------------------------------------------- rows in, looked up first

    async def _pull(self) -> None:
        """Take rows as long as there are any and there is room."""
        counts = self.counts
        while self.is_active and self.context.end is None:
            if self._rows_in_window >= self._pulls_below or self.state == "paused":
                self._room.clear()
                await self._room.wait()
                continue
            items = await self._source.take(self._window - self._rows_in_window)
            if not items:
                self.total = counts.num_rows
                return
            first = counts.num_rows
            self._open(len(items))
            self._items.update(enumerate(items, first))
            await self._take(first, items)

    def _open(self, rows: int) -> None:
        """Expect so many further rows."""
        self.counts.num_rows += rows
        self._rows_in_window += rows
        if self.streamed is None:
            self.kept += [None] * rows

    async def _take(self, first: int, items: list[Any]) -> None:
        """Prepare a chunk, look it up, and ask what is not answered yet."""
        await get_ready(items)
        with self._engine.lookup():
            rows = [self._prepare(item, number) for number, item in enumerate(items, first)]
            if self.context.claims is not None:
                self._seen = self.context.claims.look()
            keys = [row.call.key for row in rows if row.call is not None]
            keys += [call.key for row in rows for call in row.further]
            if not self.context.options.use_cache:
                keys = [key for key in keys if key in self._answered]
            entries = await self.context.look_up(keys) if keys else {}
            good_finish = self.context.options.good_finish
            for number, row in enumerate(rows, first):
                if row.call is None:
                    self._fail(number, row, row.error or Stopped("Not asked."))
                    continue
                # Any of its targets may have answered it.
                calls = (row.call, *row.further)
                stored = stored_answer(calls, entries, good_finish) if entries else None
                if stored is None:
                    self._ask(number, row, row.call)
                else:
                    self._serve(number, row, stored)

    def _serve(self, number: int, row: Row, stored: StoredAnswer, value: Any = _UNREAD) -> None:
        """Give a row what the store holds of it."""
        call, error = stored.call, stored.error
        if error is not None:
            value = None
            if call.target.is_free:
                without_money(error)
            error.with_details(row=number, provider=call.target.provider, model=call.target.model)
        elif call.check is None:
            value = None
        elif value is _UNREAD:
            if call.checks_in_thread:
                serving = self._serve_checked(number, row, stored)
                self._engine.look_after(self._loop.create_task(serving))
                return
            try:
                value = call.check(stored.reply)
            except SchemaMismatch:
                # What was bought is repaired, not bought anew.
                self._ask(number, row, call, stored)
                return
        outcome = stored.outcome(number)
        outcome.value, outcome.metadata, outcome.tag = value, row.metadata, row.tag
        self._finish(outcome)

    async def _serve_checked(self, number: int, row: Row, stored: StoredAnswer) -> None:
        """Give a row what the store holds of it, once foreign code has read it."""
        try:
            value = await stored.call.value_of(stored.reply)
        except Exception:  # its request task comes upon the same, and reports it
            value = _UNREAD
        if number not in self._items:
            return
        if value is _UNREAD:
            self._ask(number, row, stored.call, stored)
        else:
            self._serve(number, row, stored, value)

    # ------------------------------------------------------------------- rows that are asked

    def _ask(
        self,
        number: int,
        row: Row,
        call: Call,
        stored: StoredAnswer | None = None,
        seen: int | None = None,
    ) -> None:
        """Let a row wait for an identical request in flight, or ask it by a task of its own.

        Args:
            number: Position of the row.
            row: The row.
            call: What to ask first.
            stored: A stored answer that only needs to be repaired.
            seen: How the store stood when the row was looked up; None: as at the latest look-up.
        """
        if not self.is_active:
            self._fail(number, row, row_errors.not_asked())
            return
        if self.state == "paused":
            self._postponed.append(functools.partial(self._ask, number, row, call, stored, NEVER))
            return
        waiter = functools.partial(self._on_result, number, row, call)
        if self._engine.join(call.key, waiter, self.context):
            return
        seen = self._seen if seen is None else seen
        left = [call, *row.further]
        request = self._new_task(call.key, self.context, left, stored, seen, number)
        self._engine.requests[call.key] = request
        request.waiters.append((waiter, self.context))
        self.tasks[number] = request
        request.task = task = self._loop.create_task(request.ask())
        self._engine.tasks.add(task)
        task.add_done_callback(functools.partial(self._on_task_done, request))

    def _on_task_done(self, request: RequestTask, task: asyncio.Task[TaskResult]) -> None:
        # A task cancelled before its first step has run nothing of the request.
        self._engine.tasks.discard(task)
        result = request.stopped_result() if task.cancelled() else task.result()
        request.release_claim()
        self._engine.resolve(request, result)

    def _on_result(
        self, number: int, row: Row, call: Call, result: TaskResult, is_merged: bool
    ) -> None:
        """Turn the result of a request task, its own or an identical row's, into an outcome."""
        own = self.tasks.pop(number, None)
        if number not in self._items:
            return
        if own is not None and own.started is not None and not is_merged:
            self.counts.num_tasks_in_progress -= 1
        outcome, is_of_other_store = result.outcome, result.store is not self.context.store
        error = None if outcome is None else outcome.error
        is_in_other_store = result.stored is not None and is_of_other_store
        is_no_answer = isinstance(error, _ERRORS_OF_ITS_RUN) or is_in_other_store
        if is_merged and is_no_answer and self.is_active:
            # Its run ended, or its account or budget; ours may well go on.
            # Another process may have asked it since it was looked up.
            self._ask(number, row, call, seen=NEVER)
            return
        if result.stored is not None:
            self._serve(number, row, result.stored)
            return
        assert outcome is not None
        if is_merged:
            outcome = dataclasses.replace(
                outcome,
                row=number,
                error=None if error is None else copy_of(error),
                source="merged",
                usd=0.0,
                saved_usd=outcome.usd or outcome.saved_usd,
                attempts=0,
                hedged=False,
            )
        elif error is None and not self.context.options.use_cache:
            self._answered.add(call.key)
        outcome.metadata, outcome.tag = row.metadata, row.tag
        if outcome.error is not None:
            outcome.error.with_details(row=number)
        if is_merged and result.entry is not None and is_of_other_store:
            self._engine.look_after(self._loop.create_task(self._adopt(result.entry, outcome)))
        else:
            self._finish(outcome)

    async def _adopt(self, entry: Entry, outcome: Outcome) -> None:
        """Save another project's answer in ours before it is shown."""
        try:
            await self.context.store.aput(entry)
        except StoreError as error:
            self.counts.num_unsaved += 1
            self.context.disable("", error)
        if outcome.row in self._items:
            self._finish(outcome)

    def _on_disabled(self, pool: str, error: LLMNBError) -> None:
        """Drop what waits for a refused account, or for anything once saving fails."""
        if self.first_error is None:
            self.first_error = error
        for request in list(self.tasks.values()):
            if not request.is_sending and pool in ("", request.call.target.pool):
                request.wake()

    # --------------------------------------------------------------------------- outcomes

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
        self._items.pop(outcome.row, None)
        self.context.counters.enter(outcome)
        if request_log.requests_log.level != request_log.SILENT:
            request_log.log_end(outcome)
        if self._index is not None:
            self._index.add(outcome)
        if self._on_outcome is not None:
            self._on_outcome(outcome)
        if self.streamed is None:
            self.kept[outcome.row] = outcome
            self._rows_in_window -= 1  # as `release` does, which is a call more for every row
            if self._rows_in_window < self._pulls_below:
                self._room.set()
        else:
            self.streamed.put(outcome)
        if not self._items:
            self._idle.set()

    def release(self, rows: int) -> None:
        """Make room in the window."""
        self._rows_in_window -= rows
        if self._rows_in_window < self._pulls_below:
            self._room.set()

    def replace_failed(self, row: int, outcome: Outcome) -> None:
        """Put a later outcome in a failed row's place, and count it."""
        before = self.kept[row]
        if before is None or before.error is None or isinstance(outcome.error, Stopped):
            return
        self.kept[row] = later = dataclasses.replace(outcome, row=row)
        self.context.counters.replace(before, later)
        self.context.counters.enter_price(outcome.usd or 0.0, outcome.simulated)
        if self._index is not None:
            self._index.add(later)

    # -------------------------------------------------------------------------- stop and go

    def pause(self) -> None:
        """Send nothing new."""
        if self.state == "running":
            self.state = "paused"
            self.context.counters.restart_pace()
            self.context.pause()
            for request in list(self.tasks.values()):
                if request.is_waiting or not request.is_sending:
                    request.stand_aside()

    def resume(self) -> None:
        """Go on."""
        if self.state == "paused":
            self.state = "running"
            self.context.counters.restart_pace()
            self._ask_postponed()
            self._room.set()

    def _ask_postponed(self) -> None:
        self.context.resume()
        later, self._postponed = self._postponed, []
        for ask in later:
            ask()

    def stop(self, answers_within: float = STOP_ANSWER_SECONDS) -> None:
        """Send nothing new, and hand over what there is after so many seconds."""
        if not self.is_active:
            return
        self.state = "stopping"
        self.context.is_stopped = True
        self._room.set()
        self._ask_postponed()
        for request in list(self.tasks.values()):
            if not request.is_sending and request.task is not None:
                request.task.cancel()
        self._loop.call_later(answers_within, self.close_open_rows)
        self._loop.call_later(DRAIN_SECONDS, self.cancel)

    def close_open_rows(self) -> None:
        """Hand the partial result over; what is in flight goes on into the store."""
        if self.done.done():
            return
        self._pulling.cancel()
        self.counts.num_tasks_in_progress = 0
        for number, item in list(self._items.items()):
            request = self.tasks.get(number)
            is_sending = request is not None and request.is_sending
            row = self._prepare(item, number)
            error = row_errors.still_underway() if is_sending else row_errors.not_asked()
            self._fail(number, row, error)

    def cancel(self) -> None:
        """Drop what is in flight at once."""
        self.stop()
        # Replies that are there already are read and kept; what is still coming is dropped.
        self._loop.call_later(READ_WHAT_CAME_SECONDS, self._drop, list(self.tasks.values()))
        if not self.done.done():
            self.close_open_rows()

    def _drop(self, requests: list[RequestTask]) -> None:
        """Cancel request tasks, but not those that other runs wait for, too."""
        for request in requests:
            others = any(run is not self.context for _, run in request.waiters)
            if not others and request.task is not None:
                request.task.cancel()

    async def _skip_the_rest(self) -> None:
        """Give every row that was never pulled its outcome, where their number is known."""
        assert self.total is not None
        first = self.counts.num_rows
        self._open(self.total - first)
        error, items = self.context.end, iter(await self._source.rest())
        for number in range(first, self.total):
            row = Row(call=None, tag=next(items, None))
            self._fail(number, row, copy_of(error) if error else row_errors.not_asked())


def _window(concurrency: int | None) -> int:
    """Return how many rows may be under way: enough to keep every slot taken, not more."""
    if concurrency is None:
        return 2048  # slots are found by trying, and may become many
    return min(8192, max(512, 4 * concurrency))


def under_way() -> set[RunLoop]:
    """Return the runs that have begun and not ended; call it on the loop thread."""
    return bridge.per_loop("runs", set[RunLoop], end_all)


async def end_all(runs: set[RunLoop]) -> None:
    """End all runs, for the process ends; what is in flight is waited for `DRAIN_SECONDS` long."""
    unfinished, tasks = [run for run in runs if run.is_active], engine().tasks
    for run in unfinished:
        run.stop(answers_within=DRAIN_SECONDS)
    if tasks:
        await asyncio.wait(tasks, timeout=DRAIN_SECONDS)
    for task in tasks:
        task.cancel()
    ends = [asyncio.wrap_future(run.done) for run in runs]
    for run in list(runs):
        run.close_open_rows()
    if ends:
        await asyncio.wait(ends, timeout=LISTENING_SECONDS + 1.0)
    if rows := sum(run.counts.num_stopped for run in unfinished):
        logger.warning(
            "The program ended before %s had an answer. What was answered is kept: run it again "
            "to ask only what is missing. To wait for a run, end with run.wait().",
            texts.counted(rows, "row"),
        )
