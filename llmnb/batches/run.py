"""A batch run as its owner holds it: looked at and waited for like a live one, from any thread."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import logging
from collections.abc import Callable, Mapping
from typing import Any

from llmnb import bridge
from llmnb.batches import rows as outcomes_of
from llmnb.batches.card import card
from llmnb.batches.poller import BatchPoller
from llmnb.batches.records import Failed, Record
from llmnb.batches.rows import BatchRow
from llmnb.engine.counters import Counters
from llmnb.engine.handle import Mode, RunHandle
from llmnb.engine.status import Clock, State, StatusSnapshot
from llmnb.errors import ConfigurationError, LLMNBError, Stopped, StoreError
from llmnb.records import Outcome
from llmnb.store.project import ProjectStore
from llmnb.targets.target import HTTPTarget

logger = logging.getLogger("llmnb")

Again = Callable[[list[BatchRow], Callable[[Outcome], None]], "BatchRun"]
"""Starts a run over rows; what it is given takes each outcome."""

Live = Callable[[list[BatchRow], Callable[[Outcome], None]], RunHandle[list[Outcome]]]
"""The same, asking now."""

_AT_ONCE = 500
"""Keys looked up in one query."""


class BatchRun(RunHandle[list[Outcome]]):
    """Rows whose answers come from a provider's batches.

    It offers what a live run does; `run_id` is the name by which `llmnb.attach` finds it
    again. `stop` leaves the batches at the provider, `withdraw` stops them there.

    Args:
        record: Who is asked.
        target: The same, ready to be asked.
        store: Where answers go.
        rows: Every row.
        pollers: What carries the parts that are waited for, by their name.
        known: Outcomes that are known already, by row.
        again: Starts a run over rows that failed; None where the requests are not at hand.
        live: Asks rows that failed now; likewise.
        on_outcome: Called on the loop thread with each outcome.
    """

    is_batch = True

    def __init__(
        self,
        record: Record,
        target: HTTPTarget,
        store: ProjectStore,
        rows: list[BatchRow],
        pollers: dict[str, BatchPoller],
        *,
        known: Mapping[int, Outcome] | None = None,
        again: Again | None = None,
        live: Live | None = None,
        on_outcome: Callable[[Outcome], None] | None = None,
    ) -> None:
        super().__init__()
        self._record = record
        self._target = target
        self._store = store
        self._rows = rows
        self._pollers = pollers
        self._known = known or {}
        self._again = again
        self._live = live
        self._on_outcome = on_outcome
        self._outcomes: list[Outcome | None] = [None] * len(rows)
        self._counters = Counters(len(rows))
        self._is_stopping = False
        self._waits: list[asyncio.Task[None]] = []
        self._first_error: LLMNBError | None = None
        self._done = bridge.submit(self._walk())
        self._begun()

    # --------------------------------------------------------------------- reading

    @property
    def run_id(self) -> str:
        """Name by which `llmnb.attach` finds it; empty where nothing had to be submitted."""
        return self._record.run_id

    @property
    def project(self) -> str:
        """Name of the project that keeps the answers."""
        return self._store.name

    @property
    def asked(self) -> str:
        """The model in words."""
        return f"{self._record.provider}/{self._record.model}"

    @property
    def error(self) -> LLMNBError | None:
        """What kept a whole batch from being answered, None where all went well."""
        return self._first_error

    def status(self) -> StatusSnapshot:
        """Return a frozen picture of the run as it is now."""
        counts = self._counters.copy()
        pollers = list(self._pollers.values())
        waiting = [one for one in pollers if one.part.is_open]
        sent = sum(
            one.part.standing.requests - one.done
            for one in waiting
            if one.part.standing.state == "submitted"
        )
        return self._counters.snapshot(
            counts,
            state=self._state(),
            project=self.project,
            total=len(self._rows),
            launched=min(len(self._rows), counts.num_rows_done + max(0, sent)),
            in_flight=max(0, sent),
            waiting_on=self._waiting_words(waiting),
            row_of=self.row_of,
        )

    def partial(self) -> list[Outcome | None]:
        """Return the outcomes so far in input order, None where there is none yet."""
        return list(self._outcomes)

    def failures(self) -> list[Outcome]:
        """Return the outcomes that are errors."""
        return [one for one in self._outcomes if one is not None and one.error is not None]

    def _state(self) -> State:
        if self._done.done():
            return self._counters.end_state
        return "stopping" if self._is_stopping else "running"

    def _waiting_words(self, waiting: list[BatchPoller]) -> str:
        if self.is_done or not waiting:
            return ""
        troubled = next((one.error for one in waiting if one.error is not None), None)
        if troubled is not None:
            return troubled.message.partition("\n")[0][:200]
        sent = [one for one in waiting if one.part.standing.state == "submitted"]
        if len(sent) < len(waiting):
            return "the batch to be submitted"
        done = sum(one.done for one in sent)
        total = sum(one.part.standing.requests for one in sent)
        what = "batch" if len(sent) == 1 else f"{len(sent)} batches"
        return f"the provider's {what}: {done:,} of {total:,} done"

    def _finished(self) -> list[Outcome]:
        return [one for one in self._outcomes if one is not None]

    # -------------------------------------------------------------------- steering

    def stop(self) -> None:
        """Wait no longer; the batches go on at the provider, and `llmnb.attach` finds them."""
        if self.run_id and not (self._is_stopping or self.is_done):
            # Who interrupts a script sees nothing else of the run.
            logger.warning(
                "Batch run %s goes on at the provider and will be billed: llmnb.attach(%r) or the "
                "same call again waits for it.",
                self.run_id,
                self.run_id,
            )
        self._is_stopping = True
        bridge.loop_thread().loop.call_soon_threadsafe(self._leave)

    def cancel(self) -> None:
        """Do what `stop` does: what is submitted is paid for, so it is not dropped."""
        self.stop()

    def pause(self) -> None:
        """Change nothing: a batch is in the provider's hands."""

    def resume(self) -> None:
        """Change nothing."""

    def _change_limits(self, limits: dict[str, Any]) -> None:
        """Change nothing: no limit per minute holds for batches."""

    def withdraw(self) -> None:
        """Ask the provider to stop the batches; what it has finished is still kept and billed."""
        for poller in self._pollers.values():
            bridge.call(poller.withdraw())

    def _ask_again(self, failed: list[Outcome], mode: Mode | None) -> RunHandle[list[Outcome]]:
        if mode not in (None, "batch", "live"):
            raise ConfigurationError(f"mode={mode!r} is not there; it is 'batch' or 'live'.")
        ask = self._live if mode == "live" else self._again
        if ask is None:
            raise ConfigurationError(
                "This run was attached to, so its requests are not at hand: run the same cell "
                "again, which asks only what is missing."
            )
        if not failed:
            raise ConfigurationError("No row of this run failed.")
        numbers = [one.row for one in failed]
        run = ask(
            [self._rows[number] for number in numbers],
            lambda outcome: self._mend(numbers[outcome.row], outcome),
        )
        run.row_of = lambda number: self.row_of(numbers[number])
        return run

    def _mend(self, number: int, outcome: Outcome) -> None:
        """Put a retried row's outcome in the place of the failed one."""
        failed = self._outcomes[number]
        if failed is None or failed.error is None:
            return
        mended = dataclasses.replace(outcome, row=number)
        self._counters.mend(failed, mended)
        self._take(mended)

    def _leave(self) -> None:
        for one in self._waits:
            one.cancel()

    # -------------------------------------------------------------- on the loop: work

    async def _walk(self) -> None:
        """Give every row its outcome: what is known at once, the rest part by part."""
        try:
            for number, row in enumerate(self._rows):
                if row.key is None:
                    self._finish(outcomes_of.unasked(number, row))
            for outcome in self._known.values():
                self._finish(outcome)
            if self._again is None:
                await self._collect(None, {})
            await asyncio.gather(*(self._part(name) for name in self._pollers))
        except StoreError as error:
            self._first_error = self._first_error or error
        finally:
            for number, row in enumerate(self._rows):
                if self._outcomes[number] is None:
                    self._finish(outcomes_of.failed(number, row, self._missing(row)))
            self._counters.end()

    async def _part(self, name: str) -> None:
        """Wait for one part and give its rows their outcomes."""
        poller = self._pollers[name]
        if poller.part.is_open:
            waiting = asyncio.create_task(poller.wait())
            self._waits.append(waiting)
            if self._is_stopping:
                waiting.cancel()
            await asyncio.wait([waiting])
            if not waiting.cancelled() and (bug := waiting.exception()) is not None:
                raise bug
        if poller.part.is_open:
            if poller.error is not None:
                self._first_error = self._first_error or poller.error
            return
        if poller.part.standing.state == "refused":
            self._first_error = self._first_error or outcomes_of.error_of(
                poller.part.standing.kind, poller.part.standing.words
            )
        failed = await asyncio.to_thread(poller.part.failures)
        await self._collect(name, {one.key: one for one in failed})

    async def _collect(self, part: str | None, failed: dict[str, Failed]) -> None:
        """Give the rows of a part their outcomes; None: those that the store had before."""
        numbers = [
            number
            for number, row in enumerate(self._rows)
            if row.key is not None and row.part == part
        ]
        is_own = part is not None and part.startswith(f"{self.run_id}/")
        look = self._store.peek if is_own else self._store.lookup
        for first in range(0, len(numbers), _AT_ONCE):
            some = numbers[first : first + _AT_ONCE]
            keys = [key for number in some if (key := self._rows[number].key) is not None]
            found = await asyncio.to_thread(look, keys)
            for number in some:
                row = self._rows[number]
                key = row.key or ""
                if key in failed:
                    self._finish(outcomes_of.failed_as(number, row, failed[key]))
                elif (entry := found.get(key)) is not None:
                    read = functools.partial(outcomes_of.answered, number, row, entry, self._target)
                    is_apart = row.call is not None and row.call.checks_apart
                    outcome = await bridge.apart(read) if is_apart else read()
                    if outcome is not None:
                        self._finish(outcome)

    def _missing(self, row: BatchRow) -> LLMNBError:
        """Return why a row that is waited for has no outcome."""
        poller = self._pollers.get(row.part or "")
        if poller is not None and poller.error is not None:
            return outcomes_of.error_of(type(poller.error).__name__, poller.error.message)
        if poller is not None and poller.part.is_open:
            return Stopped(
                "Nobody waits for this batch any longer; it goes on at the provider. "
                f"llmnb.attach({poller.part.folder.name!r}) or the same call again goes on."
            )
        return StoreError(
            "The store has no answer for this row any more; run again to ask what is missing."
        )

    def _finish(self, outcome: Outcome) -> None:
        """Enter what became of a row."""
        self._counters.enter(outcome)
        self._take(outcome)

    def _take(self, outcome: Outcome) -> None:
        """Keep the outcome of a row that is counted, count what was sent for it, and report it."""
        self._outcomes[outcome.row] = outcome
        if outcome.source == "sent":
            tracker, reply = self._counters.tracker, outcome.reply
            tracker.num_tasks_started += outcome.key is not None
            if reply is not None:
                tracker.num_requests += 1
                self._counters.enter_reply(reply.usage, outcome.usd)
        if self._on_outcome is not None:
            self._on_outcome(outcome)

    # -------------------------------------------------------------------- on show

    def __repr__(self) -> str:
        name = self.run_id or "(all cached)"
        return f"<BatchRun {name}: {self.status().line()}, project {self.project!r}>"

    def _repr_html_(self) -> str:
        names = [one.part.standing.batch for one in self._pollers.values()]
        batches = [one for one in names if one]
        return card(self.run_id, self.asked, self.status(), batches=batches, now=Clock.wall())
