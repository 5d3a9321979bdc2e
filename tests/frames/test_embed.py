"""Promises of `embed` and `nearest`: a vector in each row's place, and the rows near a question."""

from __future__ import annotations

import asyncio

import numpy as np
import pandas as pd
import pytest
from embedding import Asked, right

import llmnb
from llmnb import SparseEmbeddingModel, progress
from llmnb.errors import ConfigurationError, InputError, RowsFailed, UnknownField
from llmnb.testing import SimulatedProvider
from llmnb.wire.openai_embeddings import numbers

SMALL = {"params": {"dimensions": 8}, "progress": False}


@pytest.fixture
def asked():
    return Asked()


@pytest.fixture
def sim(monkeypatch, asked):
    with SimulatedProvider(faults=asked, latency=0) as sim:
        monkeypatch.setenv("OPENAI_BASE_URL", sim.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        yield sim


@pytest.fixture
def reported():
    """Have a display report how every run ends, as a notebook's card does; return which it was."""
    kinds = []

    class Display:
        def __init__(self, run):
            self.run = run

        def draw(self, status):
            pass

        def end(self, status):
            kinds.append(type(self.run).__name__)
            self.run.about.is_reported = True

    progress.use_display(Display)
    yield kinds
    progress.use_display(None)


@pytest.fixture
def frame():
    return pd.DataFrame(
        {"text": ["a red fox", None, "", "a blue whale", "a red car"], "n": range(5)},
        index=[3, 3, 1, 0, 9],
    )


def same(cell, text):
    return cell.dtype == np.float32 and cell.tolist() == numbers(right(text))


def test_each_row_gets_its_own_vector(sim, asked, frame):
    """
    n rows, n cells, the frame's own index with its labels twice; missing stays missing.
    """
    answers = frame.llm.embed("text", **SMALL)

    assert answers.name == "embedding"
    assert answers.index.equals(frame.index)
    assert same(answers.iloc[0], "a red fox")
    assert answers.iloc[1] is pd.NA
    assert answers.iloc[2].tolist() == [0.0] * 8
    assert same(answers.iloc[4], "a red car")
    assert asked == [["a red fox", "a blue whale", "a red car"]]
    assert "embedding" not in frame


def test_into_gives_a_copy_with_the_column(sim, frame):
    """
    The frame itself is never changed.
    """
    answers = frame.llm.embed("text", into="vector", **SMALL)

    assert list(answers.columns) == ["text", "n", "vector"]
    assert list(frame.columns) == ["text", "n"]
    assert same(answers["vector"].iloc[3], "a blue whale")


def test_it_can_be_awaited(sim, frame):
    """
    On whatever loop runs.
    """
    answers = asyncio.run(frame.llm.aembed("text", **SMALL))
    again = asyncio.run(frame["text"].llm.aembed(**SMALL))

    assert same(answers.iloc[0], "a red fox")
    assert same(again.iloc[0], "a red fox")


def test_parquet_gives_back_what_was_written(sim, frame, tmp_path):
    """
    Missing cells and 32-bit numbers included, and the search goes on with it.
    """
    made = frame.llm.embed("text", into="vector", **SMALL)
    made.to_parquet(tmp_path / "vectors.parquet")
    back = pd.read_parquet(tmp_path / "vectors.parquet")

    assert back["vector"].iloc[1] is None
    assert same(back["vector"].iloc[0], "a red fox")
    assert back.llm.nearest("red fox", "vector", k=1, params={"dimensions": 8}).index.tolist() == [
        3
    ]


def test_what_is_kept_is_not_bought_again(sim, asked, frame):
    """
    Neither by a second call nor for rows that come to it.
    """
    frame.llm.embed("text", **SMALL)
    more = pd.concat([frame, pd.DataFrame({"text": ["new"]})])
    more.llm.embed("text", batch_size=2, **SMALL)

    assert asked.texts == ["a red fox", "a blue whale", "a red car", "new"]


def test_rows_that_fail_are_missing_with_a_single_warning(sim):
    """
    It counts them and groups the causes; the others have their vectors.
    """
    frame = pd.DataFrame({"text": ["a", "fail", "b"]})
    with pytest.warns(UserWarning, match="1 of 3 rows failed and are NA"):
        answers = frame.llm.embed("text", **SMALL)
    assert answers.isna().tolist() == [False, True, False]

    answers = frame.llm.embed("text", on_error="column", **SMALL)
    assert list(answers.columns) == ["embedding", "embedding_error"]
    assert "HTTP 400" in answers["embedding_error"][1]
    assert answers["embedding_error"].isna().tolist() == [True, False, True]

    with pytest.raises(RowsFailed) as raised:
        frame.llm.embed("text", on_error="raise", **SMALL)
    assert same(raised.value.partial[2], "b")


def test_no_warning_repeats_what_a_display_has_reported(sim, reported):
    """
    As of rows that were asked: a notebook's receipt names the texts that failed.
    """
    frame = pd.DataFrame({"text": ["a", "fail", "b"]})

    assert frame.llm.embed("text", **{**SMALL, "progress": True}).isna().sum() == 1
    assert reported == ["EmbeddingRun"]


def test_what_is_too_long_is_cut_with_a_single_warning(sim):
    """
    It names the first row.
    """
    frame = pd.DataFrame({"text": ["short", "word " * 100]})
    with pytest.warns(UserWarning, match="1 of 2 texts are longer .* text 1 with"):
        answers = frame.llm.embed("text", max_tokens=20, **SMALL)
    assert answers.notna().all()


def test_models_as_objects(sim, frame):
    """
    Any embedding model will do, also one that sends nothing.
    """
    sparse = frame.llm.embed("text", model=SparseEmbeddingModel(ndim=4))
    assert [len(cell) for cell in sparse.dropna()] == [4] * 4
    assert sparse.isna().tolist() == [False, True, False, False, False]

    http = llmnb.LiteLLMEmbeddingModel(config={"kwargs": {"dimensions": 8}})
    assert same(frame.llm.embed("text", model=http, progress=False).iloc[0], "a red fox")
    with pytest.raises(ConfigurationError, match="config of the model"):
        frame.llm.embed("text", model=http, params={"dimensions": 4})


def test_cells_that_are_no_text_are_written_out(sim, asked):
    """
    Numbers, lists and dictionaries read as they do in a prompt.
    """
    pd.DataFrame({"x": [1.5, [1, 2], {"a": None}]}, dtype=object).llm.embed("x", **SMALL)

    assert asked.texts == ["1.5", "[1,2]", '{"a":null}'] or len(asked.texts) == 3


def test_wrong_keywords_are_refused_before_anything_is_sent(sim, asked, frame):
    """
    A column, a keyword, a value.
    """
    with pytest.raises(UnknownField, match="no column 'tekst'"):
        frame.llm.embed("tekst")
    with pytest.raises(TypeError, match="no keyword 'rpm'"):
        frame.llm.embed("text", rpm=3)
    with pytest.raises(TypeError, match=r"Did you mean into\?"):
        frame.llm.nearest("text", "kind", intoo="near")
    with pytest.raises(ConfigurationError, match="on_error"):
        frame.llm.embed("text", on_error="ignore")
    with pytest.raises(ConfigurationError, match="at least 1"):
        frame.llm.embed("text", batch_size=0)
    assert asked == []


def test_an_empty_frame_gives_an_empty_column(sim, asked):
    """
    And nothing is sent.
    """
    assert len(pd.DataFrame({"text": []}).llm.embed("text", **SMALL)) == 0
    assert asked == []


def test_bars_count_texts(sim, frame, capsys):
    """
    Where no bar can be drawn a line says how it ended.
    """
    frame.llm.embed("text", progress=True)

    assert "completed 4 of 4" in capsys.readouterr().err


# --------------------------------------------------------------------------- nearest


def test_the_nearest_rows_come_first(sim, frame):
    """
    With how near they are; rows without a vector are not among them.
    """
    made = frame.llm.embed("text", into="vector", progress=False)
    answers = made.llm.nearest("red fox", "vector", k=3)

    assert answers["text"].tolist()[:2] == ["a red fox", "a red car"]
    assert answers["similarity"].is_monotonic_decreasing
    assert answers["similarity"].iloc[0] == pytest.approx(0.81, abs=0.05)
    assert "similarity" not in made
    assert len(made.llm.nearest("red fox", "vector", k=99)) == 4


def test_a_question_may_be_a_vector(sim, asked, frame):
    """
    Nothing is sent for it; a row is nearest to itself.
    """
    made = frame.llm.embed("text", into="vector", **SMALL)
    before = len(asked)
    answers = made.llm.nearest(made["vector"].iloc[4], "vector", k=1, into="near")

    assert answers["n"].tolist() == [4]
    assert answers["near"].tolist() == [pytest.approx(1.0)]
    assert len(asked) == before


def test_a_series_of_vectors_and_the_awaited_twin(sim, frame):
    """
    Similarities by label, and the same rows awaited.
    """
    made = frame.llm.embed("text", into="vector", **SMALL)
    near = made["vector"].llm.nearest("a red car", k=2, params={"dimensions": 8})
    rows = asyncio.run(made.llm.anearest("a red car", "vector", k=2, params={"dimensions": 8}))

    assert near.index[0] == 9
    assert near.tolist() == rows["similarity"].tolist()


def test_questions_that_cannot_be_answered(sim, frame):
    """
    Another model's vectors, a column of texts, no rows at all.
    """
    made = frame.llm.embed("text", into="vector", **SMALL)
    with pytest.raises(InputError, match="1,536 numbers and the column's have 8"):
        made.llm.nearest("fox", "vector")
    with pytest.raises(InputError, match="does not hold vectors"):
        made.llm.nearest([0.0] * 8, "text")
    with pytest.raises(InputError, match="at least 1"):
        made.llm.nearest([0.0] * 8, "vector", k=0)
    assert made.iloc[:0].llm.nearest([0.0] * 8, "vector").empty
    assert made.llm.nearest([0.0] * 8, "vector", k=1)["similarity"].tolist() == [0.0]
