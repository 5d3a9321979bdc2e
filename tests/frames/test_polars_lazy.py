"""Promises of `.llm` of lazy frames and expressions: asked when collected, once, in one run."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import pytest
from saying import saying

from llmnb import errors

SIZE = 8
EMBEDDING = {"model": "openai/text-embedding-3-small", "params": {"dimensions": SIZE}}


@pytest.fixture
def lazy():
    return pl.LazyFrame({"t": ["a", None, "c"], "n": [1, 2, 3]})


@dataclass
class Word:
    text: str
    size: int


def test_nothing_is_asked_before_it_is_collected(sim, lazy):
    """
    The schema is known all the same.
    """
    asked = lazy.llm.generate("{t}{n}", into="said")

    assert asked.collect_schema()["said"] == pl.String
    assert len(sim.ledger.received) == 0
    assert asked.collect()["said"].to_list() == ["> a1", "> 2", "> c3"]


def test_without_into_the_answers_alone(sim, lazy):
    """
    One column, and the other columns are never read.
    """
    assert lazy.llm.generate("t").collect().to_dict(as_series=False) == {
        "response": ["> a", None, "> c"]
    }


def test_what_nobody_collects_is_not_bought(sim, lazy):
    """
    A column of answers that is not among those collected costs nothing.
    """
    assert lazy.llm.generate("t", into="said").select("n").collect().height == 3
    assert lazy.llm.generate("t", into="x", on_error="column").select("n").collect().height == 3
    assert len(sim.ledger.received) == 0


def test_rows_filtered_before_are_not_asked(sim, lazy):
    """
    And what is filtered by the answers is filtered after.
    """
    lazy_answers = lazy.filter(pl.col("n") > 2).llm.generate("t", into="said")
    assert lazy_answers.filter(pl.col("said") == "> c").collect().height == 1
    assert len(sim.ledger.received) == 1


def test_a_wrong_prompt_or_option_is_said_at_once(sim, lazy):
    """
    Not when it is collected.
    """
    with pytest.raises(errors.UnknownField, match="'t', 'n'"):
        lazy.llm.generate("{text}")
    with pytest.raises(TypeError, match="max_rpm"):
        lazy.llm.generate("t", max_rpm=3)
    with pytest.raises(errors.ConfigurationError):
        pl.col("t").llm.generate(on_error="ignore")
    with pytest.raises(errors.UnknownField):
        lazy.llm.embed("text", **EMBEDDING)
    with pytest.raises(TypeError, match="max_rpm"):
        pl.col("t").llm.embed(max_rpm=3)


@pytest.mark.parametrize("examples", ["mood", pl.Series(["kind", None, None])])
def test_labels_of_rows_are_examples_to_the_others(sim, asked, examples):
    """
    A column's name makes that column one of those that are read.
    """
    frame = pl.LazyFrame({"t": ["a", "b", "c"], "mood": ["kind", None, None], "n": [1, 2, 3]})

    assert frame.llm.generate("t", examples=examples).collect()["response"].len() == 3
    frame.llm.start("t", examples=examples).result(timeout=60)

    turns = {tuple(message["content"] for message in body["messages"]) for body in asked}
    assert turns == {("a",), ("a", "kind", "b"), ("a", "kind", "c")}


def test_all_rows_are_a_single_run(sim):
    """
    However Polars cuts its work: so limits and budgets are those of one run.
    """
    import llmnb

    frame = pl.concat([pl.DataFrame({"t": [f"x{n}"]}) for n in range(20)], rechunk=False)

    frame.lazy().llm.generate("t", into="said").collect()

    assert llmnb.last_run().status().total == 20


def test_several_columns_come_from_a_single_question(sim, lazy):
    """
    Each row is asked once, whatever number of fields an answer has.
    """
    with saying('{"text": "x", "size": 1}') as (model, provider):
        answers = lazy.llm.extract("t", Word, into="w", model=model).collect()

    assert answers.columns == ["t", "n", "w_text", "w_size"]
    assert answers["w_size"].to_list() == [1, None, 1]
    assert len(provider.ledger.received) == 2
    details = lazy.llm.generate("t", details=True)
    assert details.collect_schema() == details.collect().schema


def test_labels_and_vectors(sim, lazy):
    """
    Typed before anything is asked.
    """
    with saying("no") as (model, _):
        labels = lazy.llm.classify("t", ["yes", "no"], into="label", model=model)
        assert labels.collect_schema()["label"] == pl.Enum(["yes", "no"])
        assert labels.collect()["label"].to_list() == ["no", None, "no"]
    vectors = lazy.llm.embed("t", into="v", **EMBEDDING)

    assert vectors.collect_schema()["v"] == pl.List(pl.Float32)
    assert [len(vector or ()) for vector in vectors.collect()["v"].to_list()] == [SIZE, 0, SIZE]
    answers = lazy.llm.embed("t", on_error="column", **EMBEDDING).collect()
    assert answers.columns == ["embedding", "embedding_error"]


def test_failures_are_reported_as_in_a_frame(sim):
    """
    A warning, or an error with what was answered.
    """
    lazy = pl.LazyFrame({"t": ["a", "fail"]})

    with pytest.warns(UserWarning, match="1 of 2 rows failed"):
        lazy.llm.generate("t").collect()
    with pytest.raises(errors.RowsFailed) as caught:
        lazy.llm.generate("t", on_error="raise").collect()
    assert caught.value.partial.to_list() == ["> a", None]


def test_plan_preview_start_and_compare_collect_what_they_need(sim, lazy, tmp_path):
    """
    A plan of a file reads the columns of its prompt and sends nothing.
    """
    lazy.collect().write_parquet(tmp_path / "t.parquet")
    lazy = pl.scan_parquet(tmp_path / "t.parquet")

    assert lazy.llm.plan("t").rows == 3
    assert len(sim.ledger.received) == 0
    assert lazy.llm.preview("t", n=1).rows() == [("a", "> a")]
    assert lazy.llm.start("t").result(30).to_list() == ["> a", None, "> c"]
    assert lazy.llm.start("t", into="x").result(30).columns == ["t", "n", "x"]
    assert lazy.llm.compare("t", ["openai/m", "openai/k"]).answers.height == 3
    lazy.llm.generate("t", into="x").sink_parquet(tmp_path / "out.parquet")
    assert pl.read_parquet(tmp_path / "out.parquet")["x"].to_list() == ["> a", None, "> c"]


async def test_awaited_twin(sim, lazy):
    """
    On the caller's own loop.
    """
    assert (await lazy.llm.agenerate("t")).to_list() == ["> a", None, "> c"]


def test_expressions_ask_about_values_and_structs(sim, lazy):
    """
    `{}` is the value; a struct's fields are known by their names.
    """
    frame = lazy.collect()

    answers = frame.with_columns(
        pl.col("t").llm.generate("Say {}"),
        pl.struct("t", "n").llm.generate("{t}:{n}", into="both"),
        pl.col("n").llm.generate(into="bare"),
    )

    assert answers["response"].to_list() == ["> Say a", None, "> Say c"]
    assert answers["both"].to_list() == ["> a:1", "> :2", "> c:3"]
    assert answers["bare"].to_list() == ["> 1", "> 2", "> 3"]
    with pytest.raises(errors.UnknownField):
        frame.select(pl.struct("t", "n").llm.generate("{what}"))


def test_expressions_give_structs_labels_and_vectors(sim, lazy):
    """
    In types that are known before.
    """
    frame = lazy.collect()
    with saying('{"text": "x", "size": 1}') as (model, _):
        answers = frame.select(pl.col("t").llm.extract(Word, into="w", model=model))
    assert answers["w"].struct.field("w_size").to_list() == [1, None, 1]

    with saying("yes") as (model, _):
        answers = frame.select(pl.col("n").llm.classify(["yes", "no"], model=model))
    assert answers["response"].to_list() == ["yes"] * 3

    answers = frame.select(pl.col("t").llm.embed(into="v", **EMBEDDING))
    assert [len(vector or ()) for vector in answers["v"].to_list()] == [SIZE, 0, SIZE]


def test_a_number_that_no_column_holds_is_null_and_reported(lazy):
    """
    A lazy frame's types stand before the answers: what does not fit is said.
    """
    with (
        saying(str(2**80)) as (model, _),
        pytest.warns(UserWarning, match="2 answers do not fit"),
    ):
        table = lazy.llm.generate("t", schema=int, into="big", model=model).collect()

    assert table["big"].to_list() == [None, None, None]
