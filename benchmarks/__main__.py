"""Run every measurement and write the table: ``python -m benchmarks [--quick] [--write FILE]``.

Each figure is a ratio to something measured in the same run, alternately and
several times; the median is taken. Absolute times depend on the machine and
are given for orientation only.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable

from laboratory import Laboratory

from benchmarks import (
    announced,
    beside,
    dask,
    embeddings,
    failing,
    frames,
    generation,
    limits,
    polars,
    run_index,
    tables,
    two_kernels,
)
from benchmarks.figure import Figure


def work(
    kind: str, url: str, rows: int, in_flight: int, cache_dir: str = "", loop: str = "asyncio"
) -> dict:
    """Measure one piece of work in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.work", kind, "--url", url]
    command += ["--rows", str(rows), "--in-flight", str(in_flight), "--cache-dir", cache_dir]
    done = subprocess.run(
        command,
        env={**os.environ, "LLMNB_LOOP": loop},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def pairs(url: str, rows: int, in_flight: int, rounds: int) -> tuple[list[dict], list[dict]]:
    """Measure bare aiohttp and the engine alternately."""
    bare, engine = [], []
    for _ in range(rounds):
        bare.append(work("bare", url, rows, in_flight))
        with tempfile.TemporaryDirectory() as folder:
            engine.append(work("engine", url, rows, in_flight, folder))
    return bare, engine


def median(measurements: list[dict], name: str) -> float:
    """Return the median of one quantity."""
    return statistics.median(one[name] for one in measurements)


def per_request(url: str, rows: int, rounds: int) -> list[Figure]:
    """Compare CPU and wall time of a request, everything on, with bare aiohttp's."""
    bare, engine, fast = [], [], []
    for _ in range(rounds):
        bare.append(work("bare", url, rows, 64))
        for loop, done in (("asyncio", engine), ("uvloop", fast)):
            with tempfile.TemporaryDirectory() as folder:
                done.append(work("engine", url, rows, 64, folder, loop))
    figures = []
    for what, done, name, bound in (
        ("CPU a request / bare aiohttp", engine, "cpu", 1.5),
        ("wall time a request / bare aiohttp", engine, "wall", 1.5),
        ("CPU a request with the extra `speed` / bare aiohttp without it", fast, "cpu", 1.3),
    ):
        ours, theirs = median(done, name), median(bare, name)
        detail = f"{ours * 1e6:.0f} µs against {theirs * 1e6:.0f} µs, 64 in flight, {rows:,} rows"
        figures.append(Figure(what, ours / theirs, bound, detail))
    return figures


def growth(url: str, rows: int, rounds: int) -> list[Figure]:
    """Compare how the cost of a request grows with the number in flight."""
    ratios = []
    for _ in range(rounds):
        cost = {}
        for in_flight in (100, 1000):
            bare, engine = pairs(url, rows, in_flight, 1)
            cost[in_flight] = (bare[0]["cpu"], engine[0]["cpu"])
        ratios.append((cost[1000][1] / cost[100][1]) / (cost[1000][0] / cost[100][0]))
    return [
        Figure(
            "growth of cost, 1,000 over 100 in flight / bare aiohttp's own",
            statistics.median(ratios),
            1.1,
            "rounds: " + ", ".join(f"{ratio:.2f}" for ratio in ratios),
        )
    ]


def warm(url: str, rows: int, rounds: int) -> list[Figure]:
    """Compare a row that is already answered with a bare request."""
    bare = [work("bare", url, min(rows, 10_000), 64) for _ in range(rounds)]
    with tempfile.TemporaryDirectory() as folder:
        work("engine", url, rows, 256, folder)
        engine = [work("engine", url, rows, 256, folder) for _ in range(rounds)]
    sent = sum(one["sent"] for one in engine)
    assert sent == 0, f"a warm run sent {sent} requests"
    ours, theirs = median(engine, "cpu"), median(bare, "cpu")
    detail = f"{ours * 1e6:.0f} µs a row against {theirs * 1e6:.0f} µs, {rows:,} rows, 0 requests"
    return [Figure("CPU of an answered row / bare request", ours / theirs, 0.25, detail)]


def seconds_of(command: list[str], rounds: int) -> float:
    """Return the median user and system seconds of a command."""
    timed = (
        "import os,subprocess,sys,time;"
        "subprocess.run(sys.argv[1:],stdout=subprocess.DEVNULL,check=True);"
        "t=os.times();print(t.children_user+t.children_system)"
    )
    values = []
    for _ in range(rounds):
        done = subprocess.run(
            [sys.executable, "-c", timed, *command], capture_output=True, text=True, check=True
        )
        values.append(float(done.stdout))
    return statistics.median(values)


def imports(rounds: int) -> list[Figure]:
    """Compare the start-up costs with `import pandas`."""
    nothing = seconds_of([sys.executable, "-c", "pass"], rounds)
    pandas = seconds_of([sys.executable, "-c", "import pandas"], rounds) - nothing
    ours = seconds_of([sys.executable, "-c", "import llmnb"], rounds) - nothing
    helped = seconds_of([sys.executable, "-m", "llmnb", "--help"], rounds) - nothing
    detail = "{:.0f} ms against {:.0f} ms, the interpreter's own start taken off"
    return [
        Figure(
            f"{what} / import pandas", cost / pandas, bound, detail.format(cost * 1e3, pandas * 1e3)
        )
        for what, cost, bound in (("import llmnb", ours, 0.25), ("llmnb --help", helped, 0.5))
    ]


def main() -> int:
    """Measure, print, and write the table where asked."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, one round")
    parser.add_argument("--only", help="run the measurements whose name contains this")
    parser.add_argument("--write", type=pathlib.Path, help="replace the table in this file")
    options = parser.parse_args()
    scale, rounds = (10, 1) if options.quick else (1, 5)
    figures: list[Figure] = []
    with Laboratory.spawn(transport="fast", ledger="totals") as server:
        url = server.base_url
        measurements: dict[str, Callable[[], Iterable[Figure]]] = {
            "request": lambda: per_request(url, 10_000 // scale, rounds),
            "growth": lambda: growth(url, 10_000 // scale, rounds),
            "warm": lambda: warm(url, 100_000 // scale, rounds),
            "imports": lambda: imports(3 * rounds),
            "memory": lambda: tables.memory(url, 20_000 // scale),
            "kept": lambda: tables.kept(100_000 // scale),
            "limits": lambda: limits.measure(scale),
            "announced": lambda: announced.measure(min(rounds, 3)),
            "failing": lambda: failing.measure(scale),
            "beside": lambda: beside.figures(min(rounds, 3)),
            "two_kernels": lambda: two_kernels.figures(min(rounds, 3)),
            "generation": lambda: generation.figures(url, 200_000 // scale, min(rounds, 3)),
            "frames": lambda: frames.figures(url, 100_000 // scale, rounds),
            "polars": lambda: polars.figures(url, 100_000 // scale),
            "dask": lambda: dask.figures(url, 100_000 // scale),
            "run_index": lambda: run_index.figures(1_000_000 // scale, min(rounds, 3)),
            "embeddings": lambda: embeddings.figures(url, 10_000 // scale, min(rounds, 3)),
        }
        for name, measure in measurements.items():
            if options.only and options.only not in name:
                continue
            for figure in measure():
                print(line(figure), flush=True)
                figures.append(figure)
    if options.write:
        write(options.write, figures)
    return 0 if all(figure.is_reached for figure in figures) else 1


def line(figure: Figure) -> str:
    """Return one figure as a line of the table."""
    mark = "yes" if figure.is_reached else "**no**"
    return f"| {figure.what} | {figure.value:.2f} | {figure.bound:.2f} | {mark} | {figure.detail} |"


def write(path: pathlib.Path, figures: list[Figure]) -> None:
    """Replace the generated part of a page."""
    start, end = "<!-- table -->", "<!-- /table -->"
    text = path.read_text(encoding="utf-8")
    head, rest = text.split(start, 1)
    tail = rest.split(end, 1)[1]
    today = datetime.date.today().isoformat()
    where = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}"
    rows = "\n".join(line(figure) for figure in figures)
    header = "| what | ratio | bound | reached | detail |\n|---|---|---|---|---|"
    table = f"Measured on {today} ({where}).\n\n{header}\n{rows}\n"
    path.write_text(f"{head}{start}\n{table}{end}{tail}", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
