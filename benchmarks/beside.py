"""A question beside a run: how long one row waits while 400 others are asked of the same model."""

from __future__ import annotations

import statistics
import tempfile
import time

from benchmarks.figure import Figure
from benchmarks.work import requests
from llmnb import AsyncLLM
from llmnb.engine.run import Run
from llmnb.testing import SimulatedProvider
from llmnb.testing.ledger import prompt_hash

LATENCY_SECONDS = 0.3
ROWS = 400


def question(number: int) -> list[dict]:
    """Return one row that no run has asked."""
    return [{"messages": [{"role": "user", "content": f"Question {number}?"}]}]


def llm(sim: SimulatedProvider, folder: str, **limits: int) -> AsyncLLM:
    """Return who asks, with what binds the account."""
    return AsyncLLM(
        api_provider="openai",
        model="m",
        api_key="k",
        url=sim.base_url,
        cache_dir=folder,
        logging_level=40,
        **limits,
    )


def seconds(who: AsyncLLM, number: int) -> float:
    """Return how long one row takes."""
    begun = time.perf_counter()
    who.generate(question(number), progress=False)
    return time.perf_counter() - begun


def under_way(run: Run, rows: int) -> Run:
    """Return a run once so many of its rows are done."""
    while run.status().counts.num_rows_done < rows:
        run.wait(0.02)
    return run


def own_limits(rounds: int) -> Figure:
    """Compare a row beside a run whose own limits bind with the same row alone."""
    with SimulatedProvider(latency=LATENCY_SECONDS) as sim, tempfile.TemporaryDirectory() as folder:
        who = llm(sim, folder)
        seconds(who, -1)  # prices, certificates, a connection
        alone = statistics.median(seconds(who, number) for number in range(rounds))
        run = who.start(requests(ROWS), max_requests_per_minute=600)
        under_way(run, 12)
        beside = statistics.median(seconds(who, 100 + number) for number in range(rounds))
        is_under_way = not run.is_done
        run.stop()
        run.result()
    assert is_under_way, "the run was over before the questions were asked"
    detail = f"{beside * 1e3:.0f} ms against {alone * 1e3:.0f} ms, {ROWS} rows at 600/min"
    what = "a question beside a run under its own limits / alone"
    return Figure(what, beside / alone, 2.0, detail)


def account_limits(rounds: int) -> Figure:
    """Count the requests that go before a row's where the account's only place binds."""
    before = []
    with SimulatedProvider(latency=LATENCY_SECONDS) as sim, tempfile.TemporaryDirectory() as folder:
        who = llm(sim, folder, max_concurrent_requests=1)
        seconds(who, -1)
        run = under_way(who.start(requests(ROWS)), 2)
        for number in range(rounds):
            count = len(sim.ledger.rows)
            who.generate(question(number), progress=False)
            ours = prompt_hash(f"Question {number}?")
            later = [row.prompt_hash for row in sim.ledger.rows[count:]]
            before.append(later.index(ours))
        run.stop()
        run.result()
    detail = f"{before} requests of the run, {ROWS} rows, one place"
    what = "slots that a question waits where the account's limit binds"
    return Figure(what, max(before), 2.0, detail)


def figures(rounds: int) -> list[Figure]:
    """Measure both."""
    return [own_limits(rounds), account_limits(rounds)]
