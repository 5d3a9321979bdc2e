"""Promises of `judge`: a score with its reason, and a choice that survives a change of places."""

from __future__ import annotations

import asyncio
import json

import pandas as pd
import polars as pl
import pytest
from laboratory import Laboratory

import llmnb
from llmnb.errors import ConfigurationError, InputError

SCORES = {"With pleasure.": 5, "No.": 1}


@pytest.fixture
def sim(monkeypatch):
    """A judge that likes long texts, and in a draw what stands first."""

    def reply(prompt):
        if not prompt.startswith("First:"):
            return json.dumps({"score": SCORES.get(prompt, 9), "reason": f"about {prompt}"})
        first, second = prompt.removeprefix("First:\n").split("\n\nSecond:\n")
        return json.dumps("first" if len(first) >= len(second) else "second")

    with Laboratory(reply=reply, latency=0) as sim:
        monkeypatch.setenv("OPENAI_BASE_URL", sim.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        monkeypatch.setenv("LLMNB_MODEL", "openai/gpt-4o-mini")
        llmnb.register_accessor("llm")
        yield sim


@pytest.fixture
def frame():
    return pd.DataFrame(
        {"old": ["No.", None, "With pleasure."], "new": ["With pleasure.", "No.", "At your word.."]}
    )


def test_a_score_is_a_whole_number_with_its_reason(sim, frame):
    """
    Rows without a text are not asked.
    """
    verdicts = frame.llm.judge("politeness", "old")
    assert verdicts.columns.tolist() == ["score", "reason"]
    assert verdicts["score"].dtype == "Int64"
    assert verdicts["score"].fillna(0).tolist() == [1, 0, 5]
    assert verdicts["reason"][2] == "about With pleasure."
    assert sim.ledger.totals().received == 2


def test_what_is_off_the_scale_is_an_error(sim):
    """
    Its text is kept and told.
    """
    frame = pd.DataFrame({"text": ["Off the scale."]})
    verdicts = frame.llm.judge("politeness", "text", on_error="column")
    assert verdicts["score"].isna().all()
    assert "9" in verdicts["response_error"][0]
    assert frame.llm.judge("politeness", "text", scale=(1, 10))["score"].tolist() == [9]


def test_two_texts_are_asked_in_both_orders(sim, frame):
    """
    The longer is chosen from either place; a draw goes to what stands first, twice: undecided.
    """
    choice = frame.llm.judge("politeness", "old", "new")
    assert choice.isna().tolist() == [False, True, False]
    assert choice.dropna().tolist() == ["new", "undecided"]
    assert choice.cat.categories.tolist() == ["old", "new", "undecided"]
    assert sim.ledger.totals().received == 4
    again = frame.llm.judge("politeness", "old", "new", into="better")
    assert again.columns.tolist() == ["old", "new", "better"]
    assert sim.ledger.totals().received == 4


def test_polars_and_the_awaited_twin_judge_too(sim, frame):
    """
    The same verdicts.
    """
    table = pl.DataFrame({"old": ["No."], "new": ["With pleasure."]})
    assert table.llm.judge("politeness", "old", "new").to_list() == ["new"]
    verdicts = asyncio.run(frame.llm.ajudge("politeness", "old"))
    assert verdicts["score"].dropna().tolist() == [1, 5]


def test_columns_may_be_called_anything(sim, frame):
    """
    Braces in their names are no fields of the prompt.
    """
    named = frame.set_axis(["{a} b", "c {{"], axis=1)
    better = named.llm.judge("politeness", "{a} b", "c {{")
    assert better.dropna().tolist() == ["c {{", "undecided"]
    assert llmnb.last_run().about.traits["prompt"].startswith("First:\n{{a} b}")


@pytest.mark.parametrize(
    ("arguments", "options", "error", "says"),
    [
        (("polite", "old", "old"), {}, ConfigurationError, "two columns with each other"),
        (("polite", "old", "nwe"), {}, InputError, "no column 'nwe'"),
        (("polite", "odl"), {}, InputError, "odl"),
        (("polite", "old"), {"scale": (5, 1)}, ConfigurationError, "the lower one first"),
        (("polite", "old"), {"scale": 5}, ConfigurationError, "scale= is two whole numbers"),
        (("polite", "old", "new"), {"n": 2}, ConfigurationError, "leave out n"),
        ((None, "old"), {}, ConfigurationError, "criterion is what is judged, in words, not None"),
        ((" ", "old", "new"), {}, ConfigurationError, "criterion is what is judged"),
        (("polite", "old"), {"quotes": True}, ConfigurationError, "no keyword .quotes"),
    ],
)
def test_what_cannot_be_judged_is_told_before_anything_is_sent(
    sim, frame, arguments, options, error, says
):
    """
    One column twice, no such column, a scale that is none, no criterion.
    """
    with pytest.raises(error, match=says):
        frame.llm.judge(*arguments, **options)
    assert sim.ledger.totals().received == 0
