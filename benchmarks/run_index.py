"""What it costs to write down what becomes of each row of a run, and to open it again.

Run as ``python -m benchmarks.run_index --rows N``; prints one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figure import Figure

CPU_BOUND, BYTES_BOUND, OPENING_BOUND = 3e-6, 40.0, 1.0
"""Seconds and bytes a row to write, and seconds to open a million rows."""


def measure(rows: int, root: Path) -> dict[str, float]:
    """Return CPU seconds and bytes a row to write, and CPU seconds to open all of them."""
    from llmnb.records import Outcome
    from llmnb.store import layout, run_index
    from llmnb.store.entry import answer_key
    from llmnb.store.project import open_project
    from llmnb.store.run_index_writer import RunIndexWriter

    outcomes = [
        Outcome(
            row=row,
            key=answer_key(dialect="openai.chat", endpoint="e", body=b"%d" % row),
            provider="openai",
            model="m",
            source="cached",
        )
        for row in range(rows)
    ]
    store = open_project("bench", root)
    header = run_index.RunHeader(verb="generate", run_id="run", project="bench", rows=rows)
    writer = RunIndexWriter(store.paths, header, write_soon=store.write_index_soon)
    store.index = writer

    async def take() -> None:
        for first in range(0, rows, 256):
            for outcome in outcomes[first : first + 256]:
                writer.add(outcome)
            await asyncio.sleep(0)

    began = time.process_time()
    asyncio.run(take())
    writer.end({})
    store.flush()
    writing = time.process_time() - began
    (path,) = layout.run_files(store.folder)
    began = time.process_time()
    index = run_index.read("run", root)
    opening = time.process_time() - began
    assert len(index) == rows
    return {"cpu": writing / rows, "bytes": path.stat().st_size / rows, "opening": opening}


def figures(rows: int, rounds: int) -> list[Figure]:
    """Compare with the bounds."""
    found = []
    for _ in range(rounds):
        command = [sys.executable, "-m", "benchmarks.run_index", "--rows", str(rows)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout))
    cost = {name: statistics.median(one[name] for one in found) for name in found[0]}
    detail = (
        f"{cost['cpu'] * 1e6:.2f} µs of CPU and {cost['bytes']:.1f} bytes a row, opened in "
        f"{cost['opening']:.2f} s of CPU; {rows:,} rows"
    )
    return [
        Figure(
            "CPU of a row in a run's index, in units of 3 µs", cost["cpu"] / CPU_BOUND, 1, detail
        ),
        Figure(
            "bytes of a row in a run's index, in units of 40",
            cost["bytes"] / BYTES_BOUND,
            1,
            detail,
        ),
        Figure(
            "opening a run's index, in units of 1 s a million rows",
            cost["opening"] / rows * 1e6 / OPENING_BOUND,
            1,
            detail,
        ),
    ]


def main() -> None:
    """Measure in a process of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        json.dump(measure(options.rows, Path(os.path.join(folder, "cache"))), sys.stdout)


if __name__ == "__main__":
    main()
