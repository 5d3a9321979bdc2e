"""Promises of a run: every input an outcome, in order, once, untouched."""

from __future__ import annotations

import asyncio
import copy
import threading

from asking import ask, kinds, questions, texts, wait_joined
from laboratory import Laboratory

from llmnb.testing import faults


def echo(prompt):
    """Answer with the question, so that a misaligned row shows."""
    return f"answer to {prompt}"


def test_answers_stand_in_the_order_of_their_questions():
    """
    n inputs, n outcomes, aligned, whatever order the replies come in.
    """
    with Laboratory(reply=echo) as sim:
        run = ask(sim, questions(300), max_concurrent_requests=50)

        assert [text.removeprefix("answer to ") for text in texts(run)] == [
            f"question {row}" for row in range(300)
        ]
        assert len(sim.ledger.finished) == 300


def test_inputs_are_never_changed():
    """
    What goes in comes out as it went in.
    """
    requests = [{**request, "metadata": {"a": [1]}} for request in questions(5)]
    before = copy.deepcopy(requests)

    with Laboratory() as sim:
        ask(sim, requests, params={"temperature": 0.5}).result(60)

    assert requests == before


def test_the_second_run_sends_nothing():
    """
    Typed again, it is answered by the store at cost 0.
    """
    with Laboratory(reply=echo) as sim:
        first = texts(ask(sim, questions(50)))
        again = ask(sim, questions(50))

        assert texts(again) == first
        assert len(sim.ledger.received) == 50
        assert again.status().counts.num_cached == 50
        assert again.status().counts.num_requests == 0
        assert again.status().counts.simulated_usd == 0


def test_identical_questions_are_sent_once():
    """
    A thousand rows of ten questions are ten requests.
    """
    with Laboratory(reply=echo) as sim:
        run = ask(sim, [request for _ in range(100) for request in questions(10)])

        assert texts(run) == [f"answer to question {row % 10}" for row in range(1000)]
        assert len(sim.ledger.received) == 10
        counts = run.status().counts
        assert counts.num_merged + counts.num_cached == 990


def test_identical_questions_may_be_samples():
    """
    With `duplicates="sample"` each is sent for itself, and kept as such.
    """
    with Laboratory() as sim:
        ask(sim, questions(1) * 5, duplicates="sample").result(60)
        assert len(sim.ledger.received) == 5
        ask(sim, questions(1) * 6, duplicates="sample").result(60)
        assert len(sim.ledger.received) == 6


def test_two_runs_at_once_share_what_is_in_flight():
    """
    The second run waits for the first one's requests, in another project too.
    """
    with Laboratory(reply=echo) as sim:
        sim.hold()
        first = ask(sim, questions(20), project_name="a")
        sim.wait_received(20)
        second = ask(sim, questions(20), project_name="b")
        wait_joined(second)
        sim.release()

        assert texts(first) == texts(second)
        assert len(sim.ledger.received) == 20
        assert second.status().counts.num_merged == 20
        assert texts(ask(sim, questions(20), project_name="b", share=False)) == texts(first)
        assert len(sim.ledger.received) == 20


def test_use_cache_false_asks_anew_and_still_stores():
    """
    It skips reading what is stored, within the run identical rows are one request all the same.
    """
    with Laboratory() as sim:
        ask(sim, questions(3)).result(60)
        ask(sim, questions(3) * 2, use_cache=False).result(60)
        assert len(sim.ledger.received) == 6
        ask(sim, questions(3)).result(60)
        assert len(sim.ledger.received) == 6


def test_cache_vars_tell_answers_apart():
    """
    The same question under another variable is another entry.
    """
    with Laboratory() as sim:
        ask(sim, questions(1)).result(60)
        ask(sim, questions(1), cache_vars={"version": 2}).result(60)
        ask(sim, questions(1), cache_vars={"version": 2}).result(60)

        assert len(sim.ledger.received) == 2


def test_a_bad_input_fails_its_row_only():
    """
    No question, not a dictionary, not JSON: typed errors, the others are answered.
    """
    requests = [*questions(1), {}, "hello", {"prompt": object()}, None, *questions(1, first=1)]

    with Laboratory(reply=echo) as sim:
        run = ask(sim, requests)

        assert kinds(run) == ["", "InputError", "InputError", "InputError", "InputError", ""]
        assert len(sim.ledger.received) == 2


def test_zero_inputs_give_zero_outcomes():
    """
    Nothing asked, nothing sent, nothing wrong.
    """
    with Laboratory() as sim:
        assert ask(sim, []).result(60) == []


def test_any_iterable_is_read_lazily():
    """
    A generator is read no further ahead than the window.
    """
    pulled = []

    def endless():
        for request in questions(10_000):
            pulled.append(request)
            yield request

    with Laboratory() as sim:
        sim.hold()
        run = ask(sim, endless(), window=20, max_concurrent_requests=5)
        sim.wait_received(5)
        assert len(pulled) <= 20
        run.stop()
        sim.release()
        run.wait(10)


async def test_an_async_iterable_works_too():
    """
    Rows that come one by one are asked as they come.
    """

    async def source():
        for request in questions(10):
            await asyncio.sleep(0)
            yield request

    with Laboratory(reply=echo) as sim:
        run = ask(sim, source())
        outcomes = await run

    assert [outcome.text for outcome in outcomes] == [
        f"answer to question {row}" for row in range(10)
    ]


def test_streamed_outcomes_come_in_order_and_wait_for_their_reader():
    """
    The run gets no further ahead of its reader than its window.
    """
    with Laboratory(reply=echo) as sim:
        run = ask(sim, questions(100), streams=True, window=10)
        reader = run.outcomes()
        first = next(reader)
        sim.wait_received(10)
        assert run.status().counts.num_rows <= 20

        rows = [first, *reader]

    assert [outcome.row for outcome in rows] == list(range(100))
    assert [outcome.text for outcome in rows] == [f"answer to question {row}" for row in range(100)]


def test_outcomes_that_are_ready_come_first_where_order_is_not_wanted():
    """
    A slow first row holds nobody up, and every row comes once.
    """

    def slow_first(request):
        return faults.slow(20.0) if request.prompt == "question 0" else None

    with Laboratory(reply=echo, faults=slow_first) as sim:
        run = ask(sim, questions(30), streams=True, in_order=False)
        reader = run.outcomes()
        first = [next(reader).row for _ in range(29)]
        run.cancel()
        rest = [outcome.row for outcome in reader]

    assert sorted(first) == list(range(1, 30))
    assert rest == [0]


async def test_a_task_of_another_loop_reads_outcomes_as_they_come():
    """
    `async for`, in order, nothing missing, and the run no further ahead than its window.
    """
    with Laboratory(reply=echo) as sim:
        run = ask(sim, questions(100), streams=True, window=10)
        rows = [(outcome.row, outcome.text) async for outcome in run.aoutcomes()]

    assert rows == [(row, f"answer to question {row}") for row in range(100)]


def test_whoever_leaves_the_loop_stops_the_run(tmp_path):
    """
    Nothing further is asked, and requests are read no further than the window.
    """
    from llmnb import AsyncLLM

    pulled = []

    def source():
        for request in questions(100_000):
            pulled.append(1)
            yield request

    with Laboratory(reply=echo) as sim:
        llm = AsyncLLM(model="m", url=sim.base_url, api_key="k", max_concurrent_requests=4)
        for outcome in llm.iterate(source()):
            assert outcome.row == 0
            break
        assert llm.last_run.wait(30)

    assert len(pulled) < 2000


def test_eight_threads_run_at_once():
    """
    Nothing is mixed up, nothing is lost.
    """
    answers = {}
    with Laboratory(reply=echo) as sim:

        def work(number):
            answers[number] = texts(ask(sim, questions(50, first=50 * number)))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    for number in range(8):
        assert answers[number] == [
            f"answer to question {row}" for row in range(50 * number, 50 * number + 50)
        ]


def test_what_was_reserved_is_settled():
    """
    After a run with failures and refusals nothing is in flight at any gate.
    """
    from llmnb import bridge
    from llmnb.engine.shared import engine

    async def in_flight():
        return sum(gate.in_flight for gate in engine().gates.values())

    with Laboratory(faults=[429, 500, None, 400, "html", "reset"] * 5) as sim:
        ask(sim, questions(20)).result(60)

    assert bridge.call(in_flight()) == 0


def test_simulated_answers_are_marked():
    """
    In every outcome, in the status, and when they come from the store again.
    """
    with Laboratory() as sim:
        run = ask(sim, questions(2))
        assert [outcome.simulated for outcome in run.result(60)] == [True, True]
        assert run.status().simulated
        assert [request.simulated for request in ask(sim, questions(2)).result(60)] == [True, True]
