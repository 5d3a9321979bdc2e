"""Promises about `mode="batch"` of the doors: the accessor and AsyncLLM."""

from __future__ import annotations

import pandas as pd
import pytest
from asking import cells

import llmnb
from llmnb import AsyncLLM
from llmnb.errors import ConfigurationError
from llmnb.testing.faults import Bend

openai_only = pytest.mark.parametrize("provider", ["openai"], indirect=True)
"""The doors do not know the protocol."""


@pytest.fixture
def model(asking) -> str:
    """Return the model's name; each test runs in both protocols."""
    return str(asking.model)


@pytest.fixture
def frame() -> pd.DataFrame:
    """Return a frame with a row that asks nothing."""
    return pd.DataFrame({"text": ["a", None, "b", "a"]}, index=[7, 7, 8, 9])


def test_generate_gives_the_same_as_live(frame, model, sim):
    """A batch fills the same rows of the same column, and a live run then sends nothing."""
    params = {"max_tokens": 50}
    batch = frame.llm.generate("text", model=model, params=params, mode="batch")
    received = sim.ledger.totals().received
    live = frame.llm.generate("text", model=model, params=params)
    pd.testing.assert_series_equal(batch, live)
    assert cells(batch) == ["> a", None, "> b", "> a"]
    assert sim.ledger.totals().received == received == 2


@openai_only
def test_start_gives_a_run_to_look_at_and_steer(frame, model, sim):
    """The run of a table tells how far it is, and gives what there is when it is stopped."""
    sim.batches.script.polls = 10**9
    run = frame.llm.start("text", model=model, mode="batch", params={"max_tokens": 50})
    while not sim.batches.polls:
        run.wait(0.01)
    assert "done" in run.status().waiting_on
    assert run.status().total == 3
    assert run.partial().isna().all()
    run.stop()
    assert run.result(30).isna().all()
    assert llmnb.runs()[0].run_id == run.run_id


@openai_only
@pytest.mark.parametrize(
    "options",
    [{"into": "said"}, {"details": "full"}, {"n": 2}, {"schema": ("> a", "> b")}],
    ids=str,
)
def test_a_batch_that_is_attached_to_gives_the_column(frame, model, sim, options):
    """Rows by their position; of what was asked about a table the list tells the prompt."""
    params = {"max_tokens": 50}
    run = frame.llm.start("text", model=model, mode="batch", params=params, **options)
    table = run.result(30)

    (note,) = llmnb.runs()
    attached = llmnb.attach(note)

    got = attached.result(30)
    want = table["said"] if "into" in options else table
    assert type(got) is type(want)
    assert got.equals(want.reset_index(drop=True))
    assert (note.verb, note.prompt) == ("batch", "text")
    assert attached.status().counts.num_rows_done == run.status().counts.num_rows_done


@openai_only
def test_failed_rows_of_a_table_can_be_asked_now(model, sim):
    """They are told by their place in the table, and their answers come into it."""
    frame = pd.DataFrame({"text": [None, "a", "fail b"]})
    run = frame.llm.start("text", model=model, mode="batch", on_error="column")
    run.result(30)
    assert run.status().causes[0].first_row == 2
    sim.set_faults(None)
    again = run.retry_failed(mode="live")
    assert cells(again.result(30)["response"]) == [None, "> a", "> fail b"]
    assert len(sim.batches.batches) == 1


@openai_only
async def test_it_can_be_awaited(frame, model):
    """The awaited twin works on the caller's loop."""
    outcome = await frame.llm.agenerate(
        "text", model=model, params={"max_tokens": 50}, mode="batch", progress=False
    )
    assert cells(outcome) == ["> a", None, "> b", "> a"]


def test_structured_answers_are_checked(model):
    """Labels come back as categories; what fits none is a failed row, its text kept."""
    series = pd.Series(["label: yes", "label: perhaps"])
    with pytest.warns(UserWarning, match="SchemaMismatch"):
        outcome = series.llm.classify(["yes", "no"], model=model, mode="batch")
    assert outcome.dtype == "category"
    assert outcome.tolist()[0] == "yes"
    assert pd.isna(outcome[1])


@openai_only
def test_several_answers_a_row(frame, model):
    """With n above 1 every sample is a request of its own."""
    outcome = frame.llm.generate("text", model=model, params={"max_tokens": 9}, n=2, mode="batch")
    assert outcome.tolist()[0] == ["> a", "> a"]


@openai_only
def test_a_plan_is_at_half_the_price(frame, model):
    """What a batch would cost is half of what a live run would."""
    live = frame.llm.plan("text", model=model, params={"max_tokens": 50})
    batch = frame.llm.plan("text", model=model, params={"max_tokens": 50}, mode="batch")
    assert batch.usd_high == pytest.approx(live.usd_high / 2)


@openai_only
@pytest.mark.parametrize(
    "options", [{"time_limit": 5}, {"hedge_after": 1}, {"mode": "later"}], ids=str
)
def test_what_a_batch_cannot_do_is_refused(frame, model, sim, options):
    """Options that promise seconds do not go with a batch, and there is no third mode."""
    with pytest.raises(ConfigurationError, match="Nothing was sent"):
        frame.llm.generate("text", model=model, **{"mode": "batch", **options})
    with pytest.raises(ConfigurationError, match="Nothing was sent"):
        AsyncLLM(model=model).generate([{"prompt": "a"}], **{"mode": "batch", **options})
    assert sim.ledger.totals().received == 0


@openai_only
def test_comparing_is_live(frame, model):
    """Several models are compared by asking now."""
    with pytest.raises(ConfigurationError, match="mode"):
        frame.llm.compare("text", [model, "openai/other"], mode="batch")


@openai_only
def test_async_llm_gives_its_rows(model, sim):
    """AsyncLLM's rows are as ever, metadata included."""
    llm = AsyncLLM(model=model, sampling_params={"max_tokens": 50})
    requests = [{"prompt": "a", "metadata": 1}, {"prompt": "fail b"}]
    rows = llm.generate(requests, mode="batch", progress=False)
    assert len(rows[0]) == 3
    assert "> a" in str(rows[0][1])
    assert isinstance(rows[1][1], list)
    again = llm.start([{"prompt": "a"}], mode="batch")
    assert again.result(30)[0].source == "cached"


@openai_only
def test_async_llm_does_not_iterate_over_a_batch(model):
    """What is streamed is asked now."""
    with pytest.raises(ConfigurationError, match="iterate"):
        next(AsyncLLM(model=model).iterate([{"prompt": "a"}], mode="batch"))


@openai_only
def test_the_word_of_an_end_holds_in_a_batch_too(model, sim):
    """
    An answer that is kept under an end that llmnb does not know is one where the word is given,
    and nothing is submitted for it.
    """
    series, asked = pd.Series(["a"]), {"model": model, "params": {"max_tokens": 50}}
    sim.set_faults(lambda request: Bend(name="odd", billed=True, finish_reason="fin"))
    with pytest.warns(UserWarning, match="UnknownEnd"):
        series.llm.generate(**asked)
    with pytest.warns(UserWarning, match="UnknownEnd"):
        assert series.llm.generate(**asked, mode="batch").isna().all()

    assert series.llm.generate(**asked, mode="batch", good_finish="fin").tolist() == ["> a"]
    llm = AsyncLLM(model=model, sampling_params=asked["params"], good_finish=["fin"])
    ((_, response),) = llm.generate([{"prompt": "a"}], mode="batch")
    assert response["choices"][0]["message"]["content"] == "> a"
    assert not sim.batches.batches


@openai_only
@pytest.mark.parametrize("wrong", [{"share": ""}, {"good_finish": 5}, {"budget_usd": "five"}])
def test_a_batch_refuses_wrong_options_before_anything_is_submitted(model, sim, wrong):
    """
    By the sentence of every other door.
    """
    with pytest.raises(ConfigurationError, match=r"Nothing was sent\.$"):
        AsyncLLM(model=model).generate([{"prompt": "a"}], mode="batch", **wrong)
    assert sim.ledger.totals().received == 0
