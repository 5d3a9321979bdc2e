"""Promises to a question that is asked beside a background run."""

from __future__ import annotations

from asking import ask, questions, texts
from laboratory import Laboratory

from llmnb import AsyncLLM


def test_a_question_does_not_wait_for_a_run_that_only_its_own_limits_hold():
    """
    It is answered while nearly all of the run's rows are still to be asked.
    """
    with Laboratory(latency=0, reply="yes") as sim:
        run = ask(sim, questions(100), max_requests_per_minute=600)
        while run.status().counts.num_rows_done < 9:
            run.wait(0.02)
        assert texts(ask(sim, questions(1, first=500))) == ["yes"]
        done = run.status().counts.num_rows_done
        run.stop()

    assert done < 50


def test_a_question_waits_its_turn_only_where_the_account_has_a_single_slot():
    """
    Two slots later at most, though forty rows were there before it; the card names their run.
    """
    order = []

    def reply(prompt):
        order.append(prompt)
        return "yes"

    with Laboratory(latency=0, reply=reply) as sim:
        llm = AsyncLLM(
            api_provider="openai",
            model="m",
            api_key="k",
            url=sim.base_url,
            project_name="Long",
            max_concurrent_requests=1,
        )
        sim.hold()
        run = llm.start(questions(40))
        sim.wait_received(1)
        question = llm.start(questions(1, first=500), project_name="Short")
        while "behind run “Long” of" not in question.status().waiting_on:
            assert not question.wait(0.01)
        sim.release()
        assert texts(question) == ["yes"]
        run.stop()

    assert order.index("question 500") <= 3
