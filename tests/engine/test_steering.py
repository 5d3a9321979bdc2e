"""Promises of a run in its owner's hands: limits changed on the way, failed rows asked again."""

from __future__ import annotations

import pytest
from asking import ask, kinds, questions, texts
from laboratory import Laboratory

from llmnb.errors import ConfigurationError
from llmnb.testing import faults


def test_limits_change_while_it_runs():
    """
    Held to one slot it sends one at a time; given more it uses them.
    """
    with Laboratory() as sim:
        sim.hold()
        run = ask(sim, questions(20), max_concurrent_requests=1)
        sim.wait_received(1)
        assert run.status().pools[0].places == 1

        run.set_limits(max_concurrent_requests=5)
        sim.wait_received(5)
        assert sim.ledger.in_flight == 5
        sim.release()
        assert kinds(run) == [""] * 20


def test_what_is_left_out_stays_and_none_takes_a_limit_back():
    """
    Each limit is changed on its own.
    """
    with Laboratory() as sim:
        sim.hold()
        run = ask(sim, questions(3), max_requests_per_minute=600, max_concurrent_requests=2)
        sim.wait_received(1)
        run.set_limits(max_concurrent_requests=3)
        assert run.status().pools[0].requests_per_minute == 600
        run.set_limits(max_requests_per_minute=None)
        sim.wait_received(3)
        assert run.status().pools[0].requests_per_minute is None
        sim.release()
        run.result(60)


def test_a_limit_that_cannot_be_is_refused():
    """
    Zero and below are errors in words, and nothing changes.
    """
    with Laboratory() as sim:
        run = ask(sim, questions(1))
        with pytest.raises(ValueError, match="above 0"):
            run.set_limits(max_requests_per_minute=0)
        assert kinds(run) == [""]


def test_failed_rows_are_asked_again_and_take_their_places():
    """
    Only they are sent; the first run's result and counts become whole.
    """
    broken = [True]

    def fault(request):
        return 400 if broken[0] and request.number % 2 else None

    with Laboratory(reply=lambda prompt: prompt, faults=fault) as sim:
        run = ask(sim, questions(10), max_concurrent_requests=1)
        failed = [row for row, kind in enumerate(kinds(run)) if kind]
        assert failed
        assert run.status().causes[0].rows == len(failed)

        broken[0] = False
        run.retry_failed().result(60)

        assert texts(run) == [f"question {row}" for row in range(10)]
        assert len(sim.ledger.received) == 10 + len(failed)
        status = run.status()
        assert (status.counts.num_tasks_failed, status.causes) == (0, ())
        assert [outcome.row for outcome in run.result(1)] == list(range(10))


def test_the_rows_of_a_cause_are_asked_again_alone():
    """
    Only they are sent; a row that fails again is told with its new cause.
    """
    broken = {2: faults.refusal(), 4: faults.content_filter(), 6: faults.content_filter()}

    def fault(request):
        return broken.get(request.number)

    with Laboratory(faults=fault) as sim:
        run = ask(sim, questions(8), max_concurrent_requests=1)
        before = kinds(run)
        assert sorted(filter(None, before)) == ["Filtered", "Filtered", "Refused"]

        with pytest.raises(ConfigurationError, match="No row failed for TimedOut"):
            run.retry_failed("TimedOut")
        broken[9] = faults.refusal()
        run.retry_failed(["Filtered"]).result(60)
        assert len(sim.ledger.received) == 10
        assert sorted(filter(None, kinds(run))) == ["Refused", "Refused"]
        assert [(cause.kind, cause.rows) for cause in run.status().causes] == [("Refused", 2)]
        assert run.status().failures == {"Refused": 2}
        assert run.status().counts.num_tasks_failed == 2

        run.retry_failed("Refused").result(60)
        assert kinds(run) == [""] * 8
        assert len(sim.ledger.received) == 12


def test_two_retries_at_once_share_no_row():
    """
    Rows that an earlier retry is still asking are left to it; asked for alone, it is returned.
    """
    broken = {1: faults.refusal(), 2: faults.content_filter()}

    with Laboratory(faults=lambda request: broken.get(request.number)) as sim:
        run = ask(sim, questions(3), max_concurrent_requests=1)
        assert sorted(kinds(run)) == ["", "Filtered", "Refused"]

        sim.hold()
        first = run.retry_failed("Refused")
        assert run.retry_failed("Refused") is first
        rest = run.retry_failed()
        assert rest is not first
        sim.release()
        assert len(rest.result(60)) == 1
        assert len(first.result(60)) == 1
        assert kinds(run) == ["", "", ""]
        assert len(sim.ledger.received) == 5


def test_a_status_tells_what_a_dashboard_shows():
    """
    Pace, quantiles, shares and pools, all plain values.
    """
    with Laboratory(latency=0.01) as sim:
        run = ask(sim, questions(30))
        run.result(60)
        status = run.status()

    assert status.requests_per_minute > 0
    assert status.p95 >= status.p50 > 0
    assert [(share.rows, share.share) for share in status.shares] == [(30, 1.0)]
    assert sum(sample.requests_per_minute for sample in status.samples) > 0
    assert len(status.latencies) == 30
    assert status.ended_at >= status.started_at
    assert run.asked == "openai/m"


def test_fragments_come_as_they_are_sent():
    """
    What `on_delta` hears makes the whole answer; a kept answer brings no pieces.
    """
    heard: list[tuple[int, str]] = []
    with Laboratory(reply="one two three four", tokens_per_second=200) as sim:
        run = ask(sim, questions(1), on_delta=lambda row, piece: heard.append((row, piece.text)))
        assert texts(run) == ["one two three four"]
        assert "".join(text for _, text in heard) == "one two three four"
        assert len(heard) > 1
        assert run.result(1)[0].first_token_seconds > 0

        heard.clear()
        assert texts(ask(sim, questions(1), on_delta=lambda row, piece: heard.append(piece)))
        assert heard == []
