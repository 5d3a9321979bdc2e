"""Promises about requests made from rows: lazily, in order, each with its row."""

from __future__ import annotations

import pandas as pd
import pytest

from llmnb.frames.options import Options
from llmnb.frames.pandas_source import source_of
from llmnb.frames.questions import Questions
from llmnb.frames.template import Template, cell_text
from llmnb.running.preparer import Sampled


def questions(cells, prompt="{text}", *, variants=({},), **options):
    columns = source_of(pd.DataFrame({"text": cells})).columns()
    return Questions(columns, prompt, Options(**options), variants=variants)


def said(request):
    return request["messages"][-1]["content"]


@pytest.mark.parametrize("cells", [["a", "b"], ["a", None, "b"], []])
@pytest.mark.parametrize("options", [{}, {"n": 2}, {"variants": ({"model": "x"}, {"model": "y"})}])
def test_it_is_a_sequence(cells, options):
    """
    Reading it one by one, by index, from the end, or in slices gives the same requests.
    """
    asked = questions(cells, **options)

    everything = list(asked)
    assert len(everything) == len(asked)
    assert [asked[index] for index in range(len(asked))] == everything
    assert [asked[index - len(asked)] for index in range(len(asked))] == everything
    assert asked[1:] == everything[1:]
    with pytest.raises(IndexError):
        asked[len(asked)]


def test_every_request_knows_its_row():
    """
    Rows that ask nothing are left out; variants and samples stand together.
    """
    asked = questions(["a", None, "b"], n=2, variants=({"model": "x"}, {"model": "y"}))

    assert [asked.row_of(index) for index in range(len(asked))] == [0] * 4 + [2] * 4
    assert [(request.request["model"], request.k) for request in asked[:4]] == [
        ("x", 0),
        ("x", 1),
        ("y", 0),
        ("y", 1),
    ]
    assert isinstance(asked[0], Sampled)


def test_the_first_rows_are_those_that_ask_something():
    """
    As a preview wants them.
    """
    asked = questions([None, "a", "b", "c"])
    first = asked.about(asked.positions[:2])

    assert [said(request) for request in first] == ["a", "b"]
    assert first.row_of(1) == 2


def test_nothing_is_made_before_it_is_pulled():
    """
    A hundred thousand rows are a hundred thousand cells, not as many requests.
    """
    asked = questions([f"row {n}" for n in range(1000)], "Say {text}")

    before = set(vars(asked))
    assert said(next(iter(asked))) == "Say row 0"
    assert set(vars(asked)) == before


@pytest.mark.parametrize("prompt", ["text", "{text}", "a {text} b {text}", "{text}{more}", "no"])
def test_a_row_is_rendered_as_a_template_renders_it(prompt):
    """
    By columns and by rows comes to the same.
    """
    frame = pd.DataFrame({"text": ["x", None, 1.5], "more": [None, None, {"k": 1}]})
    asked = Questions(source_of(frame).columns(), prompt)
    template = Template(prompt, ["text", "more"])
    rows = frame.to_dict("records")

    assert [said(request) for request in asked] == [
        text for row in rows if (text := template.render(row)) is not None
    ]


def test_numbers_that_are_none_are_missing():
    """
    Of Python and of numpy.
    """
    numpy = pytest.importorskip("numpy")

    for cell in (None, float("nan"), numpy.float32("nan"), pd.NA, pd.NaT):
        assert cell_text(cell) is None
    assert cell_text(numpy.float32(1.5)) == "1.5"
    assert cell_text(True) == "True"
