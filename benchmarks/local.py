"""The local model's throughput: four slots, through llmnb and through a bare client.

``python -m benchmarks.local [--rows N] [--rounds N]``. Both ask the same server, llama.cpp's
own, alternately and with different prompts, so that neither reads what the other has warmed.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import tempfile
import time

import aiohttp

from benchmarks.figure import Figure
from llmnb.adapters import llamacpp
from llmnb.models.in_process import LocalModel
from llmnb.running.asking import Asking
from llmnb.running.start import start

SLOTS = 4
LEAST_SHARE = 0.9
"""Of the bare client's throughput that llmnb must reach."""

_numbers = itertools.count()


def requests(rows: int) -> list[dict]:
    """Return requests that nobody has asked before."""
    return [
        {
            "messages": [{"role": "user", "content": f"Write a line about the number {number}."}],
            "max_tokens": 24,
            "temperature": 0,
        }
        for number in itertools.islice(_numbers, rows)
    ]


async def bare(server: llamacpp.LocalServer, bodies: list[dict]) -> float:
    """Ask with nothing but an HTTP client; returns seconds."""
    places = asyncio.Semaphore(SLOTS + 1)
    headers = {"authorization": f"Bearer {server.api_key}"}
    url = server.base_url + "/chat/completions"
    async with aiohttp.ClientSession(headers=headers) as session:

        async def one(body: dict) -> None:
            async with places, session.post(url, json=body) as reply:
                assert reply.status == 200
                await reply.json()

        began = time.perf_counter()
        await asyncio.gather(*(one(body) for body in bodies))
        return time.perf_counter() - began


def engine(model: LocalModel, bodies: list[dict]) -> float:
    """Ask through llmnb, everything on; returns seconds."""
    began = time.perf_counter()
    outcomes = start(bodies, Asking(model=model)).result()
    seconds = time.perf_counter() - began
    assert all(one.is_answer and not one.is_cached for one in outcomes)
    return seconds


def figures(rows: int, rounds: int) -> list[Figure]:
    """Compare the two."""
    model = LocalModel(n_parallel=SLOTS)
    engine(model, requests(SLOTS))  # it is loaded by its first request
    target = model.target("chat")
    server = llamacpp.serve(target.path, name=target.model, load=model.load)
    ratios, ours, theirs = [], [], []
    for _ in range(rounds):
        theirs.append(asyncio.run(bare(server, requests(rows))))
        ours.append(engine(model, requests(rows)))
        ratios.append(ours[-1] / theirs[-1])
    model.close()
    rates = [rows / statistics.median(one) for one in (ours, theirs)]
    detail = f"{rates[0]:.1f} against {rates[1]:.1f} answers a second, {rows} rows, {SLOTS} slots"
    what = "time of a local run / bare client at llama.cpp's own server"
    return [Figure(what, statistics.median(ratios), 1 / LEAST_SHARE, detail)]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.local", description=__doc__)
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        from llmnb import configure

        configure(cache_dir=folder)
        found = figures(options.rows, options.rounds)
    for one in found:
        print(f"{one.what}: {one.value:.3f} (bound {one.bound:.2f}): {one.detail}")
    return 0 if all(one.is_reached for one in found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
