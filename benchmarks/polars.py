"""What a row costs through Polars' accessor against pandas', and how large a Parquet table may be.

Run as ``python -m benchmarks.polars --url URL --rows N --cache-dir DIR``; prints one line of JSON.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.figure import Figure
from benchmarks.tables import WATCHED

DISTINCT = 10_000


def measure_rows(url: str, rows: int, cache_dir: str) -> dict[str, float]:
    """Return CPU seconds a cached row, through both accessors and a lazy frame, alternately."""
    import pandas as pd
    import polars as pl

    import llmnb
    from llmnb.models.llm import LLM

    llmnb.configure(cache_dir=cache_dir, project_name="bench")
    columns = {
        "text": [f"a line of text, number {row}" for row in range(rows)],
        "other": list(range(rows)),
    }
    options = {
        "model": LLM(url=url, api_key="k", model="m"),
        "max_concurrent_requests": 256,
        "progress": False,
        "into": "said",
    }
    frames = {"pandas": pd.DataFrame(columns), "polars": pl.DataFrame(columns)}
    asks = {
        "pandas": lambda: frames["pandas"].llm.generate("Say {text}", **options),
        "polars": lambda: frames["polars"].llm.generate("Say {text}", **options),
        "lazy": lambda: frames["polars"].lazy().llm.generate("Say {text}", **options).collect(),
    }
    asks["pandas"]()  # fills the cache
    found: dict[str, list[float]] = {name: [] for name in asks}
    for _ in range(5):
        for name, ask in asks.items():
            gc.collect()
            began = time.process_time()
            ask()
            found[name].append(time.process_time() - began)
            run = llmnb.last_run()
            assert run is not None
            assert run.status().counts.num_requests == 0
    return {name: statistics.median(values) / rows for name, values in found.items()}


def peak_kib(url: str, rows: int, folder: pathlib.Path) -> tuple[int, float]:
    """Return peak memory and seconds of `llmnb run`, Parquet to Parquet, answers cached."""
    import pyarrow
    import pyarrow.parquet

    source, out = folder / f"{rows}.parquet", folder / f"{rows}.out.parquet"
    schema = pyarrow.schema({"text": pyarrow.string(), "n": pyarrow.int64()})
    with pyarrow.parquet.ParquetWriter(source, schema) as file:
        for first in range(0, rows, 100_000):
            numbers = range(first, min(first + 100_000, rows))
            texts = [f"row {number % DISTINCT} of a table" for number in numbers]
            file.write_table(pyarrow.table({"text": texts, "n": numbers}, schema=schema))
    command = [sys.executable, "-m", "llmnb", "run", str(source), "--prompt", "Say {text}."]
    command += ["--model", "openai/m", "--max-tokens", "8", "--out", str(out), "--quiet"]
    environment = {
        **os.environ,
        "OPENAI_API_KEY": "k",
        "OPENAI_BASE_URL": url,
        "LLMNB_CACHE_DIR": str(folder / "cache"),
    }
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *command],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    seconds = time.perf_counter() - began
    answers = pyarrow.parquet.ParquetFile(out)
    assert answers.metadata.num_rows == rows
    return int(done.stdout), seconds


def figures(url: str, rows: int) -> list[Figure]:
    """Compare with the bounds: `rows` cached rows, and a table of as many against ten times it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.polars", "--url", url]
        command += ["--rows", str(rows), "--cache-dir", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    cost = json.loads(done.stdout)
    with tempfile.TemporaryDirectory() as folder:
        peak_kib(url, DISTINCT, pathlib.Path(folder))  # buys every answer that there is
        few, _ = peak_kib(url, rows, pathlib.Path(folder))
        many, seconds = peak_kib(url, 10 * rows, pathlib.Path(folder))
    micro = {name: f"{value * 1e6:.0f} µs" for name, value in cost.items()}
    return [
        Figure(
            "CPU of a cached row, Polars' accessor / pandas'",
            cost["polars"] / cost["pandas"],
            1.1,
            f"{micro['polars']} against {micro['pandas']}, lazy {micro['lazy']}; {rows:,} rows",
        ),
        Figure(
            f"peak memory Parquet to Parquet, {10 * rows:,} rows over {rows:,}",
            many / few,
            1.2,
            f"{many / 1024:.0f} MiB against {few / 1024:.0f} MiB; {10 * rows / seconds:,.0f} "
            f"rows a second, {DISTINCT:,} distinct and kept",
        ),
    ]


def main() -> None:
    """Measure rows in a process of their own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--cache-dir", required=True)
    options = parser.parse_args()
    json.dump(measure_rows(options.url, options.rows, options.cache_dir), sys.stdout)


if __name__ == "__main__":
    main()
