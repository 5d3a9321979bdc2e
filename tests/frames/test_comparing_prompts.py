"""Promises of `compare` with prompts, settings and truth: who is right, and is that shown?"""

from __future__ import annotations

import re

import pandas as pd
import polars as pl
import pytest
from laboratory import Laboratory
from markup import PAYLOADS, Census, about

import llmnb
from llmnb.errors import ConfigurationError, InputError

ROWS = 24
TRUTH = ["yes"] * ROWS


@pytest.fixture
def bodies():
    """Return the bodies that the provider has received."""
    return []


@pytest.fixture
def judge(monkeypatch, bodies):
    """A provider that is right for the good prompt, and for the weak one in every third row."""

    def reply(prompt, request):
        row = int(prompt.split()[-1])
        is_right = prompt.startswith("good") or row % 3 == 0
        if request.body.get("temperature") == 1:
            is_right = row % 2 == 0
        return "Yes " if is_right else "no"

    def fault(request):
        bodies.append(request.body)
        return 400 if request.model == "broken" and request.prompt.endswith(" 3") else None

    with Laboratory(reply=reply, faults=fault, latency=0) as sim:
        monkeypatch.setenv("OPENAI_BASE_URL", sim.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        monkeypatch.setenv("LLMNB_MODEL", "openai/gpt-4o-mini")
        llmnb.register_accessor("llm")
        yield sim


@pytest.fixture
def frame():
    return pd.DataFrame({"n": range(ROWS), "text": [f"the text of row {n}" for n in range(ROWS)]})


PROMPTS = {"good": "good {n}", "weak": "weak {n}"}


def test_every_mixture_has_a_column_named_by_what_differs(judge, frame):
    """
    Two prompts, two models and two settings are eight; what all share is in no name.
    """
    compared = frame.llm.compare(
        PROMPTS,
        ["openai/gpt-4o-mini", "openai/gpt-4o"],
        params=[{"temperature": 0, "max_tokens": 5}, {"temperature": 1, "max_tokens": 5}],
    )
    names = list(compared.answers.columns)
    assert names[:2] == [
        "openai/gpt-4o-mini, good, temperature=0",
        "openai/gpt-4o-mini, good, temperature=1",
    ]
    assert len(names) == 9
    assert judge.ledger.totals().received == 8 * ROWS
    assert {row.model for row in judge.ledger.rows} == {"gpt-4o-mini", "gpt-4o"}


def test_long_names_are_told_apart_over_their_answers(judge, frame):
    """
    What all begin with is left out, so that none is cut where it differs.
    """
    models = ["openai/gpt-4o-audio", "openai/gpt-4o-mini-audio"]
    compared = frame.llm.compare(PROMPTS, models, truth=TRUTH)

    heads = re.findall(r"<th[^>]*>([\w-]+, (?:good|weak))</th>", compared._repr_html_())
    assert heads == [
        "gpt-4o-audio, good",
        "gpt-4o-audio, weak",
        "gpt-4o-mini-audio, good",
        "gpt-4o-mini-audio, weak",
    ]


def test_a_list_of_prompts_is_numbered_and_asks_the_configured_model(judge, frame):
    """
    No model has to be named.
    """
    compared = frame.llm.compare(["good {n}", "weak {n}"])
    assert list(compared.answers.columns) == ["prompt 1", "prompt 2", "agreement"]
    assert {row.model for row in judge.ledger.rows} == {"gpt-4o-mini"}


def test_with_truth_the_best_stands_first_and_the_rest_are_tested(judge, frame):
    """
    By hand: 24 right against 8; wrong on sixteen rows that the best has right, right on none:
    p is 2 to the minus 15.
    """
    compared = frame.llm.compare({"weak": "weak {n}", "good": "good {n}"}, truth=TRUTH)
    models = compared.models
    assert models.index.tolist() == ["good", "weak"]
    assert models["accuracy"].tolist() == [1.0, 1 / 3]
    assert models["worse"].tolist() == [0, 16]
    assert models["better"].tolist() == [0, 0]
    assert models["p"].isna().tolist() == [True, False]
    assert models.loc["weak", "p"] == pytest.approx(2**-15, rel=1e-9)
    assert models.loc["weak", "p_holm"] == models.loc["weak", "p"]
    assert models.loc["good", ["low", "high"]].tolist() == pytest.approx([0.8620, 1], abs=1e-4)
    said = str(compared)
    assert said.startswith("good is right most often: 100 % of 24 labelled rows")
    assert "weak is worse: wrong on 16 rows that the best has right" in said
    assert list(compared.answers.columns) == ["truth", "weak", "good", "agreement"]


def test_only_labelled_rows_are_asked_unless_all_are_wanted(judge, frame):
    """
    Labels by the index; `rows="all"` asks every row, and scores those that have a label.
    """
    truth = pd.Series({3: "yes", 4: "yes", 99: "yes"})
    compared = frame.llm.compare(PROMPTS, truth=truth)
    assert judge.ledger.totals().received == 4
    assert sorted(compared.answers.index) == [3, 4]
    assert compared.models["accuracy"].tolist() == [1.0, 0.5]

    compared = frame.llm.compare(PROMPTS, truth=truth, rows="all")
    assert judge.ledger.totals().received == 2 * ROWS
    assert compared.models["accuracy"].tolist() == [1.0, 0.5]
    assert len(compared.answers) == ROWS


def test_a_row_without_an_answer_is_wrong_and_told(judge, frame):
    """
    A model that fails on a row has not answered it.
    """
    models = ["openai/broken", "openai/gpt-4o"]
    compared = frame.llm.compare("good {n}", models, truth=TRUTH, on_error="column")
    assert compared.models.index.tolist() == ["openai/gpt-4o", "openai/broken"]
    assert compared.models["failed"].tolist() == [0, 1]
    said = " ".join(str(compared).split())
    assert "failed on 1 row, which count as wrong" in said
    assert "openai/broken is not shown to be worse: wrong on 1 row" in said


def test_what_is_even_keeps_the_order_given_and_proves_nothing(judge, frame):
    """
    Two that answer alike.
    """
    models = frame.llm.compare(
        "good {n}", ["openai/gpt-4o", "openai/gpt-4o-mini"], truth=TRUTH
    ).models
    assert models.index.tolist() == ["openai/gpt-4o", "openai/gpt-4o-mini"]
    assert models["p"].tolist()[1] == 1.0


def test_prompts_that_need_other_columns_skip_rows_that_ask_nothing(judge, frame):
    """
    A row whose fields are missing for one prompt is asked with the other alone.
    """
    frame["late"] = frame["n"].astype("Int64").where(frame["n"] > 20)
    prompts = {"good": "good {n}", "late": "weak {late}"}
    compared = frame.llm.compare(prompts, on_error="column")
    assert judge.ledger.totals().received == ROWS + 3
    assert compared.answers["late"].notna().sum() == 3


def test_polars_and_series_compare_prompts_too(judge, frame):
    """
    Truth by position.
    """
    table = pl.DataFrame({"n": range(ROWS)})
    compared = table.llm.compare(PROMPTS, truth=TRUTH)
    assert compared.models["model"].to_list() == ["good", "weak"]
    assert compared.answers["row"].to_list()[0] == 1
    lazy = table.lazy().llm.compare(PROMPTS, truth=TRUTH)
    assert lazy.models["accuracy"].to_list() == [1.0, 1 / 3]
    compared = frame["n"].llm.compare({"good": "good {}", "weak": "weak {}"}, truth=TRUTH)
    assert compared.models.index.tolist() == ["good", "weak"]
    assert judge.ledger.totals().received == 2 * ROWS


def test_examples_are_rows_that_are_labelled_and_never_their_own(judge, frame, bodies):
    """
    A series of labels makes few-shot turns of rendered prompts, in the frame's order; the rows
    are left out of what is scored.
    """
    examples = pd.Series({5: "yes", 2: "no"})
    frame.llm.generate("good {n}", examples=examples)
    turns = {tuple(message["content"] for message in body["messages"]) for body in bodies}
    assert ("good 2", "no", "good 5", "yes", "good 7") in turns
    assert ("good 5", "yes", "good 2") in turns
    assert ("good 2", "no", "good 5") in turns
    assert len(turns) == ROWS
    compared = frame.llm.compare(PROMPTS, truth=TRUTH, examples=examples)
    assert "22 labelled rows" in str(compared)


@pytest.mark.parametrize(
    ("arguments", "options", "says"),
    [
        (("good {n}",), {}, "at least two prompts, models or settings"),
        ((["good {n}"],), {}, "at least two prompts, models or settings"),
        (([],), {}, "no prompt"),
        ((PROMPTS, []), {}, "empty list of models"),
        ((PROMPTS,), {"params": []}, "empty list of params"),
        ((PROMPTS,), {"params": [{"temperature": 0}] * 2}, "named twice"),
        ((PROMPTS,), {"rows": "some"}, 'rows= is "labelled" or "all"'),
        ((["good {n}", "good {m}"],), {}, "m"),
        ((PROMPTS,), {"truth": ["yes"]}, "truth= has 1 value and the table 24 rows"),
        ((PROMPTS,), {"truth": [["a", "b"], *TRUTH[1:]]}, "one true label for each row"),
        ((PROMPTS,), {"quotes": True, "schema": int}, "no keyword .quotes"),
        ((["{gap}", "{gap}!"],), {"truth": TRUTH}, "No labelled row asks anything"),
        (
            (PROMPTS,),
            {"truth": TRUTH, "examples": pd.Series(TRUTH)},
            "Every labelled row is an example",
        ),
    ],
)
def test_what_cannot_be_compared_is_told_before_anything_is_sent(
    judge, frame, arguments, options, says
):
    """
    One mixture only, nothing at all, names twice, truth that does not fit.
    """
    with pytest.raises((ConfigurationError, InputError), match=says):
        frame.assign(gap=None).llm.compare(*arguments, **options)
    assert judge.ledger.totals().received == 0


def test_nothing_in_a_comparison_with_truth_is_live_markup(judge, frame):
    """
    Names of prompts, labels, texts and answers.
    """
    usual = Census(frame.llm.compare(PROMPTS, truth=TRUTH)._repr_html_())
    for payload in PAYLOADS:
        with about(payload):
            named = {payload: "good {n}", "weak": "weak {n}"}
            made = frame.assign(text=payload).llm.compare(named, truth=[payload] * ROWS)
            page = Census(made._repr_html_())
            assert page.elements <= usual.elements
            assert page.attributes <= usual.attributes
            assert page.others == page.open == []
            shown = f"{made}{made!r}{page.text}"
            assert {sign for sign in shown if not sign.isprintable()} <= {"\n"}
