"""What is announced, spent: small tables, another client, tokens that are counted otherwise.

Each figure is a ratio within one run, so that every line of the table reads "at most". What is
refused among the first handful (8 requests, before anything is known) is not counted as refused.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator

import aiohttp

from benchmarks.figure import Figure
from llmnb.decide.announced import HANDFUL
from llmnb.models.asking import Asking
from llmnb.models.llm import LLM
from llmnb.models.start import start
from llmnb.testing import SimulatedProvider

AT_ONCE = 64
LATENCY_SECONDS = 0.5


def requests(rows: int, **fields: int) -> list[dict]:
    """Return requests that all differ."""
    return [
        {"messages": [{"role": "user", "content": f"question {row}"}], **fields}
        for row in range(rows)
    ]


async def _bare(url: str, rows: int) -> float:
    """Return how long a client takes that simply sends, so many at once."""
    places = asyncio.Semaphore(AT_ONCE)
    async with aiohttp.ClientSession() as session:

        async def one(body: dict) -> None:
            async with places, session.post(f"{url}/chat/completions", json=body) as reply:
                await reply.read()

        begun = time.perf_counter()
        await asyncio.gather(*(one({"model": "m", **body}) for body in requests(rows)))
        return time.perf_counter() - begun


def asked(sim: object, rows: list[dict], model: str = "m", **options: object) -> float:
    """Return how long a run takes."""
    with tempfile.TemporaryDirectory() as folder:
        asking = Asking(model=LLM(url=sim.base_url, api_key="k", model=model))
        begun = time.perf_counter()
        outcomes = start(
            rows, asking, cache_dir=folder, max_concurrent_requests=AT_ONCE, **options
        ).result()
        seconds = time.perf_counter() - begun
    assert all(one.error is None for one in outcomes)
    return seconds


def small_table(rounds: int) -> list[Figure]:
    """Compare 200 rows at 500 a minute, 500 left, with a client that simply sends."""
    ours, theirs, refused = [], [], 0
    limits = {"requests_per_minute": 500, "burst_seconds": 60}
    for _ in range(rounds):
        with SimulatedProvider.spawn(latency=LATENCY_SECONDS, **limits) as sim:
            theirs.append(asyncio.run(_bare(sim.base_url, 200)))
        with SimulatedProvider.spawn(latency=LATENCY_SECONDS, **limits) as sim:
            asked(sim, requests(1), "another")  # prices, certificates
            ours.append(asked(sim, requests(200)))
            refused += sim.ledger.totals().refused
    ratio = statistics.median(ours) / statistics.median(theirs)
    detail = (
        f"{statistics.median(ours):.1f} s against {statistics.median(theirs):.1f} s, {refused} "
        "refused; a handful goes first, then rounds that triple"
    )
    return [
        Figure("small table, announced bucket: wall time / bare aiohttp", ratio, 1.5, detail),
        Figure("small table, announced bucket: refused", refused, 0.0, detail),
    ]


def use(
    name: str,
    *,
    rows: int = 400,
    unused: float = 0.03,
    refused: float = 0.0,
    burst: float = 10.0,
    others: float = 0.0,
    told: int | None = None,
    headers: bool = True,
    why: str,
) -> list[Figure]:
    """Ask so many rows at 600 a minute and compare with what the server would let pass."""
    with SimulatedProvider.spawn(
        latency=LATENCY_SECONDS,
        requests_per_minute=600,
        burst_seconds=burst,
        others_per_minute=others,
        limit_headers=headers,
    ) as sim:
        seconds = asked(sim, requests(rows), max_requests_per_minute=told)
        totals = sim.ledger.totals()
    could = 10 * burst + (600 - others) / 60 * (seconds - LATENCY_SECONDS)
    share = max(0, totals.refused - HANDFUL) / totals.received
    detail = f"{rows} rows in {seconds:.1f} s, {totals.refused} refused; {why}"
    return [
        Figure(f"{name}: unused part", 1 - min(1.0, rows / could), unused, detail),
        Figure(f"{name}: refused part after the first handful", share, refused, detail),
    ]


def token_counting(*, headers: bool, rows: int = 600) -> list[Figure]:
    """Ask where the provider counts prompt and `max_tokens` together, announced and not."""
    with SimulatedProvider.spawn(
        latency=LATENCY_SECONDS,
        tokens_per_minute=600_000,
        burst_seconds=1,
        charge="sum",
        limit_headers=headers,
    ) as sim:
        seconds = asked(
            sim,
            requests(rows, max_tokens=100),
            max_tokens_per_minute=None if headers else 600_000,
        )
        sent = list(sim.ledger.rows)
    begun = sent[0].received
    later = [row for row in sent if row.received - begun > 1.0]
    refused = sum(row.end == "refused" for row in later) / max(1, len(later))
    used = sum(row.charged_tokens for row in later if row.end != "refused")
    could = 10_000 * (sent[-1].received - begun - 1.0)
    how = "announced" if headers else "not announced"
    in_all = sum(row.end == "refused" for row in sent)
    detail = (
        f"{rows} rows in {seconds:.1f} s, {in_all} refused in all; from the first second on, "
        "a Retry-After of a whole second and the handful after it among them"
    )
    return [
        Figure(f"unknown token counting, {how}: refused after 1 s", refused, 0.03, detail),
        Figure(f"unknown token counting, {how}: unused part", 1 - used / could, 0.05, detail),
    ]


def measure(rounds: int) -> Iterator[Figure]:
    """Run all of them."""
    yield from small_table(rounds)
    yield from token_counting(headers=True)
    yield from token_counting(headers=False)
    yield from use("400 rows, bucket of 10 s announced", why="the last of a bucket is kept back")
    yield from use(
        "a limit told by the user alone, one second's worth",
        burst=1.0,
        told=600,
        headers=False,
        refused=0.001,
        why="0.9 s at once, then evenly",
    )
    yield from use(
        "another client takes a third",
        others=200.0,
        unused=0.1,
        refused=0.01,
        why="what the other one may take meanwhile is kept back",
    )
