"""Promises about ■ in a real kernel: blocking and await cells, once, twice and many times."""

from __future__ import annotations

import threading

import pytest
from markup import Census

BLOCKING = "out = df.llm.generate('text', max_concurrent_requests=5)"
AWAITING = "out = await df.llm.agenerate('text', max_concurrent_requests=5)"
COUNT = "print(len(out), out.notna().sum())"


def counted(bench):
    """Return the rows and the answers of the last column."""
    return tuple(map(int, bench.run(COUNT).text.split()))


def receipt(ran):
    """Return what the cell showed last, as a person reads it."""
    pages = (shown["data"].get("text/html", "") for shown in ran.shown)
    return Census("".join(page for page in pages if "llmnb-receipt" in page)).text


@pytest.mark.parametrize(
    ("name", "cell"), [("blocking", BLOCKING), ("awaiting", AWAITING)], ids=["blocking", "await"]
)
def test_an_interrupted_cell_gives_the_partial_column(bench, name, cell):
    """
    Nothing new is sent; the column has every row; run again, only what is missing is sent.
    """
    bench.frame(name, 40)
    bench.sim.hold(lambda request: int(request.prompt.split()[-1]) >= 10)
    begun = bench.begin(cell)
    bench.wait_for_more(15)
    bench.kernel.interrupt()
    ran = bench.kernel.end(begun)

    assert ran.status == "ok", ran.reply
    assert "Stopped: " in receipt(ran)
    assert ran.text == ""  # no warning says it once more
    rows, answers = counted(bench)
    assert rows == 40
    assert 0 < answers <= 10
    bench.sim.release()
    bench.sim.wait_idle()
    assert bench.asked(name) <= 16

    again = bench.run(cell)
    assert again.status == "ok"
    assert counted(bench) == (40, 40)
    assert bench.asked(name) == 40


# The second comes once the first was heard, for two at one moment may be one; and before the run
# would give up what is in flight by itself.
PRESS_TWICE = """
import os, signal, threading, time
import llmnb.engine.run_loop as run_loop
usual, run_loop.STOP_ANSWER_SECONDS = run_loop.STOP_ANSWER_SECONDS, 60.0
before = llmnb.last_run()

def press_another():
    while (run := llmnb.last_run()) is before or run.status().state != "stopping":
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=press_another).start()
"""


@pytest.mark.parametrize(
    ("name", "cell"), [("twice", BLOCKING), ("twiceawait", AWAITING)], ids=["blocking", "await"]
)
def test_two_interrupts_drop_what_is_in_flight(bench, name, cell):
    """
    The cell ends though no reply ever comes, and the kernel goes on.
    """
    bench.frame(name, 20)
    assert bench.run(f"import llmnb\n{PRESS_TWICE}").status == "ok"
    bench.sim.hold()
    begun = bench.begin(cell)
    bench.wait_for_more(5)
    bench.kernel.interrupt()
    ran = bench.kernel.end(begun)
    bench.sim.release()
    bench.run("run_loop.STOP_ANSWER_SECONDS = usual")

    assert ran.status == "ok", ran.reply
    assert counted(bench) == (20, 0)
    assert bench.run("print(1 + 1)").text == "2\n"


def test_a_storm_of_interrupts_loses_nothing(bench):
    """
    Ten of them, and the kernel is well; the rows that are missing are asked by the next run.
    """
    bench.frame("storm", 20)
    bench.sim.hold(lambda request: int(request.prompt.split()[-1]) >= 8)
    bench.begin(BLOCKING)
    bench.wait_for_more(12)
    for _ in range(10):
        bench.kernel.interrupt()
    # One may strike while the kernel replies; that reply is lost, and its next one is not.
    while bench.run("pass").status != "ok":
        pass
    bench.sim.release()
    bench.sim.wait_idle()

    assert bench.run(BLOCKING).status == "ok"
    assert counted(bench) == (20, 20)
    # The second drops what is in flight and not committed yet: 5 replies held back, 8 just come.
    assert bench.asked("storm") <= 20 + 13


def test_an_interrupted_prompt_fails_and_its_answer_is_kept(bench):
    """
    %llm ends with one line, so that Run All stops; the answer that came later costs nothing.
    """
    bench.sim.hold()
    begun = bench.begin("%llm slow question")
    bench.wait_for_more(1)
    bench.kernel.interrupt()
    ran = bench.kernel.end(begun)
    bench.sim.release()
    bench.sim.wait_idle()

    assert ran.status == "error"
    assert ran.reply["ename"] == "KeyboardInterrupt"
    assert len("".join(ran.reply["traceback"]).splitlines()) == 1
    again = bench.run("answer = %llm slow question\nprint(answer)")
    assert again.text == "**slow question**\n"
    assert bench.asked("slow question") == 1


def test_the_next_cell_may_run_while_a_started_run_goes_on(bench):
    """
    start() gives the kernel back; stop() ends the run, and the rest is asked later.
    """
    bench.frame("started", 20)
    bench.sim.hold()
    begun = bench.begin("run = df.llm.start('text', max_concurrent_requests=5)")
    ran = bench.kernel.end(begun)
    assert ran.status == "ok"
    bench.wait_for_more(5)
    assert bench.run("print(run.status().in_flight)").text == "5\n"
    ran = bench.run("run.stop(); out = run.result(30); print(len(out), run.status().state)")
    bench.sim.release()
    assert ran.text.startswith("20 stop"), ran.text
    bench.sim.wait_idle()

    bench.run(BLOCKING)
    assert counted(bench) == (20, 20)
    assert bench.asked("started") == 20


def test_ten_interrupts_a_second_leave_the_kernel_well(bench):
    """
    They hit the cell, its end and the idle kernel alike; what they cost is asked by the next run.
    """
    bench.frame("tenfold", 20)
    bench.sim.hold(lambda request: int(request.prompt.split()[-1]) >= 8)
    begun = bench.begin(BLOCKING)
    bench.wait_for_more(12)
    pace = threading.Event()
    for _ in range(20):
        bench.kernel.interrupt()
        pace.wait(0.1)  # the pace is the subject
    bench.kernel.end(begun)
    bench.sim.release()
    bench.sim.wait_idle()

    assert bench.run(BLOCKING).status == "ok"
    assert counted(bench) == (20, 20)
    assert bench.asked("tenfold") <= 20 + 13


def test_a_cell_that_is_run_again_while_it_runs_buys_nothing_twice(bench):
    """
    The second waits its turn; interrupted, the first gives what it has and the second the rest.
    """
    bench.frame("twofold", 20)
    bench.sim.hold(lambda request: int(request.prompt.split()[-1]) >= 10)
    first = bench.begin(BLOCKING)
    second = bench.kernel.begin(BLOCKING)
    bench.wait_for_more(15)
    bench.kernel.interrupt()
    ran = bench.kernel.end(first)
    assert (ran.status, "Stopped: " in receipt(ran)) == ("ok", True)
    bench.sim.release()

    assert bench.kernel.end(second).status == "ok"
    assert counted(bench) == (20, 20)
    assert bench.asked("twofold") == 20


def test_a_started_run_that_is_started_again_buys_nothing_twice(bench):
    """
    Both runs have every row; so has one begun in the moment that another was stopped.
    """
    start = "run = df.llm.start('text', max_concurrent_requests=5)"
    bench.frame("anew", 20)
    bench.sim.hold()
    bench.kernel.end(bench.begin(f"{start}\nfirst = run"))
    bench.wait_for_more(5)
    bench.run(f"{start}\nsecond = run")
    bench.run(f"second.stop()\n{start}")
    bench.sim.release()

    ran = bench.run("print([int(each.result(60).notna().sum()) for each in (first, run)])")
    assert ran.text == "[20, 20]\n", ran.text
    bench.sim.wait_idle()
    assert bench.asked("anew") == 20
