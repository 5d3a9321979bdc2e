"""Promises about the first awaited call: what takes its time runs beside the caller's loop."""

from __future__ import annotations

import asyncio
import threading

import pandas as pd
import polars as pl
import pytest

import llmnb.frames.polars  # registers `pl.DataFrame.llm`
from llmnb import AsyncLLM, last_run
from llmnb.frames import polars_asking
from llmnb.frames.run import TableRun
from llmnb.running import start as starting
from llmnb.store import project

FRAME = pd.DataFrame({"t": ["a", "b"]})
SCHEMA = {"type": "object", "properties": {"x": {"type": "string"}}}
VERBS = {
    "generate": lambda: FRAME.llm.agenerate("{t}", progress=False),
    "preview": lambda: FRAME.llm.apreview("{t}", progress=False),
    "extract": lambda: FRAME.llm.aextract("t", SCHEMA, progress=False, on_error="column"),
    "classify": lambda: FRAME.llm.aclassify("t", ["a", "b"], progress=False, on_error="column"),
    "compare": lambda: FRAME.llm.acompare("{t}", ["openai/m", "openai/o"], progress=False),
    "embed": lambda: FRAME.llm.aembed("t", model="openai/e", progress=False),
    "a series": lambda: FRAME["t"].llm.agenerate(progress=False),
    "a series' vectors": lambda: FRAME["t"].llm.aembed(model="openai/e", progress=False),
    "polars": lambda: pl.DataFrame({"t": ["a"]}).llm.agenerate("{t}", progress=False),
    "lazy polars": lambda: pl.LazyFrame({"t": ["a"]}).llm.agenerate("{t}", progress=False),
    "requests": lambda: AsyncLLM(model="openai/m").agenerate([{"prompt": "a"}], progress=False),
}


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
async def test_the_callers_loop_goes_on_while_the_store_is_opened(sim, monkeypatch, verb):
    """
    Opening the store is held until the caller's loop has done something else: it does.
    """
    ours, threads = threading.get_ident(), []
    reached, opened = threading.Event(), threading.Event()
    loop, real = asyncio.get_running_loop(), project.open_project

    def slow(*given, **options):
        threads.append(threading.get_ident())
        reached.set()
        assert threading.get_ident() == ours or opened.wait(30)
        return real(*given, **options)

    for module in (starting, llmnb.embeddings.run):
        monkeypatch.setattr(module, "open_project", slow)
    answers = asyncio.ensure_future(verb())
    await loop.run_in_executor(None, reached.wait, 30)
    loop.call_soon(opened.set)
    await answers

    assert threads
    assert ours not in threads


async def test_a_lazy_frame_is_collected_beside_the_callers_loop(sim, monkeypatch):
    """
    Collecting may read files for minutes.
    """
    threads, real = [], polars_asking.collected

    def collected(*given):
        threads.append(threading.get_ident())
        return real(*given)

    monkeypatch.setattr(polars_asking, "collected", collected)
    await VERBS["lazy polars"]()

    assert threads
    assert threading.get_ident() not in threads


async def test_whoever_leaves_while_a_run_begins_starts_nothing(sim, asked, monkeypatch):
    """
    A caller that is cancelled meanwhile leaves no run behind that goes on buying.
    """
    reached, opened, real = threading.Event(), threading.Event(), project.open_project

    def slow(*given, **options):
        reached.set()
        assert opened.wait(30)
        return real(*given, **options)

    def stop(run):
        real_stop(run)
        begun.set()

    begun, real_stop = threading.Event(), TableRun.stop
    monkeypatch.setattr(starting, "open_project", slow)
    monkeypatch.setattr(TableRun, "stop", stop)
    answers = asyncio.ensure_future(
        pd.Series([f"left {n}" for n in range(200)]).llm.agenerate(
            progress=False, max_concurrent_requests=1
        )
    )
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, reached.wait, 30)
    answers.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answers
    opened.set()
    await asyncio.to_thread(begun.wait, 30)
    run = last_run()
    await asyncio.to_thread(run.wait, 30)

    assert run.status().state == "stopped"
    assert len(asked) < 200


async def test_a_frame_is_asked_as_it_was_when_it_was_asked(sim, asked, monkeypatch):
    """
    What the caller's loop does to the frame meanwhile changes no question.
    """
    reached, opened, real = threading.Event(), threading.Event(), llmnb.frames.verbs.generate

    def slow(*given):
        reached.set()
        assert opened.wait(30)
        return real(*given)

    monkeypatch.setattr(llmnb.frames.verbs, "generate", slow)
    frame = pd.DataFrame({"t": ["as it was"]})
    answers = asyncio.ensure_future(frame.llm.agenerate("{t}", progress=False))
    await asyncio.get_running_loop().run_in_executor(None, reached.wait, 30)
    frame["t"] = ["changed"]
    opened.set()

    assert (await answers).tolist() == ["> as it was"]
