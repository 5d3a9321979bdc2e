"""Promises about %llm_status, %llm_cache, %llm_cost and %llm_models."""

from __future__ import annotations

import pytest
from markup import PAYLOADS, Census, about

from llmnb.errors import ConfigurationError, LLMNBError, UnknownProvider
from llmnb.notebook.options import Report


@pytest.fixture
def asked(shell, desk):
    """Ask two questions in one project and one in another."""
    shell.run("%llm One")
    shell.run("%llm Two")
    shell.run('%config LLMMagics.project_name = "Other things"')
    shell.run("%llm Three")
    shell.run('%config LLMMagics.project_name = ""')
    return desk


def test_status_shows_the_last_run(shell, asked):
    """
    Its receipt stands where the magic was called.
    """
    shown = shell.run("%llm_status").shown

    assert "Other things" in shown[0]["text/plain"]
    assert "1 row answered" in shown[0]["text/plain"]


def test_the_cache_is_listed_in_words(shell, asked):
    """
    Projects and answers.
    """
    for line in ("%llm_cache", "%llm_cache list"):
        out = shell.run(line).out
        assert "default" in out
        assert "Other things" in out


def test_clearing_a_project_leaves_the_others_and_can_be_undone(shell, asked):
    """
    The count and the price of buying again are told; undo brings the answers back.
    """
    out = shell.run('%llm_cache clear "other THINGS"').out
    assert "Cleared 1 answer of Other things" in out
    assert "Other things" not in shell.run("%llm_cache list").out
    assert shell.run("%llm One").value.outcome.is_cached

    out = shell.run("%llm_cache undo").out
    assert "Brought 1 answer of Other things back" in out
    assert "Other things" in shell.run("%llm_cache list").out


def test_clearing_all_needs_the_word(shell, asked):
    """
    clear alone clears nothing; --all clears every project.
    """
    ran = shell.run("%llm_cache clear")
    assert "Name the projects" in ran.err
    assert "Cleared 2 answers of default" in shell.run("%llm_cache clear --all").out
    assert "nothing to clear" in shell.run("%llm_cache clear --all").out
    assert not shell.run("%llm One").value.outcome.is_cached


@pytest.mark.parametrize(
    ("line", "kind"),
    [("clear nobody", ConfigurationError), ("clear default nobody", ConfigurationError)],
)
def test_an_unknown_project_clears_nothing(shell, asked, line, kind):
    """
    The names there are stand in the message; those named beside it stay, too.
    """
    ran = shell.run(f"%llm_cache {line}")

    assert isinstance(ran.error, kind)
    assert "Other things" in ran.out
    assert shell.run("%llm One").value.outcome.is_cached


@pytest.mark.parametrize("line", ["empty", "list default", "--all", "clear default --all"])
def test_a_wrong_action_is_told(shell, asked, line):
    """
    Nothing is cleared by mistake.
    """
    assert shell.run(f"%llm_cache {line}").error is not None
    assert shell.run("%llm One").value.outcome.is_cached


def test_nothing_to_undo_is_an_error(shell):
    """
    A cell that undoes nothing does not look as if it had.
    """
    assert isinstance(shell.run("%llm_cache undo").error, LLMNBError)


def test_cost_is_added_up_by_project_and_model(shell, asked):
    """
    Requests, tokens and dollars, for this kernel and for all; clearing does not lower them.
    """
    shell.run("%llm_cache clear --all")
    report = shell.run("%llm_cost").value
    rows = [row[:4] for row in report.rows]
    model = "openai/m (simulated)"
    each = [("", "default", model, "2"), ("", "other-things", model, "1")]

    assert rows == [("this kernel", "", "", "3"), *each, ("in all", "", "", "3"), *each]


def test_cost_before_anything_was_spent(shell):
    """
    A sentence, not an empty table.
    """
    assert "Nothing was spent yet" in shell.run("%llm_cost").value_shown["text/plain"]


def test_models_lists_providers_and_never_a_key(shell, desk, monkeypatch):
    """
    Whether a key is found, and the default model.
    """
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-" + "x" * 20)
    shown = shell.run("%llm_models").value_shown["text/plain"]

    assert "anthropic" in shown
    assert "found" in shown
    assert "GROQ_API_KEY" in shown
    assert "sk-ant-" not in shown


def test_models_of_one_provider_are_its_own_list(shell, desk):
    """
    The provider is asked what it has.
    """
    report = shell.run("%llm_models openai").value

    assert any(name == "model" for name, _ in report.rows)
    assert not report.notes


def test_a_provider_that_does_not_answer_shows_what_is_known(shell):
    """
    Without a key its known models are shown, and why it was not asked.
    """
    report = shell.run("%llm_models openai").value

    assert "Known without asking" in report.notes[0]
    assert isinstance(shell.run("%llm_models nobody").error, UnknownProvider)


def test_looking_at_the_local_model_does_not_load_it(shell, isolated):
    """
    Nor does it fetch weights that are missing.
    """
    report = shell.run("%llm_models local").value

    assert ("model", "local/smollm2") in report.rows
    assert ("address", "inside this process") in report.rows


@pytest.mark.parametrize("line", ["%llm_status now", "%llm_cost today", "%llm_models a b"])
def test_what_a_magic_does_not_take_is_told(shell, line):
    """
    An argument that means nothing is not passed over in silence.
    """
    assert "takes" in shell.run(line).err


def test_a_report_is_text():
    """
    Names of projects and models are text on a page and in a terminal.
    """
    known = {"div", "p", "table", "tr", "th", "td"}
    for payload in PAYLOADS:
        with about(payload):
            report = Report(head=(payload, "b"), rows=[(payload, 1)], notes=[payload])
            shown = report._repr_mimebundle_()
            census = Census(shown["text/html"])

            assert census.elements <= known
            assert census.attributes <= {"class", "style", "align", "cellpadding", "scope"}
            assert not set(shown["text/plain"]) & set("\x1b\u202e\x00\r\x07")
