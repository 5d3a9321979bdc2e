"""What a cached row costs on Dask's workers, all of them together, against pandas' accessor.

Run as ``python -m benchmarks.dask --rows N --cache-dir DIR``; prints one line of JSON.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.figure import Figure

WORKERS = 2
PARTITIONS = 8
ROUNDS = 3


def cpu_seconds() -> float:
    """Return the CPU time of this process, which is a worker's where Dask runs it."""
    return time.process_time()


def measure_rows(rows: int, cache_dir: str) -> dict[str, float]:
    """Return CPU seconds a cached row: pandas' accessor, and Dask's summed over its workers."""
    import dask.dataframe as dd
    import pandas as pd
    from distributed import Client, LocalCluster

    import llmnb

    llmnb.configure(cache_dir=cache_dir, project_name="bench")
    texts = [f"a line of text, number {row}" for row in range(rows)]
    frame = pd.DataFrame({"text": texts, "other": range(rows)})
    options = {
        "model": "openai/m",
        "max_concurrent_requests": 256,
        "progress": False,
        "into": "said",
    }
    frame.llm.generate("Say {text}", **options)  # fills the cache
    found: dict[str, list[float]] = {"pandas": [], "dask": [], "bare": []}
    with (
        LocalCluster(
            n_workers=WORKERS,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            # Without a dashboard it still serves HTTP, and two clusters would want one port.
            scheduler_kwargs={"dashboard_address": ":0"},
            memory_limit="4GiB",
        ) as cluster,
        Client(cluster) as client,
    ):
        # The table is with the workers before it is asked about.
        table = client.persist(dd.from_pandas(frame, npartitions=PARTITIONS))
        asked = table.llm.generate("Say {text}", **options)
        bare = table.assign(said=table["text"])
        asked.map_partitions(len).compute()  # imports are not measured
        for _ in range(ROUNDS):
            gc.collect()
            began = time.process_time()
            frame.llm.generate("Say {text}", **options)
            found["pandas"].append(time.process_time() - began)
            for name, lazy in (("dask", asked), ("bare", bare)):
                before = sum(client.run(cpu_seconds).values())
                lazy.map_partitions(len).compute()
                found[name].append(sum(client.run(cpu_seconds).values()) - before)
    return {name: statistics.median(values) / rows for name, values in found.items()}


def figures(url: str, rows: int) -> list[Figure]:
    """Compare with the bound."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.dask"]
        command += ["--rows", str(rows), "--cache-dir", folder]
        environment = {**os.environ, "OPENAI_API_KEY": "k", "OPENAI_BASE_URL": url}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    cost = {name: f"{value * 1e6:.0f} µs" for name, value in json.loads(done.stdout).items()}
    ratio = json.loads(done.stdout)
    return [
        Figure(
            f"CPU of a cached row, {WORKERS} Dask workers together / pandas' accessor",
            ratio["dask"] / ratio["pandas"],
            1.3,
            f"{cost['dask']} against {cost['pandas']}, of which Dask without us "
            f"{cost['bare']}; {rows:,} rows, {PARTITIONS} partitions",
        )
    ]


def main() -> None:
    """Measure rows in a process of their own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--cache-dir", required=True)
    options = parser.parse_args()
    json.dump(measure_rows(options.rows, options.cache_dir), sys.stdout)


if __name__ == "__main__":
    main()
