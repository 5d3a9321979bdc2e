"""Promises of `.llm` over Polars' frames and series: the contract of pandas' accessor."""

from __future__ import annotations

import datetime
import enum
from dataclasses import dataclass

import pandas as pd
import polars as pl
import pytest
from saying import saying

import llmnb
from llmnb import errors
from llmnb.frames import polars as accessors
from llmnb.testing.openai_embeddings import vector

SIZE = 8
EMBEDDING = {"model": "openai/text-embedding-3-small", "params": {"dimensions": SIZE}}


@pytest.fixture
def frame():
    return pl.DataFrame({"my text": ["a", "b", None], "n": [1, 2, 3]})


def test_a_column_is_asked_row_by_row(sim, frame):
    """
    n rows in, a series of n out, null where nothing was asked.
    """
    answers = frame.llm.generate("my text")

    assert answers.to_list() == ["> a", "> b", None]
    assert (answers.name, answers.dtype) == ("response", pl.String)


def test_a_template_a_column_into_and_the_frame_as_it_was(sim, frame):
    """
    Names are exact, spaces included; the frame itself is never changed.
    """
    filled = frame.llm.generate("{my text}{n}", into="said")

    assert filled.columns == ["my text", "n", "said"]
    assert filled["said"].to_list() == ["> a1", "> b2", "> 3"]
    assert frame.columns == ["my text", "n"]


def test_what_pandas_has_asked_is_kept_for_polars(sim, frame):
    """
    The same rows are the same requests: nothing is sent twice.
    """
    pd.DataFrame({"my text": ["a", "b", None], "n": [1, 2, 3]}).llm.generate("{my text} {n}")
    sent = len(sim.ledger.received)

    frame.llm.generate("{my text} {n}")

    assert len(sim.ledger.received) == sent == 3


def test_only_the_columns_of_the_prompt_are_read(sim, monkeypatch):
    """
    A column that nobody asks about is never made into Python's objects.
    """
    read = []
    own = pl.Series.to_list
    monkeypatch.setattr(pl.Series, "to_list", lambda one: (read.append(one.name), own(one))[1])
    frame = pl.DataFrame({name: ["x"] for name in "abcd"})

    frame.llm.generate("{b}", into="said")
    frame.llm.plan("{c}")

    assert read == ["b", "c"]


def test_cells_are_written_as_polars_writes_them(sim, asked):
    """
    Dates and numbers as text, lists and structs as JSON.
    """
    frame = pl.DataFrame(
        {
            "day": [datetime.date(2026, 1, 2)],
            "size": [1.5],
            "tags": [["x", "y"]],
            "more": [{"k": 1}],
            "none": [float("nan")],
        }
    )

    frame.llm.generate("{day} {size} {tags} {more} {none}|")

    assert asked[0]["messages"][0]["content"] == '2026-01-02 1.5 ["x","y"] {"k":1} |'


def test_series_are_asked_by_their_values(sim):
    """
    In a prompt `{}` is the value, and so is its name.
    """
    series = pl.Series("word", ["a", None])

    assert series.llm.generate().to_list() == ["> a", None]
    assert series.llm.generate("Say {}", into="x").name == "x"
    assert series.llm.generate("Say {word}").to_list() == ["> Say a", None]


def test_a_series_of_structs_knows_their_fields_by_name(sim):
    """
    `{}` is the whole struct, and so is the series' name unless a field has it.
    """
    series = pl.DataFrame({"t": ["a", None], "n": [1, 2]}).to_struct("both")

    assert series.llm.generate("{t}:{n}").to_list() == ["> a:1", "> :2"]
    assert series.llm.generate("{t}").to_list() == ["> a", None]
    assert series.llm.generate("{both}")[0] == '> {"t":"a","n":1}'
    assert series.alias("t").llm.generate("{t}").to_list() == ["> a", None]


def test_errors_are_missing_reported_or_raised(sim):
    """
    As in pandas; what is raised carries the partial table.
    """
    frame = pl.DataFrame({"t": ["a", "fail"]})

    with pytest.warns(UserWarning, match="1 of 2 rows failed"):
        assert frame.llm.generate("t").to_list() == ["> a", None]
    answers = frame.llm.generate("t", on_error="column", into="x")
    assert answers.columns == ["t", "x", "x_error"]
    assert answers["x_error"].is_null().to_list() == [True, False]
    with pytest.raises(errors.RowsFailed) as caught:
        frame.llm.generate("t", on_error="raise")
    assert caught.value.partial.to_list() == ["> a", None]


def test_an_unknown_field_lists_the_columns(sim, frame):
    """
    And nothing is sent.
    """
    with pytest.raises(errors.UnknownField, match="'my text', 'n'"):
        frame.llm.generate("{text}")
    with pytest.raises(errors.ConfigurationError, match="named by text"):
        frame.llm.generate("my text", into=5)
    assert len(sim.ledger.received) == 0


def test_details_are_typed_columns(sim, frame):
    """
    The same names as in pandas, in Polars' types.
    """
    details = frame.llm.generate("my text", details=True)

    assert details.columns == list(
        pd.DataFrame({"t": ["a"]}).llm.generate("t", details=True).columns
    )
    assert details.schema["prompt_tokens"] == pl.Int64
    assert details.schema["cached"] == pl.Boolean
    assert details["model"].to_list() == ["m", "m", None]


@dataclass
class Review:
    title: str
    stars: int | None
    tags: list[str]
    mood: enum.Enum("Mood", {"GOOD": "good", "BAD": "bad"})
    position: dict[str, int]


REVIEW = '{"title": "T", "stars": 5, "tags": ["x"], "mood": "bad", "position": {"a": 1}}'


def test_a_schema_fills_columns_whose_types_are_known_beforehand():
    """
    Labels are an enum, lists are lists, what is deeper is JSON; also where no answer came.
    """
    expected = {
        "title": pl.String(),
        "stars": pl.Int64(),
        "tags": pl.List(pl.String()),
        "mood": pl.Enum(["good", "bad"]),
        "position": pl.String(),
    }

    with saying(REVIEW) as (model, _):
        answers = pl.DataFrame({"t": ["a", None]}).llm.extract("t", Review, model=model)
        none = pl.DataFrame({"t": [None]}, schema={"t": pl.String})
        empty = none.llm.extract("t", Review, model=model)

    assert answers.row(0) == ("T", 5, ["x"], "bad", '{"a":1}')
    assert answers.row(1) == (None,) * 5
    assert dict(answers.schema) == dict(empty.schema) == expected


def test_labels_are_an_enum_in_their_order():
    """
    As `pd.Categorical` has them.
    """
    labels = {"yes": "it is so", "no": "it is not"}

    with saying("no") as (model, _):
        answers = pl.DataFrame({"t": ["a"]}).llm.classify("t", labels, model=model)

    assert answers.to_list() == ["no"]
    assert answers.dtype == pl.Enum(["yes", "no"])


def test_a_number_that_no_column_holds_is_text():
    """
    Nothing that was paid for is lost.
    """
    with saying(str(2**80)) as (model, _):
        answers = pl.Series(["a"]).llm.generate("Count {}", schema=int, model=model)

    assert answers.to_list() == [str(2**80)]


def test_several_answers_to_a_row_are_a_list(sim, frame):
    """
    Typed, and null where nothing was asked.
    """
    answers = frame.llm.generate("my text", n=2)

    assert answers.dtype == pl.List(pl.String)
    assert answers.to_list() == [["> a", "> a"], ["> b", "> b"], None]


def test_plan_preview_and_start(sim, frame):
    """
    A plan sends nothing and can begin; a run gives Polars' tables at any time.
    """
    plan = frame.llm.plan("my text")
    assert (plan.rows, len(sim.ledger.received)) == (3, 0)
    assert plan.begin(1).result(30).to_list() == ["> a", None, None]
    shown = frame.llm.preview("Say {my text}")
    assert shown.rows() == [("Say a", "> Say a"), ("Say b", "> Say b")]

    run = frame.llm.start("my text", into="x")

    assert run.result(30)["x"].to_list() == ["> a", "> b", None]
    assert run.partial().equals(run.result())


async def test_awaited_twins(sim, frame):
    """
    On the caller's own loop.
    """
    assert (await frame.llm.agenerate("my text")).to_list() == ["> a", "> b", None]
    assert (await frame["n"].llm.agenerate("{}")).to_list() == ["> 1", "> 2", "> 3"]


def test_models_side_by_side(sim, frame):
    """
    With the number of the row, and a row for each model.
    """
    answers = frame.llm.compare("my text", ["openai/m", "openai/k"])

    assert answers.answers.columns == ["row", "openai/m", "openai/k", "agreement"]
    assert sorted(answers.answers["row"].to_list()) == [0, 1, 2]
    assert answers.models["model"].to_list() == ["openai/m", "openai/k"]
    assert answers.models.schema["answered"] == pl.Int64
    assert "openai/k" in repr(answers)


def test_vectors_are_lists_of_floats(sim, frame, tmp_path):
    """
    Null where there is no text; what is near a question is found, and Parquet takes them.
    """
    made = frame.llm.embed("my text", into="v", **EMBEDDING)

    assert made.schema["v"] == pl.List(pl.Float32)
    assert made["v"].to_list()[0] == pytest.approx(vector("a", SIZE))
    assert made["v"].to_list()[2] is None
    near = made.llm.nearest("b", "v", k=1, **EMBEDDING)
    assert near["my text"].to_list() == ["b"]
    assert near["similarity"].to_list() == pytest.approx([1.0])
    assert made["v"].llm.nearest("b", k=1, **EMBEDDING)["row"].to_list() == [1]
    made.write_parquet(tmp_path / "v.parquet")
    assert pl.read_parquet(tmp_path / "v.parquet").equals(made)
    nothing = pl.Series([None], dtype=pl.String).llm.embed(**EMBEDDING)
    assert (nothing.dtype, nothing.to_list()) == (pl.List(pl.Float32), [None])


def test_a_column_of_similarities_is_named_by_text(sim):
    """
    Another name is refused before the question's own vector is bought.
    """
    frame = pl.DataFrame({"v": [[1.0, 0.0]]})

    with pytest.raises(errors.ConfigurationError, match="named by text"):
        frame.llm.nearest("a", "v", into=7, **EMBEDDING)
    assert len(sim.ledger.received) == 0


def test_pictures_are_a_column(sim, frame):
    """
    Bytes as they are.
    """
    picture = b"\x89PNG\r\n\x1a\n" + bytes(8)
    frame = pl.DataFrame({"t": ["a", None], "p": [picture, None]})

    assert frame.llm.generate("t", images="p").is_null().to_list() == [False, True]


def test_tables_without_rows_or_answers(sim):
    """
    Nothing is asked, and the form is the same.
    """
    empty = pl.DataFrame(schema={"t": pl.String})

    assert empty.llm.generate("t").to_list() == []
    assert empty.llm.generate("t", into="x").schema["x"] == pl.String
    assert empty.llm.preview("t").columns == ["prompt", "response"]
    assert len(sim.ledger.received) == 0


def test_another_name(sim, frame):
    """
    One call registers it for both libraries; a name of Polars' own is refused.
    """
    llmnb.register_accessor("ask_llm")

    assert isinstance(frame.ask_llm, accessors.PolarsFrameLLM)
    assert "generate" in repr(pl.col("a").ask_llm)
    with pytest.raises(errors.ConfigurationError, match=r"Polars|pandas"):
        llmnb.register_accessor("group_by")
