"""Why a run is not faster, in words a person reads on its card."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

from llmnb.display import durations, moments, numbers
from llmnb.engine.gate import Gate
from llmnb.engine.status import Clock, State
from llmnb.engine.target import Target


def waiting_on(
    state: State,
    gates: Iterable[tuple[Target, Gate]],
    *,
    in_flight: int,
    now: float,
    run: object = None,
    elsewhere: int = 0,
    beside: int = 0,
) -> str:
    """Return the because line: one sentence, empty when the run is over.

    Args:
        state: What the run is doing.
        gates: Target and gate of each pool in use.
        in_flight: Requests on their way for this run.
        now: The gates' clock.
        run: Whose requests wait there.
        elsewhere: Rows that wait for the answer of another process.
        beside: Rows that wait for the answer of another run of this process.
    """
    if state == "paused":
        if not in_flight:
            return "Waiting on you. Nothing is sent."
        what = (
            "1 request in flight is" if in_flight == 1 else f"{in_flight:,} requests in flight are"
        )
        return f"Waiting on you. {what} still stored; nothing new is sent."
    if state == "stopping":
        what = "1 answer in flight is" if in_flight == 1 else f"{in_flight:,} answers in flight are"
        return f"Stopping: {what} being stored."
    if state != "running":
        return ""
    for target, gate in gates:
        if sentence := _sentence(target.provider, gate, now, run):
            return sentence
    others = [
        f"another {who}, which asks {'1 row' if rows == 1 else f'{rows:,} rows'} of this run"
        for who, rows in (("process", elsewhere), ("run", beside))
        if rows
    ]
    if others:
        own = ["replies"] if in_flight else []
        return f"Waiting on {', and on '.join([*own, *others])}."
    return "Waiting on replies." if in_flight else "Looking up what is already answered."


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
            places = gate.account.slots_of(run)
            noun = "the only place" if places == 1 else f"all {places:,} places"
            verb = "is" if places == 1 else "are"
            return f"Waiting on replies{behind}: {noun} in flight {verb} taken."
        case _:
            return ""
