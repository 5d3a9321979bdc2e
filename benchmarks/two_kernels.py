"""Two kernels on one project: how many requests the same rows cost when both ask them at once."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time

from benchmarks.figure import Figure
from llmnb import AsyncLLM
from llmnb.testing import SimulatedProvider

ROWS = 200
MOST_APART_SECONDS = 0.3
LATENCY_SECONDS = 0.5


def kernel(url: str, folder: str) -> None:
    """Ask all rows once a line comes in; print when that began, its seconds, and the answers."""
    llm = AsyncLLM(
        api_provider="openai",
        model="m",
        api_key="k",
        url=url,
        cache_dir=folder,
        project_name="both",
        max_concurrent_requests=16,
        logging_level=40,
    )
    rows = [{"messages": [{"role": "user", "content": f"question {row}"}]} for row in range(ROWS)]
    print("ready", flush=True)
    sys.stdin.readline()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    begun = time.time()
    outcomes = llm.start(rows).result()
    answered = sum(one.text is not None for one in outcomes)
    print(begun, time.time() - begun, answered, flush=True)


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


def one_round(kernels: int) -> tuple[int, float]:
    """Return how many requests some kernels send for the same rows, and the seconds it takes."""
    with SimulatedProvider(latency=LATENCY_SECONDS) as sim, tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.two_kernels", sim.base_url, folder]
        started = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(kernels)
        ]
        for one in started:
            assert one.stdout is not None
            one.stdout.readline()
        for one in started:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        words = [one.stdout.readline().split() for one in started if one.stdout is not None]
        for one in started:
            one.communicate()
        sent = len(sim.ledger.received)
    begun = [float(begin) for begin, _, _ in words]
    assert max(begun) - min(begun) <= MOST_APART_SECONDS, "the kernels began too far apart"
    assert all(int(answered) == ROWS for _, _, answered in words)
    return sent, max(float(seconds) for _, seconds, _ in words)


def figures(rounds: int) -> list[Figure]:
    """Count what both send together."""
    both = [one_round(2) for _ in range(rounds)]
    _, alone = one_round(1)
    most, seconds = max(sent for sent, _ in both), min(seconds for _, seconds in both)
    detail = f"{ROWS} rows, {seconds:.1f} s against {alone:.1f} s of one kernel"
    return [Figure("requests of two kernels for the same rows", most, 210, detail)]


if __name__ == "__main__":
    kernel(*sys.argv[1:])
