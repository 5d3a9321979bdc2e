"""Promises about options of %llm and %%llm: those that messages name are taken, and checked."""

from __future__ import annotations

import pandas as pd
import pytest
from claims import claimed_bursts

from llmnb import settings


def test_options_of_the_request_and_of_the_run_stand_on_the_line(shell, desk):
    """
    Length and temperature are sent; patience and good ends are the run's.
    """
    line = "--max-tokens 9 --temperature 0 --max-wait 1200 --good-finish done --good-finish fin"
    line += " --burst smooth"

    assert shell.run(f"%llm {line} Hi").error is None
    assert shell.run(f"%%llm {line}\nHo").error is None

    for body in desk.bodies:
        assert (body["max_tokens"], body["temperature"]) == (9, 0)
        assert not {"max_wait", "good_finish", "burst"} & set(body)
    assert desk.prompts == ["Hi", "Ho"]


def test_they_hold_for_a_frame_too(shell, desk):
    """
    With --df every row is asked so.
    """
    shell.ip.user_ns["df"] = pd.DataFrame({"t": ["a", "b"]})

    ran = shell.run("%%llm --df df --into said --max-tokens 9 --max-wait 1200 --burst smooth\n{t}")

    assert ran.error is None
    assert [body["max_tokens"] for body in desk.bodies] == [9, 9]


def test_the_line_says_how_limits_are_spent(shell, desk, monkeypatch):
    """
    One prompt and every row of a frame: evenly with --burst smooth, else as the settings say.
    """
    shell.ip.user_ns["df"] = pd.DataFrame({"t": ["a", "b"]})
    claims = claimed_bursts(monkeypatch)

    shell.run("%llm --burst smooth One")
    shell.run("%%llm --df df --into said --burst smooth\n{t}")
    shell.run("%llm Two")
    shell.run("%llm_config burst=smooth")
    shell.run("%llm Three")

    assert claims == ["smooth", "smooth", "announced", "smooth"]
    assert len(desk.prompts) == 5


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--max-tokens 0", "max_tokens is the longest answer in tokens"),
        ("--max-tokens many", "not 'many'"),
        ("--temperature hot", "temperature is"),
        ("--max-wait -1", "max_wait is"),
        ("--max-wait soon", "not 'soon'"),
        ("--good-finish ''", "good_finish is"),
        ("--burst quick", "'announced' or 'smooth'"),
    ],
)
def test_a_wrong_value_on_the_line_is_told_and_nothing_is_sent(shell, desk, option, words):
    """
    The sentence is that of every other door.
    """
    ran = shell.run(f"%%llm {option}\nHi")

    assert ran.error is not None
    assert words in ran.out + ran.err
    assert "Nothing was sent." in ran.out + ran.err
    assert desk.bodies == []


def test_patience_and_good_ends_are_settings(shell):
    """
    %llm_config sets them, shows them, and takes them back.
    """
    shell.run("%llm_config max_wait=1200 good_finish=done,fin burst=smooth")

    assert settings.current().max_wait == 1200
    assert settings.current().good_finish == ("done", "fin")
    assert settings.current().burst == "smooth"
    shown = shell.run("%llm_config").value_shown["text/plain"]
    assert "1,200 s" in shown
    assert "done, fin" in shown
    assert "smooth" in shown

    shell.run("%llm_config max_wait=none good_finish= burst=none")
    assert settings.current() == settings.Settings()
