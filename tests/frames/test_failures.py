"""Promises about rows that fail: the others are there, and the reasons are told once."""

from __future__ import annotations

import pickle

import pandas as pd
import pytest

from llmnb import errors
from llmnb.models.llm import LLM
from llmnb.notebook import receipt
from llmnb.testing import SimulatedProvider, faults


@pytest.fixture
def frame():
    return pd.DataFrame({"text": ["a", None, "fail 1", "b", "fail 2"]}, index=list("vwxyz"))


def test_failed_rows_are_missing_with_a_single_warning(sim, frame):
    """
    It counts them, groups the causes and names the first row of each.
    """
    with pytest.warns(UserWarning, match="2 of 4 rows failed and are NA") as caught:
        answers = frame.llm.generate("text")

    assert answers.fillna("?").tolist() == ["> a", "?", "?", "> b", "?"]
    (one,) = caught
    said = str(one.message)
    assert "2 RequestRejected" in said
    assert "first row 2" in said
    assert one.filename == __file__


def test_after_a_call_that_read_no_kept_answer_the_warning_says_to_read_them(sim, frame):
    """
    The same call again would buy the others once more.
    """
    with pytest.warns(UserWarning, match="run it again without use_cache=False to ask only"):
        frame.llm.generate("text", use_cache=False)


def test_a_run_names_rows_by_their_position_in_the_table(sim, frame):
    """
    Rows that ask nothing are counted, in the run, its display and whatever asks again.
    """
    run = frame.llm.start("text", on_error="column")
    run.result(60)
    sim.set_faults(lambda request: faults.status(400))
    again = run.retry_failed()
    again.result(60)

    assert [outcome.row for outcome in run.failures()] == [2, 4]
    assert run.status().causes[0].first_row == 2
    assert again.status().causes[0].first_row == 2
    assert "row 2:" in receipt.text([receipt.Entry(status=again.status())])


def test_a_live_run_is_not_asked_again_in_a_batch(sim, frame):
    """
    It says what to call instead.
    """
    run = frame.llm.start("text", on_error="column")
    run.result(60)

    with pytest.raises(errors.ConfigurationError, match="make the same call with mode='batch'"):
        run.retry_failed(mode="batch")
    assert run.retry_failed(mode="live").result(60)["response"].isna().sum() == 3


def test_the_reasons_can_stand_in_a_column(sim, frame):
    """
    Beside the answers, without a warning.
    """
    table = frame.llm.generate("text", on_error="column")
    filled = frame.llm.generate("text", into="said", on_error="column")

    assert list(table.columns) == ["response", "response_error"]
    assert table["response_error"].isna().tolist() == [True, True, False, True, False]
    assert list(filled.columns) == ["text", "said", "said_error"]
    assert "400" in filled["said_error"].iloc[2]


def test_failures_can_be_raised_when_every_row_is_done(sim, frame):
    """
    The error carries the partial result, also to another process.
    """
    with pytest.raises(errors.RowsFailed, match="2 of 4 rows failed") as caught:
        frame.llm.generate("text", on_error="raise")

    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert error.partial.fillna("?").tolist() == ["> a", "?", "?", "> b", "?"]
    assert len(caught.value.message.splitlines()) <= errors.MAX_MESSAGE_LINES


def test_where_nothing_fails_nothing_is_raised(sim):
    """
    With any `on_error`.
    """
    frame = pd.DataFrame({"text": ["a"]})

    assert frame.llm.generate("text", on_error="raise").tolist() == ["> a"]
    assert frame.llm.generate("text", on_error="column")["response_error"].isna().all()


def test_what_a_provider_writes_does_nothing_to_the_terminal(monkeypatch):
    """
    Escapes in its messages are written out.
    """
    evil = "\x1b[2J\u202eevil\r"
    with SimulatedProvider(faults=lambda request: 400) as sim:
        frame = pd.DataFrame({"text": [evil]})
        monkeypatch.setattr(errors.RequestRejected, "message", property(lambda self: evil))
        with pytest.warns(UserWarning, match="1 of 1 rows failed") as caught:
            frame.llm.generate("text", model=LLM(url=sim.base_url, api_key="k", model="m"))

    said = str(caught[0].message)
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert r"\x1b[2J" in said


def test_where_every_row_failed_no_others_are_kept():
    """
    The warning speaks of the others only where there are some.
    """
    with SimulatedProvider(faults=lambda request: 400 if "bad" in request.prompt else None) as sim:
        model = LLM(url=sim.base_url, api_key="k", model="m")
        for texts, has_others in ((["bad"], False), (["bad", "good"], True)):
            with pytest.warns(UserWarning, match=r"rows failed(?s:.)*un it again") as caught:
                pd.DataFrame({"text": texts}).llm.generate("text", model=model)
            assert ("The others are kept" in str(caught[0].message)) is has_others


def test_a_refused_account_is_reported_once(frame):
    """
    Not once a row.
    """
    with SimulatedProvider(api_key="right") as locked:
        model = LLM(url=locked.base_url, api_key="wrong", model="m")
        with pytest.warns(UserWarning, match="AuthenticationError") as caught:
            answers = frame.llm.generate("text", model=model)

    assert answers.isna().all()
    assert len(caught) == 1
