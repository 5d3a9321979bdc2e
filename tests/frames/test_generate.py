"""Promises of `df.llm.generate`: what is asked, what comes back, and what it costs."""

from __future__ import annotations

import asyncio
import inspect

import numpy as np
import pandas as pd
import pytest

from llmnb import errors
from llmnb.frames import failures
from llmnb.frames.accessors import DataFrameLLM
from llmnb.frames.options import Options
from llmnb.models.llm import LLM, LLMParams
from llmnb.options import PARAMS
from llmnb.testing import SimulatedProvider

SIGNATURE = (
    "(self, prompt=None, *, model=None, into=None, messages=None, system=None, examples=None, "
    "params=None, schema=None, images=None, overwrite=False, files_root=None, fetch_files=False, "
    "quotes=False, n=1, project_name=None, use_cache=True, share=True, duplicates='merge', "
    "details=False, "
    "on_error='null', max_requests_per_minute=None, max_tokens_per_minute=None, "
    "max_concurrent_requests=None, max_attempts=3, max_wait=None, budget_usd=None, "
    "time_limit=None, hedge_after=None, burst=None, good_finish=(), mode='live', progress='auto', "
    "max_tokens=None, temperature=None, top_p=None, top_k=None, stop_tokens=None, stop=None, "
    "frequency_penalty=None, presence_penalty=None, seed=None)"
)


@pytest.fixture
def frame():
    return pd.DataFrame({"my text": ["a", "b", "c"], "n": [1, 2, 3]})


def test_the_signature_is_as_written_down():
    """
    Names, order and defaults.
    """
    bare = inspect.signature(DataFrameLLM.generate)
    bare = bare.replace(
        parameters=[
            parameter.replace(annotation=parameter.empty) for parameter in bare.parameters.values()
        ],
        return_annotation=bare.empty,
    )

    assert str(bare) == SIGNATURE


def test_what_is_shown_is_what_is_taken():
    """
    The signature's keywords and defaults are those that are checked at run time.
    """
    parameters = dict(inspect.signature(DataFrameLLM.generate).parameters)
    for name in ("self", "prompt", *PARAMS):
        del parameters[name]

    assert {name: getattr(Options(), name) for name in parameters} == {
        name: parameter.default for name, parameter in parameters.items()
    }


def test_a_column_is_asked_row_by_row(sim, frame):
    """
    n rows in, a series of n out, with the frame's own index.
    """
    answers = frame.llm.generate("my text")

    assert answers.tolist() == ["> a", "> b", "> c"]
    assert answers.name == "response"
    assert answers.dtype == "string"
    assert answers.index.equals(frame.index)


def test_a_template_is_filled_with_the_row(sim, frame):
    """
    Names are exact, spaces included; doubled braces are braces; numbers are text.
    """
    answers = frame.llm.generate("{my text}{n} {{my text}}")

    assert answers.tolist() == ["> a1 {my text}", "> b2 {my text}", "> c3 {my text}"]


def test_cells_are_data(sim):
    """
    What a cell holds is never expanded, and no attribute of it is looked at.
    """
    frame = pd.DataFrame({"a": ["{b}", "{a.__class__}"], "b": ["secret", "secret"]})

    assert frame.llm.generate("{a}").tolist() == ["> {b}", "> {a.__class__}"]
    with pytest.raises(errors.UnknownField):
        frame.llm.generate("{a.__class__}")


def test_an_unknown_field_is_an_error_before_anything_is_sent(sim, frame):
    """
    The message lists the columns and says how to write a brace.
    """
    with pytest.raises(errors.UnknownField, match=r"'my text', 'n'") as caught:
        frame.llm.generate("{text}")

    assert "{{" in str(caught.value)
    assert len(sim.ledger.received) == 0


def test_a_slip_in_a_columns_name_is_no_question(sim, frame):
    """
    A word that nearly is a column is not asked three times over.
    """
    with pytest.raises(errors.UnknownField, match="Did you mean 'my text'"):
        frame.llm.generate("my txt")

    assert len(sim.ledger.received) == 0


def test_a_prompt_without_fields_is_the_same_for_every_row(sim, frame):
    """
    It is sent once and answers every row; a warning lists the columns.
    """
    with pytest.warns(UserWarning, match="{my text}, {n}"):
        assert frame.llm.generate("Tell me a joke").tolist() == ["> Tell me a joke"] * 3
    assert len(sim.ledger.received) == 1


def test_into_gives_a_copy_with_the_column(sim, frame):
    """
    The frame itself stays as it was.
    """
    filled = frame.llm.generate("my text", into="said")

    assert list(filled.columns) == ["my text", "n", "said"]
    assert filled["said"].tolist() == ["> a", "> b", "> c"]
    assert list(frame.columns) == ["my text", "n"]


def test_details_tell_what_is_known_of_every_row(sim, frame):
    """
    One column for each figure, typed, with missing values.
    """
    frame.loc[1, "my text"] = "fail"
    frame.loc[2, "my text"] = None

    with pytest.warns(UserWarning, match="1 of 2 rows failed"):
        details = frame.llm.generate("my text", details=True)

    assert list(details.columns) == [
        *("response", "error", "model", "provider", "finish_reason", "prompt_tokens"),
        *("completion_tokens", "usd", "seconds", "first_token_seconds", "attempts", "hedged"),
        *("cached", "key"),
    ]
    assert details["response"].isna().tolist() == [False, True, True]
    assert details["error"].isna().tolist() == [True, False, True]
    assert details["provider"][0] == "openai"
    assert details["attempts"].tolist()[0] == 1
    assert not details["cached"][0]
    assert details["prompt_tokens"].dtype == "Int64"
    assert details["seconds"].dtype == "Float64"
    assert details.loc[2].isna().all()
    assert frame.head(1).llm.generate("my text", details=True)["cached"][0]


def test_details_have_a_frame_of_their_own(frame):
    """
    They exclude `into`.
    """
    with pytest.raises(errors.ConfigurationError, match="into"):
        frame.llm.generate("my text", details=True, into="x")


def test_system_and_examples_stand_before_every_question(sim, frame, asked):
    """
    Turns of both sides; an input that is a mapping fills the prompt's own fields.
    """
    frame.head(1).llm.generate(
        "Say {my text}!",
        system="Be brief.",
        examples=[("one", "1"), ({"my text": "two"}, {"is": 2})],
    )

    assert asked[0]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "1"},
        {"role": "user", "content": "Say two!"},
        {"role": "assistant", "content": '{"is":2}'},
        {"role": "user", "content": "Say a!"},
    ]


def test_an_example_that_is_no_pair_is_said_before_anything_is_sent(sim, frame):
    """
    The message shows what one looks like.
    """
    with pytest.raises(errors.InputError, match=r"examples\[0\]"):
        frame.llm.generate("my text", examples=["just text"])


@pytest.mark.parametrize("params", [{"temperature": 0.5}, LLMParams(temperature=0.5)])
def test_params_are_fields_of_the_request(sim, frame, asked, params):
    """
    As a mapping, or as `LLMParams`.
    """
    frame.head(1).llm.generate("my text", params=params)

    assert asked[0]["temperature"] == 0.5


def test_a_model_may_be_an_object(sim, frame, asked):
    """
    An `LLM` brings its own address, key and parameters.
    """
    model = LLM(url=sim.base_url, api_key="k", model="mine", llm_params={"top_p": 0.1})

    frame.head(1).llm.generate("my text", model=model)

    assert (asked[0]["model"], asked[0]["top_p"]) == ("mine", 0.1)


def test_several_samples_fill_a_cell_with_a_list(sim, frame, asked):
    """
    n requests a row, all kept: asking again sends nothing.
    """
    frame.loc[1, "my text"] = None

    answers = frame.llm.generate("my text", n=3)

    assert answers[0] == ["> a"] * 3
    assert answers[2] == ["> c"] * 3
    assert answers.isna().tolist() == [False, True, False]
    assert len(asked) == 6
    frame.llm.generate("my text", n=3)
    assert len(asked) == 6


def test_a_failed_sample_leaves_a_gap_in_its_list(frame):
    """
    The others of the row are there.
    """
    with SimulatedProvider(
        reply="yes", faults=lambda request: 400 if request.number == 1 else None
    ) as sim:
        model = LLM(url=sim.base_url, api_key="k", model="m")
        with pytest.warns(UserWarning, match="1 of 2 answers failed"):
            answers = frame.head(1).llm.generate(
                "my text", n=2, model=model, max_concurrent_requests=1
            )

    assert answers[0] == ["yes", None]


def test_identical_rows_are_asked_once_or_each_for_itself(sim, asked):
    """
    `duplicates` says which.
    """
    frame = pd.DataFrame({"text": ["a", "a", "a"]})

    frame.llm.generate("text")
    assert len(asked) == 1
    frame.llm.generate("text", duplicates="sample")
    assert len(asked) == 3  # the first sample is the one that is kept


def test_rows_that_ask_nothing_are_not_sent(sim, asked):
    """
    Rows whose fields are all missing stay missing; partly missing ones are asked.
    """
    frame = pd.DataFrame({"a": ["x", None, None], "b": [1.5, None, 2.5]})

    assert frame.llm.generate("{a}/{b}").fillna("?").tolist() == ["> x/1.5", "?", "> /2.5"]
    assert len(asked) == 2


def test_a_second_run_asks_only_what_is_missing(sim, frame, asked):
    """
    What is kept costs nothing; `use_cache=False` asks anew.
    """
    frame.head(2).llm.generate("my text")
    frame.llm.generate("my text")
    assert len(asked) == 3

    frame.llm.generate("my text", use_cache=False)
    assert len(asked) == 6


def test_projects_share_answers_unless_forbidden(sim, frame, asked):
    """
    `share=False` buys them again.
    """
    frame.llm.generate("my text", project_name="one")
    frame.llm.generate("my text", project_name="two")
    assert len(asked) == 3

    frame.llm.generate("my text", project_name="three", share=False)
    assert len(asked) == 6


def test_a_mode_that_is_not_there_says_what_there_is(frame):
    """
    Only asking at once is.
    """
    with pytest.raises(errors.ConfigurationError, match="mode='live'"):
        frame.llm.generate("my text", mode="batch")


@pytest.mark.parametrize(
    "wrong",
    [{"n": 0}, {"n": True}, {"on_error": "ignore"}, {"duplicates": "drop"}, {"params": "x"}],
    ids=str,
)
def test_a_wrong_value_is_said_before_anything_is_sent(sim, frame, wrong):
    """
    As an error of configuration.
    """
    with pytest.raises(errors.ConfigurationError):
        frame.llm.generate("my text", **wrong)
    assert len(sim.ledger.received) == 0


def test_a_mistyped_keyword_is_answered_with_the_nearest(frame):
    """
    Where Python itself does not see it.
    """
    with pytest.raises(TypeError, match="max_requests_per_minute"):
        frame.llm.start("my text", max_request_per_minute=5)


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("into", "It has: model, "),  # another verb's
        ("details", "It has: model, "),
        ("json", "It has: model, "),
        ("rate_limit", "Did you mean max_requests_per_minute?"),
        ("mdoel", "Did you mean model?"),
        ("temp", "Did you mean temperature?"),
        ("cache", "Did you mean use_cache?"),
        ("system_prompt", "Did you mean system?"),
        ("max_completion_tokens", "Did you mean max_tokens?"),
        ("concurrency", "Did you mean max_concurrent_requests?"),
        ("max_rpm", "Did you mean max_requests_per_minute?"),
        ("max_workers", "Did you mean max_concurrent_requests?"),
        ("max_attention", "It has: model, "),
        ("max_retries", "Did you mean max_attempts?"),
        ("timeout", "Did you mean time_limit?"),
    ],
)
def test_a_hint_is_near_or_there_is_none(frame, typed, hint):
    """
    A name that only has letters in common is not suggested; the list of all is, each once.
    """
    with pytest.raises(errors.UnknownOption, match=f"no keyword '{typed}'") as caught:
        frame.llm.preview("my text", **{typed: 5})

    assert hint in str(caught.value)
    assert str(caught.value).count(" params,") <= 1


async def test_agenerate_awaits_on_the_callers_loop(sim, frame):
    """
    The loop goes on meanwhile.
    """
    turns = 0

    async def tick():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    answers = await frame.llm.agenerate("my text")
    ticking.cancel()

    assert answers.tolist() == ["> a", "> b", "> c"]
    assert turns > 1


async def test_generate_works_while_a_loop_runs(sim, frame):
    """
    As in a notebook, where one always does.
    """
    assert frame.llm.generate("my text").tolist() == ["> a", "> b", "> c"]


def test_a_preview_asks_the_first_rows_and_the_run_reuses_them(sim, frame, asked):
    """
    Prompts beside answers, of the first rows that ask something.
    """
    frame.loc[0, "my text"] = None

    shown = frame.llm.preview("Say {my text}", n=1)

    assert shown.index.tolist() == [1]
    assert shown.to_dict("list") == {"prompt": ["Say b"], "response": ["> Say b"]}
    frame.llm.generate("Say {my text}")
    assert len(asked) == 2


def test_a_preview_shows_what_failed(sim):
    """
    In a column of its own, without a warning.
    """
    shown = pd.DataFrame({"text": ["fail"]}).llm.preview("text")

    assert list(shown.columns) == ["prompt", "response", "response_error"]


def test_the_choice_that_nobody_made_is_announced_once(sim, frame, monkeypatch, caplog):
    """
    In one line, with the reason.
    """
    monkeypatch.delenv("LLMNB_MODEL")
    failures.log_once.cache_clear()

    frame.llm.generate("my text")
    frame.llm.generate("my text")

    said = [record.message for record in caplog.records if "No model named" in record.message]
    assert len(said) == 1
    assert "openai/" in said[0]


def test_limits_and_budget_reach_the_engine(sim, frame):
    """
    A budget that cannot be kept is refused; others are seen in the run's status.
    """
    with pytest.raises(errors.ConfigurationError, match="price"):
        frame.llm.generate("my text", budget_usd=1)
    assert len(sim.ledger.received) == 0

    run = frame.llm.start(
        "my text",
        model="openai/gpt-4o-mini",
        budget_usd=1,
        max_requests_per_minute="50 per second",
        max_concurrent_requests=2,
        time_limit=60,
        hedge_after="p95",
    )
    assert run.result(60).tolist() == ["> a", "> b", "> c"]

    status = run.status()
    assert status.budget_usd == 1
    assert status.pools[0].requests_per_minute == 3000
    assert status.pools[0].places == 2


def test_a_list_of_models_is_an_order_of_fallback(frame):
    """
    Every row says who answered it.
    """
    with SimulatedProvider(reply="yes") as sim, SimulatedProvider(api_key="another") as locked:
        models = [
            LLM(url=locked.base_url, api_key="wrong", model="locked"),
            LLM(url=sim.base_url, api_key="k", model="works"),
        ]
        details = frame.llm.generate("my text", model=models, details=True)

    assert details["response"].tolist() == ["yes"] * 3
    assert details["model"].tolist() == ["works"] * 3


@pytest.mark.parametrize("labels", [np.array([1, 2]), pd.array([1, 2], dtype="Int64")])
def test_labels_of_an_array_are_labels(sim, asked, labels):
    """
    As `unique` gives them: its numbers are whole numbers too.
    """
    pd.DataFrame({"t": ["a"]}).llm.classify("t", labels, on_error="column")

    assert "- 1\n- 2" in asked[0]["messages"][0]["content"]


def test_a_label_whose_meaning_is_missing_stands_alone(sim, asked):
    """
    As where meanings come from a table with gaps.
    """
    pd.DataFrame({"t": ["a"]}).llm.classify("t", {"x": None, "y": "good"}, on_error="column")

    assert "- x\n- y: good" in asked[0]["messages"][0]["content"]


def test_labelled_examples_leave_the_categories_alone():
    """
    The labels that `classify` was given are its answers' categories, whatever rows are examples.
    """
    frame = pd.DataFrame({"text": ["so good", "so bad", "fine"]})
    shown = pd.Series({0: "kind"})
    with SimulatedProvider(reply="unkind") as sim:
        model = LLM(sim.base_url, "key", "any")
        moods = frame.llm.classify("text", ["kind", "unkind"], examples=shown, model=model)

    assert moods.cat.categories.tolist() == ["kind", "unkind"]
    assert moods.tolist() == ["unkind"] * 3
