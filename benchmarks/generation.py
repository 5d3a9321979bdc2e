"""Files of requests: how fast beside the cookbook's method, and whether memory stays flat.

``python -m benchmarks.generation [--quick]`` prints the figures alone.
"""

from __future__ import annotations

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from laboratory import Laboratory

from benchmarks.figure import Figure
from benchmarks.tables import WATCHED
from benchmarks.work import PROMPT

LINES_TIMED = 20_000
"""A job of ordinary size: with a tenth of it most of the time would be Python's start-up."""


def write(path: pathlib.Path, lines: int) -> None:
    """Write a file of requests that all differ."""
    with path.open("w", encoding="utf-8") as file:
        for row in range(lines):
            messages = [{"role": "user", "content": PROMPT.format(row)}]
            request = {"model": "gpt-4o-mini", "messages": messages, "max_tokens": 8}
            file.write(json.dumps(request) + "\n")


def ours(source: pathlib.Path, results: pathlib.Path, url: str) -> list[str]:
    """Return the command that answers a file with llmnb, everything on."""
    command = [sys.executable, "-m", "llmnb.generation", "--requests_filepath", str(source)]
    command += ["--save_filepath", str(results), "--request_url", f"{url}/chat/completions"]
    command += ["--api_key", "k", "--max_concurrent_requests", "100"]
    return [
        *command,
        *("--max_requests_per_minute", "60000000", "--max_tokens_per_minute", "60000000000"),
    ]


def theirs(source: pathlib.Path, results: pathlib.Path, url: str) -> list[str]:
    """Return the command that answers a file by the cookbook's method."""
    endpoint = f"{url}/chat/completions"
    return [sys.executable, "-m", "benchmarks.one_loop", str(source), str(results), endpoint]


def seconds(command: list[str], folder: pathlib.Path) -> float:
    """Return how long a command takes, from its start to its end."""
    began = time.perf_counter()
    environment = {**os.environ, "LLMNB_CACHE_DIR": str(folder / "cache")}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return time.perf_counter() - began


def prompts(results: pathlib.Path) -> list[str]:
    """Return the questions of a file of results, in its order."""
    with results.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    assert all(isinstance(row[1], dict) for row in rows)
    return [row[0]["messages"][0]["content"] for row in rows]


def throughput(url: str, lines: int, rounds: int) -> list[Figure]:
    """Compare the whole commands, start-up included, alternately; both answer every line.

    Nothing but its own method keeps either back: the limits are out of reach, the server
    answers at once.
    """
    wanted = [PROMPT.format(row) for row in range(lines)]
    measured: dict[str, list[float]] = {"theirs": [], "ours": []}
    for _ in range(rounds):
        for name, command in (("theirs", theirs), ("ours", ours)):
            with tempfile.TemporaryDirectory() as text:
                folder = pathlib.Path(text)
                source, results = folder / "requests.jsonl", folder / "results.jsonl"
                write(source, lines)
                measured[name].append(seconds(command(source, results, url), folder))
                found = prompts(results)
                assert (found if name == "ours" else sorted(found)) == (
                    wanted if name == "ours" else sorted(wanted)
                )
    mine, other = (statistics.median(measured[name]) for name in ("ours", "theirs"))
    detail = f"{lines / mine:,.0f} lines/s in order against {lines / other:,.0f}, {lines:,} lines"
    return [
        Figure("time of a file of requests / the cookbook's method", mine / other, 1 / 3, detail)
    ]


def peak_kib(url: str, lines: int) -> int:
    """Return the peak memory of the command over a file of so many lines."""
    with tempfile.TemporaryDirectory() as text:
        folder = pathlib.Path(text)
        source, results = folder / "requests.jsonl", folder / "results.jsonl"
        write(source, lines)
        done = subprocess.run(
            [sys.executable, "-c", WATCHED, *ours(source, results, url)],
            env={**os.environ, "LLMNB_CACHE_DIR": str(folder / "cache")},
            capture_output=True,
            text=True,
            check=True,
        )
        with results.open("rb") as file:
            assert sum(1 for _ in file) == lines
    return int(done.stdout)


def memory(url: str, lines: int) -> list[Figure]:
    """Compare the peak memory of ten times as many lines."""
    few, many = peak_kib(url, lines), peak_kib(url, 10 * lines)
    what = f"peak memory of a file of requests, {10 * lines:,} lines over {lines:,}"
    detail = f"{many / 1024:.0f} MiB against {few / 1024:.0f} MiB"
    return [Figure(what, many / few, 1.15, detail)]


def figures(url: str, lines: int, rounds: int) -> list[Figure]:
    """Measure both.

    Args:
        url: A server that answers at once.
        lines: Lines of the larger file for memory.
        rounds: How often the commands are timed.
    """
    return [*throughput(url, LINES_TIMED, rounds), *memory(url, lines // 10)]


def main() -> None:
    """Measure and print."""
    is_quick = "--quick" in sys.argv[1:]
    with Laboratory.spawn(transport="fast", ledger="totals") as server:
        for figure in figures(
            server.base_url, 20_000 if is_quick else 200_000, 1 if is_quick else 3
        ):
            print(f"{figure.what}: {figure.value:.3f} (bound {figure.bound:.3f}); {figure.detail}")


if __name__ == "__main__":
    main()
