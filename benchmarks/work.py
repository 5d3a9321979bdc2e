"""One piece of work, measured in a process of its own: bare aiohttp, or llmnb, cold or warm.

Run as ``python -m benchmarks.work KIND …``; prints one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import sys
import time

PROMPT = "Is this review positive or negative? It was a long film and row {} of it was fine."


def requests(rows: int) -> list[dict]:
    """Return chat requests that all differ."""
    return [
        {"messages": [{"role": "user", "content": PROMPT.format(row)}], "max_tokens": 8}
        for row in range(rows)
    ]


async def bare(url: str, asked: list[dict], in_flight: int) -> None:
    """Ask with nothing but aiohttp: gather behind a semaphore, JSON in and out."""
    import aiohttp

    places = asyncio.Semaphore(in_flight)
    connector = aiohttp.TCPConnector(limit=0)
    headers = {"Authorization": "Bearer k"}
    async with aiohttp.ClientSession(connector=connector) as session:

        async def one(request: dict) -> str:
            async with (
                places,
                session.post(url, json={"model": "m", **request}, headers=headers) as response,
            ):
                body = await response.json()
            return body["choices"][0]["message"]["content"]

        answers = await asyncio.gather(*(one(request) for request in asked))
    assert len(answers) == len(asked)


def engine(url: str, asked: list[dict], in_flight: int, cache_dir: str) -> object:
    """Ask with everything on: limits, store written and synced, cost counted."""
    from llmnb import AsyncLLM

    llm = AsyncLLM(
        api_provider="openai",
        model="gpt-4o-mini",
        api_key="k",
        url=url,
        max_requests_per_minute=60_000_000,
        max_tokens_per_minute=60_000_000_000,
        max_concurrent_requests=in_flight,
        cache_dir=cache_dir,
        project_name="bench",
        logging_level=40,
    )
    answers = llm.generate(asked, progress=False)
    assert len(answers) == len(asked)
    assert all(isinstance(answer[1], dict) for answer in answers)
    return llm.last_run.status()


def main() -> None:
    """Measure one kind of work."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["bare", "engine"])
    parser.add_argument("--url", required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--in-flight", type=int, required=True)
    parser.add_argument("--cache-dir", default="")
    options = parser.parse_args()
    endpoint = options.url + "/chat/completions"
    if options.kind == "bare":
        import aiohttp  # noqa: F401 - its import is not part of the work

        asyncio.run(bare(endpoint, requests(64), options.in_flight))  # warm-up
    else:
        engine(options.url, requests(64), options.in_flight, options.cache_dir)
    asked = requests(options.rows)  # the caller's own work, and its garbage, are not measured
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    if options.kind == "bare":
        asyncio.run(bare(endpoint, asked, options.in_flight))
        sent = options.rows
    else:
        status = engine(options.url, asked, options.in_flight, options.cache_dir)
        sent = status.counts.num_requests
    result = {
        "cpu": (time.process_time() - cpu) / options.rows,
        "wall": (time.perf_counter() - wall) / options.rows,
        "sent": sent,
        "peak_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
