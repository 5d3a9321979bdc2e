"""Whether memory stays flat however long a table is."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from benchmarks.figure import Figure
from llmnb.models.llm import LLM
from llmnb.running.asking import Asking
from llmnb.running.preparer import Preparer
from llmnb.store.entry import Entry
from llmnb.store.project import open_project

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


REPLY = (
    '{"id":"chatcmpl-%d","object":"chat.completion","created":1700000000,"model":"m","choices":'
    '[{"index":0,"message":{"role":"assistant","content":"an answer to %d"},"finish_reason":'
    '"stop"}],"usage":{"prompt_tokens":20,"completion_tokens":5,"total_tokens":25}}'
)


def fill(url: str, rows: int, folder: pathlib.Path) -> pathlib.Path:
    """Write a table of so many different rows, and into a store the answer to each."""
    source = folder / f"{rows}.kept.jsonl"
    prepare = Preparer(Asking(model=LLM(url=url, api_key="k", model="openai/m")))
    store = open_project("default", folder / "cache")
    with source.open("w", encoding="utf-8") as file:
        for first in range(0, rows, 2000):
            entries = []
            for row in range(first, min(first + 2000, rows)):
                text = f"this is row number {row} of many, with a few more words to read"
                file.write(json.dumps({"id": row, "text": text, "price": 1.5}) + "\n")
                asked = {"messages": [{"role": "user", "content": f"Say {text}"}]}
                entries.append(
                    Entry(
                        key=prepare(asked, row).call.key,
                        request=json.dumps(asked).encode(),
                        raw=(REPLY % (row, row)).encode(),
                        dialect="openai.chat",
                        provider="openai",
                        model="m",
                        quality="good",
                        usd=None,
                        prompt_tokens=20,
                        completion_tokens=5,
                        seconds=0.1,
                        created=time.time(),
                    )
                )
            store.commit(entries, is_bought=False)
    return source


def rerun(url: str, source: pathlib.Path, rows: int) -> tuple[int, float]:
    """Return peak memory (KiB) and seconds of `llmnb run` over the first rows, all kept."""
    out = source.with_name(f"{rows}.kept.out.jsonl")
    command = [sys.executable, "-m", "llmnb", "run", str(source), "--prompt", "Say {text}"]
    command += ["--model", "openai/m", "--url", url, "--limit", str(rows)]
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *command, "--out", str(out), "--quiet"],
        env={**os.environ, "OPENAI_API_KEY": "k", "LLMNB_CACHE_DIR": str(source.parent / "cache")},
        capture_output=True,
        text=True,
        check=True,
    )
    seconds = time.perf_counter() - began
    with out.open(encoding="utf-8") as file:
        assert sum('"response":"an answer to ' in line for line in file) == rows
    return int(done.stdout), seconds


def kept(rows: int) -> list[Figure]:
    """Compare a run of ten times as many kept rows with one of so many; nothing is sent."""
    url = "http://127.0.0.1:9/v1"  # where nobody answers
    with tempfile.TemporaryDirectory() as folder:
        source = fill(url, 10 * rows, pathlib.Path(folder))
        few, few_seconds = rerun(url, source, rows)
        many, seconds = rerun(url, source, 10 * rows)
    size = f"{10 * rows:,} kept rows over {rows:,}"
    speed = f"{10 * rows / seconds:,.0f} rows a second against {rows / few_seconds:,.0f}"
    return [
        Figure(
            f"peak memory JSONL to JSONL, {size}",
            many / few,
            1.15,
            f"{many / 1024:.0f} MiB against {few / 1024:.0f} MiB",
        ),
        Figure(f"time a row JSONL to JSONL, {size}", seconds / few_seconds / 10, 1.15, speed),
    ]
