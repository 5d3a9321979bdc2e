"""Promises about columns that came with a table: never replaced unless it is said."""

from __future__ import annotations

import dask.dataframe as dd
import pandas as pd
import polars as pl
import pytest

from llmnb import LLM
from llmnb.errors import InputError
from llmnb.frames import overwriting
from llmnb.testing import SimulatedProvider

VERDICT = {
    "type": "object",
    "properties": {"good": {"type": "boolean"}, "error": {"type": "string"}},
    "required": ["good", "error"],
}


@pytest.fixture
def frame():
    return pd.DataFrame({"text": ["a", "b"], "said": [1, 2], "note_error": ["x", "y"]})


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"into": "said"}, "said"),
        ({"into": "note", "on_error": "column"}, "note_error"),
        ({"into": "note", "schema": VERDICT}, "note_error"),
    ],
)
def test_a_column_that_came_with_the_frame_is_not_replaced(sim, asked, frame, options, name):
    """
    Nor one that a derived name meets; nothing is sent, and the call to paste is printed.
    """
    with pytest.raises(InputError, match=rf"'{name}'.*(?s:.)*overwrite=True"):
        frame.llm.generate("Say {text}", **options)

    assert asked == []


def test_the_printed_call_replaces_it(sim, frame):
    """
    Pasted as it stands.
    """
    with pytest.raises(InputError) as caught:
        frame.llm.generate("Say {text}", into="said")
    (call,) = [line for line in str(caught.value).splitlines() if "df.llm" in line]

    table = eval(call.strip(), {"df": frame})

    assert table["said"].tolist() == ["> Say a", "> Say b"]


def test_a_cell_runs_again_also_with_another_prompt(sim, frame):
    """
    What llmnb wrote is written anew in silence, through pandas' own steps and a copy too.
    """
    df = frame.llm.generate("Say {text}", into="new", on_error="column")
    df = df[df["text"] == "a"].copy()
    df = df.llm.generate("Shout {text}", into="new", on_error="column")

    assert df["new"].tolist() == ["> Shout a"]
    assert set(df.attrs) == {"llmnb"}
    assert set(df.attrs["llmnb"]) == {"run", "columns"}
    assert sorted(df.attrs["llmnb"]["columns"]) == ["new", "new_error"]


LIBRARIES = pytest.mark.parametrize("library", [pd, pl])


def properties(*names):
    """A schema of texts."""
    return {"type": "object", "properties": {name: {"type": "string"} for name in names}}


@LIBRARIES
def test_errors_of_earlier_answers_do_not_stand_beside_new_ones(sim, library):
    """
    They go with the answers that they belong to; the next call's own stand in their place.
    """
    table = library.DataFrame({"text": ["a", "fail"]})
    df = table.llm.generate("Say {text}", into="said", on_error="column")
    assert "400" in list(df["said_error"])[1]

    with pytest.warns(UserWarning, match="1 of 2 rows"):
        df = df.llm.generate("Shout {text}", into="said")

    assert list(df.columns) == ["text", "said"]
    df = df.llm.generate("Ask {text}", into="said", on_error="column")
    assert list(df.columns) == ["text", "said", "said_error"]


@LIBRARIES
def test_fields_of_an_earlier_schema_go_when_others_are_asked_for(library):
    """
    Where the two have one in common. Of two schemas without, both are kept.
    """
    table = library.DataFrame({"text": ["a"]})
    with SimulatedProvider(reply=lambda _: '{"name": "n", "town": "t", "age": "9"}') as sim:
        model = LLM(model="m", url=sim.base_url)
        df = table.llm.extract("text", properties("name", "town"), into="of", model=model)
        df = df.llm.extract("text", properties("name", "street"), into="of", model=model)
        assert list(df.columns) == ["text", "of_name", "of_street"]
        df = df.llm.extract("text", properties("age"), into="of", model=model)

    assert list(df.columns) == ["text", "of_name", "of_street", "of_age"]


@LIBRARIES
def test_only_columns_of_a_call_of_that_name_go(sim, library):
    """
    Not those of another call, though their names are alike, and not the person's own.
    """
    table = library.DataFrame({"text": ["a"], "said_note": ["mine"]})
    df = table.llm.generate("Say {text}", into="said", on_error="column")
    df = df.llm.generate("Why {text}", into="said_why").llm.generate("{text}?", into="said_error")

    df = df.llm.generate("Shout {text}", into="said")

    assert list(df.columns) == ["text", "said_note", "said", "said_error", "said_why"]
    assert list(df["said_error"]) == ["> a?"]


def test_errors_of_renamed_answers_stay(sim):
    """
    They belong to the column of the other name now.
    """
    answers = pd.DataFrame({"text": ["a"]}).llm.generate("{text}", into="said", on_error="column")
    renamed = answers.rename(columns={"said": "first"})
    taken = pl.DataFrame({"text": ["a"]}).llm.generate("{text}", into="said", on_error="column")
    taken.columns = ["text", "first", "said_error"]

    for df in (renamed, taken):
        df = df.llm.generate("Shout {text}", into="said")
        assert list(df.columns) == ["text", "first", "said_error", "said"]


def test_answers_come_after_a_column_was_dropped_in_place(sim):
    """
    What is gone already need not go again.
    """
    df = pl.DataFrame({"text": ["a"]}).llm.generate("{text}", into="said", on_error="column")
    df.drop_in_place("said_error")

    assert df.llm.generate("Shout {text}", into="said").columns == ["text", "said"]


def test_of_two_columns_of_one_name_none_goes(sim):
    """
    One of them is the person's own, and nobody can say which.
    """
    df = pd.DataFrame({"text": ["a"]}).llm.generate("{text}", into="said", on_error="column")
    df.insert(0, "said_error", ["mine"], allow_duplicates=True)

    df = df.llm.generate("Shout {text}", into="said")

    assert list(df.columns) == ["said_error", "text", "said", "said_error"]


def test_two_runs_into_the_same_frame_know_each_others_columns(sim, frame):
    """
    The names of both are kept.
    """
    df = frame.llm.generate("Say {text}", into="one").llm.generate("{one}?", into="two")

    assert df.llm.generate("Say {text}", into="one")["one"].tolist() == ["> Say a", "> Say b"]


def test_names_of_answers_that_meet_each_other_are_refused(sim, asked):
    """
    One of the two columns would be lost.
    """
    frame = pd.DataFrame({"text": ["a"]})

    with pytest.raises(InputError, match="'x_error'"):
        frame.llm.generate("Say {text}", into="x", schema=VERDICT, on_error="column")
    schema = {"type": "object", "properties": {"prompt": {"type": "string"}}}
    with pytest.raises(InputError, match="'prompt'"):
        frame.llm.preview("Say {text}", schema=schema)

    assert asked == []


def test_signed_frames_can_be_written_to_parquet(sim, tmp_path):
    """
    Whatever the labels are; read again, the file's columns are still llmnb's own.
    """
    path = tmp_path / "table.parquet"
    df = pd.DataFrame({"text": ["a"]}).llm.generate("Say {text}", into="said")
    df.to_parquet(path)

    df = pd.read_parquet(path)
    df.attrs["llmnb"]["columns"] = list(df.attrs["llmnb"]["columns"])  # as it was written once
    for read in (pd.read_parquet(path), df):
        again = read.llm.generate("Shout {text}", into="said")
        assert again["said"].tolist() == ["> Shout a"]


def test_vectors_and_similarities_replace_nothing_either(sim, asked):
    """
    `embed` and `nearest` keep to the same rule.
    """
    frame = pd.DataFrame({"text": ["a"], "vector": [1], "similarity": [2]})
    options = {"model": "sim/embedding"}

    with pytest.raises(InputError, match="overwrite=True"):
        frame.llm.embed("text", into="vector", **options)
    done = frame.llm.embed("text", into="vector", overwrite=True, **options)
    assert len(done.llm.embed("text", into="vector", **options)) == 1
    with pytest.raises(InputError, match="overwrite=True"):
        done.llm.nearest("a", "vector", **options)
    near = done.llm.nearest("a", "vector", overwrite=True, **options)
    assert near["similarity"].tolist() == pytest.approx([1.0])


def test_polars_keeps_to_the_same_rule(sim, asked, monkeypatch):
    """
    Of lazy frames too, before anything is collected; what this process wrote is written anew.
    """
    monkeypatch.setattr(overwriting, "_remembered", set())
    frame = pl.DataFrame({"text": ["a"], "said": [1], "note_error": ["mine"]})

    for table in (frame, frame.lazy()):
        with pytest.raises(InputError, match=r"'said'.*(?s:.)*overwrite=True"):
            table.llm.generate("Say {text}", into="said")
        with pytest.raises(InputError, match=r"'note_error'.*(?s:.)*overwrite=True"):
            table.llm.generate("Say {text}", into="note", on_error="column")
    assert asked == []
    done = frame.llm.generate("Say {text}", into="said", overwrite=True)
    for table in (done, done.lazy()):
        again = table.llm.generate("Shout {text}", into="said").lazy().collect()
        assert again["said"].to_list() == ["> Shout a"]


def test_the_printed_call_is_the_verbs_own(sim):
    """
    A lazy frame's too, and with the second column of texts that are judged against each other.
    """
    frame = pl.DataFrame({"text": ["a"], "other": ["b"], "said": [1]})

    with pytest.raises(InputError, match=r"classify\('text', \['x', 'y'\], into='said', overwrit"):
        frame.lazy().llm.classify("text", ["x", "y"], into="said")
    with pytest.raises(InputError, match=r"judge\('kind', 'text', against='other', into='said', o"):
        frame.llm.judge("kind", "text", "other", into="said")
    with pytest.raises(InputError, match=r"judge\('kind', 'text', scale=\(1, 3\), into='said', ov"):
        frame.rename({"said": "said_score"}).llm.judge("kind", "text", scale=(1, 3), into="said")


def test_dask_keeps_to_the_same_rule(sim, asked):
    """
    Said where the question is put, before anything is computed; again and again for its own.
    """
    ddf = dd.from_pandas(pd.DataFrame({"text": ["a"], "said": ["mine"]}), npartitions=1)

    with pytest.raises(InputError, match="overwrite=True"):
        ddf.llm.generate("Say {text}", into="said")
    assert asked == []
    done = ddf.llm.generate("Say {text}", into="said", overwrite=True)
    again = done.llm.generate("Shout {text}", into="said")

    assert again.compute()["said"].tolist() == ["> Shout a"]
