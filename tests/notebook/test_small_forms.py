"""Promises about what a notebook and a terminal show of an object that ends a cell."""

from __future__ import annotations

import dataclasses

import dask.dataframe as dd
import pandas as pd
import polars as pl
import pytest
from IPython.lib.pretty import pretty
from markup import PAYLOADS, Census, about
from snapshots import snapshot

import llmnb  # noqa: F401 - registers .llm
from llmnb.frames.comparing import Comparison
from llmnb.running.asking import Asking
from llmnb.running.planning import plan

PLAIN = "usual"
LONG = "x" * 5_000


def status(name):
    """Return a run in progress, with a name in every place that has one from outside."""
    return dataclasses.replace(
        snapshot(), project=name, models={name: 3, f"{name}2": 2}, waiting_on=name
    )


def planned(name):
    """Return a plan, likewise."""
    usual = plan([{"prompt": "a"}], Asking(model="sim/any"))
    return dataclasses.replace(usual, model=name, project=name, prices_date=name)


def compared(name, rows=3):
    """Return a comparison whose columns, labels and answers are a name."""
    answers = {name: [name] * rows, "other": [name] * rows, "agreement": [0.5] * rows}
    figures = {"answered": [rows, rows], "usd": [0.1, None], "seconds_p50": [1.5, 2.5]}
    return Comparison(
        pd.DataFrame(answers, index=[name] * rows), pd.DataFrame(figures, index=[name, "other"])
    )


def of_pandas(name):
    """Return the accessor of a frame whose column has a name."""
    return pd.DataFrame({name: ["a", "b"], "label": [1, 2]}).llm


FORMS = {"status": status, "plan": planned, "comparison": compared, "accessor": of_pandas}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_names_from_outside_are_inert_in_it(form):
    """
    No element and no attribute comes from a column, a model, a prompt or a project.
    """
    plain = Census(form(PLAIN)._repr_html_())
    for payload in PAYLOADS:
        with about(payload):
            shown = form(payload)
            page = Census(shown._repr_html_())

            assert page.elements == plain.elements
            assert page.attributes == plain.attributes
            assert page.others == page.open == []
            assert (repr(shown) + page.text).replace("\n", "").isprintable()


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("name", [PLAIN, LONG, "&" * 5_000, "\U000e0001" * 500])
def test_it_is_small_and_its_repr_is_one_line(form, name):
    """
    At most 8 kB of HTML and 200 characters, however long a name is.
    """
    shown = form(name)

    assert len(shown._repr_html_().encode()) <= 8_000
    assert len(repr(shown)) <= 200
    assert "\n" not in repr(shown)


def test_a_comparison_of_much_stays_small():
    """
    Many rows are cut, and the page says where the whole is.
    """
    page = compared('"&<' * 40, rows=5_000)._repr_html_()

    assert len(page.encode()) <= 8_000
    assert ".answers" in page


@pytest.mark.parametrize("form", [planned, compared], ids=["plan", "comparison"])
def test_terminals_show_the_tables(form):
    """
    `str` of a plan and a comparison keeps its lines, and IPython's plain text is that.
    """
    shown = form(PLAIN)

    assert pretty(shown) == str(shown)
    assert str(shown).count("\n") > 4
    assert repr(shown) not in str(shown)


def test_what_is_lazy_is_not_computed_to_be_shown(recwarn):
    """
    The accessor of every library's table has a page; none counts rows that are not there yet.
    """
    frame = pd.DataFrame({"text": ["a", "b"]})
    texts = {
        name: table.llm._repr_html_() + repr(table.llm)
        for name, table in {
            "frame": frame,
            "series": frame["text"],
            "polars": pl.DataFrame({"text": ["a", "b"]}),
            "lazy": pl.LazyFrame({"text": ["a"]}).select(pl.col("missing")),
            "expression": pl.col("text"),
            "dask": dd.from_pandas(frame, npartitions=1),
        }.items()
    }

    assert [name for name, text in texts.items() if "2 rows" in text] == [
        *("frame", "series", "polars")
    ]
    assert [name for name, text in texts.items() if "{text}" in text] == ["frame", "polars", "dask"]
    assert [name for name, text in texts.items() if "generate" not in text] == []
    assert list(recwarn) == []


def test_a_run_shows_how_far_it_is(desk):
    """
    A run's page has its state, cost, models and project, and what can be done with it.
    """
    run = pd.DataFrame({"text": ["a"]}).llm.start("Say {text}", project_name="Reviews")
    run.wait(60)
    page = Census(run._repr_html_()).text

    for words in ("1 of 1 rows", "finished", "(simulated)", "openai/m (1)", "Reviews", "pause()"):
        assert words in page
    assert len(repr(run)) <= 200
