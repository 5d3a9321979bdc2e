"""Promises about frames of all shapes: answers stand in their rows, inputs stay as they are."""

from __future__ import annotations

import datetime
import decimal
import pickle

import numpy as np
import pandas as pd
import pytest

from llmnb import errors

TEXTS = ["a", "b", "c"]


def indexes():
    return {
        "duplicate": pd.Index([7, 7, 7]),
        "missing": pd.Index([None, None, "x"]),
        "levels": pd.MultiIndex.from_tuples([(1, "x"), (1, "x"), (2, "y")], names=["k", "l"]),
        "dates": pd.date_range("2026-01-01", periods=3, tz="UTC"),
        "backwards": pd.RangeIndex(2, -1, -1),
        "category": pd.CategoricalIndex(["u", "v", "u"], name="which"),
    }


@pytest.mark.parametrize("name", indexes())
def test_answers_are_aligned_by_position_whatever_the_index(sim, name):
    """
    Labels may stand there twice, be missing, or have several levels.
    """
    frame = pd.DataFrame({"text": TEXTS}, index=indexes()[name])

    series = frame.llm.generate("text")
    filled = frame.llm.generate("text", into="r")
    details = frame.llm.generate("text", details=True)

    for answers in (series, filled["r"], details["response"]):
        assert answers.tolist() == ["> a", "> b", "> c"]
        assert answers.index.equals(frame.index)
        assert answers.index.names == frame.index.names


def test_a_column_with_a_brace_in_its_name_is_offered_nowhere_and_told_how_to_be_named(sim):
    """
    Two braces are one, so no prompt can name it, but as its only text.
    """
    frame = pd.DataFrame({"{c}": TEXTS, "d": TEXTS})

    assert frame.llm.generate("{c}").tolist() == ["> a", "> b", "> c"]
    with pytest.raises(errors.UnknownField, match="has to be renamed before"):
        frame.llm.generate("Say {{{c}}}")
    with pytest.warns(UserWarning, match=r"there is: \{d\}\.") as warned:
        frame.llm.generate("Say {{c}}")
    assert len(warned) == 1
    assert "{{c}}" not in frame.llm._repr_html_()


@pytest.mark.parametrize("dtype", ["object", "string", "str", "category"])
def test_texts_of_every_dtype_are_read(sim, dtype):
    """
    Of pandas 2 and 3, with their own words for missing.
    """
    series = pd.Series(["a", None, "b"], dtype=dtype, name="text")

    answers = series.to_frame().llm.generate("text")

    assert answers.fillna("?").tolist() == ["> a", "?", "> b"]
    assert answers.dtype == "string"


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([1, 2], ["> 1", "> 2"]),
        ([1.5, float("nan")], ["> 1.5", None]),
        (pd.array([1, None], dtype="Int64"), ["> 1", None]),
        (pd.array([True, None], dtype="boolean"), ["> True", None]),
        ([{"k": [1, "ü"]}, ["x", None]], ['> {"k":[1,"ü"]}', '> ["x",null]']),
        ([decimal.Decimal("1.10"), None], ["> 1.10", None]),
        ([datetime.date(2026, 1, 2), pd.NaT], ["> 2026-01-02", None]),
        (pd.to_datetime(["2026-01-02", None]), ["> 2026-01-02 00:00:00", None]),
        (pd.Series([np.float32("nan"), np.int8(3)], dtype=object), [None, "> 3"]),
        ([b"raw", {1}], ["> cmF3", "> [1]"]),
    ],
    ids=["int", "float", "Int64", "boolean", "json", "decimal", "date", "time", "numpy", "other"],
)
def test_cells_of_every_kind_are_rendered(sim, cells, expected):
    """
    By `str`; what holds others as JSON, bytes as base64; what is missing asks nothing.
    """
    frame = pd.DataFrame({"cell": cells})

    answers = frame.llm.generate("cell")

    assert [None if pd.isna(cell) else cell for cell in answers] == expected


@pytest.mark.parametrize("into", [None, "r"])
def test_zero_rows_give_zero_rows(sim, into):
    """
    And nothing is sent; a wrong field is an error all the same.
    """
    frame = pd.DataFrame({"text": pd.array([], dtype="string")})

    answers = frame.llm.generate("{text}", into=into)

    assert len(answers) == 0
    assert len(sim.ledger.received) == 0
    with pytest.raises(errors.UnknownField):
        frame.llm.generate("{txt}")


def test_nothing_but_missing_cells_gives_nothing_but_missing_answers(sim):
    """
    Without a request.
    """
    frame = pd.DataFrame({"text": [None, None]})

    assert frame.llm.generate("text").isna().all()
    assert len(sim.ledger.received) == 0


def test_a_column_that_stands_there_twice_is_an_error_only_where_it_is_meant(sim):
    """
    Nobody can say which one is.
    """
    frame = pd.DataFrame([["a", "b", "c"]], columns=["x", "x", "y"])

    assert frame.llm.generate("{y}").tolist() == ["> c"]
    with pytest.raises(errors.InputError, match="several columns named 'x'"):
        frame.llm.generate("{x}")
    with pytest.raises(errors.InputError, match="2 columns named 'x'"):
        frame.llm.generate("{y}", into="x")
    assert len(sim.ledger.received) == 1


def test_columns_whose_labels_are_no_text(sim):
    """
    Numbers and tuples stand between braces as they are printed, or are given as they are.
    """
    frame = pd.DataFrame([["a", "b"]], columns=pd.Index([0, ("x", 1)], tupleize_cols=False))

    assert frame.llm.generate("{0} {('x', 1)}").tolist() == ["> a b"]
    assert frame.llm.generate(0).tolist() == ["> a"]
    assert frame.llm.generate(("x", 1)).tolist() == ["> b"]
    with pytest.raises(errors.InputError, match="int"):
        frame.llm.generate(5)


def test_a_column_that_llmnb_wrote_into_levels_is_found_by_the_name_it_got(sim):
    """
    As pandas finds it: `frame["said"]` is the column ("said", "").
    """
    frame = pd.DataFrame([["a"], ["b"]], columns=pd.MultiIndex.from_tuples([("g", "t")]))

    frame = frame.llm.generate(("g", "t"), into="said")

    assert frame.columns.tolist() == [("g", "t"), ("said", "")]
    assert frame.llm.generate("{said}!").tolist() == ["> > a!", "> > b!"]
    assert frame.llm.score("said", ["> a", "x"]).accuracy == 0.5
    assert frame.llm.score(("said", ""), ["> a", "x"]).accuracy == 0.5


def test_columns_of_several_levels(sim):
    """
    A label is the tuple.
    """
    frame = pd.DataFrame([["a", "b"]], columns=pd.MultiIndex.from_product([["x"], [1, 2]]))

    assert frame.llm.generate("{('x', 2)}").tolist() == ["> b"]
    assert frame.llm.generate("{('x', 2)}", into="r")["r"].tolist() == ["> b"]
    with pytest.raises(errors.InputError, match="3 levels and the frame's columns have 2"):
        frame.llm.generate("{('x', 1)}", into=("r", "s", "t"))
    assert len(sim.ledger.received) == 1


def test_a_column_named_llm_is_a_column(sim):
    """
    The accessor stays the accessor, the column is reached by its name.
    """
    frame = pd.DataFrame({"llm": ["a"]})

    assert frame.llm.generate("{llm}").tolist() == ["> a"]
    assert frame.llm.generate("llm", into="llm", overwrite=True)["llm"].tolist() == ["> a"]
    assert frame["llm"].tolist() == ["a"]


def test_a_frame_that_is_changed_meanwhile_changes_nothing(sim, asked):
    """
    What is asked, and where answers go, was settled at the start.
    """
    frame = pd.DataFrame(
        {"text": [f"row {n}" for n in range(50)], "more": [[n] for n in range(50)]}
    )
    sim.hold()
    run = frame.llm.start("{text} {more}", into="said", max_concurrent_requests=2)
    sim.wait_received(2)

    frame.loc[:, "text"] = "changed"
    for cell in frame["more"]:
        cell.append("changed")
    frame.loc[1000] = ["new", "row"]
    frame["said"] = "mine"
    sim.release()

    result = run.result(60)
    assert result["said"].tolist() == [f"> row {n} [{n}]" for n in range(50)]
    assert result["text"].tolist() == [f"row {n}" for n in range(50)]
    assert len(frame) == 51
    assert set(frame["said"]) == {"mine"}


def test_inputs_are_never_changed(sim):
    """
    Neither cells, nor dtypes, nor the order, nor `attrs`.
    """
    frame = pd.DataFrame({"text": ["a", None], "more": [{"k": 1}, [2]]}, index=[1, 1])
    frame.attrs["note"] = "mine"
    before = pickle.dumps(frame)

    for options in ({}, {"into": "r"}, {"details": True}, {"n": 2}, {"on_error": "column"}):
        frame.llm.generate("{text} {more}", **options)

    assert pickle.dumps(frame) == before


def test_results_carry_nothing_along(sim):
    """
    `attrs`, which pandas copies at every step, stays empty.
    """
    frame = pd.DataFrame({"text": ["a"]})

    assert frame.llm.generate("text").attrs == {}
    assert frame.llm.generate("text", details=True).attrs == {}


def test_a_cell_of_megabytes_is_a_cell(sim, asked):
    """
    It is asked as it is.
    """
    big = "x" * 3_000_000

    pd.DataFrame({"text": [big]}).llm.generate("text", params={"max_tokens": 5}, details=True)

    assert asked[0]["messages"][0]["content"] == big


# ------------------------------------------------------------------------------ series


def test_the_values_of_a_series_are_prompts(sim):
    """
    Without an argument.
    """
    series = pd.Series(["a", None, "b"], index=[3, 3, 4])

    answers = series.llm.generate()

    assert answers.fillna("?").tolist() == ["> a", "?", "> b"]
    assert answers.index.equals(series.index)


def test_braces_are_the_value_of_a_series(sim):
    """
    Bare, or with its name in them.
    """
    series = pd.Series(["a", "b"], name="word")

    assert series.llm.generate("Say {}!").tolist() == ["> Say a!", "> Say b!"]
    assert series.llm.generate("{word}, {}").tolist() == ["> a, a", "> b, b"]
    assert series.llm.generate("word").tolist() == ["> a", "> b"]
    with pytest.raises(errors.UnknownField):
        series.llm.generate("{text}")


def test_into_names_what_a_series_gives(sim):
    """
    There is no frame to put it into.
    """
    assert pd.Series(["a"]).llm.generate(into="said").name == "said"


def test_a_series_has_every_method_of_a_frame(sim):
    """
    With the value in place of a column.
    """
    series = pd.Series(["a", None])

    assert series.llm.plan().to_ask == 1
    assert series.llm.preview().to_dict("list") == {"prompt": ["a"], "response": ["> a"]}
    assert series.llm.start().result(60)[0] == "> a"
    comparison = series.llm.compare("{}", models=["openai/m", "openai/o"])
    assert comparison.answers["agreement"][0] == 1.0


async def test_a_series_can_be_awaited(sim):
    """
    As a frame can.
    """
    assert (await pd.Series(["a"]).llm.agenerate()).tolist() == ["> a"]
