"""Promises of what `start` returns: looked at, steered, waited for, answers in their rows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import pandas as pd
import pytest
from children import started
from laboratory import Laboratory

from llmnb import errors

ROWS = 20


@pytest.fixture
def frame():
    cells = [None if row % 5 == 0 else f"row {row}" for row in range(ROWS)]
    return pd.DataFrame({"text": cells}, index=[f"i{row // 2}" for row in range(ROWS)])


def expected():
    return ["?" if row % 5 == 0 else f"> row {row}" for row in range(ROWS)]


def test_start_returns_at_once_and_result_waits(sim, frame):
    """
    `partial` is aligned from the first moment on.
    """
    sim.hold()
    run = frame.llm.start("text")

    assert not run.is_done
    partial = run.partial()
    assert partial.isna().all()
    assert partial.index.equals(frame.index)
    with pytest.raises(TimeoutError):
        run.result(0.01)

    sim.release()
    assert run.result(60).fillna("?").tolist() == expected()
    assert run.is_done
    assert run.status().state == "finished"
    assert "16 of 16" in repr(run)


async def test_a_run_can_be_awaited(sim, frame):
    """
    It gives what `result` gives.
    """
    assert (await frame.llm.start("text")).fillna("?").tolist() == expected()


def test_the_partial_result_of_a_stopped_run_is_in_its_rows(sim, frame, asked):
    """
    Running again asks only what is missing.
    """
    sim.hold()
    run = frame.llm.start("text", max_concurrent_requests=4)
    sim.wait_received(4)
    run.stop()
    while run.status().state == "running":
        run.wait(0.01)
    sim.release()

    partial = run.result(60).fillna("?").tolist()
    there = [row for row in range(ROWS) if partial[row] != "?"]
    assert len(there) == len(asked) == 4
    assert [partial[row] for row in there] == [expected()[row] for row in there]

    assert frame.llm.generate("text").fillna("?").tolist() == expected()
    assert len(asked) == 16


def test_pause_and_resume(sim, frame, asked):
    """
    Paused, the run says so, and nothing new is sent.
    """
    sim.hold()
    run = frame.llm.start("text", max_concurrent_requests=4)
    sim.wait_received(4)
    run.pause()
    assert run.status().state == "paused"
    sim.release()
    assert not run.wait(0.2)
    assert len(asked) == 4

    run.resume()
    assert run.result(60).fillna("?").tolist() == expected()


def test_limits_can_be_changed_while_it_runs(sim, frame):
    """
    More places: more in flight.
    """
    sim.hold()
    run = frame.llm.start("text", max_concurrent_requests=1)
    sim.wait_received(1)

    run.set_limits(max_concurrent_requests=8)

    sim.wait_received(8)
    sim.release()
    assert run.result(60).fillna("?").tolist() == expected()


def test_failures_name_the_rows_of_the_table(sim):
    """
    Not those of the requests: a row that asks nothing counts.
    """
    frame = pd.DataFrame({"text": [None, "a", None, "fail"]})
    run = frame.llm.start("text", on_error="column")
    run.result(60)

    (failure,) = run.failures()
    assert failure.row == 3
    assert isinstance(failure.error, errors.RequestRejected)


def test_failed_rows_can_be_asked_again(monkeypatch):
    """
    The new answers take their places in the table; a good row is not asked again.
    """
    is_down = True

    def fault(request):
        return 400 if is_down and "b" in request.prompt else None

    with Laboratory(reply=lambda prompt: f"> {prompt}", faults=fault) as sim:
        monkeypatch.setenv("OPENAI_BASE_URL", sim.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        frame = pd.DataFrame({"text": ["a", None, "b"]})
        run = frame.llm.start("text", model="openai/m")
        with pytest.warns(UserWarning, match="1 of 2 rows failed"):
            assert run.result(60).fillna("?").tolist() == ["> a", "?", "?"]

        is_down = False
        assert run.retry_failed().result(60).fillna("?").tolist() == ["> a", "?", "> b"]
        assert run.partial().fillna("?").tolist() == ["> a", "?", "> b"]
        assert len(sim.ledger.received) == 3


INTERRUPTED = """
    import pandas as pd, llmnb
    import llmnb.engine.shared, llmnb.engine.run_loop
    # What is in flight is waited for as ever, but not for ten seconds.
    llmnb.engine.shared.DRAIN_SECONDS = llmnb.engine.run_loop.DRAIN_SECONDS = 0.5
    frame = pd.DataFrame({"text": [None, *(f"row {n}" for n in range(40))]})
    code = '''answers = frame.llm.generate("text", model="openai/m", max_concurrent_requests=4)'''
    shell = None
    if IN_IPYTHON:
        from IPython.core.interactiveshell import InteractiveShell
        shell = InteractiveShell.instance()
    try:
        if shell is None:
            exec(code)
        else:
            shell.user_ns.update(frame=frame)
            print(shell.run_cell(code).error_in_exec)
            answers = shell.user_ns["answers"]
            print(len(answers), answers.index.equals(frame.index), int(answers.notna().sum()))
    except KeyboardInterrupt:
        partial = llmnb.last_run().partial()
        print("interrupted", len(partial), partial.index.equals(frame.index))
        raise SystemExit(130)
"""


def interrupted(sim, tmp_path, *, in_ipython):
    """Run a script, interrupt it once four requests are on their way, and return what it said."""
    source = textwrap.dedent(INTERRUPTED).replace("IN_IPYTHON", str(in_ipython))
    sim.hold()
    with started(
        [sys.executable, "-c", source],
        env={
            **os.environ,
            "OPENAI_BASE_URL": sim.base_url,
            "OPENAI_API_KEY": "k",
            "IPYTHONDIR": str(tmp_path),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        sim.wait_received(4)
        process.send_signal(signal.SIGINT)
        said, errors_said = process.communicate(timeout=60)
    return process.returncode, said, errors_said


def test_an_interrupted_cell_gives_the_partial_result(sim, tmp_path):
    """
    In IPython the call returns it, in its rows, with one warning and no error.
    """
    code, said, warned = interrupted(sim, tmp_path, in_ipython=True)

    assert code == 0, warned
    assert said.splitlines() == ["None", "41 True 0"]
    assert warned.count("UserWarning") == 1
    assert "Stopped" in warned


def test_an_interrupted_script_is_interrupted(sim, tmp_path):
    """
    After everything is safe; the partial result is on `last_run()`.
    """
    code, said, _ = interrupted(sim, tmp_path, in_ipython=False)

    assert code == 130
    assert said == "interrupted 41 True\n"
