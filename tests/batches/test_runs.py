"""Promises about batch runs: submitted once, matched by id, kept as live answers are."""

from __future__ import annotations

import dataclasses

import pytest
from laboratory import Laboratory

import llmnb
from llmnb.batches.start import start_batch
from llmnb.engine import cost_events
from llmnb.errors import BudgetExceeded, ConfigurationError
from llmnb.running.asking import Asking
from llmnb.running.start import start as start_live
from llmnb.schemas import output_of
from llmnb.wire.batches import AnthropicBatches, Capacity, OpenAIBatches


def texts(run):
    return [outcome.text for outcome in run.result(30)]


def test_answers_come_in_the_order_of_the_rows(start, sim):
    """Every row gets its own answer, however the results are shuffled."""
    sim.batches.script.shuffled = True
    prompts = [f"q{row}" for row in range(20)]
    assert texts(start(*prompts)) == [f"> {prompt}" for prompt in prompts]
    assert len(sim.batches.batches) == 1


def test_a_live_run_afterwards_is_all_cached(start, asking, sim):
    """Answers of a batch stand under the keys of live answers."""
    start("a", "b").result(30)
    received = sim.ledger.totals().received
    again = start_live([{"prompt": "a"}, {"prompt": "b"}], asking).result(30)
    assert [(outcome.text, outcome.source) for outcome in again] == [
        ("> a", "cached"),
        ("> b", "cached"),
    ]
    assert sim.ledger.totals().received == received


def test_a_batch_after_a_live_run_submits_nothing(start, asking, sim):
    """What a live run has bought is not bought again."""
    start_live([{"prompt": "a"}], asking).result(30)
    run = start("a")
    assert texts(run) == ["> a"]
    assert run.run_id == ""
    with pytest.raises(ConfigurationError, match="Make its call again"):
        llmnb.attach(run.run_id)
    assert not sim.batches.batches
    assert run.status().counts.num_cached == 1


def test_it_costs_half(start, asking):
    """A row of a batch costs half of what it costs asked now, in every account of it."""
    paid = []
    cost_events.listeners.append(paid.append)
    try:
        batch = start("abcd").result(30)[0]
    finally:
        cost_events.listeners.remove(paid.append)
    live = start_live([{"prompt": "efgh"}], asking).result(30)[0]
    assert batch.usd == pytest.approx(live.usd / 2)
    assert batch.usd > 0
    assert [outcome.usd for outcome in paid] == [batch.usd]


def test_identical_rows_are_submitted_once(start, sim):
    """Rows that ask the same are one request, paid once."""
    run = start("a", "a", "b", "a")
    outcomes = run.result(30)
    assert [outcome.source for outcome in outcomes] == ["sent", "merged", "sent", "merged"]
    assert sim.ledger.totals().received == 2
    assert run.status().counts.num_merged == 2


def test_a_large_run_is_split_by_the_limits(start, sim, monkeypatch):
    """No batch holds more than the provider allows."""
    small = Capacity(requests=3, size=10_000)
    for kind in (OpenAIBatches, AnthropicBatches):
        monkeypatch.setattr(kind, "capacity", small)
    prompts = [f"q{row}" for row in range(8)]
    assert texts(start(*prompts)) == [f"> {prompt}" for prompt in prompts]
    assert sorted(len(batch.requests) for batch in sim.batches.batches.values()) == [2, 3, 3]


def test_failed_rows_are_typed_and_the_others_kept(start, sim):
    """A refused request is its own row's error; asked again, only it is submitted."""
    run = start("a", "fail b", "c")
    kinds = [type(outcome.error).__name__ if outcome.error else "" for outcome in run.result(30)]
    assert kinds == ["", "RequestRejected", ""]
    assert run.status().failures == {"RequestRejected": 1}
    start("a", "fail b", "c").result(30)
    assert [len(batch.requests) for batch in sim.batches.batches.values()] == [3, 1]


def test_failed_rows_can_be_tried_again(start, sim):
    """`retry_failed` submits the failed rows; their answers take their places."""
    run = start("a", "fail b")
    run.result(30)
    sim.set_faults(None)
    run.retry_failed("RequestRejected").result(30)
    assert texts(run) == ["> a", "> fail b"]
    status = run.status()
    assert (status.counts.num_tasks_failed, status.completed, status.causes) == (0, 2, ())


def test_failed_rows_can_be_asked_now(start, sim):
    """`retry_failed(mode="live")` makes no second batch; the answers take the rows' places."""
    run = start("a", "fail b", "fail c")
    run.result(30)
    sim.set_faults(None)
    run.retry_failed(mode="live").result(30)
    assert texts(run) == ["> a", "> fail b", "> fail c"]
    assert run.status().counts.num_tasks_failed == 0
    assert len(sim.batches.batches) == 1
    with pytest.raises(ConfigurationError, match="'later'"):
        run.retry_failed(mode="later")


def test_a_structured_answer_that_does_not_fit_is_mended_live(asking, provider, monkeypatch):
    """What a batch cannot mend is shown to the model again, once, by a live retry."""
    report = iter(["no number", '{"value": 7}'])
    with Laboratory(reply=lambda prompt: next(report), api_key="k-1") as other:
        monkeypatch.setenv(f"{provider.upper()}_BASE_URL", other.base_url)
        wants = dataclasses.replace(asking, output=output_of(int))
        run = start_batch([{"prompt": "How many?"}], wants)
        assert type(run.result(30)[0].error).__name__ == "SchemaMismatch"
        run.retry_failed(mode="live").result(30)
    assert run.result(30)[0].value == 7


def test_a_budget_is_kept_before_anything_is_submitted(start, sim):
    """A batch that may cost more than the budget is not submitted."""
    with pytest.raises(BudgetExceeded, match="Nothing was sent"):
        start("a", budget_usd=1e-9)
    assert not sim.batches.batches
    assert not sim.batches.files
    assert texts(start("a", budget_usd=1.0)) == ["> a"]


@pytest.mark.parametrize("provider", ["openai"], indirect=True)
def test_several_models_are_refused(start, asking):
    """There is no falling back in a batch, and no second model."""
    several = dataclasses.replace(asking, model=["openai/m", "openai/n"])
    with pytest.raises(ConfigurationError, match="one model"):
        start_batch([{"prompt": "a"}], several)
    rows = [{"prompt": "a"}, {"prompt": "b", "model": "openai/other"}]
    with pytest.raises(ConfigurationError, match="one model"):
        start_batch(rows, asking)


def test_that_there_are_no_batches_is_said(cache):
    """A model without a batch API is refused by name."""
    asking = Asking(model="mistral/m", api_key="k", url="http://127.0.0.1:1/v1")
    with pytest.raises(ConfigurationError, match="no batch API"):
        start_batch([{"prompt": "a"}], asking)


def test_a_row_that_asks_nothing_is_an_error_of_its_own(start, asking):
    """Bad input is an outcome; the others are asked."""
    outcomes = start_batch([{"prompt": "a"}, {"nothing": 1}, 7], asking).result(30)
    assert outcomes[0].text == "> a"
    assert [type(outcome.error).__name__ for outcome in outcomes[1:]] == [
        "InputError",
        "InputError",
    ]


def test_polls_are_gentle(start, sim, rests):
    """Between questions there are seconds, growing, never less than the server wished."""
    sim.batches.script.polls = 4
    sim.batches.script.poll_errors = [429]
    sim.batches.script.retry_after = 77
    start("a").result(30)
    assert rests == [77.0, 5.0, 7.5, 11.25, 16.875]


def test_results_are_fetched_from_our_own_address(start, sim):
    """An address that the provider names for results gets neither a request nor the key."""
    assert texts(start("a")) == ["> a"]


def test_its_sentences(start):
    """A run says in a line what it is and how far."""
    run = start("<b>a</b>")
    run.result(30)
    assert run.run_id in repr(run)
    assert "1 of 1 rows" in repr(run)
    assert run.status().state == "finished"
    assert run.partial()[0].text == "> <b>a</b>"
    assert llmnb.runs()[0].run_id == run.run_id
