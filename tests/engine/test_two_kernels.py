"""Two processes on one project: what one asks, the other waits for."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass

import pytest
from asking import ask, kinds, questions, texts
from laboratory import Laboratory
from two_processes import OWNER, WITH_ITS_PARENT, program

from llmnb import bridge, settings
from llmnb.engine.request_task import RequestTask
from llmnb.engine.row_claim import LATEST_LOOK_SECONDS, SOONEST_LOOK_SECONDS
from llmnb.engine.shared import engine
from llmnb.engine.status import Clock
from llmnb.models.llm import LLM
from llmnb.records import REQUEST_SECONDS
from llmnb.running.asking import Asking
from llmnb.running.start import start
from llmnb.schemas import output_of
from llmnb.store import claims, clearing, layout, projects
from llmnb.store.claims import Claims
from llmnb.store.entry import Entry
from llmnb.store.project import ProjectStore
from llmnb.testing import faults

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="two processes are played by one, with its locks"
)

KERNEL = (
    WITH_ITS_PARENT
    + """
import llmnb
url, folder, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
llm = llmnb.AsyncLLM(
    api_provider="openai", model="m", api_key="k", url=url, cache_dir=folder, project_name="both",
    max_concurrent_requests=16,
)
questions = [{"messages": [{"role": "user", "content": f"question {row}"}]} for row in range(rows)]
run = llm.start(questions)
run.wait()
counts = run.status().counts
answered = sum(outcome.text is not None for outcome in run.result())
print(answered, counts.num_requests, counts.num_cached)
"""
)


@pytest.fixture
def sim():
    with Laboratory(latency=0.01, reply=lambda prompt: prompt) as simulated:
        yield simulated


@pytest.fixture
def look_up():
    """A look-up of some run in its store, which takes as long as the test."""

    async def registry():
        return engine()

    with bridge.call(registry()).lookup():
        yield


@dataclass
class Other:
    """Another process as its claims and its commits show it."""

    store: ProjectStore
    answers: list[Entry]
    """What it may save, for each row of `questions`."""

    def __post_init__(self):
        self.store.claims = Claims(self.store.paths)
        self.store.claims.enter()

    def takes(self, *rows):
        assert all(self.store.claims.take(self.answers[row].key) for row in rows)

    def gives_up(self, *rows):
        for row in rows:
            self.store.claims.release(self.answers[row].key)

    def answers_row(self, row):
        self.store.commit([self.answers[row]])


@pytest.fixture
def other(sim):
    """Another process on the project "both", which knows the answers to four rows."""
    entries = bought(sim, questions(4))
    other = Other(ProjectStore(layout.paths_of(settings.cache_dir(), "both")), entries)
    yield other
    other.store.claims.leave()


def bought(sim, requests, **options):
    """Buy answers for a project that shares with nobody; return what it keeps of them."""
    run = ask(sim, requests, project_name="elsewhere", **options)
    keys = [outcome.key for outcome in run.result(60)]
    stored = ProjectStore(layout.paths_of(settings.cache_dir(), "elsewhere")).lookup(keys)
    sim.ledger.reset()
    return [stored[key] for key in keys]


def here(sim, requests, **options):
    """Start a run of this process on the same project."""
    return ask(sim, requests, project_name="both", share=False, **options)


def until_it_waits(run, rows=1):
    """Return once so many rows wait for the other process."""
    while run._run_loop.context.waiting_rows["process"] < rows:
        assert not run.wait(0.005), "the run ended without waiting"


def test_two_kernels_on_a_project_buy_each_row_once(sim, tmp_path):
    """
    Two hundred rows asked by two processes at once are two hundred requests, and both have all.
    """
    sim.hold()
    command = (KERNEL, sim.base_url, tmp_path, 200)
    with program(*command) as first, program(*command) as two:
        sim.wait_received(32, timeout=100)  # sixteen each: both are at it
        sim.release()
        counts = [kernel.stdout.read().split() for kernel in (first, two)]

    assert [int(answered) for answered, _, _ in counts] == [200, 200]
    assert sum(int(sent) for _, sent, _ in counts) == len(sim.ledger.received) == 200
    assert sum(int(cached) for _, _, cached in counts) == 200


def test_a_row_that_another_process_asks_is_answered_by_it(sim, other):
    """
    Nothing is sent for it, and it counts like any other row that was answered already.
    """
    other.takes(0)
    run = here(sim, questions(1))
    until_it_waits(run)
    assert run.status().waiting_on == "Waiting on another process, which asks 1 row of this run."

    other.answers_row(0)
    other.gives_up(0)

    [outcome] = run.result(60)
    counts = run.status().counts
    assert outcome.text == "question 0"
    assert (outcome.source, outcome.usd, outcome.attempts) == ("cached", 0.0, 0)
    assert outcome.saved_usd == other.answers[0].usd
    assert (counts.num_cached, counts.num_requests, counts.num_tasks_started) == (1, 0, 0)
    assert not sim.ledger.received


def test_a_row_whose_other_process_fails_is_asked_here(sim, other):
    """
    What was given up without an answer is this process's turn, at once and only once.
    """
    other.takes(0)
    run = here(sim, questions(1))
    until_it_waits(run)

    other.gives_up(0)

    assert texts(run) == ["question 0"]
    assert len(sim.ledger.received) == 1


def test_a_row_whose_other_process_was_killed_is_asked_here(sim, other):
    """
    `kill -9` gives up all that a process has claimed.
    """
    key = other.answers[0].key
    with program(OWNER, settings.cache_dir(), key) as owner:
        assert owner.stdout.readline() == "taken\n"
        run = here(sim, questions(1))
        until_it_waits(run)
        owner.kill()

        assert texts(run) == ["question 0"]
    assert len(sim.ledger.received) == 1


def test_a_process_that_stands_still_is_waited_for_no_longer_than_a_request_takes(
    sim, other, monkeypatch
):
    """
    Twice that time, and only for the row that it asks; then the row is asked here, once.
    """
    key, ahead, looks = other.answers[0].key, 0.0, []
    monotonic, is_taken = Clock.monotonic, Claims.is_taken_elsewhere
    with program(OWNER, settings.cache_dir(), key) as owner:
        assert owner.stdout.readline() == "taken\n"
        owner.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, owner.pid, os.WSTOPPED | os.WNOWAIT)
        run = here(sim, questions(2), max_concurrent_requests=1)
        sim.wait_received(1)
        until_it_waits(run)
        while run.status().counts.num_rows_done < 1:
            run.wait(0.005)
        monkeypatch.setattr(Clock, "monotonic", lambda: monotonic() + ahead)
        monkeypatch.setattr(
            Claims,
            "is_taken_elsewhere",
            lambda self, key: looks.append(ahead) or is_taken(self, key),
        )
        ahead = 2 * REQUEST_SECONDS - 60
        while looks.count(ahead) < 2:
            assert not run.wait(0.005)
        assert len(sim.ledger.received) == 1

        ahead = 2 * REQUEST_SECONDS + 1

        assert texts(run) == ["question 0", "question 1"]
        assert sorted(sim.ledger.count(f"question {row}") for row in range(2)) == [1, 1]
        owner.kill()


def test_a_process_ends_with_its_parent(other):
    """
    A test that is killed leaves no kernel behind, whatever that one is waiting for.
    """
    with program(OWNER, settings.cache_dir(), other.answers[0].key) as owner:
        assert owner.stdout.readline() == "taken\n"

        owner.stdin.close()

        assert owner.wait(60) == 3


def test_a_row_that_was_answered_since_it_was_looked_up_is_not_asked(sim, other):
    """
    Another process may have taken it, answered it and gone on before its turn came here.
    """
    sim.hold()
    run = here(sim, questions(2), max_concurrent_requests=1)
    sim.wait_received(1)
    other.takes(1)
    other.answers_row(1)
    other.gives_up(1)
    sim.release()

    assert texts(run) == ["question 0", "question 1"]
    assert len(sim.ledger.received) == 1


def test_rows_of_another_process_take_no_slot_from_the_others(sim, other):
    """
    With one place and two rows asked elsewhere, the third row is asked at once.
    """
    other.takes(0, 1)
    run = here(sim, questions(3), max_concurrent_requests=1)
    sim.wait_received(1)
    until_it_waits(run, 2)

    other.gives_up(0, 1)

    assert texts(run) == ["question 0", "question 1", "question 2"]
    assert len(sim.ledger.received) == 3


def test_a_row_that_waits_reserves_no_money(sim, other):
    """
    A budget for one request goes to the row that can be asked.
    """
    model = LLM(url=sim.base_url, api_key="k", model="gpt-4o-mini")
    asking = Asking(model=model, params={"max_tokens": 400})
    [waits, goes] = start(questions(2), asking, project_name="elsewhere").result(60)
    sim.ledger.reset()
    sim.hold()
    assert other.store.claims.take(waits.key)

    # Each may cost 400 tokens at $0.60 a million, and costs next to nothing.
    run = start(questions(2), asking, project_name="both", share=False, budget_usd=0.0004)
    sim.wait_received(1)
    until_it_waits(run)
    other.store.claims.release(waits.key)
    sim.release()

    assert goes.usd < 0.0001
    assert texts(run) == ["question 0", "question 1"]


def test_a_run_that_reads_no_answers_waits_for_nobody(sim, other):
    """
    With use_cache=False every row is asked, whoever else asks it.
    """
    other.takes(0)

    assert texts(here(sim, questions(1), use_cache=False)) == ["question 0"]
    assert len(sim.ledger.received) == 1


def test_a_run_that_waits_can_be_stopped(sim, other):
    """
    Its rows were not asked; nothing is sent afterwards, and the other's claim stands.
    """
    other.takes(0, 1)
    run = here(sim, questions(2))
    until_it_waits(run, 2)

    run.stop()

    assert kinds(run) == ["Stopped", "Stopped"]
    assert not run.result()[0].error.details.maybe_billed
    assert not sim.ledger.received
    assert run._run_loop.context.waiting_rows["process"] == 0


def test_a_paused_run_takes_the_others_answer_and_asks_nothing(sim, other):
    """
    A row whose answer comes during the pause is done; one that is given up waits for the person.
    """
    other.takes(0, 1)
    run = here(sim, questions(2))
    until_it_waits(run, 2)
    run.pause()
    while run.status().state != "paused":
        run.wait(0.005)

    other.answers_row(0)
    other.gives_up(0, 1)
    while run.status().counts.num_rows_done < 1 or run._run_loop.context.waiting_rows["process"]:
        run.wait(0.005)
    assert not sim.ledger.received
    assert not other.store.claims.is_taken_elsewhere(other.answers[1].key)
    run.resume()

    assert texts(run) == ["question 0", "question 1"]
    assert len(sim.ledger.received) == 1


def test_a_row_that_waits_to_be_sent_again_is_free_for_others(sim, other):
    """
    Between two attempts another process may ask it, and then it is not sent again.
    """
    sim.set_faults([faults.status(503, retry_after=1)])
    run = here(sim, questions(1))
    sim.wait_received(1)

    while not other.store.claims.take(other.answers[0].key):
        assert not run.wait(0.005)
    other.answers_row(0)
    other.gives_up(0)

    assert texts(run) == ["question 0"]
    assert len(sim.ledger.received) == 1


def test_a_project_that_is_cleared_meanwhile_costs_the_answer_again(sim, other):
    """
    An answer that was taken away before the row could have it is asked for here.
    """
    other.takes(0)
    run = here(sim, questions(1))
    until_it_waits(run)

    other.answers_row(0)
    clearing.clear("both", settings.cache_dir())
    other.gives_up(0)

    assert texts(run) == ["question 0"]
    assert len(sim.ledger.received) == 1


@pytest.mark.parametrize("is_looked_up", [False, True], ids=["", "while a look-up is under way"])
def test_rows_of_two_projects_of_a_process_each_find_what_is_theirs(
    sim, other, is_looked_up, request
):
    """
    A row of a third project that shared the waiting request looks into its own store.
    """
    if is_looked_up:  # until it ends, results are kept for those who look up meanwhile
        request.getfixturevalue("look_up")
    other.takes(0)
    run = here(sim, questions(1))
    until_it_waits(run)
    beside = ask(sim, questions(1), project_name="third", share=False)

    other.answers_row(0)
    other.gives_up(0)

    assert texts(run) == texts(beside) == ["question 0"]
    assert len(sim.ledger.received) == 1


@pytest.mark.parametrize("mended", ["", "nothing again"], ids=["misfit", "misfit twice"])
def test_an_answer_of_another_process_that_does_not_fit_is_mended_or_asked_anew(mended):
    """
    It is not taken for the row's own, nor looked for again and again: one request each way.
    """
    said = ["nothing", mended or "[4]", "[4]"]
    with Laboratory(reply=lambda prompt: said.pop(0)) as sim:
        model = LLM(url=sim.base_url, api_key="k", model="m")
        asking = Asking(model=model, output=output_of(list[int]))
        start(questions(1), asking, project_name="elsewhere").result(60)
        elsewhere = layout.paths_of(settings.cache_dir(), "elsewhere")
        kept = list(ProjectStore(elsewhere).lookup(list(projects.keys(elsewhere))).values())
        [row] = [entry for entry in kept if b"assistant" not in entry.request]
        other = Other(
            ProjectStore(layout.paths_of(settings.cache_dir(), "both")), kept if mended else [row]
        )
        other.takes(other.answers.index(row))
        run = start(questions(1), asking, project_name="both", share=False)
        until_it_waits(run)
        said[:] = ["[5]", "[6]"]
        sim.ledger.reset()

        other.store.commit(other.answers)
        other.gives_up(other.answers.index(row))

        assert [outcome.value for outcome in run.result(60)] == [[5]]
        assert len(sim.ledger.received) == 1
        other.store.claims.leave()


def test_a_waiting_row_looks_ever_more_seldom(sim, other, monkeypatch):
    """
    However long the other process takes, there is no hot loop: each look comes later.
    """
    sleeps = []

    async def sleep(self, seconds):
        sleeps.append(seconds)
        if len(sleeps) == 12:
            other.gives_up(0)

    monkeypatch.setattr(RequestTask, "_sleep", sleep)
    other.takes(0)

    assert texts(here(sim, questions(1))) == ["question 0"]
    assert len(sleeps) == 12
    assert sleeps == sorted(sleeps)
    assert sleeps[0] == SOONEST_LOOK_SECONDS
    assert max(sleeps) <= LATEST_LOOK_SECONDS


def test_where_nothing_can_be_claimed_a_row_is_looked_up_once_more_and_sent(
    sim, other, monkeypatch
):
    """
    That another process is at work is no reason to look for ever, nor that locks fail.
    """

    def cannot(descriptor, offset):
        raise OSError(37, "no locks here")

    looks = []
    look_up = ProjectStore.lookup
    monkeypatch.setattr(claims, "try_lock_byte", cannot)
    monkeypatch.setattr(
        ProjectStore, "lookup", lambda self, keys: looks.append(len(keys)) or look_up(self, keys)
    )
    sim.hold()
    run = here(sim, questions(2), max_concurrent_requests=1)
    sim.wait_received(1)
    other.answers_row(3)
    sim.release()

    assert texts(run) == ["question 0", "question 1"]
    assert len(sim.ledger.received) == 2
    assert looks == [2, 1]
