"""What every peer's script shares: its task, the book of its rows, the clocks.

A script defines ``async def ask(task, prompts, book)`` and ends with
``harness.main(ask)``. It is started as ``python script.py TASK`` with the
task as JSON, prints one line of JSON at its end, and ends at the latest when
its standard input closes. It runs in the peer's own virtual environment, so
this file imports the standard library only.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import resource
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

PROMPT = "Is this review positive or negative? It was a long film and row {} of it was fine."
"""One question; the number in it comes back in the answer."""

RETRIES = 5
"""How often a peer may ask again, where it can be told."""

WARM_UP_ROWS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is asked of a peer."""

    url: str
    """Base address, such as ``http://127.0.0.1:8000/v1``."""

    rows: int
    distinct: int
    """How many different prompts the rows have."""

    in_flight: int
    per_minute: int | None = None
    """The limit as it is told to peers that can be told; None: there is none."""

    seconds: float = 600.0
    """When to give up, whatever is still open."""

    has_cache: bool = False
    """Whether a peer's own cache, kept in memory, is to be on."""

    warms_up: bool = False
    folder: str = ""
    """An empty folder for whatever a peer writes."""

    variant: str = ""
    """A way to use the peer that the script knows by this name."""


class Book:
    """What became of each row.

    Args:
        numbers: The number in each row's prompt.
    """

    def __init__(self, numbers: list[int]) -> None:
        self._numbers = numbers
        self.right: set[int] = set()
        self.wrong: set[int] = set()
        self.failed: set[int] = set()
        self.first_error = ""

    def answered(self, row: int, text: str | None) -> None:
        """Enter an answer; it is right when it is the answer to this row's prompt."""
        found = self.right if text == f"row {self._numbers[row]}" else self.wrong
        found.add(row)

    def lost(self, row: int, error: object) -> None:
        """Enter that a row ended without an answer."""
        self.failed.add(row)
        if not self.first_error:
            self.first_error = f"{type(error).__name__}: {error}"[:300]


Ask = Callable[[Task, list[str], Book], Awaitable[None]]


def numbers_of(task: Task) -> list[int]:
    """Return the number in each row's prompt: every prompt as often, in one shuffled order."""
    numbers = [row % task.distinct for row in range(task.rows)]
    if task.distinct < task.rows:
        random.Random(0).shuffle(numbers)
    return numbers


def prompts_of(numbers: list[int]) -> list[str]:
    """Return the prompts that hold these numbers."""
    return [PROMPT.format(number) for number in numbers]


def messages(prompt: str) -> list[dict[str, str]]:
    """Return a prompt as a chat."""
    return [{"role": "user", "content": prompt}]


async def each(
    prompts: list[str], in_flight: int, book: Book, one: Callable[[str], Awaitable[str | None]]
) -> None:
    """Ask row by row behind a semaphore, which is what a peer's documentation has people write."""
    places = asyncio.Semaphore(in_flight)

    async def row(number: int, prompt: str) -> None:
        async with places:
            try:
                book.answered(number, await one(prompt))
            except Exception as error:  # whatever type a peer ends a row with, the row is lost
                book.lost(number, error)

    await asyncio.gather(*(row(number, prompt) for number, prompt in enumerate(prompts)))


class _Report:
    """Prints the one line of JSON, once, from whichever thread comes first."""

    def __init__(self, task: Task, book: Book) -> None:
        self._task = task
        self._book = book
        self._lock = threading.Lock()
        self._cpu = time.process_time()
        self._wall = time.perf_counter()

    def end(self, *, is_cut: bool) -> None:
        with self._lock:
            book = self._book
            line = {
                "cpu": time.process_time() - self._cpu,
                "wall": time.perf_counter() - self._wall,
                "rows": self._task.rows,
                "right": len(book.right),
                "wrong": len(book.wrong),
                "failed": len(book.failed),
                "first_error": book.first_error,
                "is_cut": is_cut,
                "peak_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
            }
            print(json.dumps(line), flush=True)
            os._exit(0)  # without waiting for what a peer still has under way


def _cut(report: _Report) -> None:
    """End the work when standard input closes: whoever started us has seen enough."""
    sys.stdin.read()
    report.end(is_cut=True)


async def _work(ask: Ask, task: Task) -> None:
    """Warm up and do the task on one loop: clients that a peer keeps belong to theirs."""
    if task.warms_up:
        warm = replace(task, rows=WARM_UP_ROWS, distinct=WARM_UP_ROWS)
        numbers = [10**6 + number for number in range(WARM_UP_ROWS)]
        await ask(warm, prompts_of(numbers), Book(numbers))
    numbers = numbers_of(task)
    prompts, book = prompts_of(numbers), Book(numbers)
    gc.collect()
    report = _Report(task, book)
    threading.Thread(target=_cut, args=(report,), daemon=True).start()
    timer = threading.Timer(task.seconds, report.end, kwargs={"is_cut": True})
    timer.daemon = True
    timer.start()
    try:
        await ask(task, prompts, book)
    except Exception as error:  # a peer that ends the whole call leaves every open row unanswered
        for row in set(range(task.rows)) - book.right - book.wrong - book.failed:
            book.lost(row, error)
    report.end(is_cut=False)


def main(ask: Ask) -> None:
    """Do the task named on the command line and tell what became of it."""
    asyncio.run(_work(ask, Task(**json.loads(sys.argv[1]))))
