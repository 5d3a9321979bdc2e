"""Promises of `.llm` of Dask's frames: lazy, checked when called, pandas' answers in their rows."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from laboratory.ledger_queries import counts
from saying import saying

import llmnb
from llmnb import errors
from llmnb.frames import dask_watching, dask_worker
from llmnb.rate_limiter import GLOBAL_LIMITER
from llmnb.testing import SimulatedProvider, forbid_real_requests

EMBEDDING = {"model": "openai/text-embedding-3-small", "params": {"dimensions": 4}}


@pytest.fixture(autouse=True)
def alone():
    """Compute in this thread; the display of a test ends with it."""
    with dask.config.set(scheduler="synchronous"):
        yield
    dask_watching.close()


@pytest.fixture
def frame():
    return pd.DataFrame(
        {"t": ["a", None, "c", "d", "e", "f", "g"], "n": range(7)}, index=range(10, 80, 10)
    )


@pytest.fixture
def ddf(frame):
    return dd.from_pandas(frame, npartitions=3)


@pytest.fixture
def says(monkeypatch):
    """Return what makes the provider say the same to every question."""

    @contextmanager
    def says(text):
        with saying(text) as (_, provider), monkeypatch.context() as patch:
            patch.setenv("OPENAI_BASE_URL", provider.base_url)
            yield

    return says


def lazily(table, ask):
    """Return what pandas answers to the same frame, and what Dask does, with its meta."""
    return ask(table.compute()), (answers := ask(table)).compute(), answers._meta


@dataclass
class Word:
    text: str
    size: int
    kind: Literal["short", "long"] | None


def test_nothing_is_sent_before_it_is_computed(sim, ddf):
    """
    The result's form, index and divisions are known all the same.
    """
    asked = ddf.llm.generate("{t}{n}", into="said")

    assert list(asked.columns) == ["t", "n", "said"]
    assert asked.divisions == ddf.divisions
    assert len(sim.ledger.received) == 0
    assert asked["said"].compute().tolist()[:3] == ["> a0", "> 1", "> c2"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"into": "said"},
        {"into": "n", "overwrite": True},
        {"on_error": "column"},
        {"into": "said", "on_error": "column"},
        {"n": 2, "duplicates": "sample"},
        {"system": "Be brief.", "examples": [({"t": "x", "n": 1}, "y")], "params": {"seed": 1}},
    ],
    ids=lambda options: ",".join(options) or "plain",
)
def test_answers_are_those_of_pandas(sim, ddf, options):
    """
    Rows, index, names and dtypes, and the meta tells of them beforehand.
    """
    ours, theirs, meta = lazily(ddf, lambda one: one.llm.generate("{t} {n}", **options))

    if isinstance(ours, pd.Series):
        pd.testing.assert_series_equal(theirs, ours)
        assert (meta.dtype, meta.name) == (ours.dtype, ours.name)
    else:
        pd.testing.assert_frame_equal(theirs, ours)
        assert dict(meta.dtypes) == dict(ours.dtypes)


def test_details_are_those_of_pandas(sim, ddf):
    """
    All the columns, in their types.
    """
    ours, theirs, meta = lazily(ddf, lambda one: one.llm.generate("{t}", details=True))

    own = ["response", "model", "provider", "prompt_tokens", "key", "error"]
    pd.testing.assert_frame_equal(theirs[own], ours[own])
    assert dict(meta.dtypes) == dict(theirs.dtypes) == dict(ours.dtypes)


@pytest.mark.parametrize("into", [None, "w"])
def test_typed_columns_have_the_same_types_in_every_partition(sim, ddf, says, into):
    """
    Also a category whose values no partition has all of.
    """
    with says('{"text": "x", "size": 3, "kind": "short"}'):
        lazy = ddf.llm.extract("t", Word, into=into)
        answers = lazy.compute()

    names = ["text", "size", "kind"] if into is None else ["w_text", "w_size", "w_kind"]
    assert answers[names[1]].tolist() == [3, pd.NA, 3, 3, 3, 3, 3]
    assert [answers[name].dtype for name in names] == [lazy[name].dtype for name in names]


def test_labels_are_categories_of_every_partition(sim, ddf, says):
    """
    In the order given.
    """
    with says('{"value": "good"}'):
        lazy = ddf["t"].llm.classify(["good", "bad"])
        answers = lazy.compute()

    assert lazy.cat.known
    assert answers.cat.categories.tolist() == ["good", "bad"]
    assert answers.tolist()[0] == "good"


def test_what_does_not_fit_the_meta_is_missing_and_said(sim, ddf, says, caplog):
    """
    A number too large for any column of numbers does not change the partition's type.
    """
    with says(f'{{"text": "x", "size": {2**80}, "kind": null}}'):
        answers = ddf.llm.extract("t", Word).compute()

    assert answers["size"].dtype == "Int64"
    assert answers["size"].isna().all()
    assert "do not fit" in caplog.text


def test_vectors_are_those_of_pandas(sim, ddf):
    """
    Missing texts have none.
    """
    ours, theirs, meta = lazily(ddf, lambda one: one.llm.embed("t", into="v", **EMBEDDING))

    assert list(meta.columns) == list(theirs.columns) == ["t", "n", "v"]
    assert theirs["v"].isna().tolist() == ours["v"].isna().tolist()
    np.testing.assert_array_equal(theirs["v"].iloc[0], ours["v"].iloc[0])
    assert ddf["t"].llm.embed(**EMBEDDING).compute().iloc[0].tolist() == ours["v"].iloc[0].tolist()


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (lambda one: one.llm.generate("{nix}"), errors.UnknownField),
        (lambda one: one.llm.generate("{t"), errors.UnknownField),
        (lambda one: one.llm.generate("t", model="nix/any"), errors.UnknownProvider),
        (lambda one: one.llm.generate("t", model="nobody-has-this"), errors.UnknownModel),
        (lambda one: one.llm.generate("t", mode="batch"), errors.ConfigurationError),
        (lambda one: one.llm.generate("t", on_error="?"), errors.ConfigurationError),
        (lambda one: one.llm.generate("t", nix=1), TypeError),
        (lambda one: one.llm.generate("t", max_requests_per_minute="?"), errors.ConfigurationError),
        (lambda one: one.llm.extract("t", 7), errors.ConfigurationError),
        (lambda one: one.llm.classify("t", "good"), errors.ConfigurationError),
        (lambda one: one.llm.embed("nix"), errors.UnknownField),
        (lambda one: one.llm.embed("t", nix=1), TypeError),
        (lambda one: one.llm.embed("t", model="nix/any"), errors.UnknownProvider),
        (lambda one: one.llm.preview("t", into="x"), errors.ConfigurationError),
        (lambda one: one.llm.preview("t", n=-1), errors.ConfigurationError),
        (lambda one: one.llm.generate("t", examples="n"), errors.ConfigurationError),
        (
            lambda one: one.llm.generate("t", params={"lock": threading.Lock()}),
            errors.ConfigurationError,
        ),
    ],
)
def test_what_is_wrong_is_said_when_it_is_called(sim, ddf, ask, error):
    """
    Not hours later on a worker.
    """
    with pytest.raises(error):
        ask(ddf)
    assert len(sim.ledger.received) == 0


@pytest.mark.parametrize(
    "options",
    [
        {"model": llmnb.LLM(model="openai/m", api_key="sk-a-key-of-my-own")},
        {"model": ["openai/m", llmnb.LLM(model="openai/m", api_key="sk-a-key-of-my-own")]},
        {"params": {"extra": {"api_key": "sk-a-key-of-my-own"}}},
        {"system": "Use sk-found-in-the-environment."},
    ],
)
def test_a_key_never_enters_the_graph(sim, ddf, options, monkeypatch):
    """
    It is refused with the ways to give it to the workers, and not quoted.
    """
    monkeypatch.setenv("OPENAI_API_KEY", "sk-found-in-the-environment")

    with pytest.raises(errors.ConfigurationError, match="set_key") as caught:
        ddf.llm.generate("{t}", **options)
    assert "sk-" not in str(caught.value)


def test_a_model_of_ones_own_code_does_not_travel(ddf):
    """
    It may hold anything, keys too: refused at the call, before anything is computed.
    """

    class Own(llmnb.LLMModel):
        async def acompletion(self, messages, **options):
            raise AssertionError("it is asked")

    with pytest.raises(errors.ConfigurationError, match="of your own code"):
        ddf.llm.generate("{t}", model=Own())


def test_only_the_columns_of_the_prompt_travel(sim, frame):
    """
    The others are not read at all.
    """
    asked = dd.from_pandas(frame, npartitions=1).llm.generate("{n}")

    (needed,) = asked.expr.dependencies()
    assert list(needed.columns) == ["n"]


def test_failed_rows_are_reported_once(sim, ddf, caplog):
    """
    With their causes grouped over all partitions.
    """
    answers = ddf.llm.generate("fail {n}").compute()
    dask_watching.wait(10)

    assert answers.isna().all()
    assert caplog.text.count("rows failed and are NA") == 1
    assert "7 of 7" in caplog.text
    assert "7 RequestRejected" in caplog.text


def test_an_error_is_raised_where_it_is_wished(sim, ddf):
    """
    It carries its partition's answers.
    """
    with pytest.raises(errors.RowsFailed) as caught:
        ddf.llm.generate("fail {n}", on_error="raise").compute()

    assert len(caught.value.partial) in (2, 3)


def test_a_preview_raises_where_it_is_wished(sim, ddf):
    """
    As that of pandas does.
    """
    with pytest.raises(errors.RowsFailed):
        ddf.llm.preview("fail {n}", n=2, on_error="raise")


@pytest.mark.filterwarnings("ignore:Requests to models.example travel over plain http")
@pytest.mark.parametrize(
    "ask",
    [
        lambda one, **options: one.llm.generate("{t}", **options).compute(),
        lambda one, **options: one.llm.preview("{t}", n=1, **options),
        lambda one, **options: one.llm.embed("t", **EMBEDDING, **options).compute(),
    ],
    ids=["generate", "preview", "embed"],
)
def test_a_key_goes_over_plain_http_where_the_client_allows_it(sim, ddf, monkeypatch, ask):
    """
    Every verb takes the client's word along, though a worker's own settings allow nothing: what
    keeps the request back here is that tests send none to real hosts.
    """

    def on_a_worker(graph, keys, **_options):
        llmnb.configure(allow_http=None)
        try:
            return dask.get(graph, keys)
        finally:
            llmnb.configure(allow_http=True)

    monkeypatch.setenv("OPENAI_BASE_URL", "http://models.example/v1")
    llmnb.configure(allow_http=True)
    with (
        forbid_real_requests(),
        dask.config.set(scheduler=on_a_worker),
        pytest.raises(errors.LLMNBError) as caught,
    ):
        ask(ddf, on_error="raise")
    assert "RealRequestForbidden" in str(caught.value)


def test_a_plan_adds_the_partitions_up_and_sends_nothing(sim, ddf):
    """
    The time is that of the cluster's limits, the budget that of the call.
    """
    ddf.partitions[0].llm.generate("{t}").compute()
    sent = len(sim.ledger.received)

    plan = ddf.llm.plan("{t}", max_requests_per_minute=2, budget_usd=3.0)

    assert (plan.rows, plan.empty, plan.to_ask) == (7, 1, 7 - 1 - sent)
    assert plan.cached == sent
    assert plan.minutes == plan.to_ask / 2
    assert plan.budget_usd == 3.0
    assert len(sim.ledger.received) == sent


def test_a_preview_asks_about_the_first_rows_only(sim, ddf):
    """
    Its answers are not bought again.
    """
    shown = ddf.llm.preview("{t}", n=1)

    assert shown["prompt"].tolist() == ["a"]
    assert shown["response"].tolist() == ["> a"]
    assert len(sim.ledger.received) == 1
    ddf.llm.generate("{t}").compute()
    assert len(sim.ledger.received) == 6


def test_threads_of_a_process_share_a_gate(sim, ddf, caplog):
    """
    There is nothing to divide, and the limits of `GLOBAL_LIMITER` stay as they were.
    """
    GLOBAL_LIMITER.rate_config["client|request", "openai/other"] = "7 per second"
    try:
        asked = ddf.llm.generate("{t}", max_requests_per_minute=6_000)
        with dask.config.set(scheduler="threads", num_workers=3):
            assert asked.compute().notna().sum() == 6
        assert dict(GLOBAL_LIMITER.rate_config) == {
            ("client|request", "openai/other"): "7 per second"
        }
    finally:
        del GLOBAL_LIMITER.rate_config["client|request", "openai/other"]
    assert "each of" not in caplog.text


def test_a_budget_is_divided_among_the_partitions(sim, ddf):
    """
    Together they cannot pass it.
    """
    llmnb.set_price("openai/dear", 1_000_000.0, 1_000_000.0)

    asked = ddf.llm.generate("{t}", model="openai/dear", budget_usd=3e-6, on_error="column")
    answers = asked.compute()

    assert len(sim.ledger.received) == 0
    assert answers["response_error"].notna().sum() == 6


def test_progress_is_a_single_display_for_all_partitions(sim, ddf, capsys):
    """
    Its last line is the sum.
    """
    ddf.llm.generate("{t}", progress=True).compute()
    dask_watching.wait(10)

    assert capsys.readouterr().err.count("launched 6, completed 6") == 1


def test_empty_partitions_ask_nothing(sim, ddf):
    """
    They have the form of the others.
    """
    answers = ddf[ddf["n"] > 5].llm.generate("{t}", into="said").compute()

    assert answers["said"].tolist() == ["> g"]
    assert answers["said"].dtype == "string"


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_an_interrupt_ends_the_compute(monkeypatch, scheduler):
    """
    Raised on the main thread it stops what other threads do, and the answers are kept.
    """
    table = dd.from_pandas(pd.DataFrame({"t": [f"row {n}" for n in range(300)]}), npartitions=3)

    def interrupt(_request):
        if sim.ledger.totals().received == 10:
            # To the main thread, as the terminal's reaches it, though it sleeps.
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    with SimulatedProvider(faults=interrupt, latency=0.05) as sim:
        monkeypatch.setenv("OPENAI_BASE_URL", sim.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        asked = table.llm.generate("{t}", model="openai/m", max_concurrent_requests=2)
        with dask.config.set(scheduler=scheduler), pytest.raises(KeyboardInterrupt):
            asked.compute()
        until(lambda: not dask_worker._runs)
        assert len(sim.ledger.received) < 100
        assert asked.partitions[0].compute().notna().all()
        assert max(counts(sim.ledger).values()) == 1


def until(is_met):
    """Look again and again until something is so."""
    end = time.monotonic() + 30
    while not is_met():
        assert time.monotonic() < end
        threading.Event().wait(0.02)
