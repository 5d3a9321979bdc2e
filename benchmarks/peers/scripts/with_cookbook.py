"""The method of the OpenAI Cookbook's parallel request script, written anew from its description.

Requests stream from a JSON lines file. A loop that wakes every millisecond
refills two capacities, requests and tokens, each as large as a whole minute's;
it starts a task wherever both suffice, however many are in flight. A failed
request is put into a queue for another try, five in all; an error that speaks
of the rate limit holds everything back for 15 seconds. Answers and failures
are appended to a second file.
"""

from __future__ import annotations

import asyncio
import json
import os
import pathlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp
import harness

ATTEMPTS = 5
PAUSE_SECONDS = 15.0
LOOP_SECONDS = 0.001
NO_LIMIT = 60_000_000
TOKENS_PER_MINUTE = 250_000_000
"""So high that it never holds: the method's own accounting, without a limit of tokens."""


@dataclass(slots=True)
class Capacity:
    """What may be used now; a whole minute's worth at most."""

    per_minute: float
    left: float = field(init=False)

    def __post_init__(self) -> None:
        self.left = self.per_minute

    def refill(self, seconds: float) -> None:
        """Add what so many seconds bring."""
        self.left = min(self.per_minute, self.left + self.per_minute * seconds / 60)


@dataclass(slots=True)
class Job:
    """One request, its tokens and the tries that are left."""

    row: int
    body: dict
    tokens: int
    attempts_left: int = ATTEMPTS


def token_counter() -> Callable[[str], int]:
    """Return the method's tokenizer; by characters where its vocabulary is not at hand."""
    if not os.environ.get("TIKTOKEN_CACHE_DIR"):
        return lambda text: len(text) // 4
    import tiktoken

    encoding = tiktoken.get_encoding("cl100k_base")
    return lambda text: len(encoding.encode(text))


class Processor:
    """The loop and what it shares with its tasks."""

    def __init__(self, task: harness.Task, book: harness.Book, results: pathlib.Path) -> None:
        self.url = f"{task.url}/chat/completions"
        self.book = book
        self.results = results
        self.requests = Capacity(task.per_minute or NO_LIMIT)
        self.tokens = Capacity(TOKENS_PER_MINUTE)
        self.again: deque[Job] = deque()
        self.under_way = 0
        self.limited_at = float("-inf")

    async def work(self, source: pathlib.Path) -> None:
        """Start what the capacities allow until the file and the queue are empty."""
        count = token_counter()
        refilled = time.monotonic()
        waiting: Job | None = None
        headers = {"Authorization": "Bearer simulated"}
        with source.open(encoding="utf-8") as lines:
            async with aiohttp.ClientSession(headers=headers) as session:
                while True:
                    waiting = waiting or self.next_job(lines, count)
                    now = time.monotonic()
                    self.requests.refill(now - refilled)
                    self.tokens.refill(now - refilled)
                    refilled = now
                    if waiting is not None and self.has_capacity(waiting):
                        self.start(session, waiting)
                        waiting = None
                    elif waiting is None and not self.under_way:
                        return
                    await asyncio.sleep(LOOP_SECONDS)
                    since = time.monotonic() - self.limited_at
                    if since < PAUSE_SECONDS:
                        await asyncio.sleep(PAUSE_SECONDS - since)

    def next_job(self, lines, count: Callable[[str], int]) -> Job | None:
        """Return what failed before, else the next line; None where there is neither."""
        if self.again:
            return self.again.popleft()
        line = next(lines, None)
        if line is None:
            return None
        entry = json.loads(line)
        body = entry["body"]
        text = body["messages"][0]["content"]
        return Job(entry["row"], body, count(text) + body["max_tokens"])

    def has_capacity(self, job: Job) -> bool:
        """Return whether both capacities suffice."""
        return self.requests.left >= 1 and self.tokens.left >= job.tokens

    def start(self, session: aiohttp.ClientSession, job: Job) -> None:
        """Take what a request needs and send it beside the loop."""
        self.requests.left -= 1
        self.tokens.left -= job.tokens
        job.attempts_left -= 1
        self.under_way += 1
        task = asyncio.create_task(self.call(session, job))
        task.add_done_callback(asyncio.Task.result)  # keeps it, and tells what it died of

    async def call(self, session: aiohttp.ClientSession, job: Job) -> None:
        """Send one request; what fails goes into the queue or is given up."""
        error: object = None
        try:
            async with session.post(self.url, json=job.body) as response:
                answer = await response.json()
            error = answer.get("error")
        except (aiohttp.ClientError, json.JSONDecodeError, TimeoutError) as failure:
            error = failure
        if error is None:
            text = answer["choices"][0]["message"]["content"]
            self.keep([job.body, answer])
            self.book.answered(job.row, text)
            self.under_way -= 1
            return
        if "rate limit" in str(error).lower():
            self.limited_at = time.monotonic()
        if job.attempts_left:
            self.again.append(job)
        else:
            self.keep([job.body, str(error)])
            self.book.lost(job.row, RuntimeError(str(error)))
        self.under_way -= 1

    def keep(self, line: list) -> None:
        """Append a line to the file of results."""
        with self.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


async def ask(task: harness.Task, prompts: list[str], book: harness.Book) -> None:
    folder = pathlib.Path(task.folder)
    source = folder / f"{len(prompts)}.requests.jsonl"
    with source.open("w", encoding="utf-8") as file:
        for row, prompt in enumerate(prompts):
            body = {"model": "gpt-4o-mini", "messages": harness.messages(prompt), "max_tokens": 8}
            file.write(json.dumps({"row": row, "body": body}) + "\n")
    await Processor(task, book, folder / f"{len(prompts)}.results.jsonl").work(source)


if __name__ == "__main__":
    harness.main(ask)
