"""The method of the cookbook's script, written anew for comparison: one loop, a nap in each turn.

A turn takes the next line, or one that is to be tried again; when the refilled
capacities of requests and tokens allow it the request is launched as a task;
then the loop naps for a millisecond. An answer is appended to the results by
opening the file for it. After a refusal for pace everything waits 15 s.

Run as ``python -m benchmarks.one_loop REQUESTS RESULTS URL``.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque
from collections.abc import Iterator

import aiohttp

from llmnb.adapters.tokens import count_tokens

REQUESTS_PER_MINUTE = 60_000_000
TOKENS_PER_MINUTE = 60_000_000_000
NAP_SECONDS = 0.001
COOLDOWN_SECONDS = 15.0
ATTEMPTS = 5


class Batch:
    """What the loop and its tasks share."""

    def __init__(self, results: str, url: str, session: aiohttp.ClientSession) -> None:
        self.results, self.url, self.session = results, url, session
        self.again: deque[tuple[dict, int, int]] = deque()
        self.under_way = 0
        self.refused_at = float("-inf")

    async def ask(self, request: dict, tokens: int, attempts: int) -> None:
        """Send one request; append its answer, or put it back."""
        failure = ""
        try:
            headers = {"Authorization": "Bearer k"}
            async with self.session.post(self.url, json=request, headers=headers) as response:
                answer = await response.json()
            if "error" in answer:
                failure = str(answer["error"])
                if "rate limit" in failure.lower():
                    self.refused_at = time.time()
        except Exception as error:
            failure = str(error)
        if not failure:
            self.append([request, answer])
        elif attempts > 1:
            self.again.append((request, tokens, attempts - 1))
            return
        else:
            self.append([request, [failure]])
        self.under_way -= 1

    def append(self, row: list) -> None:
        """Write one row behind the others."""
        with open(self.results, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


async def run(lines: Iterator[str], results: str, url: str) -> None:
    """Answer the lines of a file of requests."""
    free_requests, free_tokens = float(REQUESTS_PER_MINUTE), float(TOKENS_PER_MINUTE)
    looked, lines_left, waiting = time.time(), True, None
    async with aiohttp.ClientSession() as session:
        batch = Batch(results, url, session)
        while True:
            if waiting is None and batch.again:
                waiting = batch.again.popleft()
            elif waiting is None and lines_left:
                line = next(lines, None)
                if line is None:
                    lines_left = False
                else:
                    request = json.loads(line)
                    waiting = (request, length(request), ATTEMPTS)
                    batch.under_way += 1
            now = time.time()
            passed, looked = now - looked, now
            free_requests = min(
                free_requests + REQUESTS_PER_MINUTE * passed / 60, REQUESTS_PER_MINUTE
            )
            free_tokens = min(free_tokens + TOKENS_PER_MINUTE * passed / 60, TOKENS_PER_MINUTE)
            if waiting is not None and free_requests >= 1 and free_tokens >= waiting[1]:
                free_requests -= 1
                free_tokens -= waiting[1]
                task = asyncio.create_task(batch.ask(*waiting))
                task.add_done_callback(lambda done: done.result())
                waiting = None
            if not (lines_left or batch.under_way):
                return
            await asyncio.sleep(NAP_SECONDS)
            rest = batch.refused_at + COOLDOWN_SECONDS - time.time()
            if rest > 0:
                await asyncio.sleep(rest)


def length(request: dict) -> int:
    """Return the tokens that a chat request may use, counted before it is sent."""
    return int(request.get("max_tokens", 15)) + count_tokens(request).tokens


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        asyncio.run(run(file, *sys.argv[2:4]))
