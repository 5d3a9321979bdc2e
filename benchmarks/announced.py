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
from laboratory import Laboratory

from benchmarks.figure import Figure
from llmnb.decide.announced_limits import HANDFUL
from llmnb.models.llm import LLM
from llmnb.running.asking import Asking
from llmnb.running.start import start
from llmnb.testing.ledger import LedgerRow

AT_ONCE = 64
LATENCY_SECONDS = 0.5
TOKENS_PER_MINUTE = 600_000


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
        with Laboratory.spawn(latency=LATENCY_SECONDS, **limits) as sim:
            theirs.append(asyncio.run(_bare(sim.base_url, 200)))
        with Laboratory.spawn(latency=LATENCY_SECONDS, **limits) as sim:
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
    unused: float | None = 0.03,
    refused: float = 0.0,
    burst: float = 10.0,
    others: float = 0.0,
    told: int | None = None,
    headers: bool | str = True,
    why: str,
) -> list[Figure]:
    """Ask so many rows at 600 a minute and compare with what the server would let pass."""
    with Laboratory.spawn(
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
    figures = [Figure(f"{name}: refused part after the first handful", share, refused, detail)]
    if unused is not None:
        used = min(1.0, rows / could)
        figures.insert(0, Figure(f"{name}: unused part", 1 - used, unused, detail))
    return figures


def _left_and_used(rows: list[LedgerRow], since: float) -> tuple[float, float, float]:
    """Follow a server's bucket of tokens: what it held at a moment, and took and lost after it.

    Args:
        rows: What it received.
        since: The moment, in seconds after the first one came.
    """
    a_second = TOKENS_PER_MINUTE / 60
    level, then, begun, held, used = a_second, 0.0, rows[0].received, 0.0, 0.0
    for row in rows:
        now = row.received - begun
        if then <= since < now:
            held = min(a_second, level + a_second * (since - then))
        level, then = min(a_second, level + a_second * (now - then)), now
        if row.end != "refused":
            level -= row.charged_tokens
            used += row.charged_tokens if now > since else 0
    return held, used, then


def token_counting(*, headers: bool, rows: int = 1200) -> list[Figure]:
    """Ask where the provider counts prompt and `max_tokens` together, announced and not."""
    with Laboratory.spawn(
        latency=LATENCY_SECONDS,
        tokens_per_minute=TOKENS_PER_MINUTE,
        burst_seconds=1,
        charge="sum",
        limit_headers=headers,
    ) as sim:
        seconds = asked(
            sim,
            requests(rows, max_tokens=100),
            max_tokens_per_minute=None if headers else TOKENS_PER_MINUTE,
        )
        sent = list(sim.ledger.rows)
    held, used, last = _left_and_used(sent, 1.0)
    could = held + TOKENS_PER_MINUTE / 60 * (last - 1.0)
    later = [row for row in sent if row.received - sent[0].received > 1.0]
    refused = sum(row.end == "refused" for row in later) / max(1, len(later))
    how = "announced" if headers else "not announced"
    in_all = sum(row.end == "refused" for row in sent)
    why = (
        "half a second's worth is kept back, as requests may arrive so late"
        if headers
        else "the first refusal tells how much more is counted, and asks for a whole second"
    )
    detail = f"{rows} rows in {seconds:.1f} s, {in_all} refused in all; {why}"
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
    yield from use(
        "only the limit announced, not what is left",
        headers="limit",
        burst=1.0,
        unused=None,
        refused=0.04,
        why="the first handful comes before it is heard of, then it goes evenly",
    )
    yield from use(
        "nothing announced at all",
        headers=False,
        burst=1.0,
        unused=None,
        refused=0.2,
        why="the pace is found by trying",
    )
