"""Whether memory stays flat however long a table is."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import tempfile

from benchmarks.figure import Figure

WATCHED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_kib(url: str, rows: int, folder: pathlib.Path) -> int:
    """Return the peak memory of `llmnb run` over a table of so many rows."""
    source = folder / f"{rows}.jsonl"
    with source.open("w", encoding="utf-8") as file:
        for row in range(rows):
            file.write(json.dumps({"text": f"row {row} of a table", "number": row}) + "\n")
    command = [sys.executable, "-m", "llmnb", "run", str(source)]
    command += ["--prompt", "Say {text}.", "--model", "openai/gpt-4o-mini", "--max-tokens", "8"]
    command += ["--out", str(folder / f"{rows}.out.jsonl"), "--quiet"]
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *command],
        env={
            **os.environ,
            "OPENAI_API_KEY": "k",
            "OPENAI_BASE_URL": url,
            "LLMNB_CACHE_DIR": str(folder / "cache"),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    with (folder / f"{rows}.out.jsonl").open(encoding="utf-8") as file:
        assert sum(1 for _ in file) == rows
    return int(done.stdout)


def memory(url: str, rows: int) -> list[Figure]:
    """Compare the peak memory of ten times as many rows."""
    with tempfile.TemporaryDirectory() as folder:
        few = peak_kib(url, rows, pathlib.Path(folder))
        many = peak_kib(url, 10 * rows, pathlib.Path(folder))
    detail = f"{many / 1024:.0f} MiB against {few / 1024:.0f} MiB"
    what = f"peak memory JSONL to JSONL, {10 * rows:,} rows over {rows:,}"
    return [Figure(what, many / few, 1.15, detail)]
