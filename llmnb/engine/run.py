"""A run as its owner holds it: look at it, steer it, wait for it, from any thread.

The work itself is done by a `Walk` on the loop thread. A `Run` only reads
counters, or hands a call over to the loop.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Iterator
from typing import Any

from llmnb import bridge
from llmnb.engine import ending
from llmnb.engine.budget import budget_for
from llmnb.engine.gate import Gate
from llmnb.engine.handover import Streamed
from llmnb.engine.options import RunOptions, Store
from llmnb.engine.status import Clock, PoolStatus, StatusSnapshot, frozen
from llmnb.engine.target import Prepare, Target
from llmnb.engine.waiting import waiting_on
from llmnb.engine.walk import Walk
from llmnb.errors import ConfigurationError, LLMNBError
from llmnb.options import checked
from llmnb.records import Outcome

_last_run: Run | None = None


_LIMITS = {
    "max_requests_per_minute": "requests_per_minute",
    "max_tokens_per_minute": "tokens_per_minute",
    "max_concurrent_requests": "concurrency",
}
"""Fields of `Limits` by the names of the options."""


class Unchanged:
    """The type of `UNCHANGED`."""


UNCHANGED = Unchanged()
"""An argument that was left out, where None means something."""


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
        on_outcome: Called on the loop thread with each outcome.
    """

    def __init__(
        self,
        inputs: Iterable[Any] | AsyncIterable[Any],
        prepare: Prepare,
        store: Store,
        options: RunOptions,
        on_outcome: Callable[[Outcome], None] | None = None,
    ) -> None:
        global _last_run
        self._loop = bridge.loop_thread().loop
        self._prepare = prepare
        self._store = store
        self._walk = Walk(inputs, prepare, store, options, self._loop)
        self._walk.on_outcome = on_outcome
        self._mending: list[tuple[frozenset[int], Run]] = []
        """Runs that ask failed rows of this one again, and which rows those are."""

        self.row_of: Callable[[int], int] = int
        """Which row of its owner's table a request belongs to, for what people are told."""

        _last_run = self
        self._loop.call_soon_threadsafe(self._walk.begin)

    # ----------------------------------------------------- from any thread: reading

    def status(self) -> StatusSnapshot:
        """Return a frozen picture of the run as it is now."""
        walk = self._walk
        counts = dataclasses.replace(walk.counts)
        gates = list(walk.gates.values())
        # While they are counted here a turn may change hands; never more is told than was let go.
        in_flight = min(
            sum(flight.is_sending for flight, _ in list(walk.leading.values())),
            sum(gate.in_flight for _, gate in gates),
        )
        launched = min(counts.num_rows_done + in_flight, counts.num_rows)
        now = Clock.monotonic()
        end = walk.ended if walk.ended is not None else now
        p50, p95 = walk.stats.quantiles()
        requests, tokens = walk.stats.pace(end)
        return StatusSnapshot(
            state=walk.state,
            total=walk.total,
            launched=launched,
            completed=counts.num_rows_done,
            counts=counts,
            failures=frozen(walk.failures),
            waiting_on=waiting_on(
                walk.state,
                gates,
                in_flight=in_flight,
                now=now,
                run=walk,
                elsewhere=walk.elsewhere,
                beside=walk.beside,
            ),
            in_flight=in_flight,
            seconds=end - walk.started,
            project=walk.store.name,
            models=frozen(walk.models),
            simulated=walk.simulated,
            started_at=walk.started_at,
            ended_at=walk.ended_at,
            pools=tuple(_pool(target, gate, now, walk) for target, gate in gates),
            shares=walk.stats.shares(),
            causes=walk.stats.causes(self.row_of),
            samples=walk.stats.samples(end),
            latencies=walk.stats.latest(),
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
        return self._walk.store.name

    @property
    def asked(self) -> str:
        """The models in words, such as ``"openai/gpt-5-mini, then 2 more"``; empty at first."""
        targets = [target for target, _ in list(self._walk.gates.values())]
        names = list(dict.fromkeys(f"{one.provider}/{one.model}" for one in targets))
        if not names:
            return ""
        return names[0] + (f", then {len(names) - 1} more" if len(names) > 1 else "")

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
        return ending.is_over(self._walk.done, timeout)

    def result(self, timeout: float | None = None) -> list[Outcome]:
        """Block for the outcomes, one for each input, in input order.

        Args:
            timeout: Seconds to wait; None waits as long as it takes.

        Raises:
            TimeoutError: If the run takes longer; it goes on.
        """
        ending.block(self._walk.done, timeout, "The run")
        return [one for one in self._walk.kept.outcomes if one is not None]

    def __await__(self) -> Generator[Any, None, list[Outcome]]:
        yield from ending.until(self._walk.done)
        return [one for one in self._walk.kept.outcomes if one is not None]

    def outcomes(self, on_wait: Callable[[], None] | None = None) -> Iterator[Outcome]:
        """Yield outcomes in input order, or as they are ready, and forget them.

        Only for a run with `RunOptions(streams=True)`; `RunOptions.in_order` says which. The
        run goes no further ahead of the reader than its window.

        Args:
            on_wait: Called about ten times a second while waiting, such as to draw bars.
        """
        return self._streamed.read(
            self._walk.done, self._release, slice_seconds=bridge.SLICE_SECONDS, on_wait=on_wait
        )

    def aoutcomes(self) -> AsyncIterator[Outcome]:
        """Yield what `outcomes` does, to a task of any loop."""
        return self._streamed.aread(self._walk.done, self._release)

    @property
    def _streamed(self) -> Streamed:
        if self._walk.streamed is None:
            raise ConfigurationError("This run keeps its outcomes: read them with result().")
        return self._walk.streamed

    def _release(self, rows: int) -> None:
        self._loop.call_soon_threadsafe(self._walk.release, rows)

    # ----------------------------------------------------- from any thread: acting

    def set_limits(
        self,
        *,
        max_requests_per_minute: float | Unchanged | None = UNCHANGED,
        max_tokens_per_minute: float | Unchanged | None = UNCHANGED,
        max_concurrent_requests: int | Unchanged | None = UNCHANGED,
    ) -> None:
        """Hold the run to other limits from now on; what is left out stays as it is.

        Args:
            max_requests_per_minute: Requests a minute for each target; None: what the
                provider allows.
            max_tokens_per_minute: Tokens a minute; None: what the provider allows.
            max_concurrent_requests: Requests in flight at once; None: found by trying.

        Raises:
            ConfigurationError: If one is no limit; nothing is changed.
        """
        given = {
            "max_requests_per_minute": max_requests_per_minute,
            "max_tokens_per_minute": max_tokens_per_minute,
            "max_concurrent_requests": max_concurrent_requests,
        }
        wanted = checked({name: one for name, one in given.items() if one is not UNCHANGED})
        changes = {_LIMITS[name]: value for name, value in wanted.items()}
        options = self._walk.options
        limits = dataclasses.replace(options.limits, **changes)
        # What was said of the account is what the person changes, where it was said there.
        named = {name: value for name, value in changes.items() if getattr(options.account, name)}
        account = dataclasses.replace(options.account, **named)
        # Known at once to the next change, whichever thread makes it.
        self._walk.options = dataclasses.replace(options, limits=limits, account=account)
        self._loop.call_soon_threadsafe(self._walk.set_limits, limits, account)

    def retry_failed(self, causes: str | Iterable[str] | None = None) -> Run:
        """Ask the failed rows again in the background, those that were stopped included.

        The new outcomes take the place of the failed ones in this run's `result()`.
        Rows that an earlier retry is still asking are left to it.

        Args:
            causes: Only rows that failed for these: names of error classes, such as
                ``"Refused"``, as `FailureCause.kind` and `status().failures` tell them;
                None: all of them.

        Returns:
            The run over those rows alone.

        Raises:
            ConfigurationError: If this run goes on, hands its outcomes on and forgets them, or
                no row failed for a cause that is named.
        """
        if self._walk.streamed is not None:
            raise ConfigurationError("This run forgets its outcomes: run it again instead.")
        if not self.is_done:
            raise ConfigurationError("The run goes on: wait for its end, or stop it first.")
        failed = _only(self.failures(), causes)
        self._mending = [(rows, run) for rows, run in self._mending if not run.is_done]
        asked = frozenset[int]().union(*(rows for rows, _ in self._mending))
        again = [one for one in failed if one.row not in asked]
        if not again and self._mending:
            return self._mending[-1][1]
        rows, options = [one.row for one in again], self._walk.options
        run = Run(
            [one.tag for one in again],
            self._prepare,
            self._store,
            dataclasses.replace(options, budget=budget_for(options.budget_usd)),
            lambda outcome: self._walk.mend(rows[outcome.row], outcome),
        )
        run.row_of = lambda number: self.row_of(rows[number])
        self._mending.append((frozenset(rows), run))
        return run

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


def _only(failed: list[Outcome], causes: str | Iterable[str] | None) -> list[Outcome]:
    """Return the outcomes that failed for one of the causes; None: all."""
    if causes is None:
        return failed
    wanted = {causes} if isinstance(causes, str) else set(causes)
    there = {type(one.error).__name__ for one in failed}
    if unknown := sorted(wanted - there):
        known = f"rows failed for {', '.join(sorted(there))}" if there else "no row failed"
        raise ConfigurationError(f"No row failed for {', '.join(unknown)}: {known}.")
    return [one for one in failed if type(one.error).__name__ in wanted]


def _pool(target: Target, gate: Gate, now: float, run: Walk) -> PoolStatus:
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
