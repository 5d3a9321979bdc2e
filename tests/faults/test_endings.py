"""Sudden ends of a process in mid-run (fault 15): what was shown is there afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest
from asking import ask, kinds
from laboratory import Laboratory

ROWS = 60
PLACES = 4
SCRIPT = """
import os, signal, sys
from llmnb import AsyncLLM

requests = [{"prompt": f"question {row}"} for row in range(int(sys.argv[2]))]
llm = AsyncLLM(model="m", api_key="k", url=sys.argv[1], max_concurrent_requests=int(sys.argv[3]))
seen = 0
for outcome in llm.iterate(requests):
    seen += outcome.is_answer
    if seen == 10:
        print("ten", flush=True)
    if seen == 20:
        exec(sys.argv[4])
"""

ENDS = {
    "SIGTERM": "os.kill(os.getpid(), signal.SIGTERM)",
    "kill -9": "os.kill(os.getpid(), signal.SIGKILL)",
    "an exit without a word": "os._exit(3)",
    "sys.exit": "raise SystemExit(3)",
    "an error of the caller": "1 / 0",
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_what_was_shown_before_a_sudden_end_is_there_afterwards(end, tmp_path):
    """
    The next run asks for what is missing, and no more than was in flight is bought twice.
    """
    with Laboratory(latency=0.005) as sim:
        arguments = [sim.base_url, str(ROWS), str(PLACES), end]
        child = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(SCRIPT), *arguments],
            env={**os.environ, "LLMNB_CACHE_DIR": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
            timeout=60,
        )
        sim.wait_idle()
        bought = len(sim.ledger.billed)
        assert child.stdout.startswith("ten"), child.stderr
        assert child.returncode not in (0, None)
        assert bought >= 20

        requests = [{"prompt": f"question {row}"} for row in range(ROWS)]
        run = ask(sim, requests, cache_dir=tmp_path / "cache")
        assert kinds(run) == [""] * ROWS
        assert run.status().counts.num_cached >= 20
        assert len(sim.ledger.billed) <= ROWS + 2 * PLACES
