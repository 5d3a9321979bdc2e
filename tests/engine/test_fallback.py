"""Promises of several models: who is asked next, who is kept, and what is never asked again."""

from __future__ import annotations

import contextlib
import functools

import pytest
from asking import kinds, questions
from laboratory import Laboratory

import llmnb.engine.health
from llmnb.decide.breaker import Breaker
from llmnb.models.llm import LLM
from llmnb.running.asking import Asking
from llmnb.running.start import start
from llmnb.testing import Fixed


@contextlib.contextmanager
def two(**options):
    """Two providers under the names a and b, and a way to ask them in this order."""
    first, second = options.pop("first", {}), options.pop("second", {})
    with (
        Laboratory(reply="from a", **first) as a,
        Laboratory(reply="from b", **second) as b,
    ):
        models = [
            LLM(url=a.base_url, api_key="k", model="a"),
            LLM(url=b.base_url, api_key="k", model="b"),
        ]

        def ask(requests, **more):
            return start(requests, Asking(model=models), **{**options, **more})

        yield a, b, ask


@pytest.mark.parametrize("fault", [401, 402, 400, 404, "html", "garbage"])
def test_a_fatal_error_goes_on_to_the_next_model(fault):
    """
    A refused key, an empty account, a rejected request, an unreadable reply: the next is asked.
    """
    with two(first={"faults": lambda request: fault}) as (_, b, ask):
        (outcome,) = ask(questions(1)).result(60)

        assert outcome.text == "from b"
        assert (outcome.model, len(b.ledger.received)) == ("b", 1)


def test_used_up_attempts_go_on_to_the_next_model():
    """
    Two attempts at the first, as `max_attempts` says, then one at the second.
    """
    with two(first={"faults": lambda request: 500}) as (a, _, ask):
        (outcome,) = ask(questions(1), max_attempts=2).result(60)

        assert outcome.text == "from b"
        assert len(a.ledger.received) == 2
        assert outcome.attempts == 3


def test_a_refusal_is_kept_and_the_next_model_asked():
    """
    What the first said was paid for and is saved; the second answers.
    """
    with two(first={"faults": lambda request: "refusal"}) as (a, b, ask):
        run = ask(questions(1))

        assert [outcome.text for outcome in run.result(60)] == ["from b"]
        assert run.status().counts.num_fallbacks == 1
        assert (len(a.ledger.finished), len(b.ledger.finished)) == (1, 1)


@pytest.mark.parametrize("fault", ["refusal", 401])
def test_a_stopped_run_asks_no_further_model(fault):
    """
    What was in flight at the stop comes back without an answer, and nothing new is sent: each
    row says that, and what the first model said.
    """
    with two(first={"faults": lambda request: fault}) as (a, b, ask):
        a.hold()
        run = ask(questions(3), max_concurrent_requests=3)
        a.wait_received(3)
        run.stop()
        a.release()

        assert kinds(run) == ["Stopped"] * 3
        assert "Before that: " in run.failures()[0].error.message
        a.wait_idle()
        assert len(b.ledger.received) == 0


def test_an_answer_of_the_second_model_is_never_bought_again():
    """
    The next run finds it under the second model's key and asks nobody.
    """
    with two(first={"faults": lambda request: 401}) as (a, b, ask):
        ask(questions(3)).result(60)
        sent = len(a.ledger.received) + len(b.ledger.received)
        again = ask(questions(3))

        assert [outcome.text for outcome in again.result(60)] == ["from b"] * 3
        assert len(a.ledger.received) + len(b.ledger.received) == sent


def test_when_all_have_failed_the_row_says_what_each_said():
    """
    The error is the last one; the history has the others.
    """
    faults = {"faults": lambda request: 400}
    with two(first=faults, second=faults) as (_, _, ask):
        (outcome,) = ask(questions(1)).result(60)

        assert type(outcome.error).__name__ == "RequestRejected"
        assert outcome.error.model == "b"
        assert len(outcome.error.history) == 2


def test_rows_of_a_failing_provider_go_to_the_other_at_once(monkeypatch):
    """
    Once its breaker is open nobody waits for it; a probe brings it back.
    """
    monkeypatch.setattr(
        llmnb.engine.health, "Breaker", functools.partial(Breaker, rand=lambda: 1.0)
    )
    with two(first={"faults": lambda request: 500}) as (a, b, ask):
        run = ask(questions(200), max_concurrent_requests=4)

        assert kinds(run) == [""] * 200
        # The first few, each with its retries on the way, and then no more.
        assert len(a.ledger.received) <= 4 * 3 + 2
        assert len(b.ledger.received) == 200


def test_a_hedge_takes_the_first_token_and_drops_the_other():
    """
    The slow one is cancelled at once and entered as an upper bound, not as spent.
    """
    with two(first={"latency": 30.0}, second={"latency": 0.01}) as (a, b, ask):
        (outcome,) = ask(questions(1), hedge_after=0.05).result(20)

        assert (outcome.text, outcome.hedged) == ("from b", True)
        a.wait_idle()
        assert a.ledger.totals().cancelled == 1
        assert len(b.ledger.received) == 1


def test_a_stopped_run_sends_no_hedge():
    """
    A request in flight at the stop is waited for and not doubled, however late it is.
    """
    with two() as (a, b, ask):
        a.hold()
        run = ask(questions(1), hedge_after=0.7)
        a.wait_received(1)
        run.stop()

        assert kinds(run) == ["Stopped"]  # which is 0.8 s later
        a.release()
        a.wait_idle()
        assert len(b.ledger.received) == 0


def test_no_hedge_while_the_first_token_is_there():
    """
    A long answer that has begun is waited for.
    """
    with two(first={"latency": 0.01}) as (_, b, ask):
        run = ask(questions(20), hedge_after=10)

        assert {outcome.text for outcome in run.result(60)} == {"from a"}
        assert run.status().counts.num_hedged == 0
        assert len(b.ledger.received) == 0


def test_half_of_the_time_limit_asks_every_further_model():
    """
    Without a first token by then the others are asked, and one answers in time.
    """
    with two(first={"latency": 30.0}) as (_, _, ask):
        (outcome,) = ask(questions(1), time_limit=2.0).result(20)

        assert outcome.text == "from b"


def test_the_end_of_the_time_limit_is_an_error_of_that_row():
    """
    It says that money may be gone; nothing is left on the way.
    """
    slow = {"latency": 30.0}
    with two(first=slow, second=slow) as (a, _, ask):
        (outcome,) = ask(questions(1), time_limit=0.4).result(20)

        assert type(outcome.error).__name__ == "TimedOut"
        assert outcome.error.maybe_billed
        a.wait_idle()


def test_what_would_exceed_a_budget_is_not_sent():
    """
    The rows say so, and the rest is kept.
    """
    from llmnb.adapters import prices

    prices.set_price("a", 10_000.0, 10_000.0)
    try:
        with Laboratory(reply="word", latency=Fixed(0.0)) as sim:
            run = start(
                [{**request, "max_tokens": 1} for request in questions(50)],
                Asking(model=LLM(url=sim.base_url, api_key="k", model="a")),
                budget_usd=1.5,
            )
            outcomes = run.result(60)
            status = run.status()

            assert status.counts.simulated_usd <= 1.5
            answered = [outcome for outcome in outcomes if outcome.error is None]
            assert 0 < len(answered) < 50
            rest = {
                type(outcome.error).__name__ for outcome in outcomes if outcome.error is not None
            }
            assert rest == {"BudgetExceeded"}
            assert len(sim.ledger.received) == len(answered)
    finally:
        prices.set_price("a", None)


def test_a_budget_without_a_price_is_an_error_before_anything_is_sent():
    """
    Nobody can keep to what nobody can reckon.
    """
    with Laboratory() as sim, pytest.raises(ValueError, match="price"):
        start(
            questions(1),
            Asking(model=LLM(url=sim.base_url, api_key="k", model="unheard-of")),
            budget_usd=1.0,
        )
    assert len(sim.ledger.received) == 0
