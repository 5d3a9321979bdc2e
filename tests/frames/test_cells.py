"""Promises about cells as text: whole, exact, and the same whatever library holds them."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import json
import os
import subprocess
import sys
import uuid
import zoneinfo

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import polars as pl
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmnb.errors import InputError
from llmnb.frames import pandas_source, polars_source
from llmnb.frames.pandas_source import source_of
from llmnb.frames.polars_source import PolarsSource
from llmnb.frames.table_source import AnswerColumn
from llmnb.frames.template import cell_text

DAY = datetime.date(2026, 1, 2)
MOMENT = datetime.datetime(2026, 1, 2, 3, 4, 5, 600)
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


@dataclasses.dataclass
class Point:
    x: int
    y: np.float64


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (np.arange(1500), json.dumps(list(range(1500)), separators=(",", ":"))),
        (np.array([[1.5, float("nan")]], dtype=np.float32), "[[1.5,null]]"),
        (np.array(["a", None], dtype=object), '["a",null]'),
        ([np.int64(1), np.float64(0.5), np.bool_(True)], "[1,0.5,true]"),
        ({"at": pd.Timestamp(MOMENT)}, '{"at":"2026-01-02T03:04:05.000600"}'),
        ([pd.Timestamp("2026-01-02 00:00:00.000000001")], '["2026-01-02T00:00:00.000000001"]'),
        (np.array(["2026-01-02"], dtype="M8[ns]"), '["2026-01-02T00:00:00"]'),
        ([np.datetime64("2026-01-02"), np.datetime64("NaT")], '["2026-01-02",null]'),
        ([pd.NaT, pd.NA, None, float("inf")], "[null,null,null,null]"),
        ([DAY, datetime.time(1, 2)], '["2026-01-02","01:02:00"]'),
        ([datetime.timedelta(days=-1, seconds=1)], '["-1 days +00:00:01"]'),
        ([decimal.Decimal("1.10"), decimal.Decimal("1E+30")], "[1.10,1E+30]"),
        ([uuid.UUID(int=5)], '["00000000-0000-0000-0000-000000000005"]'),
        ({"raw": b"\xff\x00"}, '{"raw":"/wA="}'),
        ([2**70, -(2**70)], f"[{2**70},{-(2**70)}]"),
        ((1, "a"), '[1,"a"]'),
        (frozenset("cab"), '["a","b","c"]'),
        ({1: "one", None: "none", (2, 3): "pair"}, '{"1":"one","null":"none","[2,3]":"pair"}'),
        ([Point(1, np.float64(2))], '[{"x":1,"y":2.0}]'),
        (pd.Series([1, 2]), "[1,2]"),
        (pl.Series([1, None]), "[1,null]"),
        (["\ud83d", 2**70], f'["\\ud83d",{2**70}]'),
        ([pyarrow.scalar(5)], "[5]"),
    ],
)
def test_what_holds_others_is_json_to_its_last_digit(cell, text):
    """
    Arrays of any length, numbers of any size, times, decimals, bytes: nothing is cut or rounded.
    """
    assert cell_text(cell) == text


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("as it is", "as it is"),
        (b"\xff", "/w=="),
        (datetime.timedelta(hours=25), "1 days 01:00:00"),
        (pd.Timedelta("25h"), "1 days 01:00:00"),
        (1.5, "1.5"),
        (np.int8(3), "3"),
        (True, "True"),
        (decimal.Decimal("1.10"), "1.10"),
        ({"a": [1, "ü"]}, '{"a":[1,"ü"]}'),
        (DAY, "2026-01-02"),
    ],
)
def test_simple_cells_are_their_text(cell, text):
    """
    What was asked before has the text that it had; bytes are base64, spans as pandas has them.
    """
    assert cell_text(cell) == text


@pytest.mark.parametrize(
    "cell",
    [
        *(None, float("nan"), np.float32("nan"), pd.NA, pd.NaT, complex("nan")),
        *(decimal.Decimal("NaN"), np.datetime64("NaT"), np.timedelta64("NaT")),
    ],
)
def test_what_pandas_calls_missing_has_no_text(cell):
    """
    So that nothing is asked, and paid, about "NaN" or "NaT".
    """
    assert pd.isna(cell)
    assert cell_text(cell) is None
    assert source_of(pd.Series([cell], dtype=object)).columns().texts("") == [None]


@pytest.mark.parametrize("value", [datetime.timedelta(0), datetime.timedelta(microseconds=-1)])
def test_spans_of_time_are_written_as_pandas_writes_them(value):
    """
    Of Python and of pandas alike.
    """
    assert cell_text(value) == cell_text(pd.Timedelta(value)) == str(pd.Timedelta(value))


def test_a_set_has_the_same_text_in_every_process():
    """
    Its order is the text's, not the one that this process happens to have.
    """
    code = "from llmnb.frames.template import cell_text; print(cell_text(set('abcdefgh')))"
    texts = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert texts == {b'["a","b","c","d","e","f","g","h"]\n'}


def test_a_cell_that_holds_itself_is_a_clear_error():
    """
    Not a process that dies, nor a text with an ellipsis.
    """
    endless: list[object] = [2**70]
    endless.append(endless)

    with pytest.raises(InputError, match="nested"):
        cell_text(endless)


TABLE = {
    "ints": [1, 2],
    "floats": [1.5, None],
    "flags": [True, False],
    "texts": ["a", "{b}"],
    "days": [DAY, None],
    "moments": [MOMENT, None],
    "zoned": [MOMENT.replace(tzinfo=BERLIN), None],
    "spans": [datetime.timedelta(hours=30, microseconds=5), None],
    "lists": [[1, 2], []],
    "nested": [[{"a": [1.5], "b": MOMENT}], None],
    "bytes": [b"\x00\xff", None],
    "decimals": [decimal.Decimal("1.10"), None],
}


def test_every_library_gives_a_cell_the_same_text():
    """
    pandas (of its own types and of Arrow's), Polars and Dask ask one question about one table.
    """
    arrow = pyarrow.table(TABLE)
    polars = pl.DataFrame(arrow)
    frame = arrow.to_pandas()
    with dask.config.set({"dataframe.convert-string": False}):  # else it makes lists texts
        computed = dd.from_pandas(frame, npartitions=1).compute()
    typed = arrow.to_pandas(types_mapper=pd.ArrowDtype)
    sources = [PolarsSource(polars), frame, computed, typed]

    for name in TABLE:
        texts = {tuple(source_of(source).columns().texts(name)) for source in sources}
        assert len(texts) == 1, (name, texts)


def test_nanoseconds_are_kept_by_polars_too():
    """
    Python's own times would lose the last three digits.
    """
    frame = pd.DataFrame({"at": pd.to_datetime([1, 1000], unit="ns", utc=True)})
    frame["span"] = pd.to_timedelta([1, 1000], unit="ns")

    for name in frame:
        polars = PolarsSource(pl.from_pandas(frame)).columns().texts(name)
        assert polars == source_of(frame).columns().texts(name)


SIMPLE = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.lists(SIMPLE | st.dictionaries(st.text(), SIMPLE)) | st.dictionaries(st.text(), SIMPLE))
def test_the_json_of_a_cell_says_what_the_cell_holds(cell):
    """
    Read again it is equal; only numbers that JSON has not are null.
    """
    text = cell_text(cell)

    assert json.loads(text) == json.loads(json.dumps(cell), parse_constant=lambda _: None)


@pytest.mark.parametrize(
    ("answer", "text"), [("a\ud83d", "a\ufffd"), ("\ud83d\ude00", "\U0001f600")]
)
def test_half_a_character_in_an_answer_is_the_same_mark_in_every_library(answer, text):
    """
    Two halves side by side are the character.
    """
    column = AnswerColumn([answer, None], "string")
    of_pandas = pandas_source.series_of(column, pd.RangeIndex(2), "said")
    of_polars = polars_source.series_of(column, "said")

    assert of_pandas.tolist()[0] == of_polars.to_list()[0] == text
