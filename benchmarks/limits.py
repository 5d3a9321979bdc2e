"""How much of a provider's limit is used, and how rarely it is broken; and what hedging gains.

The simulated provider enforces the limit and keeps the ledger. A figure is the
reciprocal of what is wanted where more is better, so that every line of the
table reads "at most".
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections import deque

from laboratory import Laboratory
from laboratory.ledger_queries import worst_window_of

from benchmarks.figure import Figure
from llmnb.engine.gate import Gate
from llmnb.models.llm import LLM
from llmnb.records import Limits
from llmnb.running.asking import Asking
from llmnb.running.start import start
from llmnb.testing import Fixed, Stragglers

PER_MINUTE = 600
SECONDS = 30.0


def use_of_limit(burst: float, *, is_told: bool, seconds: float = SECONDS) -> list[Figure]:
    """Ask for so many seconds and compare with what the limit allows in them.

    Args:
        burst: Seconds' worth that the server lets pass at once.
        is_told: Whether the client is told the limit; else it reads the headers.
        seconds: Length of the measurement, its first second included.
    """
    allowed = PER_MINUTE / 60 * (seconds + 1)
    rows = int(allowed * 2)
    with (
        tempfile.TemporaryDirectory() as folder,
        Laboratory.spawn(
            transport="aiohttp",
            requests_per_minute=PER_MINUTE,
            burst_seconds=burst,
            latency=0.2,
            limit_headers=not is_told,
        ) as sim,
    ):
        run = start(
            ({"prompt": f"question {row}"} for row in range(rows)),
            Asking(model=LLM(url=sim.base_url, api_key="k", model="m")),
            cache_dir=folder,
            max_requests_per_minute=PER_MINUTE if is_told else None,
            burst="smooth",  # what is announced is spent at once otherwise: `benchmarks.announced`
        )
        run.wait(seconds)
        totals = sim.ledger.totals()
        run.cancel()
        run.wait()
        worst = worst_window_of(sim.ledger, PER_MINUTE)
    sent = totals.received - totals.refused
    fullest = worst.amount / worst.allowed if worst is not None else 0.0
    how = "told" if is_told else "from headers, kept smoothly"
    name = f"{PER_MINUTE}/min {how}, server's burst {burst:g} s"
    detail = (
        f"{sent} of {allowed:.0f} in {seconds:g} s, {totals.refused} refused of {totals.received}"
    )
    return [
        Figure(f"unused part of {name}", 1 - sent / allowed, 0.03, detail),
        Figure(f"refused part at {name}", totals.refused / max(1, totals.received), 0.001, detail),
        Figure(f"worst window of {name} / what it may hold", fullest, 1.0, detail),
    ]


def hidden_places(places: int = 50, rounds: int = 200) -> list[Figure]:
    """Ask a server that serves so many at once and says so nowhere, told and not told.

    Args:
        places: Requests that it serves at once; one more is refused.
        rounds: As many times `places` answers are asked for; the first 20 are not counted.
    """
    rates, refused = {}, {}
    for is_told in (True, False):
        with (
            tempfile.TemporaryDirectory() as folder,
            Laboratory.spawn(
                transport="aiohttp", concurrency=places, latency=0.2, limit_headers=False
            ) as sim,
        ):
            start(
                ({"prompt": f"question {row}"} for row in range(rounds * places)),
                Asking(model=LLM(url=sim.base_url, api_key="k", model="m")),
                cache_dir=folder,
                max_concurrent_requests=places if is_told else None,
            ).wait()
            ends = sorted(row.finished for row in sim.ledger.rows if row.end == "finished")
            totals = sim.ledger.totals()
        counted = ends[rounds * places // 10 :]
        rates[is_told] = len(counted) / (counted[-1] - counted[0])
        refused[is_told] = totals.refused / totals.received
    lost = 1 - rates[False] / rates[True]
    detail = (
        f"{rates[False]:.0f} answers/s against {rates[True]:.0f} with {places} at once told, "
        f"{refused[False]:.1%} refused, {rounds} rounds"
    )
    return [
        Figure(f"unused part of {places} places that nobody names", lost, 0.10, detail),
        Figure(f"refused part at {places} places that nobody names", refused[False], 0.02, detail),
    ]


def tail(rows: int) -> list[Figure]:
    """Compare the p99 of rows with and without hedging, against independent stragglers."""
    seconds: dict[bool, list[float]] = {}
    sent = {}
    for is_hedged in (False, True):
        with (
            tempfile.TemporaryDirectory() as folder,
            Laboratory.spawn(
                transport="aiohttp",
                latency=Stragglers(Fixed(0.2), share=0.02, factor=10),
                ledger="totals",
                seed=7,
            ) as sim,
        ):
            run = start(
                ({"prompt": f"question {row}"} for row in range(rows)),
                Asking(model=LLM(url=sim.base_url, api_key="k", model="m")),
                cache_dir=folder,
                max_concurrent_requests=64,
                hedge_after="p95" if is_hedged else None,
            )
            outcomes = run.result()
            seconds[is_hedged] = [one.seconds or 0.0 for one in outcomes]
            sent[is_hedged] = sim.ledger.totals().received
    plain, hedged = (statistics.quantiles(seconds[which], n=100)[98] for which in (False, True))
    extra = sent[True] / rows - 1
    detail = (
        f"p99 {hedged * 1e3:.0f} ms against {plain * 1e3:.0f} ms, {rows:,} rows, 2 % stragglers at "
        f"ten times, {extra:.1%} more requests"
    )
    return [
        Figure("p99 hedged / unhedged", hedged / plain, 1 / 3, detail),
        Figure("requests more for hedging", extra, 0.05, detail),
    ]


def queue(rounds: int = 5, turns: int = 20_000) -> list[Figure]:
    """Compare the cost of a turn at the gate with many waiting and with few."""

    async def seconds(waiting: int) -> float:
        gate = Gate(Limits(concurrency=1, tokens_per_minute=6e12), clock=time.monotonic)
        ticket = await gate.admit(10)
        queue = deque(asyncio.ensure_future(gate.admit(10)) for _ in range(waiting))
        await asyncio.sleep(0)
        begun = time.process_time()
        for _ in range(turns):
            queue.append(asyncio.ensure_future(gate.admit(10)))
            gate.release(ticket, used=9, was_sent=True)
            ticket = await queue.popleft()
        used = time.process_time() - begun
        for one in queue:
            one.cancel()
        await asyncio.gather(*queue, return_exceptions=True)
        return used / turns

    few, many = (
        statistics.median(asyncio.run(seconds(waiting)) for _ in range(rounds))
        for waiting in (10, 10_000)
    )
    detail = f"{many * 1e6:.1f} µs against {few * 1e6:.1f} µs to wait, be admitted and settle"
    return [Figure("a turn at the gate, 10,000 waiting / 10 waiting", many / few, 2.0, detail)]


def measure(scale: int) -> list[Figure]:
    """Run all of them."""
    figures = queue(turns=20_000 // scale)
    for burst in (1.0, 10.0):
        for is_told in (True, False):
            figures += use_of_limit(burst, is_told=is_told, seconds=SECONDS / min(scale, 3))
            time.sleep(0.1)  # sockets of the last server close
    figures += hidden_places(rounds=200 // min(scale, 4))
    return figures + tail(10_000 // scale)
