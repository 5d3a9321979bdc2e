"""Promises about batches of which one text is refused, and about requests that fail."""

from __future__ import annotations

import functools

import pytest
from embedding import Asked, embed, order, right
from laboratory import Laboratory

import llmnb.running.start
from llmnb.decide.retry import RetryPolicy
from llmnb.embeddings.run import EmbeddingRun
from llmnb.testing import faults

TEXTS = [f"text number {number}" for number in range(64)]


def test_a_text_that_is_refused_takes_no_other_down(sim, asked):
    """
    The batch is halved until it stands alone: 2 log2(n) further requests at most.
    """
    texts = [*TEXTS[:40], "this must fail", *TEXTS[40:63]]
    run = embed(sim, texts, batch_size=64)

    assert list(run.errors) == [40]
    assert type(run.errors[40]).__name__ == "RequestRejected"
    assert run.errors[40].row == 40
    assert [v for number, v in enumerate(run.partial()) if number != 40] == [
        right(text) for text in texts if "fail" not in text
    ]
    assert len(asked) <= 1 + 2 * 6
    assert run.status().failures == {"RequestRejected": 1}


@pytest.mark.parametrize("status", [500, 503])
def test_a_text_on_which_the_server_fails_takes_no_other_down(monkeypatch, status):
    """
    A batch that fails at every attempt is halved like one that is refused.
    """
    policy = functools.partial(RetryPolicy, base_seconds=0.001)
    monkeypatch.setattr(llmnb.running.start, "RetryPolicy", policy)
    texts = [*TEXTS[:5], "poison", *TEXTS[5:15]]
    bad = Laboratory(faults=lambda request: status if "poison" in str(request.parts) else None)
    with bad as sim:
        run = embed(sim, texts, batch_size=8)

        assert list(run.errors) == [5]
        assert type(run.errors[5]).__name__ == "ProviderError"
        assert len(sim.ledger.received) <= 2 + 4 * 3 + 2 * 3


def test_where_everything_is_refused_it_soon_stops():
    """
    A wrong parameter is not the texts' fault: not every text is tried alone.
    """
    with Laboratory(faults=lambda request: 400) as sim:
        run = embed(sim, TEXTS, batch_size=16)

        assert len(run.errors) == 64
        assert len(sim.ledger.received) <= 4 + 2 * 4


def test_an_unknown_model_is_not_searched_for_text_by_text():
    """
    A 404 is nothing that a smaller batch would mend.
    """
    with Laboratory(faults=lambda request: 404) as sim:
        run = embed(sim, TEXTS, batch_size=16)

        assert len(run.errors) == 64
        assert len(sim.ledger.received) == 4


def test_failures_and_refusals_for_pace_are_the_engines(asked):
    """
    500, 429 with a delay, a closed connection: each batch is sent again, no text is lost.
    """
    script = [500, faults.rate_limited(0.01), faults.closed(), None, 503]
    with Laboratory(faults=script) as sim:
        run = embed(sim, TEXTS, batch_size=16)

        assert run.partial() == [right(text) for text in TEXTS]
        assert run.status().counts.num_rate_limit_errors == 1
        assert len(sim.ledger.received) == 4 + 4


def test_a_refused_account_stops_at_once():
    """
    One request is refused, every text says why, and a retry asks for all of them.
    """
    with Laboratory(faults=[401]) as sim:
        run = embed(sim, TEXTS, batch_size=4, options={"max_concurrent_requests": 1})

        assert len(sim.ledger.received) == 1
        assert {type(error).__name__ for error in run.errors.values()} == {"AuthenticationError"}
        assert run.error is not None
        again = run.retry_failed("AuthenticationError")
        again.result(60)
        assert run.errors == {}
        assert run.partial() == again.partial() == [right(text) for text in TEXTS]


def test_only_what_failed_is_retried(asked):
    """
    By cause, and into the first one's places.
    """
    calls = Asked()

    def once(request):
        calls(request)
        return 400 if "number 3" in str(request.parts) and len(calls) < 12 else None

    with Laboratory(faults=once) as sim:
        run = embed(sim, TEXTS[:8], batch_size=1, options={"max_concurrent_requests": 1})
        assert list(run.errors) == [3]
        before = len(calls)
        calls.extend([[]] * 12)
        again = run.retry_failed()
        again.result(60)

    assert calls[before + 12 :] == [[TEXTS[3]]]
    assert run.partial()[3] == right(TEXTS[3])
    assert run.status().failures == {}
    with pytest.raises(ValueError, match="No row failed for"):
        run.retry_failed("RequestRejected")


def test_a_stop_keeps_what_there_is(sim, asked):
    """
    Vectors that came are there, the others say that they were not asked; the next run asks them.
    """
    sim.hold()
    run = EmbeddingRun(TEXTS, order(sim, batch_size=8, options={"max_concurrent_requests": 2}))
    sim.wait_received(2)
    run.stop()
    run.result(60)
    sim.release()

    assert run.status().state == "stopped"
    assert {type(error).__name__ for error in run.errors.values()} == {"Stopped"}
    again = embed(sim, TEXTS, batch_size=8)
    assert again.partial() == [right(text) for text in TEXTS]
    # What was in flight at the stop was paid for and is not bought again.
    assert len(asked.texts) == len(TEXTS)


def test_a_pause_sends_nothing(sim):
    """
    And `resume` goes on.
    """
    sim.hold()
    run = EmbeddingRun(TEXTS, order(sim, batch_size=8, options={"max_concurrent_requests": 1}))
    sim.wait_received(1)
    run.pause()
    sim.release()
    assert not run.wait(0.2)
    assert run.status().state == "paused"
    assert len(sim.ledger.received) == 1
    run.resume()
    assert run.result(60) == [right(text) for text in TEXTS]


def test_limits_of_requests_count_batches():
    """
    600 requests a minute are ten batches a second, not ten texts.
    """
    with Laboratory() as sim:
        options = {"max_requests_per_minute": 600}
        run = embed(sim, [f"text {number}" for number in range(3000)], options=options)
        assert run.errors == {}
        assert len(sim.ledger.received) == 24
        assert run.status().pools[0].requests_per_minute == 600


def test_the_status_counts_texts(sim):
    """
    What a bar shows is what the person asked for.
    """
    run = embed(sim, [*TEXTS, "", "fail", TEXTS[0]], batch_size=16)
    status = run.status()

    assert (status.total, status.completed, status.state) == (67, 67, "finished")
    assert status.counts.num_tasks_failed == 1
    assert status.models == {"openai/text-embedding-3-small": 65}
    assert status.causes[0].first_row == 65
    assert "67 of 67 texts" in repr(run)
    assert [outcome.row for outcome in run.failures()] == [65]


def test_a_budget_is_kept(asked):
    """
    Dollars are counted before a batch is sent.
    """
    with Laboratory(faults=asked) as sim:
        run = embed(sim, TEXTS, batch_size=1, options={"budget_usd": 1e-9})

    assert asked == []
    assert {type(error).__name__ for error in run.errors.values()} == {"BudgetExceeded"}
