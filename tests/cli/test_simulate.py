from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from collections import Counter

import pytest
from children import started

from llmnb.cli import main
from llmnb.cli.simulate import _faults
from llmnb.testing import SimulatedRequest

LATENCY = ["--latency", "0.001", "--spread", "0.4", "--stragglers", "0.02"]
START = [sys.executable, "-m", "llmnb", "simulate", "--port", "0", "--reply", "Hi."]


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("server", [[], ["--fast"]])
def test_it_serves_until_it_is_ended_and_tells_what_came(ending, server):
    """
    Address and every way to use it first, the ledger's sums last, exit status 0.
    """
    with started(
        [*START, *server, *LATENCY],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        greeting = "".join(iter(process.stdout.readline, "Ctrl-C stops it.\n"))
        base_url = greeting.split()[5]
        for line in (
            f"OPENAI_BASE_URL={base_url}",
            "AsyncLLM(",
            "OpenAI(base_url=",
            "/__ledger__",
        ):
            assert line in greeting
        request = urllib.request.Request(f"{base_url}/completions", b'{"model":"m","prompt":"x"}')
        with urllib.request.urlopen(request, timeout=30) as reply:
            assert b"Hi." in reply.read()
        process.send_signal(ending)
        out, errors = process.communicate(timeout=30)

    assert "1 requests: 1 finished" in out
    assert errors == ""
    assert process.returncode == 0


@pytest.mark.parametrize("wrong", ["500", "500=much", "teapot=0.1", "500=2"])
def test_a_wrong_fault_is_a_single_line_and_status_2(capsys, wrong):
    """
    A misspelt option starts nothing.
    """
    assert main(["simulate", "--port", "0", "--fault", wrong]) == 2
    assert f"--fault {wrong} is not" in capsys.readouterr().err


def test_faults_are_typed_as_shares():
    """
    A status or a name with its share, as often as wanted.
    """
    rule = _faults(["500=0.5", "reset=0.25"])
    fields = {"endpoint": "text", "body": {}, "model": "m", "prompt": "", "identity": ""}
    faults = [rule(SimulatedRequest(**fields, number=number)) for number in range(10_000)]
    struck = Counter(fault.name for fault in faults if fault is not None)

    assert struck["500"] == pytest.approx(5_000, rel=0.05)
    assert struck["reset_before"] == pytest.approx(1_250, rel=0.1)  # a quarter of the others
    assert _faults([]) is None
