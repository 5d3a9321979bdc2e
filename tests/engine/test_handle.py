"""Promises that hold for every run, whatever carries it out."""

from __future__ import annotations

import inspect

import pandas as pd
import pytest
from asking import ask, questions

import llmnb
from llmnb import AsyncLLM
from llmnb.batches.run import BatchRun
from llmnb.embeddings.run import EmbeddingRun
from llmnb.engine.handle import RunHandle
from llmnb.engine.run import Run
from llmnb.engine.status import StatusSnapshot
from llmnb.frames.dask_watching import ClusterRun
from llmnb.frames.run import TableRun
from llmnb.testing import faults

KINDS = [Run, BatchRun, EmbeddingRun, TableRun, ClusterRun]


@pytest.mark.parametrize("kind", KINDS)
def test_every_run_takes_the_same_arguments(kind):
    """
    What one run is told in a call, any other can be told in the same call.
    """
    methods = [name for name, _ in inspect.getmembers(RunHandle, inspect.isfunction)]
    public = [name for name in methods if not name.startswith("_")]

    for name in public:
        own = inspect.signature(getattr(kind, name)).parameters
        promised = inspect.signature(getattr(RunHandle, name)).parameters
        assert list(own) == list(promised), name


def test_the_last_run_of_a_table_is_the_run_that_start_returned(provider, monkeypatch):
    """
    Its partial result is a column, as that of the run in the person's hands.
    """
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
    run = pd.DataFrame({"text": ["a", "b"]}).llm.start("text", model="openai/m")
    run.wait(30)

    assert llmnb.last_run() is run
    assert isinstance(llmnb.last_run().partial(), pd.Series)


def test_the_last_run_of_requests_is_the_run_that_start_returned(provider):
    """
    Also of a list of requests, which no other run stands around.
    """
    llm = AsyncLLM(api_provider="openai", model="m", api_key="k", url=provider.base_url)
    run = llm.start(questions(2))
    run.wait(30)

    assert llmnb.last_run() is run


def test_the_last_run_of_texts_is_what_embeds_them(provider, monkeypatch):
    """
    Not one of the runs over batches of texts that it is made of.
    """
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
    pd.DataFrame({"text": ["a", "b"]}).llm.embed("text", model="openai/text-embedding-3-small")

    assert isinstance(llmnb.last_run(), EmbeddingRun)
    assert llmnb.last_run().status().total == 2


def test_a_run_and_its_status_are_a_line_each(provider):
    """
    Short enough to be read, with how far it is and its project.
    """
    run = ask(provider, questions(3), project_name="Reviews")
    run.wait(30)

    for shown in (repr(run), repr(run.status())):
        assert "\n" not in shown
        assert len(shown) <= 200
        assert "3 of 3 rows finished" in shown
    assert "'Reviews'" in repr(run)
    assert isinstance(run.status(), StatusSnapshot)


def test_rows_that_a_retry_is_still_asking_are_left_to_it(provider):
    """
    A second retry returns the first, and nothing is sent twice.
    """
    provider.set_faults(lambda request: faults.status(400))
    run = ask(provider, questions(3))
    run.wait(30)
    provider.set_faults(lambda request: None)
    provider.hold()
    first = run.retry_failed()
    second = run.retry_failed()
    provider.release()
    first.wait(30)

    assert second is first
    assert len(provider.ledger.received) == 6


def test_the_counts_of_a_run_are_those_of_its_status(provider):
    """
    Of the engine's run, which reads them alone, and of a table's, which takes them from its status.
    """
    run = ask(provider, questions(3))
    run.result(60)
    table = pd.DataFrame({"text": ["a", "b"]})
    asked = llmnb.LLM(url=provider.base_url, api_key="k", model="m")
    of_table = table.llm.start("Say {text}.", model=asked)
    of_table.result(60)

    assert run.counts == run.status().counts
    assert run.counts.num_rows_done == 3
    assert of_table.counts == of_table.status().counts
