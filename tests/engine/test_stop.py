"""Promises about the person's hand on a run: pause, stop, and what is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

from asking import ask, kinds, questions, texts
from children import started
from laboratory import Laboratory


def test_stop_sends_nothing_new_and_keeps_what_is_in_flight():
    """
    The partial result is aligned; the next run sends only what is missing.
    """
    with Laboratory(reply=lambda prompt: prompt) as sim:
        sim.hold()
        run = ask(sim, questions(100), max_concurrent_requests=10)
        sim.wait_received(10)
        run.stop()
        while run.status().state == "running":
            run.wait(0.01)
        sim.release()

        answers = texts(run)
        assert len(answers) == 100
        assert [text for text in answers if text] == [f"question {row}" for row in range(10)]
        assert len(sim.ledger.received) == 10
        assert run.status().state == "stopped"
        assert "stopped after 10 of 100 rows" in repr(run)

        assert texts(ask(sim, questions(100))) == [f"question {row}" for row in range(100)]
        assert len(sim.ledger.received) == 100


def test_a_request_that_fails_after_the_stop_is_not_sent_again():
    """
    Nothing new goes out, repeats included; the row says what had happened to it.
    """
    with Laboratory(faults=lambda request: 500) as sim:
        sim.hold()
        run = ask(sim, questions(30), max_concurrent_requests=5, max_attempts=9)
        sim.wait_received(5)
        run.stop()
        while run.status().state == "running":
            run.wait(0.01)
        sim.release()

        assert set(kinds(run)) == {"Stopped"}
        sim.wait_idle()
        assert len(sim.ledger.received) == 5


def test_answers_that_come_after_the_partial_result_are_stored():
    """
    Replies held back beyond the hand-over still go to the store: nothing is bought twice.
    """
    with Laboratory() as sim:
        sim.hold()
        run = ask(sim, questions(20), max_concurrent_requests=5)
        sim.wait_received(5)
        run.stop()
        assert set(kinds(run)) == {"Stopped"}

        again = ask(sim, questions(20))
        sim.release()
        assert set(kinds(again)) == {""}
        assert len(sim.ledger.received) == 20


def test_every_stopped_row_can_be_asked_again_by_its_own_run():
    """
    In flight, waiting, or not even read from the list: each keeps its input and metadata.
    """
    asked = [{**request, "metadata": {"row": row}} for row, request in enumerate(questions(1200))]
    with Laboratory(reply=lambda prompt: prompt) as sim:
        sim.hold()
        run = ask(sim, asked, max_concurrent_requests=5)
        sim.wait_received(5)
        run.cancel()
        stopped = run.result(60)
        sim.release()
        assert set(kinds(run)) == {"Stopped"}
        assert [outcome.tag for outcome in stopped] == asked
        assert [outcome.metadata for outcome in stopped[:100]] == [
            outcome["metadata"] for outcome in asked[:100]
        ]

        run.retry_failed().result(60)

    assert texts(run) == [f"question {row}" for row in range(1200)]


def test_pause_sends_nothing_and_resume_goes_on():
    """
    What is in flight is finished while paused.
    """
    with Laboratory() as sim:
        sim.hold()
        run = ask(sim, questions(30), max_concurrent_requests=5)
        sim.wait_received(5)
        run.pause()
        while run.status().state != "paused":
            run.wait(0.01)
        sim.release()
        while run.status().completed < 5:
            run.wait(0.01)
        assert not run.wait(0.2)
        assert len(sim.ledger.received) == 5
        assert "Waiting on you" in run.status().waiting_on

        run.resume()
        assert set(kinds(run)) == {""}
        assert len(sim.ledger.received) == 30


def test_a_second_interrupt_drops_what_is_in_flight():
    """
    `cancel` ends the run at once though the server never answers.
    """
    with Laboratory() as sim:
        sim.hold()
        run = ask(sim, questions(10), max_concurrent_requests=5)
        sim.wait_received(5)
        run.cancel()

        assert set(kinds(run)) == {"Stopped"}
        sim.release()


SCRIPT = """
import sys
import llmnb
from llmnb import AsyncLLM
llm = AsyncLLM(model="m", api_key="k", url=sys.argv[1], max_concurrent_requests=4)
requests = [{"prompt": f"question {row}"} for row in range(40)]
try:
    llm.generate(requests)
except KeyboardInterrupt:
    kept = [outcome is not None and outcome.is_answer for outcome in llmnb.last_run().partial()]
    print("kept", sum(kept), "of", len(kept), flush=True)
    raise SystemExit(130)
"""


def test_ctrl_c_in_a_script_saves_and_raises(tmp_path):
    """
    `llmnb.last_run()` has the partial, KeyboardInterrupt is raised again, the rest is stored.
    """
    with Laboratory() as sim:
        sim.hold()
        with started(
            [sys.executable, "-c", textwrap.dedent(SCRIPT), sim.base_url],
            env={**os.environ, "LLMNB_CACHE_DIR": str(tmp_path / "cache")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as child:
            sim.wait_received(4)
            child.send_signal(signal.SIGINT)
            said = child.stdout.readline()
            sim.release()
            child.communicate(timeout=30)

        assert said.split() == ["kept", "0", "of", "40"]
        assert child.returncode == 130
        assert len(sim.ledger.received) == 4

        requests = [{"prompt": f"question {row}"} for row in range(40)]
        again = ask(sim, requests, cache_dir=tmp_path / "cache")
        assert set(kinds(again)) == {""}
        assert len(sim.ledger.received) == 40
