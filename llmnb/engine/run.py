"""A run as its owner holds it: look at it, steer it, wait for it, from any thread.

The work itself is done by a `RunLoop` on the loop thread. A `Run` only reads
counters, or hands a call over to the loop.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import Any

from llmnb import bridge
from llmnb.engine.budget import budget_for
from llmnb.engine.gate import Gate
from llmnb.engine.handle import Mode, RunHandle
from llmnb.engine.handover import Streamed
from llmnb.engine.options import RunOptions, Store
from llmnb.engine.run_loop import RunLoop
from llmnb.engine.source import InputSource
from llmnb.engine.status import Clock, PoolStatus, StatusSnapshot
from llmnb.engine.target import Prepare, Target
from llmnb.engine.waiting import waiting_on
from llmnb.errors import ConfigurationError, LLMNBError
from llmnb.records import Outcome

_LIMITS = {
    "max_requests_per_minute": "requests_per_minute",
    "max_tokens_per_minute": "tokens_per_minute",
    "max_concurrent_requests": "concurrency",
}
"""Fields of `Limits` by the names of the options."""


class Run(RunHandle[list[Outcome]]):
    """Many inputs on their way to as many outcomes.

    Made by the doors (`AsyncLLM`, the command line, …), not by hand.

    Args:
        inputs: Any iterable or async iterable; read lazily, never changed.
        prepare: Turns an input into a row.
        store: The project's store.
        options: How the run behaves.
        on_outcome: Called on the loop thread with each outcome.
    """

    def __init__(
        self,
        inputs: Iterable[Any] | AsyncIterable[Any] | InputSource,
        prepare: Prepare,
        store: Store,
        options: RunOptions,
        on_outcome: Callable[[Outcome], None] | None = None,
    ) -> None:
        super().__init__()
        self._loop = bridge.loop_thread().loop
        self._prepare = prepare
        self._store = store
        self._run_loop = RunLoop(inputs, prepare, store, options, self._loop)
        self._run_loop.on_outcome = on_outcome
        self._done = self._run_loop.done
        self._begun()
        self._loop.call_soon_threadsafe(self._run_loop.begin)

    # ----------------------------------------------------- from any thread: reading

    def status(self) -> StatusSnapshot:
        """Return a frozen picture of the run as it is now."""
        walk, counters = self._run_loop, self._run_loop.counters
        counts, stats = counters.copy(), counters.stats
        gates = list(walk.gates.values())
        # While they are counted here a turn may change hands; never more is told than was let go.
        in_flight = min(
            sum(request_task.is_sending for request_task, _ in list(walk.leading.values())),
            sum(gate.in_flight for _, gate in gates),
        )
        now = Clock.monotonic()
        end = counters.started + counters.seconds
        p50, p95 = stats.quantiles()
        requests, tokens = stats.pace(end)
        snapshot = counters.snapshot(
            counts,
            state=walk.state,
            project=walk.store.name,
            total=walk.total,
            launched=min(counts.num_rows_done + in_flight, counts.num_rows),
            in_flight=in_flight,
            waiting_on=waiting_on(
                walk.state,
                gates,
                in_flight=in_flight,
                now=now,
                run=walk,
                elsewhere=walk.elsewhere,
                beside=walk.beside,
            ),
            row_of=self.row_of,
        )
        return dataclasses.replace(
            snapshot,
            pools=tuple(_pool(target, gate, now, walk) for target, gate in gates),
            shares=stats.shares(),
            samples=stats.samples(end),
            latencies=stats.latest(),
            p50=p50,
            p95=p95,
            requests_per_minute=requests,
            tokens_per_minute=tokens,
            budget_usd=walk.options.budget_usd,
            waited_seconds=walk.waited_seconds(),
        )

    @property
    def project(self) -> str:
        """Name of the project that keeps the answers."""
        return self._run_loop.store.name

    @property
    def asked(self) -> str:
        """The models in words, such as ``"openai/gpt-5-mini, then 2 more"``; empty at first."""
        targets = [target for target, _ in list(self._run_loop.gates.values())]
        names = list(dict.fromkeys(f"{one.provider}/{one.model}" for one in targets))
        if not names:
            return ""
        return names[0] + (f", then {len(names) - 1} more" if len(names) > 1 else "")

    def partial(self) -> list[Outcome | None]:
        """Return the outcomes so far in input order, None where there is none yet."""
        outcomes = self._run_loop.kept.outcomes
        return [*outcomes, *([None] * ((self._run_loop.total or 0) - len(outcomes)))]

    def failures(self) -> list[Outcome]:
        """Return the outcomes that are errors."""
        return [
            one
            for one in list(self._run_loop.kept.outcomes)
            if one is not None and one.error is not None
        ]

    @property
    def error(self) -> LLMNBError | None:
        """What stopped a whole target or the buying, None where all went well."""
        return self._run_loop.first_error

    def _finished(self) -> list[Outcome]:
        return [one for one in self._run_loop.kept.outcomes if one is not None]

    def outcomes(self, on_wait: Callable[[], None] | None = None) -> Iterator[Outcome]:
        """Yield outcomes in input order, or as they are ready, and forget them.

        Only for a run with `RunOptions(streams=True)`; `RunOptions.in_order` says which. The
        run goes no further ahead of the reader than its window.

        Args:
            on_wait: Called about ten times a second while waiting, such as to draw bars.
        """
        return self._streamed.read(
            self._done, self._release, slice_seconds=bridge.SLICE_SECONDS, on_wait=on_wait
        )

    def aoutcomes(self) -> AsyncIterator[Outcome]:
        """Yield what `outcomes` does, to a task of any loop."""
        return self._streamed.aread(self._done, self._release)

    @property
    def _streamed(self) -> Streamed:
        if self._run_loop.streamed is None:
            raise ConfigurationError("This run keeps its outcomes: read them with result().")
        return self._run_loop.streamed

    def _release(self, rows: int) -> None:
        self._loop.call_soon_threadsafe(self._run_loop.release, rows)

    # ----------------------------------------------------- from any thread: acting

    def _change_limits(self, limits: dict[str, Any]) -> None:
        changes = {_LIMITS[name]: value for name, value in limits.items()}
        options = self._run_loop.options
        changed = dataclasses.replace(options.limits, **changes)
        # What was said of the account is what the person changes, where it was said there.
        named = {name: value for name, value in changes.items() if getattr(options.account, name)}
        account = dataclasses.replace(options.account, **named)
        # Known at once to the next change, whichever thread makes it.
        self._run_loop.options = dataclasses.replace(options, limits=changed, account=account)
        self._loop.call_soon_threadsafe(self._run_loop.set_limits, changed, account)

    def _ask_again(self, failed: list[Outcome], mode: Mode | None) -> Run:
        if self._run_loop.streamed is not None:
            raise ConfigurationError("This run forgets its outcomes: run it again instead.")
        if mode == "batch":
            raise ConfigurationError(
                "This run asks live: make the same call with mode='batch', which submits only "
                "what is missing."
            )
        rows, options = [one.row for one in failed], self._run_loop.options
        run = Run(
            [one.tag for one in failed],
            self._prepare,
            self._store,
            dataclasses.replace(options, budget=budget_for(options.budget_usd)),
            lambda outcome: self._run_loop.mend(rows[outcome.row], outcome),
        )
        run.row_of = lambda number: self.row_of(rows[number])
        return run

    def pause(self) -> None:
        """Send nothing new; what is in flight is finished and stored."""
        self._loop.call_soon_threadsafe(self._run_loop.pause)

    def resume(self) -> None:
        """Go on after `pause`."""
        self._loop.call_soon_threadsafe(self._run_loop.resume)

    def stop(self) -> None:
        """Send nothing new and hand over what there is; the next run asks only what is missing."""
        self._loop.call_soon_threadsafe(self._run_loop.stop)

    def cancel(self) -> None:
        """Stop, and drop what is in flight at once; it may be billed and lost."""
        self._loop.call_soon_threadsafe(self._run_loop.cancel)


def _pool(target: Target, gate: Gate, now: float, run: RunLoop) -> PoolStatus:
    # An ended run has no lane any more; what it was held to is still told.
    account = gate.account
    limits, told = account.limits(run).within(run.options.limits), account.announced.limits()
    announced = account.announced
    return PoolStatus(
        provider=target.provider,
        model=target.model,
        in_flight=gate.in_flight,
        places=limits.concurrency or account.slots_of(run),
        is_adaptive=limits.concurrency is None and account.finding is not None,
        requests_per_minute=limits.requests_per_minute,
        tokens_per_minute=limits.tokens_per_minute,
        learned=limits.requests_per_minute is not None
        and limits.requests_per_minute in (told.requests_per_minute, account.found_pace),
        requests_from=account.source("requests", limits.requests_per_minute),
        tokens_from=account.source("tokens", limits.tokens_per_minute),
        requests_left=announced.left("requests", now),
        tokens_left=announced.left("tokens", now),
        distrust=announced.distrust,
        paused_seconds=max(0.0, account.admission.paused_until - now),
        is_open=gate.health.breaker.is_open,
    )
