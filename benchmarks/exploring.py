"""How long a million kept rows take to open and to read, and what a page of them costs a browser.

Run as ``python -m benchmarks.exploring [--rows N] [--folder DIR]``; DIR keeps the rows for the next
time. Prints one line a figure: opening in Python (project, run, two runs, table), pages and
filters, then the longest time that the page's thread was held, and its memory, while one scrolls
and searches.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

PROJECT = "million"
BATCH = 10_000

WATCH = """() => {
  window.held = [];
  new PerformanceObserver((list) => held.push(...list.getEntries().map((one) => one.duration)))
    .observe({ type: "longtask", buffered: true });
}"""


def entries(first: int, count: int) -> list[Any]:
    """Return answers as a provider gives them."""
    from llmnb.store.entry import Entry, answer_key

    made = []
    for row in range(first, first + count):
        asked = f"Is this review kind, unkind or mixed? {row}: the parcel came late " + "again " * 9
        body = orjson.dumps({"messages": [{"role": "user", "content": asked}], "model": "m"})
        text = ("kind", "unkind", "mixed", "please refund")[0 if row % 7 else 1 + row // 7 % 3]
        message = {"role": "assistant", "content": text}
        usage = {"prompt_tokens": 40, "completion_tokens": 1, "total_tokens": 41}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        raw = orjson.dumps({"id": "x", "model": "m", "choices": choices, "usage": usage})
        key = answer_key(dialect="openai.chat", endpoint="https://host/v1", body=body)
        made.append(
            Entry(
                **{"key": key, "request": body, "raw": raw, "dialect": "openai.chat"},
                **{"provider": "openai", "model": "m", "quality": "good", "usd": 0.0001},
                **{"prompt_tokens": 40, "completion_tokens": 1, "seconds": 0.5},
                created=1_700_000_000.0 + row,
            )
        )
    return made


def fill(folder: Path, rows: int) -> tuple[str, str]:
    """Keep so many answers and the indexes of two runs over them; returns the runs' names.

    The second run has each answer one row further down.
    """
    from llmnb.store.project import open_project
    from llmnb.store.run_index import RunHeader, find
    from llmnb.store.run_index_writer import RunIndexWriter

    run_ids = "run-20261129-120000-abcdef", "run-20261129-130000-abcdef"
    if find(run_ids[1], folder) is not None:
        return run_ids
    store = open_project(PROJECT, folder, share=False)
    told = {"verb": "generate", "project": PROJECT, "model": "openai/m", "rows": rows, "begun": 1e9}
    indexes = []
    for first in range(0, rows, BATCH):
        some = entries(first, min(BATCH, rows - first))
        store.commit(some)
        indexes = indexes or [
            RunIndexWriter(store.paths, RunHeader(run_id=run_id, **told), write_soon=lambda: None)
            for run_id in run_ids
        ]
        for number, index in enumerate(indexes):
            asyncio.run(_add(index, first, some[number:] + some[:number]))
            index.write()
    for index in indexes:
        index.end({"state": "finished"})
        index.write()
        index.close()
    return run_ids


async def _add(index: Any, first: int, some: list[Any]) -> None:
    from llmnb.records import Outcome

    told = {"provider": "openai", "model": "m", "source": "sent"}
    for number, entry in enumerate(some):
        index.add(Outcome(row=first + number, key=entry.key, **told))


def timed(what: str, act: Callable[[], Any]) -> Any:
    """Do something and print how long it took."""
    began = time.perf_counter()
    result = act()
    print(f"{what}: {(time.perf_counter() - began) * 1000:,.0f} ms", flush=True)
    return result


def read(name: str, open_: Callable[[], Any]) -> Any:
    """Measure an explorer in Python."""
    from llmnb.notebook import explorer_view

    explorer = timed(f"{name}: opened", open_)
    timed(f"{name}: its state for a page", lambda: explorer_view.state(explorer, "", 1))
    page = explorer.positions[len(explorer) // 2 :][:100].tolist()
    timed(f"{name}: a page of 100 rows in the middle", lambda: explorer.source.read(page))
    timed(f"{name}: facets", lambda: explorer.facets)
    timed(f"{name}: filter", lambda: (explorer.filter(outcome="answered"), explorer.positions))
    explorer.filter()
    return explorer


def read_two(open_: Callable[[], Any]) -> None:
    """Measure an explorer of two runs."""
    from llmnb.notebook import explorer_view

    explorer = timed("two runs: opened", open_)
    timed("two runs: their state for a page", lambda: explorer_view.state(explorer, "", 1))
    timed("two runs: a page of 100 rows", lambda: explorer.source.read(range(500, 600)))
    timed("two runs: compared", explorer.compare)
    timed("two runs: their state then", lambda: explorer_view.state(explorer, "", 1))


def browse(explorer: Any, text: str) -> None:
    """Measure a page: scroll, jump, search."""
    from browsers import ARGUMENTS
    from needs import find_chromium
    from playwright.sync_api import sync_playwright
    from widget_page import WidgetPage

    from llmnb.notebook.explorer import ExplorerWidget

    with sync_playwright() as player:
        chromium = player.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        page = WidgetPage(chromium.new_context(viewport={"width": 1000, "height": 800}))
        tools = page.page.context.new_cdp_session(page.page)
        tools.send("Performance.enable")

        def memory() -> float:
            tools.send("HeapProfiler.collectGarbage")
            metrics = tools.send("Performance.getMetrics")["metrics"]
            return next(one["value"] for one in metrics if one["name"] == "JSHeapUsedSize") / 2**20

        before = memory()
        page.page.evaluate(WATCH)
        widget = ExplorerWidget(explorer)
        began = time.perf_counter()
        box = page.show(widget, width=900)
        page.until(lambda: box.locator("li[role=option]").count() >= 100)
        page.until(lambda: box.locator("section.open:visible h3").count())
        print(f"page: first rows and open row after {(time.perf_counter() - began) * 1000:,.0f} ms")

        box.get_by_role("listbox").focus()
        for _ in range(40):
            page.page.mouse.move(200, 400)
            page.page.mouse.wheel(0, 3_000)
            page.until(lambda: True)
            page.page.wait_for_timeout(30)
        for position in (0.2, 0.9, 0.5):
            wanted = int(position * len(explorer))
            page.page.keyboard.press("g")
            page.page.keyboard.type(str(wanted))
            page.page.keyboard.press("Enter")
            page.until(lambda wanted=wanted: f"Row {wanted:,}" in box.inner_text())
        for _ in range(150):
            page.page.keyboard.press("j")
        page.until(lambda: f"Row {wanted + 150:,}" in box.inner_text())
        print(f"page: longest task while scrolling {longest(page):,.0f} ms")

        page.page.keyboard.press("/")
        began = time.perf_counter()
        page.page.keyboard.type(text)
        page.until(lambda: explorer.searched == text and not explorer.is_searching)
        page.until(lambda: f"of {len(explorer):,}" in box.locator(".cnt").first.inner_text())
        print(
            f"page: searched in {time.perf_counter() - began:,.1f} s, {len(explorer.positions):,}"
        )
        print(f"page: longest task while searching {longest(page):,.0f} ms")
        print(f"page: memory {memory() - before:,.1f} MiB, {count(page)} nodes")
        print(f"page: static form {len(explorer._repr_html_().encode()) / 1000:,.0f} kB")
        assert page.errors == []
        widget.close()
        chromium.close()


def longest(page: Any) -> float:
    """Return the longest task since the last look; 0 where none held the thread for 50 ms."""
    held: list[float] = page.page.evaluate("() => window.held.splice(0)")
    return max(held, default=0.0)


def count(page: Any) -> int:
    """Return how many nodes the page has."""
    nodes: int = page.page.evaluate("() => document.querySelectorAll('*').length")
    return nodes


def main() -> None:
    """Fill a folder if need be, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp())

    import pandas as pd

    import llmnb
    from llmnb.frames import explorers  # noqa: F401 - loading code is no part of opening

    run_id, later = timed("filled", lambda: fill(folder, options.rows))
    project = read("project", lambda: llmnb.explore(PROJECT, cache_dir=folder))
    del project
    run = read("run", lambda: llmnb.explore(run_id, cache_dir=folder))
    read_two(lambda: llmnb.explore(run_id, later, cache_dir=folder))
    llmnb.register_accessor("llm")
    texts = [f"review {row}" for row in range(options.rows)]
    frame = pd.DataFrame({"text": texts, "mood": ["kind", "unkind"] * (options.rows // 2)})
    read("table", lambda: frame.llm.explore("mood"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"memory of this process at its highest: {peak:,.0f} MiB")
    browse(run, "please refund")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
    main()
