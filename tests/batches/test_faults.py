"""Promises about batches that go wrong: nothing bought twice, nothing lost, nothing mixed up."""

from __future__ import annotations

import dataclasses

import pytest

from llmnb.batches import service
from llmnb.engine import cost_events


def kinds(run):
    return [type(outcome.error).__name__ if outcome.error else "" for outcome in run.result(30)]


def texts(run):
    return [outcome.text for outcome in run.result(30)]


def sizes(sim):
    return [len(batch.requests) for batch in sim.batches.batches.values()]


def test_results_shuffled_repeated_and_strange_are_matched_by_id(start, sim):
    """Order says nothing; a second result of an id and one of an unknown id are passed over."""
    script = sim.batches.script
    script.shuffled, script.duplicates, script.strangers = True, True, 3
    paid = []
    cost_events.listeners.append(paid.append)
    try:
        run = start("a", "b", "fail c", "d")
        assert texts(run) == ["> a", "> b", None, "> d"]
    finally:
        cost_events.listeners.remove(paid.append)
    assert kinds(run) == ["", "", "RequestRejected", ""]
    assert len(paid) == 3


def test_an_expired_batch_keeps_what_is_finished(start, sim):
    """Rows the provider did not come to are errors without cost; the next run asks only them."""
    sim.batches.script.expires = lambda prompt: prompt in ("b", "d")
    run = start("a", "b", "c", "d")
    assert kinds(run) == ["", "ProviderError", "", "ProviderError"]
    assert "Nothing was billed" in run.failures()[0].error.message
    sim.batches.script.expires = None
    assert texts(start("a", "b", "c", "d")) == ["> a", "> b", "> c", "> d"]
    assert sizes(sim) == [4, 2]
    assert sim.ledger.count("b", of="billed") == 1


def test_a_partial_result_is_reported_row_by_row(start, sim):
    """A request of which the results say nothing is an error; the others stand."""
    sim.batches.script.leaves_out = lambda prompt: prompt == "b"
    run = start("a", "b")
    assert kinds(run) == ["", "BadReply"]
    sim.batches.script.leaves_out = None
    assert texts(start("a", "b")) == ["> a", "> b"]
    assert sizes(sim) == [2, 1]


@pytest.mark.parametrize("provider", ["openai"], indirect=True)
def test_a_refused_batch_says_why(start, sim):
    """A batch that is refused as a whole fails its rows in the provider's words, once."""
    sim.batches.script.refuses = "Enqueued token limit reached."
    run = start("a", "b")
    assert kinds(run) == ["ProviderError", "ProviderError"]
    assert "Enqueued token limit" in run.error.message
    sim.batches.script.refuses = None
    assert texts(start("a", "b")) == ["> a", "> b"]


@pytest.mark.parametrize("status", [429, 503])
def test_a_submission_that_is_refused_is_made_again(start, sim, status):
    """A refusal for pace or a broken server does not lose the run, and makes no second batch."""
    sim.batches.script.create_errors = [status, status]
    assert texts(start("a")) == ["> a"]
    assert sizes(sim) == [1]


def test_a_submission_whose_reply_is_lost_is_recognised_not_repeated(start, sim):
    """What may have been submitted is looked for at the provider before it is sent again."""
    sim.batches.script.lost_replies = 1
    assert texts(start("a", "b")) == ["> a", "> b"]
    assert sizes(sim) == [2]


def test_a_wrong_key_fails_the_rows_and_nothing_else(start, sim, monkeypatch, provider):
    """A refused account is one error for all rows; with the right key the rows are asked."""
    monkeypatch.setenv(f"{provider.upper()}_API_KEY", "wrong-1")
    run = start("a", "b")
    assert kinds(run) == ["AuthenticationError"] * 2
    assert "wrong-1" not in str(run.error)
    monkeypatch.setenv(f"{provider.upper()}_API_KEY", "k-1")
    assert texts(start("a", "b")) == ["> a", "> b"]


def test_a_provider_that_is_away_is_asked_again(start, sim, rests):
    """Errors while waiting end nothing: it is asked again, more and more seldom."""
    sim.batches.script.poll_errors = [500, 503, 502, 429]
    assert texts(start("a")) == ["> a"]
    assert rests[:4] == [5.0, 7.5, 11.25, 16.875]


def test_truncated_answers_are_judged_as_live_ones(start, sim):
    """An answer that the content filter withheld is an error row, paid and kept."""
    from llmnb.testing.faults import Bend

    sim.set_faults(lambda request: Bend(name="filtered", finish_reason="content_filter"))
    assert kinds(start("a"))[0] in ("Filtered", "Refused")


def test_withdrawn_batches_keep_what_was_done(start, sim):
    """`withdraw` stops a batch at the provider; its rows say so and cost nothing."""
    sim.batches.script.polls = 10**9
    run = start("a", "b")
    while not sim.batches.polls:
        run.wait(0.01)
    run.withdraw()
    assert kinds(run) == ["Stopped", "Stopped"]
    assert sim.ledger.totals().usd == 0


def test_results_that_nobody_can_read_are_fetched_again(start, sim, monkeypatch):
    """A page of somebody between, with a good status, does not lose what was paid for."""
    pages = [b"<html>Please sign in.</html>"]
    get = service.Service._get

    async def instead(self, path, query=""):
        raw = await get(self, path, query)
        is_results = path.endswith(("/content", "/results"))
        return dataclasses.replace(raw, body=pages.pop()) if is_results and pages else raw

    monkeypatch.setattr(service.Service, "_get", instead)
    assert texts(start("a", "b")) == ["> a", "> b"]
    assert not pages


@pytest.mark.parametrize("provider", ["openai"], indirect=True)
def test_results_that_come_short_are_fetched_again(start, sim, monkeypatch):
    """A file cut off in its last answer, as it is served for a moment, loses nothing paid for."""
    cuts = [60, 60]
    get = service.Service._get

    async def instead(self, path, query=""):
        raw = await get(self, path, query)
        if not (path.endswith("/content") and cuts):
            return raw
        return dataclasses.replace(raw, body=raw.body[: -cuts.pop()])

    monkeypatch.setattr(service.Service, "_get", instead)
    assert texts(start("a", "b")) == ["> a", "> b"]
    assert sizes(sim) == [2]


def test_a_list_of_batches_that_never_ends_is_left(start, sim, monkeypatch, provider):
    """A list whose every page has the same last batch and a next page is read twice at most."""
    pages = []
    page = b'{"data": [{"id": "other"}], "has_more": true}'
    get = service.Service._get

    async def instead(self, path, query=""):
        raw = await get(self, path, query)
        pages.append(query)
        return dataclasses.replace(raw, body=page) if "limit=" in query else raw

    monkeypatch.setattr(service.Service, "_get", instead)
    sim.batches.script.create_errors = [500]
    assert texts(start("a")) == ["> a"]
    assert sum("limit=" in query for query in pages) == 2


def test_a_fault_of_our_own_is_raised(start, sim, monkeypatch):
    """What no provider is to blame for is not taken for a batch that nobody waits for."""

    async def look(self, batch):
        raise ZeroDivisionError("a mistake")

    monkeypatch.setattr(service.Service, "look", look)
    run = start("a")
    with pytest.raises(ZeroDivisionError):
        run.result(30)
    assert run.is_done
