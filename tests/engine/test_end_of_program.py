"""Promises about runs that are under way when their program ends."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import textwrap

import pytest
from asking import ask, questions, texts
from children import started
from isolation import public_environment
from laboratory import Laboratory

from llmnb import bridge
from llmnb.adapters.file_lock import locked
from llmnb.engine.run_loop import end_all, under_way
from llmnb.store import layout
from llmnb.store.project import open_project

BEGIN = """
    import asyncio, atexit, sys, threading
    import llmnb

    url, how = sys.argv[1:]
    llm = llmnb.AsyncLLM(model="m", api_key="k", url=url, max_concurrent_requests=4)
    atexit.register(print, "ending", flush=True)  # called before those that llmnb has registered
    rows = [{"messages": [{"role": "user", "content": f"question {row}"}]} for row in range(20)]
"""

ENDS = """
    run = llm.start(rows)
    print("started", flush=True)
    sys.stdin.readline()

    def tell():
        while run.status().state != "stopping":
            run.wait(0.01)
        print("stopping", flush=True)

    threading.Thread(target=tell, daemon=True).start()
    if how == "no thread starts":  # as in Python 3.12.0 and 3.12.1 while a program ends
        def refuse(thread):
            raise RuntimeError("can't create new thread at interpreter shutdown")

        atexit.register(setattr, threading.Thread, "start", refuse)
    if how == "exit":
        sys.exit(0)
    if how == "error":
        raise ValueError("mine")
"""

OTHER_THREAD = """
    def work():
        print("started", flush=True)
        threading.main_thread().join()
        print(len([None for outcome in llm.start(rows).result() if outcome.text]))

    threading.Thread(target=work).start()
"""

LOOP_ENDS = """
    run = llm.start(rows)

    async def wait_briefly():
        waiting = asyncio.ensure_future(run)
        print("started", flush=True)
        await asyncio.to_thread(sys.stdin.readline)

    asyncio.run(wait_briefly())
    print("ending", flush=True)
    print(len([None for outcome in run.result() if outcome.text]))
"""


@contextlib.contextmanager
def program(sim, folder, code, how=""):
    """Run a program that asks twenty rows, four at a time, and is waiting for a line."""
    with started(
        [sys.executable, "-c", textwrap.dedent(BEGIN) + textwrap.dedent(code), sim.base_url, how],
        env={**public_environment(), "LLMNB_CACHE_DIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout.readline() == "started\n", child.stderr.read()
        yield child


def end(child):
    """Let a program end; return once it has begun to."""
    child.stdin.write("\n")
    child.stdin.flush()
    assert child.stdout.readline() == "ending\n"


@pytest.mark.parametrize("how", ["exit", "error", "no thread starts"])
def test_a_program_that_ends_says_in_one_line_what_is_unfinished(how, tmp_path):
    """
    What is in flight is kept, nothing more is sent, and the next run asks only what is missing.
    """
    with Laboratory(reply=lambda prompt: prompt) as sim:
        sim.hold()
        with program(sim, tmp_path, ENDS, how) as child:
            sim.wait_received(4)
            end(child)
            assert child.stdout.readline() == "stopping\n"
            sim.release()  # not a moment before: a run that goes on would send the next row
            _, said = child.communicate(timeout=60)
        assert child.returncode == (how == "error")
        *before, last = said.splitlines()
        assert last.startswith("The program ended before 16 rows had an answer. ")
        assert (before[-1:] == ["ValueError: mine"]) if how == "error" else not before
        assert len(sim.ledger.received) == 4

        assert texts(ask(sim, questions(20), cache_dir=tmp_path)) == [
            f"question {row}" for row in range(20)
        ]
        assert len(sim.ledger.received) == 20


def test_answers_that_wait_for_the_disk_as_the_program_ends_are_saved(tmp_path):
    """
    The project is locked by another process until the program has begun to end.
    """
    paths = open_project(None, tmp_path).paths
    layout.make_root(paths.root)
    with Laboratory(reply=lambda prompt: prompt) as sim, contextlib.ExitStack() as lock:
        lock.enter_context(locked(paths.lock))
        with program(sim, tmp_path, ENDS) as child:
            sim.wait_received(8)  # four are answered, and the next four keep their slots
            end(child)
            lock.close()
            _, said = child.communicate(timeout=60)
        assert said.startswith("The program ended before 12 rows had an answer. ")
        assert len(said.splitlines()) == 1
        assert len(sim.ledger.received) == 8
        assert None not in texts(ask(sim, questions(20), cache_dir=tmp_path))
        assert len(sim.ledger.received) == 20


@pytest.mark.skipif(
    (3, 12) <= sys.version_info < (3, 12, 2),
    reason="Python 3.12.0 and 3.12.1 start no thread any more once the main thread has ended",
)
def test_a_thread_that_outlives_the_main_thread_still_asks(tmp_path):
    """
    A run that is begun after the main thread has ended is carried out like any other.
    """
    with Laboratory() as sim, program(sim, tmp_path, OTHER_THREAD) as child:
        said = child.communicate(timeout=60)
    assert said == ("20\nending\n", "")


def test_a_loop_that_ends_around_an_awaited_run_leaves_it_alone(tmp_path):
    """
    The run goes on, and nothing complains that the loop which awaited it is closed.
    """
    with Laboratory() as sim:
        sim.hold()
        with program(sim, tmp_path, LOOP_ENDS) as child:
            sim.wait_received(4)
            end(child)
            sim.release()
            said = child.communicate(timeout=60)
    assert said == ("20\nending\n", "")


def test_ctrl_c_while_the_end_waits_for_replies_ends_it_without_a_traceback(tmp_path):
    """
    The replies are not waited for, and what had come before is kept.
    """
    with Laboratory(reply=lambda prompt: prompt) as sim:
        sim.hold(lambda request: request.number >= 4)
        with program(sim, tmp_path, ENDS) as child:
            sim.wait_received(8)
            end(child)
            assert child.stdout.readline() == "stopping\n"
            child.send_signal(signal.SIGINT)
            assert child.communicate(timeout=60) == ("", "")
        sim.release()
        assert None not in texts(ask(sim, questions(20), cache_dir=tmp_path))
        assert len(sim.ledger.received) == 24  # the four that were dropped are asked again


async def end_now():
    """Do what is done with runs when the process ends."""
    await end_all(under_way())


def test_a_paused_run_ends_with_the_process():
    """
    It is stopped instead of waited for: nothing more is sent, and what had come is kept.
    """
    with Laboratory(reply=lambda prompt: prompt) as sim:
        sim.hold()
        run = ask(sim, questions(100), max_concurrent_requests=10)
        sim.wait_received(10)
        run.pause()
        sim.release()
        while run.status().completed < 10:
            run.wait(0.01)

        bridge.call(end_now())

        assert run.status().state == "stopped"
        answers = texts(run)
        assert [text for text in answers if text] == [f"question {row}" for row in range(10)]
        assert len(answers) == 100
        assert len(sim.ledger.received) == 10
        assert len(texts(ask(sim, questions(100)))) == 100
        assert len(sim.ledger.received) == 100
