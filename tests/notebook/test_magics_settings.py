"""Promises about %llm_config and %llm_key: what is set holds, and no key is ever seen."""

from __future__ import annotations

import getpass

import pytest

from llmnb import settings
from llmnb.errors import ConfigurationError, InvalidKey, UnknownProvider

KEY = "sk-" + "secret" * 6


@pytest.fixture
def typed(monkeypatch):
    """Type a key where one is asked for; yields what was asked."""
    prompts: list[str] = []

    def ask(prompt: str = "") -> str:
        prompts.append(prompt)
        return KEY

    monkeypatch.setattr(getpass, "getpass", ask)
    return prompts


def test_settings_hold_for_every_door(shell):
    """
    Model, project, limits and budget are those of `llmnb.configure`.
    """
    ran = shell.run(
        "%llm_config model=openai/gpt-4o-mini project='My reviews' rpm=5/second tpm=200_000 "
        "concurrency=20 budget=$2.50 max_wait=1,200 good_finish='done, fin'"
    )

    assert ran.error is None
    assert settings.current() == settings.Settings(
        model="openai/gpt-4o-mini",
        project_name="My reviews",
        max_requests_per_minute=300.0,
        max_tokens_per_minute=200_000.0,
        max_concurrent_requests=20,
        budget_usd=2.5,
        max_wait=1200,
        good_finish=("done", "fin"),
    )


def test_a_setting_can_be_taken_back(shell):
    """
    With none, or with nothing behind the sign.
    """
    shell.run("%llm_config model=openai/x rpm=5")
    shell.run("%llm_config model=none rpm=")

    assert settings.current() == settings.Settings()


def test_settings_are_shown(shell):
    """
    Without arguments it shows what is in force.
    """
    shell.run('%llm_config model=openai/x rpm=500 system="Be brief." stream=off format=text')
    shown = shell.run("%llm_config").value_shown["text/plain"]

    for line in ("openai/x", "500", "Be brief.", "off", "text", "what the provider allows"):
        assert line in shown


def test_what_was_said_last_holds(shell, desk):
    """
    A model set for the kernel is asked by %llm, though its own option named another before.
    """
    shell.run('%config LLMMagics.model = "openai/older"')
    shell.run("%llm_config model=openai/newer")
    shell.run("%llm Hi")

    assert desk.bodies[0]["model"] == "newer"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("modle=openai/x", "Did you mean model?"),
        ("rpm=fast", "a rate above 0, not 'fast'"),
        ("rpm=0", "above 0"),
        ("concurrency=0", "at least 1, not 0"),
        ("budget=lots", "at least 0, not 'lots'"),
        ("max_wait=-1", "at least 0, not -1"),
        ("good_finish=,", "a text or a list of them"),
        ("model=nobody/x", "nobody"),
        ("stream=perhaps", "True or False, not 'perhaps'"),
        ("format=xml", "'code' or 'table', not 'xml'"),
        ("openai/x", "is not name=value"),
    ],
)
def test_a_wrong_setting_changes_nothing(shell, line, words):
    """
    It is told, and the good ones on the same line are not set either.
    """
    ran = shell.run(f"%llm_config project=other {line}")

    assert ran.error is not None
    assert words in ran.out + ran.err
    assert settings.current() == settings.Settings()


# ----------------------------------------------------------------------------- keys


def test_a_key_is_asked_for_and_kept_in_memory(shell, typed):
    """
    It stands in no output, no variable and no history, and is found from then on.
    """
    ran = shell.run("%llm_key openai")

    assert settings.find_key("openai", ()) == KEY
    assert "openai" in typed[0]
    assert KEY not in ran.out + ran.err + repr(ran.shown)
    assert KEY not in repr(dict(shell.names)) + repr(shell.ip.history_manager.input_hist_raw)
    assert ran.value is None


def test_a_key_can_be_forgotten(shell, typed):
    """
    As if it had never been given.
    """
    shell.run("%llm_key OpenAI")
    shell.run("%llm_key openai --forget")

    assert settings.find_key("openai", ()) is None


def test_a_key_on_the_line_is_refused_and_never_repeated(shell, typed):
    """
    Whoever pastes it there is told what to do about it; the message does not hold it.
    """
    for line in (f"openai {KEY}", KEY, f"openai={KEY}"):
        ran = shell.run(f"%llm_key {line}")
        assert ran.error is not None
        assert "never written on this line" in ran.out + ran.err
        assert KEY not in ran.out + ran.err + str(ran.error)
    assert typed == []
    assert settings.find_key("openai", ()) is None


def test_a_provider_that_needs_no_key_or_does_not_exist_is_told(shell, typed):
    """
    Nobody is asked for what is not needed.
    """
    assert "needs no key" in shell.run("%llm_key ollama").err
    assert isinstance(shell.run("%llm_key nobody").error, UnknownProvider)
    assert "Which provider?" in shell.run("%llm_key").err
    assert typed == []


def test_a_key_that_cannot_travel_is_refused_without_its_value(shell, monkeypatch):
    """
    The message names the place, never the key.
    """
    monkeypatch.setattr(getpass, "getpass", lambda prompt="": KEY + "\u200b" + KEY)
    ran = shell.run("%llm_key openai")

    assert isinstance(ran.error, InvalidKey)
    assert KEY not in ran.out + ran.err
    assert settings.find_key("openai", ()) is None


def test_where_nobody_can_type_other_ways_are_named(shell, monkeypatch):
    """
    Run by a machine, the cell fails and says where else a key can stand.
    """

    def nobody(prompt: str = "") -> str:
        raise EOFError

    monkeypatch.setattr(getpass, "getpass", nobody)
    ran = shell.run("%llm_key openai")

    assert isinstance(ran.error, ConfigurationError)
    assert "OPENAI_API_KEY" in ran.out
