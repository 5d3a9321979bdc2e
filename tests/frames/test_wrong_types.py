"""Promises to whoever gives a verb a thing of a wrong kind: a sentence, and nothing sent."""

from __future__ import annotations

import dask.dataframe as dd
import numpy as np
import pandas as pd
import polars as pl
import pytest

import llmnb
from llmnb.errors import ConfigurationError, InputError

TABLE = pd.DataFrame({"text": ["a", "b"]})


@pytest.mark.parametrize("model", [1, 1.5, object(), ["openai/a", 1]])
def test_a_model_that_is_none_is_refused_in_a_sentence(model):
    """
    Whatever was given in place of a name.
    """
    with pytest.raises(ConfigurationError, match="A model is a text, an object such as LLM"):
        TABLE.llm.generate("{text}", model=model, progress=False)


@pytest.mark.parametrize("given", [{"model": 1}, {"url": 1}, {"url": b"http://127.0.0.1"}])
def test_an_llm_takes_texts_only(given):
    """
    The sentence names what is wrong.
    """
    with pytest.raises(ConfigurationError, match=f"{next(iter(given))} is a text, not .*Nothing"):
        llmnb.LLM(**given)


@pytest.mark.parametrize("url", [7, b"http://127.0.0.1", float("nan"), ["x"]])
def test_an_address_of_a_client_is_a_text(url):
    """
    The sentence names what is wrong.
    """
    with pytest.raises(ConfigurationError, match=r"url is a text, not .*Nothing was sent"):
        llmnb.AsyncLLM(model="openai/m", api_key="k", url=url).generate([{"prompt": "Hi"}])


@pytest.mark.parametrize("labels", [5, None, 1.5])
def test_labels_that_are_no_list_are_refused_in_a_sentence(labels):
    """
    Nothing is sent.
    """
    with pytest.raises(ConfigurationError, match=r"labels is a list .*Nothing was sent"):
        TABLE.llm.classify("{text}", labels, model="openai/m", progress=False)


@pytest.mark.parametrize("rows", [-1, 2.5, "3", True])
def test_a_preview_of_no_number_of_rows_is_refused_in_a_sentence(rows):
    """
    A negative number counts nothing from the end.
    """
    with pytest.raises(ConfigurationError, match=r"n is the number of rows: .*Nothing was sent"):
        TABLE.llm.preview("{text}", n=rows, model="openai/m", progress=False)


def test_a_system_message_that_is_no_text_is_refused_in_a_sentence():
    """
    By every verb, also where instructions of ours follow it.
    """
    for ask in (
        lambda **options: TABLE.llm.generate("{text}", **options),
        lambda **options: TABLE.llm.classify("text", ["a", "b"], **options),
    ):
        with pytest.raises(ConfigurationError, match=r"system is .*: a text, not 5"):
            ask(system=5, model="openai/m", progress=False)


def test_a_vector_with_a_gap_is_near_to_nothing():
    """
    It is refused, instead of rows whose likeness is missing.
    """
    vectors = pd.Series([np.array([1.0, 0.0])])
    with pytest.raises(InputError, match="finite numbers"):
        vectors.llm.nearest([np.nan, 0.0])


@pytest.mark.parametrize(
    "table",
    [
        TABLE,
        pl.DataFrame({"text": ["a"]}),
        pl.LazyFrame({"text": ["a"]}),
        dd.from_pandas(TABLE, npartitions=1),
    ],
    ids=["pandas", "polars", "lazy", "dask"],
)
def test_a_column_in_the_place_of_its_name_is_told_to_be_named(table):
    """
    Whichever verb and library; a list of names is no name either.
    """
    itself = pl.col("text") if isinstance(table, pl.LazyFrame) else table["text"]
    for given in (itself, ["text"]):
        for ask in (
            lambda column: table.llm.generate(column, model="sim/m"),
            lambda column: table.llm.classify(column, ["a", "b"], model="sim/m"),
            lambda column: table.llm.extract(column, int, model="sim/m"),
            lambda column: table.llm.embed(column, model="sim/m"),
            lambda column: table.llm.generate("{text}", images=column, model="sim/m"),
        ):
            with pytest.raises(
                InputError, match=r"A column is given by its name.* not as .*Nothin"
            ):
                ask(given)
    if hasattr(table.llm, "judge"):
        with pytest.raises(InputError, match="by its name, such as 'text', not as Series"):
            table.llm.judge("kind", "text", table["text"])


def test_nothing_to_extract_is_refused_in_a_sentence():
    """
    A schema that is None asks for nothing.
    """
    with pytest.raises(ConfigurationError, match=r"extract\(\) needs a schema .*Nothing was sent"):
        TABLE.llm.extract("text", None, model="sim/m")


def test_a_verb_that_a_lazy_table_lacks_is_told_to_be_of_frames():
    """
    With what makes one of it; of names that no table has, the nearest is told.
    """
    lazy, ddf = pl.LazyFrame({"text": ["a"]}), dd.from_pandas(TABLE, npartitions=1)

    for accessor, way in (
        (lazy.llm, "collect"),
        (ddf.llm, "compute"),
        (TABLE["text"].llm, "frame"),
    ):
        with pytest.raises(
            AttributeError, match=f"has no 'judge'. A frame .*has it: .*{way}.* first"
        ):
            accessor.judge("kind", "text")
    with pytest.raises(AttributeError, match=r"has no 'genrate'\. Did you mean generate"):
        lazy.llm.genrate
