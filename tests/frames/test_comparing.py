"""Promises about `compare`: the same questions to several models, disagreements first."""

from __future__ import annotations

import pandas as pd
import pytest

import llmnb
from llmnb import errors
from llmnb.models.llm import LLM
from llmnb.testing import SimulatedProvider


@pytest.fixture
def split(monkeypatch):
    """A provider whose models agree on everything but `which`, and whose third one fails at `c`."""

    def fault(request):
        return 400 if request.model == "third" and request.prompt == "c" else None

    def reply(prompt, request):
        return f" {request.model} " if prompt == "which" else "YES"

    with SimulatedProvider(reply=reply, faults=fault) as sim:
        monkeypatch.setenv("OPENAI_BASE_URL", sim.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "secret-key")
        yield sim


MODELS = ["openai/first", "openai/second", "openai/third"]


def test_answers_stand_side_by_side_with_disagreements_first(split):
    """
    The index tells which row is which; rows that ask nothing come last.
    """
    frame = pd.DataFrame({"text": ["a", None, "which", "b"]}, index=[1, 1, 2, 3])

    comparison = frame.llm.compare("text", MODELS)

    assert list(comparison.answers.columns) == [*MODELS, "agreement"]
    assert comparison.answers.index.tolist() == [2, 1, 3, 1]
    assert comparison.answers["agreement"].tolist() == [pytest.approx(1 / 3), 1.0, 1.0, pd.NA]
    assert comparison.answers.iloc[0].tolist()[:3] == [" first ", " second ", " third "]
    assert list(frame.columns) == ["text"]


def test_every_model_has_its_figures(split):
    """
    Answers, failures, agreement with the majority, cost and latency.
    """
    frame = pd.DataFrame({"text": ["a", "c", "which"]})

    with pytest.warns(UserWarning, match="1 of 9 answers failed"):
        models = frame.llm.compare("text", MODELS).models

    assert models.index.tolist() == MODELS
    assert models["answered"].tolist() == [3, 3, 2]
    assert models["failed"].tolist() == [0, 0, 1]
    assert models["with_majority"].tolist() == [1.0, 1.0, 1.0]
    assert (models["seconds_p50"] <= models["seconds_p95"]).all()
    again = frame.head(1).llm.compare("text", MODELS).models
    assert again["cached"].tolist() == [1, 1, 1]
    assert again["usd"].fillna(-1).tolist() == [0, 0, 0]


def test_what_was_bought_for_a_comparison_is_kept(split):
    """
    A run with one of the models reuses its answers.
    """
    frame = pd.DataFrame({"text": ["a"]})
    frame.llm.compare("text", MODELS)

    assert frame.llm.generate("text", model="openai/second").tolist() == ["YES"]
    assert len(split.ledger.received) == 3


def test_failures_can_stand_beside_the_answers(split):
    """
    A column for each model.
    """
    comparison = pd.Series(["c"]).llm.compare(models=MODELS, on_error="column")

    assert "400" in comparison.answers["openai/third_error"][0]
    assert comparison.answers["openai/first_error"].isna().all()


def test_models_may_be_objects_and_their_keys_are_never_shown(split):
    """
    Not in anything that is kept of the run.
    """
    first_llm = LLM(
        url=split.base_url, api_key="secret-key", model="first", llm_params={"top_p": 0.5}
    )
    second_llm = LLM(url=split.base_url, api_key="secret-key", model="second")

    comparison = pd.Series(["a", "which"]).llm.compare(models=[first_llm, second_llm])

    assert list(comparison.answers.columns) == ["first", "second", "agreement"]
    assert "secret-key" not in repr(llmnb.last_run().result())
    assert "secret-key" not in repr(comparison) + str(comparison)


def test_models_of_one_name_are_told_apart_by_what_differs(split):
    """
    Their addresses, the settings that belong to them, or both.
    """
    with SimulatedProvider(reply="two") as sim:
        first = LLM(url=split.base_url, api_key="k", model="m")
        second = LLM(url=sim.base_url, api_key="k", model="m")
        warm = LLM(url=sim.base_url, api_key="k", model="m", llm_params={"temperature": 1})
        comparison = pd.Series(["q"]).llm.compare(models=[first, second, warm])

    names = [
        f"m at {split.base_url}",
        f"m at {sim.base_url}",
        f"m at {sim.base_url}, temperature=1",
    ]
    assert list(comparison.answers.columns) == [*names, "agreement"]
    assert comparison.answers[names[1]].tolist() == ["two"] != comparison.answers[names[0]].tolist()
    with pytest.raises(errors.ConfigurationError, match="'m' is named twice"):
        pd.Series(["q"]).llm.compare(models=[first, first])


def test_markup_in_answers_is_text(split):
    """
    In the notebook as in plain text.
    """
    evil = "<img src=x onerror=alert(1)>"
    with SimulatedProvider(reply=evil) as sim:
        models = [LLM(url=sim.base_url, api_key="k", model=name) for name in ("a", "<b>x")]
        comparison = pd.Series(["q"], index=["<i>"]).llm.compare(models=models)

    html = comparison._repr_html_()
    assert evil not in html
    assert "<b>x" not in html
    assert "<i>" not in html
    assert "&lt;img" in html
    assert evil in str(comparison)


def test_what_a_model_writes_does_nothing_to_the_terminal(split):
    """
    Escapes, directions and carriage returns are written out; the lines of the table stay.
    """
    evil = "\x1b[2J\u202eevil\r"
    with SimulatedProvider(reply=evil) as sim:
        models = [LLM(url=sim.base_url, api_key="k", model=name) for name in ("a", evil)]
        comparison = pd.Series(["q"]).llm.compare(models=models)

    assert not set(str(comparison)) & set("\x1b\u202e\r")
    assert r"\x1b[2J" in str(comparison)
    assert "\n\n" in str(comparison)


@pytest.mark.parametrize(
    ("models", "options"),
    [
        (["openai/a"], {}),
        ("openai/a", {}),
        (["openai/a", "openai/a"], {}),
        (["openai/a", ["openai/b", "openai/c"]], {}),
        (MODELS, {"into": "x"}),
        (MODELS, {"details": True}),
        (MODELS, {"n": 2}),
        (MODELS, {"model": "openai/a"}),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_said_before_anything_is_sent(split, models, options):
    """
    Too few models, one twice, or an option of another form.
    """
    with pytest.raises(errors.ConfigurationError):
        pd.DataFrame({"text": ["a"]}).llm.compare("text", models, **options)
    assert len(split.ledger.received) == 0


def test_structured_answers_are_compared_by_value():
    """
    Not by the text they came in.
    """

    def reply(prompt, request):
        return '{"a": 1, "b": 2}' if request.model == "x" else '{ "b":2, "a":1 }'

    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    }
    with SimulatedProvider(reply=reply) as sim:
        models = [LLM(url=sim.base_url, api_key="k", model=name) for name in ("x", "y")]
        comparison = pd.Series(["q"]).llm.compare(models=models, schema=schema)

    assert comparison.answers["agreement"].tolist() == [1.0]
    assert comparison.answers["x"][0] == {"a": 1, "b": 2}


def test_one_model_in_the_place_of_several_is_told_the_keyword():
    """
    It is another keyword than that of the other verbs.
    """
    with pytest.raises(errors.UnknownOption, match="takes models=, one or several"):
        pd.DataFrame({"text": ["a"]}).llm.compare(["A {text}", "B {text}"], model="sim/any")


def test_no_disputed_row_is_shown_by_its_truth():
    """
    A row of numbers alone has no text to show; its label stands in its own place only.
    """
    frame = pd.DataFrame({"size": [1, 2], "kind": ["first", "thoroughly"]})
    with SimulatedProvider(reply=lambda prompt, request: request.model) as sim:
        models = [LLM(model=name, url=sim.base_url) for name in ("first", "second")]
        comparison = frame.llm.compare("{size}", models, truth="kind")

    assert str(comparison).count("thoroughly") == 1
