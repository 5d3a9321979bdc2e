"""Runs of another kernel or another day: listed, and taken up again for nothing."""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading

import pandas as pd
import polars as pl
import pydantic
import pytest
from asking import cells
from markup import Census
from two_processes import program

import llmnb
from llmnb import errors
from llmnb.engine import handle
from llmnb.models.llm import LLM
from llmnb.store import clearing, run_index
from llmnb.testing import SimulatedProvider


class Review(pydantic.BaseModel):
    stars: int
    mood: str = "unknown"


@pytest.fixture
def frame():
    return pd.DataFrame({"text": ["a", None, "b"]}, index=["x", "y", "x"])


@pytest.fixture
def typed():
    """Return a model that answers with JSON, numbers as texts where it is asked for a review."""

    def reply(prompt):
        return '{"value": "good"}' if "label" in prompt else '{"stars": "4"}'

    with SimulatedProvider(reply=reply) as sim:
        yield LLM(url=sim.base_url, api_key="k", model="m")


def elsewhere(run, **options):
    """Attach to a run as a kernel does that has not started it."""
    handle._named.clear()
    return llmnb.attach(run if isinstance(run, str) else run.run_id, **options)


def same(left, right):
    """Whether two series or frames of one library hold the same."""
    return type(left) is type(right) and left.equals(right)


def test_another_kernel_gets_the_same_column_and_sends_nothing(sim, frame):
    """
    Counts, models and costs are those of then; the rows' labels are not known.
    """
    run = frame.llm.start("Say {text}", progress=False)
    answers = run.result()
    sent, status = len(sim.ledger.received), run.status()

    attached = elsewhere(run)

    assert same(attached.result(), answers.reset_index(drop=True))
    assert attached.status().counts == status.counts
    assert attached.status().models == status.models
    assert (attached.status().state, attached.is_done) == ("finished", True)
    assert len(sim.ledger.received) == sent
    assert (attached.project, attached.asked) == (run.project, "openai/m")
    assert [row.prompt for row in attached.first_answers(5)] == ["Say a", "Say b"]


@pytest.mark.parametrize(
    "options",
    [
        {"into": "mood"},
        {"details": True},
        {"details": "full"},
        {"n": 2},
        {"on_error": "column"},
        {"into": ("a", 1), "on_error": "column"},
    ],
    ids=str,
)
def test_columns_are_made_as_then(sim, frame, options):
    """
    Of a frame with the answers in it, the answers' columns come back.
    """
    run = frame.llm.start("Say {text}", progress=False, **options)
    table = run.result()

    attached = elsewhere(run).result()

    if isinstance(table, pd.DataFrame):
        own = [column for column in table.columns if column != "text"]
        table = table[own] if len(own) > 1 else table[own[0]]
    assert same(attached, table.reset_index(drop=True))


def test_typed_columns_come_back_typed(typed, frame):
    """
    By the class where this kernel has it, by its JSON schema where it has not; labels in order.
    """
    reviews = frame.llm.start("{text}", schema=Review, model=typed, progress=False)
    labels = frame.llm.start("label {text}", schema=("bad", "good"), model=typed, progress=False)
    answers = reviews.result()

    assert answers["stars"].tolist()[0] == 4  # the class takes "4" for 4
    assert same(elsewhere(reviews).result(), answers.reset_index(drop=True))
    assert same(elsewhere(labels).result(), labels.result().reset_index(drop=True))
    assert list(elsewhere(labels).result().cat.categories) == ["bad", "good"]


def test_a_class_that_is_not_there_can_be_given(typed, frame, monkeypatch):
    """
    Without it the JSON schema decides, which is stricter; another form is an error.
    """
    run = frame.llm.start("{text}", schema=Review, model=typed, progress=False)
    answers = run.result()
    known = Review
    monkeypatch.delattr(f"{__name__}.Review")

    assert elsewhere(run).partial()["stars"].isna().all()
    assert same(elsewhere(run, schema=known).result(), answers.reset_index(drop=True))
    with pytest.raises(errors.ConfigurationError, match="Review"):
        elsewhere(run, schema=int)


def test_the_prompt_of_a_mended_answer_is_the_rows_own(frame):
    """
    Not the words that asked the model to mend what it had answered.
    """

    def reply(prompt):
        return '{"value": 3}' if "cannot be used" in prompt else "three"

    with SimulatedProvider(reply=reply) as sim:
        model = LLM(url=sim.base_url, api_key="k", model="m")
        run = frame.llm.start("{text}", schema=int, details="full", model=model, progress=False)
        table = run.result()

    attached = elsewhere(run).result()

    assert cells(attached["prompt"]) == cells(table["prompt"]) == ["a", None, "b"]
    assert attached["response_value"].tolist() == [3, pd.NA, 3]


def test_quotes_are_looked_up_in_what_was_sent(frame):
    """
    The table's cells are not known; the prompts that showed them are kept.
    """

    def reply(prompt):
        return json.dumps({"value_quote": prompt[-1:] if "b" in prompt else "z", "value": 1})

    with SimulatedProvider(reply=reply) as sim:
        model = LLM(url=sim.base_url, api_key="k", model="m")
        run = frame.llm.start("{text}", schema=int, quotes=True, model=model, progress=False)
        answers = run.result()

        attached = elsewhere(run)

    assert answers["response_supported"].tolist() == [False, pd.NA, True]
    assert same(attached.result(), answers.reset_index(drop=True))
    assert attached.notes() == run.notes()


def test_rows_that_failed_are_failed_again_and_cannot_be_asked_from_there(sim):
    """
    Their cause is told as then, by their place in the table.
    """
    frame = pd.DataFrame({"text": ["a", None, "fail b", "c"]})
    run = frame.llm.start("{text}", progress=False, on_error="column")
    table = run.result()

    attached = elsewhere(run)

    assert same(attached.result(), table)
    (failure,) = attached.failures()
    (original,) = run.failures()
    assert (failure.row, type(failure.error), failure.error.message) == (
        *(2, type(original.error), original.error.message),
    )
    assert attached.status().causes == run.status().causes
    with pytest.raises(errors.ConfigurationError, match="same call again"):
        attached.retry_failed()


def test_rows_that_were_asked_again_count_with_their_later_answer(sim, asked):
    """
    What a retry has answered is written where the run itself is.
    """
    faults = {"left": 1}
    frame = pd.DataFrame({"text": ["a", "b"]})

    def note(request):
        if "b" in request.prompt and faults["left"]:
            faults["left"] = 0
            return 400
        return None

    with SimulatedProvider(reply=lambda prompt: f"> {prompt}", faults=note, latency=0) as own:
        model = LLM(url=own.base_url, api_key="k", model="m")
        run = frame.llm.start("{text}", model=model, progress=False)
        with pytest.warns(UserWarning, match="1 of 2 rows failed"):
            run.result()
        assert elsewhere(run).status().counts.num_tasks_failed == 1

        again = run.retry_failed()
        again.result()

    attached = elsewhere(again.run_id)
    assert attached.result().tolist() == ["> a", "> b"]
    assert attached.status().counts == run.status().counts
    assert attached.failures() == []


def test_a_run_under_way_in_this_kernel_is_returned_itself(sim, frame):
    """
    So that it can be steered; once it has ended, its column comes back like any other's.
    """
    run = frame.llm.start("{text}", into="said", progress=False)
    run.pause()
    attached = llmnb.attach(run.run_id)
    assert run.is_done or attached is run
    run.resume()
    run.result()

    assert llmnb.attach(run.run_id).result().name == "said"


def test_failed_rows_are_asked_again_where_their_requests_are_known(sim):
    """
    By the run itself, if this kernel still has it: the attached one tells what came of it.
    """
    is_down = [True]

    def note(request):
        return 400 if is_down[0] and "b" in request.prompt else None

    with SimulatedProvider(reply=lambda prompt: f"> {prompt}", faults=note, latency=0) as own:
        model = LLM(url=own.base_url, api_key="k", model="m")
        frame = pd.DataFrame({"text": ["a", "b"]})
        run = frame.llm.start("{text}", model=model, progress=False, on_error="column")
        run.result()
        attached = llmnb.attach(run.run_id)
        assert attached.status().counts.num_tasks_failed == 1
        is_down[0] = False

        attached.retry_failed("RequestRejected").result()

    assert attached.result()["response"].tolist() == ["> a", "> b"]
    assert attached.status().counts.num_tasks_failed == 0


def test_polars_gets_its_own_series(sim):
    """
    A run over a table of Polars comes back as a series of Polars.
    """
    frame = pl.DataFrame({"text": ["a", None, "b"]})
    run = frame.llm.start("{text}", into="said", progress=False)
    filled = run.result()

    attached = elsewhere(run).result()

    assert isinstance(attached, pl.Series)
    assert attached.equals(filled["said"])
    assert attached.name == "said"


def test_details_tell_the_prompt_of_every_row(sim):
    """
    Rendered as it was sent, before the other columns, on pandas and on Polars.
    """
    texts = {"text": ["a", None, "b"]}
    ours = pd.DataFrame(texts).llm.generate("Say {text}!", details="full")
    theirs = pl.DataFrame(texts).llm.generate("Say {text}!", details="full")
    lazy = pl.LazyFrame(texts).llm.generate("Say {text}!", details="full").collect()

    assert ours.columns[0] == theirs.columns[0] == "prompt"
    assert cells(ours["prompt"]) == ["Say a!", None, "Say b!"]
    assert theirs["prompt"].to_list() == lazy["prompt"].to_list() == ["Say a!", None, "Say b!"]
    assert list(ours.columns[1:]) == list(
        pd.DataFrame(texts).llm.generate("Say {text}!", details=True).columns
    )


def test_which_of_two_texts_is_better_comes_back():
    """
    A judge's choice is made of the answers in both orders, as then.
    """
    frame = pd.DataFrame({"one": ["good", "poor"], "other": ["poor", "good"]})

    def reply(prompt):
        first = prompt.partition("Second:")[0]
        return json.dumps({"value": "first" if "good" in first else "second"})

    with SimulatedProvider(reply=reply) as sim:
        model = LLM(url=sim.base_url, api_key="k", model="m")
        choice = frame.llm.judge("Which is good?", "one", against="other", model=model)
        (note,) = llmnb.runs()

        attached = elsewhere(note.run_id)

    assert choice.tolist() == ["one", "other"]
    assert same(attached.result(), choice)
    assert note.verb == "judge"


def test_what_is_more_than_columns_says_so(sim, frame):
    """
    A comparison is not made from what is written down; its counts are there.
    """
    frame.llm.compare("{text}", ["openai/m", "openai/o"])
    (note,) = llmnb.runs()

    attached = elsewhere(note.run_id)

    assert attached.status().completed == 4
    with pytest.raises(errors.ConfigurationError, match="same call again"):
        attached.result()


def test_a_list_of_requests_comes_back_as_its_outcomes(sim):
    """
    One request is no list: it is not written down.
    """
    client = llmnb.AsyncLLM(model="openai/m")
    run = client.start([{"prompt": "a"}, {"prompt": "fail"}])
    run.result()
    client.start([{"prompt": "c"}]).result()

    outcomes = elsewhere(run).result()

    assert [outcome.text for outcome in outcomes] == ["> a", None]
    assert isinstance(outcomes[1].error, errors.RequestRejected)
    assert [note.run_id for note in llmnb.runs()] == [run.run_id]


def test_runs_lists_finished_ones_newest_first(sim, frame):
    """
    In text and on a page, with what was called; a preview is no run.
    """
    assert repr(llmnb.runs()) == "no runs"
    frame.llm.generate("First {text}", into="a", project_name="One")
    frame.llm.classify("text", ["a", "b"], project_name="<b>Two</b>", on_error="column")
    frame.llm.preview("Look {text}")

    runs = llmnb.runs()

    assert [(note.verb, note.project) for note in runs] == [
        *(("classify", "<b>Two</b>"), ("generate", "One"))
    ]
    assert (runs[1].column, runs[1].rows, runs[1].state) == ("a", 2, "finished")
    assert runs[0].failed == 2
    handle._named.clear()
    assert cells(llmnb.attach(runs[1]).result()) == ["> First a", None, "> First b"]
    for said in (repr(runs), Census(runs._repr_html_()).text):
        assert runs[1].run_id in said
        assert "generate First {text}" in said
    assert "<b>Two" not in runs._repr_html_()


def test_clearing_takes_runs_along_and_an_undo_brings_them_back(sim, frame, cache_dir):
    """
    An attached run that is already there says that its answers are gone.
    """
    run = frame.llm.start("{text}", progress=False, project_name="One")
    answers = run.result()
    attached = elsewhere(run)

    (token,) = clearing.clear("One", cache_dir, to_trash=True).tokens

    assert list(llmnb.runs()) == []
    with pytest.raises(errors.ConfigurationError, match="no run"):
        elsewhere(run)
    assert attached.partial().isna().all()
    clearing.undo(token, cache_dir)
    assert same(elsewhere(run).result(), answers.reset_index(drop=True))


def test_an_answer_bought_after_clearing_is_none_of_the_runs_before(sim, frame, cache_dir):
    """
    Its result says how many of its answers are gone, and holds none in their place.
    """
    run = frame.llm.start("{text}", progress=False, project_name="One")
    run.result()
    attached = elsewhere(run)
    clearing.clear("One", cache_dir)
    again = frame.llm.start("{text}", progress=False, project_name="One")
    again.result()

    with pytest.warns(UserWarning, match="2 of 2 answers were cleared from project 'One'"):
        assert attached.result().isna().all()
    assert attached.notes()["Cleared"] == "its answers are gone from project One"
    assert not attached.index.is_running
    assert cells(elsewhere(again).result()) == ["> a", None, "> b"]


def test_a_name_that_nothing_has_is_told_the_nearest(sim, frame):
    """
    As is a name that is no text at all.
    """
    run = frame.llm.start("{text}", progress=False)
    run.result()

    with pytest.raises(errors.ConfigurationError, match=f"mean '{run.run_id}'"):
        elsewhere(run.run_id[:-1])
    with pytest.raises(errors.ConfigurationError, match="int"):
        llmnb.attach(3)


def test_bought_again_means_that_the_new_answer_is_there(sim, frame):
    """
    With use_cache=False a key has one answer, the latest; the run before shows it too.
    """
    first = frame.llm.start("{text}", progress=False)
    first.result()
    second = frame.llm.start("{text}", progress=False, use_cache=False)
    second.result()

    assert elsewhere(second).status().counts.num_tasks_succeeded == 2
    assert cells(elsewhere(first).result()) == ["> a", None, "> b"]


RUN = """
import sys, pandas as pd, llmnb
llmnb.set_price("openai/m", 1, 1)
frame = pd.DataFrame({"text": [f"row {n}" for n in range(int(sys.argv[1]))]})
run = frame.llm.start("{text}", progress=False, project_name="One", max_concurrent_requests=4)
print(run.run_id, flush=True)
run.result()
print("ended", flush=True)
sys.stdin.read()
"""


def test_a_killed_process_loses_no_more_than_it_had_in_flight(cache_dir, monkeypatch):
    """
    Every row that is written down has its answer; the run is told to be broken off.
    """
    asked, are_enough = itertools.count(), threading.Event()

    def note(request):
        if next(asked) == 200:
            are_enough.set()

    with SimulatedProvider(reply=lambda prompt: f"> {prompt}", faults=note, latency=0.01) as own:
        monkeypatch.setenv("OPENAI_BASE_URL", own.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        monkeypatch.setenv("LLMNB_MODEL", "openai/m")
        with program(RUN, 5000) as other:
            run_id = other.stdout.readline().strip()
            assert are_enough.wait(60)
            assert llmnb.runs()[0].state == "under way"
            following = elsewhere(run_id)
            assert following.status().state == "running"
            assert "another process" in following.status().waiting_on
            with pytest.raises(errors.ConfigurationError, match="another process"):
                following.stop()
            os.kill(other.pid, signal.SIGKILL)
            other.wait()

    index = run_index.read(run_id, cache_dir)
    assert not index.is_running
    assert index.end is None
    assert len(index) >= 100
    assert None not in index.entries(range(len(index)))
    (note,) = llmnb.runs()
    assert note.state == "broken off"
    assert following.result(60).notna().sum() == len(index)
    attached = elsewhere(run_id)
    assert attached.status().state == "stopped"
    assert attached.status().counts.num_tasks_succeeded == len(index)
    assert attached.status().counts.simulated_usd > 0


def test_two_processes_write_runs_of_one_project(sim, cache_dir):
    """
    Each has its own file: none spoils the other's, and rows bought by one are kept for both.
    """
    with program(RUN, 300) as one, program(RUN, 300) as other:
        names = [process.stdout.readline().strip() for process in (one, other)]
        assert [process.stdout.readline().strip() for process in (one, other)] == ["ended"] * 2
        attached = [elsewhere(name) for name in names]
        columns = [run.result(60) for run in attached]

    assert columns[0].tolist() == columns[1].tolist() == [f"> row {n}" for n in range(300)]
    counts = [run.status().counts for run in attached]
    assert sum(count.num_tasks_succeeded for count in counts) == len(sim.ledger.received) == 300
    assert {note.state for note in llmnb.runs()} == {"finished"}
