"""A run as its owner holds it: look at it, steer it, wait for it, from any thread.

The work itself is done by a `RunLoop` on the loop thread. A `Run` only reads
counters, or hands a call over to the loop.
"""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any, Literal

from llmnb import bridge
from llmnb.display import durations, moments, numbers, texts
from llmnb.engine.budget import budget_for
from llmnb.engine.gate import Gate
from llmnb.engine.handle import Mode, RunHandle
from llmnb.engine.handover import OutcomeStream
from llmnb.engine.run_context import LIMITS, Asker, Pool, RunContext, RunOptions, Store
from llmnb.engine.run_loop import RunLoop
from llmnb.engine.source import InputSource
from llmnb.engine.status import Clock, PoolStatus, State, StatusSnapshot, StatusTracker, as_json
from llmnb.engine.target import Prepare
from llmnb.errors import ConfigurationError, LLMNBError
from llmnb.records import Outcome

STEERED_WITHIN_SECONDS = 2.0
"""How long pause, resume, stop and the like wait, at most, until the run's loop has heard."""


class Run(RunHandle[list[Outcome]]):
    """Many inputs on their way to as many outcomes.

    Made by `AsyncLLM`, the command line and others, not by hand.

    Args:
        inputs: Any iterable or async iterable; read lazily, never changed.
        prepare: Turns an input into a row.
        store: The project's store.
        options: How the run behaves.
        on_outcome: Called on the loop thread with each outcome.
        at_end: Called on the loop thread at its end, before anybody is told.
    """

    def __init__(
        self,
        inputs: Iterable[Any] | AsyncIterable[Any] | InputSource,
        prepare: Prepare,
        store: Store,
        options: RunOptions,
        on_outcome: Callable[[Outcome], None] | None = None,
        at_end: Callable[[], None] | None = None,
    ) -> None:
        super().__init__()
        self.project = store.name
        self._index = options.index
        if options.index is not None:
            self.run_id = options.index.run_id
        self._loop = bridge.loop_thread().loop
        self._prepare = prepare
        self._store = store
        self._run_loop = RunLoop(
            inputs, prepare, store, options, self._loop, on_outcome, at_end or self._write_end
        )
        self._done = self._run_loop.done
        self._set_last_run()
        self._loop.call_soon_threadsafe(self._run_loop.begin)

    def _write_end(self) -> None:
        """Write down the status that the run ends with."""
        if self._index is not None:
            error = None if self.error is None else (type(self.error).__name__, self.error.message)
            self._index.end({**as_json(self.status()), "error": error})

    # ----------------------------------------------------- from any thread: reading

    def status(self) -> StatusSnapshot:
        """Return a frozen picture of the run as it is now."""
        run_loop, context = self._run_loop, self._run_loop.context
        counters, pools = context.counters, list(context.pools.values())
        counts = counters.tracker_copy()
        # While they are counted here a turn may change hands; never more is shown than was let go.
        in_flight = min(
            sum(request.is_sending for request in list(run_loop.tasks.values())),
            sum(pool.gate.in_flight for pool in pools),
        )
        now = Clock.monotonic()
        end = counters.started + counters.seconds
        p50, p95 = counters.quantiles()
        requests, tokens = counters.pace(end)
        return counters.snapshot(
            counts,
            row_of=self.row_of,
            state=run_loop.state,
            project=self.project,
            total=run_loop.total,
            launched=min(counts.num_rows_done + in_flight, counts.num_rows),
            in_flight=in_flight,
            idle_seconds=counters.idle_seconds,
            waiting_on=waiting_on(
                run_loop.state,
                pools,
                in_flight=in_flight,
                now=now,
                run=context,
                others=context.waiting_rows,
            ),
            pools=tuple(_pool_status(pool, now, context) for pool in pools),
            shares=counters.shares(),
            samples=counters.samples(end),
            latencies=tuple(counters.latest),
            p50=p50,
            p95=p95,
            requests_per_minute=requests,
            tokens_per_minute=tokens,
            budget_usd=context.options.budget_usd,
            uses_cache=context.options.use_cache,
            waited_seconds=sum(pool.gate.waited - pool.waited_before for pool in pools),
        )

    @property
    def counts(self) -> StatusTracker:
        """A copy of the counts as they are now, without the rest of `status`."""
        return self._run_loop.context.counters.tracker_copy()

    @property
    def asked(self) -> str:
        """The models in words, such as ``"openai/gpt-5-mini, then 2 more"``; empty at first."""
        targets = [pool.target for pool in list(self._run_loop.context.pools.values())]
        names = list(dict.fromkeys(f"{target.provider}/{target.model}" for target in targets))
        if not names:
            return ""
        return names[0] + (f", then {len(names) - 1} more" if len(names) > 1 else "")

    def partial(self) -> list[Outcome | None]:
        """Return the outcomes so far in input order, None where there is none yet."""
        outcomes = self._run_loop.kept
        return [*outcomes, *([None] * ((self._run_loop.total or 0) - len(outcomes)))]

    def failures(self) -> list[Outcome]:
        """Return the outcomes that are errors."""
        return [
            outcome
            for outcome in list(self._run_loop.kept)
            if outcome is not None and outcome.error is not None
        ]

    @property
    def error(self) -> LLMNBError | None:
        """What stopped a whole target or the buying, None where all went well."""
        return self._run_loop.first_error

    def _finished(self) -> list[Outcome]:
        return [outcome for outcome in self._run_loop.kept if outcome is not None]

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
    def _streamed(self) -> OutcomeStream:
        if self._run_loop.streamed is None:
            raise ConfigurationError("This run keeps its outcomes: read them with result().")
        return self._run_loop.streamed

    def _release(self, rows: int) -> None:
        self._loop.call_soon_threadsafe(self._run_loop.release, rows)

    # ----------------------------------------------------- from any thread: acting

    def _change_limits(self, limits: dict[str, Any]) -> None:
        changes = {LIMITS[name]: value for name, value in limits.items()}
        context = self._run_loop.context
        options = context.options
        # What was said of the account is what the person changes, where it was said there.
        named = {name: value for name, value in changes.items() if getattr(options.account, name)}
        # Known at once to the next change, whichever thread makes it.
        context.options = dataclasses.replace(
            options,
            limits=dataclasses.replace(options.limits, **changes),
            account=dataclasses.replace(options.account, **named),
        )
        self._steer(self._run_loop.apply_limits)

    def _ask_again(self, failed: list[Outcome], mode: Mode | None) -> Run:
        if self._run_loop.streamed is not None:
            raise ConfigurationError("This run forgets its outcomes: run it again instead.")
        if mode == "batch":
            raise ConfigurationError(
                "This run asks live: make the same call with mode='batch', which submits only "
                "what is missing."
            )
        rows, options = [outcome.row for outcome in failed], self._run_loop.context.options
        run = Run(
            [outcome.tag for outcome in failed],
            self._prepare,
            self._store,
            dataclasses.replace(options, budget=budget_for(options.budget_usd), index=None),
            lambda outcome: self._run_loop.replace_failed(rows[outcome.row], outcome),
            self._write_end,
        )
        run.row_of = lambda number: self.row_of(rows[number])
        return run

    def _steer(self, act: Callable[[], None]) -> None:
        """Do it on the run's loop, and wait a moment for it, so that `status` tells of it."""
        is_done = threading.Event()

        def do() -> None:
            try:
                act()
            finally:
                is_done.set()

        self._loop.call_soon_threadsafe(do)
        if not bridge.is_loop_thread():
            is_done.wait(STEERED_WITHIN_SECONDS)

    def pause(self) -> None:
        """Send nothing new; what is in flight is finished and stored."""
        self._steer(self._run_loop.pause)

    def resume(self) -> None:
        """Go on after `pause`."""
        self._steer(self._run_loop.resume)

    def stop(self) -> None:
        """Send nothing new and hand over what there is; the next run asks only what is missing."""
        self._steer(self._run_loop.stop)

    def cancel(self) -> None:
        """Stop, and drop what is in flight at once; it may be billed and lost."""
        self._steer(self._run_loop.cancel)


def _pool_status(pool: Pool, now: float, run: RunContext) -> PoolStatus:
    target, gate, account = pool.target, pool.gate, pool.gate.account
    # An ended run has no lane any more; its limits are shown all the same.
    limits = account.limits(run).intersect(run.options.limits)
    announced = account.announced
    return PoolStatus(
        provider=target.provider,
        model=target.model,
        in_flight=gate.in_flight,
        places=limits.concurrency or account.slots_of(run),
        is_adaptive=limits.concurrency is None and account.finding is not None,
        requests_per_minute=limits.requests_per_minute,
        tokens_per_minute=limits.tokens_per_minute,
        requests_from=account.source("requests", limits.requests_per_minute),
        tokens_from=account.source("tokens", limits.tokens_per_minute),
        requests_left=announced.left("requests", now),
        tokens_left=announced.left("tokens", now),
        distrust=announced.distrust,
        paused_seconds=max(0.0, account.admission.paused_until - now),
        is_open=gate.health.breaker.is_open,
    )


def waiting_on(
    state: State,
    pools: Iterable[Pool],
    *,
    in_flight: int,
    now: float,
    run: object = None,
    others: Mapping[Asker, int],
) -> str:
    """Return the because line: one sentence, empty when the run is over.

    Args:
        state: What the run is doing.
        pools: The pools in use.
        in_flight: Requests on their way for this run.
        now: The gates' clock.
        run: Whose requests wait there.
        others: Rows that wait for the answer of another process, or another run of this one.
    """
    if state == "paused":
        if not in_flight:
            return "Waiting on you. Nothing is sent."
        requests = texts.counted(in_flight, "request")
        verb = "is" if in_flight == 1 else "are"
        return f"Waiting on you. {requests} in flight {verb} still stored; nothing new is sent."
    if state == "stopping":
        answers, verb = texts.counted(in_flight, "answer"), "is" if in_flight == 1 else "are"
        return f"Stopping: {answers} in flight {verb} being stored."
    if state != "running":
        return ""
    for pool in pools:
        if sentence := _sentence(pool.target.provider, pool.gate, now, run):
            return sentence
    awaited = ["replies"] if in_flight else []
    awaited += [
        f"another {who}, which asks {texts.counted(rows, 'row')} of this run"
        for who, rows in others.items()
        if rows
    ]
    if awaited:
        return f"Waiting on {', and on '.join(awaited)}."
    return "Looking up what is already answered."


def _whose(gate: Gate, kind: Literal["requests", "tokens"], limit: float | None, now: float) -> str:
    """Return who has set a limit, and what is left of it."""
    source = gate.account.source(kind, limit)
    if source != "announced":
        return {"found": ", found by trying", "given": ", as given"}.get(source, "")
    left, doubt = gate.account.announced.left(kind, now), gate.account.announced.distrust
    if doubt:
        return f", announced but kept evenly: {doubt}"
    return ", announced" if left is None else f", announced, {left:,.0f} left"


def _sentence(provider: str, gate: Gate, now: float, run: object) -> str:
    admission, limits, ahead = gate.account.admission, gate.account.limits(run), gate.ahead_of(run)
    behind = "" if ahead is None else f", behind {ahead}"
    match gate.reason(run):
        case "pause" if not math.isinf(admission.paused_until):
            left = max(0.0, admission.paused_until - now)
            at = moments.coming(left, Clock.wall())
            return (
                f"Waiting on {provider}: it asked for a pause (Retry-After). "
                f"{durations.remaining(left)} left, then sending at {at}."
            )
        case "breaker":
            failures = gate.health.breaker.failures
            wait = gate.health.breaker.wait(now)
            at = "" if math.isinf(wait) else moments.coming(wait, Clock.wall())
            probe = f"one probe at {at}" if at else "a probe is out"
            last = f"{failures:,} failures in a row" if failures > 1 else "it keeps failing"
            cause = f" ({gate.health.cause})" if gate.health.cause else ""
            return f"Waiting on {provider}: {last}{cause}, {probe}."
        case "recovery":
            return (
                f"Waiting on {provider}: it answers again and is asked {gate.slots:,} at a time, "
                "more with each answer."
            )
        case "requests" | "tokens" as kind:
            per_minute = limits.requests_per_minute
            if kind == "tokens":
                per_minute = limits.tokens_per_minute
            what = kind if per_minute is None else f"{numbers.limit(per_minute)} {kind}/min"
            whose = _whose(gate, kind, per_minute, now)
            return f"Waiting on {provider}’s limit of {what}{whose}{behind}."
        case "start":
            return (
                f"Waiting on the first replies of {provider}: a few requests go before the others, "
                "which hear from them how its limits stand."
            )
        case "concurrency":
            slots = gate.account.slots_of(run)
            noun = "the only place" if slots == 1 else f"all {slots:,} places"
            verb = "is" if slots == 1 else "are"
            return f"Waiting on replies{behind}: {noun} in flight {verb} taken."
        case _:
            return ""
