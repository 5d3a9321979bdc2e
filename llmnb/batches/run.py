"""The handle of a batch run: like a live run's, it may be used from any thread."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from llmnb import bridge
from llmnb.batches import persistence
from llmnb.batches.persistence import AT_ONCE
from llmnb.batches.poller import BatchPoller, fate, report_left
from llmnb.batches.records import BatchRow, Record, error_of, folder_of
from llmnb.display.texts import single_line
from llmnb.engine.counters import Counters
from llmnb.engine.handle import Mode, RunHandle
from llmnb.engine.status import State, StatusSnapshot
from llmnb.errors import ConfigurationError, LLMNBError, Stopped, StoreError
from llmnb.records import Outcome
from llmnb.store import search
from llmnb.store.project import ProjectStore
from llmnb.targets.target import HTTPTarget

AskAgain = Callable[
    [list[BatchRow], Callable[[Outcome], None], Mode | None], RunHandle[list[Outcome]]
]
"""Starts a run over failed rows; its second argument takes each outcome."""

_NAMED = 3
"""Batches of the provider that a card names one by one."""


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
        good_finish: Finish reasons that are good here, beside those of `configure`.
        known: Outcomes that are known already, by row.
        ask_again: Starts a run over failed rows; None where the requests are not at hand.
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
        good_finish: tuple[str, ...] = (),
        known: Mapping[int, Outcome] | None = None,
        ask_again: AskAgain | None = None,
        on_outcome: Callable[[Outcome], None] | None = None,
    ) -> None:
        super().__init__()
        self._record = record
        self.run_id, self.project = record.run_id, store.name
        self._target = target
        self._store = store
        self._rows = rows
        self._pollers = pollers
        self._good_finish = good_finish
        self._known = known or {}
        self._ask = ask_again
        self._on_outcome = on_outcome
        self._outcomes: list[Outcome | None] = [None] * len(rows)
        self._counters = Counters(len(rows))
        self._is_stopping = False
        self._waits: list[asyncio.Task[None]] = []
        self._first_error: LLMNBError | None = None
        self._done = bridge.submit(self._follow())
        self._set_last_run()

    # --------------------------------------------------------------------- reading

    @property
    def folder(self) -> Path:
        """Where it is written down."""
        return folder_of(self._store.paths.root, self.run_id)

    def prompts(self) -> dict[int, str]:
        """Return the prompts of the requests whose answers are kept, by their place."""
        known: dict[int, str] = {}
        rows = [(number, row.key) for number, row in enumerate(self._rows) if row.key is not None]
        for first in range(0, len(rows), AT_ONCE):
            some = rows[first : first + AT_ONCE]
            entries = self._store.peek([key for _, key in some])
            known |= {
                number: search.question(entries[key]) for number, key in some if key in entries
            }
        return known

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
        counts = self._counters.tracker_copy()
        waiting = [poller for poller in self._pollers.values() if poller.part.is_open]
        in_flight = max(0, sum(map(_requests_at_provider, waiting)))
        return self._counters.snapshot(
            counts,
            row_of=self.row_of,
            state=self._state,
            project=self.project,
            total=len(self._rows),
            launched=min(len(self._rows), counts.num_rows_done + in_flight),
            in_flight=in_flight,
            waiting_on=self._waiting_on(waiting),
        )

    def partial(self) -> list[Outcome | None]:
        """Return the outcomes so far in input order, None where there is none yet."""
        return list(self._outcomes)

    def failures(self) -> list[Outcome]:
        """Return the outcomes that are errors."""
        return [outcome for outcome in self._finished() if outcome.error is not None]

    @property
    def _state(self) -> State:
        if self._done.done():
            return self._counters.end_state
        return "stopping" if self._is_stopping else "running"

    def _waiting_on(self, waiting: list[BatchPoller]) -> str:
        """Return in words what the run waits for; empty where it waits for nothing."""
        if self.is_done or not waiting:
            return ""
        for poller in waiting:
            if poller.error is not None:
                return single_line(poller.error.message)
        standings = [poller.part.standing for poller in waiting]
        if any(standing.state != "submitted" for standing in standings):
            return "the batch to be submitted"
        done, total = sum(poller.done for poller in waiting), sum(s.requests for s in standings)
        batches = "batch" if len(waiting) == 1 else f"{len(waiting)} batches"
        return f"the provider's {batches}: {done:,} of {total:,} done"

    def _finished(self) -> list[Outcome]:
        return [outcome for outcome in self._outcomes if outcome is not None]

    # -------------------------------------------------------------------- steering

    def stop(self) -> None:
        """Wait no longer; the batches go on at the provider, and `llmnb.attach` finds them."""
        left = [poller.part for poller in self._pollers.values() if poller.part.is_open]
        if left and not (self._is_stopping or self.is_done):
            # Who interrupts a script sees nothing else of it.
            report_left(self.run_id or left[0].folder.name, left)
        self._is_stopping = True

        def leave() -> None:
            for task in self._waits:
                task.cancel()

        bridge.loop_thread().loop.call_soon_threadsafe(leave)

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
        if self._ask is None:
            raise ConfigurationError(
                "This run was attached to, so its requests are not at hand: run the same cell "
                "again, which asks only what is missing."
            )
        if not failed:
            raise ConfigurationError("No row of this run failed.")
        numbers = [outcome.row for outcome in failed]

        def mend(outcome: Outcome) -> None:
            """Put a retried row's outcome in the place of the failed one."""
            number = numbers[outcome.row]
            before = self._outcomes[number]
            if before is not None and before.error is not None:
                mended = dataclasses.replace(outcome, row=number)
                self._counters.replace(before, mended)
                self._take(mended)

        run = self._ask([self._rows[number] for number in numbers], mend, mode)
        run.row_of = lambda number: self.row_of(numbers[number])
        return run

    # -------------------------------------------------------------- on the loop: work

    async def _follow(self) -> None:
        """Give every row its outcome: what is known at once, the rest part by part."""
        try:
            for number, row in enumerate(self._rows):
                if row.key is None:
                    self._finish(persistence.failed_outcome(number, row))
            for outcome in self._known.values():
                self._finish(outcome)
            await asyncio.gather(*(self._part(name) for name in self._pollers))
        except StoreError as error:
            self._first_error = self._first_error or error
        finally:
            for number, row in enumerate(self._rows):
                if self._outcomes[number] is None:
                    self._finish(persistence.failed_outcome(number, row, self._missing(row)))
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
        standing = poller.part.standing
        if standing.state == "refused":
            self._first_error = self._first_error or error_of(standing.kind, standing.words)
        failed = {failure.key: failure for failure in await asyncio.to_thread(poller.part.failures)}
        left = {}
        for number, row in enumerate(self._rows):
            if row.part == name and (failure := failed.get(row.key or "")) is not None:
                error = error_of(failure.kind, failure.message)
                self._finish(persistence.failed_outcome(number, row, error))
            elif row.part == name:
                left[number] = row
        is_own = name.startswith(f"{self.run_id}/")
        look = self._store.peek if is_own else self._store.lookup
        outcomes = await bridge.in_thread(
            persistence.stored_outcomes, left, look, self._target, self._good_finish
        )
        for outcome in outcomes.values():
            self._finish(outcome)

    def _missing(self, row: BatchRow) -> LLMNBError:
        """Return why a row that is waited for has no outcome."""
        poller = self._pollers.get(row.part or "")
        if poller is not None and poller.error is not None:
            return error_of(type(poller.error).__name__, poller.error.message)
        if poller is not None and poller.part.is_open:
            return Stopped(
                f"Nobody waits for this batch any longer; it {fate([poller.part])}. "
                f"llmnb.attach({poller.part.folder.name!r}) or the same call again goes on."
            )
        return StoreError(
            "The store has no answer for this row any more; run again to ask what is missing."
        )

    def _finish(self, outcome: Outcome) -> None:
        """Count a row's outcome and keep it."""
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
                self._counters.enter_reply(reply.usage, outcome.usd, outcome.simulated)
        if self._on_outcome is not None:
            self._on_outcome(outcome)

    # -------------------------------------------------------------------- on show

    def _repr_html_(self) -> str:
        names = [name for poller in self._pollers.values() if (name := poller.part.standing.batch)]
        further = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
        status, foot = self.status(), ""
        if self.run_id and status.state != "finished":
            foot = f"Later, or elsewhere: import llmnb; llmnb.attach({self.run_id!r})"
        elif status.counts.num_tasks_failed:
            # Not by `attach`: an attached run has not the requests to ask again.
            foot = "Retry the failed rows: import llmnb; llmnb.last_run().retry_failed()"
        facts = {
            "run": self.run_id or "nothing had to be submitted",
            "at the provider": ", ".join(names[:_NAMED]) + further,
            "price": "half of what it costs to ask now",
        }
        return status.page(asked=self.asked, facts=facts, foot=foot)


def _requests_at_provider(poller: BatchPoller) -> int:
    """Return the requests of a part that are at the provider."""
    standing = poller.part.standing
    return standing.requests - poller.done if standing.state == "submitted" else 0
