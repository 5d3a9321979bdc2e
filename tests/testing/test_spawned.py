from __future__ import annotations

import operator
import os
import subprocess
import sys
import textwrap

import pytest
from fault_timing import first_of_each_prompt
from laboratory import Laboratory

from llmnb.errors import ConfigurationError
from llmnb.testing import SimulatedProvider


@pytest.mark.parametrize("transport", ["aiohttp", "fast"])
async def test_it_serves_from_another_process_and_its_ledger_can_be_asked(ask, transport):
    """
    Options, rules and functions travel there; rows and totals come back.
    """
    with Laboratory.spawn(
        transport=transport, reply=str.upper, faults=[first_of_each_prompt(1, 503)]
    ) as sim:
        replies = [await ask(sim, prompt) for prompt in ("hi", "hi", "ho")]

        assert [came.status for came in replies] == [503, 200, 503]
        assert replies[1].text == "HI"
        assert sim.totals().received == 3
        assert sim.ledger.count("hi") == 2
        assert sim.ledger.count("hi", of="billed") == 1
        assert sim.cpu_seconds() > 0
        sim.reset()
        assert sim.totals().received == 0


async def test_a_million_requests_take_no_more_room_than_a_single(ask):
    """
    With totals only, the copy of the ledger holds totals, too.
    """
    with Laboratory.spawn(ledger="totals") as sim:
        await ask(sim, "hi")
        ledger = sim.ledger

    assert ledger.totals().finished == 1
    assert not ledger.keep_rows


def test_what_cannot_travel_is_refused_with_a_hint():
    """
    A lambda stays here; the message says what to give instead.
    """
    with pytest.raises(ConfigurationError, match="lambda"):
        Laboratory.spawn(reply=lambda prompt: prompt)
    with pytest.raises(ConfigurationError, match="latancy"):
        Laboratory.spawn(latancy=1)


def test_a_taken_port_is_reported_by_the_parent():
    """
    What the child meets at its start is raised here.
    """
    with SimulatedProvider() as sim:
        port = int(sim.origin.rpartition(":")[2])
        with pytest.raises(ConfigurationError, match=str(port)):
            Laboratory.spawn(port=port)


def test_it_ends_with_its_parent():
    """
    A parent that is killed leaves no server behind.
    """
    script = """
        import os, signal
        from laboratory import Laboratory
        sim = Laboratory.spawn()
        print(sim.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    # The grandchild inherits the pipe's other end: communicate returns when it, too, has ended.
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    out, _ = parent.communicate(timeout=60)

    assert int(out) > 0


def test_stopping_ends_the_process():
    """
    After the block the process is gone, and a second stop does nothing.
    """
    with Laboratory.spawn(reply=operator.itemgetter(0)) as sim:
        process = sim._process
        assert process.poll() is None
    sim.stop()

    assert process.poll() == 0
