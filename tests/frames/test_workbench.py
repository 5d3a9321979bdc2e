"""Promises of the workbench without its card: what it asks, when, of whom, and what that costs."""

from __future__ import annotations

import contextlib
import enum

import pandas as pd
import polars as pl
import pytest
from hand_timers import HandTimers
from laboratory import Laboratory
from markup import PAYLOADS

import llmnb
from llmnb.errors import BudgetExceeded, ConfigurationError, InputError, UnknownField
from llmnb.frames.workbench import Workbench
from llmnb.frames.workbench_code import text_literal

TEAMS = ["billing", "returns"]


@pytest.fixture(autouse=True)
def timers(monkeypatch):
    """Pauses that end by hand: one that ended by itself, later, would ask in another test."""
    hand = HandTimers()
    monkeypatch.setattr(Workbench, "_timer", hand)
    return hand


@pytest.fixture
def frame():
    """Forty rows, the first twenty with a label; every answer repeats its prompt."""
    return pd.DataFrame(
        {"body": [f"ticket {row}" for row in range(40)], "subject": ["about it"] * 40},
        index=range(100, 140),
    )


@pytest.fixture
def truth(frame):
    """Labels of twenty rows; half of them are what the answer to ``{body}`` is."""
    rows = list(frame.index[:20])
    said = [f"> {frame.body[row]}" if row % 2 else "else" for row in rows]
    return pd.Series(said, index=rows, name="team")


@pytest.fixture
def priced():
    """A model that costs a cent a row, about."""
    llmnb.set_price("openai/m", 1000, 1000)


@pytest.fixture
def saying(monkeypatch, sim):
    """Returns what has the provider answer something else from now on; its ledger."""
    with contextlib.ExitStack() as stack:

        def say(reply):
            other = stack.enter_context(Laboratory(reply=reply, latency=0))
            monkeypatch.setenv("OPENAI_BASE_URL", other.base_url)
            return other.ledger

        yield say


def prompts(asked):
    return [body["messages"][-1]["content"] for body in asked]


def settled(bench):
    assert bench.wait(60)
    return bench


# -------------------------------------------------------------------------- when it asks


def test_nothing_is_sent_before_somebody_types_or_asks(frame, truth, sim, asked):
    """
    Making a workbench and showing it in every form sends nothing.
    """
    bench = frame.llm.workbench("Who? {body}", truth=truth)
    for shown in (repr(bench), str(bench), bench._repr_html_(), bench.code):
        assert shown
    assert (bench.versions, bench.spent, asked) == ([], 0.0, [])


def test_a_pause_of_600_ms_after_the_last_key_asks_the_sample_once(frame, timers, sim, asked):
    """
    Twenty characters typed within half a second each are one round over five rows.
    """
    bench = frame.llm.workbench()
    text = "{body}: which team?!"
    for end in range(1, 21):
        bench.prompt = text[:end]
        timers.advance(0.5)
    assert asked == []
    timers.advance(0.11)
    settled(bench)
    rows = [frame.body.iloc[row] for row in bench.sample]
    assert sorted(prompts(asked)) == sorted(f"{row}: which team?!" for row in rows)
    assert [version.prompt for version in bench.versions] == [text]


def test_a_version_is_made_where_a_pause_was_asked_and_the_text_differs(frame, timers, sim, asked):
    """
    A text that was never asked is none, and the same text again is no second one.
    """
    bench = frame.llm.workbench("{body}")
    for text in ("{body}?", "never asked {body}", "{body}!", "{body}!?", "{body}!"):
        bench.prompt = text
        if "never" not in text:
            timers.advance(1)
            settled(bench)
    assert [version.prompt for version in bench.versions] == ["{body}?", "{body}!", "{body}!?"]
    assert len(asked) == 15
    assert bench.current is bench.versions[1]


def test_going_back_to_a_version_sends_nothing_and_loses_no_unsent_text(frame, timers, sim, asked):
    """
    Older and newer as with Alt and the arrows; what was typed and not asked stands at the end.
    """
    bench = frame.llm.workbench("{body}")
    bench.ask()
    bench.prompt = "{body}?"
    bench.ask()
    bench.prompt = "{body}, unsent"
    seen = []
    for by in (-1, -1, -1, 1, 1, 1):
        bench.step(by)
        seen.append(bench.prompt)
        timers.advance(5)
    assert seen == ["{body}?", "{body}", "{body}", "{body}?", "{body}, unsent", "{body}, unsent"]
    assert len(asked) == 10


def test_a_setting_is_asked_after_a_pause_and_makes_a_version(frame, timers, sim, asked):
    """
    Not the text alone decides what the answers are.
    """
    bench = frame.llm.workbench("{body}", params={"temperature": 1})
    bench.ask()
    bench.change(params={"temperature": 0}, system="Be brief.")
    timers.advance(0.6)
    settled(bench)
    assert [version.question.params for version in bench.versions] == [
        {"temperature": 1},
        {"temperature": 0},
    ]
    assert {body["temperature"] for body in asked[5:]} == {0}
    assert {body["messages"][0]["content"] for body in asked[5:]} == {"Be brief."}


def test_other_rows_are_asked_and_the_old_answers_stay(frame, timers, sim, asked):
    """
    The sample is drawn by the seed: the same seed, the same rows.
    """
    bench = frame.llm.workbench("{body}", seed=3)
    first = list(bench.sample)
    bench.ask()
    bench.other_rows()
    timers.advance(0.6)
    settled(bench)
    assert bench.sample != first
    assert set(bench.versions[0].outcomes) == {*first, *bench.sample}
    assert frame.llm.workbench("{body}", seed=3).sample == first


# ------------------------------------------------------------------- what cannot be asked


@pytest.mark.parametrize(
    ("prompt", "kind"),
    [
        ("", InputError),
        ("  \n", InputError),
        ("Which team? {boddy}", UnknownField),
        ("Which {team", UnknownField),
        ("Which team?", InputError),
    ],
)
def test_a_prompt_that_cannot_be_asked_sends_nothing_and_the_last_answers_stay(
    frame, timers, sim, asked, prompt, kind
):
    """
    No prompt, a field that is no column, a single brace, no field at all.
    """
    bench = frame.llm.workbench("{body}")
    bench.ask()
    before = list(asked)
    bench.prompt = prompt
    timers.advance(5)
    assert type(bench.error) is kind
    with pytest.raises(kind):
        bench.ask()
    with pytest.raises(kind):
        bench.run()
    assert asked == before
    assert bench.versions[0].answers.notna().all()
    assert len(bench.versions) == 1


def test_an_unknown_field_names_the_likely_column(frame, sim):
    """
    As everywhere else.
    """
    bench = frame.llm.workbench("{subjekt}")
    assert "Did you mean 'subject'?" in str(bench.error)


def test_a_row_that_fails_says_why_and_costs_no_other_its_answer(frame, timers, sim):
    """
    A failed row keeps its place; asking once more asks it alone.
    """
    frame.loc[100:, "body"] = ["fail"] + ["fine"] * 39
    bench = frame.llm.workbench("{body}", n=40, truth=["fine"] * 40)
    version = bench.ask()
    assert version.failure(0) == "failed: rejected by the provider"
    assert version.failure(1) == ""
    assert [version.answers.isna().sum(), version.is_right(0)] == [1, False]


def test_a_setting_that_is_wrong_is_said_at_once_and_keeps_the_old_one(frame, sim):
    """
    A workbench cannot come to hold what no request can have.
    """
    bench = frame.llm.workbench("{body}")
    with pytest.raises(ConfigurationError, match="no setting 'temperatur'"):
        bench.change(temperatur=0)
    with pytest.raises(ConfigurationError):
        bench.change(params=7)
    with pytest.raises(ConfigurationError, match="cannot be the form of an answer"):
        bench.change(schema=object())
    with pytest.raises(InputError, match="a text, not NoneType"):
        bench.prompt = None
    assert bench.question == frame.llm.workbench("{body}").question
    for wrong, message in ({"seed": [1]}, "whole number"), ({"into": ["team"]}, "one column"):
        with pytest.raises(ConfigurationError, match=message):
            frame.llm.workbench("{body}", **wrong)


def test_rows_that_ask_nothing_are_told_and_not_sent(sim, asked):
    """
    Where every field of the prompt is empty.
    """
    frame = pd.DataFrame({"body": ["one", None, "three"]})
    version = frame.llm.workbench("{body}").ask()
    assert version.failure(1).startswith("nothing to ask")
    assert version.rows == [0, 1, 2]
    assert len(asked) == 2


# ----------------------------------------------------------------------------- its money


def test_at_the_end_of_its_budget_nothing_is_asked_as_one_types(frame, timers, sim, asked, priced):
    """
    It says so; what is answered stays, the whole table may run, and more money asks again.
    """
    bench = frame.llm.workbench("{body}", budget_usd=0.2, params={"max_tokens": 10})
    for number in range(40):
        bench.prompt = f"{{body}} {number}"
        timers.advance(1)
        settled(bench)
        if bench.spending.is_over:
            break
    assert 0.1 < bench.spent <= 0.2
    before = len(asked)
    bench.prompt = "{body} after the end"
    timers.advance(1)
    settled(bench)
    with pytest.raises(BudgetExceeded, match=r"the \$0.20 of this workbench"):
        bench.ask()
    assert len(asked) == before
    assert bench.run().result(60).notna().all()
    bench.budget_usd = 1
    asked.clear()
    bench.prompt = "{body} once more"
    timers.advance(1)
    assert settled(bench).versions[-1].answers.notna().all()


def test_an_unknown_price_is_unknown_and_no_reason_not_to_ask(frame, sim):
    """
    A budget cannot be kept without a price, so none is promised.
    """
    bench = frame.llm.workbench("{body}", budget_usd=0.01)
    version = bench.ask()
    assert version.answers.notna().all()
    assert (bench.spent, bench.spending.has_unpriced, version.usd_per_row) == (0.0, True, None)


def test_a_row_that_costs_more_than_is_left_is_not_sent(frame, sim, asked, priced):
    """
    And the words do not claim that the money was spent.
    """
    bench = frame.llm.workbench("{body}", budget_usd=0.01)
    version = bench.ask()
    assert (asked, bench.spent, bench.spending.is_over) == ([], 0.0, True)
    assert version.failure(bench.sample[0]) == "failed: beyond the budget"
    with pytest.raises(BudgetExceeded, match=r"left of the \$0.01 .* does not pay for another row"):
        bench.ask()


def test_what_the_project_has_answered_costs_nothing_here_and_the_other_way_round(
    frame, sim, asked, priced
):
    """
    One engine, one cache: the rows asked here are not asked again by the whole table.
    """
    frame.head(20).llm.generate("{body}", progress=False)
    bench = frame.llm.workbench("{body}", n=40, budget_usd=9)
    bench.ask()
    assert len(asked) == 40
    frame.llm.generate("{body}", progress=False)
    bench.run().wait()
    assert len(asked) == 40


# ----------------------------------------------------------------------------- its scores


def test_score_asks_all_labelled_rows_of_what_stands_in_the_editor(frame, truth, sim, asked):
    """
    Not one more, and what was asked for the sample is not asked twice.
    """
    bench = frame.llm.workbench("{body}", truth=truth)
    assert set(bench.sample) <= set(range(20))
    version = bench.ask()
    assert version.score is None
    score = bench.score()
    assert (score.n, score.right, score.accuracy) == (20, 10, 0.5)
    assert version.score.right == 10
    assert sorted(prompts(asked)) == sorted(frame.body[:20])
    assert list(score.wrong.columns) == ["body", "subject", "response"]


def test_examples_taken_from_labels_are_left_out_of_scores_and_samples(frame, truth, sim, asked):
    """
    A row never proves what it has taught.
    """
    examples = truth[:4]
    bench = frame.llm.workbench("{body}", truth=truth, examples=examples, n=40)
    assert not {0, 1, 2, 3} & set(bench.sample)
    score = bench.score()
    assert (score.n, score.examples) == (16, 4)
    shown = asked[0]["messages"]
    assert [message["content"] for message in shown[:2]] == ["ticket 0", "else"]
    assert len(shown) == 9
    bench.show_examples({5: truth.iloc[5]})
    assert bench.question.examples == {5: "> ticket 5"}


def test_a_score_of_numbers_is_how_far_they_are_off(saying):
    """
    Where truth is numbers.
    """
    frame = pd.DataFrame({"body": ["1", "2", "4"]})
    saying(lambda prompt: prompt)
    score = frame.llm.workbench("{body}", truth=[1, 2, 3]).score()
    assert score.mae == pytest.approx(1 / 3)


def test_labels_that_a_person_gives_meanwhile_count(frame, sim):
    """
    A labeller stands where truth does; what it has at the moment of scoring is used.
    """
    labeller = frame.llm.label("team", ["yes", "no"], n=6)
    bench = frame.llm.workbench("{body}", truth=labeller)
    assert bench.labelled == []
    for _ in range(6):
        labeller.give("yes")
    assert bench.score().n == 6


def test_without_a_label_there_is_nothing_to_score(frame, sim, asked):
    """
    It says so and sends nothing.
    """
    with pytest.raises(InputError, match="nothing to score"):
        frame.llm.workbench("{body}").score()
    assert asked == []


# ------------------------------------------------------------------------- code and run


class Mood(enum.Enum):
    """A schema of one value."""

    BILLING = "billing"
    RETURNS = "returns"


SETTINGS = [
    {},
    {"params": {"temperature": 0, "max_tokens": 20}, "project_name": 'a "b"'},
    {"system": 'Say "yes"\\n\n{subject}', "model": ["openai/m", "openai/other"]},
    {"examples": {100: "one", 102: "two"}},
    {"examples": [("a", "b"), ({"body": "x", "subject": "y"}, "c")]},
    {"schema": Mood},
    {"schema": ("billing", "returns")},
    {"schema": {"type": "object", "properties": {"team": {"type": "string"}}}},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: ",".join(settings) or "none")
def test_code_runs_as_it_is_and_gives_the_column_that_run_gives(frame, saying, settings):
    """
    In a fresh namespace with the frame alone, and nothing is bought twice.
    """
    reply = '{"team": "billing"}' if isinstance(settings.get("schema"), dict) else "billing"
    ledger = saying(reply)
    bench = frame.llm.workbench('"{body}":\n{subject} \\ {{sic}}', into="team", **settings)
    bench.ask()
    ran = bench.run().result(60)
    before = len(ledger.received)
    space = {"df": frame.copy()}
    exec(bench.code, space)
    column = "team_team" if isinstance(settings.get("schema"), dict) else "team"
    wanted = ran if isinstance(ran, pd.Series) else ran[column]
    assert space["df"][column].tolist() == wanted.tolist() == ["billing"] * 40
    assert len(ledger.received) == before


def test_code_of_polars_gives_the_same_column(frame, sim):
    """
    Polars' frames do not change: the frame itself is assigned.
    """
    df = pl.from_pandas(frame)
    bench = df.llm.workbench("{body}", into="said", examples={0: "first"})
    bench.ask()
    ran = bench.run().result(60)
    space = {"df": df}
    exec(bench.code, space)
    assert space["df"]["said"].to_list() == ran.to_list()
    assert bench.versions[0].answers.to_list() == [ran[row] for row in bench.sample]


@pytest.mark.parametrize("text", [*PAYLOADS, '"""', "\\", 'ends with "', "a\r\nb", "\x00", "a\n"])
def test_a_text_written_as_code_is_the_same_text(text):
    """
    Quotes, backslashes, controls and directions; nothing of it acts or hides.
    """
    space: dict[str, object] = {}
    literal = text_literal(text)
    exec(f"text = {literal}", space)
    assert space["text"] == text
    assert all(line.isprintable() for line in literal.split("\n"))


def test_the_run_of_the_whole_table_is_outside_the_budget_and_one_at_a_time(frame, sim, priced):
    """
    What is tried is bounded, not what is decided.
    """
    bench = frame.llm.workbench("{body}", budget_usd=0)
    sim.hold()
    run = bench.run()
    with pytest.raises(ConfigurationError, match="stop that run first"):
        bench.run()
    sim.release()
    assert run.result(60).tolist() == [f"> ticket {row}" for row in range(40)]
    assert bench.spent == 0


def test_what_a_saved_notebook_keeps_has_no_text_of_a_row(frame, truth, sim):
    """
    The last prompt, the versions and their figures; whatever the prompt is, it is text.
    """
    frame["body"] = [f"secret {row}" for row in range(40)]
    bench = frame.llm.workbench("{body}", truth=truth)
    bench.score()
    bench.prompt = "<script>alert(1)</script> {body}"
    for shown in (str(bench), bench._repr_html_(), repr(bench)):
        assert "secret" not in shown
    assert "<script>" not in bench._repr_html_()
    assert "0 to 16" in bench._repr_html_()
