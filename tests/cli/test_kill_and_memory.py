"""Two promises of a long job: it may be killed at any moment, and it stays small."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import textwrap

import pytest
from children import kill_at
from laboratory import Laboratory

from llmnb.testing import SimulatedProvider


def command(source, out, *arguments):
    return [
        *(sys.executable, "-m", "llmnb", "run", str(source), "--prompt", "Say {text}."),
        *("--model", "openai/m", "--out", str(out), "--quiet", *arguments),
    ]


def write(path, rows):
    with path.open("w") as file:
        for row in range(rows):
            file.write(json.dumps({"text": f"word {row}"}) + "\n")


def settings(tmp_path, url):
    return {
        **os.environ,
        "OPENAI_API_KEY": "k",
        "OPENAI_BASE_URL": url,
        "LLMNB_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONFAULTHANDLER": "1",
    }


SLOW = [pytest.mark.slow, pytest.mark.timeout(1800)]
KILLS = [
    pytest.param(3, marks=pytest.mark.timeout(300)),
    pytest.param(100, marks=SLOW),
]


@pytest.mark.parametrize("kills", KILLS)
def test_kill_minus_nine_and_again_until_the_table_is_whole(tmp_path, kills):
    """
    Killed at random moments: the final table is complete, nothing finished was bought twice.
    """
    dice = random.Random(11)
    in_flight = 8
    rows = 120 * kills
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write(source, rows)
    with SimulatedProvider(latency=0.002) as sim:
        arguments = command(source, out, "--concurrency", str(in_flight))
        environment = settings(tmp_path, sim.base_url)
        for _ in range(kills):
            finished = len(sim.ledger.finished) + dice.randint(1, 30)
            kill_at(sim, finished, arguments, environment)
        subprocess.run(arguments, env=environment, check=True, capture_output=True)
        bought = len(sim.ledger.finished)

    answers = [json.loads(line) for line in out.read_text().splitlines()]
    assert [answer["text"] for answer in answers] == [f"word {row}" for row in range(rows)]
    assert all(answer["response"] for answer in answers)
    # In flight at each kill, and as many again on their way to the disk.
    assert bought - rows <= kills * 2 * in_flight


REPORTING = """
import asyncio, sys
from llmnb.running.asking import Asking
from llmnb.running.start import start
requests = ({"prompt": f"question {row}"} for row in range(100_000))
asking = Asking(model="m", api_provider="openai", api_key="k", url=sys.argv[1])
for outcome in start(requests, asking, streams=True, max_concurrent_requests=8).outcomes():
    print(outcome.key, flush=True)
"""


@pytest.mark.parametrize("kills", [4, pytest.param(40, marks=SLOW)])
def test_every_answer_that_was_reported_is_in_the_store(tmp_path, kills):
    """
    Killed in the middle of a stream of outcomes: each one printed is on the disk.
    """
    from llmnb.store.project import databases, open_project

    dice = random.Random(5)
    with SimulatedProvider(latency=0.001) as sim:
        for attempt in range(kills):
            root = tmp_path / f"cache {attempt}"
            child = subprocess.Popen(
                [sys.executable, "-c", textwrap.dedent(REPORTING), sim.base_url],
                env={**settings(tmp_path, sim.base_url), "LLMNB_CACHE_DIR": str(root)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            reported = [child.stdout.readline().strip() for _ in range(dice.randint(1, 200))]
            child.kill()
            reported += child.stdout.read().split("\n")[:-1]
            child.communicate()

            store = open_project("default", root)
            missing = set(reported) - store.lookup(reported).keys()
            assert not missing
            databases.forget(store.folder)


WATCHED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, capture_output=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_table(tmp_path):
    """
    JSONL to JSONL: ten times the rows take at most 1.15 times the memory.
    """
    peak = {}
    with Laboratory.spawn(transport="fast", ledger="totals") as sim:
        for rows in (2_000, 20_000):
            source, out = tmp_path / f"{rows}.jsonl", tmp_path / f"{rows}.out.jsonl"
            write(source, rows)
            done = subprocess.run(
                [sys.executable, "-c", WATCHED, *command(source, out)],
                env=settings(tmp_path, sim.base_url),
                capture_output=True,
                text=True,
                check=True,
            )
            peak[rows] = int(done.stdout)
            with out.open() as file:
                assert sum(1 for _ in file) == rows

    assert peak[20_000] <= 1.15 * peak[2_000], peak
