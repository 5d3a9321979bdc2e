"""What each fault of a provider gives: rows kept, money kept, one clear error."""

from __future__ import annotations

import functools
import pickle

import pytest
from asking import ask, kinds, questions, texts
from short_waits import shorten_waits

import llmnb.running.start
from llmnb.decide.retry import RetryPolicy
from llmnb.testing import SimulatedProvider, faults


def test_a_429_pauses_and_costs_no_attempt(monkeypatch):
    """
    Ten refusals in a row, and the row is still answered with `max_attempts=1`.
    """
    policy = functools.partial(RetryPolicy, base_seconds=0.001)
    monkeypatch.setattr(llmnb.running.start, "RetryPolicy", policy)
    refusals = [faults.rate_limited(retry_after=0.01)] * 10
    with SimulatedProvider(faults=refusals) as sim:
        run = ask(sim, questions(1), max_attempts=1)

        assert kinds(run) == [""]
        assert run.status().counts.num_rate_limit_errors == 10
        assert run.result(60)[0].attempts == 11


def test_a_server_error_is_tried_max_attempts_times():
    """
    Two failures and an answer with three attempts; three failures are an error with its history.
    """
    with SimulatedProvider(faults=[500, 503]) as sim:
        assert kinds(ask(sim, questions(1))) == [""]
    with SimulatedProvider(faults=[500, 502, 500]) as sim:
        (outcome,) = ask(sim, questions(1)).result(60)
        assert type(outcome.error).__name__ == "ProviderError"
        assert outcome.error.attempts == 3
        assert len(outcome.error.history) == 3
        assert not outcome.error.maybe_billed
        assert len(sim.ledger.received) == 3


def test_429_for_ever_ends_after_max_wait():
    """
    Without one success the row fails as rate limited, and says how to wait longer.
    """
    with SimulatedProvider(faults=lambda request: faults.rate_limited(retry_after=0.02)) as sim:
        (outcome,) = ask(sim, questions(1), max_wait=0.1).result(60)

    assert type(outcome.error).__name__ == "RateLimited"
    assert "max_wait" in outcome.error.message


def test_a_wait_of_hours_fails_at_once_and_says_when_to_come_back():
    """
    Above two minutes nobody waits.
    """
    with SimulatedProvider(faults=[faults.rate_limited(retry_after=7200)]) as sim:
        (outcome,) = ask(sim, questions(1)).result(60)

        assert type(outcome.error).__name__ == "RateLimited"
        assert "come back in 2 h" in outcome.error.message
        assert len(sim.ledger.received) == 1


@pytest.mark.parametrize(
    ("fault", "kind"), [(faults.quota(), "QuotaExhausted"), (401, "AuthenticationError")]
)
def test_a_refused_account_stops_the_target_at_once(fault, kind):
    """
    On row 1 of 10,000: at most in-flight + 1 requests, every row has its outcome.
    """
    with SimulatedProvider(faults=lambda request: fault) as sim:
        run = ask(sim, questions(10_000), max_concurrent_requests=8)

        assert set(kinds(run)) == {kind}
        assert len(sim.ledger.received) <= 9
        assert type(run.error).__name__ == kind


def test_a_refused_account_in_mid_run_keeps_what_is_finished():
    """
    The rows answered before stay answered; the rest is asked by the next run.
    """
    with SimulatedProvider(faults=[None] * 10 + [401]) as sim:
        run = ask(sim, questions(30), max_concurrent_requests=1)
        assert kinds(run).count("") == 10

        assert kinds(ask(sim, questions(30))).count("") == 30
        assert len(sim.ledger.finished) == 30


@pytest.mark.parametrize("code", [400, 404, 413, 422])
def test_a_rejected_request_fails_its_row_only(code):
    """
    It is not sent again; the next row is answered.
    """
    with SimulatedProvider(faults=[code]) as sim:
        run = ask(sim, questions(2), max_concurrent_requests=1)

        assert kinds(run) == ["RequestRejected", ""]
        assert len(sim.ledger.received) == 2


@pytest.mark.parametrize("code", [408, 504])
def test_what_may_have_been_billed_is_sent_again_once(code):
    """
    One more time, then the row says that money may be gone.
    """
    with SimulatedProvider(faults=[code, code]) as sim:
        (outcome,) = ask(sim, questions(1)).result(60)

        assert outcome.error.maybe_billed
        assert len(sim.ledger.received) == 2


def test_lost_replies_are_sent_again_for_a_share_of_rows_only():
    """
    Of 50 rows whose replies are all lost, three at most are sent a second time.
    """
    with SimulatedProvider() as sim:
        ask(sim, [{"prompt": "Is anybody there?"}]).result(60)  # else a handful goes first
        sim.set_faults(lambda request: "reset")
        run = ask(sim, questions(50), max_concurrent_requests=64, max_wait=0.5)
        run.result(60)

        assert 51 <= len(sim.ledger.received) <= 54
        assert all(outcome.error.maybe_billed for outcome in run.result(60))


@pytest.mark.parametrize("fault", ["html", "empty", "null", "array", "garbage"])
def test_a_reply_that_cannot_be_read_is_not_bought_again(fault):
    """
    A typed error with the raw bytes, one request, and the run goes on.
    """
    with SimulatedProvider(faults=[fault]) as sim:
        run = ask(sim, questions(2), max_concurrent_requests=1)

        assert kinds(run) == ["BadReply", ""]
        assert len(sim.ledger.received) == 2
        assert run.result(60)[0].error.raw is not None


def test_a_refused_connection_is_unsent():
    """
    A server that is not there: nothing bought, nothing in the ledger, one clear error.
    """
    with SimulatedProvider() as sim:
        base_url = sim.base_url

    class Gone:
        pass

    gone = Gone()
    gone.base_url = base_url
    (outcome,) = ask(gone, questions(1), max_attempts=2).result(60)

    assert type(outcome.error).__name__ == "Unsent"
    assert outcome.error.attempts == 2
    assert not outcome.error.maybe_billed


def test_errors_travel_to_other_processes():
    """
    They pickle with everything a program needs.
    """
    with SimulatedProvider(faults=[400]) as sim:
        (outcome,) = ask(sim, questions(1)).result(60)

    twin = pickle.loads(pickle.dumps(outcome.error))
    assert (twin.status, twin.row, twin.provider) == (400, 0, "openai")


def test_no_error_holds_the_key():
    """
    A provider that repeats the key is masked, in the text and in the details.
    """
    secret = "sk-echoed-0123456789abcdef"
    with SimulatedProvider(faults=[faults.echo_key()]) as sim:
        (outcome,) = ask(sim, questions(1), api_key=secret).result(60)

    assert type(outcome.error).__name__ == "AuthenticationError"
    assert secret not in repr(outcome.error.details)
    assert secret not in str(outcome.error)
    assert secret.encode() not in pickle.dumps(outcome.error)


def test_the_answers_of_a_storm_are_complete(monkeypatch):
    """
    A provider that fails every other request, up to twice for a row, answers every row in the end.
    """
    shorten_waits(monkeypatch, 10)

    def storm(request):
        return 500 if request.attempt < int(request.prompt.split()[-1]) % 3 else None

    with SimulatedProvider(faults=storm, reply=lambda prompt: prompt) as sim:
        run = ask(sim, questions(80), max_attempts=5)

        assert texts(run) == [f"question {row}" for row in range(80)]
        assert len(sim.ledger.finished) == 80
