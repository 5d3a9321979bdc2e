"""Promises of `quotes=True`: quotes are asked for, looked up, marked and counted."""

from __future__ import annotations

import asyncio
import json
from typing import TypedDict

import pandas as pd
import polars as pl
import pytest
from laboratory import Laboratory

import llmnb
from llmnb import LLM
from llmnb.errors import ConfigurationError
from llmnb.frames import verbs
from llmnb.notebook.run_part import entry_of, receipt_bundle

ROWS = 100


class Fruit(TypedDict):
    """What is bought, and how many."""

    name: str
    count: int | None


def is_invented(number: int) -> bool:
    """Whether the model makes up the quote of a row."""
    return number % 10 == 3


def answer(prompt: str) -> str:
    """Return the model's answer: in one row of ten it makes up the words about the fruit."""
    number = int(prompt.split("no. ")[1].split()[0])
    count = None if number % 4 == 0 else number
    return json.dumps(
        {
            "name_quote": "some KIND of pears" if is_invented(number) else "Please SEND “pears”",
            "name": "pear",
            "count_quote": count and f"no. {number}",
            "count": count,
        }
    )


@pytest.fixture(scope="module")
def sim():
    with Laboratory(reply=answer, latency=0) as sim:
        yield sim


@pytest.fixture
def model(sim):
    return LLM(url=sim.base_url, api_key="k", model="m")


@pytest.fixture
def frame():
    texts = [f"Order no. {number} of many: please\n  send 'pears'." for number in range(ROWS)]
    return pd.DataFrame({"text": texts}, index=range(500, 500 + ROWS))


EXPECTED = [not is_invented(number) for number in range(ROWS)]
COUNTED = [None if number % 4 == 0 else True for number in range(ROWS)]
COLUMNS = ["name", "name_quote", "name_supported", "count", "count_quote", "count_supported"]


def test_a_quote_that_is_made_up_is_marked_and_no_other(model, frame):
    """
    Beside each field stand its quote and whether it is in the cell; missing where the field is.
    """
    fruit = frame.llm.extract("text", Fruit, quotes=True, model=model)
    assert list(fruit.columns) == COLUMNS
    assert fruit.index.equals(frame.index)
    assert fruit["name_supported"].dtype == fruit["count_supported"].dtype == "boolean"
    assert fruit["name_supported"].tolist() == EXPECTED
    assert (
        fruit["count_supported"]
        .astype(object)
        .where(fruit["count_supported"].notna(), None)
        .tolist()
        == COUNTED
    )
    assert fruit["name_quote"].iloc[3] == "some KIND of pears"


def test_quotes_are_counted_in_the_receipt(model, frame):
    """
    Those that were found, and the fields whose quotes were not.
    """
    run = frame.llm.start("text", schema=Fruit, quotes=True, model=model)
    run.result(timeout=60)
    counted = "165 found, 10 not in the text (name 10)"
    assert run.notes() == {"Quotes": counted}
    receipt = receipt_bundle([entry_of(run, run.status())])
    assert counted in receipt["text/html"]
    plain = frame.llm.start("text", schema=Fruit, model=model)
    plain.stop()
    assert plain.notes() == {}


def test_every_kind_of_table_marks_the_same(model, frame):
    """
    Frames and series of pandas and Polars, lazy ones, Dask, what is awaited and what is started.
    """
    dd = pytest.importorskip("dask.dataframe")
    options = {"quotes": True, "model": model}
    table = pl.from_pandas(frame)
    llmnb.register_accessor("llm")
    asked = {
        "series": frame["text"].llm.extract(Fruit, **options),
        "awaited": asyncio.run(frame.llm.aextract("text", Fruit, **options)),
        "started": frame.llm.start("text", schema=Fruit, **options).result(timeout=60),
        "polars": table.llm.extract("text", Fruit, **options),
        "lazy": table.lazy().llm.extract("text", Fruit, **options).collect(),
        "expression": table.select(pl.col("text").llm.extract(Fruit, **options).alias("it")).unnest(
            "it"
        ),
    }
    with_key = {"OPENAI_API_KEY": "k"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in with_key.items():
            patch.setenv(name, value)
        nameless = LLM(url=model.url, model="m")
        asked["dask"] = (
            dd.from_pandas(frame, npartitions=3)
            .llm.extract("text", Fruit, quotes=True, model=nameless)
            .compute(scheduler="synchronous")
        )
    for kind, fruit in asked.items():
        assert list(fruit.columns) == COLUMNS, kind
        assert fruit["name_supported"].to_list() == EXPECTED, kind


def test_columns_are_called_after_into_and_a_single_value_has_three(model, frame):
    """
    `<into>_<field>_quote`; of labels `<into>`, `<into>_quote`, `<into>_supported`.
    """
    whole = frame.llm.extract("text", Fruit, quotes=True, into="f", model=model)
    assert list(whole.columns) == ["text", *(f"f_{name}" for name in COLUMNS)]
    with Laboratory(reply='{"value_quote": "no. 7 of", "value": "order"}', latency=0) as sim:
        model = LLM(url=sim.base_url, api_key="k", model="m")
        moods = frame.llm.classify("text", ["order", "thanks"], quotes=True, into="m", model=model)
        bare = frame["text"].llm.classify(["order", "thanks"], quotes=True, model=model)
    assert list(moods.columns) == ["text", "m", "m_quote", "m_supported"]
    assert list(bare.columns) == ["response", "response_quote", "response_supported"]
    assert list(moods["m"].cat.categories) == ["order", "thanks"]
    assert moods.index[moods["m_supported"]].tolist() == [507]


def test_quotes_are_looked_up_in_the_cells_that_the_prompt_names():
    """
    In each for itself, those of the system message too; not in the prompt's own words.
    """
    frame = pd.DataFrame(
        {"title": ["Two pears", "None"], "body": ["for Ann", None], "other": ["seven", "seven"]}
    )
    quotes = iter(["two pears", "for Ann", "Buy this", "seven", "pears for", "None"] * 2)
    with Laboratory(
        reply=lambda _: json.dumps({"value": 2, "value_quote": next(quotes)}), latency=0
    ) as sim:
        model = LLM(url=sim.base_url, api_key="k", model="m")
        found = frame.head(1).llm.generate(
            "Buy this: {title}",
            system="To {body}",
            schema=int,
            quotes=True,
            n=6,
            model=model,
            max_concurrent_requests=1,
        )
    marks = dict(zip(found["response_quote"][0], found["response_supported"][0], strict=True))
    assert marks == {
        "two pears": True,
        "for Ann": True,
        "Buy this": False,
        "seven": False,
        "pears for": False,
        "None": False,
    }


def test_an_answer_without_quotes_does_for_none_with_them(sim, model, frame):
    """
    What is asked for differs, and so does the key.
    """
    keys = [
        verbs.extract(frame, "text", Fruit, {"model": model, "details": True, **more})
        .start()
        .result(timeout=60)["key"]
        for more in ({}, {"quotes": False}, {"quotes": True})
    ]
    assert keys[0].equals(keys[1])
    assert not set(keys[0]) & set(keys[2])


def test_a_row_with_a_picture_is_not_marked_for_what_may_stand_in_it(tmp_path, monkeypatch):
    """
    A quote that no text has may be in the picture: nobody knows.
    """
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    frame = pd.DataFrame({"text": ["two pears", "two pears"], "scan": ["a.png", None]})
    with Laboratory(reply='{"value": 2, "value_quote": "2 pears"}', latency=0) as sim:
        model = LLM(url=sim.base_url, api_key="k", model="m")
        found = frame.llm.extract("text", int, images="scan", quotes=True, model=model)
    assert found["response_supported"].isna().tolist() == [True, False]
    assert not found["response_supported"][1]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "goes with a schema"),
        ({"schema": Fruit, "messages": "text"}, "messages="),
        ({"schema": int, "quotes": "yes"}, "quotes is whether each field"),
    ],
)
def test_what_has_no_quotes_is_told_before_anything_is_sent(sim, model, frame, options, says):
    """
    A question without a schema, one without a prompt's cells, a value that is neither yes nor no.
    """
    prompt = None if "messages" in options else "text"
    with pytest.raises(ConfigurationError, match=says) as caught:
        frame.llm.generate(prompt, **{"quotes": True, "model": model, **options})
    assert "Nothing was sent" in str(caught.value)


def test_hostile_quotes_mark_their_row_and_harm_no_other():
    """
    A cell of a megabyte, a quote of a hundred kilobytes, text from right to left, no width at all.
    """
    texts = ["x" * 1_000_000 + " end", "short", "שלום עולם", "zero\u200bwidth", "<b>bold</b>"]
    quotes = ["x" * 1000 + " END", "y" * 100_000, "\u202eשלום\u202c", "zerowidth", "<script>"]
    answers = dict(zip(texts, quotes, strict=True))
    with Laboratory(
        reply=lambda prompt: json.dumps({"value": 1, "value_quote": answers[prompt]}), latency=0
    ) as sim:
        model = LLM(url=sim.base_url, api_key="k", model="m")
        found = pd.Series(texts).llm.extract(int, quotes=True, model=model)
    assert found["response_supported"].tolist() == [True, False, True, True, False]
