"""Two promises of a long file: it may be killed at any moment, and it takes no more memory."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys

import pytest
from children import kill_at
from laboratory import Laboratory

from llmnb.testing import SimulatedProvider

IN_FLIGHT = 8


def command(source, url, *arguments):
    return [
        *(sys.executable, "-m", "llmnb.generation", "--requests_filepath", str(source)),
        *("--request_url", f"{url}/chat/completions", "--api_key", "k"),
        *("--max_requests_per_minute", "60000000", "--max_tokens_per_minute", "60000000000"),
        *arguments,
    ]


def environment(tmp_path):
    return {
        **os.environ,
        "LLMNB_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONFAULTHANDLER": "1",
    }


def write(path, lines):
    with path.open("w") as file:
        for number in range(lines):
            messages = [{"role": "user", "content": f"question {number}"}]
            row = {"model": "gpt-4o-mini", "messages": messages, "metadata": {"n": number}}
            file.write(json.dumps(row) + "\n")


KILLS = [
    pytest.param(3, marks=pytest.mark.timeout(300)),
    pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(1200)]),
]


@pytest.mark.parametrize("kills", KILLS)
def test_kill_minus_nine_and_again_until_the_file_is_whole(tmp_path, kills):
    """
    The file is the one that an undisturbed run over the same answers writes, byte for byte;
    what was bought twice is at most what was in flight at a kill, and as much on its way to disk.
    """
    dice = random.Random(7)
    lines = 100 * kills
    source, results = tmp_path / "asked.jsonl", tmp_path / "asked_results.jsonl"
    write(source, lines)
    with SimulatedProvider(latency=0.002) as sim:
        arguments = command(source, sim.base_url, "--max_concurrent_requests", str(IN_FLIGHT))
        for _ in range(kills):
            finished = len(sim.ledger.finished) + dice.randint(1, 60)
            kill_at(sim, finished, arguments, environment(tmp_path))
            assert not results.exists(), "a part must not look like the whole"
        subprocess.run(arguments, env=environment(tmp_path), check=True, capture_output=True)
        bought = len(sim.ledger.finished)
        resumed = results.read_bytes()
        subprocess.run(arguments, env=environment(tmp_path), check=True, capture_output=True)

        assert len(sim.ledger.finished) == bought, "run again it asked something"

    rows = [json.loads(line) for line in resumed.splitlines()]
    assert resumed == results.read_bytes()
    assert [row[2] for row in rows] == [{"n": number} for number in range(lines)]
    assert [row[0]["messages"][0]["content"] for row in rows] == [
        f"question {number}" for number in range(lines)
    ]
    assert all(isinstance(row[1], dict) for row in rows)
    assert bought - lines <= kills * 2 * IN_FLIGHT
    assert sorted(path.name for path in tmp_path.glob("*asked*")) == [source.name, results.name]


WATCHED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, capture_output=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(500, id="small"),
        pytest.param(20_000, marks=[pytest.mark.slow, pytest.mark.timeout(900)], id="whole"),
    ],
)
def test_memory_does_not_grow_with_the_file(tmp_path, lines):
    """
    Ten times the lines take at most 1.15 times the memory.
    """
    peak = {}
    with Laboratory.spawn(transport="fast", ledger="totals") as sim:
        for count in (lines, 10 * lines):
            source = tmp_path / f"{count}.jsonl"
            write(source, count)
            arguments = command(source, sim.base_url, "--max_concurrent_requests", "64")
            done = subprocess.run(
                [sys.executable, "-c", WATCHED, *arguments],
                env=environment(tmp_path),
                capture_output=True,
                text=True,
                check=True,
            )
            peak[count] = int(done.stdout)
            with (tmp_path / f"{count}_results.jsonl").open() as file:
                assert sum(1 for _ in file) == count

    assert peak[10 * lines] <= 1.15 * peak[lines], peak
